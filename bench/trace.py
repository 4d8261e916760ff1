"""Traces in a store of a million events: forward over 100,000 lots, random recalls, a deep chain.

The store is written straight into the tables in the rows that lineage writes, so that it takes seconds: supply
trees of lots in which a process turns two lots into four, each lot dispatched and received once. Lots of one
tree lie scattered over the whole store, as they do when many companies capture at once::

    python -m bench.trace --events 1000000
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from fabric.lineage.derived import Leg as LegRow
from fabric.lineage.derived import ProcessNode, State, Stock, Summary
from fabric.lineage.node import node_id
from fabric.lineage.rows import EVENT_COLUMNS, LINE_COLUMNS
from fabric.lineage.tables import body_of
from fabric.store.engine import reader_engine, writer_engine
from fabric.store.schema import metadata
from fabric.trace import Budget, Coverage, Direction, Question, reach, trace
from fabric.trace.sql import sql_source

SEED = 20_260_101
LEVELS = 8
START_US = 1_760_000_000_000_000
HOUR_US = 3_600_000_000
PLACES = 400
MEMBERS = 5
GTIN = "https://id.gs1.org/01/09506000134352/10/"
PROCESS_LOTS = 4
EVENTS_PER_LOT = 2 + 1 / PROCESS_LOTS
"""A dispatch and a receipt of each lot, and a process for four."""

Result = dict[str, Any]


@dataclass
class Tree:
    """A supply tree: its lots by level, as numbers; the root is the only lot of level 0."""

    levels: list[list[int]]

    @property
    def size(self) -> int:
        return sum(map(len, self.levels))


def widths(lots: int, levels: int) -> list[int]:
    """How many lots each level after the root has: growing, then level, in fours."""
    shares = [2.0**level for level in range(levels)]
    shares = [min(share, 2.0 ** (levels - 3)) for share in shares]
    found = [
        max(PROCESS_LOTS, round(lots * share / sum(shares) / PROCESS_LOTS) * PROCESS_LOTS) for share in shares
    ]
    found[-1] += lots - sum(found)
    return found


def grow(events: int, large: int, chain: int) -> tuple[list[Tree], Tree, int]:
    """Trees of up to 1,000 lots, one of `large`, and a chain, over scattered lot numbers; and how many lots."""
    chance = random.Random(SEED)
    total = int(events / EVENTS_PER_LOT)
    sizes, left = [], total - large - chain
    while left > 40:
        sizes.append(min(left, chance.randint(10, 1000)))
        left -= sizes[-1]
    numbers = list(range(1, large + chain + sum(sizes) + 1))
    chance.shuffle(numbers)
    free = iter(numbers)
    trees = [_tree(free, large, LEVELS)] + [_tree(free, size, 3) for size in sizes]
    line = Tree([[next(free)] for _ in range(chain)])
    return trees, line, len(numbers)


def _tree(free: Iterator[int], size: int, levels: int) -> Tree:
    wanted = [1, *(width for width in widths(size - 1, levels) if width > 0)]
    return Tree([[next(free) for _ in range(width)] for width in wanted])


class Store:
    """Bulk load of one store; the path of the database is all that outlives it."""

    def __init__(self, path: Path) -> None:
        engine = writer_engine(path)
        metadata.create_all(engine)
        engine.dispose()
        self._database = sqlite3.connect(path)
        self._database.executescript("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL; BEGIN")
        self._chance = random.Random(SEED + 1)
        self._record = 0
        self._lots = 0

    def fill(self, trees: Iterable[Tree], chain: Tree, lots: int) -> int:
        """Write all trees; give the number of events."""
        self._lots = lots
        places = [
            (lots + number, f"https://m{number % MEMBERS}.example/{number}", "place")
            for number in range(1, PLACES + 1)
        ]
        things = [(number, f"{GTIN}{number:07}", "lot") for number in range(1, lots + 1)]
        self._insert("thing", ("id", "iri", "kind"), [*things, *places])
        for tree in (*trees, chain):
            self._write(tree, group=1 if tree is chain else PROCESS_LOTS)
        self._database.execute("COMMIT")
        self._database.execute("ANALYZE")
        self._database.commit()
        self._database.close()
        return self._record

    def _write(self, tree: Tree, group: int) -> None:
        edges: list[tuple[int, ...]] = []
        bodies: list[tuple[int, str]] = []
        events: list[tuple[Any, ...]] = []
        lines: list[tuple[Any, ...]] = []
        before: list[int] = []
        for depth, level in enumerate(tree.levels):
            for start in range(0, len(level), group):
                outputs = level[start : start + group]
                inputs = self._inputs(before, start, group, len(level))
                process = self._event("TransformationEvent", "commissioning", depth, events)
                node = node_id(ProcessNode(process))
                edges += [(lot, node, 1, process, 0) for lot in inputs] + [
                    (node, lot, 2, process, 0) for lot in outputs
                ]
                parts = [(lot, "input", "25") for lot in inputs] + [(lot, "output", "100") for lot in outputs]
                self._lines(process, parts, lines)
                for lot in outputs:
                    bodies.append((lot, self._life(lot, depth, events, lines)))
            before = level
        self._insert("lineage_edge", ("src", "dst", "kind", "record", "inferred"), edges)
        self._insert("lineage_summary", ("thing", "body"), bodies)
        self._insert("event", EVENT_COLUMNS, events)
        self._insert("line", LINE_COLUMNS, lines)
        rows = [(row[0], row[0], 1, 2, row[3], row[6], 0, row[0].to_bytes(32), b"") for row in events]
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
        )
        self._insert("record", names, rows)

    def _inputs(self, before: list[int], start: int, group: int, width: int) -> list[int]:
        """Two lots of the level before; every one of them is used where the next level is wide enough."""
        if not before:
            return []
        first = before[(start // group) % len(before)]
        return sorted({first, self._chance.choice(before)})

    def _life(self, lot: int, depth: int, events: list[Any], lines: list[Any]) -> str:
        """Made at one place, 60 of 100 dispatched to another and received there, 25 used."""
        sent = self._event("ObjectEvent", "shipping", depth, events)
        got = self._event("ObjectEvent", "receiving", depth, events)
        self._lines(sent, [(lot, "object", "60")], lines)
        self._lines(got, [(lot, "object", "60")], lines)
        here, there = (
            f"https://m{number % MEMBERS}.example/{number}"
            for number in self._chance.sample(range(1, PLACES + 1), 2)
        )
        time_us = START_US + depth * 24 * HOUR_US
        is_open = lot % 10 == 0
        leg = LegRow(
            None,
            here,
            there,
            time_us,
            None if is_open else time_us + HOUR_US,
            "KGM",
            Decimal(60),
            None if is_open else Decimal(60),
            "open" if is_open else "received",
            True,
            False,
            (f"urn:desadv:{sent}",),
            (sent,),
            () if is_open else (got,),
        )
        stock = [
            Stock(
                here, "KGM", made=Decimal(100), dispatched=Decimal(60), used=Decimal(25), on_hand=Decimal(15)
            )
        ]
        if not is_open:
            stock.append(Stock(there, "KGM", received=Decimal(60), on_hand=Decimal(60)))
        state = (
            State(sent, time_us, here, None, "in_transit")
            if is_open
            else State(got, time_us, there, None, "held")
        )
        return body_of(Summary(state, stock, [leg]))

    def _event(self, type_: str, step: str, depth: int, events: list[Any]) -> int:
        self._record += 1
        number = self._record
        values = {
            "record": number, "seq": number // 1000, "position": number % 1000, "member": f"m{number % MEMBERS}", "type": type_,
            "action": None if type_[0] == "T" else "OBSERVE", "event_id": f"urn:uuid:{number:032x}",
            "time_us": START_US + depth * 24 * HOUR_US, "offset_min": 60, "step": step, "disposition": "in_progress",
            "read_point": self._lots + 1 + number % PLACES, "facts": '{"sha":"00"}', "content": number.to_bytes(16), "declares": 0, "class": 1,
        }  # fmt: skip
        events.append(tuple(values.get(name) for name in EVENT_COLUMNS))
        return number

    def _lines(self, number: int, parts: list[tuple[int, str, str]], lines: list[Any]) -> None:
        for order, (lot, role, amount) in enumerate(parts):
            values = {
                "record": number,
                "ord": order,
                "thing": lot,
                "role": role,
                "quantity": amount,
                "unit": "KGM",
            }
            lines.append(tuple(values.get(name) for name in LINE_COLUMNS))

    def _insert(self, table: str, columns: tuple[str, ...], rows: list[Any]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        marks = ", ".join("?" * len(columns))
        self._database.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)


def holder_of(iri: str, _time_us: int) -> str | None:
    """The member whose place it is, from its name."""
    return iri[8:10]


def timed(action: Any, repeat: int = 3) -> tuple[float, Any]:
    """Seconds of the fastest of some runs, and what the last one gave."""
    best, result = float("inf"), None
    for _ in range(repeat):
        begun = time.perf_counter()
        result = action()
        best = min(best, time.perf_counter() - begun)
    return best, result


def sparql_rate(path: Path, lots: int, root: int) -> tuple[float, int]:
    """Lots a second of one SPARQL property path over the same processes, and lots reached.

    The quads are those that the knowledge graph holds of a process (prov:used, prov:wasGeneratedBy), in a store
    on disk, each in the graph of the visibility class of its capturing member; the query reads the graphs of
    all members, as a reader who sees everything does.
    """
    import pyoxigraph as ox

    used, made = (ox.NamedNode(f"http://www.w3.org/ns/prov#{name}") for name in ("used", "wasGeneratedBy"))
    graphs: list[Any] = [ox.NamedNode(f"urn:loomark:class:m{number}") for number in range(MEMBERS)]
    database = sqlite3.connect(path)
    iris = dict(database.execute("SELECT id, iri FROM thing WHERE id <= ?", (lots,)))

    def quads() -> Iterator[Any]:
        for source, target, kind, record in database.execute(
            "SELECT src, dst, kind, record FROM lineage_edge"
        ):
            graph = graphs[record % MEMBERS]
            process = ox.NamedNode(f"urn:loomark:process:{record:064x}")
            if kind == 1:
                yield ox.Quad(process, used, ox.NamedNode(iris[source]), graph)
            else:
                yield ox.Quad(ox.NamedNode(iris[target]), made, process, graph)

    store = ox.Store(str(path.parent / "graph"))
    store.bulk_extend(quads())
    store.optimize()
    database.close()
    query = f"SELECT (COUNT(?x) AS ?n) WHERE {{ <{iris[root]}> (^<{used.value}>/^<{made.value}>)* ?x }}"

    def ask() -> int:
        rows: Any = store.query(query, default_graph=graphs)
        return int(next(iter(rows))[0].value)

    seconds, count = timed(ask, 2)
    return count / seconds, count


def measure(events: int, folder: Path, *, peer: bool = True) -> list[Result]:
    """Load a store of `events` and measure; the results as `bench/results.json` holds them."""
    large = min(100_000, events // 10)
    chain = min(10_000, events // 10)
    path = folder / "trace.db"
    begun = time.perf_counter()
    trees, line, lots = grow(events, large, chain)
    count = Store(path).fill(trees, line, lots)
    print(
        f"loaded {count} events, {lots} lots, {len(trees)} trees in {time.perf_counter() - begun:.0f} s",
        file=sys.stderr,
    )
    engine = reader_engine(path)
    with engine.connect() as connection:
        coverage = Coverage(count, START_US + 400 * 24 * HOUR_US)

        def ask(tree: Tree) -> Any:
            question = Question(f"{GTIN}{tree.levels[0][0]:07}", Direction.FORWARD, budget=Budget(None, None))
            return trace(question, sql_source(connection, coverage, holder_of))

        def walk() -> Any:
            source = sql_source(connection, coverage, holder_of)
            return reach({trees[0].levels[0][0]}, source.neighbours, Direction.FORWARD, Budget(None, None))

        cold, _ = timed(lambda: ask(trees[0]), 1)
        whole, answer = timed(lambda: _held(ask(trees[0])))
        bare, found = timed(walk)
        recalls = []
        for tree in random.Random(SEED + 2).sample(trees[1:], min(100, len(trees) - 1)):
            recalls.append(timed(lambda tree=tree: _held(ask(tree)), 1)[0])
        deep, chained = timed(lambda: ask(line), 1)
        document, text = timed(lambda: json.dumps(ask(trees[1]).as_json()), 1)
    engine.dispose()
    rate, slow = len(found.levels) / bare, statistics.quantiles(recalls, n=20)[-1]
    size, depth = f"{len(answer):,} lots", max(answer.levels.values())
    results: list[Result] = [
        _result(
            f"trace: forward, {size}, {depth} levels, holders and quantities",
            whole,
            "s",
            "1.5 s",
            whole / 1.5,
        ),
        _result("trace: the same, first time", cold, "s", "1.5 s", cold / 1.5),
        _result(f"trace: bare reach, {size}", rate, "lots/s", "", None),
        _result("trace: p95 of 100 recalls up to 1,000 lots", 1000 * slow, "ms", "100 ms", slow / 0.1),
        _result(f"trace: a chain {max(chained.levels.values()):,} deep", deep, "s", "", None),
        _result(f"trace: whole document, {trees[1].size} lots, {len(text):,} bytes", document, "s", "", None),
    ]
    if peer:
        peer_rate, reached = sparql_rate(path, lots, trees[0].levels[0][0])
        assert reached == len(found.levels), (reached, len(found.levels))
        results[2] |= {
            "against": f"SPARQL property path over the same quads in pyoxigraph: {peer_rate:.0f} lots/s",
            "ratio": rate / peer_rate,
        }
    return results


def _held(answer: Any) -> Any:
    """The answer, once the holder of each member has been asked for."""
    for node in answer.order:
        answer.holder(node)
    return answer


def _result(name: str, value: float, unit: str, against: str, ratio: float | None) -> Result:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def main() -> None:
    """Measure and print; `--keep` names a folder that keeps the store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for result in measure(options.events, Path(folder), peer=not options.no_peer):
            print(json.dumps(result))


if __name__ == "__main__":
    main()
