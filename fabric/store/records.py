"""Records as committed: the bytes, the salt and the commitment of each, by capture and position.

A capture whose statement the log refused keeps its rows, for whoever submitted it, but counts for nothing:
every look-up here that asks what *was captured* passes over it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from ledger.log.schema import REFUSED

from .bulk import insert_rows, select_in
from .schema import capture, record

RECORD_IRI: Final = "urn:loomark:record:"
"""What the name of a record begins with; its commitment in hex follows."""


class NewRecord(NamedTuple):
    """One record on its way into the store, a plain tuple so that a process boundary costs little.

    `event_id` is as submitted; `digest` is that of the duplicates rule; `salt` 32 raw bytes; `body` JCS.
    `supplied_id` is the hash ID of an event without an ID, where its submitter asked for one.
    """

    kind: int
    event_id: str | None
    declares: int
    commitment: bytes
    digest: bytes
    salt: bytes
    body: bytes
    duplicate_of: int | None = None
    supplied_id: str | None = None

    @property
    def name(self) -> str | None:
        """The event ID that it is known by, its own or the one it was given."""
        return self.supplied_id if self.event_id is None else self.event_id


class Earlier(NamedTuple):
    """A record that was captured before, as the duplicates rule sees it."""

    id: int
    declares: int
    digest: bytes
    commitment: bytes


@dataclass(frozen=True, slots=True)
class StoredCapture:
    """A capture: `idx` is its log index, None while it waits; `custody` says that the node signed."""

    id: int
    member: str
    document: int
    statement: int
    custody: bool
    commitment: bytes
    salt: bytes
    count: int
    idx: int | None


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record with its capture. `body` and `salt` are None once it was erased."""

    id: int
    capture: StoredCapture
    position: int
    kind: int
    event_id: str | None
    commitment: bytes
    salt: bytes | None
    body: bytes | None

    def value(self) -> dict[str, Any] | None:
        """The JSON value that is committed, or None once erased."""
        return None if self.body is None else json.loads(self.body)


_NAMED: Final = (
    "SELECT r.id, r.position, r.kind, r.event_id, r.commitment, r.salt, r.body,"
    " c.id, c.member, c.document, c.statement, c.custody, c.commitment, c.salt, c.records, c.idx"
    " FROM record r JOIN capture c ON c.id = r.capture"
    f" JOIN statement s ON s.id = c.statement AND s.state <> '{REFUSED}'"
    " WHERE r.commitment IN ({in}) ORDER BY r.id"
)
_HIGHEST: Final = select(func.coalesce(func.max(record.c.id), 0))
_COLUMNS: Final = (
    "id",
    "capture",
    "position",
    "member",
    "kind",
    "event_id",
    "declares",
    "commitment",
    "digest",
    "salt",
    "body",
    "duplicate_of",
    "supplied_id",
)
HASH_ID: Final = "ni:///sha-256;"
"""What an event ID that a node supplies begins with."""
_EARLIER: Final = (
    "SELECT r.{key} AS key, r.id, r.declares, r.digest, r.commitment FROM record r JOIN capture c ON c.id = r.capture"
    f" JOIN statement s ON s.id = c.statement AND s.state <> '{REFUSED}' WHERE r.member = ?"
    " AND r.{key} IN ({in})"
)


def insert_capture(connection: Connection, values: dict[str, Any]) -> int:
    """Store a capture's row; gives its id."""
    key = connection.execute(capture.insert().values(**values)).inserted_primary_key
    return int(key[0]) if key is not None else 0


def next_record(connection: Connection) -> int:
    """The id that the next record gets. Only the one writer may rely on it."""
    return 1 + int(connection.execute(_HIGHEST).scalar_one())


def insert_records(
    connection: Connection, capture_id: int, member: str, first: int, records: Sequence[NewRecord]
) -> None:
    """Store records in the order of their positions, with ids from `first` on."""
    rows = [
        (first + position, capture_id, position, member, *fields) for position, fields in enumerate(records)
    ]
    insert_rows(connection, record, _COLUMNS, rows)


def earlier_by_event_id(
    connection: Connection, member: str, event_ids: Iterable[str]
) -> dict[str, list[Earlier]]:
    """A member's records under these event IDs, their own or supplied, with error declarations and without."""
    names = list(event_ids)
    found: dict[str, list[Earlier]] = {}
    for column, asked in (
        ("event_id", names),
        ("supplied_id", [one for one in names if one.startswith(HASH_ID)]),
    ):
        query = _EARLIER.replace("{key}", column)
        for key, *fields in select_in(connection, query, asked, member):
            found.setdefault(key, []).append(Earlier(*fields))
    return found


def earlier_by_digest(connection: Connection, member: str, digests: Iterable[bytes]) -> dict[bytes, Earlier]:
    """A member's records of equal body, among master data and events that have no ID."""
    query = _EARLIER.replace("{key}", "digest") + " AND r.event_id IS NULL AND r.kind > 0"
    found: dict[bytes, Earlier] = {}
    for key, *fields in select_in(connection, query, digests, member):
        found.setdefault(key, Earlier(*fields))
    return found


def load_captures(connection: Connection, statements: Iterable[int]) -> dict[int, StoredCapture]:
    """Captures by the rows of their statements; statements that are no captures are absent."""
    names = ", ".join(column.name for column in capture.c)
    rows = select_in(connection, f"SELECT {names} FROM capture WHERE statement IN ({{in}})", statements)
    return {row.statement: _capture(row) for row in rows}


def load_capture(connection: Connection, row: int) -> StoredCapture:
    """A capture by its row."""
    return _capture(connection.execute(select(capture).where(capture.c.id == row)).one())


def records_of(connection: Connection, found: StoredCapture) -> Iterator[StoredRecord]:
    """The records of a capture in order of position."""
    query = select(record).where(record.c.capture == found.id).order_by(record.c.position)
    for row in connection.execute(query):
        yield _record(row, found)


def commitments_of(connection: Connection, capture_id: int) -> list[bytes]:
    """The record commitments of a capture in order of position."""
    query = select(record.c.commitment).where(record.c.capture == capture_id).order_by(record.c.position)
    return list(connection.execute(query).scalars())


def find_records(connection: Connection, commitment: bytes) -> list[StoredRecord]:
    """Records with this commitment that the log did not refuse: one, unless somebody submitted it twice."""
    found = []
    for number, position, kind, event_id, name, salt, body, *rest in select_in(
        connection, _NAMED, [commitment]
    ):
        capture_id, member, document, statement, custody, total, capture_salt, count, idx = rest
        owner = StoredCapture(
            capture_id, member, document, statement, bool(custody), total, capture_salt, count, idx
        )
        found.append(StoredRecord(number, owner, position, kind, event_id, name, salt, body))
    return found


def _capture(row: Any) -> StoredCapture:
    return StoredCapture(
        row.id,
        row.member,
        row.document,
        row.statement,
        bool(row.custody),
        row.commitment,
        row.salt,
        row.records,
        row.idx,
    )


def _record(row: Any, found: StoredCapture) -> StoredRecord:
    return StoredRecord(
        row.id, found, row.position, row.kind, row.event_id, row.commitment, row.salt, row.body
    )
