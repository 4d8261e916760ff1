"""The child whose system calls fail: a node's core on a folder, one scripted session, each promise told at once.

It is forked from a server that imported everything, and waits to be traced: before it opens the folder, so that
the calls of its own thread count, or before its session, so that those of the writer do.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import random
import shutil
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from fabric.capture.node import Node, NodeSettings, exit_on_failure, open_node
from fabric.capture.pool import InlinePreparer
from fabric.capture.service import Posted
from ledger.errors import LoomarkError
from tests.faults.served import LOT, document
from tests.simulator import OPERATOR_CALLER, ORIGIN

EPCIS: Final = "application/ld+json"
FULL: Final = 256
_SET_PTRACER: Final = 0x59616D61

START, WRITER = "start", "writer"
"""Whose calls fail: those of the thread that starts, asks and stops, or those of the one that writes."""


def opened(folder: Path) -> Node:
    """A node's core on a folder, ending its process as a served one does when it cannot know what was stored."""
    ids = itertools.count(1)

    def clock() -> int:
        return 1_790_000_000_000 + 1000 * next(ids)

    return open_node(
        NodeSettings(folder, ORIGIN), clock=clock, preparer=InlinePreparer(), on_failure=exit_on_failure
    )


def make_template(folder: Path, seed: int) -> None:
    """A folder whose log is about to fill its first tile."""
    chance = random.Random(seed)
    with opened(folder) as node:
        _state(node, {"type": "member", "subject": "farm", "name": "Farm", "parties": []})
        while (size := node.state()["size"]) < FULL - 8:
            missing = min(FULL - 8 - size, 60)
            bodies = [document(chance, 1) for _ in range(missing)]
            ready = [node.capture.prepare(body, EPCIS).result(30) for body in bodies]
            for ticket in [node.capture.store("farm", one) for one in ready]:
                ticket.settled.result(30)


def run(template: str, folder: str, pipe: Connection, seed: int, whose: str) -> None:
    """One session on a copy of the template. Lines: `trace TID`, then what `Session` says, `end` when all is done."""
    ctypes.CDLL(None).prctl(_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    shutil.copytree(template, folder)
    session = Session(pipe, random.Random(f"session {seed}"))
    if whose == START:
        session.wait_for_tracer(os.getpid())
    try:
        node = opened(Path(folder))
    except Exception as error:
        # A start that fails says so and ends; nothing was promised in it.
        session.say(f"failed {type(error).__name__}")
        os._exit(1)
    if whose == WRITER:
        session.wait_for_tracer(node._writer._thread.native_id or 0)
    session.play(node)
    try:
        node.close()
    except Exception as error:
        session.say(f"failed {type(error).__name__}")
        os._exit(1)
    session.say("end")


class Session:
    """What is asked of the node, and every answer that promises something, in one write each."""

    def __init__(self, pipe: Connection, chance: random.Random) -> None:
        self._pipe = pipe
        self._chance = chance

    def say(self, line: str) -> None:
        """One line to whoever listens."""
        data = line.encode() + b"\n"
        while data:
            data = data[os.write(self._pipe.fileno(), data) :]

    def wait_for_tracer(self, thread: int) -> None:
        """Say which thread is to be traced, and go on when it is."""
        self.say(f"trace {thread}")
        self._pipe.recv_bytes()

    def play(self, node: Node) -> None:
        """Captures of one event and of several, an admission, a link, questions: until the first tile is full."""
        for step in self._steps(node):
            try:
                for line in step:
                    self.say(line)
            except LoomarkError as error:
                self.say(f"refused {getattr(error, 'rule', type(error).__name__)}")
            except Exception as error:
                # A question that the database could not be read for; whoever asked is told, nothing is promised.
                self.say(f"refused {type(error).__name__}")

    def _steps(self, node: Node) -> Iterator[Iterator[str]]:
        yield self._capture(node, 1)
        yield self._capture(node, 1)
        yield self._admit(node)
        yield self._capture(node, 3)
        yield self._link(node)
        yield self._capture(node, 1)
        yield self._capture(node, 1)

    def _capture(self, node: Node, events: int) -> Iterator[str]:
        body = document(self._chance, events)
        ticket = node.capture.store("farm", node.capture.prepare(body, EPCIS).result(30))
        job = ticket.stored.result(30)
        yield f"stored {job.id}"
        ticket.settled.result(30)
        index = node.capture.job(job.id, "farm").index
        yield f"sequenced {job.id} {index}"
        query = "SELECT lower(hex(commitment)) FROM record WHERE capture = ? AND position = 1"
        with node.reading.connect() as connection:
            name = connection.exec_driver_sql(query, (job.capture,)).scalar_one()
        yield f"proof {node.prover.bundle_for(name, node.reader('farm')).hex()}"

    def _admit(self, node: Node) -> Iterator[str]:
        posted = _state(node, {"type": "member", "subject": "shop", "name": "Shop", "parties": []})
        yield f"posted {posted.row}"

    def _link(self, node: Node) -> Iterator[str]:
        ticket = node.capture.link("farm", json.dumps({"same": [f"{LOT}1", f"{LOT}2"]}).encode())
        row = ticket.stored.result(30).row
        ticket.settled.result(30)
        yield f"posted {row}"


def _state(node: Node, value: dict[str, Any]) -> Posted:
    posted, outcome = node.capture.state(OPERATOR_CALLER, value)
    if outcome.state != "sequenced":
        raise LoomarkError(f"the statement is {outcome.state}")
    return posted
