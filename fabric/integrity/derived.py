"""Relational projections, derived afresh from the stored records in a scratch file and compared row by row.

The scratch file has the tables of projections only and takes all else from the copy that is attached to it. Things
and classes keep the numbers they have there, so that rows of numbers can be compared as they are. Rows are paired by
SQLite, on their keys: what passes through memory are differences only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from fabric.capture.indexing import VERSIONS, Indexer
from fabric.capture.rebuild import project_all
from fabric.lineage.derived import EdgeKind
from fabric.store.engine import writer_engine
from fabric.store.migrate import create_projections, projection_tables
from fabric.store.schema import metadata, projection, touched
from ledger.log.fault import KEPT_OF_A_RULE
from ledger.registry import Registry

from .moment import spelled
from .run import DAMAGED, Run, reason, require_room

STORED: Final = "stored"
"""The name under which the copy is attached."""

_LEAST_KIND: Final = "device"
_RECORD_COLUMNS: Final = frozenset({"record", "dispatch", "opened_by"})
_THING_COLUMNS: Final = frozenset({"thing", "parent", "child", "carrier", "src", "dst", "read_point"})
_NAMING: Final = (
    ("line", "thing"),
    ("line", "lot"),
    ("named", "thing"),
    ("master", "thing"),
    ("same", "thing"),
    ("event", "read_point"),
    ("event", "biz_location"),
)

UNCOMPARED: Final = frozenset({projection.name, touched.name})
"""Tables that no second derivation gives alike; `_marks` and `_versions` hold them to what must be true of them."""

# What the order of arrival decides is a name, not a fact: the number of a contradiction, the order of its parts.
_UNORDERED: Final = {
    "lineage_contradiction": ("things", "records"),
    "lineage_summary": ("body",),
}
_NUMBERED: Final = {"lineage_contradiction": ("thing", "scope", "kind", "things", "records", "detail")}

Body = Callable[[Connection], None]


@contextmanager
def scratch(fresh: Path, copy: Path) -> Iterator[Connection]:
    """A connection to an empty scratch file beside the copy, in a transaction that nobody needs to survive."""
    engine = writer_engine(fresh)
    try:
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.text_factory = spelled
            connection.exec_driver_sql("COMMIT")
            for pragma in ("synchronous=OFF", "journal_mode=OFF", "secure_delete=OFF", "foreign_keys=OFF"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
            connection.exec_driver_sql(f"ATTACH ? AS {STORED}", (str(copy),))
            connection.exec_driver_sql("BEGIN")
            yield connection
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("BEGIN")
    finally:
        engine.dispose()


def derive(run: Run, connection: Connection, registry: Registry) -> bool:
    """Project everything; False, and a fault, where the records no longer say what they must for that."""
    create_projections(connection)
    _seed(connection)
    try:
        project_all(
            connection, Indexer(registry), lambda done, total: run.progress("projections", done, total)
        )
    except (*DAMAGED, SQLAlchemyError) as error:
        require_room(error)
        run.faults.note(
            "underivable", "projections", f"expected records to derive them from, got: {reason(error)}"
        )
        return False
    return True


def compare(run: Run, connection: Connection) -> None:
    """Note each row of the copy that the records do not give, and each that is missing."""
    run.count["projection"] = 0
    for part in (_versions, _orphans, _marks):
        with run.part("projections"):
            part(run, connection)
    for name in projection_tables():
        if name not in UNCOMPARED:
            with run.part(f"table {name}"):
                _Comparison(run, connection, metadata.tables[name]).run()


def cut(connection: Connection, size: int) -> None:
    """Let the scratch file show the copy as it was at an earlier tree size: unqualified names find its tables first."""
    for name in ("capture", "link"):
        connection.exec_driver_sql(
            f"CREATE TABLE main.{name} AS SELECT * FROM {STORED}.{name} WHERE idx < ?", (size,)
        )
        connection.exec_driver_sql(f"CREATE INDEX main.cut_{name} ON {name} (statement)")
    connection.exec_driver_sql(f"CREATE TABLE main.head AS SELECT * FROM {STORED}.head")
    connection.exec_driver_sql("UPDATE main.head SET size = ?", (size,))


def _seed(connection: Connection) -> None:
    # The kind is told again by who names the thing; the least of all kinds gives way to any.
    connection.exec_driver_sql(
        f"INSERT OR IGNORE INTO main.thing (id, iri, kind) SELECT id, iri, ? FROM {STORED}.thing",
        (_LEAST_KIND,),
    )
    connection.exec_driver_sql(f'INSERT OR IGNORE INTO main."class" SELECT * FROM {STORED}."class"')


def _versions(run: Run, connection: Connection) -> None:
    found = dict(map(tuple, connection.exec_driver_sql(f"SELECT name, version FROM {STORED}.projection")))
    for name in sorted(found.keys() - VERSIONS.keys()):
        run.faults.note("projection-version", f"projection {name}", "expected none of this name, got one")


def _marks(run: Run, connection: Connection) -> None:
    """Which batch changed a record last follows from no record; but it is one of the log, behind the record's own."""
    query = (
        f"SELECT t.record, t.seq FROM {STORED}.touched t LEFT JOIN {STORED}.event e ON e.record = t.record"
        f" WHERE e.record IS NULL OR t.seq < e.seq OR t.seq >= (SELECT size FROM {STORED}.head)"
    )
    for record, _ in connection.exec_driver_sql(query):
        place = f"touched record {_named(connection, 'record', record)}"
        run.faults.note("projection", place, "expected a later index of this log, got another")


