"""A live node as strangers read it: the packages of the formats' author, and our own monitor over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.serving import Served
from bench.witness import ChildWitness
from ledger import merkle
from ledger.checkpoint import Checkpoint, checkpoint_of, sign_checkpoint
from ledger.keyfile import read_key_file
from ledger.note import parse_note
from ledger.tile import Tile, split_entries
from ledger.witness.exchange import request_bytes
from tests.interop.program import go_program

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"


class Node(Served):
    """A served node with one member that captures."""

    folder: Path
    api_key: str
    vkey: str
    captured: int

    def __enter__(self) -> Node:
        super().__enter__()
        self.folder = self._data
        self.captured = 0
        self.api_key = self.admit({"members": [{"id": "farm", "name": "Farm", "parties": []}]})["farm"]
        with self.client(self.api_key) as http:
            self.vkey = http.get("/log/vkey").text.splitlines()[0]
        return self

    def capture(self, count: int) -> list[dict[str, Any]]:
        """Capture this many documents one by one; the jobs once all are in the log."""
        numbers = range(self.captured, self.captured + count)
        self.captured += count
        with self.client(self.api_key) as http, ThreadPoolExecutor(4) as pool:
            jobs = list(pool.map(lambda number: _capture(http, number), numbers))
            return [http.get(job, headers={"Prefer": "wait=30"}).json() for job in jobs]


def _capture(http: httpx2.Client, number: int) -> str:
    event = {
        "type": "ObjectEvent",
        "eventTime": "2026-05-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [f"https://id.gs1.org/01/09506000134352/21/{number}"],
        "bizStep": "inspecting",
    }
    document = {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-05-02T00:00:00Z",
        "epcisBody": {"eventList": [event]},
    }
    headers = {"Content-Type": "application/ld+json"}
    answer = http.post("/epcis/capture", content=json.dumps(document).encode(), headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("node")) as found:
        yield found


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program that follows a log."""
    return go_program("follow", tmp_path_factory.mktemp("go"))


