"""Capture without HTTP: what each stage costs an event, beside the floor of the same bytes.

    python -m bench.capture --events 20000

The floor parses the same bytes, canonicalises and hashes each unit, and makes one durable insert a document, in
one process: once with this node's own strict parser and canonicaliser, once with the `rfc8785` package. `prepare`
is one core's rate; `writer` is the one thread that stores, sequences, projects, signs and publishes; `service` is
both together as a node runs them, from submitted bytes to a checkpoint that covers them. Times of the clock suffer
from whatever else the machine does; CPU times, of all processes together, hardly do.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import sqlite3
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import rfc8785

from fabric.capture.node import Node, NodeSettings, open_node
from fabric.capture.pool import InlinePreparer, PreparePool, collect_rarely
from fabric.capture.prepare import Limits, Prepared, prepare
from fabric.capture.writer import QueueFull, Ticket
from fabric.scenario import members_json, reference_documents, reference_world
from fabric.store.credentials import OPERATOR, Principal
from ledger.canonical import canonical as ledger_canonical
from ledger.canonical import parse_json

EPCIS = "application/ld+json"
PER_DOCUMENT = 1000
THINGS = 3
SEED = 11
ASKED_RATE = 5000
_OPERATOR = Principal(0, "operator", OPERATOR)
_MEMBERS = members_json(reference_world())["members"]
_SENDER = _MEMBERS[0]["id"]

Result = dict[str, Any]


Canonical = Callable[[Any], bytes]


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of CPU in all processes of the measured thing."""

    wall_s: float
    cpu_s: float

    def __truediv__(self, count: int) -> Spent:
        return Spent(self.wall_s / count, self.cpu_s / count)


