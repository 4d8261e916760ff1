"""Capture without HTTP: what each stage costs an event, beside the floor of the same bytes.

    python -m bench.capture --events 20000

The floor parses the same bytes, canonicalises and hashes each unit, and makes one durable insert a document, in
one process. `prepare` is one core's rate; `writer` is the one thread that stores, sequences, projects, signs and
publishes; `service` is both together as a node runs them, from submitted bytes to a checkpoint that covers them.
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
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import orjson

from bench.reference import document
from fabric.capture.node import Node, NodeSettings, open_node
from fabric.capture.pool import InlinePreparer, PreparePool
from fabric.capture.prepare import Limits, Prepared, prepare
from fabric.capture.writer import QueueFull, Ticket
from fabric.store.credentials import OPERATOR, Principal
from ledger.canonical import canonical

EPCIS = "application/ld+json"
PER_DOCUMENT = 1000
THINGS = 3
SEED = 20_261_122
ASKED_RATE = 5000
_OPERATOR = Principal(0, "operator", OPERATOR)

Result = dict[str, Any]


def floor(documents: Sequence[bytes], folder: Path) -> float:
    """Seconds for the least that any capture of these documents would do."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE document (id INTEGER PRIMARY KEY, body BLOB)")
    began = time.perf_counter()
    for body in documents:
        for event in orjson.loads(body)["epcisBody"]["eventList"]:
            for value in _units(event):
                sha256(canonical(value)).digest()
        connection.execute("INSERT INTO document (body) VALUES (?)", (body,))
    spent = time.perf_counter() - began
    connection.close()
    return spent


def _units(event: dict[str, Any]) -> list[Any]:
    units: list[Any] = []
    for value in event.values():
        if isinstance(value, dict | list) and len(value) > 1:
            units += value.values() if isinstance(value, dict) else value
        else:
            units.append(value)
    return units


def prepare_rate(documents: Sequence[bytes]) -> tuple[float, list[Prepared]]:
    """Seconds that one core takes to prepare the documents, and what it made of them."""
    began = time.perf_counter()
    prepared = [prepare(body, EPCIS, Limits(), os.urandom) for body in documents]
    return time.perf_counter() - began, prepared


def writer_rate(node: Node, prepared: Sequence[Prepared]) -> float:
    """Seconds from the first prepared document queued to a checkpoint that covers the last."""
    began = time.perf_counter()
    _settle([node.capture.store("farm", one) for one in prepared])
    return time.perf_counter() - began


def service_rate(node: Node, documents: Sequence[bytes], in_flight: int = 6) -> float:
    """Seconds from the first submitted bytes to a checkpoint that covers the last, `in_flight` at a time."""
    began = time.perf_counter()
    waiting = deque(node.capture.prepare(body, EPCIS) for body in documents[:in_flight])
    following = iter(documents[in_flight:])
    tickets: list[Ticket] = []
    while waiting:
        prepared = waiting.popleft().result()
        if (body := next(following, None)) is not None:
            waiting.append(node.capture.prepare(body, EPCIS))
        tickets.append(_store(node, prepared))
    _settle(tickets)
    return time.perf_counter() - began


def _store(node: Node, prepared: Prepared) -> Ticket:
    while True:
        try:
            return node.capture.store("farm", prepared)
        except QueueFull as full:
            time.sleep(full.retry_after_s / 20)


def _settle(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        ticket.settled.result(600)


def _node(folder: Path, preparer: InlinePreparer | PreparePool) -> Node:
    node = open_node(NodeSettings(folder, origin="bench.example/log"), preparer=preparer)
    node.capture.state(_OPERATOR, {"type": "member", "subject": "farm", "name": "Farm"})
    return node


def measure(events: int) -> list[Result]:
    """All stages over that many reference events, in documents of a thousand."""
    random = Random(SEED)
    documents = [document(random, PER_DOCUMENT) for _ in range(max(4, events // PER_DOCUMENT))]
    count = len(documents) * PER_DOCUMENT
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        least = floor(documents, folder) / count
        part = documents[: max(4, len(documents) // 4)]
        seconds, prepared = prepare_rate(part)
        per_core = seconds / (len(part) * PER_DOCUMENT)
        with _node(folder / "writer", InlinePreparer()) as node:
            writer = writer_rate(node, prepared) / (len(prepared) * PER_DOCUMENT)
        del prepared
        pool = PreparePool(Limits())
        pool.warm()
        with _node(folder / "service", pool) as node:
            service = service_rate(node, documents) / count
    return [
        _result("capture: floor", least, "one core", None),
        _result("capture: prepare, one core", per_core, "floor", per_core / least),
        _result("capture: writer", writer, "floor", writer / least),
        _result("capture: service without HTTP", service, "floor", service / least),
        {
            "name": "capture: service without HTTP, rate",
            "value": 1 / service,
            "unit": "events/s",
            "against": f"{ASKED_RATE} events/s",
            "ratio": 1 / service / ASKED_RATE,
        },
        {
            "name": "capture: service without HTTP, per thing reference",
            "value": service / THINGS * 1e6,
            "unit": "us/reference",
            "against": "",
            "ratio": None,
        },
    ]


def _result(name: str, seconds: float, against: str, ratio: float | None) -> Result:
    return {"name": name, "value": seconds * 1e6, "unit": "us/event", "against": against, "ratio": ratio}


def profile_writer(events: int) -> None:
    """Print where the writer's thread spends its time."""
    random = Random(SEED)
    prepared = [
        prepare(document(random, PER_DOCUMENT), EPCIS, Limits(), os.urandom)
        for _ in range(max(2, events // PER_DOCUMENT))
    ]
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as name, _node(Path(name) / "node", InlinePreparer()) as node:
        for one in prepared:
            ticket = node._writer.submit(lambda connection: profile.enable())
            node.capture.store("farm", one).settled.result(600)
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
