"""One random change anywhere in a node's folder: what was changed, where, and whether it is one that nobody can tell.

A change is made behind the node's back: a row by SQL, a byte by hand. Whether it may go unnoticed is decided here
without the check's help: by the table of what is not covered, and for bytes of a database by what SQL still reads.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pyoxigraph import RdfFormat, Store

from fabric.integrity.coverage import COLUMNS, FILES, OF_ERASED, ROWS
from fabric.store.schema import DURABLE, metadata
from ledger.log.schema import metadata as log_metadata

DATABASE = "loomark.db"
NAMES_OF_FILES = {"log/checkpoint": "checkpoint file", "high-water": "high-water file"}


@dataclass(frozen=True)
class Change:
    """What was done: its kind, the file, `table.column` or `table.*`, a line for people; the row that was changed."""

    kind: str
    place: str
    told: str
    row: tuple[Any, ...] = ()


Flip = Callable[[Path, random.Random], Change]


def rows_of(names: tuple[str, ...], kind: str) -> Flip:
    """A change of one row of some tables: one value, or the whole row gone."""

    def flip(folder: Path, chance: random.Random) -> Change:
        with closing(sqlite3.connect(folder / DATABASE)) as database:
            database.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            database.execute("PRAGMA ignore_check_constraints=ON")
            while True:
                change = _change_row(database, chance.choice(names), kind, chance)
                if change is not None:
                    return change

    return flip


def _change_row(database: sqlite3.Connection, table: str, kind: str, chance: random.Random) -> Change | None:
    cursor = database.execute(f'SELECT * FROM "{table}"')
    columns = [one[0] for one in cursor.description]
    rows = cursor.fetchall()
    if not rows:
        return None
    row = chance.choice(rows)
    where = " AND ".join([f'"{name}" IS ?' for name in columns])
    if chance.random() < 0.1:
        database.execute(f'DELETE FROM "{table}" WHERE {where}', row)
        database.commit()
        return Change(kind, f"{table}.*", f"row of {table} deleted: {row!r:.80}", row)
    at = chance.randrange(len(columns))
    value = _other(row[at], chance)
    try:
        database.execute(f'UPDATE "{table}" SET "{columns[at]}" = ? WHERE {where}', (value, *row))
    except sqlite3.IntegrityError:
        return None
    database.commit()
    told = f"{table}.{columns[at]} of {row[0]!r:.20}: {row[at]!r:.60} -> {value!r:.60}"
    return Change(kind, f"{table}.{columns[at]}", told, row)


def _other(value: Any, chance: random.Random) -> Any:
    """Another value of the same type, one bit or one step away; now and then nothing in the place of something."""
    if value is not None and chance.random() < 0.1:
        return None
    if isinstance(value, int):
        return value + chance.choice([-1, 1, 2, 1 << 20])
    if isinstance(value, bytes):
        return _flipped(value, chance) if value else b"\x00"
    if isinstance(value, str) and value:
        return _flipped(value.encode("utf-8", "surrogateescape"), chance).decode("utf-8", "replace")
    return chance.choice([1, "x"])


def _flipped(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(7))]) + data[at + 1 :]


def byte_of(pattern: str, kind: str) -> Flip:
    """A change of one byte of some file; now and then the file is cut short, or gone."""

    def flip(folder: Path, chance: random.Random) -> Change:
        found = sorted(path for path in folder.glob(pattern) if path.is_file() and path.stat().st_size)
        path = chance.choice(found)
        place = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        dice = chance.random()
        if dice < 0.05 and path.name != DATABASE:
            path.unlink()
            return Change(kind, place, f"{place} removed")
        if dice < 0.1:
            path.write_bytes(data[: chance.randrange(len(data))])
            return Change(kind, place, f"{place} cut to {path.stat().st_size} of {len(data)} bytes")
        at = chance.randrange(len(data))
        bit = 1 << chance.randrange(8)
        path.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
        return Change(
            kind, place, f"{place} byte {at} of {len(data)}: {data[at]:02x} -> {data[at] ^ bit:02x}"
        )

    return flip


def _tables(durable: bool) -> tuple[str, ...]:
    kept = {table.name for table in DURABLE}
    return tuple(table.name for table in metadata.sorted_tables if (table.name in kept) == durable)


LOG_TABLES = tuple(table.name for table in log_metadata.sorted_tables)
FLIPS: dict[str, Flip] = {
    "records, salts": rows_of(("record", "capture"), "records, salts"),
    "documents, jobs, links": rows_of(
        tuple(name for name in _tables(True) if name not in ("record", "capture")), "documents, jobs, links"
    ),
    "log tables": rows_of(LOG_TABLES, "log tables"),
    "entries, heads": rows_of(("entry", "head", "checkpoint"), "entries, heads"),
    "lineage rows": rows_of(
        tuple(name for name in _tables(False) if name.startswith("lineage_")), "lineage rows"
    ),
    "sight rows": rows_of(("event", "class", "shown", "handed", "named", "touched"), "sight rows"),
    "other projections": rows_of(("thing", "line", "master", "same", "projection"), "other projections"),
    "bytes of the database": byte_of(DATABASE, "bytes of the database"),
    "bytes of the write-ahead log": byte_of(f"{DATABASE}-wal", "bytes of the write-ahead log"),
    "tiles, bundles": byte_of("log/tile/**/*", "tiles, bundles"),
    "checkpoint": byte_of("log/checkpoint", "checkpoint"),
    "high-water": byte_of("high-water", "high-water"),
    "keys": byte_of("keys/**/*", "keys"),
    "graph store": byte_of("graph/store/*", "graph store"),
    "graph snapshot": byte_of("graph/snap-*/*", "graph snapshot"),
    "graph pointer, notes": byte_of("graph/*", "graph pointer, notes"),
}


def may_go_unnoticed(change: Change, folder: Path, whole: Path) -> bool:
    """Whether a change is one that nobody can tell, by the table and by what is still read from the folder."""
    name = change.place
    if name.startswith((DATABASE, "graph/progress.db")):
        file = name.removesuffix("-wal")
        return any(fnmatch(name, one.place) for one in FILES) or same_rows(folder / file, whole / file)
    if name == "graph/PURGED":
        return not (folder / name).exists() or (folder / name).read_bytes() in _erasure_lines(whole)
    if name.startswith("graph/"):
        if (
            name.startswith("graph/snap-")
            and (whole / "graph/CURRENT").read_text().strip() != name.split("/")[1]
        ):
            return True
        return any(fnmatch(name, one.place) for one in FILES) or _same_quads(folder, whole, name)
    if name.startswith("log/tile/") and not (folder / name).exists():
        widths = [int(path.name) for path in (whole / name).parent.iterdir() if path.name.isdecimal()]
        return ".p/" in name and int(Path(name).name) < max(widths)
    if "/" in name or name == "high-water":
        return any(fnmatch(name, one.place) for one in FILES)
    table = name.partition(".")[0]
    if name.endswith(".*"):
        return table in {one.place for one in ROWS} and _may_be_lost(table, change.row, whole)
    if name in {one.place for one in OF_ERASED}:
        # The body stands last in the table of records.
        return change.row[-1] is None
    return is_uncovered(name) and (table != "class" or not _is_used(whole, folder))


def _erasure_lines(whole: Path) -> set[bytes]:
    """What the graph's note of the last erasure may say."""
    with closing(sqlite3.connect(whole / DATABASE)) as database:
        stated = [index for (index,) in database.execute("SELECT idx FROM erasure WHERE idx IS NOT NULL")]
    return {f"{index}\n".encode() for index in (-1, *stated)}


