"""The node's log as its own folder shows it: the published checkpoint and the tiles. Read only, and no database."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...checkpoint import Checkpoint, checkpoint_of
from ...errors import InvalidInput, Unavailable
from ...log.durable import DiskFiles, Files
from ...log.tiles import TileStore, TileTree
from ...merkle import consistency_path_from, root_from
from ...note import parse_note

CHECKPOINT_FILE: Final = "checkpoint"
ANCHORED_FILE: Final = "anchored"


class OwnLog:
    """The folder `log/` of a node. Safe to share by threads; the node writes it, all but `anchored`."""

    def __init__(self, folder: Path, files: Files | None = None) -> None:
        self._folder = folder
        self._files = files or DiskFiles()
        self._tree = TileTree(TileStore(folder, self._files))

    def published(self) -> tuple[Checkpoint, bytes] | None:
        """The newest published checkpoint and its note; None before the first. Raises Unavailable."""
        return self._read(CHECKPOINT_FILE)

    def anchored(self) -> tuple[Checkpoint, bytes] | None:
        """The newest checkpoint with the organisations' quorum, and its note; None before the first."""
        return self._read(ANCHORED_FILE)

    def write_anchored(self, note: bytes) -> None:
        """Put a note in the place of the one before, in one step and durably. Raises Unavailable, StorageFull."""
        self._files.write(self._folder / ANCHORED_FILE, note)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the tree of `old` >= 1 entries is a prefix of the one of `size`. Raises Unavailable."""
        return consistency_path_from(self._tree.at(size), old, size) if old < size else []

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries. Raises Unavailable where they are not published."""
        return root_from(self._tree.at(size), size)

    def _read(self, name: str) -> tuple[Checkpoint, bytes] | None:
        data = self._files.read(self._folder / name)
        if data is None:
            return None
        try:
            return checkpoint_of(parse_note(data)), data
        except InvalidInput as error:
            raise Unavailable(f"log/{name} is no checkpoint: {error.message}") from error
