"""`loomark demo`: the main job from capture to offline verification, on a node of its own.

Five companies with their own keys capture one week of salad; one field turns out to be contaminated. Three
people then do their work: a partner keeps a proof, a recall lead traces the lot, an auditor verifies a report
without the node. Running it again starts from nothing again.
"""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.errors import InvalidInput, Unavailable, VerificationError

from .child import ChildNode
from .client import Node, segment
from .output import out, progress, status

app = typer.Typer(add_completion=False)

MARKER = "loomark-demo.json"
_GRAPH_TIMEOUT_S = 30.0
_READERS = {"auditor": ("Assurance Partners", "auditor"), "recall": ("Recall Desk", "recall")}


@app.command()
def demo(
    data: Annotated[
        Path, typer.Option(help="Folder of the demonstration; an earlier one there is replaced.")
    ] = Path("var/demo"),
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the data afterwards; keep it if it is there.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port to serve on; 0 picks a free one.")] = 8080,
) -> None:
    """Play the main job; with --serve leave a node running and print a fresh key for each of three users."""
    if not serve or not (data / MARKER).exists():
        play(data)
    if serve:
        keep_serving(data, port)


def play(data: Path) -> None:
    """The whole main job, told step by step."""
    started = time.monotonic()
    _begin_anew(data)
    story = _write_scenario(data)
    with ChildNode(data / "node") as child:
        _say(1, f"A node serves on {child.url}; its log starts with a charter")
        keys = _admit(child, data, story)
        own_record = _capture(child, data, story, keys)
        _wait_for_graph(child)
        _remember(child, data, story)
        _partner(child, data, keys[story["partner"]], own_record)
        _recall_lead(child, story, keys)
        _auditor(child, data, story, keys)
    _say(8, "The node is stopped. On any machine, offline: loomark verify report.json --policy policy.txt")
    _verify_offline(data)
    _tamper(data)
    out.print(
        f"\n[green]Done[/green] in {time.monotonic() - started:.0f} s. Files are in {data}; `make run` serves them."
    )


def keep_serving(data: Path, port: int) -> None:
    """Serve the demonstration's data until Ctrl-C, with a fresh API key for each of the three users."""
    known = json.loads((data / MARKER).read_text())
    with ChildNode(data / "node", port=port) as child, Node(child.url, known["operatorKey"]) as node:
        out.print(
            f"\nLoomark serves the demonstration at [bold]{child.url}[/bold]. Log in with one of these keys:"
        )
        for user, subject in (
            ("partner", known["partner"]),
            ("auditor", "auditor"),
            ("recall lead", "recall"),
        ):
            answer = node.post(f"/api/members/{segment(subject)}/api-key", b"", "application/json").json()
            out.print(f"  {user:<12} {subject:<22} {answer['apiKey']}", markup=False)
        out.print(f"Contaminated lot:           {known['lot']}", markup=False)
        if "own" in known:
            out.print(f"A lot the partner made:     {known['own']}", markup=False)
        out.print("Ctrl-C stops the node.", markup=False)
        _wait_for_signal(child)


def _wait_for_signal(child: ChildNode) -> None:
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    while not told.wait(0.5):
        if child.process.poll() is not None:
            raise Unavailable("the node ended; serve.log in its folder says why")


def _begin_anew(data: Path) -> None:
    if data.exists() and any(data.iterdir()):
        if not (data / MARKER).exists() and not (data / "scenario").exists():
            raise InvalidInput(
                f"{data} holds something else than a demonstration; choose another folder", rule="bad-folder"
            )
        _remove(data)
    data.mkdir(parents=True, exist_ok=True)


def _remove(data: Path) -> None:
    """Remove an earlier demonstration, unless its node runs: what lies under a node is not taken from it."""
    from fabric.capture.lock import FolderLock

    node = data / "node"
    if not (node / "lock").exists():
        shutil.rmtree(data)
        return
    lock = FolderLock(node / "lock")
    try:
        lock.acquire()
    except Unavailable as error:
        raise Unavailable(f"a node is running on {node}; stop it first") from error
    try:
        shutil.rmtree(data)
    finally:
        lock.release()


