"""kill -9 at random moments of a process that writes the log: what it acknowledged is there, and nothing twice.

A slice runs with every test run and rotates with its seed; `make soak`, or LOOMARK_SOAK=1, kills 1,000 times.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import select
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import select as rows

from ledger.entry import is_seal
from ledger.log import schema
from ledger.log.fsck import check_log
from ledger.log.reader import LogReader
from ledger.merkle import is_consistent
from ledger.note import ED25519, VerifierKey
from ledger.statement import parse_envelope
from tests.faults.log_child import run, run_to_write
from tests.ledger.log.node import ORIGIN, Node, key_of

SLICE_S = 8.0
SOAK_KILLS = 1_000


class Promises:
    """What the killed processes said, in the order they said it."""

    def __init__(self) -> None:
        self.staged: set[tuple[str, str]] = set()
        self.index: dict[tuple[str, str], int] = {}
        self.taken: dict[int, tuple[str, str]] = {}
        self.heads: list[tuple[int, bytes]] = []
        self.lives = 0

    def hear(self, said: bytes) -> None:
        """Take in whole lines; what a kill tore off was never said."""
        for line in said.decode().split("\n")[:-1]:
            word, *rest = line.split(" ")
            assert word in {"up", "staged", "published", "sequenced"}, line
            getattr(self, f"_{word}")(*rest)

    def _up(self, size: str) -> None:
        self.lives += 1
        assert not self.heads or int(size) >= self.heads[-1][0], "the log became shorter"

    def _staged(self, member: str, statement: str) -> None:
        self.staged.add((member, statement))

    def _published(self, size: str, root: str) -> None:
        head = (int(size), bytes.fromhex(root))
        assert not self.heads or head[0] > self.heads[-1][0], "a published size came twice"
        self.heads.append(head)

    def _sequenced(self, member: str, statement: str, index: str) -> None:
        name = (member, statement)
        assert self.index.setdefault(name, int(index)) == int(index), "a statement has two indices"
        assert self.taken.setdefault(int(index), name) == name, "an index was used twice"


def live_and_die(folder: Path, seed: int, after_s: float, death: tuple[int, bool] | None = None) -> bytes:
    """Run one child until the kill, or until its own `death` at a write; gives all that it said."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.log_child"])
    ours, theirs = context.Pipe(duplex=False)
    arguments = (str(folder), theirs, seed, *(death or ()))
    process = context.Process(target=run_to_write if death else run, args=arguments, daemon=True)
    process.start()
    theirs.close()
    try:
        said = _listen(ours, time.monotonic() + after_s)
    finally:
        process.kill()
    said += _listen(ours, None)
    process.join(20)
    assert process.exitcode == -9, f"the child ended by itself with {process.exitcode}: {said[-500:]!r}"
    process.close()
    ours.close()
    return said


def _listen(pipe: Connection, deadline: float | None) -> bytes:
    said = []
    while deadline is None or time.monotonic() < deadline:
        ready, _, _ = select.select(
            [pipe], [], [], None if deadline is None else max(0, deadline - time.monotonic())
        )
        if ready:
            data = os.read(pipe.fileno(), 65_536)
            if not data:
                break
            said.append(data)
    return b"".join(said)


def check(folder: Path, promises: Promises) -> None:
    """Start once more, without repair, and hold the log against every promise."""
    node = Node(folder)
    assert node.sequencer.read_only is None
    while node.sequencer.sequence():
        pass
    with node.engine.connect() as connection:
        table = schema.statement
        stored = connection.execute(
            rows(table.c.member, table.c.statement_id, table.c.idx, table.c.state)
        ).all()
    index = {(member, statement): idx for member, statement, idx, _ in stored}
    assert {state for _, _, _, state in stored} == {"sequenced"}
    assert promises.staged <= index.keys(), "an acknowledged statement is lost"
    assert {name: index[name] for name in promises.index} == promises.index
    check_entries(node, index)
    check_heads(node, promises)
    key = VerifierKey(ORIGIN, ED25519, key_of("log").public_bytes)
    report = check_log(node.reader(), folder / "log", key, high_water=folder / "high-water")
    assert report.faults == ()
    assert report.size == node.sequencer.head.size
    node.stop()


def check_entries(node: Node, index: dict[tuple[str, str], int]) -> None:
    envelopes = {at: data for at, data in enumerate(node.entries()) if not is_seal(data)}
    assert sorted(envelopes) == sorted(index.values()), "an index was used twice, or none was"
    for name, at in index.items():
        statement = parse_envelope(envelopes[at]).statement
        assert (statement.member, statement.id) == name


def check_heads(node: Node, promises: Promises) -> None:
    reader = LogReader(node.reader(), node.folder / "log")
    newest = reader.published().checkpoint
    with node.engine.connect() as connection:
        archived = connection.execute(rows(schema.checkpoint.c.size, schema.checkpoint.c.root)).all()
    heads = {row.size: row.root for row in archived}
    assert all(heads[size] == root for size, root in promises.heads)
    for size, root in heads.items():
        assert is_consistent(size, newest.size, reader.consistency_path(size), root, newest.root)


def kill_until(folder: Path, chance: random.Random, *, kills: int | None, until_s: float) -> Promises:
    promises = Promises()
    deadline = time.monotonic() + until_s
    count = 0
    while count < kills if kills else time.monotonic() < deadline:
        # Short lives die in recovery, longer ones while they sequence; both matter.
        after_s = chance.choice((chance.uniform(0.0, 0.08), chance.uniform(0.05, 0.4)))
        promises.hear(live_and_die(folder, chance.getrandbits(32), after_s))
        count += 1
    print(
        f"{count} kills, {promises.lives} starts, {len(promises.staged)} staged, {len(promises.heads)} published"
    )
    return promises


@pytest.mark.timeout(1800)
def test_a_killed_log_keeps_every_promise(tmp_path: Path, seed: int) -> None:
    kills = SOAK_KILLS if os.environ.get("LOOMARK_SOAK") == "1" else None
    promises = kill_until(tmp_path, random.Random(seed), kills=kills, until_s=SLICE_S)
    assert promises.lives > 5
    assert len(promises.heads) > 10
    check(tmp_path, promises)


def test_a_log_killed_at_each_of_its_writes_keeps_every_promise(tmp_path: Path, seed: int) -> None:
    promises = Promises()
    for at in range(1, 17):
        for stored in (False, True):
            promises.hear(live_and_die(tmp_path, seed + 2 * at + stored, 20.0, (at, stored)))
    assert promises.lives > 15
    check(tmp_path, promises)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_log_killed_a_thousand_times_keeps_every_promise(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for part in range(10):
        folder = tmp_path / str(part)
        folder.mkdir()
        check(folder, kill_until(folder, chance, kills=SOAK_KILLS // 10, until_s=0))
