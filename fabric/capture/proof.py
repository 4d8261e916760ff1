"""Proofs of stored records: what the record store and the log hold, put into one bundle.

The bundle of one record is a proof, that of many is the evidence of a report; all are against one checkpoint.
Nothing is verified here: whoever gets the bytes does that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine

from fabric.store import records
from fabric.store.erasures import Tombstone, tombstones
from fabric.store.records import RECORD_IRI, StoredCapture, StoredRecord
from fabric.visibility.handover import creation_pointers
from fabric.visibility.reader import Reader
from fabric.visibility.sight import Sight, shown_value, sight
from ledger import merkle
from ledger.bundle import MAX_BUNDLE_BYTES, BundleBuilder
from ledger.canonical import JSON, canonical
from ledger.disclosure import disclose, narrow
from ledger.errors import Erased, Forbidden, InvalidInput, NotFound, TooLarge, Unavailable
from ledger.log.reader import LogReader, StatementProof
from ledger.receipt import MAX_RECEIPT_BYTES, receipt_bytes
from ledger.seal import parse_seal
from ledger.tlog_proof import tlog_proof_bytes

from .tombstone import ErasedRecord, tombstone_json

_TREES: Final = 256
_ROW_BYTES: Final = 2_048
"""More than a record's row has beside its value: a path of at most 16 hashes, commitment, salt, names."""
_SHARE_BYTES: Final = MAX_BUNDLE_BYTES - 1024 * 1024
"""What the rows of one bundle may take; the rest is for what they share."""


class Disclosed(NamedTuple):
    """A record that goes into a bundle; `pointers` None opens it in full."""

    record: StoredRecord
    pointers: Sequence[str] | None


class Prover:
    """Builds bundles. Safe to share by threads; `engine` gives connections that need not be able to write."""

    def __init__(self, engine: Engine, log: LogReader) -> None:
        self._engine = engine
        self._log = log
        self._tree = lru_cache(maxsize=_TREES)(self._read_tree)

    def record(self, name: str, reader: Reader) -> tuple[StoredRecord, Sight]:
        """A record by its name (`urn:loomark:record:<hex>`, or the hex alone) and what the reader sees of it.

        Raises NotFound for a hidden record as for one that does not exist.
        """
        with self._engine.connect() as connection:
            for found in records.find_records(connection, commitment_of(name)):
                seen = sight(connection, reader, found)
                if seen is not Sight.NOTHING:
                    return found, seen
        raise NotFound("no such record", rule="unknown-record")

    def value(self, name: str, reader: Reader) -> dict[str, Any]:
        """What the reader sees of a record's committed value. Raises NotFound, ErasedRecord."""
        found, seen = self._kept(name, reader)
        return shown_value(seen, found.value() or {})

    def tombstone(self, name: str, reader: Reader) -> dict[str, Any] | None:
        """What was erased of a record, as the reader may see it; None when nothing was. Raises NotFound."""
        found, seen = self.record(name, reader)
        stone = self._stone(found.id)
        return None if stone is None else tombstone_json(found, stone, seen, reader)

    def _kept(self, name: str, reader: Reader) -> tuple[StoredRecord, Sight]:
        """A record of which something is kept. Raises NotFound, ErasedRecord."""
        found, seen = self.record(name, reader)
        if found.body is None:
            stone = self._stone(found.id)
            if stone is None:
                raise Unavailable("expected the tombstone of a record without a body: run loomark fsck")
            raise ErasedRecord(tombstone_json(found, stone, seen, reader))
        return found, seen

    def _stone(self, record: int) -> Tombstone | None:
        with self._engine.connect() as connection:
            return tombstones(connection, [record]).get(record)

    def bundle_for(self, name: str, reader: Reader, pointers: Sequence[str] | None = None) -> bytes:
        """The proof of one record: in full, or with what the pointers name.

        A reader who sees a part is given that part, and may ask for less. Raises NotFound, Forbidden for a
        pointer beyond it, Unavailable while the record waits for its index. Of a record that was erased in part,
        everything that stays is opened instead of the whole; Erased for a pointer to what is gone, ErasedRecord when
        all is.
        """
        found, seen = self._kept(name, reader)
        return self.bundle([Disclosed(found, _allowed(found, seen, pointers))]).to_bytes()

    def tlog_proof_for(self, name: str, reader: Reader) -> bytes:
        """The C2SP tlog-proof of the statement that carries a record, with the statement in its extra line.

        It shows nothing of the record itself. Raises NotFound, Unavailable as :meth:`bundle_for`.
        """
        found, _ = self.record(name, reader)
        index = _index(found.capture)
        parts = self._anchored_parts(index) or self._log.proof_parts(index)
        entry = parts.entry
        return tlog_proof_bytes(entry.index, entry.path, parts.published.note, entry.data)

    def bundle(self, disclosed: Iterable[Disclosed]) -> BundleBuilder:
        """One bundle of records, all against one checkpoint: what organisations cosigned where that covers them all,
        else the newest."""
        wanted = list(disclosed)
        if not wanted:
            raise InvalidInput("expected one record or more", rule="no-records")
        captures = {item.record.capture.id: item.record.capture for item in wanted}
        latest = max(captures.values(), key=_index)
        # What the log publishes while this runs is left to the next bundle: a checkpoint that covers the
        # latest record covers all.
        last = self._latest_parts(_index(latest))
        proofs = {
            number: last if found is latest else self._log.proof_parts(_index(found), last.published)
            for number, found in captures.items()
        }
        builder = BundleBuilder(last.published.note, last.last_seal.data, last.last_seal.path)
        entries = {number: _add_entry(builder, captures[number], parts) for number, parts in proofs.items()}
        for item in wanted:
            self._add_record(builder, entries[item.record.capture.id], item)
        return builder

    def receipt(self, capture_id: int) -> bytes:
        """The receipt of a whole capture (docs/spec/receipt.md), for its submitter.

        Raises Unavailable while it waits for its place in the log, Erased when nothing of it is kept, TooLarge
        where only the proofs of its records one by one can be had.
        """
        with self._engine.connect() as connection:
            found = records.load_capture(connection, capture_id)
            stored = list(records.records_of(connection, found))
        parts = self._latest_parts(_index(found))
        erased = [one.position for one in stored if one.body is None]
        kept = [one for one in stored if one.body is not None]
        if not kept:
            raise Erased("every record of this capture was erased")
        bundles = []
        for share in _shares(kept):
            builder = BundleBuilder(parts.published.note, parts.last_seal.data, parts.last_seal.path)
            entry = _add_entry(builder, found, parts)
            for record in share:
                self._add_record(builder, entry, Disclosed(record, None))
            bundles.append(builder.as_json())
        data = receipt_bytes(bundles, erased)
        if len(data) > MAX_RECEIPT_BYTES:
            raise TooLarge(
                f"expected a receipt of at most {MAX_RECEIPT_BYTES} bytes, got {len(data)};"
                " ask for the proofs of its records",
                rule="receipt-size",
            )
        return data

    def is_anchored(self, proof: bytes) -> bool:
        """Whether a proof of this prover's is against the checkpoint that organisations cosigned."""
        anchored = self._log.anchored()
        return anchored is not None and canonical(anchored.note.decode()) in proof

    def _anchored_parts(self, index: int) -> StatementProof | None:
        """What proves a statement against the newest anchored checkpoint, None where that does not cover it."""
        anchored = self._log.anchored()
        if anchored is None or index >= anchored.checkpoint.size:
            return None
        with suppress(Unavailable):
            return self._log.proof_parts(index, anchored)
        return None

    def _latest_parts(self, index: int) -> StatementProof:
        anchored = self._anchored_parts(index)
        if anchored is not None:
            return anchored
        try:
            return self._log.proof_parts(index)
        except NotFound:
            # It has an index, so it is in the committed tree, whose publication waits for a quorum or for room.
            raise Unavailable("this record waits for its publication; try again") from None

    def _add_record(self, builder: BundleBuilder, entry: int, item: Disclosed) -> None:
        record = item.record
        disclosure = self._disclosure(record, item.pointers)
        levels = self._tree(record.capture.id)
        path = merkle.inclusion_path_from(
            lambda level, index: levels[level][index], record.position, record.capture.count
        )
        builder.record(entry, record.position, path, record.commitment, disclosure)

    def _disclosure(self, record: StoredRecord, pointers: Sequence[str] | None) -> dict[str, JSON]:
        value = record.value()
        if value is not None and record.salt is not None:
            return disclose(value, record.salt, pointers)
        stone = self._stone(record.id)
        if stone is None or stone.remains is None:
            raise Erased("this record was erased")
        return narrow(json.loads(stone.remains), pointers)

    def _read_tree(self, capture_id: int) -> list[list[bytes]]:
        """The complete subtrees over a capture's record commitments, by level."""
        with self._engine.connect() as connection:
            levels = [records.commitments_of(connection, capture_id)]
        while len(levels[-1]) > 1:
            below = levels[-1]
            pairs = range(0, len(below) - 1, 2)
            levels.append([merkle.node_hash(below[at], below[at + 1]) for at in pairs])
        return levels


