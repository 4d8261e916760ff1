"""Whether a tree head is one that this log has had."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from ..merkle import EMPTY_ROOT, root_from
from .database import archived_root
from .tiles import TileTree

_REMEMBERED: Final = 4096


class KnownHeads:
    """Answers `seen`: members name the last checkpoint they verified, mostly one of the last few."""

    def __init__(self, engine: Engine, tree: TileTree) -> None:
        self._engine = engine
        self._tree = tree
        self._roots: dict[int, bytes] = {0: EMPTY_ROOT}

    def is_prefix(self, size: int, root: bytes, published_size: int) -> bool:
        """Whether (`size`, `root`) is the head of the first `size` entries of the published tree.

        Raises Unavailable when the tiles cannot be read.
        """
        if not 0 <= size <= published_size:
            return False
        known = self._roots.get(size)
        if known is None:
            known = self._look_up(size, published_size)
            self.remember(size, known)
        return known == root

    def remember(self, size: int, root: bytes) -> None:
        """Keep a head of this log at hand."""
        if len(self._roots) >= _REMEMBERED:
            self._roots = {0: EMPTY_ROOT}
        self._roots[size] = root

    def _look_up(self, size: int, published_size: int) -> bytes:
        with self._engine.connect() as connection:
            archived = archived_root(connection, size)
        # A member may have verified its way to a size that was never published; the tiles know it too.
        return archived if archived is not None else root_from(self._tree.at(published_size), size)
