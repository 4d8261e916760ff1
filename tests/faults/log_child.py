"""The child that is killed: stages and sequences synthetic statements, and says so only once it is durable.

It runs in a process of its own, forked from a server that imported everything and opened nothing. Each line
goes to the parent in one write, so a kill leaves at most one line torn.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from ledger.log.durable import DiskFiles
from ledger.log.plan import Sequenced
from tests.ledger.log.node import Node, admission, capture, charter, seen_of, statement_id

MEMBERS = ("farm", "packer", "shop")


def run(folder: str, pipe: Connection, seed: int) -> None:
    """Open the log as a node does, then stage and sequence until killed.

    Lines: `up SIZE`, `staged MEMBER ID`, `published SIZE ROOT`, `sequenced MEMBER ID INDEX`, `read-only WHY`.
    """
    child = Child(Node(Path(folder)), pipe.fileno(), random.Random(seed))
    child.live(str(seed))


class Killer(DiskFiles):
    """Kills its own process at the write numbered `at`, before it takes effect or right after."""

    def __init__(self, at: int, stored: bool) -> None:
        self._left = at
        self._stored = stored

    def write(self, path: Path, data: bytes, *, lasting: bool = True) -> None:
        self._left -= 1
        if self._left == 0 and not self._stored:
            os.kill(os.getpid(), signal.SIGKILL)
        super().write(path, data, lasting=lasting)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def run_to_write(folder: str, pipe: Connection, seed: int, at: int, stored: bool) -> None:
    """As `run`, dying at a chosen write to the log's files."""
    child = Child(Node(Path(folder), files=Killer(at, stored)), pipe.fileno(), random.Random(seed))
    child.live(str(seed))


class Child:
    """One life between two kills."""

    def __init__(self, node: Node, pipe: int, chance: random.Random) -> None:
        self._node = node
        self._pipe = pipe
        self._chance = chance

    def live(self, name: str) -> None:
        if self._node.sequencer.read_only is not None:
            self._say(str(self._node.sequencer.read_only))
            return
        self._say(f"up {self._node.sequencer.head.size}")
        if self._node.sequencer.head.size == 0:
            self._node.stage(charter(), *[admission(member) for member in MEMBERS])
        self._settle()
        for number in range(1_000_000):
            self._stage(f"{name}-{number}")
            self._settle()

    def _stage(self, name: str) -> None:
        count = self._chance.choice((1, 1, 1, 2, 3, 8, 40, 200))
        seen = seen_of(self._node.sequencer.published)
        batch = [(self._chance.choice(MEMBERS), f"{name}-{i}") for i in range(count)]
        more = [admission(f"new-{name}")] if self._chance.random() < 0.2 else []
        self._node.stage(*[capture(one, by=member, seen=seen) for member, one in batch], *more)
        self._say(*[f"staged {member} {statement_id(f'{member} {one}')}" for member, one in batch])

    def _settle(self) -> None:
        """Sequence all that waits, what an earlier life left included; say each index once it is published."""
        done: list[str] = []

        def keep(_connection: object, sequenced: Sequence[Sequenced]) -> None:
            for one in sequenced:
                statement = one.envelope.statement
                done.append(f"sequenced {statement.member} {statement.id} {one.index}")

        while published := self._node.sequencer.sequence(keep, limit=64):
            self._say(f"published {published.checkpoint.size} {published.checkpoint.root.hex()}", *done)
            done.clear()

    def _say(self, *lines: str) -> None:
        data = "".join(line + "\n" for line in lines).encode()
        while data:
            data = data[os.write(self._pipe, data) :]
