"""The log's SQL: small functions over a connection, none of which begins or ends a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Final

from sqlalchemy import Connection, func, insert, select, update

from ..checkpoint import Checkpoint
from ..errors import InvalidInput, Unavailable
from ..merkle import EMPTY_ROOT
from . import schema
from .dialect import insert_rows, update_rows
from .plan import NewEntry, NewSeal, Plan, Waiting
from .publish import Published

_CHUNK: Final = 2048
_LEAVES: Final = 65_536

_ADD_CHECKPOINT: Final = insert(schema.checkpoint)
_SEAL_COLUMNS: Final = ("idx", "first", "time", "changes_before", "changes_after")
_WAITING: Final = f"state = '{schema.STAGED}'"
_SEQUENCED: Final = f"state = '{schema.SEQUENCED}', envelope = NULL"
_REFUSED: Final = f"state = '{schema.REFUSED}'"
_OLDEST_WAITING: Final = (
    select(schema.statement.c.id, schema.statement.c.envelope)
    .where(schema.is_waiting)
    .order_by(schema.statement.c.id)
)


def create_log(connection: Connection, origin: str) -> None:
    """Name an empty log, once and for good. Raises InvalidInput (rule `log-exists`) for a second name."""
    known = connection.execute(select(schema.head.c.origin)).scalar_one_or_none()
    if known is None:
        connection.execute(insert(schema.head).values(id=1, origin=origin, size=0, root=EMPTY_ROOT))
    elif known != origin:
        raise InvalidInput(
            f"expected the origin {known}, fixed at first start, got {origin}", rule="log-exists"
        )


def read_head(connection: Connection) -> Checkpoint:
    """The committed head. Raises Unavailable where no log was created."""
    row = connection.execute(
        select(schema.head.c.origin, schema.head.c.size, schema.head.c.root)
    ).one_or_none()
    if row is None:
        raise Unavailable("this database holds no log yet")
    return Checkpoint(row[0], row[1], row[2])


def move_head(connection: Connection, old: Checkpoint, new: Checkpoint) -> bool:
    """Compare-and-swap the head; False when it was not `old` any more."""
    table = schema.head
    moved = connection.execute(
        update(table)
        .where(table.c.origin == old.origin, table.c.size == old.size, table.c.root == old.root)
        .values(size=new.size, root=new.root)
    )
    return moved.rowcount == 1


def waiting(connection: Connection, limit: int) -> list[Waiting]:
    """The oldest staged statements."""
    rows = connection.execute(_OLDEST_WAITING.limit(limit))
    return [Waiting(row, envelope) for row, envelope in rows]


def add_entries(connection: Connection, plan: Plan, head: Checkpoint) -> None:
    """Store a plan's entries, what finds its seals and registry statements, and the head it leads to."""
    entries = [(new.index, new.leaf, new.data) for new in plan.entries]
    insert_rows(connection, schema.entry, ("idx", "leaf", "data"), entries)
    insert_rows(connection, schema.seal, _SEAL_COLUMNS, [astuple(seal) for seal in plan.seals])
    if plan.changes:
        numbers = range(plan.state.changes - len(plan.changes), plan.state.changes)
        changes = list(zip(plan.changes, numbers, strict=True))
        insert_rows(connection, schema.registry_change, ("idx", "number"), changes)
    archived = {"size": head.size, "root": head.root, "time": plan.seals[-1].time}
    connection.execute(_ADD_CHECKPOINT, archived)


def record_outcomes(connection: Connection, plan: Plan) -> None:
    """Say on each decided statement's row what became of it."""
    table, given = schema.statement, [(done.index, done.row) for done in plan.sequenced]
    update_rows(connection, table, ("idx",), ("id",), given, fixed=_SEQUENCED, only=_WAITING)
    # What was refused may be repeated in the reason, and PostgreSQL's text holds no NUL.
    refused = [(no.rule, no.reason.replace("\0", "\ufffd"), no.row) for no in plan.refused]
    update_rows(connection, table, ("rule", "reason"), ("id",), refused, fixed=_REFUSED, only=_WAITING)


def archive_note(connection: Connection, published: Published) -> None:
    """Keep a published note beside its head; it is there for good once this transaction is."""
    table = schema.checkpoint
    connection.execute(
        update(table).where(table.c.size == published.checkpoint.size).values(note=published.note)
    )


def last_published(connection: Connection) -> Published | None:
    """The newest archived note and its head, or None before the first."""
    table = schema.checkpoint
    head = select(schema.head.c.origin).scalar_subquery()
    query = select(head, table.c.size, table.c.root, table.c.note).where(table.c.note.is_not(None))
    row = connection.execute(query.order_by(table.c.size.desc()).limit(1)).one_or_none()
    return None if row is None else Published(Checkpoint(row[0], row[1], row[2]), row[3])