def _write_scenario(data: Path) -> dict[str, Any]:
    from fabric.scenario import demo_scenario

    made = demo_scenario(data / "scenario", now=int(time.time()))
    members = json.loads((data / "scenario" / "members.json").read_text())["members"]
    partner = next(one["id"] for one in members if one["role"] == "processor")
    return {
        "events": made.events,
        "lot": made.contaminated,
        "members": members,
        "partner": partner,
        "own": _made_by(data / "scenario" / partner),
    }


def _made_by(folder: Path) -> str:
    """The first lot that a member's documents put out of a process."""
    for file in sorted(folder.rglob("*.json*")):
        for event in json.loads(file.read_text())["epcisBody"]["eventList"]:
            for made in event.get("outputQuantityList", ()):
                return str(made["epcClass"])
    raise InvalidInput(f"expected a lot that was made in {folder}", rule="demo")


def _admit(child: ChildNode, data: Path, story: dict[str, Any]) -> dict[str, str]:
    """Admit the five with a key each keeps, and two readers without; API keys by member id."""
    from ledger.ed25519 import SigningKey, possession_line
    from ledger.keyfile import write_key_file

    (data / "keys").mkdir(mode=0o700)
    api_keys = {}
    with Node(child.url, child.operator_key) as node:
        for member in story["members"]:
            key = SigningKey.generate()
            write_key_file(data / "keys" / f"{member['id']}.key", key)
            statement = {
                "type": "member",
                "subject": member["id"],
                "name": member["name"],
                "parties": member["parties"],
                "publicKey": possession_line(key),
            }
            api_keys[member["id"]] = _state(node, statement)["apiKey"]
        for member_id, (name, role) in _READERS.items():
            statement = {"type": "member", "subject": member_id, "name": name, "roles": [role]}
            api_keys[member_id] = _state(node, statement)["apiKey"]
    names = ", ".join(member["name"] for member in story["members"])
    _say(2, f"Admitted with keys of their own: {names}; and an auditor and a recall team who only read")
    return api_keys


