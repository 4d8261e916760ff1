"""Checking a whole log against itself: entries, tree, tiles, seals, registry, signatures, and every old head.

It runs beside a live node, over connections that cannot write, at the tree size of the checkpoint it finds
first, and holds no transaction longer than one chunk takes. It trusts the log's public keys and nothing else:
tiles are derived again from the entries and compared byte for byte, and what the entries say is replayed. What
is committed behind the checkpoint and not published yet is held to the committed head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, func, select

from ..checkpoint import Checkpoint, parse_checkpoint
from ..errors import InvalidInput, LoomarkError, Unavailable
from ..merkle import leaf_hash
from ..note import VerifierKey, parse_note
from ..registry import Registry
from ..replay import Replay
from ..seal import Seal
from ..statement import UnverifiedEnvelope, parse_envelope, verify_signatures
from . import schema
from .database import read_head
from .durable import DiskFiles, Files
from .edge import Edge
from .fault import KEPT_OF_A_RULE, Fault, Faults
from .heads import KnownHeads
from .publish import CHECKPOINT_FILE, verified_checkpoint
from .tile_check import TileCheck
from .tiles import TileStore, TileTree

_CHUNK: Final = 2048
_DAMAGED: Final = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What reading a damaged row raises where its columns are of other types than they were written with."""

_Row = tuple[Any, ...]

Progress = Callable[[int, int], None]
"""Called with the number of entries done, and of all."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The last signed head under which every entry still verifies; size 0 where there is none. Its seal's time."""

    size: int = 0
    time: str | None = None