def _may_be_lost(table: str, row: tuple[Any, ...], whole: Path) -> bool:
    """Whether this row is one of those that the table of what is not covered means."""
    with closing(sqlite3.connect(whole / DATABASE)) as database:
        if table == "class":
            return row[0] not in _used(database)
        if table == "checkpoint":
            query = "SELECT type FROM statement WHERE idx < ? ORDER BY idx DESC LIMIT 1"
            (kind,) = database.execute(query, (row[0] - 1,)).fetchone()
            return kind in ("charter", "member", "key", "role", "delegation")
    return table != "statement"


def is_uncovered(column: str) -> bool:
    """Whether a `table.column` is in the table of what is not covered."""
    return any(fnmatch(column, one.place) for one in COLUMNS)


def same_rows(database: Path, whole: Path) -> bool:
    """Whether SQL reads the same from two databases, but for columns that are not covered."""
    try:
        return list(_rows(database)) == list(_rows(whole))
    except sqlite3.DatabaseError:
        return False


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.text_factory = bytes
        tables = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall()
        for name, _ in tables:
            table = name.decode()
            cursor = database.execute(f'SELECT * FROM "{table}" NOT INDEXED')
            kept = [at for at, one in enumerate(cursor.description) if not is_uncovered(f"{table}.{one[0]}")]
            for row in sorted([tuple(row[at] for at in kept) for row in cursor], key=repr):
                yield table, row


