"""A node and its witnesses as processes of their own: quorums, failures, replay, split views."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.cli.child import LOG_FILE
from bench.serving import Served
from bench.witness import ChildWitness
from fabric.capture.node import Node, NodeSettings, open_node
from fabric.capture.pool import InlinePreparer
from fabric.capture.witnessing import WitnessSettings
from ledger.bundle import parse_bundle
from ledger.checkpoint import Checkpoint, checkpoint_of, sign_checkpoint
from ledger.errors import VerificationError
from ledger.key_change import extended_policy, parse_evidence
from ledger.keyfile import read_key_file
from ledger.log.guard import ReadOnlyLog
from ledger.merkle import consistency_path, leaf_hash, root
from ledger.note import parse_note, parse_vkey
from ledger.policy import Policy, parse_policy
from ledger.shape import time_ms
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

    def serve(self, port: int = 0, **environment: str) -> Served:
        told = {"LOOMARK_OPERATOR_KEY": OPERATOR_KEY, "LOOMARK_PREPARE_PROCESSES": "1", **environment}
        return Served(self.data, "--origin", ORIGIN, port=port, environment=told)

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
        settled: dict[str, Any] = until(
            lambda: found if (found := self.job(node, location, 2))["state"] == "sequenced" else None,
            f"{location} to be sequenced; {(self.data / LOG_FILE).read_text()[-500:]}",
        )
        return settled

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


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    """A node that ran once, without witnesses, so that its log has a key that witnesses can be told."""
    made = Consortium(tmp_path_factory.mktemp("founded"))
    made.found()
    return made


@pytest.fixture
def consortium(tmp_path: Path, founded: Consortium) -> Consortium:
    made = Consortium(tmp_path)
    shutil.copytree(founded.data, made.data)
    made.vkey, made.member_key = founded.vkey, founded.member_key
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

        # What answers only when it is published says that it is stored, and why it has no answer yet.
        with node.client(OPERATOR_KEY) as http:
            admission = {"type": "member", "subject": "shop", "name": "Shop", "parties": []}
            answer = http.post("/api/statements", json=admission)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("no-quorum")
        assert "is stored" in answer.json()["detail"]

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
        with node.client(OPERATOR_KEY) as http:
            assert '"shop"' in http.get("/api/members").text
        for one in jobs:
            assert not Verifier(policy).verify(parse_bundle(consortium.proof(node, one))).unwitnessed


def test_a_log_goes_over_to_a_new_key_and_its_witnesses_and_verifiers_follow(consortium: Consortium) -> None:
    old_vkey = consortium.vkey
    with ExitStack() as stack:
        for name in ("one", "two", "three"):
            consortium.witnesses[name] = stack.enter_context(consortium.witness(name))
        consortium.write_policy("group enough 2 one two three\nquorum enough")
        node = stack.enter_context(consortium.serve(LOOMARK_WITNESS_REQUIRE="true"))
        policies = {"old": httpx2.get(f"{node.url}/api/policy").text}
        proofs = {"before": consortium.proof(node, consortium.sequenced(node, consortium.send(node, 1)))}

        with node.client(OPERATOR_KEY) as http:
            said = http.post("/api/keys/log", json={"overlapSeconds": 4}).json()
        # The change itself is published under both keys, by witnesses that know the old one alone.
        change = parse_note(httpx2.get(f"{node.url}/log/checkpoint").content)
        assert len([line for line in change.signatures if line.name == ORIGIN]) == 2
        assert len(checkpoint(node)[1]) >= 3
        evidence = parse_evidence(httpx2.get(f"{node.url}/log/key-changes").content)
        policies["updated"], added = extended_policy(policies["old"], evidence)
        consortium.vkey, listed = httpx2.get(f"{node.url}/log/vkey").text.splitlines()
        assert (listed, [one.new.text() for one in added]) == (old_vkey, [consortium.vkey])

        # After the overlap none of them cosigns what the new key alone signs; nothing is published, nothing is lost.
        until(lambda: time.time() * 1000 > time_ms(said["until"], "until"), "the overlap to end")
        before = checkpoint(node)[0]
        waiting = consortium.send(node, 2)
        until(lambda: httpx2.get(f"{node.url}/readyz").json()["waiting"], "the node to say that it waits")
        assert (checkpoint(node)[0], consortium.job(node, waiting)["state"]) == (before, "staged")
        assert metric(node, 'loomark_witness_asked_total{outcome="refused-403"') > 0

        for name in ("one", "two"):
            port = consortium.witnesses[name].port
            consortium.witnesses[name].stop()
            consortium.witnesses[name] = stack.enter_context(consortium.witness(name, port=port))
        proofs["after"] = consortium.proof(node, consortium.sequenced(node, waiting))
        signed = parse_note(httpx2.get(f"{node.url}/log/checkpoint").content)
        keys = [line.key_id for line in signed.signatures if line.name == ORIGIN]
        assert keys == [parse_vkey(consortium.vkey).key_id]
        policies["new"] = httpx2.get(f"{node.url}/api/policy").text
    for name, text in policies.items():
        verifier = Verifier(parse_policy(text))
        assert not verifier.verify(parse_bundle(proofs["before"])).unwitnessed
        if name == "old":
            with pytest.raises(VerificationError, match="policy --update"):
                verifier.verify(parse_bundle(proofs["after"]))
        else:
            assert not verifier.verify(parse_bundle(proofs["after"])).unwitnessed


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
        said, page = report(consortium, node, code=1)
        assert "not verified at step 9" in said
        assert "Not verified: unwitnessed, the quorum is missing." in page
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
        said, page = report(consortium, node)
        assert "not verified" not in said
        assert "quorum is missing" not in page


def report(consortium: Consortium, node: Served, code: int = 0) -> tuple[str, str]:
    """What `loomark report` says and the page it writes, of the first event's thing."""
    folder = consortium.folder
    (folder / "member.key").write_text(consortium.member_key + "\n")
    for left in folder.glob("report.*"):
        left.unlink()
    told = ("--url", node.url, "--api-key-file", str(folder / "member.key"))
    files = ("-o", str(folder / "report.json"), "--html", str(folder / "report.html"))
    said = run("report", "https://id.gs1.org/01/09506000134352/21/W1", *files, *told, code=code)
    assert "report" in json.loads((folder / "report.json").read_text())
    return said, (folder / "report.html").read_text()


