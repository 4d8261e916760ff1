"""Every file system call that a node makes fails once, or is its last: nothing acknowledged is lost.

The calls of a scripted session are listed first; then the session runs again for each of them, with that one call
failing (`strace -e inject`), with all from it on failing, or with the process killed at it. Then the folder is
opened as it is: it needs no repair, what was promised holds, and the store is clean. A slice runs with every test
run and rotates with its seed; the long form takes all.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import select
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import httpx2
import pytest

from bench.serving import Served
from fabric.integrity import check_node
from ledger.bundle import parse_bundle
from ledger.log import schema
from ledger.merkle import is_consistent
from ledger.note import parse_vkey
from ledger.policy import parse_policy
from ledger.verify import Verifier

from .scripted import EPCIS, START, WRITER, make_template, opened, run
from .served import document

SLICE_S: Final = 8.0
LEAST: Final = 3
SESSION_S: Final = 60.0

CALLS: Final = (
    "openat,open,creat,read,pread64,readv,preadv,write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,"
    "rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,ftruncate,truncate,fallocate,close,lseek,"
    "stat,lstat,fstat,newfstatat,statx,access,faccessat,faccessat2,getdents64,chmod,fchmod,fchmodat,fchown,"
    "fcntl,flock,mmap,readlink,readlinkat,utimensat,socket,bind"
)
"""What the kernel may be asked about files; which of them a node does ask is found by listing."""

_ROOM: Final = frozenset(
    ("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "mkdir", "ftruncate")
)
"""Calls that a full disk can refuse."""

_CHANGES: Final = _ROOM | {"unlink", "rmdir", "chmod", "fchown"}
"""Calls that change what is on the disk; being killed at another one is being killed at the last of these."""

# A lock that is said to be held, a page that cannot be mapped: what the kernel really answers for these calls.
_ERRORS: Final = {
    "fcntl": "EINTR",
    "flock": "EAGAIN",
    "mmap": "ENOMEM",
    "bind": "EADDRINUSE",
    "socket": "EMFILE",
}


class Fault(NamedTuple):
    """The call number `at` (from 1) of a kind in one thread, and what becomes of it.

    `how` is the error it answers, with a `+` all later ones of its kind too, or SIGKILL.
    """

    whose: str
    call: str
    at: int
    how: str

    def injection(self) -> str:
        """As strace takes it."""
        if self.how == "SIGKILL":
            return f"inject={self.call}:signal=SIGKILL:when={self.at}"
        return f"inject={self.call}:error={self.how.rstrip('+')}:when={self.at}{'+' * self.how.endswith('+')}"


def faults_of(whose: str, call: str, count: int) -> Iterator[Fault]:
    """All that can be done to the calls of one kind."""
    for at in range(1, count + 1):
        yield Fault(whose, call, at, _ERRORS.get(call, "EIO"))
        if call in _ROOM:
            yield Fault(whose, call, at, "ENOSPC")
            yield Fault(whose, call, at, "ENOSPC+")
        if call in _CHANGES:
            yield Fault(whose, call, at, "SIGKILL")


@dataclass
class Said:
    """What a session promised."""

    stored: set[str] = field(default_factory=set)
    index: dict[str, int] = field(default_factory=dict)
    posted: set[int] = field(default_factory=set)
    proofs: list[bytes] = field(default_factory=list)
    outcome: str = "died"
    refused: list[str] = field(default_factory=list)

    def hear(self, data: bytes) -> None:
        for line in data.decode().split("\n")[:-1]:
            word, *rest = line.split(" ")
            if word == "stored":
                self.stored.add(rest[0])
            elif word == "sequenced":
                self.index[rest[0]] = int(rest[1])
            elif word == "posted":
                self.posted.add(int(rest[0]))
            elif word == "proof":
                self.proofs.append(bytes.fromhex(rest[0]))
            elif word == "refused":
                self.refused.append(rest[0])
            elif word in ("end", "failed"):
                self.outcome = word


class Sessions:
    """Runs scripted sessions on copies of one folder, each under a tracer."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._template = folder / "template"
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.faults.scripted"])
        make_template(self._template, seed)

    def counts(self, whose: str) -> Counter[str]:
        """How many calls of each kind the thread makes in a session where nothing fails, of those on files."""
        listing = self._folder / "calls"
        folder, said = self.run(whose, ["-y", "-e", f"trace={CALLS}", "-o", str(listing)])
        assert said.outcome == "end", said
        assert not said.refused, said
        shutil.rmtree(folder)
        return Counter(re.findall(r"^(\w+)\(", listing.read_text(), re.MULTILINE))

    def run(self, whose: str, tracing: list[str]) -> tuple[Path, Said]:
        """One session under strace with these options; the folder it leaves and what it said."""
        folder, said = self._folder / "node", Said()
        shutil.rmtree(folder, ignore_errors=True)
        ours, theirs = self._context.Pipe()
        arguments = (str(self._template), str(folder), theirs, self._seed, whose)
        process = self._context.Process(target=run, args=arguments, daemon=True)
        process.start()
        theirs.close()
        tracer: subprocess.Popen[str] | None = None
        try:
            thread = int(_line(ours).split()[1])
            tracer = _attached(thread, tracing)
            ours.send_bytes(b"go")
            said.hear(listen(ours, time.monotonic() + SESSION_S))
        finally:
            process.kill()
            process.join(20)
            ours.close()
            process.close()
            if tracer is not None:
                tracer.communicate(timeout=20)
        return folder, said

    def suffer(self, fault: Fault) -> Said:
        """Run with one fault, then hold the folder against what was said."""
        folder, said = self.run(
            fault.whose, ["-e", f"trace={fault.call}", "-e", fault.injection(), "-o", "/dev/null"]
        )
        try:
            hold(folder, said, random.Random(f"after {self._seed}"))
        finally:
            shutil.rmtree(folder)
        return said


