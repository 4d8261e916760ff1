"""Staging: a signed statement waits for its index, durable once the caller's transaction is."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from ..errors import Conflict, InvalidInput, Unavailable
from ..statement import Statement, UnverifiedEnvelope, parse_envelope
from . import schema
from .dialect import is_sqlite

_ONCE: Final = ["member", "statement_id"]
# Put in first, looked for only where it was there before: another may stage the same statement at the same time.
_ADD_SQLITE: Final = (
    sqlite.insert(schema.statement)
    .on_conflict_do_nothing(index_elements=_ONCE)
    .returning(schema.statement.c.id)
)
_ADD_POSTGRES: Final = (
    postgresql.insert(schema.statement)
    .on_conflict_do_nothing(index_elements=_ONCE)
    .returning(schema.statement.c.id)
)
_KNOWN: Final = select(schema.statement.c.id, schema.statement.c.payload_sha256).where(
    schema.statement.c.member == bindparam("name"), schema.statement.c.statement_id == bindparam("id")
)


def stage(connection: Connection, envelope: bytes | UnverifiedEnvelope, *, origin: str, now_ms: int) -> int:
    """Put a statement's envelope in the queue, inside the caller's transaction; gives its row in `statement`.

    The same payload again gives the same row, whatever became of it. It never commits, and decides no
    authority: the caller does that with the registry before, so that nobody can use up another's statement
    ids, and sequencing does it again. Raises Conflict (rule `statement-id-reused`) for another payload under
    the same member and id, InvalidInput for what is not a statement for the log `origin`.
    """
    parsed = parse_envelope(envelope) if isinstance(envelope, bytes) else envelope
    statement = parsed.statement
    if statement.log != origin:
        raise InvalidInput(f"expected a statement for the log {origin}", rule="wrong-log")
    digest = sha256(parsed.payload).digest()
    added = connection.execute(
        _ADD_SQLITE if is_sqlite(connection) else _ADD_POSTGRES,
        {
            "member": statement.member,
            "statement_id": statement.id,
            "type": statement.type,
            "envelope": parsed.data,
            "payload_sha256": digest,
            "state": schema.STAGED,
            "staged_at": now_ms,
        },
    ).scalar()
    if added is not None:
        return int(added)
    known = _find(connection, statement)
    if known is None:
        raise Unavailable("expected the statement that was staged before, got none")
    return _same_row(known, digest, statement.id)


def _find(connection: Connection, statement: Statement) -> tuple[int, bytes] | None:
    found = connection.execute(_KNOWN, {"name": statement.member, "id": statement.id}).one_or_none()
    return None if found is None else (found[0], found[1])


def _same_row(known: tuple[int, bytes], digest: bytes, statement_id: str) -> int:
    row, stored = known
    if stored != digest:
        raise Conflict(
            f"expected one payload for statement {statement_id}, got a second one", rule="statement-id-reused"
        )
    return row
