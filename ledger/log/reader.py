"""Reading the log: the published checkpoint, entries, tiles, paths, and all that a proof of one entry needs.

A reader works beside the writing process, over connections that cannot write, and shows only what the
published checkpoint covers. It does not verify: whoever gets the bytes does.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Final

from sqlalchemy import Engine, bindparam, func, select

from ..checkpoint import checkpoint_of
from ..entry import is_seal
from ..errors import InvalidInput, NotFound, Unavailable
from ..key_change import UnverifiedChange
from ..merkle import HashReader, consistency_path_from, root_from
from ..note import parse_note
from ..registry import Registry
from ..tile import TILE_WIDTH, Tile, bundle_entries
from . import schema
from .database import archived_note, entry_data, newest_note, read_head, registry_entries, seal_at
from .durable import DiskFiles, Files
from .heads import KnownHeads
from .history import ProvenKey, RegistryHistory
from .key_changes import key_changes
from .publish import CHECKPOINT_FILE, Published
from .tiles import TileStore, TileTree

ANCHORED_FILE: Final = "anchored"
"""A published checkpoint with the lines of the organisations of a channel (docs/spec/anchor.md), beside the newest."""

MAX_ENTRIES: Final = 1024
"""Most entries that one call reads."""

_VIEWS: Final = 16


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry at its index, with its path to the root of the checkpoint."""

    index: int
    data: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SeenProof:
    """The head that a statement says its signer had verified: its note, and that the checkpoint extends it."""

    size: int
    root: bytes
    note: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StatementProof:
    """What proves one statement against one checkpoint (design/evidence.md, "Proof bundle", steps 4 to 8).

    `key` is the signing key's record under the `before` of `seal`, `key_last` the one under the `after` of
    `last_seal`, which is the checkpoint's last entry. `seen` is None where no published head has that size.
    """

    published: Published
    entry: Placed
    seal: Placed
    key: ProvenKey
    last_seal: Placed
    key_last: ProvenKey
    seen: SeenProof | None


@dataclass(frozen=True, slots=True)
class StatementState:
    """What became of a staged statement: `index` once sequenced, `rule` and `reason` once refused."""

    row: int
    state: str
    index: int | None
    rule: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class _View:
    """One published checkpoint and what every proof under it shares."""

    published: Published
    tree: HashReader
    last_seal: Placed
    changes: int


