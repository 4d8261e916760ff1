"""Checking a node's data folder against itself: the log, what was captured, and every projection of it.

It runs beside a live node over connections that cannot write. The log is checked at its published tree size;
everything else in a copy of the database taken in one read, so that all rows are of one moment. Stored records
are hashed again to their commitments, those to the capture commitment, that to the signed statement. Projections
are derived afresh in a scratch file and compared row by row.

    report = check_node(Path("data"), Path("data/loomark.db"), key)
    report.faults    # empty when everything is as it must be
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Engine, Table, select
from sqlalchemy.engine import Connection

from fabric.epcis.identity import body_digest
from fabric.epcis.link import parse_link
from fabric.store.engine import reader_engine, writer_engine
from fabric.store.links import StoredLink, stored_link
from fabric.store.migrate import create_projections, projection_tables, stale_projections
from fabric.store.records import StoredCapture
from fabric.store.schema import (
    HEADER,
    capture,
    document,
    job,
    link,
    metadata,
    projection,
    record,
    thing,
    touched,
    visibility_class,
)
from ledger.canonical import canonical
from ledger.capture import capture_commitment
from ledger.commitment import record_commitment
from ledger.errors import InvalidInput, Unavailable
from ledger.log import schema as log
from ledger.log.database import read_head, registry_entries
from ledger.log.fsck import MAX_FAULTS, Fault, LogReport, check_log
from ledger.log.plan import replayed_registry
from ledger.note import VerifierKey
from ledger.statement import parse_envelope

from .indexing import VERSIONS, Indexer
from .rebuild import project_all

_BATCH: Final = 500
_COPIED: Final = "stored"
_LEAST_KIND: Final = "device"

_COMPARED: Final = 10_000
"""Rows of a table that are looked at on each side once it differs: enough to name a hundred faults."""

# When a record was last changed depends on the batches that statements came in.
_UNCOMPARED: Final = frozenset({projection.name, touched.name})

_RECORD_COLUMNS: Final = frozenset({"record", "dispatch"})
_THING_COLUMNS: Final = frozenset({"thing", "parent", "child", "carrier", "src", "dst"})
_NAMING: Final = (
    ("line", "thing"),
    ("line", "lot"),
    ("named", "thing"),
    ("master", "thing"),
    ("same", "thing"),
    ("event", "read_point"),
    ("event", "biz_location"),
)

# What the order of arrival decides is a name, not a fact: the number of a contradiction, the order of its parts.
_UNORDERED: Final = {
    "lineage_contradiction": ("things", "records"),
    "lineage_summary": ("body",),
}
_NUMBERED: Final = {"lineage_contradiction": ("thing", "scope", "kind", "things", "records", "detail")}

Progress = Callable[[str, int, int], None]
"""Called with what is being checked, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What was checked and up to a hundred faults; `size` is the tree size of the log, `head` that of the rows."""

    size: int
    head: int
    documents: int
    captures: int
    records: int
    projections: int
    faults: tuple[Fault, ...]

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        counts = ("size", "head", "documents", "captures", "records", "projections")
        faults = [{"rule": one.rule, "place": one.place, "message": one.message} for one in self.faults]
        return {"clean": not faults, **{name: getattr(self, name) for name in counts}, "faults": faults}


def check_node(
    folder: Path, database: Path, key: VerifierKey, *, progress: Progress | None = None
) -> NodeReport:
    """Check the node whose data lies in `folder`; `key` is its log's.

    Raises Unavailable when the database cannot be read at all or is of another version; all else is a fault.
    """
    if not database.is_file():
        raise Unavailable(f"expected a database at {database}, got none")
    with TemporaryDirectory(prefix="loomark-fsck-") as scratch:
        copy = Path(scratch) / "stored.db"
        _copy(database, copy)
        reading = reader_engine(database)
        try:
            found = check_log(reading, folder / "log", key, high_water=folder / "high-water")
        finally:
            reading.dispose()
        return _check_copy(copy, Path(scratch) / "fresh.db", found, progress or _silent)


def _check_copy(copy: Path, fresh: Path, found: LogReport, progress: Progress) -> NodeReport:
    stored = reader_engine(copy)
    try:
        check = _Check(stored, progress, list(found.faults))
        check.documents()
        check.captures()
        check.links()
        check.jobs()
    finally:
        stored.dispose()
    engine = writer_engine(fresh)
    try:
        _Projections(check, engine, copy).compare()
    finally:
        engine.dispose()
    counts = (check.head, check.count["document"], check.count["capture"], check.count["record"])
    return NodeReport(found.size, *counts, check.count["projection"], tuple(check.faults))


def _copy(database: Path, copy: Path) -> None:
    """Copy a database that may be written meanwhile: one read, so all rows are of one moment.

    It holds the write-ahead log for as long as the copy takes; writers go on, and their log grows.
    """
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise Unavailable(f"the database cannot be read: {error}") from error


def _silent(_what: str, _done: int, _total: int) -> None:
    return


@dataclass
class _Check:
    """One run over the copy. It collects faults and goes on."""

    engine: Engine
    progress: Progress
    faults: list[Fault]
    head: int = 0
    count: dict[str, int] = field(default_factory=dict)

    def fault(self, rule: str, place: str, message: str) -> None:
        """Note a fault; those beyond the hundredth are not kept."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(rule, place, message))

    def documents(self) -> None:
        """Each document unpacks to the bytes whose digest and size it states."""
        for row in self._each(document):
            place = f"document {row.id}"
            try:
                body = zlib.decompress(row.body)
            except zlib.error as error:
                self.fault("document", place, f"expected packed bytes, got none that unpack: {error}")
                continue
            if sha256(body).digest() != row.sha256:
                self.fault("document-digest", place, "expected bytes of the stored SHA-256, got others")
            if len(body) != row.size:
                self.fault("document-size", place, f"expected {row.size} bytes, got {len(body)}")

    def captures(self) -> None:
        """Each capture holds the records that its statement commits to, and each record what it commits to."""
        with self.engine.connect() as connection:
            self.head = read_head(connection).size
        of_record, total = 0, self._total(record)
        for row in self._each(capture):
            of_record += _Capture(self, row).check()
            self.progress("records", of_record, total)
        self.count["record"] = of_record
        if of_record != total:
            self.fault(
                "record-capture", "records", f"expected each in a capture, got {total - of_record} in none"
            )
        self._statements()

    def jobs(self) -> None:
        """Each job answers for a document and a capture that are there."""
        known = {table.name: self._ids(table) for table in (document, capture)}
        for row in self._each(job):
            wanted = {"document": row.document, "capture": row.capture}
            for name, number in wanted.items():
                if number is not None and number not in known[name]:
                    self.fault(f"job-{name}", f"job {row.id}", f"expected its {name}, got none")

    def links(self) -> None:
        """Each link holds the body that its statement commits to, for the parties that the statement names."""
        for row in self._each(link):
            place = f"link {row.id} of {row.member}"
            with self.engine.connect() as connection:
                found, envelope = _stated(connection, row.statement)
            for rule, message in _link_faults(stored_link(row), found, envelope):
                self.fault(rule, place, message)

    def _statements(self) -> None:
        table = log.statement.c
        for kind, kept in (("capture", capture.c.statement), ("link", link.c.statement)):
            missing = select(table.member, table.statement_id).where(
                table.type == kind, table.id.not_in(select(kept))
            )
            with self.engine.connect() as connection:
                for member, name in connection.execute(missing.limit(MAX_FAULTS)):
                    self.fault(
                        f"{kind}-missing", f"statement {name} of {member}", f"expected its {kind}, got none"
                    )

    def _each(self, table: Table) -> Iterator[Any]:
        """The rows of a table in order, read in portions; counts them."""
        total, done, last = self._total(table), 0, None
        key = next(iter(table.primary_key))
        while True:
            query = select(table).order_by(key).limit(_BATCH)
            with self.engine.connect() as connection:
                rows = list(connection.execute(query if last is None else query.where(key > last)))
            if not rows:
                break
            yield from rows
            done, last = done + len(rows), rows[-1]._mapping[key.name]
            self.progress(f"{table.name}s", done, total)
        self.count[table.name] = done

    def _total(self, table: Table) -> int:
        with self.engine.connect() as connection:
            return int(connection.exec_driver_sql(f'SELECT count(*) FROM "{table.name}"').scalar_one())

    def _ids(self, table: Table) -> set[int]:
        with self.engine.connect() as connection:
            return set(connection.execute(select(table.c.id)).scalars())


