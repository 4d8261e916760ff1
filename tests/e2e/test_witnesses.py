"""A node and its witnesses as processes of their own: quorums, failures, replay, split views."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.cli.child import LOG_FILE
from bench.serving import Served
from bench.witness import ChildWitness
from ledger.bundle import parse_bundle
from ledger.checkpoint import Checkpoint, checkpoint_of, sign_checkpoint
from ledger.keyfile import read_key_file
from ledger.note import parse_note, parse_vkey, verify_note
from ledger.policy import Policy, parse_policy
from ledger.verify import Verifier
from ledger.witness.exchange import origin_hash, request_bytes

ORIGIN = "loomark.example/witnessed"
OPERATOR_KEY = "operator-key-of-the-witness-tests-0123456789"
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"


def event(number: int) -> bytes:
    return json.dumps(
        {
            "@context": [CONTEXT],
            "type": "ObjectEvent",
            "eventTime": "2026-05-01T10:00:00.000Z",
            "eventTimeZoneOffset": "+00:00",
            "action": "OBSERVE",
            "epcList": [f"https://id.gs1.org/01/09506000134352/21/W{number}"],
        }
    ).encode()


def until(true: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """What `true` gives once it is true; waiting is for another process, and fails loudly when it never comes."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain: {what}")


