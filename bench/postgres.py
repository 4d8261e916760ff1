"""The log alone and whole captures, on SQLite and on PostgreSQL: `python -m bench.postgres`.

The floor of a batch is one insert of its bytes that is durable when it returns, in the same database. A batch of
the log is staged in one transaction and sequenced in another, then signed and published in files that are forced
to the disk; its publication latency runs from the first insert to the published checkpoint. Captures are the
reference documents of 1,000 events, one at a time, from submitted bytes to a checkpoint that covers them; the two
databases take turns, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import Engine, text

from fabric.capture.keyring import Keyring
from fabric.capture.node import DATABASE, Node, NodeSettings, migrate_database, now_ms, open_node
from fabric.capture.pool import InlinePreparer
from fabric.scenario import members_json, reference_documents, reference_world
from fabric.store.credentials import OPERATOR, Principal
from fabric.store.engine import writer_engine
from ledger.ed25519 import SigningKey, possession_line
from ledger.log.lock import SequencerLock
from ledger.log.publish import Publisher
from ledger.log.recover import open_sequencer
from ledger.log.stage import stage
from ledger.merkle import EMPTY_ROOT
from ledger.shape import time_text
from ledger.submission import capture_statement
from tests.postgres.server import NoServer, Server

BATCHES: Final = (1, 256, 1_024)
ENTRIES: Final = 8_192
"""Entries of a run at each batch size; at one a batch a fraction of them, because each waits for the disk."""

LEAST_BATCHES: Final = 60
CAPTURES: Final = 8
TARGET: Final = 1.5
ORIGIN: Final = "bench.example/log"
EPCIS: Final = "application/ld+json"
_OPERATOR: Final = Principal(0, "operator", OPERATOR)
_SEED: Final = 1

Result = dict[str, Any]


@dataclass(frozen=True)
class Store:
    """A database to measure: `make` gives the setting of a node on a new one, None for SQLite in its folder."""

    name: str
    make: Callable[[], str | None]


@dataclass(frozen=True)
class Run:
    """What batches took, in seconds: the whole run, each publication, each durable insert of as many bytes.

    `stored_bytes` is by how much database, tiles and bundles grew.
    """

    entries: int
    stored_bytes: int
    whole_s: float
    published_s: Sequence[float]
    floor_s: Sequence[float]


def measure(entries: int = ENTRIES, captures: int = CAPTURES) -> list[Result]:
    """All figures; those of PostgreSQL only where there is a server to start."""
    try:
        with Server.started(durable=True) as server:
            stores = [Store("SQLite", lambda: None), Store("PostgreSQL", server.new_database)]
            return _all(stores, entries, captures)
    except NoServer as error:
        sys.stderr.write(f"without PostgreSQL: {error}\n")
        return _all([Store("SQLite", lambda: None)], entries, captures)


def _all(stores: Sequence[Store], entries: int, captures: int) -> list[Result]:
    rows = []
    for size in BATCHES:
        batches = max(LEAST_BATCHES if size == 1 else 4, entries // size // (16 if size == 1 else 1))
        rows += [row for store in stores for row in _log_rows(store, size, append(store, size, batches))]
    return rows + _capture_rows(capture(stores, captures))


def append(store: Store, size: int, batches: int) -> Run:
    """Batches of signed statements, staged, sequenced and published, one batch after the other."""
    with tempfile.TemporaryDirectory() as name:
        settings = _settings(store, Path(name) / "node")
        key = SigningKey.generate()
        with open_node(settings, preparer=InlinePreparer()) as node:
            member = {
                "type": "member",
                "subject": "bench",
                "name": "Bench",
                "publicKey": possession_line(key),
            }
            node.capture.state(_OPERATOR, member)
        engine = writer_engine(settings.database or settings.data / DATABASE)
        try:
            waiting = [
                [_statement(key, batch * size + one) for one in range(size)] for batch in range(batches)
            ]
            return _timed(settings, engine, waiting)
        finally:
            engine.dispose()


def _timed(settings: NodeSettings, engine: Engine, waiting: Sequence[Sequence[bytes]]) -> Run:
    signers = Keyring(settings.data / "keys").load_log_keys()
    publisher = Publisher(settings.data / "log", settings.data / "high-water", signers)
    lock = None if settings.database is None else SequencerLock(settings.database)
    assert lock is None or lock.try_take()
    sequencer = open_sequencer(engine, publisher, now_ms)
    published_s, before, began = [], _stored_bytes(settings, engine), time.perf_counter()
    for batch in waiting:
        started = time.perf_counter()
        with engine.begin() as connection:
            for envelope in batch:
                stage(connection, envelope, origin=ORIGIN, now_ms=now_ms())
        assert sequencer.sequence() is not None
        published_s.append(time.perf_counter() - started)
    whole_s = time.perf_counter() - began
    stored = _stored_bytes(settings, engine) - before
    if lock is not None:
        lock.release()
    return Run(sum(map(len, waiting)), stored, whole_s, published_s, _floor(engine, waiting))


def _stored_bytes(settings: NodeSettings, engine: Engine) -> int:
    files = sum(path.stat().st_size for path in (settings.data / "log").rglob("*") if path.is_file())
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            size = "SELECT pg_database_size(current_database())"
            return files + int(connection.exec_driver_sql(size).scalar_one())
        pages, size = (
            connection.exec_driver_sql(f"PRAGMA {one}").scalar_one() for one in ("page_count", "page_size")
        )
    return files + int(pages) * int(size)


def _floor(engine: Engine, waiting: Sequence[Sequence[bytes]]) -> list[float]:
    kind = "BLOB" if engine.dialect.name == "sqlite" else "BYTEA"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE floor (body {kind})")
    taken = []
    for batch in waiting:
        body, started = b"".join(batch), time.perf_counter()
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO floor (body) VALUES (:body)"), {"body": body})
        taken.append(time.perf_counter() - started)
    return taken


def _statement(key: SigningKey, number: int) -> bytes:
    return capture_statement(
        number.to_bytes(32, "big"),
        key=key,
        log=ORIGIN,
        member="bench",
        seen=(0, EMPTY_ROOT),
        issued=time_text(now_ms()),
        statement_id=f"{number:032x}",
    )


def capture(stores: Sequence[Store], count: int) -> dict[str, list[float]]:
    """Seconds of each capture of 1,000 events by database, the first of each apart: it meets cold caches."""
    taken: dict[str, list[float]] = {store.name: [] for store in stores}
    members = members_json(reference_world())["members"]
    documents = reference_documents((count + 1) * 1_000, _SEED)
    with tempfile.TemporaryDirectory() as name:
        nodes = {store.name: _node(_settings(store, Path(name) / store.name), members) for store in stores}
        try:
            for body in documents:
                for store, node in nodes.items():
                    started = time.perf_counter()
                    node.capture.capture(members[0]["id"], body, EPCIS, settled=True)
                    taken[store].append(time.perf_counter() - started)
        finally:
            for node in nodes.values():
                node.close()
    return {store: times[1:] for store, times in taken.items()}


def _node(settings: NodeSettings, members: Sequence[dict[str, Any]]) -> Node:
    node = open_node(settings, preparer=InlinePreparer())
    for one in members:
        admission = {"type": "member", "subject": one["id"], "name": one["name"], "parties": one["parties"]}
        node.capture.state(_OPERATOR, admission)
    return node


def _settings(store: Store, folder: Path) -> NodeSettings:
    settings = NodeSettings(folder, origin=ORIGIN, database=store.make())
    if settings.database is not None:
        migrate_database(settings)
    return settings


def _log_rows(store: Store, size: int, run: Run) -> list[Result]:
    batches, floor_s = len(run.published_s), sum(run.floor_s)
    rate, most = run.entries / run.whole_s, run.entries / floor_s
    late, floor_late = _p95(run.published_s), _p95(run.floor_s)
    name = f"log on {store.name}, {size:,} a batch"
    return [
        _row(f"{name}: appended", rate, "entries/s", "one durable insert a batch", rate / most),
        _row(f"{name}: published, p95 of {batches}", late * 1e3, "ms", "the insert, p95", late / floor_late),
        _row(f"{name}: on disk", run.stored_bytes / run.entries, "bytes/entry", "", None),
    ]


def _capture_rows(taken: dict[str, list[float]]) -> list[Result]:
    rows, sqlite = [], median(taken["SQLite"])
    for store, times in taken.items():
        middle = median(times)
        against = ("", None) if store == "SQLite" else (f"SQLite, at most {TARGET}", middle / sqlite)
        rows.append(_row(f"capture of 1,000 on {store}: whole, median", middle * 1e3, "ms", *against))
    return rows


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[min(len(times) - 1, round(0.95 * len(times)))]


def _row(name: str, value: float, unit: str, against: str, ratio: float | None) -> Result:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def main() -> None:
    """Measure and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--captures", type=int, default=CAPTURES)
    options = parser.parse_args()
    for result in measure(options.entries, options.captures):
        print(json.dumps(result))


if __name__ == "__main__":
    main()