def _stated(connection: Connection, row: int) -> tuple[Any, bytes | None]:
    """A row of the log's statements, or None, and its envelope, which is kept with its entry once it has one."""
    stated = connection.execute(select(log.statement).where(log.statement.c.id == row)).one_or_none()
    envelope: bytes | None = None if stated is None else stated.envelope
    if stated is not None and envelope is None:
        query = select(log.entry.c.data).where(log.entry.c.idx == stated.idx)
        envelope = connection.execute(query).scalar()
    return stated, envelope


def _link_faults(found: StoredLink, stated: Any, envelope: bytes | None) -> Iterator[tuple[str, str]]:
    if stated is None:
        yield "link-statement", "expected its staged statement, got none"
        return
    try:
        statement, value = parse_envelope(envelope or b"").statement, json.loads(found.body)
        right, body = parse_link(value).commitment(found.salt), canonical(value)
    except (InvalidInput, ValueError) as error:
        yield "link-body", f"expected a statement and the body of a link: {error}"[:300]
        return
    if (statement.type, statement.member, statement.id) != ("link", found.member, found.statement_id):
        yield "link-statement", f"expected a link by {found.member}, got another statement"
    elif {statement.member, *statement.body["parties"]} != found.parties:
        yield "link-parties", "expected the parties that the statement names, got others"
    if right != found.commitment or right.hex() != statement.body.get("commitment"):
        yield "link-commitment", "expected the commitment that the statement signs, got another"
    if body != found.body:
        yield "link-body", "expected canonical bytes, got another spelling"
    if stated.idx != found.seq:
        yield "link-index", f"expected log index {stated.idx}, got {found.seq}"


