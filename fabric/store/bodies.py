"""Bodies of statements that lie beside the log: stored with their statement, found by its row or in log order.

The log only commits to such a body. One whose statement the log refused keeps its row and has no index: it counts
for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import Table, select
from sqlalchemy.engine import Connection, Row

from .bulk import select_in, update_rows
from .schema import erasure, link


class NewBody(NamedTuple):
    """A body on its way into the store; `statement` is the row of the log's table, `parties` who may see it."""

    statement: int
    member: str
    statement_id: str
    parties: frozenset[str]
    commitment: bytes
    salt: bytes
    body: bytes


class StoredBody(NamedTuple):
    """A body as stored; `seq` is its log index, None while it waits or was refused."""

    id: int
    statement: int
    member: str
    statement_id: str
    parties: frozenset[str]
    commitment: bytes
    salt: bytes
    body: bytes
    seq: int | None

    def value(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class Bodies:
    """The bodies of one kind of statement, in a table of `schema.beside_log`; `fresh` fills its other columns."""

    def __init__(self, table: Table, **fresh: Any) -> None:
        self._table = table
        self._fresh = fresh

    def insert(self, connection: Connection, new: NewBody, now_ms: int) -> None:
        """Store a body beside its staged statement."""
        values = new._asdict() | {"parties": " ".join(sorted(new.parties)), "created_at": now_ms}
        connection.execute(self._table.insert().values(**values, **self._fresh))

    def has(self, connection: Connection, statement: int) -> bool:
        """Whether there is the body of this statement row."""
        query = select(self._table.c.id).where(self._table.c.statement == statement)
        return connection.execute(query).first() is not None

    def waiting(self, connection: Connection, statements: Iterable[int]) -> list[StoredBody]:
        """The bodies of these statement rows."""
        return self._found(connection, "statement", statements)

    def at(self, connection: Connection, indices: Iterable[int]) -> list[StoredBody]:
        """The bodies at these log indices."""
        return self._found(connection, "idx", indices)

    def sequenced(self, connection: Connection) -> list[StoredBody]:
        """Every body whose statement is in the log, in its order."""
        query = select(self._table).where(self._table.c.idx.is_not(None)).order_by(self._table.c.idx)
        return [stored_body(row) for row in connection.execute(query)]

    def mark(self, connection: Connection, found: Iterable[StoredBody]) -> None:
        """Note the log index of bodies."""
        update_rows(connection, self._table, ("idx",), ("id",), [(one.seq, one.id) for one in found])

    def _found(self, connection: Connection, column: str, values: Iterable[int]) -> list[StoredBody]:
        query = f"SELECT * FROM {self._table.name} WHERE {column} IN ({{in}})"
        return [stored_body(row) for row in select_in(connection, query, values)]


def stored_body(row: Row[Any]) -> StoredBody:
    """A row of one of the tables as a body."""
    return StoredBody(
        row.id,
        row.statement,
        row.member,
        row.statement_id,
        frozenset(row.parties.split()),
        row.commitment,
        row.salt,
        row.body,
        row.idx,
    )


LINKS: Final = Bodies(link)
ERASURES: Final = Bodies(erasure, swept=0)