def _state(node: Node, statement: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = node.post(
        "/api/statements", json.dumps(statement).encode(), "application/json"
    ).json()
    return answer


def _capture(child: ChildNode, data: Path, story: dict[str, Any], keys: dict[str, str]) -> str:
    """Capture every document under its member's own key; gives a record of the partner's."""
    from .capture import capture_document, read_document_file
    from .key_source import hand_of_file

    files = [(m["id"], file) for m in story["members"] for file in _documents(data, m)]
    records, own_record = 0, ""
    with progress() as shown:
        for member, file in shown.track(files, description="capturing"):
            with Node(child.url, keys[member]) as node:
                job = capture_document(
                    node, read_document_file(file), hand_of_file(data / "keys" / f"{member}.key", None)
                )
            if job["state"] != "sequenced":
                raise InvalidInput(f"{file} was {job['state']}: {job['reason']}", rule="demo")
            records += len(job["records"])
            if member == story["partner"]:
                own_record = job["records"][-1]["record"]
    _say(
        3, f"Captured {story['events']} events in {len(files)} signed documents: {records} records committed"
    )
    return own_record


def _documents(data: Path, member: dict[str, Any]) -> list[Path]:
    return sorted((data / "scenario" / member["folder"]).rglob("*.json*"))


def _wait_for_graph(child: ChildNode) -> None:
    deadline = time.monotonic() + _GRAPH_TIMEOUT_S
    with Node(child.url, None) as node, status("building the knowledge graph"):
        while time.monotonic() < deadline:
            state = node.get_json("/readyz")
            if state.get("graph_size") == state["size"]:
                _say(4, f"The knowledge graph covers all {state['size']} entries of the log")
                return
            time.sleep(0.2)
    raise Unavailable("the knowledge graph did not follow in time; serve.log in the node's folder says why")


def _remember(child: ChildNode, data: Path, story: dict[str, Any]) -> None:
    (data / MARKER).touch(mode=0o600)
    known = {
        "operatorKey": child.operator_key,
        "lot": story["lot"],
        "partner": story["partner"],
        "own": story["own"],
    }
    (data / MARKER).write_text(json.dumps(known))


def _partner(child: ChildNode, data: Path, api_key: str, record: str) -> None:
    with Node(child.url, api_key) as node:
        (data / "policy.txt").write_bytes(node.get("/api/policy").content)
        proof = node.get(f"/api/records/{record}/proof", show=["/eventTime", "/bizStep"])
        (data / "proof.json").write_bytes(proof.content)
    _say(5, "Partner: keeps proof.json of one of its records, which shows time and step and nothing else")


def _recall_lead(child: ChildNode, story: dict[str, Any], keys: dict[str, str]) -> None:
    _say(6, f"Recall lead: {story['lot']} is contaminated")
    with Node(child.url, keys["recall"]) as node:
        answer = _traced(node, story["lot"], "forward")
        pack = _farthest(answer)
        out.print(f"   And back from {pack}, which a shop sells:\n", markup=False)
        _traced(node, pack, "backward")


def _traced(node: Node, thing: str, direction: str) -> dict[str, Any]:
    from .asked import names_of
    from .trace import show
    from .trace_text import iris, missing

    began = time.perf_counter()
    answer: dict[str, Any] = node.get_json("/api/trace", thing=thing, direction=direction)
    took_ms = (time.perf_counter() - began) * 1000
    names = names_of(node, iris(answer), answer["time"])
    show(answer, names)
    out.print(f"\nanswered in {took_ms:.0f} ms; {missing(answer, names)}\n", markup=False)
    return answer


def _farthest(answer: dict[str, Any]) -> str:
    """The affected lot that most steps lie before: what people eat of it."""
    lots = (one for one in answer["affected"] if one["kind"] == "lot")
    return str(max(lots, key=lambda one: (one["level"], one["thing"]))["thing"])


def _auditor(child: ChildNode, data: Path, story: dict[str, Any], keys: dict[str, str]) -> None:
    from .report import page_of

    with Node(child.url, keys["auditor"]) as node:
        asked = {"thing": story["lot"], "direction": "forward"}
        evidence = node.get("/api/reports/provenance", **asked).content
        (data / "report.json").write_bytes(evidence)
        page, _ = page_of(evidence, (data / "policy.txt").read_text())
        (data / "report.html").write_bytes(page)
    size = (data / "report.json").stat().st_size
    _say(7, f"Auditor: report.json ({size / 1024:.0f} KiB of evidence) and report.html to print")


def _verify_offline(data: Path) -> None:
    from ledger.policy import parse_policy

    from .verdict_text import counted
    from .verify import verdict_of

    policy = parse_policy((data / "policy.txt").read_text())
    for file in ("proof.json", "report.json"):
        verdict = verdict_of((data / file).read_bytes(), policy)
        out.print(f"   {file}: [green]verified[/green], {counted(len(verdict['records']), 'record')}")
    for word in verdict.get("operatorsWord", []):
        out.print(f"     operator's word: {word}", markup=False)


def _tamper(data: Path) -> None:
    """Change one digit of a quantity in the report, as somebody who hides a loss would."""
    from ledger.policy import parse_policy

    from .verify import verdict_of

    report = (data / "report.json").read_bytes()
    place = report.index(b'"quantity":') + len(b'"quantity":')
    digit = next(at for at in range(place, len(report)) if report[at : at + 1].isdigit())
    changed = report[:digit] + str((int(report[digit : digit + 1]) + 1) % 10).encode() + report[digit + 1 :]
    (data / "tampered.json").write_bytes(changed)
    try:
        verdict_of(changed, parse_policy((data / "policy.txt").read_text()))
    except VerificationError as error:
        _say(9, f"One byte of the report changed, at {digit}: not verified")
        out.print(f"   step {error.step} at {error.place}: {error.message}", markup=False)
        return
    raise VerificationError("a changed report verified", 1, "")


def _say(number: int, text: str) -> None:
    out.print(f"[bold]{number}[/bold]  ", end="")
    out.print(text, markup=False)