def _is_used(whole: Path, folder: Path) -> bool:
    """Whether a changed class is one that a record is in."""
    with (
        closing(sqlite3.connect(whole / DATABASE)) as right,
        closing(sqlite3.connect(folder / DATABASE)) as got,
    ):
        before = set(right.execute('SELECT id, members FROM "class"'))
        after = set(got.execute('SELECT id, members FROM "class"'))
        return not {number for number, _ in before ^ after}.isdisjoint(_used(right))


def _used(database: sqlite3.Connection) -> set[int]:
    queries = ('SELECT "class" FROM event', "SELECT partial FROM event", 'SELECT "class" FROM same')
    return {number for query in queries for (number,) in database.execute(query)}


def _same_quads(folder: Path, whole: Path, name: str) -> bool:
    """Whether the graph that a file belongs to still gives the same quads."""
    place = "/".join(name.split("/")[:2])
    try:
        return _quads(folder / place) == _quads(whole / place)
    except OSError:
        return False


def _quads(path: Path) -> list[bytes]:
    return sorted((Store.read_only(str(path)).dump(format=RdfFormat.N_QUADS) or b"").splitlines())


def names_the_place(change: Change, places: list[str], rules: list[str]) -> bool:
    """Whether some fault is about the file or the table that was changed."""
    name = change.place
    if name.startswith(DATABASE):
        return bool(places)
    if "/" in name or name == "high-water":
        file = NAMES_OF_FILES.get(name, name.removeprefix("log/"))
        folder = "/".join(name.split("/")[:2]) if name.startswith("graph/") else file
        return any(place.startswith((file, folder)) for place in places)
    table = name.partition(".")[0]
    told = _TOLD.get(table, (table,))
    return any(place.startswith(told) for place in places) or any(
        rule.startswith(f"projection-{table}") for rule in rules
    )


_TOLD = {
    "record": ("record", "capture", "event"),
    "capture": ("capture", "statement", "record", "job"),
    "document": ("document", "record", "job"),
    "job": ("job", "document", "capture"),
    "link": ("link", "statement", "same", "lineage_edge", "projections"),
    "erasure": ("erasure", "statement", "record", "document", "erased"),
    "erased": ("erased", "record"),
    "erased_by": ("erased", "record"),
    "erased_name": ("erased",),
    "credential": ("credential",),
    "entry": ("entry", "checkpoint file", "table entry"),
    "statement": ("entry", "statement", "capture", "link", "erasure", "table statement"),
    "seal": ("entry", "table seal"),
    "registry_change": ("entry", "table registry_change"),
    "checkpoint": ("checkpoint", "table checkpoint"),
    "head": ("head", "checkpoint file", "database", "table", "projections"),
    "projection": ("projection",),
    "class": ("class", "event", "projections"),
    "thing": ("thing", "line", "event", "lineage_", "master", "same", "named", "handed", "projections"),
    "touched": ("touched", "graph"),
    "retention": ("retention",),
}


def copied(whole: Path, target: Path) -> Path:
    """A fresh copy of a folder, in the place of the last one."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(whole, target)
    return target
