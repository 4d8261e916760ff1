"""Proof bundles (``loomark/proof/v1``): everything needed to verify records offline, and no verdict.

One JSON object with tables whose rows name each other by number, so that what records share (a checkpoint, seals,
key records, captures) stands in it once; docs/spec/bundle.md. A bundle of one record is a proof, one of many is
the evidence of a report. :func:`parse_bundle` is step 1 of verification; the rest is :mod:`ledger.verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from . import shape
from .canonical import JSON, canonical, parse_json
from .capture import CAPTURE_SALT_SIZE_BYTES, MAX_RECORDS
from .checkpoint import Checkpoint, checkpoint_of
from .errors import InvalidInput, VerificationError
from .key_record import KeyRecord, key_record_of
from .note import Note, parse_note
from .seal import Seal, seal_bytes, seal_of
from .statement import UnverifiedEnvelope, envelope_of

PROOF = "loomark/proof/v1"
MAX_BUNDLE_BYTES = 16 * 1024 * 1024
MAX_ROWS = 65_536

_BUNDLE = frozenset({"proof", "checkpoint", "last", "seals", "keys", "latest", "entries", "records"})
_LAST = frozenset({"seal", "path"})
_SEAL = frozenset({"index", "seal", "path"})
_KEY = frozenset({"seal", "position", "record", "path"})
_LATEST = frozenset({"position", "record", "path"})
_ENTRY = frozenset({"index", "envelope", "path", "seal", "key", "latest", "salt", "count"})
_SEEN = frozenset({"path", "checkpoint"})
_RECORD = frozenset({"entry", "position", "path", "commitment", "disclosure"})

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class SealRow:
    """A seal at ``index`` with its path in the checkpoint's tree."""

    index: int
    seal: Seal
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key record with its position and path under a registry root: ``seal`` is the row of the seal that states it.

    None for the root under the last seal's ``after``.
    """

    seal: int | None
    position: int
    record: KeyRecord
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """The proof that what a statement had seen is a prefix, and that checkpoint's note where it is at hand."""

    path: tuple[bytes, ...]
    note: Note | None


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A capture at log ``index``: its envelope and path, rows of its seal and key records, its salt and count."""

    index: int
    envelope: UnverifiedEnvelope
    path: tuple[bytes, ...]
    seal: int
    key: int
    latest: int
    salt: bytes
    count: int
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record at ``position`` of the capture in row ``entry``; its commitment and what discloses it (not opened)."""

    entry: int
    position: int
    path: tuple[bytes, ...]
    commitment: bytes
    disclosure: JSON


@dataclass(frozen=True, slots=True)
class UnverifiedBundle:
    """A well-formed bundle. ``place`` is the pointer of the bundle in the document that carries it."""

    place: str
    note: Note
    checkpoint: Checkpoint
    last: SealRow
    seals: tuple[SealRow, ...]
    keys: tuple[KeyRow, ...]
    latest: tuple[KeyRow, ...]
    entries: tuple[EntryRow, ...]
    records: tuple[RecordRow, ...]


class Step:
    """``with Step(number, place):`` turns :class:`InvalidInput` into the step's :class:`VerificationError`."""

    __slots__ = ("number", "place")

    def __init__(self, number: int, place: str) -> None:
        self.number = number
        self.place = place

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, InvalidInput):
            raise VerificationError(error.message, self.number, self.place) from error


def parse_bundle(data: bytes) -> UnverifiedBundle:
    """Step 1: the bundle of these bytes; raises :class:`VerificationError` of step 1 with the place at fault."""
    if len(data) > MAX_BUNDLE_BYTES:
        raise VerificationError(f"expected a bundle of at most {MAX_BUNDLE_BYTES} bytes", 1, "")
    with Step(1, ""):
        value = parse_json(data)
    return bundle_of(value)


def bundle_of(value: JSON, place: str = "") -> UnverifiedBundle:
    """Step 1 for a bundle inside a document that was parsed by :func:`ledger.canonical.parse_json`.

    ``place`` is its pointer there; errors name places below it.
    """
    with Step(1, place):
        obj = shape.members(value, "bundle", _BUNDLE)
        if obj["proof"] != PROOF:
            raise InvalidInput(f"expected {PROOF}, got another format", rule="bad-version")
    with Step(1, f"{place}/checkpoint"):
        note = parse_note(shape.text(obj["checkpoint"], "checkpoint", MAX_BUNDLE_BYTES).encode())
        checkpoint = checkpoint_of(note)
        if checkpoint.size < 2:
            raise InvalidInput("expected a checkpoint of size 2 or more", rule="bad-checkpoint")
    with Step(1, f"{place}/last"):
        last = _last(obj["last"], checkpoint.size - 1)
    bundle = UnverifiedBundle(
        place,
        note,
        checkpoint,
        last,
        _rows(obj, "seals", place, _seal),
        _rows(obj, "keys", place, _key),
        _rows(obj, "latest", place, _latest),
        _rows(obj, "entries", place, _entry),
        _rows(obj, "records", place, _record),
    )
    _check_references(bundle)
    return bundle