def staged_rows(connection: Connection) -> frozenset[int]:
    """The rows of all statements that wait."""
    return frozenset(connection.execute(select(schema.statement.c.id).where(schema.is_waiting)).scalars())


def has_archived_notes(connection: Connection) -> bool:
    """Whether this log was ever published, as far as the database knows."""
    first = select(schema.checkpoint.c.size).where(schema.checkpoint.c.note.is_not(None)).limit(1)
    return connection.execute(first).first() is not None


def archived_root(connection: Connection, size: int) -> bytes | None:
    """The root this log had at a size it committed, or None where no head had that size."""
    table = schema.checkpoint
    root: bytes | None = connection.execute(
        select(table.c.root).where(table.c.size == size)
    ).scalar_one_or_none()
    return root


def archived_note(connection: Connection, size: int) -> bytes | None:
    """The note published at a size; None where none was, or while only its own file has it."""
    table = schema.checkpoint
    note: bytes | None = connection.execute(
        select(table.c.note).where(table.c.size == size)
    ).scalar_one_or_none()
    return note


def newest_note(connection: Connection, size: int) -> bytes | None:
    """The newest note in the archive of a tree of up to `size` entries."""
    table = schema.checkpoint
    newest = select(table.c.note).where(table.c.note.is_not(None), table.c.size <= size)
    note: bytes | None = connection.execute(
        newest.order_by(table.c.size.desc()).limit(1)
    ).scalar_one_or_none()
    return note


def entry_data(connection: Connection, start: int, end: int) -> list[bytes]:
    """Entries `start <= i < end`, in order. Raises Unavailable when one is missing."""
    table = schema.entry
    rows = connection.execute(
        select(table.c.data).where(table.c.idx >= start, table.c.idx < end).order_by(table.c.idx)
    )
    found = list(rows.scalars())
    if len(found) != end - start:
        raise Unavailable(f"expected entries {start} to {end - 1} in the database, got {len(found)} of them")
    return found


def entries(connection: Connection, start: int, end: int) -> Iterator[NewEntry]:
    """Entries with their stored leaf hashes, in chunks, so that a long log never fills the memory."""
    table = schema.entry
    columns = select(table.c.idx, table.c.leaf, table.c.data).order_by(table.c.idx)
    for first in range(start, end, _CHUNK):
        last = min(first + _CHUNK, end)
        rows = connection.execute(columns.where(table.c.idx >= first, table.c.idx < last)).all()
        if [row[0] for row in rows] != list(range(first, last)):
            raise Unavailable(f"expected entries {first} to {last - 1} in the database, got other ones")
        for index, leaf, data in rows:
            yield NewEntry(index, leaf, data)


def leaves(connection: Connection, start: int, end: int) -> Iterator[bytes]:
    """Stored leaf hashes `start <= i < end`, in chunks. Raises Unavailable when one is missing."""
    table = schema.entry
    for first in range(start, end, _LEAVES):
        last = min(first + _LEAVES, end)
        rows = connection.execute(
            select(table.c.leaf).where(table.c.idx >= first, table.c.idx < last).order_by(table.c.idx)
        )
        found = list(rows.scalars())
        if len(found) != last - first:
            raise Unavailable(
                f"expected entries {first} to {last - 1} in the database, got {len(found)} of them"
            )
        yield from found


def registry_entries(connection: Connection, start: int, size: int) -> Sequence[tuple[int, bytes]]:
    """Index and bytes of registry statements number `start` and on, below the tree size."""
    change, entry = schema.registry_change, schema.entry
    rows = connection.execute(
        select(change.c.idx, entry.c.data)
        .join(entry, entry.c.idx == change.c.idx)
        .where(change.c.number >= start, change.c.idx < size)
        .order_by(change.c.number)
    )
    return [(index, data) for index, data in rows]


def last_seal(connection: Connection) -> NewSeal | None:
    """The newest seal, or None in an empty log."""
    table = schema.seal
    newest = select(func.max(table.c.idx)).scalar_subquery()
    return _seal(connection.execute(_SEAL.where(table.c.idx == newest)).one_or_none())


def seal_over(connection: Connection, index: int) -> NewSeal | None:
    """The seal that covers an index: the first one behind it."""
    table = schema.seal
    return _seal(
        connection.execute(_SEAL.where(table.c.idx > index).order_by(table.c.idx).limit(1)).one_or_none()
    )


def seal_at(connection: Connection, index: int) -> NewSeal | None:
    """The seal that lies at this index."""
    return _seal(connection.execute(_SEAL.where(schema.seal.c.idx == index)).one_or_none())


_SEAL: Final = select(
    schema.seal.c.idx,
    schema.seal.c.first,
    schema.seal.c.time,
    schema.seal.c.changes_before,
    schema.seal.c.changes_after,
)


def _seal(row: Sequence[object] | None) -> NewSeal | None:
    return None if row is None else NewSeal(*row)  # type: ignore[arg-type]
