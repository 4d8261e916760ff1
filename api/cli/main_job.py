"""The main job on one node, step by step: what every demonstration plays, and what each step says.

Five companies with their own keys capture four weeks of salad; one field turns out to be contaminated. Three people then
do their work: a partner keeps a proof, a recall lead traces the lot, an auditor takes a report away to verify it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.errors import InvalidInput, Unavailable, VerificationError

from .child import ChildNode
from .client import Node
from .output import out, progress, status

MARKER: Final = "loomark-demo.json"
NODE: Final = "node"
_GRAPH_TIMEOUT_S: Final = 30.0
_READERS: Final = {"auditor": ("Assurance Partners", "auditor"), "recall": ("Recall Desk", "recall")}

Say = Callable[[str], None]
"""Tells one more step."""


class Telling:
    """Numbers the steps as they are told."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(self, text: str) -> None:
        """Tell the next step."""
        self._number += 1
        out.print(f"[bold]{self._number}[/bold]  ", end="")
        out.print(text, markup=False)


@dataclass(frozen=True, slots=True)
class Story:
    """What the members of one node capture: their documents' folder, how many events, who they are (`members.json`)."""

    folder: Path
    events: int
    members: list[dict[str, Any]]

    def documents(self, member: dict[str, Any]) -> list[Path]:
        """The documents of one member, in their order."""
        return sorted((self.folder / member["folder"]).rglob("*.json*"))

    @property
    def names(self) -> str:
        """The members' names, in a row."""
        return ", ".join(member["name"] for member in self.members)


def story_of(folder: Path, events: int) -> Story:
    """The story of documents that a scenario wrote."""
    return Story(folder, events, json.loads((folder / "members.json").read_text())["members"])


def main_story(data: Path) -> tuple[Story, str, str]:
    """Write the documents of the five companies; their story, the contaminated lot, and who plays the partner."""
    from fabric.scenario import demo_scenario

    made = demo_scenario(data / "scenario", now=int(time.time()))
    story = story_of(data / "scenario", made.events)
    partner = next(str(one["id"]) for one in story.members if one["role"] == "processor")
    return story, made.contaminated, partner