def run(*arguments: str, code: int = 0) -> str:
    """What `loomark` prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def free_port() -> int:
    """A port that was free a moment ago, for a node whose address must be known before it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_replaying_witness_reads_every_entry_before_it_cosigns(consortium: Consortium) -> None:
    key_file = consortium.folder / "operator.key"
    key_file.write_text(OPERATOR_KEY + "\n")
    with ExitStack() as stack:
        port = free_port()
        flags = ("--log-url", f"http://127.0.0.1:{port}/log", "--api-key-file", str(key_file), "--replay")
        replaying = stack.enter_context(consortium.witness("one", *flags))
        assert parse_vkey(replaying.vkey).name == "witness.example/one/replay"
        consortium.witnesses["one"] = replaying
        consortium.write_policy("quorum one")
        node = stack.enter_context(consortium.serve(port, LOOMARK_WITNESS_REQUIRE="true"))
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


def core(consortium: Consortium, data: Path, *, require: bool = True, policy: str = "quorum one") -> Node:
    """The core of a node on a folder, in this process; the witnesses of its policy are processes of their own."""
    consortium.data = data
    consortium.write_policy(policy)
    witnesses = WitnessSettings(require=require)
    return open_node(NodeSettings(data, ORIGIN, witnesses=witnesses), preparer=InlinePreparer())