def _attached(thread: int, options: list[str]) -> subprocess.Popen[str]:
    tracer = subprocess.Popen(
        ["strace", "-q", *options, "-p", str(thread)],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 20
    status = Path(f"/proc/{thread}/status")
    while "TracerPid:\t0\n" in status.read_text():
        if tracer.poll() is not None or time.monotonic() > deadline:
            assert tracer.stderr is not None
            pytest.skip(f"strace cannot trace here: {tracer.stderr.read().strip()[:200]}")
        time.sleep(0.002)
    return tracer


def _line(pipe: Connection) -> str:
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], 60)
        assert ready, "the child did not start"
        data = os.read(pipe.fileno(), 1)
        assert data, "the child ended before its session"
        said += data
    return said.decode()


def listen(pipe: Connection, deadline: float) -> bytes:
    """All that a child says until it ends; it must end before the deadline."""
    said: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([pipe], [], [], left)
        if ready:
            try:
                data = os.read(pipe.fileno(), 65_536)
            except ConnectionResetError:
                # It ended before it had read what it was told; what it said before is heard all the same.
                data = b""
            if not data:
                return b"".join(said)
            said.append(data)
    raise AssertionError(f"the session hangs after {b''.join(said)[-200:]!r}")


def hold(folder: Path, said: Said, chance: random.Random) -> None:
    """Open the folder as it is and hold it against every promise; then capture on it, and check all of it."""
    with opened(folder) as node:
        state = node.state()
        assert state["writable"], state["reason"]
        settle(node)
        for name in said.stored:
            job = node.capture.job(name, "farm")
            assert job.state == "sequenced", job
            assert said.index.get(name, job.index) == job.index
        assert all(node.capture.outcome(row).state == "sequenced" for row in said.posted)
        with node.reading.connect() as connection:
            given = (
                connection.exec_driver_sql("SELECT idx FROM statement WHERE idx IS NOT NULL").scalars().all()
            )
            heads = connection.execute(schema.checkpoint.select()).all()
        assert len(given) == len(set(given)), "an index was used twice"
        job = node.capture.capture("farm", document(chance, 1), EPCIS, settled=True)
        assert job.state == "sequenced"
        newest = node.log.published().checkpoint
        for head in heads:
            path = node.log.consistency_path(head.size)
            assert is_consistent(head.size, newest.size, path, head.root, newest.root)
        verifier = Verifier(parse_policy(f"log {node.vkey}\nquorum none\n"))
        for proof in said.proofs:
            verifier.verify(parse_bundle(proof))
        vkey = parse_vkey(node.vkey)
    found = check_node(folder, folder / "loomark.db", vkey).faults
    assert found == (), found