class Following:
    """The Go program at work; each `look` is one more."""

    def __init__(self, binary: Path, node: Node, vkey: str, *api_key: str) -> None:
        self.process = subprocess.Popen(
            [str(binary), f"{node.url}/log", vkey, *api_key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def look(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.end()[1])
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


def test_the_packages_of_the_formats_author_follow_a_live_log(node: Node, follower: Path) -> None:
    following = Following(follower, node, node.vkey, node.api_key)
    sizes: list[int] = []
    for more in (3, 200, 20, 60):
        node.capture(more)
        found = following.look()
        assert found["inclusions"] == found["size"] > sum(sizes[-1:]) + more
        assert set(sizes) <= set(found["consistency"])
        assert {1, 2, 3, found["size"] // 2, found["size"]} <= set(found["consistency"])
        sizes.append(found["size"])
    assert following.end() == (0, "")
    assert sizes[-1] > 257
    assert {255, 256, 257} <= set(found["consistency"])
    assert found["fullTiles"] >= 1
    assert found["partialTiles"] >= 2


def test_the_go_program_refuses_another_key_and_needs_one_for_entries(node: Node, follower: Path) -> None:
    node.capture(1)
    name, keyid, encoded = node.vkey.split("+", 2)
    from ledger.ed25519 import SigningKey
    from ledger.note import ED25519, VerifierKey

    other = VerifierKey(name, ED25519, SigningKey(bytes(32)).public_bytes).text()
    assert other != "+".join([name, keyid, encoded])
    for vkey, keys, said in ((other, [node.api_key], "signature of the checkpoint"), (node.vkey, [], "401")):
        following = Following(follower, node, vkey, *keys)
        with pytest.raises(AssertionError, match=said):
            following.look()
        assert following.process.returncode == 1


def test_what_is_served_is_as_tlog_tiles_says(node: Node) -> None:
    node.capture(1)
    with node.client(node.api_key) as http:
        checkpoint = http.get("/log/checkpoint")
        size = int(checkpoint.text.split("\n")[1])
        full, width = divmod(size, 256)
        tile = http.get(f"/log/tile/0/{full:03d}.p/{width}")
        bundle = http.get(f"/log/tile/entries/{full:03d}.p/{width}")
        assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
        assert "max-age=2" in checkpoint.headers["cache-control"]
        for answer in (tile, bundle):
            assert answer.headers["content-type"] == "application/octet-stream"
            assert "immutable" in answer.headers["cache-control"]
        assert len(tile.content) == 32 * width
        narrower = http.get(f"/log/tile/0/{full:03d}.p/{width - 1}")
        assert narrower.content == tile.content[:-32]
        beyond = [
            f"0/{full:03d}.p/{width + 1}",
            f"0/{full:03d}",
            f"0/{full + 1:03d}.p/1",
            "5/000",
            "5/000.p/1",
        ]
        spelled = ["0/0", "0/000.p/0", "0/000.p/256", "00/000", "0/x000/000", "64/000", "data/000", "0/-01"]
        assert {http.get(f"/log/tile/{path}").status_code for path in beyond} == {404}
        assert {http.get(f"/log/tile/{path}").status_code for path in spelled} <= {400, 404}
        assert http.post("/log/checkpoint").status_code == 405


def monitor_command(node: Node, folder: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "api.cli",
        "monitor",
        node.url,
        "--vkey",
        node.vkey,
        "--data",
        str(folder),
        "--json",
        *more,
    ]


def look_once(node: Node, folder: Path, api_key: str | None) -> tuple[int, dict[str, Any]]:
    environment = {**os.environ, **({"LOOMARK_API_KEY": api_key} if api_key else {})}
    done = subprocess.run(
        monitor_command(node, folder, "--once"),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_monitor_follows_a_live_log_through_its_own_restarts(node: Node, tmp_path: Path) -> None:
    folder = tmp_path / "monitor"
    sizes = []
    for more in (2, 40, 5):
        node.capture(more)
        code, report = look_once(node, folder, node.api_key)
        assert (code, report["suspicions"], report["evidence"], report["limits"]) == (0, [], [], [])
        assert report["entries"] == report["size"]
        sizes.append(report["size"])
    assert sizes == sorted(set(sizes))
    assert report["checkpoints"] == 3
    assert len((folder / "heads").read_bytes().splitlines()) == 3


def test_a_monitor_that_goes_on_is_killed_and_resumes(node: Node, tmp_path: Path) -> None:
    folder = tmp_path / "monitor"
    environment = {**os.environ, "LOOMARK_API_KEY": node.api_key}
    command = monitor_command(node, folder, "--interval", "0.1")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        node.capture(20)
        later = first
        while later["entries"] < first["entries"] + 20:
            later = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    node.capture(1)
    code, report = look_once(node, folder, node.api_key)
    assert (code, report["suspicions"], report["evidence"]) == (0, [], [])
    assert report["entries"] > later["entries"]


def test_without_an_api_key_growth_is_checked_and_the_rest_is_said(node: Node, tmp_path: Path) -> None:
    node.capture(1)
    code, report = look_once(node, tmp_path / "monitor", None)
    assert (code, report["entries"], report["suspicions"]) == (0, 0, [])
    assert report["size"] > 2
    assert "entries are not shown" in report["limits"][0]


def entries_of(node: Node, size: int) -> list[bytes]:
    with node.client(node.api_key) as http:
        found: list[bytes] = []
        for start in range(0, size, 256):
            tile = Tile("entries", start // 256, min(256, size - start))
            found += split_entries(http.get(f"/log/tile/{tile.path}").content)
    return found


def ask(witness: ChildWitness, old: int, entries: list[bytes], note: bytes) -> None:
    """Have the witness cosign a note over these entries."""
    hashes = [merkle.leaf_hash(data) for data in entries]
    proof = merkle.consistency_path(hashes, old) if old else []
    answer = httpx2.post(f"{witness.url}/add-checkpoint", content=request_bytes(old, proof, note))
    assert answer.status_code == 200, answer.text


def test_a_witness_that_was_shown_another_tree_convicts_a_live_log(node: Node, tmp_path: Path) -> None:
    node.capture(2)
    policy, folder = tmp_path / "policy.txt", tmp_path / "monitor"
    command = ["monitor", node.url, "--policy", str(policy), "--data", str(folder), "--once", "--json"]
    with ChildWitness(tmp_path / "witness", "--name", "witness.example/w", "--log", node.vkey) as witness:
        policy.write_text(f"log {node.vkey}\nwitness w {witness.vkey} {witness.url}\nquorum none\n")
        with node.client(node.api_key) as http:
            note = http.get("/log/checkpoint").content
        before = checkpoint_of(parse_note(note))
        ask(witness, 0, entries_of(node, before.size), note)
        sound = run(node, *command)
        report = json.loads(sound.stdout)
        assert (sound.returncode, report["suspicions"], report["entries"]) == (0, [], before.size)

        # Whoever holds the log's key shows the witness a tree that the node never had.
        node.capture(1)
        with node.client(node.api_key) as http:
            after = checkpoint_of(parse_note(http.get("/log/checkpoint").content))
        added = [b"never in the log %d" % number for number in range(after.size - before.size)]
        forked = [*entries_of(node, before.size), *added]
        root = merkle.root([merkle.leaf_hash(data) for data in forked])
        key = read_key_file(node.folder / "keys" / "log.key")
        ask(witness, before.size, forked, sign_checkpoint(Checkpoint(after.origin, after.size, root), key))
        convicted = run(node, *command)
    assert convicted.returncode == 4
    [found] = json.loads(convicted.stdout)["evidence"]
    assert (found["kind"], found["sizes"], found["cosigners"]) == (
        "split-view",
        [after.size] * 2,
        [["w"], []],
    )
    done = run(node, "verify", found["file"], "--policy", str(policy))
    assert done.returncode == 4
    assert "the evidence holds: the log misbehaved" in done.stdout


def run(node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LOOMARK_API_KEY": node.api_key, "LOOMARK_URL": node.url}
    command = [sys.executable, "-m", "api.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_tlog_proof_goes_from_the_node_to_an_offline_verdict(node: Node, tmp_path: Path) -> None:
    record = node.capture(1)[0]["records"][-1]["record"]
    proof, policy = tmp_path / "one.tlog-proof", tmp_path / "policy.txt"
    assert run(node, "policy", "-o", str(policy)).returncode == 0
    assert run(node, "prove", record, "--format", "tlog", "-o", str(proof)).returncode == 0
    done = run(node, "verify", str(proof), "--policy", str(policy), "--json")
    verdict = json.loads(done.stdout)
    assert (done.returncode, verdict["kind"], verdict["entry"]["type"]) == (0, "entry", "capture")
    assert verdict["entry"]["member"] == "farm"
    assert "neither what it commits to" in verdict["operatorsWord"][0]
    other = tmp_path / "entry"
    other.write_bytes(b"another entry")
    refused = run(node, "verify", str(proof), "--policy", str(policy), "--entry", str(other), "--json")
    assert (refused.returncode, json.loads(refused.stdout)["failure"]["step"]) == (1, 5)
    with node.client(node.api_key) as http:
        answer = http.get(f"/api/records/{record}/proof", params={"format": "tlog", "show": "/type"})
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:loomark:problem:bad-parameter")
        assert http.get(f"/api/records/{'00' * 32}/proof", params={"format": "tlog"}).status_code == 404
