"""`same` links in the index: for each one a row under either end, and an edge in either direction.

Rows and edges are a function of the link statements alone, so the order in which links and events come is all one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy.engine import Connection

from fabric.store.bulk import insert_rows
from fabric.store.schema import same

from .derived import EdgeKind
from .schema import edge

_SAME: Final = ("thing", "link", "other", "seq", "statement", "class")
_EDGE: Final = ("src", "dst", "kind", "record", "inferred")


class NewSame(NamedTuple):
    """A link over thing ids: its row in the store, its log index, its statement's id, who may see it."""

    link: int
    one: int
    other: int
    seq: int
    statement: str
    visible: int


def index_links(connection: Connection, new: Sequence[NewSame]) -> None:
    """Write the rows and edges of links that have their index."""
    rows = []
    for link in new:
        rest = (link.seq, link.statement, link.visible)
        rows += [(link.one, link.link, link.other, *rest), (link.other, link.link, link.one, *rest)]
    insert_rows(connection, same, _SAME, rows)
    _write_edges(connection, [(thing, other, number) for thing, number, other, *_ in rows])


def restore_edges(connection: Connection) -> None:
    """Write the edges of all links again, after the edges were emptied."""
    found = connection.exec_driver_sql("SELECT thing, other, link FROM same ORDER BY thing, link")
    _write_edges(connection, [tuple(row) for row in found])


def _write_edges(connection: Connection, ends: Sequence[tuple[int, int, int]]) -> None:
    kind = EdgeKind.SAME.value
    insert_rows(connection, edge, _EDGE, [(one, other, kind, number, 0) for one, other, number in ends])