class Consortium:
    """One node's folder, its log key, three witnesses, and the policy that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "node"
        self.witnesses: dict[str, ChildWitness] = {}
        self.member_key = ""
        self.vkey = ""

    def found(self) -> None:
        """Start once without witnesses: the log has its key and a member its API key."""
        with self.serve() as node:
            self.member_key = node.admit({"members": [{"id": "farm", "name": "Farm", "parties": []}]})["farm"]
            self.vkey = httpx2.get(f"{node.url}/log/vkey").text.strip()

    def serve(self, **environment: str) -> Served:
        return Served(
            self.data,
            "--origin",
            ORIGIN,
            environment={
                "LOOMARK_OPERATOR_KEY": OPERATOR_KEY,
                "LOOMARK_WITNESS_TIMEOUT_S": "5",
                **environment,
            },
        )

    def witness(self, name: str, *flags: str, port: int = 0) -> ChildWitness:
        log = ("--log", self.vkey) if self.vkey else ()
        return ChildWitness(self.folder / name, "--name", f"witness.example/{name}", *log, *flags, port=port)

    def write_policy(self, rules: str, others: str = "") -> None:
        lines = [f"witness {name} {one.vkey} {one.url}" for name, one in self.witnesses.items()]
        (self.data / "witnesses.policy").write_text("\n".join([*lines, others, rules]) + "\n")

    def send(self, node: Served, number: int) -> str:
        with node.client(self.member_key) as http:
            answer = http.post(
                "/epcis/capture", content=event(number), headers={"Content-Type": "application/json"}
            )
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    def job(self, node: Served, location: str, wait_s: int = 0) -> dict[str, Any]:
        with node.client(self.member_key) as http:
            headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
            found: dict[str, Any] = http.get(location, headers=headers).json()
        return found

    def sequenced(self, node: Served, location: str) -> dict[str, Any]:
        return until(
            lambda: found if (found := self.job(node, location, 2))["state"] == "sequenced" else None,
            f"{location} to be sequenced; {(self.data / LOG_FILE).read_text()[-500:]}",
        )

    def proof(self, node: Served, job: dict[str, Any]) -> bytes:
        record = job["records"][-1]["record"]
        with node.client(self.member_key) as http:
            answer = http.get(f"/api/records/{record}/proof")
        assert answer.status_code == 200, answer.text
        return answer.content


def checkpoint(node: Served) -> tuple[Checkpoint, list[str]]:
    """The published head and who signed under it."""
    note = parse_note(httpx2.get(f"{node.url}/log/checkpoint").content)
    return checkpoint_of(note), sorted([line.name.rpartition("/")[2] for line in note.signatures[1:]])


def pinned(node: Served) -> Policy:
    return parse_policy(httpx2.get(f"{node.url}/api/policy").text)


def metric(node: Served, name: str) -> float:
    lines = httpx2.get(f"{node.url}/metrics").text.splitlines()
    return sum([float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)])


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    made = Consortium(tmp_path)
    made.found()
    return made


def test_two_of_three_is_required_and_what_is_missed_is_made_up_for(consortium: Consortium) -> None:
    with ExitStack() as stack:
        for name in ("one", "two", "three"):
            consortium.witnesses[name] = stack.enter_context(consortium.witness(name))
        consortium.write_policy("group enough 2 one two three\nquorum enough")
        node = stack.enter_context(consortium.serve(LOOMARK_WITNESS_REQUIRE="true"))
        # The head that was published before there were witnesses was cosigned at the start.
        assert len(checkpoint(node)[1]) >= 2
        policy = pinned(node)
        assert (len(policy.witnesses), policy.quorum) == (3, "enough")
        job = consortium.sequenced(node, consortium.send(node, 1))
        proven = Verifier(policy).verify(parse_bundle(consortium.proof(node, job)))
        assert not proven.unwitnessed
        assert proven.not_after_s is not None

        consortium.witnesses["one"].stop()
        consortium.sequenced(node, consortium.send(node, 2))
        before, _ = checkpoint(node)
        consortium.witnesses["two"].stop()
        waiting = [consortium.send(node, number) for number in (3, 4, 5)]
        until(lambda: metric(node, "loomark_witness_quorum_missed_total"), "a missed quorum to be counted")
        assert [consortium.job(node, one)["state"] for one in waiting] == ["staged"] * 3
        assert checkpoint(node)[0] == before
        ready = httpx2.get(f"{node.url}/readyz")
        assert (ready.status_code, "quorum" in ready.json()["waiting"]) == (200, True)

        # A node that is killed while it waits has lost nothing, and waits again.
        node.process.kill()
        node.stop()
        node = stack.enter_context(consortium.serve(LOOMARK_WITNESS_REQUIRE="true"))
        assert checkpoint(node)[0] == before
        assert {consortium.job(node, one)["state"] for one in waiting} == {"staged"}

        port = consortium.witnesses["two"].port
        consortium.witnesses["two"] = stack.enter_context(consortium.witness("two", port=port))
        jobs = [consortium.sequenced(node, one) for one in waiting]
        head, signers = checkpoint(node)
        assert head.size > before.size
        assert {"two", "three"} <= set(signers)
        assert httpx2.get(f"{node.url}/readyz").json()["waiting"] is None
        for one in jobs:
            assert not Verifier(policy).verify(parse_bundle(consortium.proof(node, one))).unwitnessed


def test_fail_open_publishes_and_completes_the_checkpoint_later(consortium: Consortium) -> None:
    with ExitStack() as stack:
        for name in ("one", "two"):
            consortium.witnesses[name] = stack.enter_context(consortium.witness(name))
        consortium.write_policy("group both all one two\nquorum both")
        consortium.witnesses["two"].stop(signal.SIGKILL)
        node = stack.enter_context(consortium.serve())
        job = consortium.sequenced(node, consortium.send(node, 1))
        head, signers = checkpoint(node)
        assert signers == ["one"]
        assert metric(node, 'loomark_witness_asked_total{outcome="unreachable",witness="two"}') > 0
        assert metric(node, 'loomark_witness_quorum_missed_total{then="published"}') > 0
        port = consortium.witnesses["two"].port
        consortium.witnesses["two"] = stack.enter_context(consortium.witness("two", port=port))
        until(lambda: checkpoint(node)[1] == ["one", "two"], "the checkpoint to be completed")
        assert checkpoint(node)[0] == head
        # The proof that is fetched now carries what the first one lacked; the command line verifies it offline.
        folder = consortium.folder
        (folder / "proof.json").write_bytes(consortium.proof(node, job))
        run("policy", "-o", str(folder / "pinned.policy"), "--url", node.url)
        said = run("verify", str(folder / "proof.json"), "--policy", str(folder / "pinned.policy"))
        assert "unwitnessed" not in said
        # A restart without its witnesses does not take cosignatures back.
        node.stop()
        consortium.witnesses["one"].stop()
        consortium.witnesses["two"].stop()
        node = stack.enter_context(consortium.serve())
        assert checkpoint(node) == (head, ["one", "two"])


def run(*arguments: str) -> str:
    """What `loomark` prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_replaying_witness_reads_every_entry_before_it_cosigns(consortium: Consortium) -> None:
    key_file = consortium.folder / "operator.key"
    key_file.write_text(OPERATOR_KEY + "\n")
    with ExitStack() as stack:
        node = stack.enter_context(consortium.serve())
        port = int(node.url.rpartition(":")[2])
        node.stop()
        flags = ("--log-url", f"http://127.0.0.1:{port}/log", "--api-key-file", str(key_file), "--replay")
        replaying = stack.enter_context(consortium.witness("one", *flags))
        assert parse_vkey(replaying.vkey).name == "witness.example/one/replay"
        consortium.witnesses["one"] = replaying
        consortium.write_policy("quorum one")
        node = stack.enter_context(
            Served(
                consortium.data,
                "--origin",
                ORIGIN,
                port=port,
                environment={"LOOMARK_OPERATOR_KEY": OPERATOR_KEY, "LOOMARK_WITNESS_REQUIRE": "true"},
            )
        )
        # Its entries are not public and its checkpoint waits for this witness: it reads ahead of the checkpoint.
        job = consortium.sequenced(node, consortium.send(node, 1))
        head, signers = checkpoint(node)
        assert signers == ["replay"]
        assert not Verifier(pinned(node)).verify(parse_bundle(consortium.proof(node, job))).unwitnessed
        mirror = consortium.folder / "one" / "mirror" / origin_hash(ORIGIN)
        assert json.loads((mirror / "state.json").read_text())["entries"] == head.size
        # It goes on from what it has after kill -9.
        replaying.stop(signal.SIGKILL)
        again = stack.enter_context(consortium.witness("one", *flags, port=replaying.port))
        assert again.vkey == replaying.vkey
        consortium.sequenced(node, consortium.send(node, 2))
        assert checkpoint(node)[1] == ["replay"]


