"""Bodies of link statements, which lie beside the log: stored with their statement, found by its row or in log order.

A link whose statement the log refused keeps its row and has no index: it counts for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.engine import Connection, Row

from .bulk import select_in, update_rows
from .schema import link

_WAITING: Final = "SELECT * FROM link WHERE statement IN ({in})"
_IN_LOG: Final = "SELECT * FROM link WHERE idx IN ({in})"


class NewLink(NamedTuple):
    """A link on its way into the store; `statement` is the row of the log's table, `parties` who may see it."""

    statement: int
    member: str
    statement_id: str
    parties: frozenset[str]
    commitment: bytes
    salt: bytes
    body: bytes


class StoredLink(NamedTuple):
    """A link as stored; `seq` is its log index, None while it waits or was refused."""

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


def insert_link(connection: Connection, new: NewLink, now_ms: int) -> None:
    """Store a link beside its staged statement; the same statement again changes nothing."""
    known = select(link.c.id).where(link.c.statement == new.statement)
    if connection.execute(known).first() is None:
        values = new._asdict() | {"parties": " ".join(sorted(new.parties)), "created_at": now_ms}
        connection.execute(link.insert().values(**values))


def waiting_links(connection: Connection, statements: Iterable[int]) -> list[StoredLink]:
    """The links of these statement rows."""
    return [stored_link(row) for row in select_in(connection, _WAITING, statements)]


def links_at(connection: Connection, indices: Iterable[int]) -> list[StoredLink]:
    """The links at these log indices."""
    return [stored_link(row) for row in select_in(connection, _IN_LOG, indices)]


def sequenced_links(connection: Connection) -> list[StoredLink]:
    """Every link that is in the log, in its order."""
    query = select(link).where(link.c.idx.is_not(None)).order_by(link.c.idx)
    return [stored_link(row) for row in connection.execute(query)]


def mark_links(connection: Connection, found: Iterable[StoredLink]) -> None:
    """Note the log index of links."""
    marks = [(one.seq, one.id) for one in found]
    update_rows(connection, link, ("idx",), ("id",), marks)


def stored_link(row: Row[Any]) -> StoredLink:
    """A row of the table as a link."""
    return StoredLink(
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
