"""Checking a whole log against itself: entries, tree, tiles, seals, registry, signatures, and every old head.

It runs beside a live node, over connections that cannot write, at the tree size of the checkpoint it finds
first, and holds no transaction longer than one chunk takes. It trusts the log's public key and nothing else:
tiles are derived again from the entries and compared byte for byte, and what the entries say is replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, select

from ..checkpoint import Checkpoint, parse_checkpoint
from ..errors import InvalidInput, Unavailable
from ..merkle import leaf_hash
from ..note import VerifierKey
from ..registry import Registry
from ..replay import Replay
from ..seal import Seal
from ..statement import UnverifiedEnvelope
from . import schema
from .database import entries, read_head
from .durable import DiskFiles, Files
from .edge import Edge, TileData
from .heads import KnownHeads
from .plan import NewEntry
from .publish import CHECKPOINT_FILE, verified_checkpoint
from .tiles import TileStore, TileTree

MAX_FAULTS: Final = 100
_CHUNK: Final = 2048

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be: a stable slug, where (an entry, a tile, a file), what is wrong."""

    rule: str
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class LogReport:
    """What was checked: the tree size, how many old heads and tiles; and up to 100 faults."""

    size: int
    heads: int
    tiles: int
    faults: tuple[Fault, ...]


def check_log(
    engine: Engine,
    folder: Path,
    key: VerifierKey,
    *,
    high_water: Path | None = None,
    files: Files | None = None,
) -> LogReport:
    """Check the log whose tiles lie in `folder`, as its published checkpoint has it; `key` is the log's vkey.

    Raises Unavailable when the database or a file cannot be read at all; everything else is a fault.
    """
    files = files or DiskFiles()
    check = _Check(engine, TileStore(folder, files), key)
    note = files.read(folder / CHECKPOINT_FILE)
    published = check.note("checkpoint file", note)
    if published is not None:
        check.entries(published)
        check.head(published)
        check.high_water(published, None if high_water is None else files.read(high_water))
    return check.report()


@dataclass(frozen=True, slots=True)
class _Unsealed:
    """A statement whose authority is decided by the time of the seal that covers it."""

    index: int
    envelope: UnverifiedEnvelope
    registry: Registry


@dataclass(slots=True)
class _Rows:
    """What the database says about a chunk of entries beside their bytes, by index; heads by tree size."""

    heads: dict[int, _Row]
    seals: dict[int, _Row]
    changes: dict[int, _Row]
    statements: dict[int, _Row]

    @classmethod
    def read(cls, connection: Connection, start: int, end: int) -> _Rows:
        head, seal, change, one = (
            schema.checkpoint.c,
            schema.seal.c,
            schema.registry_change.c,
            schema.statement.c,
        )
        return cls(
            _between(connection, start + 1, end + 1, head.size, head.root, head.note),
            _between(
                connection,
                start,
                end,
                seal.idx,
                seal.first,
                seal.time,
                seal.changes_before,
                seal.changes_after,
            ),
            _between(connection, start, end, change.idx, change.number),
            _between(
                connection,
                start,
                end,
                one.idx,
                one.member,
                one.statement_id,
                one.type,
                one.payload_sha256,
                one.state,
            ),
        )


def _between(
    connection: Connection, start: int, end: int, key: Column[Any], *columns: Column[Any]
) -> dict[int, _Row]:
    rows = connection.execute(select(key, *columns).where(key >= start, key < end))
    return {row[0]: tuple(row[1:]) for row in rows}


