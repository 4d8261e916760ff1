"""EPCIS queries over a large store and over a tenth of it: by EPC, time, place, pattern, and discovery lists.

The stores are written straight into the tables, in the rows that captures make of events: five members at fifty
places with a hundred products; a group of three serials of one product has five events within five hours, of which two
are shared with another member. A larger store is a longer time, so that a question about an hour, an EPC or the newest events of a place has the
same answer in both::

    python -m bench.query --events 200000
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from fabric.epcis import Role
from fabric.lineage.rows import EVENT_COLUMNS, LINE_COLUMNS
from fabric.query.conditions import Condition, EventTime, Place, Query, Steps, Things
from fabric.query.pattern import Pattern
from fabric.query.run import Events
from fabric.store.engine import reader_engine, writer_engine
from fabric.store.schema import metadata
from fabric.visibility.reader import Reader
from ledger.log.schema import metadata as log_metadata
from ledger.shape import time_text

SEED: Final = 20_260_722
MEMBERS: Final = 5
PLACES: Final = 50
PRODUCTS: Final = 100
PER_CAPTURE: Final = 1_000
PER_BLOCK: Final = 5_000
GROUPS: Final = 1_000
SERIALS: Final = 3
STEP_US: Final = 3_600_000
START_US: Final = 1_760_000_000_000_000
STEPS: Final = ("commissioning", "packing", "storing", "shipping", "receiving")
CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
FIELDS: Final = ("epcList", "childEPCs", "parentID", "inputEPCList", "outputEPCList")
PER_PAGE: Final = 30
ASKED: Final = 300

Result = dict[str, Any]


def fill(path: Path, events: int) -> None:
    """Write a store of so many events, a multiple of a block."""
    engine = writer_engine(path)
    log_metadata.create_all(engine)
    metadata.create_all(engine)
    engine.dispose()
    database = sqlite3.connect(path)
    database.executescript("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL; BEGIN")
    classes = [(1 + number, f"m{number}") for number in range(MEMBERS)]
    classes += [(1 + MEMBERS + number, _pair(number)) for number in range(MEMBERS)]
    _insert(database, "class", ("id", "members"), classes)
    places = [(1 + number, _place(number), "place") for number in range(PLACES)]
    _insert(database, "thing", ("id", "iri", "kind"), places)
    for block in range(events // PER_BLOCK):
        _write_block(database, block)
    captures = events // PER_CAPTURE
    seals = [
        (2 * one + 1, 2 * one, time_text(_time_us((one + 1) * PER_CAPTURE) // 1000), 0, 0)
        for one in range(captures)
    ]
    _insert(database, "seal", ("idx", "first", "time", "changes_before", "changes_after"), seals)
    _insert(database, "head", ("id", "origin", "size", "root"), [(1, "bench.example/log", 2 * captures, b"")])
    database.commit()
    database.close()


def _write_block(database: sqlite3.Connection, block: int) -> None:
    things, lines, events, records = list[Any](), list[Any](), list[Any](), list[Any]()
    families, listed = list[Any](), set[tuple[int, int]]()
    for number in range(block * PER_BLOCK, (block + 1) * PER_BLOCK):
        group = block * GROUPS + number % GROUPS
        turn = number % PER_BLOCK // GROUPS
        serials = range(group * SERIALS, (group + 1) * SERIALS)
        ids = [1 + PLACES + serial for serial in serials]
        if turn == 0:
            things += [(one, _serial(serial), "serial") for one, serial in zip(ids, serials, strict=True)]
        member = group % MEMBERS
        class_id = 1 + member + (MEMBERS if turn >= 3 else 0)
        place = (group * 7 + turn) % PLACES
        record = 1 + number
        body = _body(number, turn, place, serials)
        events.append(_event(record, number, turn, place, f"m{member}", class_id))
        lines += [(record, at, one, "object", "1", None, None, None) for at, one in enumerate(ids)]
        lines.append((record, SERIALS, 1 + place, "mention", None, None, None, None))
        records.append((record, 1 + number // PER_CAPTURE, 1 + number % PER_CAPTURE, 2, f"m{member}", None, 0, record.to_bytes(32), b"", body))  # fmt: skip
        families.append((class_id, _product(serials[0]), _time_us(number), record))
        listed |= {(class_id, one) for one in ids}
    _insert(database, "thing", ("id", "iri", "kind"), things)
    _insert(database, "event", EVENT_COLUMNS, events)
    _insert(database, "line", LINE_COLUMNS, lines)
    names = (
        "id",
        "capture",
        "position",
        "kind",
        "member",
        "event_id",
        "declares",
        "commitment",
        "digest",
        "body",
    )
    _insert(database, "record", names, records)
    _insert(database, "family", ("class", "start", "time_us", "record"), families)
    _insert(database, "listed", ("class", "thing"), sorted(listed))


def _event(record: int, number: int, turn: int, place: int, member: str, class_id: int) -> tuple[Any, ...]:
    values = {
        "record": record, "seq": number // PER_CAPTURE * 2, "position": 1 + number % PER_CAPTURE, "member": member,
        "type": "ObjectEvent", "action": "OBSERVE" if turn else "ADD", "time_us": _time_us(number), "offset_min": 0,
        "step": STEPS[turn], "disposition": "in_progress", "read_point": 1 + place, "biz_location": 1 + place,
        "content": record.to_bytes(16), "declares": 0, "class": class_id,
    }  # fmt: skip
    return tuple(values.get(name) for name in EVENT_COLUMNS)


def _body(number: int, turn: int, place: int, serials: range) -> bytes:
    value = {
        "@context": [CONTEXT],
        "action": "OBSERVE" if turn else "ADD",
        "bizLocation": {"id": _place(place)},
        "bizStep": STEPS[turn],
        "disposition": "in_progress",
        "epcList": [_serial(serial) for serial in serials],
        "eventTime": time_text(_time_us(number) // 1000),
        "eventTimeZoneOffset": "+00:00",
        "readPoint": {"id": _place(place)},
        "type": "ObjectEvent",
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _insert(database: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    database.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(columns))})', rows)


def _time_us(number: int) -> int:
    return START_US + number * STEP_US


def _pair(number: int) -> str:
    return " ".join(sorted({f"m{number}", f"m{(number + 1) % MEMBERS}"}))


def _place(number: int) -> str:
    return f"https://places.example/{number:04}"


def _product(number: int) -> str:
    return f"https://id.gs1.org/01/0950600013{number // SERIALS % PRODUCTS:04}/21/"


def _serial(number: int) -> str:
    return f"{_product(number)}{number:09}"


class Questions:
    """Random questions about a store of so many events, which members and an inspector ask in turn."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._chance = random.Random(SEED)
        members = [Reader(f"m{number}", frozenset({f"m{number}"})) for number in range(MEMBERS)]
        self.readers = (*members, Reader("inspector", frozenset({"inspector"}), all=True))

    def sorts(self) -> Iterator[tuple[str, Callable[[Events, Reader], object]]]:
        """Names of what is asked, and how; each call asks another one."""
        yield "everything, newest first", self._page(lambda: ())
        yield "by EPC", self._page(lambda: (self._epc(),))
        yield "MATCH_anyEPC, all serials of a product", self._page(lambda: (self._pattern(_product),))
        yield "MATCH_anyEPC, all of a company", self._page(lambda: (self._pattern(lambda _: _COMPANY),))
        yield "time window of one hour", self._page(lambda: (self._hour(1),))
        yield "by bizLocation", self._page(lambda: (self._at(),))
        yield "by bizLocation, a day", self._page(lambda: (self._at(), self._hour(24)))
        yield "by bizLocation, recordTime order", self._page(lambda: (self._at(),), "recordTime")
        yield "by bizStep", self._page(lambda: (Steps(frozenset({_SHIPPING})),))
        yield "list of EPCs", self._listed("epc", lambda: _serial(self._group() * SERIALS))
        yield (
            "list of bizLocations",
            self._listed("bizLocation", lambda: _place(self._chance.randrange(PLACES))),
        )
        yield "list of bizSteps", self._listed("bizStep", lambda: None)

    def _page(
        self, make: Callable[[], tuple[Condition, ...]], order: str | None = None
    ) -> Callable[[Events, Reader], object]:
        return lambda events, reader: events.page(reader, Query(make(), order), per_page=PER_PAGE)

    def _listed(self, field: str, after: Callable[[], str | None]) -> Callable[[Events, Reader], object]:
        return lambda events, reader: events.values(reader, field, per_page=PER_PAGE, after=after())

    def _group(self) -> int:
        return self._chance.randrange(self._events // PER_BLOCK * GROUPS)

    def _epc(self) -> Condition:
        iri = _serial(self._group() * SERIALS)
        return Things(frozenset({Role.OBJECT}), False, (Pattern(iri, iri),), FIELDS, "MATCH_anyEPC")

    def _pattern(self, start_of: Callable[[int], str]) -> Condition:
        start = start_of(self._group() * SERIALS)
        pattern = Pattern(start, None, (start,), re.escape(start) + ".*")
        return Things(frozenset({Role.OBJECT}), False, (pattern,), FIELDS, "MATCH_anyEPC")

    def _at(self) -> Condition:
        return Place("bizLocation", frozenset({_place(self._chance.randrange(PLACES))}))

    def _hour(self, hours: int) -> Condition:
        begin = _time_us(self._chance.randrange(self._events))
        return EventTime(begin, begin + hours * 3_600_000_000)


_COMPANY: Final = "https://id.gs1.org/01/0950600013"
_SHIPPING: Final = "https://ref.gs1.org/cbv/BizStep-shipping"


def ask(engine: Engine, events: int, asked: int) -> dict[str, list[float]]:
    """Milliseconds of each question of each sort."""
    questions, answers = Questions(events), Events(engine, lambda iri, time_us: None)
    found: dict[str, list[float]] = {}
    for name, question in questions.sorts():
        for reader in questions.readers:
            question(answers, reader)
        took = found[name] = []
        for number in range(asked):
            reader = questions.readers[number % len(questions.readers)]
            began = time.perf_counter()
            question(answers, reader)
            took.append((time.perf_counter() - began) * 1000)
    return found


def measure(events: int, asked: int = ASKED) -> list[Result]:
    """Quantiles of each sort of question over a store of about `events` events, beside those over a tenth of it."""
    large = max(2, events // PER_BLOCK) * PER_BLOCK
    small = max(1, events // 10 // PER_BLOCK) * PER_BLOCK
    took: list[dict[str, list[float]]] = []
    for size in (small, large):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "query.db"
            began = time.perf_counter()
            fill(path, size)
            print(f"loaded {size} events in {time.perf_counter() - began:.0f} s", file=sys.stderr)
            engine = reader_engine(path)
            took.append(ask(engine, size, asked))
            engine.dispose()
    return [row for name in took[0] for row in _rows(name, large, small, took[0][name], took[1][name])]


def _rows(name: str, large: int, small: int, less: list[float], more: list[float]) -> Iterator[Result]:
    for word, at in (("p50", 49), ("p95", 94), ("p99", 98)):
        value, other = (statistics.quantiles(one, n=100)[at] for one in (more, less))
        yield {
            "name": f"query {name}, {large} events, {word}",
            "value": value,
            "unit": "ms",
            "against": f"the same at {small}",
            "ratio": value / other,
        }


def main() -> None:
    """Measure and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--asked", type=int, default=ASKED, help="questions of each sort")
    options = parser.parse_args()
    for row in measure(options.events, options.asked):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