def test_a_second_history_under_the_same_key_is_refused_by_witness_and_node(consortium: Consortium) -> None:
    copy = consortium.folder / "copy"
    shutil.copytree(consortium.data, copy)
    with ExitStack() as stack:
        consortium.witnesses["one"] = stack.enter_context(consortium.witness("one"))
        consortium.write_policy("quorum one")
        with consortium.serve(LOOMARK_WITNESS_REQUIRE="true") as node:
            consortium.sequenced(node, consortium.send(node, 1))
            first, _ = checkpoint(node)
        # The copy goes on by itself, out of sight of the witness.
        consortium.data = copy
        with consortium.serve() as node:
            consortium.sequenced(node, consortium.send(node, 2))
            consortium.sequenced(node, consortium.send(node, 3))
            second, _ = checkpoint(node)
        assert second.size > first.size
        consortium.write_policy("quorum one")
        with consortium.serve(LOOMARK_WITNESS_REQUIRE="true") as node:
            ready = httpx2.get(f"{node.url}/readyz")
            assert ready.status_code == 503
            assert "witness one" in ready.json()["reason"]
            assert f"another root at size {first.size}" in ready.json()["reason"]
            assert checkpoint(node)[0] == second
        # The witness refuses it whoever asks, and shows what it cosigned.
        url = consortium.witnesses["one"].url
        note = sign_checkpoint(
            Checkpoint(ORIGIN, first.size, bytes(32)), read_key_file(copy / "keys" / "log.key")
        )
        answer = httpx2.post(f"{url}/add-checkpoint", content=request_bytes(first.size, [], note))
        assert answer.status_code == 422
        shown = httpx2.get(f"{url}/{origin_hash(ORIGIN)}/checkpoint")
        assert checkpoint_of(parse_note(shown.content)) == first
        assert metric_of(url, "loomark_witness_forks_total") == 1


def metric_of(url: str, name: str) -> float:
    lines = httpx2.get(f"{url}/metrics").text.splitlines()
    return sum([float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)])


class Hostile(BaseHTTPRequestHandler):
    """A witness that misbehaves in the way its server is told: noise, a flood, a drip, or a redirect."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("content-length", "0")))
        getattr(self, f"_{self.server.way}")()  # type: ignore[attr-defined]
        self.close_connection = True

    do_POST = do_GET = _answer  # noqa: N815

    def _noise(self) -> None:
        self.wfile.write(b"\x00\xff" * 1000)

    def _flood(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(4096):
            self.wfile.write(b"x" * 65_536)

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.server.stopping.wait(0.05):  # type: ignore[attr-defined]
            self.wfile.write(b"x")

    def _redirect(self) -> None:
        self.send_response(307)
        self.send_header("Location", self.server.elsewhere)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


class HostileServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, way: str, elsewhere: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Hostile)
        self.way, self.elsewhere = way, elsewhere
        self.asked: list[str] = []
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture
def hostile() -> Iterator[Callable[..., HostileServer]]:
    made: list[HostileServer] = []

    def start(way: str, elsewhere: str = "") -> HostileServer:
        server = HostileServer(way, elsewhere)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.append(server)
        return server

    yield start
    for server in made:
        server.stopping.set()
        server.shutdown()
        server.server_close()


def test_hostile_witnesses_hold_up_nobody_and_reach_no_checkpoint(
    consortium: Consortium, hostile: Callable[..., HostileServer]
) -> None:
    beyond = hostile("noise")
    ways = {way: hostile(way, beyond.url) for way in ("noise", "flood", "drip", "redirect")}
    with ExitStack() as stack:
        honest = consortium.witnesses["one"] = stack.enter_context(consortium.witness("one"))
        keys = [read_or_make(consortium.folder / f"{way}.vkey", way) for way in ways]
        others = "\n".join(
            [f"witness {way} {key} {ways[way].url}" for way, key in zip(ways, keys, strict=True)]
        )
        consortium.write_policy("group any1 any one noise flood drip redirect\nquorum any1", others)
        node = stack.enter_context(
            consortium.serve(LOOMARK_WITNESS_REQUIRE="true", LOOMARK_WITNESS_TIMEOUT_S="2")
        )
        job = consortium.sequenced(node, consortium.send(node, 1))
        assert checkpoint(node)[1] == ["one"]
        assert not Verifier(pinned(node)).verify(parse_bundle(consortium.proof(node, job))).unwitnessed
        for server in ways.values():
            assert server.asked
        assert beyond.asked == [], "a redirect was followed"
        note = parse_note(httpx2.get(f"{node.url}/log/checkpoint").content)
        assert len(verify_note(note, [parse_vkey(consortium.vkey), parse_vkey(honest.vkey)])) == 2


def read_or_make(path: Path, name: str) -> str:
    """The vkey of a cosigner that never signs anything."""
    from ledger.ed25519 import SigningKey
    from ledger.note import COSIGNATURE, VerifierKey

    text = VerifierKey(f"witness.example/{name}", COSIGNATURE, SigningKey.generate().public_bytes).text()
    path.write_text(text)
    return text