def _rows(obj: dict[str, JSON], table: str, place: str, read: Callable[[JSON], Row]) -> tuple[Row, ...]:
    with Step(1, f"{place}/{table}"):
        items = shape.array(obj[table], table, 1, MAX_ROWS)
    rows: list[Row] = []
    for item in items:
        with Step(1, f"{place}/{table}/{len(rows)}"):
            rows.append(read(item))
    return tuple(rows)


def _last(value: JSON, index: int) -> SealRow:
    obj = shape.members(value, "last", _LAST)
    return SealRow(index, seal_of(obj["seal"]), shape.hash_path(obj["path"], "path"))


def _seal(value: JSON) -> SealRow:
    obj = shape.members(value, "seal", _SEAL)
    return SealRow(
        shape.count(obj["index"], "index"), seal_of(obj["seal"]), shape.hash_path(obj["path"], "path")
    )


def _key(value: JSON) -> KeyRow:
    obj = shape.members(value, "key", _KEY)
    return _key_row(obj, shape.count(obj["seal"], "seal"))


def _latest(value: JSON) -> KeyRow:
    return _key_row(shape.members(value, "latest", _LATEST), None)


def _key_row(obj: dict[str, JSON], seal: int | None) -> KeyRow:
    position = shape.count(obj["position"], "position")
    return KeyRow(seal, position, key_record_of(obj["record"]), shape.hash_path(obj["path"], "path"))


def _entry(value: JSON) -> EntryRow:
    obj = shape.members(value, "entry", _ENTRY, frozenset({"seen"}))
    envelope = envelope_of(obj["envelope"])
    if envelope.statement.type != "capture":
        raise InvalidInput(f"expected a capture, got a {envelope.statement.type}", rule="not-a-capture")
    return EntryRow(
        shape.count(obj["index"], "index"),
        envelope,
        shape.hash_path(obj["path"], "path"),
        shape.count(obj["seal"], "seal"),
        shape.count(obj["key"], "key"),
        shape.count(obj["latest"], "latest"),
        shape.hex_bytes(obj["salt"], "salt", CAPTURE_SALT_SIZE_BYTES),
        shape.count(obj["count"], "count", 1, MAX_RECORDS),
        _seen(obj["seen"]) if "seen" in obj else None,
    )


def _seen(value: JSON) -> Seen:
    obj = shape.members(value, "seen", _SEEN)
    path = shape.hash_path(obj["path"], "seen.path")
    if obj["checkpoint"] is None:
        return Seen(path, None)
    return Seen(path, parse_note(shape.text(obj["checkpoint"], "seen.checkpoint", MAX_BUNDLE_BYTES).encode()))


def _record(value: JSON) -> RecordRow:
    obj = shape.members(value, "record", _RECORD)
    return RecordRow(
        shape.count(obj["entry"], "entry"),
        shape.count(obj["position"], "position"),
        shape.hash_path(obj["path"], "path"),
        shape.hex_bytes(obj["commitment"], "commitment"),
        obj["disclosure"],
    )


def _check_references(bundle: UnverifiedBundle) -> None:
    """Every row is named by another one and stands once: one set of evidence has one bundle, but for order."""
    place = bundle.place
    entries = bundle.entries
    _check_table(f"{place}/entries", [row.index for row in entries], [row.entry for row in bundle.records])
    sealed = [*[row.seal for row in bundle.keys], *[row.seal for row in entries]]
    _check_table(f"{place}/seals", [row.index for row in bundle.seals], sealed)
    keys = [(row.seal, row.record.key) for row in bundle.keys]
    _check_table(f"{place}/keys", keys, [row.key for row in entries])
    latest = [row.record.key for row in bundle.latest]
    _check_table(f"{place}/latest", latest, [row.latest for row in entries])
    records = [(row.entry, row.position) for row in bundle.records]
    _check_table(f"{place}/records", records, range(len(records)))


def _check_table(place: str, names: Sequence[object], used: Sequence[int | None]) -> None:
    with Step(1, place):
        if len(set(names)) != len(names):
            raise InvalidInput("expected each row once, got one twice", rule="duplicate-row")
        if set(used) != set(range(len(names))):
            raise InvalidInput("expected rows that are all named and exist, got others", rule="bad-row")