class Watch:
    """Measures from its making to `spent`; `children` are processes that work for this one."""

    def __init__(self, children: Sequence[int] = ()) -> None:
        self._children = children
        self._began = time.perf_counter()
        self._cpu = self._cpu_s()

    def spent(self) -> Spent:
        """What has passed since."""
        return Spent(time.perf_counter() - self._began, self._cpu_s() - self._cpu)

    def _cpu_s(self) -> float:
        ticks = 0
        for pid in self._children:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def floor(documents: Sequence[bytes], database: Path, canonical: Canonical) -> Spent:
    """The least that any capture of these documents would do."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE document (id INTEGER PRIMARY KEY, body BLOB)")
    watch = Watch()
    for body in documents:
        for event in _events(parse_json(body)):
            for value in _units(event):
                sha256(canonical(value)).digest()
        connection.execute("INSERT INTO document (body) VALUES (?)", (body,))
    spent = watch.spent()
    connection.close()
    return spent


def _events(document: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["epcisBody"]["eventList"]
    return found


def _units(event: dict[str, Any]) -> list[Any]:
    units: list[Any] = []
    for value in event.values():
        if isinstance(value, dict | list) and len(value) > 1:
            units += value.values() if isinstance(value, dict) else value
        else:
            units.append(value)
    return units


def prepare_all(documents: Sequence[bytes]) -> tuple[Spent, list[Prepared]]:
    """What one core spends to prepare the documents, and what it made of them."""
    watch = Watch()
    prepared = [prepare(body, EPCIS, Limits(), os.urandom) for body in documents]
    return watch.spent(), prepared


def write_all(node: Node, prepared: Sequence[Prepared]) -> Spent:
    """From the first prepared document queued to a checkpoint that covers the last."""
    watch = Watch()
    _settle([node.capture.store(_SENDER, one) for one in prepared])
    return watch.spent()


def serve_all(node: Node, pool: PreparePool, documents: Sequence[bytes], in_flight: int = 6) -> Spent:
    """From the first submitted bytes to a checkpoint that covers the last, `in_flight` at a time."""
    watch = Watch(pool.pids())
    waiting = deque(node.capture.prepare(body, EPCIS) for body in documents[:in_flight])
    following = iter(documents[in_flight:])
    tickets: list[Ticket] = []
    while waiting:
        prepared = waiting.popleft().result()
        if (body := next(following, None)) is not None:
            waiting.append(node.capture.prepare(body, EPCIS))
        tickets.append(_store(node, prepared))
    _settle(tickets)
    return watch.spent()


def _store(node: Node, prepared: Prepared) -> Ticket:
    while True:
        try:
            return node.capture.store(_SENDER, prepared)
        except QueueFull as full:
            time.sleep(full.retry_after_s / 20)


def _settle(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        ticket.settled.result(600)


def _node(folder: Path, preparer: InlinePreparer | PreparePool) -> Node:
    node = open_node(NodeSettings(folder, origin="bench.example/log"), preparer=preparer)
    for one in _MEMBERS:
        admission = {"type": "member", "subject": one["id"], "name": one["name"], "parties": one["parties"]}
        node.capture.state(_OPERATOR, admission)
    return node


def measure(events: int) -> list[Result]:
    """All stages over that many reference events, in documents of a thousand."""
    documents = list(reference_documents(max(4, events // PER_DOCUMENT) * PER_DOCUMENT, SEED))
    count = len(documents) * PER_DOCUMENT
    part = documents[: max(4, len(documents) // 4)]
    collect_rarely()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        least = floor(part, folder / "floor.db", ledger_canonical) / (len(part) * PER_DOCUMENT)
        plain = floor(part, folder / "plain.db", rfc8785.dumps) / (len(part) * PER_DOCUMENT)
        preparing, prepared = prepare_all(part)
        with _node(folder / "writer", InlinePreparer()) as node:
            writing = write_all(node, prepared) / (len(part) * PER_DOCUMENT)
        del prepared
        pool = PreparePool(Limits())
        pool.warm()
        with _node(folder / "service", pool) as node:
            serving = serve_all(node, pool, documents) / count
    rate = 1 / serving.wall_s
    return [
        *_both("floor", least, least),
        *_both("floor with rfc8785", plain, least),
        *_both("prepare, one core", preparing / (len(part) * PER_DOCUMENT), least),
        *_both("writer", writing, least),
        *_both("service without HTTP", serving, least),
        _result(
            "service without HTTP, against rfc8785",
            serving.wall_s,
            "us/event",
            "floor with rfc8785",
            plain.wall_s,
        ),
        _result(
            "service without HTTP, per thing reference", serving.wall_s / THINGS, "us/reference", "", None
        ),
        {
            "name": "capture: service without HTTP, rate",
            "value": rate,
            "unit": "events/s",
            "against": f"{ASKED_RATE} events/s",
            "ratio": rate / ASKED_RATE,
        },
    ]


def _both(name: str, spent: Spent, least: Spent) -> list[Result]:
    return [
        _result(name, spent.wall_s, "us/event", "floor", least.wall_s),
        _result(f"{name}, CPU", spent.cpu_s, "us/event", "floor, CPU", least.cpu_s),
    ]


def _result(name: str, seconds: float, unit: str, against: str, other: float | None) -> Result:
    ratio = None if other is None else seconds / other
    return {
        "name": f"capture: {name}",
        "value": seconds * 1e6,
        "unit": unit,
        "against": against,
        "ratio": ratio,
    }


def profile_writer(events: int) -> None:
    """Print where the writer's thread spends its time."""
    documents = reference_documents(max(2, events // PER_DOCUMENT) * PER_DOCUMENT, SEED)
    prepared = [prepare(body, EPCIS, Limits(), os.urandom) for body in documents]
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as name, _node(Path(name) / "node", InlinePreparer()) as node:
        for one in prepared:
            ticket = node._writer.submit(lambda connection: profile.enable())
            node.capture.store(_SENDER, one).settled.result(600)
            ticket.stored.result(600)
        node._writer.submit(lambda connection: profile.disable()).stored.result(600)
    pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(40)


def main() -> None:
    """Measure and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--profile", action="store_true", help="profile the writer instead")
    options = parser.parse_args()
    if options.profile:
        profile_writer(options.events)
        return
    for result in measure(options.events):
        print(json.dumps(result))


if __name__ == "__main__":
    main()