@dataclass
class _Check:
    """One run. It collects faults and goes on, but replays no further than the first entry that breaks the rules."""

    engine: Engine
    tiles: TileStore
    key: VerifierKey
    size: int = 0
    old_heads: int = 0
    tile_count: int = 0
    changes: int = 0
    sealed_changes: int = 0
    faults: list[Fault] = field(default_factory=list)
    unsealed: list[_Unsealed] = field(default_factory=list)
    edge: Edge = field(default_factory=Edge)

    def __post_init__(self) -> None:
        self.known = KnownHeads(self.engine, TileTree(self.tiles))
        self.replay: Replay | None = Replay(self.key.name)

    def fault(self, rule: str, place: str, message: str) -> None:
        """Note a fault; those beyond the hundredth are not kept."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(rule, place, message))

    def report(self) -> LogReport:
        """What was found so far."""
        return LogReport(self.size, self.old_heads, self.tile_count, tuple(self.faults))

    def note(self, place: str, note: bytes | None) -> Checkpoint | None:
        """The checkpoint of a note that the log signed, or a fault."""
        try:
            if note is None:
                raise InvalidInput("expected a published checkpoint, got none")
            return verified_checkpoint(note, self.key)
        except InvalidInput as error:
            self.fault("checkpoint", place, error.message)
            return None

    def entries(self, published: Checkpoint) -> None:
        """Follow the entries to the published size, chunk by chunk."""
        self.size = published.size
        for start in range(0, published.size, _CHUNK):
            try:
                self._chunk(start, min(start + _CHUNK, published.size))
            except Unavailable as error:
                self.fault("entry-missing", f"entry {start}", str(error))
                return
        self._compare(self.edge.unfinished())
        if self.edge.frontier.root() != published.root:
            self.fault(
                "root", "checkpoint file", f"expected the root of its {published.size} entries, got another"
            )

    def head(self, published: Checkpoint) -> None:
        """The committed head is the published one or, while the node works, a later one."""
        with self.engine.connect() as connection:
            head = read_head(connection)
        if head.origin != published.origin:
            self.fault("head", "head", f"expected the log {published.origin}, got {head.origin}")
        if head.size < published.size or (head.size == published.size and head.root != published.root):
            self.fault("head", "head", "expected the published tree or a later one, got another")

    def high_water(self, published: Checkpoint, data: bytes | None) -> None:
        """The high-water file names the published tree or, while the node works, a later one."""
        if data is None:
            return
        try:
            mark = parse_checkpoint(data.decode("utf-8", "replace"))
        except InvalidInput as error:
            self.fault("high-water", "high-water file", error.message)
            return
        behind = mark.origin != published.origin or mark.size < published.size
        if behind or (mark.size == published.size and mark.root != published.root):
            self.fault(
                "high-water", "high-water file", "expected the published tree or a later one, got another"
            )

    def _chunk(self, start: int, end: int) -> None:
        with self.engine.connect() as connection:
            new = list(entries(connection, start, end))
            rows = _Rows.read(connection, start, end)
        for entry in new:
            if leaf_hash(entry.data) != entry.leaf:
                self.fault(
                    "leaf", f"entry {entry.index}", "expected the stored leaf hash of the entry, got another"
                )
            self.edge.append(leaf_hash(entry.data), entry.data)
            self._follow(entry, rows)
            if self.edge.size in rows.heads:
                self._old_head(self.edge.size, *rows.heads[self.edge.size])
        if self.replay is not None:
            for index in sorted({*rows.seals, *rows.changes, *rows.statements}):
                self.fault(
                    "index", f"entry {index}", "expected rows only for entries of their kind, got another"
                )
        self._compare(self.edge.take_growth().full)

    def _follow(self, entry: NewEntry, rows: _Rows) -> None:
        if self.replay is None:
            return
        registry = self.replay.registry
        try:
            taken = self.replay.take(entry.data)
        except InvalidInput as error:
            self.fault(error.rule, f"entry {entry.index}", error.message)
            self.replay = None
            return
        if isinstance(taken, Seal):
            self._seal(entry.index, taken, rows.seals.pop(entry.index, None))
            # The replay keeps every seal; to follow a long log it needs only the last.
            del self.replay.seals[:-1]
        else:
            self._statement(entry.index, taken, registry, rows)
            void = self.replay.void.pop(entry.index, None)
            if void is not None:
                self.fault("void-statement", f"entry {entry.index}", f"it has no effect: {void.reason}")

    def _statement(self, index: int, envelope: UnverifiedEnvelope, registry: Registry, rows: _Rows) -> None:
        place, statement = f"entry {index}", envelope.statement
        digest = sha256(envelope.payload).digest()
        expected = (statement.member, statement.id, statement.type, digest, schema.SEQUENCED)
        if rows.statements.pop(index, None) != expected:
            self.fault(
                "index", place, "expected the database to know this statement by its member, id and index"
            )
        size, root = statement.seen
        if size > index or not self.known.is_prefix(size, root, self.size):
            self.fault(
                "wrong-seen", place, f"expected `seen` to be a head of this log, got another at {size}"
            )
        if not statement.is_registry:
            self.unsealed.append(_Unsealed(index, envelope, registry))
            return
        if rows.changes.pop(index, None) != (self.changes,):
            self.fault("index", place, "expected the database to count this registry statement")
        self.changes += 1

    def _seen(self, index: int, size: int, root: bytes) -> None:
        try:
            if size <= index and self.known.is_prefix(size, root, self.size):
                return
        except Unavailable as error:
            self.fault("tile", f"entry {index}", f"cannot check `seen`: {error}")
            return
        self.fault(
            "wrong-seen", f"entry {index}", f"expected `seen` to be a head of this log, got another at {size}"
        )

    def _seal(self, index: int, seal: Seal, row: _Row | None) -> None:
        if row != (seal.start, seal.time, self.sealed_changes, self.changes):
            self.fault("index", f"entry {index}", "expected the database to list this seal as it is")
        self.sealed_changes = self.changes
        for one in self.unsealed:
            try:
                one.registry.authorise(one.envelope, seal.time_ms)
            except InvalidInput as error:
                self.fault("void-statement", f"entry {one.index}", f"it has no authority: {error.message}")
        self.unsealed.clear()

    def _old_head(self, size: int, root: bytes, note: bytes | None) -> None:
        self.old_heads += 1
        place = f"checkpoint {size}"
        here = Checkpoint(self.key.name, size, self.edge.frontier.root())
        if root != here.root:
            self.fault("consistency", place, "expected a prefix of this log, got another tree")
        if note is not None and self.note(place, note) not in (here, None):
            self.fault(
                "consistency", place, "expected its note to be of a prefix of this log, got another tree"
            )

    def _compare(self, tiles: Sequence[TileData]) -> None:
        for derived in tiles:
            self.tile_count += 1
            stored = self.tiles.read(derived.tile)
            if stored != derived.data:
                got = "none" if stored is None else "other bytes"
                self.fault(
                    "tile", f"tile/{derived.tile.path}", f"expected the tile its entries give, got {got}"
                )
