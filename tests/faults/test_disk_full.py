"""A disk that takes no more: clear refusals, questions answered, nothing acknowledged lost, and it passes by itself.

Three ways to bring it about while the node runs: a limit on the size of files, a small file system that is filled,
and a tracer that answers every write as a file system does that became read-only.
"""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.serving import Served
from fabric.integrity import check_node
from ledger.bundle import parse_bundle
from ledger.note import parse_vkey
from ledger.policy import parse_policy
from ledger.verify import Verifier

from .served import document
from .test_fork_guard import Folder, folder

EPCIS = {"Content-Type": "application/ld+json"}
LONGEST_S = 60.0

Room = Callable[[Path, Served], Any]
"""Takes the room of a node's folder away for as long as it is entered."""

__all__ = ["folder"]


@contextmanager
def no_growth(_folder: Path, node: Served) -> Iterator[None]:
    """No file of the node may have a byte: what a quota or a limit of the account does."""
    before = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def no_space(folder: Path, _node: Served) -> Iterator[None]:
    """Something else fills the file system to the last byte."""
    ballast = folder.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def read_only(_folder: Path, node: Served) -> Iterator[None]:
    """Every write is answered as by a file system that the kernel remounted read-only."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    calls = "pwrite64,rename,mkdir,ftruncate,fsync,fdatasync,unlink"
    options = ["-q", "-f", "-e", f"trace={calls}", "-e", f"inject={calls}:error=EROFS", "-o", "/dev/null"]
    tracer = subprocess.Popen(
        ["strace", *options, "-p", str(node.process.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 20
        tasks = [Path(f"/proc/{node.process.pid}/task")]
        while any(
            "TracerPid:\t0\n" in (one / "status").read_text() for task in tasks for one in task.iterdir()
        ):
            if tracer.poll() is not None or time.monotonic() > deadline:
                pytest.skip("strace cannot trace here")
            time.sleep(0.01)
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=20)


def test_a_full_disk_is_said_and_passes(tmp_path: Path, seed: int) -> None:
    live_through(tmp_path / "node", no_growth, random.Random(seed))


@pytest.mark.soak
def test_a_read_only_disk_is_said_and_passes(tmp_path: Path, seed: int) -> None:
    live_through(tmp_path / "node", read_only, random.Random(seed))


def test_a_full_file_system_is_said_and_passes(tmp_path: Path, seed: int) -> None:
    with small_file_system(tmp_path / "small") as place:
        live_through(place / "node", no_space, random.Random(seed))


@contextmanager
def small_file_system(place: Path) -> Iterator[Path]:
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here: it takes a privileged user")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def live_through(path: Path, without_room: Room, chance: random.Random) -> None:
    """Serve, lose the room, be asked, get it back, and account for everything."""
    with Served(path) as node, ExitStack() as stack:
        key = node.admit({"members": [{"id": "farm", "name": "Farm", "parties": []}]})["farm"]
        http = stack.enter_context(node.client(key))
        first = captured(http, chance)
        acknowledged = [first]
        with without_room(path, node):
            for _ in range(3):
                assert_refused(http, chance)
            state = http.get("/readyz")
            assert (state.status_code, state.json()["storageFull"], state.json()["readOnly"]) == (
                503,
                True,
                False,
            )
            assert state.json()["reason"].startswith("the node cannot write now: ")
            assert "loomark_storage_full 1.0" in http.get("/metrics").text
            assert http.get(first).json()["state"] == "sequenced"
            assert proof(http, first)
            assert http.get("/log/checkpoint").status_code == 200
            assert node.process.poll() is None
        wait_until_ready(http)
        acknowledged += [captured(http, chance) for _ in range(2)]
        jobs = [settled(http, location) for location in acknowledged]
        indices = [job["index"] for job in jobs]
        assert len(set(indices)) == len(indices)
        policy = parse_policy(f"log {http.get('/log/vkey').text.strip()}\nquorum none\n")
        for location in acknowledged:
            Verifier(policy).verify(parse_bundle(proof(http, location)))
        vkey = parse_vkey(http.get("/log/vkey").text.strip())
        assert node.process.poll() is None
    # The graph follows in a process of its own, which may have been stopped, or without room, before its first notes.
    found = check_node(path, path / "loomark.db", vkey).faults
    assert [fault for fault in found if not fault.place.startswith("graph")] == []


def captured(http: httpx2.Client, chance: random.Random) -> str:
    answer = http.post("/epcis/capture", content=document(chance, 1), headers=EPCIS)
    assert answer.status_code == 202, answer.text
    location: str = answer.headers["location"]
    settled(http, location)
    return location


def assert_refused(http: httpx2.Client, chance: random.Random) -> None:
    answer = http.post("/epcis/capture", content=document(chance, 40), headers=EPCIS)
    assert answer.status_code == 507, answer.text
    problem = answer.json()
    assert (problem["type"], problem["rule"]) == ("epcisException:ImplementationException", "storage-full")
    assert problem["detail"].endswith("send it again later")
    assert int(answer.headers["retry-after"]) > 0


def settled(http: httpx2.Client, location: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(location, headers={"Prefer": "wait=20"}).json()
    assert found["state"] == "sequenced", found
    return found


def proof(http: httpx2.Client, location: str) -> bytes:
    record = http.get(location).json()["records"][-1]["record"]
    answer = http.get(f"/api/records/{record}/proof")
    assert answer.status_code == 200, answer.text
    return answer.content


def wait_until_ready(http: httpx2.Client) -> None:
    """The node finds out by itself that there is room again; nobody sends it anything."""
    deadline = time.monotonic() + LONGEST_S
    while http.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, http.get("/readyz").text
        time.sleep(0.1)


def test_what_is_stored_before_the_room_ends_gets_its_index_when_there_is_some(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files find no room, the database does: everything is kept, and published later."""
    node, size = folder.node, folder.entries()
    assert node is not None
    (folder.path / "high-water.partial").mkdir()
    before = folder.files()
    monkeypatch.setattr("ledger.log.space._ERRNO", frozenset({21}))
    ticket = node.capture.store(
        "farm", node.capture.prepare(document(folder.chance, 1), "application/ld+json").result()
    )
    job = ticket.stored.result(20)
    with pytest.raises(Exception, match="is stored, and gets its index when there is room again"):
        ticket.settled.result(20)
    assert folder.files() == before, "nothing was signed"
    assert folder.entries() == size + 2
    assert node.state()["storageFull"]
    (folder.path / "high-water.partial").rmdir()
    deadline = time.monotonic() + LONGEST_S
    while not node.state()["writable"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert node.capture.job(job.id, "farm").state == "sequenced"
    assert folder.files() != before
    folder.capture()
    folder.verify_all()
    assert not folder.ended


def test_a_node_that_starts_without_room_for_its_files_answers_and_publishes_later(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.capture()
    folder.stop()
    (folder.path / "high-water.partial").mkdir()
    before = folder.files()
    monkeypatch.setattr("ledger.log.space._ERRNO", frozenset({21}))
    folder.start()
    assert folder.node is not None
    assert folder.node.state()["storageFull"]
    folder.prove(folder.names[0])
    folder.verify_all()
    assert folder.files() == before
    (folder.path / "high-water.partial").rmdir()
    deadline = time.monotonic() + LONGEST_S
    while not folder.node.state()["writable"] and time.monotonic() < deadline:
        time.sleep(0.05)
    folder.capture()
    folder.verify_all()


@pytest.mark.soak
def test_a_start_that_finds_no_room_at_all_says_so_in_one_line(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small") as place:
        with Served(place / "node") as node:
            node.admit({"members": [{"id": "farm", "name": "Farm", "parties": []}]})
        checkpoint = (place / "node/log/checkpoint").read_bytes()
        with no_space(place / "node", node):
            command = [sys.executable, "-m", "api.cli", "serve", "--data", str(place / "node"), "--port", "0"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert done.stderr.startswith("loomark: the node cannot write now: ")
        assert done.stderr.count("\n") == 1
        assert (place / "node/log/checkpoint").read_bytes() == checkpoint
        with Served(place / "node") as node:
            assert httpx2.get(f"{node.url}/readyz").status_code == 200