class _Capture:
    """One capture: its statement, its document, its records."""

    def __init__(self, check: _Check, row: Any) -> None:
        self._check = check
        self._row = row
        self._place = f"capture {row.id} of {row.member}"

    def check(self) -> int:
        """Check it; gives the number of its records."""
        found = StoredCapture(
            self._row.id,
            self._row.member,
            self._row.document,
            self._row.statement,
            bool(self._row.custody),
            self._row.commitment,
            self._row.salt,
            self._row.records,
            self._row.idx,
        )
        with self._check.engine.connect() as connection:
            query = select(record).where(record.c.capture == found.id).order_by(record.c.position)
            rows = list(connection.execute(query))
            digest = connection.execute(
                select(document.c.sha256).where(document.c.id == found.document)
            ).scalar()
            stated, envelope = _stated(connection, found.statement)
        self._statement(stated, envelope)
        if [row.position for row in rows] != list(range(self._row.records)):
            self._fault("record-positions", f"expected records 0 to {self._row.records - 1}, got {len(rows)}")
        self._commitment([row.commitment for row in rows])
        for row in rows:
            self._record(row, digest)
        return len(rows)

    def _statement(self, stated: Any, envelope: bytes | None) -> None:
        if stated is None:
            self._fault("capture-statement", "expected its staged statement, got none")
            return
        try:
            statement = parse_envelope(envelope or b"").statement
        except InvalidInput as error:
            self._fault("capture-statement", f"its statement: {error.message}")
            return
        if (statement.type, statement.member) != ("capture", self._row.member):
            self._fault(
                "capture-statement", f"expected a capture by {self._row.member}, got another statement"
            )
        elif statement.body["commitment"] != self._row.commitment.hex():
            self._fault("capture-statement", "expected the commitment that the statement signs, got another")
        if stated.idx != self._row.idx:
            self._fault("capture-index", f"expected log index {stated.idx}, got {self._row.idx}")

    def _commitment(self, commitments: Sequence[bytes]) -> None:
        try:
            right = capture_commitment(self._row.salt, commitments)
        except InvalidInput as error:
            self._fault("capture-commitment", error.message)
            return
        if right != self._row.commitment:
            self._fault("capture-commitment", "expected the commitment to its records, got another")

    def _record(self, row: Any, document_digest: bytes | None) -> None:
        place = f"record {row.commitment.hex()}"
        fault = self._check.fault
        if row.member != self._row.member:
            fault("record-member", place, f"expected {self._row.member}, got {row.member}")
        if (row.kind == HEADER) != (row.position == 0):
            fault("record-kind", place, "expected the header record at position 0 only, got another kind")
        if row.body is None or row.salt is None:
            # Erased: what remains is the commitment, which the capture commitment covers.
            return
        try:
            value = json.loads(row.body)
            right = record_commitment(value, row.salt), canonical(value), body_digest(value)
        except (InvalidInput, ValueError, KeyError, TypeError, AttributeError) as error:
            fault("record-body", place, f"expected the JSON of a record, got {type(error).__name__}")
            return
        if right[0] != row.commitment:
            fault("record-commitment", place, "expected body and salt to hash to it, got another commitment")
        elif right[1] != row.body:
            fault("record-body", place, "expected canonical bytes, got another spelling")
        if right[2] != row.digest:
            fault("record-digest", place, "expected the digest of its body, got another")
        self._facts(row, value, place, document_digest)

    def _facts(self, row: Any, value: Mapping[str, Any], place: str, document_digest: bytes | None) -> None:
        if row.kind == HEADER:
            source = value.get("source")
            named = source.get("sha256") if isinstance(source, dict) else None
            if document_digest is None or named != document_digest.hex():
                self._check.fault(
                    "record-source", place, "expected the document that its header names, got another"
                )
            return
        told = (value.get("eventID"), int("errorDeclaration" in value))
        if "element" not in value and told != (row.event_id, row.declares):
            self._check.fault(
                "record-facts", place, "expected its eventID and declaration as columns, got others"
            )

    def _fault(self, rule: str, message: str) -> None:
        self._check.fault(rule, self._place, message)