def _orphans(run: Run, connection: Connection) -> None:
    """Things that no record names would be in no fresh index: their numbers were only lent."""
    named = " UNION ".join(
        f"SELECT {column} FROM main.{table} WHERE {column} IS NOT NULL" for table, column in _NAMING
    )
    query = f"SELECT iri FROM main.thing WHERE id NOT IN ({named})"
    for (iri,) in connection.exec_driver_sql(query):
        run.faults.note(
            "projection", f"thing {iri}", "expected a thing that some record names, got one none does"
        )


class _Comparison:
    """One table of the scratch file beside that of the copy."""

    def __init__(self, run: Run, connection: Connection, table: Table) -> None:
        self._run = run
        self._connection = connection
        self._table = table
        self._names = [column.name for column in table.c]
        self._key = [column.name for column in table.primary_key]

    def run(self) -> None:
        """Compare it; counts the rows that should be there."""
        count = self._connection.exec_driver_sql(f'SELECT count(*) FROM main."{self._table.name}"')
        self._run.count["projection"] += int(count.scalar_one())
        if self._table.name in _NUMBERED:
            self._by_content()
            return
        for row in self._only("main", STORED):
            self._fault(row, "expected a row that the records give, got none")
        for row in self._only(STORED, "main"):
            self._fault(row, "expected no such row, got one")
        for right, got in self._differing():
            other = [name for name, one, two in zip(self._names, right, got, strict=True) if one != two]
            if other:
                self._fault(got, f"expected what the records give, got another {', '.join(other)}")

    def _only(self, here: str, there: str) -> Iterator[tuple[Any, ...]]:
        yield from self._rows(
            f"SELECT {self._columns('a')} FROM {here}.{self._quoted} a LEFT JOIN {there}.{self._quoted} b"
            f' ON {self._keyed} WHERE b."{self._key[0]}" IS NULL'
        )

    def _differing(self) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        rest = [name for name in self._names if name not in self._key]
        if not rest:
            return
        unlike = " OR ".join([f'a."{name}" IS NOT b."{name}"' for name in rest])
        query = (
            f"SELECT {self._columns('a')}, {self._columns('b')} FROM main.{self._quoted} a"
            f" JOIN {STORED}.{self._quoted} b ON {self._keyed} WHERE {unlike}"
        )
        width = len(self._names)
        for row in self._rows(query):
            yield self._settled(row[:width]), self._settled(row[width:])

    def _by_content(self) -> None:
        """Rows whose number follows from the order of arrival, paired by all else that they say."""
        right = {self._numberless(row): row for row in self._all("main")}
        for row in self._all(STORED):
            if right.pop(self._numberless(row), None) is None:
                self._fault(row, "expected no such row, got one")
        for row in right.values():
            self._fault(row, "expected a row that the records give, got none")

    def _all(self, where: str) -> Iterator[tuple[Any, ...]]:
        yield from self._rows(f"SELECT {self._columns('a')} FROM {where}.{self._quoted} a")

    def _numberless(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(
            [value for name, value in zip(self._names, self._settled(row), strict=True) if name != "n"]
        )

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        for row in self._connection.exec_driver_sql(query):
            yield tuple(row)

    @property
    def _quoted(self) -> str:
        return f'"{self._table.name}"'

    @property
    def _keyed(self) -> str:
        return " AND ".join([f'a."{name}" = b."{name}"' for name in self._key])

    def _columns(self, alias: str) -> str:
        return ", ".join([f'{alias}."{name}"' for name in self._names])

    def _settled(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """A row with its JSON lists in one order."""
        unordered = _UNORDERED.get(self._table.name, ())
        return tuple(
            [
                _ordered(value) if name in unordered else value
                for name, value in zip(self._names, row, strict=True)
            ]
        )

    def _fault(self, row: Sequence[Any], message: str) -> None:
        # Beyond those that are kept, finding the names would only cost time.
        if self._run.faults.counts[f"projection-{self._table.name}"] >= KEPT_OF_A_RULE:
            self._run.faults.note(f"projection-{self._table.name}", self._table.name, message)
            return
        values = dict(zip(self._names, row, strict=True))
        identity = list(_NUMBERED.get(self._table.name, self._key)[:4])
        if self._table.name == "lineage_edge" and values["kind"] == EdgeKind.SAME.value:
            # Such an edge is stated by a link, whose number stands in the place of a record's.
            values["link"] = values.pop("record")
            identity = ["link" if name == "record" else name for name in identity]
        parts = [f"{name} {_named(self._connection, name, values[name])}" for name in identity]
        name, member, entry = _record_of(self._connection, values)
        self._run.faults.note(
            f"projection-{self._table.name}",
            f"{self._table.name} {', '.join(parts)}",
            message,
            record=name,
            member=member,
            entry=entry,
        )


def _record_of(connection: Connection, values: dict[str, Any]) -> tuple[str | None, str | None, int | None]:
    """The record that a row is about: its name, whose it is, its log index."""
    number = next((values[name] for name in ("record", "dispatch", "opened_by") if name in values), None)
    query = (
        f"SELECT lower(hex(r.commitment)), r.member, c.idx FROM {STORED}.record r"
        f" JOIN {STORED}.capture c ON c.id = r.capture WHERE r.id = ?"
    )
    found = connection.exec_driver_sql(query, (number,)).first()
    return (None, None, None) if found is None else (found[0], found[1], found[2])


def _named(connection: Connection, name: str, value: Any) -> str:
    if name in _RECORD_COLUMNS:
        query, kind = f"SELECT lower(hex(commitment)) FROM {STORED}.record WHERE id = ?", "record"
    elif name in _THING_COLUMNS:
        query, kind = f"SELECT iri FROM {STORED}.thing WHERE id = ?", "thing"
    else:
        return str(value)
    if kind == "thing" and isinstance(value, int) and value < 0:
        # Processes and fillings of carriers are numbered below zero (docs/spec/lineage.md).
        return f"process or filling {value}"
    found = connection.exec_driver_sql(query, (value,)).scalar()
    return str(found) if found is not None else f"{kind} number {value}"


def _ordered(text: Any) -> Any:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return text
    return json.dumps(_sorted(value))


def _sorted(value: Any) -> Any:
    """Lists of lists, and lists of numbers, in one order; a row of mixed values stays as it is."""
    if not isinstance(value, list):
        return value
    inner = [_sorted(item) for item in value]
    if all(isinstance(item, list) for item in inner) or all(type(item) is int for item in inner):
        return sorted(inner, key=json.dumps)
    return inner