def _shares(kept: Sequence[StoredRecord]) -> Iterator[list[StoredRecord]]:
    """Records in order, as many together as one bundle has room for."""
    share: list[StoredRecord] = []
    size_bytes = 0
    for record in kept:
        # What stays of a record beside erased units is opened unit by unit, each with salt and path.
        spread = 1 if record.salt is not None else 8
        own_bytes = len(record.body or b"") * spread + _ROW_BYTES
        if share and size_bytes + own_bytes > _SHARE_BYTES:
            yield share
            share, size_bytes = [], 0
        share.append(record)
        size_bytes += own_bytes
    yield share


def _add_entry(builder: BundleBuilder, found: StoredCapture, parts: StatementProof) -> int:
    seal = builder.seal(parts.seal.index, parse_seal(parts.seal.data), parts.seal.path)
    key, latest = parts.key, parts.key_last
    return builder.entry(
        parts.entry.index,
        parts.entry.data,
        parts.entry.path,
        seal=seal,
        key=builder.key(seal, key.record, key.position, key.path),
        latest=builder.latest(latest.record, latest.position, latest.path),
        salt=found.salt,
        count=found.count,
        seen=None if parts.seen is None else (parts.seen.path, parts.seen.note),
    )


def commitment_of(name: str) -> bytes:
    """The commitment that a record's name states. Raises NotFound for what is no such name."""
    text = name.removeprefix(RECORD_IRI)
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != merkle.HASH_SIZE_BYTES or found.hex() != text:
        raise NotFound("no such record", rule="unknown-record")
    return found


def _index(found: StoredCapture) -> int:
    if found.idx is None:
        raise Unavailable("this record waits for its place in the log; try again")
    return found.idx


def _allowed(found: StoredRecord, seen: Sight, pointers: Sequence[str] | None) -> Sequence[str] | None:
    if seen is Sight.WHOLE:
        return pointers
    value = found.value()
    shown = creation_pointers(value or {})
    # The empty pointer names the whole record; it is beyond, as is what is no pointer.
    beyond = [one for one in pointers or () if "/".join(one.split("/")[:2]) not in shown]
    if beyond:
        raise Forbidden(f"expected a pointer below {', '.join(shown)}, got {beyond[0]}", rule="not-shown")
    return shown if pointers is None else pointers