class _Projections:
    """Every projection derived afresh from the copy, and compared with what the copy holds.

    The fresh database has the tables of projections only and takes all else from the copy attached to it. Things
    and classes keep the numbers they have there, so that rows of numbers can be compared as they are.
    """

    def __init__(self, check: _Check, engine: Engine, copy: Path) -> None:
        self._check = check
        self._engine = engine
        self._copy = copy

    def compare(self) -> None:
        """Derive everything and note each row that is missing, or that nothing gives."""
        check = self._check
        check.count["projection"] = 0
        with self._engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
            connection.exec_driver_sql(f"ATTACH ? AS {_COPIED}", (str(self._copy),))
            connection.exec_driver_sql("BEGIN")
            stale = self._stale(connection)
            if stale:
                check.fault(
                    "projection-version", "projections", f"expected this version's, got another's {stale}"
                )
                return
            create_projections(connection)
            self._seed(connection)
            if not self._derive(connection):
                return
            self._orphans(connection)
            for name in projection_tables():
                if name not in _UNCOMPARED:
                    self._compare(connection, metadata.tables[name])

    def _derive(self, connection: Connection) -> bool:
        """Project everything; False, and a fault, where the records no longer say what they must for that."""
        check = self._check
        try:
            registry = replayed_registry(*self._registry(connection))
            project_all(
                connection, Indexer(registry), lambda done, total: check.progress("projections", done, total)
            )
        except (ArithmeticError, AttributeError, InvalidInput, LookupError, TypeError, ValueError) as error:
            check.fault("projection", "projections", f"expected records to derive them from: {error!r}"[:300])
            return False
        return True

    def _stale(self, connection: Connection) -> str:
        return ", ".join(stale_projections(connection, VERSIONS))

    def _registry(self, connection: Connection) -> tuple[str, Sequence[tuple[int, bytes]]]:
        head = read_head(connection)
        return head.origin, registry_entries(connection, 0, head.size)

    def _seed(self, connection: Connection) -> None:
        # The kind is told again by who names the thing; the least of all kinds gives way to any.
        connection.exec_driver_sql(
            f"INSERT INTO main.{thing.name} (id, iri, kind) SELECT id, iri, ? FROM {_COPIED}.{thing.name}",
            (_LEAST_KIND,),
        )
        connection.exec_driver_sql(
            f'INSERT INTO main."{visibility_class.name}" SELECT * FROM {_COPIED}."{visibility_class.name}"'
        )

    def _orphans(self, connection: Connection) -> None:
        """Things that no record names would be in no fresh index: their numbers were only lent."""
        named = " UNION ".join(
            f"SELECT {column} FROM main.{table} WHERE {column} IS NOT NULL" for table, column in _NAMING
        )
        query = f"SELECT iri FROM main.thing WHERE id NOT IN ({named}) LIMIT {MAX_FAULTS}"
        for (iri,) in connection.exec_driver_sql(query):
            self._check.fault(
                "projection", f"thing {iri}", "expected a thing that some record names, got one none does"
            )

    def _compare(self, connection: Connection, table: Table) -> None:
        self._check.count["projection"] += int(
            connection.exec_driver_sql(f'SELECT count(*) FROM main."{table.name}"').scalar_one()
        )
        missing = self._beyond(connection, table, "main", _COPIED)
        surplus = self._beyond(connection, table, _COPIED, "main")
        for key in sorted(missing.keys() | surplus.keys(), key=repr):
            if missing.get(key) == surplus.get(key):
                continue
            self._check.fault(
                "projection",
                self._place(connection, table, key),
                _difference(table, missing.get(key), surplus.get(key)),
            )

    def _beyond(
        self, connection: Connection, table: Table, one: str, other: str
    ) -> dict[Any, tuple[Any, ...]]:
        """Rows that `one` has and `other` has not, by what identifies them, in a form that order does not change."""
        names = ", ".join(f'"{column.name}"' for column in table.c)
        query = f'SELECT {names} FROM {one}."{table.name}" EXCEPT SELECT {names} FROM {other}."{table.name}"'
        rows = [tuple(row) for row in connection.exec_driver_sql(query + f" LIMIT {_COMPARED}")]
        return dict(_settled(table, row) for row in rows)

    def _place(self, connection: Connection, table: Table, key: tuple[Any, ...]) -> str:
        parts = []
        for name, value in zip(_identity(table), key, strict=True):
            parts.append(f"{name} {self._named(connection, name, value)}")
        return f"{table.name} {', '.join(parts)}"

    def _named(self, connection: Connection, name: str, value: Any) -> str:
        if name in _RECORD_COLUMNS:
            query, kind = "SELECT lower(hex(commitment)) FROM record WHERE id = ?", "record"
        elif name in _THING_COLUMNS:
            query, kind = f"SELECT iri FROM {_COPIED}.thing WHERE id = ?", "thing"
        else:
            return str(value)
        found = connection.exec_driver_sql(query, (value,)).scalar()
        return str(found) if found is not None else f"{kind} number {value}"


def _identity(table: Table) -> tuple[str, ...]:
    return _NUMBERED.get(table.name) or tuple(column.name for column in table.primary_key)


def _settled(table: Table, row: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """A row's identity and its values, lists in JSON put into one order."""
    values = dict(zip([column.name for column in table.c], row, strict=True))
    for name in _UNORDERED.get(table.name, ()):
        values[name] = _ordered(values[name])
    if table.name in _NUMBERED:
        del values["n"]
    return tuple(values[name] for name in _identity(table)), tuple(values.values())


def _ordered(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
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


def _difference(table: Table, right: tuple[Any, ...] | None, got: tuple[Any, ...] | None) -> str:
    if right is None:
        return "expected no such row, got one"
    if got is None:
        return "expected a row that the records give, got none"
    names = [column.name for column in table.c if not (table.name in _NUMBERED and column.name == "n")]
    other = [name for name, one, two in zip(names, right, got, strict=True) if one != two]
    return f"expected what the records give, got another {', '.join(other)}"