@dataclass(slots=True)
class MainJob:
    """One node and its members, at work. `data` gets what people take away; keys of members lie in `keys` below it."""

    child: ChildNode
    data: Path
    story: Story
    say: Say
    api_keys: dict[str, str] = field(default_factory=dict)

    def fill(self, lot: str, partner: str) -> str:
        """Admit and capture, until the graph has everything; gives a record of the partner's."""
        self.admit()
        self.say(
            f"Admitted with keys of their own: {self.story.names}; and an auditor and a recall team who only read"
        )
        records = self.capture()
        self.wait_for_graph()
        self._remember(lot, partner)
        return [record for member, record in records if member == partner][-1]

    def answer(self, lot: str, partner: str, record: str) -> None:
        """What the three people ask of it."""
        self.partner(partner, record)
        self.recall_lead(lot)
        self.auditor(lot)

    def admit(self, readers: bool = True) -> None:
        """Admit the members with a key each keeps, and the two readers without."""
        from ledger.ed25519 import SigningKey, possession_line
        from ledger.keyfile import write_key_file

        (self.data / "keys").mkdir(mode=0o700)
        with Node(self.child.url, self.child.operator_key) as node:
            for member in self.story.members:
                key = SigningKey.generate()
                write_key_file(self.data / "keys" / f"{member['id']}.key", key)
                stated = {"name": member["name"], "parties": member["parties"]}
                self._state_member(node, member["id"], {**stated, "publicKey": possession_line(key)})
            for member_id, (name, role) in _READERS.items() if readers else ():
                self._state_member(node, member_id, {"name": name, "roles": [role]})

    def _state_member(self, node: Node, member_id: str, more: dict[str, Any]) -> None:
        statement = {"type": "member", "subject": member_id, **more}
        answer = node.post("/api/statements", json.dumps(statement).encode(), "application/json")
        self.api_keys[member_id] = answer.json()["apiKey"]

    def capture(self) -> list[tuple[str, str]]:
        """Capture every document under its member's own key; (member, record) of each record."""
        from .capture import capture_document, read_document_file
        from .key_source import signing_of_file

        files = [(m["id"], file) for m in self.story.members for file in self.story.documents(m)]
        records: list[tuple[str, str]] = []
        with progress() as shown:
            for member, file in shown.track(files, description="capturing"):
                key = signing_of_file(self.data / "keys" / f"{member}.key", None)
                with Node(self.child.url, self.api_keys[member]) as node:
                    job = capture_document(node, read_document_file(file), key)
                if job["state"] != "sequenced":
                    raise InvalidInput(f"{file} was {job['state']}: {job['reason']}", rule="demo")
                records += [(member, one["record"]) for one in job["records"]]
        self.say(
            f"Captured {self.story.events} events in {len(files)} signed documents: {len(records)} records committed"
        )
        return records

    def wait_for_graph(self) -> None:
        """Wait until the knowledge graph has all that was captured."""
        state = self.wait_until(
            lambda state: state.get("graph_size") == state["size"],
            "building the knowledge graph",
            "the knowledge graph did not follow in time",
            _GRAPH_TIMEOUT_S,
        )
        self.say(f"The knowledge graph covers all {state['size']} entries of the log")

    def wait_until(
        self, done: Callable[[dict[str, Any]], bool], doing: str, late: str, patience_s: float
    ) -> dict[str, Any]:
        """The node's state once it is as wanted. Raises Unavailable, which says `late`."""
        deadline = time.monotonic() + patience_s
        with Node(self.child.url, None) as node, status(doing):
            while time.monotonic() < deadline:
                state: dict[str, Any] = node.get_json("/readyz")
                if done(state):
                    return state
                time.sleep(0.2)
        raise Unavailable(f"{late}; serve.log in the node's folder says why")

    def _remember(self, lot: str, partner: str) -> None:
        """Write down what serving the data later needs; the file also tells that the folder is a demonstration's."""
        own = made_by(self.story, partner)
        known = {"operatorKey": self.child.operator_key, "lot": lot, "partner": partner, "own": own}
        (self.data / MARKER).touch(mode=0o600)
        (self.data / MARKER).write_text(json.dumps(known))

    def partner(self, member: str, record: str) -> None:
        """A partner keeps the node's policy and a proof of one record that shows little."""
        with Node(self.child.url, self.api_keys[member]) as node:
            (self.data / "policy.txt").write_bytes(node.get("/api/policy").content)
            proof = node.get(f"/api/records/{record}/proof", show=["/eventTime", "/bizStep"])
            (self.data / "proof.json").write_bytes(proof.content)
        self.say(
            "Partner: keeps proof.json of one of its records, which shows time and step and nothing else"
        )

    def recall_lead(self, lot: str) -> None:
        """A recall lead traces the lot forward, and back from what a shop sells."""
        self.say(f"Recall lead: {lot} is contaminated")
        with Node(self.child.url, self.api_keys["recall"]) as node:
            pack = _farthest(_traced(node, lot, "forward"))
            out.print(f"   And back from {pack}, which a shop sells:\n", markup=False)
            _traced(node, pack, "backward")

    def auditor(self, lot: str) -> None:
        """An auditor takes a report away, as evidence and to print."""
        from .prove import AGAINST
        from .report import page_of

        with Node(self.child.url, self.api_keys["auditor"]) as node:
            answer = node.get("/api/reports/provenance", thing=lot, direction="forward")
        (self.data / "report.json").write_bytes(answer.content)
        page, _ = page_of(answer.content, (self.data / "policy.txt").read_text())
        (self.data / "report.html").write_bytes(page)
        size, against = len(answer.content) / 1024, AGAINST[answer.headers.get("Loomark-Checkpoint")]
        self.say(f"Auditor: report.json ({size:.0f} KiB of evidence{against}) and report.html to print")


def made_by(story: Story, member_id: str) -> str:
    """The first lot that a member's documents put out of a process."""
    member = next(one for one in story.members if one["id"] == member_id)
    for file in story.documents(member):
        for event in json.loads(file.read_text())["epcisBody"]["eventList"]:
            for made in event.get("outputQuantityList", ()):
                return str(made["epcClass"])
    raise InvalidInput(f"expected a lot that {member_id} made, got none", rule="demo")


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


def verify_offline(data: Path) -> None:
    """Verify what partner and auditor took away, with nothing but the files."""
    from ledger.policy import parse_policy

    from .verdict_text import counted
    from .verify import verdict_of

    policy = parse_policy((data / "policy.txt").read_text())
    for file in ("proof.json", "report.json"):
        verdict = verdict_of((data / file).read_bytes(), policy)
        out.print(f"   {file}: [green]verified[/green], {counted(len(verdict['records']), 'record')}")
        steps = verdict["steps"] if "steps" in verdict else verdict["records"][0]["steps"]
        if policy.quorum is not None:
            out.print(f"     step 9, {steps[8]['name']}: {steps[8]['detail']}", markup=False)
    for word in verdict.get("operatorsWord", []):
        out.print(f"     operator's word: {word}", markup=False)


def tamper(data: Path, say: Say) -> None:
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
        say(f"One byte of the report changed, at {digit}: not verified")
        out.print(f"   step {error.step} at {error.place}: {error.message}", markup=False)
        return
    raise VerificationError("a changed report verified", 1, "")