class BundleBuilder:
    """Collects the parts of a bundle; each method gives the number of its row, and a repeated part its first row.

    The parts are taken as they are: nothing is verified here.
    """

    def __init__(self, checkpoint: bytes, last_seal: bytes, last_path: Sequence[bytes]) -> None:
        self._bundle: dict[str, JSON] = {
            "proof": PROOF,
            "checkpoint": checkpoint.decode(),
            "last": {"seal": parse_json(last_seal), "path": _hex_path(last_path)},
        }
        self._tables: dict[str, list[JSON]] = {
            name: [] for name in ("seals", "keys", "latest", "entries", "records")
        }
        self._numbers: dict[tuple[object, ...], int] = {}

    def seal(self, index: int, seal: Seal, path: Sequence[bytes]) -> int:
        """Add a seal."""
        row = {"index": index, "seal": parse_json(seal_bytes(seal)), "path": _hex_path(path)}
        return self._row("seals", index, row)

    def key(self, seal: int, record: KeyRecord, position: int, path: Sequence[bytes]) -> int:
        """Add a key record under the ``before`` of the seal in row ``seal``."""
        row = {"seal": seal, "position": position, "record": record.as_json(), "path": _hex_path(path)}
        return self._row("keys", (seal, record.key), row)

    def latest(self, record: KeyRecord, position: int, path: Sequence[bytes]) -> int:
        """Add a key record under the ``after`` of the checkpoint's last seal."""
        row = {"position": position, "record": record.as_json(), "path": _hex_path(path)}
        return self._row("latest", record.key, row)

    def entry(
        self,
        index: int,
        envelope: bytes,
        path: Sequence[bytes],
        *,
        seal: int,
        key: int,
        latest: int,
        salt: bytes,
        count: int,
        seen: tuple[Sequence[bytes], bytes | None] | None = None,
    ) -> int:
        """Add a capture; ``seen`` is a consistency path with the seen checkpoint's note, or None for it."""
        row: dict[str, JSON] = {
            "index": index,
            "envelope": parse_json(envelope),
            "path": _hex_path(path),
            "seal": seal,
            "key": key,
            "latest": latest,
            "salt": salt.hex(),
            "count": count,
        }
        if seen is not None:
            row["seen"] = {"path": _hex_path(seen[0]), "checkpoint": seen[1].decode() if seen[1] else None}
        return self._row("entries", index, row)

    def record(
        self, entry: int, position: int, path: Sequence[bytes], commitment: bytes, disclosure: JSON
    ) -> int:
        """Add a record of the capture in row ``entry``, disclosed by :func:`ledger.disclosure.disclose`."""
        row = {
            "entry": entry,
            "position": position,
            "path": _hex_path(path),
            "commitment": commitment.hex(),
            "disclosure": disclosure,
        }
        return self._row("records", (entry, position), row)

    def as_json(self) -> dict[str, JSON]:
        """The bundle as a JSON object, for a document that carries it."""
        return {**self._bundle, **self._tables}

    def to_bytes(self) -> bytes:
        """The canonical bytes of the bundle."""
        return canonical(self.as_json())

    def _row(self, table: str, name: object, row: JSON) -> int:
        number = self._numbers.setdefault((table, name), len(self._tables[table]))
        if number == len(self._tables[table]):
            self._tables[table].append(row)
        return number


def _hex_path(path: Sequence[bytes]) -> list[JSON]:
    return [one.hex() for one in path]


@dataclass(frozen=True, slots=True)
class Included:
    """Something at a position of a tree, with its path there."""

    position: int
    path: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class ProofParts:
    """The parts of a bundle of one record, as the log and the record store hold them.

    ``entry_at`` and ``seal_at`` are log indices with their paths in the checkpoint's tree, ``key_at`` and
    ``latest_at`` places in the registry trees, ``record_at`` the place in the capture of ``count`` records.
    """

    checkpoint: bytes
    last_seal: bytes
    last_path: Sequence[bytes]
    seal: Seal
    seal_at: Included
    key: KeyRecord
    key_at: Included
    latest: KeyRecord
    latest_at: Included
    envelope: bytes
    entry_at: Included
    salt: bytes
    count: int
    record_at: Included
    commitment: bytes
    disclosure: JSON
    seen: tuple[Sequence[bytes], bytes | None] | None = None


def build_bundle(parts: ProofParts) -> bytes:
    """The canonical bytes of the bundle of one record."""
    builder = BundleBuilder(parts.checkpoint, parts.last_seal, parts.last_path)
    seal = builder.seal(parts.seal_at.position, parts.seal, parts.seal_at.path)
    entry = builder.entry(
        parts.entry_at.position,
        parts.envelope,
        parts.entry_at.path,
        seal=seal,
        key=builder.key(seal, parts.key, parts.key_at.position, parts.key_at.path),
        latest=builder.latest(parts.latest, parts.latest_at.position, parts.latest_at.path),
        salt=parts.salt,
        count=parts.count,
        seen=parts.seen,
    )
    builder.record(entry, parts.record_at.position, parts.record_at.path, parts.commitment, parts.disclosure)
    return builder.to_bytes()