def test_a_second_history_under_the_same_key_is_refused_by_witness_and_node(consortium: Consortium) -> None:
    copy = consortium.folder / "copy"
    shutil.copytree(consortium.data, copy)
    with ExitStack() as stack:
        one = consortium.witnesses["one"] = stack.enter_context(consortium.witness("one"))
        with core(consortium, consortium.data) as node:
            node.capture.capture("farm", event(1), "application/json", settled=True)
            first = node.log.published().checkpoint
        # The copy goes on by itself, out of sight of the witness.
        del consortium.witnesses["one"]
        with core(consortium, copy, require=False, policy="quorum none") as node:
            node.capture.capture("farm", event(2), "application/json", settled=True)
            node.capture.capture("farm", event(3), "application/json", settled=True)
            second = node.log.published().checkpoint
        assert second.size > first.size
        consortium.witnesses["one"] = one
        with core(consortium, copy) as node:
            assert node.state()["readOnly"]
            assert "witness one" in node.state()["reason"]
            assert f"another root at size {first.size}" in node.state()["reason"]
            with pytest.raises(ReadOnlyLog):
                node.capture.capture("farm", event(4), "application/json")
            assert node.log.published().checkpoint == second
        # The witness refuses it whoever asks, and shows what it cosigned.
        signer = read_key_file(copy / "keys" / "log.key")
        note = sign_checkpoint(Checkpoint(ORIGIN, first.size, bytes(32)), signer)
        answer = httpx2.post(f"{one.url}/add-checkpoint", content=request_bytes(first.size, [], note))
        assert answer.status_code == 422
        shown = httpx2.get(f"{one.url}/{origin_hash(ORIGIN)}/checkpoint")
        assert checkpoint_of(parse_note(shown.content)) == first
        assert metric_of(one.url, "loomark_witness_forks_total") == 1


@pytest.mark.parametrize("more", [2, 5])
def test_a_copy_that_signs_beside_a_running_node_stops_it_at_its_next_head(
    consortium: Consortium, more: int
) -> None:
    with ExitStack() as stack:
        one = consortium.witnesses["one"] = stack.enter_context(consortium.witness("one"))
        node = stack.enter_context(core(consortium, consortium.data))
        before = node.log.published()
        size = before.checkpoint.size
        leaves = [leaf_hash(data) for data in node.log.entries(0, size)]
        leaves += [leaf_hash(f"elsewhere {number}".encode()) for number in range(more)]
        other = Checkpoint(ORIGIN, len(leaves), root(leaves))
        note = sign_checkpoint(other, read_key_file(consortium.data / "keys" / "log.key"))
        body = request_bytes(size, consistency_path(leaves, size), note)
        assert httpx2.post(f"{one.url}/add-checkpoint", content=body).status_code == 200
        # Two entries later both trees have one size; with five the other one is ahead.
        with pytest.raises(ReadOnlyLog, match="witness one"):
            node.capture.capture("farm", event(1), "application/json", settled=True)
        state = node.state()
        assert (state["readOnly"], state["writable"]) == (True, False)
        assert ("another root" if more == 2 else "the head is behind") in state["reason"]
        assert node.log.published() == before
        with pytest.raises(ReadOnlyLog):
            node.capture.capture("farm", event(2), "application/json")


def test_a_node_that_was_set_back_is_stopped_by_its_witness_alone(consortium: Consortium) -> None:
    before = consortium.folder / "before"
    shutil.copytree(consortium.data, before)
    with ExitStack() as stack:
        consortium.witnesses["one"] = stack.enter_context(consortium.witness("one"))
        with core(consortium, consortium.data) as node:
            node.capture.capture("farm", event(1), "application/json", settled=True)
            ahead = node.log.published().checkpoint.size
        # Database, tiles and high-water file come from the same old copy: nothing in the folder tells.
        with core(consortium, before) as node:
            behind = node.log.published().checkpoint.size
            assert behind < ahead
            assert "witness one" in node.state()["reason"]
            assert f"size {behind} after {ahead}" in node.state()["reason"]


def metric_of(url: str, name: str) -> float:
    lines = httpx2.get(f"{url}/metrics").text.splitlines()
    return sum([float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)])