def settle(node: Any) -> None:
    """Wait until nothing waits for its index."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with node.reading.connect() as connection:
            if not connection.exec_driver_sql("SELECT 1 FROM statement WHERE state = 'staged'").first():
                return
        time.sleep(0.01)


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder for what is killed by a call and never by a power cut: forcing its data to a disk would tell nothing."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="loomark-", dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def sessions(pytestconfig: pytest.Config) -> Iterator[Sessions]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    with folder_in_memory() as folder:
        yield Sessions(folder, int(pytestconfig.option.hypothesis_seed))


def all_faults(sessions: Sessions) -> list[Fault]:
    return [
        fault
        for whose in (START, WRITER)
        for call, count in sorted(sessions.counts(whose).items())
        for fault in faults_of(whose, call, count)
    ]


def outcomes(
    sessions: Sessions, faults: list[Fault], until_s: float | None = None
) -> Counter[tuple[str, str]]:
    """Suffer each fault; how the sessions ended, by kind of fault."""
    ended: Counter[tuple[str, str]] = Counter()
    deadline = time.monotonic() + (until_s or 1e9)
    for fault in faults:
        # However slow the machine is, some are tried.
        if time.monotonic() > deadline and sum(ended.values()) >= LEAST:
            break
        try:
            said = sessions.suffer(fault)
        except BaseException as error:
            error.add_note(f"at {fault}")
            raise
        ended[fault.how, said.outcome + (" refusing" if said.refused else "")] += 1
    return ended


def test_a_call_that_fails_loses_nothing_acknowledged(sessions: Sessions, seed: int) -> None:
    faults = all_faults(sessions)
    random.Random(seed).shuffle(faults)
    ended = outcomes(sessions, faults, SLICE_S)
    print(f"seed {seed}: {sum(ended.values())} of {len(faults)} faults, {dict(ended)}")
    assert sum(ended.values()) >= LEAST


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_every_call_that_fails_loses_nothing_acknowledged(sessions: Sessions) -> None:
    faults = all_faults(sessions)
    ended = outcomes(sessions, faults)
    print(f"{len(faults)} faults, {dict(ended)}")
    assert sum(ended.values()) == len(faults) > 500


SERVED: Final = [
    (call, error, at)
    for call, error in (
        ("pwrite64", "EIO"),
        ("pwrite64", "ENOSPC"),
        ("fdatasync", "EIO"),
        ("fsync", "EIO"),
        ("rename", "EIO"),
        ("openat", "ENOSPC"),
    )
    for at in (3, 8, 15)
]
"""Calls of each thread of a whole server that fail once, by the number of the call in its thread."""


def suffer_served(folder: Path, call: str, error: str, at: int, chance: random.Random) -> str:
    """Serve while one call of each thread fails, then start again and hold the node to what it acknowledged."""
    stored: list[str] = []
    with Served(folder) as node:
        key = node.admit({"members": [{"id": "farm", "name": "Farm", "parties": []}]})["farm"]
        inject = [
            "-f",
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:error={error}:when={at}",
            "-o",
            "/dev/null",
        ]
        tracer = _attached(node.process.pid, inject)
        with node.client(key) as http, suppress(httpx2.HTTPError):
            for _ in range(12):
                answer = http.post(
                    "/epcis/capture", content=document(chance, 2), headers={"Content-Type": EPCIS}
                )
                assert answer.status_code in (202, 503, 507), answer.text
                if answer.status_code == 202:
                    stored.append(answer.headers["location"])
                    http.get(stored[-1], headers={"Prefer": "wait=10"})
        ended = "went on" if node.process.poll() is None else "ended"
        node.stop()
        tracer.communicate(timeout=20)
    with Served(folder) as node, node.client(key) as http:
        assert http.get("/readyz").status_code == 200, http.get("/readyz").text
        jobs = [http.get(location, headers={"Prefer": "wait=20"}).json() for location in stored]
        assert [job["state"] for job in jobs] == ["sequenced"] * len(stored)
        assert len({job["index"] for job in jobs}) == len(stored)
        vkey = parse_vkey(http.get("/log/vkey").text.strip())
    # The graph follows in a process of its own, which may have been stopped before its first notes.
    found = check_node(folder, folder / "loomark.db", vkey).faults
    assert [fault for fault in found if not fault.place.startswith("graph")] == []
    return f"{call} {error}: {ended}"


def test_a_served_node_whose_call_fails_loses_nothing_acknowledged(
    sessions: Sessions, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    call, error, at = chance.choice(SERVED)
    print(f"seed {seed}: call {at} of {suffer_served(tmp_path / 'node', call, error, at, chance)}")


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("call", "error", "at"), SERVED)
def test_each_call_of_a_served_node_that_fails_loses_nothing_acknowledged(
    sessions: Sessions, tmp_path: Path, seed: int, call: str, error: str, at: int
) -> None:
    print(f"call {at} of {suffer_served(tmp_path / 'node', call, error, at, random.Random(seed))}")