@dataclass(frozen=True, slots=True)
class LogReport:
    """What was checked: the tree size, how many old heads and tiles; the faults, and how many of each rule.

    `sound` is the last signed head that still verifies: without faults in the entries it is the newest.
    """

    size: int
    heads: int
    tiles: int
    faults: tuple[Fault, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    sound: Sound = field(default_factory=Sound)
    registry: Registry = field(default_factory=Registry)


def check_log(
    engine: Engine,
    folder: Path,
    key: VerifierKey | Sequence[VerifierKey],
    *,
    high_water: Path | None = None,
    files: Files | None = None,
    progress: Progress | None = None,
) -> LogReport:
    """Check the log whose tiles lie in `folder`, as its published checkpoint has it.

    `key` is the log's vkey, or all that it ever had. Raises Unavailable when the database cannot be read at all,
    or a file is there and cannot be read; everything else is a fault.
    """
    files = files or DiskFiles()
    keys = (key,) if isinstance(key, VerifierKey) else tuple(key)
    check = _Check(engine, folder, files, keys, progress or _silent)
    check.run(high_water)
    return check.report()


def _silent(_done: int, _total: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class _Unsealed:
    """A statement whose authority is decided by the time of the seal that covers it."""

    index: int
    envelope: UnverifiedEnvelope
    registry: Registry


@dataclass(slots=True)
class _Rows:
    """What the database says about a chunk of entries, by index; heads by tree size."""

    entries: dict[int, _Row]
    heads: dict[int, _Row]
    seals: dict[int, _Row]
    changes: dict[int, _Row]
    statements: dict[int, _Row]

    @classmethod
    def read(cls, connection: Connection, start: int, end: int) -> _Rows:
        entry, head, seal = schema.entry.c, schema.checkpoint.c, schema.seal.c
        change, one = schema.registry_change.c, schema.statement.c
        told = (one.member, one.statement_id, one.type, one.payload_sha256, one.state)
        rest = (one.envelope, one.rule, one.reason)
        counted = (seal.changes_before, seal.changes_after)
        return cls(
            _between(connection, start, end, entry.idx, entry.leaf, entry.data),
            _between(connection, start + 1, end + 1, head.size, head.root, head.note, head.time),
            _between(connection, start, end, seal.idx, seal.first, seal.time, *counted),
            _between(connection, start, end, change.idx, change.number),
            _between(connection, start, end, one.idx, *told, *rest),
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
    folder: Path
    files: Files
    keys: tuple[VerifierKey, ...]
    progress: Progress
    size: int = 0
    target: int = 0
    old_heads: int = 0
    changes: int = 0
    sealed_changes: int = 0
    newest_note: int = 0
    last_time: str | None = None
    marked: bytes | None = None
    cosigned: bool = False
    unpublished: list[int] = field(default_factory=list)
    after_capture: bool = False
    ends_checkpoint: bool = False
    sound: Sound = field(default_factory=Sound)
    faults: Faults = field(default_factory=Faults)
    unsealed: list[_Unsealed] = field(default_factory=list)
    edge: Edge = field(default_factory=Edge)

    def __post_init__(self) -> None:
        self.tiles = TileCheck(self.folder, self.files, self.faults)
        self.known = KnownHeads(self.engine, TileTree(TileStore(self.folder, self.files)))
        self.replay: Replay | None = Replay(self.keys[0].name)
        self.registry = Registry()

    def run(self, high_water: Path | None) -> None:
        """Everything, in an order that a node which goes on writing does not disturb.

        A node writes the head first, then the high-water file, then the checkpoint; they are read the other way round,
        so that each is found to be at most what is read after it.
        """
        published = self.note("checkpoint file", self.files.read(self.folder / CHECKPOINT_FILE))
        mark = None if high_water is None else self.mark(published, self.files.read(high_water))
        with self.engine.connect() as connection:
            head = read_head(connection)
            if connection.execute(select(schema.head.c.id)).scalars().all() != [1]:
                self.faults.note("head", "head", "expected one head, numbered 1, got another")
            newest = select(func.max(schema.checkpoint.c.size)).where(schema.checkpoint.c.note.is_not(None))
            self.newest_note = connection.execute(newest).scalar() or 0
        self.size = published.size if published is not None else head.size
        self.target = max(self.size, head.size)
        self.tiles.find(self.target)
        self.entries(published, mark)
        self.head(head, published)
        self.high_water(head, published, mark)
        self.archive()
        self.beyond()
        self.unsequenced()
        self.tiles.stray(self._latest(high_water))

    def report(self) -> LogReport:
        """What was found."""
        kept, counts = tuple(self.faults.kept), dict(self.faults.counts)
        return LogReport(self.size, self.old_heads, self.tiles.count, kept, counts, self.sound, self.registry)

    def note(self, place: str, note: bytes | None) -> Checkpoint | None:
        """The checkpoint of a note that the log signed, or a fault."""
        try:
            if note is None:
                raise InvalidInput("expected a published checkpoint, got none")
            return self._verified(note)
        except InvalidInput as error:
            self.faults.note("checkpoint", place, error.message)
            return None

    def _verified(self, note: bytes) -> Checkpoint:
        found = verified_checkpoint(note, *self.keys)
        own = {key.key_id for key in self.keys}
        self.cosigned = self.cosigned or any(line.key_id not in own for line in parse_note(note).signatures)
        return found

    def entries(self, published: Checkpoint | None, mark: Checkpoint | None) -> None:
        """Follow the entries to the committed head, chunk by chunk, and look at the tree at the sizes that are named."""
        named = self.target if mark is None else min(mark.size, self.target)
        bounds = sorted({*range(0, self.target, _CHUNK), self.size, named, self.target})
        for start, end in pairwise(bounds):
            if not self._chunk(start, end):
                return
            if end == named:
                self.marked = self.edge.frontier.root()
            if end == self.size:
                self.tiles.compare(self.edge.unfinished())
                self._root(published)
            elif end == self.target:
                self.tiles.compare(self.edge.unfinished(), published=False)
            self.progress(end, self.target)

    def _root(self, published: Checkpoint | None) -> None:
        root = self.edge.frontier.root()
        if published is None:
            return
        if root == published.root:
            self.sound = Sound(published.size, self.last_time)
            return
        self.faults.note(
            "root",
            "checkpoint file",
            f"expected the root of its {published.size} entries, got another",
            expected=root.hex(),
            got=published.root.hex(),
        )

    def head(self, head: Checkpoint, published: Checkpoint | None) -> None:
        """The committed head is the published one or, while the node works, a later one."""
        if head.origin != self.keys[0].name:
            self.faults.note("head", "head", f"expected the log {self.keys[0].name}, got another name")
        if published is not None and head.size < published.size:
            self.faults.note(
                "head",
                "head",
                "expected the published tree or a later one, got an earlier one",
                expected=str(published.size),
                got=str(head.size),
            )
        elif self.edge.size == head.size and self.edge.frontier.root() != head.root:
            self.faults.note(
                "head",
                "head",
                "expected the root of its entries, got another",
                expected=self.edge.frontier.root().hex(),
                got=head.root.hex() if isinstance(head.root, bytes) else "no bytes",
            )

    def mark(self, published: Checkpoint | None, data: bytes | None) -> Checkpoint | None:
        """What the high-water file names; a fault where it names nothing."""
        try:
            if data is not None:
                return parse_checkpoint(data.decode("utf-8", "replace"))
        except InvalidInput as error:
            self.faults.note("high-water", "high-water file", error.message)
            return None
        if published is not None:
            self.faults.note(
                "high-water",
                "high-water file",
                "expected the file that goes with a published log, got none",
            )
        return None

    def high_water(self, head: Checkpoint, published: Checkpoint | None, mark: Checkpoint | None) -> None:
        """The high-water file names the published tree or, while the node works, a later one that was committed."""
        if mark is None:
            return
        behind = published is not None and mark.size < published.size
        ahead = mark.size > head.size
        # Where entries were changed, the tree that they give now says nothing against the file: the signed ones count too.
        trees = [(one.size, one.root) for one in (published, head) if one is not None]
        if self.marked is not None:
            trees.append((mark.size, self.marked))
        known = [root for size, root in trees if size == mark.size]
        other = bool(known) and not ahead and mark.root not in known
        if mark.origin != self.keys[0].name or behind or ahead or other:
            self.faults.note(
                "high-water",
                "high-water file",
                "expected the published tree or a later one of this log, got another",
                expected=None if published is None else f"{published.size} {published.root.hex()}",
                got=f"{mark.size} {mark.root.hex()}",
            )

    def archive(self) -> None:
        """Every head but the newest was published; one that waited for its cosigners may never have been."""
        for size in () if self.cosigned else self.unpublished:
            self.faults.note(
                "archive", f"checkpoint {size}", "expected the note that was published, got none"
            )

    def beyond(self) -> None:
        """No table of the log goes beyond its head."""
        head = select(schema.head.c.size).scalar_subquery()
        last = {
            "entry": func.max(schema.entry.c.idx) + 1,
            "seal": func.max(schema.seal.c.idx) + 1,
            "registry_change": func.max(schema.registry_change.c.idx) + 1,
            "statement": func.max(schema.statement.c.idx) + 1,
            "checkpoint": func.max(schema.checkpoint.c.size),
        }
        for name, end in last.items():
            # One statement reads one moment, so that a node which goes on does not seem to be ahead of itself.
            with self.engine.connect() as connection:
                found, size = connection.execute(select(end, head)).one()
            if found is not None and size is not None and found > size:
                self.faults.note(
                    "index", f"table {name}", f"expected no row beyond the head at {size}, got one at {found}"
                )
        with self.engine.connect() as connection:
            below = [
                (name, connection.execute(select(func.count()).where(column < 0)).scalar_one())
                for name, column in (("entry", schema.entry.c.idx), ("checkpoint", schema.checkpoint.c.size))
            ]
        for name, count in below:
            if count:
                self.faults.note("index", f"table {name}", "expected rows from 0 on, got one below")

    def unsequenced(self) -> None:
        """What waits, and what was refused, is the statement that its row names, signed by those it names."""
        table, last = schema.statement.c, None
        query = (
            select(schema.statement).where(table.state != schema.SEQUENCED).order_by(table.id).limit(_CHUNK)
        )
        while True:
            with self.engine.connect() as connection:
                rows = connection.execute(query if last is None else query.where(table.id > last)).all()
            for row in rows:
                try:
                    self._unsequenced(row)
                except (*_DAMAGED, LoomarkError) as error:
                    self._staged(row, f"expected a statement's envelope: {_said(error)}")
            if len(rows) < _CHUNK:
                return
            last = rows[-1].id

    def _unsequenced(self, row: Any) -> None:
        if row.state not in (schema.STAGED, schema.REFUSED):
            self._staged(row, "expected one of the three states, got another")
        if row.idx is not None:
            self._staged(row, "expected no index for a statement that is not in the log, got one")
        if (row.state == schema.REFUSED) != (row.rule is not None and row.reason is not None):
            self._staged(row, "expected a rule and a reason exactly where it was refused")
        if row.envelope is None:
            # A statement that was sequenced while this check ran.
            if self._state(row.id) != schema.SEQUENCED:
                self._staged(row, "expected its envelope, got none")
            return
        envelope = parse_envelope(row.envelope)
        statement, digest = envelope.statement, sha256(envelope.payload).digest()
        told = (row.member, row.statement_id, row.type, row.payload_sha256)
        if told != (statement.member, statement.id, statement.type, digest):
            self._staged(row, "expected the member, id, type and digest of its envelope, got others")
        keys = {
            keyid: self.registry.records[keyid].key
            for keyid, _ in envelope.signatures
            if keyid in self.registry.records
        }
        if len(keys) == len(envelope.signatures) and row.rule != "bad-signature":
            verify_signatures(envelope, keys)

    def _state(self, row: int) -> str | None:
        with self.engine.connect() as connection:
            query = select(schema.statement.c.state).where(schema.statement.c.id == row)
            return connection.execute(query).scalar_one_or_none()

    def _staged(self, row: Any, message: str) -> None:
        self.faults.note("staged", f"statement row {row.id}", message, member=str(row.member))

    def _latest(self, high_water: Path | None) -> int:
        """The largest size that tiles may have been written for by now."""
        sizes = [self.target]
        for path in (high_water, self.folder / CHECKPOINT_FILE):
            data = None if path is None else self.files.read(path)
            try:
                sizes.append(
                    parse_checkpoint((data or b"").decode().partition("\n\n")[0].rstrip("\n") + "\n").size
                )
            except (InvalidInput, UnicodeDecodeError):
                continue
        return max(sizes)

    def _chunk(self, start: int, end: int) -> bool:
        """Follow some entries; False where one is missing, and nothing can be said of those behind it."""
        with self.engine.connect() as connection:
            rows = _Rows.read(connection, start, end)
        for index in range(start, end):
            found = rows.entries.get(index)
            if found is None or not isinstance(found[1], bytes):
                self._missing(index)
                return False
            self._entry(index, found[0], found[1], rows)
        if self.replay is not None:
            for index in sorted({*rows.seals, *rows.changes, *rows.statements}):
                self.index(index, "expected rows only for entries of their kind, got another")
        self.tiles.compare(self.edge.take_growth().full, published=end <= self.size)
        return True

    def _missing(self, index: int) -> None:
        if index >= self.size:
            self.faults.note(
                "head",
                "head",
                "expected entries up to its size, got none from some index on",
                expected=str(self.target),
                got=str(index),
                entry=index,
            )
            return
        self.faults.note(
            "entry-missing",
            f"entry {index}",
            "expected it in the database, got none; what follows it was not checked",
            entry=index,
        )

    def _entry(self, index: int, leaf: Any, data: bytes, rows: _Rows) -> None:
        right = leaf_hash(data)
        if right != leaf:
            self.faults.note(
                "leaf",
                f"entry {index}",
                "expected the stored leaf hash of the entry, got another",
                expected=leaf.hex() if isinstance(leaf, bytes) else None,
                got=right.hex(),
                entry=index,
            )
        self.edge.append(right, data)
        self._follow(index, data, rows)
        found = rows.heads.get(self.edge.size)
        if found is not None:
            self._old_head(self.edge.size, *found)
        elif self.ends_checkpoint and self.replay is not None:
            self.faults.note(
                "archive", f"checkpoint {self.edge.size}", "expected a head that was committed, got none"
            )
        self.ends_checkpoint = False

    def _follow(self, index: int, data: bytes, rows: _Rows) -> None:
        if self.replay is None:
            return
        registry = self.replay.registry
        try:
            taken = self.replay.take(data)
        except InvalidInput as error:
            self.faults.note(error.rule, f"entry {index}", error.message, entry=index)
            self.replay = None
            return
        self.registry = self.replay.registry
        if isinstance(taken, Seal):
            self._seal(index, taken, rows.seals.pop(index, None))
            # The replay keeps every seal; to follow a long log it needs only the last.
            del self.replay.seals[:-1]
        else:
            self._statement(index, taken, registry, rows)
            void = self.replay.void.pop(index, None)
            if void is not None:
                self._void(index, taken, f"it has no effect: {void.reason}")

    def _void(self, index: int, envelope: UnverifiedEnvelope, message: str) -> None:
        member = envelope.statement.member
        self.faults.note("void-statement", f"entry {index}", message, entry=index, member=member)

    def index(self, index: int, message: str) -> None:
        """Note that a table says something else of an entry than it does."""
        self.faults.note("index", f"entry {index}", message, entry=index)

    def _statement(self, index: int, envelope: UnverifiedEnvelope, registry: Registry, rows: _Rows) -> None:
        statement = envelope.statement
        digest = sha256(envelope.payload).digest()
        expected = (
            statement.member,
            statement.id,
            statement.type,
            digest,
            schema.SEQUENCED,
            None,
            None,
            None,
        )
        if rows.statements.pop(index, None) != expected:
            self.index(index, "expected the database to know this statement by its member, id and index")
        self._seen(index, *statement.seen)
        self.after_capture = not statement.is_registry
        if not statement.is_registry:
            self.unsealed.append(_Unsealed(index, envelope, registry))
            return
        if rows.changes.pop(index, None) != (self.changes,):
            self.index(index, "expected the database to count this registry statement")
        self.changes += 1

    def _seen(self, index: int, size: int, root: bytes) -> None:
        try:
            if size <= index and self.known.is_prefix(size, root, self.target):
                return
        except (Unavailable, InvalidInput, *_DAMAGED) as error:
            self.faults.note("tile", f"entry {index}", f"cannot check `seen`: {_said(error)}", entry=index)
            return
        self.faults.note(
            "wrong-seen",
            f"entry {index}",
            f"expected `seen` to be a head of this log, got another at {size}",
            entry=index,
        )

    def _seal(self, index: int, seal: Seal, row: _Row | None) -> None:
        self.last_time = seal.time
        if row != (seal.start, seal.time, self.sealed_changes, self.changes):
            self.index(index, "expected the database to list this seal as it is")
        # Without a registry statement before it, a seal is there to end a checkpoint.
        self.ends_checkpoint = self.after_capture or index + 1 == self.target
        self.sealed_changes = self.changes
        for one in self.unsealed:
            try:
                one.registry.authorise(one.envelope, seal.time_ms)
            except InvalidInput as error:
                self._void(one.index, one.envelope, f"it has no authority: {error.message}")
        self.unsealed.clear()

    def _old_head(self, size: int, root: Any, note: Any, time: Any) -> None:
        self.old_heads += 1
        place = f"checkpoint {size}"
        here = Checkpoint(self.keys[0].name, size, self.edge.frontier.root())
        self.known.remember(size, here.root)
        if root != here.root:
            self.faults.note(
                "consistency",
                place,
                "expected a prefix of this log, got another tree",
                expected=here.root.hex(),
                got=root.hex() if isinstance(root, bytes) else None,
            )
        if self.replay is not None and time != self.last_time:
            self.faults.note("archive", place, "expected the time of the seal that ends it, got another")
        if note is None:
            if size < self.newest_note:
                self.unpublished.append(size)
            return
        signed = self.note(place, note if isinstance(note, bytes) else b"")
        if signed == here:
            self.sound = Sound(size, self.last_time)
        elif signed is not None:
            self.faults.note(
                "consistency", place, "expected its note to be of a prefix of this log, got another tree"
            )


def _said(error: Exception) -> str:
    return getattr(error, "message", None) or type(error).__name__


__all__ = ["KEPT_OF_A_RULE", "Fault", "LogReport", "Sound", "check_log"]