class LogReader:
    """Reads one log. Safe to share by threads.

    `engine` gives connections that need not be able to write; `folder` is the log's folder of tiles. `anchors` says
    whether the log is anchored on a channel, so that proofs are made against what was cosigned there.
    """

    def __init__(
        self, engine: Engine, folder: Path, files: Files | None = None, *, anchors: bool = False
    ) -> None:
        self.anchors = anchors
        self._anchored = folder / ANCHORED_FILE
        self._own: tuple[bytes, Published | None] | None = None
        self._engine = engine
        self._files = files or DiskFiles()
        self._checkpoint = folder / CHECKPOINT_FILE
        self._tiles = TileStore(folder, self._files)
        self._tree = TileTree(self._tiles)
        self._heads = KnownHeads(engine, self._tree)
        self._latest: _View | None = None
        self._view_of = lru_cache(maxsize=_VIEWS)(self._read_view)
        self._learning = Lock()
        self._history: RegistryHistory | None = None

    def published(self) -> Published:
        """The latest published checkpoint. Raises Unavailable while there is none."""
        latest, note = self._latest, self._note()
        if latest is not None and latest.published.note == note:
            return latest.published
        return Published(checkpoint_of(parse_note(note)), note)

    def anchored(self) -> Published | None:
        """The newest checkpoint that the organisations of a channel cosigned, where this log is anchored and has one.

        One that is not of this very tree, as after a restore from an old backup, is none.
        """
        note = self._files.read(self._anchored) if self.anchors else None
        if note is None:
            return None
        if self._own is None or self._own[0] != note:
            try:
                self._own = (note, self._of_this_tree(note))
            except Unavailable:
                return None
        return self._own[1]

    def _of_this_tree(self, note: bytes) -> Published | None:
        newest = self.published().checkpoint
        try:
            head = checkpoint_of(parse_note(note))
        except InvalidInput:
            return None
        if head.origin != newest.origin or not 0 < head.size <= newest.size:
            return None
        return Published(head, note) if root_from(self._tree.at(head.size), head.size) == head.root else None

    @property
    def size(self) -> int:
        """Number of entries of the latest published checkpoint."""
        return self.published().checkpoint.size

    def registry(self, published: Published | None = None) -> Registry:
        """The registry under the last seal of the published checkpoint, or of one that an earlier call gave."""
        view = self._provable() if published is None else self._view_of(published)
        return self._registries().at(view.changes)

    def key_changes(self) -> list[UnverifiedChange]:
        """Evidence of each change of the log's key, oldest first. Raises Unavailable."""
        view = self._view()
        keys = self._registries().at(view.changes).log_keys
        with self._engine.connect() as connection:
            return list(key_changes(connection, view.tree, view.published, keys))

    def checkpoint_note(self, size: int) -> bytes:
        """The note that was published at this size. Raises NotFound where none was."""
        published = self.published()
        if size == published.checkpoint.size:
            return published.note
        with self._engine.connect() as connection:
            note = archived_note(connection, size)
        if note is None or size > published.checkpoint.size:
            raise NotFound(f"expected a size that was published, got {size}", rule="no-checkpoint")
        return note

    def entry(self, index: int) -> bytes:
        """The bytes of one entry. Raises NotFound behind the published checkpoint."""
        return self.entries(index, index + 1)[0]

    def entries(self, start: int, end: int) -> Sequence[bytes]:
        """Entries `start <= i < end`, at most 1,024. Raises NotFound behind the published checkpoint."""
        if not 0 <= start < end <= self.size or end - start > MAX_ENTRIES:
            raise NotFound(
                f"expected up to {MAX_ENTRIES} entries of {self.size}, got {start}..{end}", rule="no-entry"
            )
        with self._engine.connect() as connection:
            return entry_data(connection, start, end)

    def tile(self, tile: Tile) -> bytes | None:
        """The bytes of a hash tile or entry bundle that the committed head implies, else None.

        The head is a step before the published checkpoint while cosigners are asked: a witness that replays the log reads
        its entries before it cosigns. Who reads ahead of the checkpoint can prove nothing with it yet.
        """
        if tile.level == "entries":
            return self._bundle(tile)
        covered = (tile.index * TILE_WIDTH + tile.width) << (8 * tile.level)
        return self._tiles.read(tile) if self._is_committed(covered) else None

    def _is_committed(self, size: int) -> bool:
        with suppress(Unavailable):
            if size <= self.size:
                return True
        with self._engine.connect() as connection:
            return size <= read_head(connection).size

    def _bundle(self, tile: Tile) -> bytes | None:
        start = tile.index * TILE_WIDTH
        if not self._is_committed(start + tile.width):
            return None
        stored = self._tiles.read(tile) if tile.width == TILE_WIDTH else None
        if stored is not None:
            return stored
        with self._engine.connect() as connection:
            return bundle_entries(entry_data(connection, start, start + tile.width))

    def inclusion_path(self, index: int, size: int | None = None) -> list[bytes]:
        """The path of an entry in the tree of `size` entries, the published one by default.

        Raises NotFound behind the published checkpoint, Unavailable when a tile is missing.
        """
        view = self._view()
        size = self._covered(view, size)
        if not 0 <= index < size:
            raise NotFound(f"expected an entry below {size}, got {index}", rule="no-entry")
        return self._tree.inclusion_path(index, size)

    def consistency_path(self, old_size: int, size: int | None = None) -> list[bytes]:
        """The proof that the tree of `old_size` >= 1 entries is a prefix of the one of `size`. Raises NotFound."""
        view = self._view()
        size = self._covered(view, size)
        if not 0 < old_size <= size:
            raise NotFound(f"expected a size from 1 to {size}, got {old_size}", rule="no-checkpoint")
        return consistency_path_from(view.tree, old_size, size)

    def is_prefix(self, size: int, root: bytes) -> bool:
        """Whether (`size`, `root`), as a statement's `seen` has it, is a head of this log."""
        return self._heads.is_prefix(size, root, self.size)

    def statement(self, row: int) -> StatementState:
        """What became of a staged statement. Raises NotFound."""
        table = schema.statement
        columns = select(table.c.id, table.c.state, table.c.idx, table.c.rule, table.c.reason)
        with self._engine.connect() as connection:
            found = connection.execute(columns.where(table.c.id == row)).one_or_none()
        if found is None:
            raise NotFound("expected a statement of this log, got none", rule="no-statement")
        return StatementState(*found)

    def proof_parts(self, index: int, published: Published | None = None) -> StatementProof:
        """All that a bundle says about the log for the statement at `index`, against one checkpoint.

        That is the latest, or the one in `published`, which an earlier call gave: so many proofs can share a
        checkpoint while the log grows. Raises NotFound for a seal or for what the checkpoint does not cover.
        """
        view = self._provable() if published is None else self._view_of(published)
        size = view.published.checkpoint.size
        if not 0 <= index < size:
            raise NotFound(f"expected an entry below {size}, got {index}", rule="no-entry")
        with self._engine.connect() as connection:
            data, seal_index, seal_data, changes = connection.execute(_PROVEN, {"index": index}).one()
            if is_seal(data):
                raise NotFound(f"expected a statement, got a seal at {index}", rule="no-entry")
            keyid, seen = _signer_and_seen(data)
            seen_note = archived_note(connection, seen[0]) if seen[0] else None
        registries = self._registries()
        return StatementProof(
            view.published,
            self._placed(view, index, data),
            self._placed(view, seal_index, seal_data),
            registries.key(changes, keyid),
            view.last_seal,
            registries.key(view.changes, keyid),
            None if seen_note is None else self._seen(view, *seen, seen_note),
        )

    def _seen(self, view: _View, size: int, root: bytes, note: bytes) -> SeenProof:
        path = consistency_path_from(view.tree, size, view.published.checkpoint.size)
        return SeenProof(size, root, note, tuple(path))

    def _placed(self, view: _View, index: int, data: bytes) -> Placed:
        path = self._tree.inclusion_path(index, view.published.checkpoint.size)
        return Placed(index, data, tuple(path))

    def _covered(self, view: _View, size: int | None) -> int:
        newest = view.published.checkpoint.size
        if size is not None and not 0 < size <= newest:
            raise NotFound(f"expected a size from 1 to {newest}, got {size}", rule="no-checkpoint")
        return size or newest

    def _note(self) -> bytes:
        # Reading the small file again is cheaper than any way of being told, and it can never be stale.
        note = self._files.read(self._checkpoint)
        if note is None:
            raise Unavailable("nothing is published yet")
        return note

    def _provable(self) -> _View:
        """The latest checkpoint, or the newest one before it that this database has all entries of.

        A database restored from a backup is behind what was published; what it has can still be proved.
        """
        try:
            return self._view()
        except Unavailable:
            with self._engine.connect() as connection:
                note = newest_note(connection, read_head(connection).size)
            if note is None:
                raise
            return self._view_of(Published(checkpoint_of(parse_note(note)), note))

    def _view(self) -> _View:
        note = self._note()
        latest = self._latest
        if latest is None or latest.published.note != note:
            latest = self._view_of(Published(checkpoint_of(parse_note(note)), note))
            self._latest = latest
        return latest

    def _read_view(self, published: Published) -> _View:
        size = published.checkpoint.size
        registries = self._registries()
        with self._engine.connect() as connection:
            seal = seal_at(connection, size - 1)
            if seal is None:
                raise Unavailable(
                    f"expected the published checkpoint to end in a seal, got none at {size - 1}"
                )
            known = registries.size
            registries.extend(known, registry_entries(connection, known, size))
            data = entry_data(connection, seal.index, size)[0]
        tree = self._tree.at(size)
        last_seal = Placed(seal.index, data, tuple(self._tree.inclusion_path(seal.index, size)))
        return _View(published, tree, last_seal, seal.changes_after)

    def _registries(self) -> RegistryHistory:
        # Two histories would each know only a part of what the views were built with.
        with self._learning:
            if self._history is None:
                with self._engine.connect() as connection:
                    self._history = RegistryHistory(read_head(connection).origin)
            return self._history


def _signer_and_seen(envelope: bytes) -> tuple[str, tuple[int, bytes]]:
    # The strict parser took these bytes before they became an entry; proofs read only two members again.
    payload = json.loads(b64decode(json.loads(envelope)["payload"]))
    size, root = payload["seen"]
    return payload["key"], (size, bytes.fromhex(root))


_sealed = schema.entry.alias("sealed")
_later = schema.seal.alias("later")
_covering = select(func.min(_later.c.idx)).where(_later.c.idx >= bindparam("index")).scalar_subquery()
_PROVEN: Final = (
    select(schema.entry.c.data, schema.seal.c.idx, _sealed.c.data, schema.seal.c.changes_before)
    .select_from(schema.entry)
    .join(schema.seal, schema.seal.c.idx == _covering)
    .join(_sealed, _sealed.c.idx == schema.seal.c.idx)
    .where(schema.entry.c.idx == bindparam("index"))
)
