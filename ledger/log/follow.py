"""Keeping a folder of tiles equal to what another node publishes: verified, written in the same order, never signed.

Where several nodes share a database, one sequences and signs; each serves `/log/` from a folder of its own. The
note of each checkpoint comes out of the database once it was published; tiles are derived here from the entries.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Engine

from ..errors import InvalidInput, Unavailable
from ..registry import Registry
from ..tile import TILE_WIDTH
from .database import archived_root, entries, entry_data, last_published, registry_entries
from .edge import Edge, edge_at
from .guard import ENTRIES, HIGH_WATER, PUBLISHED, ReadOnly
from .plan import replayed_registry
from .publish import Published, Publisher
from .tiles import TileTree

_WRITTEN_AT_ONCE: Final = 16 * TILE_WIDTH


class Follower:
    """Follows one log; one caller at a time. `read_only` says why it stopped, `published` what the folder shows."""

    def __init__(self, engine: Engine, publisher: Publisher, origin: str) -> None:
        self._engine = engine
        self._publisher = publisher
        self._origin = origin
        self._edge: Edge | None = None
        self._changes = 0
        self.registry = Registry()
        self.published: Published | None = None
        self.read_only: ReadOnly | None = None

    def advance(self) -> bool:
        """Take over the newest published checkpoint, if there is a newer one; whether there was.

        Raises InvalidInput for a note that no key of this node's log signed, Unavailable.
        """
        with self._engine.connect() as connection:
            found = last_published(connection)
            if found is None or found == self.published or self.read_only is not None:
                return False
            self.read_only = self._against_marks(connection)
            if self.read_only is not None:
                return False
            edge, self._edge = self._edge or self._opened(connection), None
            if found.checkpoint.size < edge.size:
                # This node published more than was archived: whoever sequences publishes that again.
                found = self._own()
            self._follow(connection, edge, found)
            self._learn(connection, found.checkpoint.size)
        self._edge, self.published = edge, found
        return True

    def resume(self, published: Published | None, registry: Registry) -> None:
        """Go on from what this node published and knew while it sequenced; the next look reads it all again."""
        self._edge, self._changes = None, 0
        self.published, self.registry = published, registry

    def _own(self) -> Published:
        own = self._publisher.note(self._origin)
        if own is None:
            raise Unavailable("expected the checkpoint file of this node, got none")
        return own

    def _opened(self, connection: Connection) -> Edge:
        """The edge of what this folder shows; tiles that cannot be read are derived again from the first entry."""
        own = self._publisher.note(self._origin)
        tiles, size = self._publisher.tiles, 0 if own is None else own.checkpoint.size
        for base in (size - size % TILE_WIDTH, 0):
            try:
                edge = edge_at(
                    TileTree(tiles).at(base), base, lambda start, end: entry_data(connection, start, end)
                )
                self._append(connection, edge, size)
            except (InvalidInput, Unavailable):
                continue
            if own is None or edge.frontier.root() == own.checkpoint.root:
                return edge
        raise Unavailable("expected entries of the published checkpoint in the database, got others")

    def _follow(self, connection: Connection, edge: Edge, found: Published) -> None:
        self._append(connection, edge, found.checkpoint.size)
        if edge.frontier.root() != found.checkpoint.root:
            self.read_only = ReadOnly(
                ENTRIES, f"the checkpoint of size {edge.size} has another root than they have"
            )
            raise Unavailable(str(self.read_only))
        self._publisher.mirror(found, edge.take_growth())

    def _append(self, connection: Connection, edge: Edge, size: int) -> None:
        for new in entries(connection, edge.size, size):
            edge.append(new.leaf, new.data)
            if edge.size % _WRITTEN_AT_ONCE == 0:
                self._publisher.tiles.write(edge.take_growth())

    def _learn(self, connection: Connection, size: int) -> None:
        fresh = registry_entries(connection, self._changes, size)
        known = self.registry if self._changes else Registry()
        self.registry = replayed_registry(self._origin, fresh, known)
        self._changes += len(fresh)

    def _against_marks(self, connection: Connection) -> ReadOnly | None:
        """Why the database is not to be followed: it lacks a head that this node knows was published or signed."""
        marks = [
            (PUBLISHED, self._publisher.published(self._origin)),
            (HIGH_WATER, self._publisher.high_water()),
        ]
        for name, mark in marks:
            if mark is not None and mark.size and archived_root(connection, mark.size) != mark.root:
                return ReadOnly(name, f"the database has no such head of size {mark.size}")
        return None
