"""From submitted bytes to rows ready to be stored: validated, canonical, committed. No database, no keys.

`prepare` is a function of its arguments; the random bytes it needs come from `draw`. It runs in the pool
(`fabric.capture.pool`), and what it gives is made of tuples, text and bytes, so that handing it over is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fabric.epcis.document import Document, Reading, media_type_of, read_document
from fabric.epcis.identity import BodyDigests
from fabric.store.documents import pack as pack_document
from fabric.store.records import NewRecord
from fabric.store.schema import EVENT, HEADER, MASTER
from fabric.visibility.parties import Sides, is_split_needed
from ledger.capture import MAX_RECORDS
from ledger.commitment import RECORD_SALT_SIZE_BYTES, Committed, Committer
from ledger.errors import Finding, TooLarge
from ledger.submission import MEDIA_TYPE as SUBMISSION
from ledger.submission import Submission, parse_submission, verify_submission

from .packed import Packed, pack

Draw = Callable[[int], bytes]
"""That many random bytes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one submission may hold; the format's own limits apply as well."""

    body_bytes: int = 16 * 1024 * 1024
    records: int = MAX_RECORDS


@dataclass(frozen=True, slots=True)
class Prepared:
    """A validated submission: `records` in order of position, the header record, then `masters`, then `events`.

    `pointers` say where each was in the document; a master-data row is its type, and the IRI and kind of what
    it is about. `envelope` and `salt` are those of a member-signed capture, else None. `notes` are JSON.
    """

    sha256: bytes
    media_type: str
    size: int
    document: bytes
    envelope: bytes | None
    salt: bytes | None
    records: list[NewRecord]
    pointers: list[str]
    masters: list[tuple[str, str, str]]
    events: list[Packed]
    notes: dict[str, Any]


def prepare(
    body: bytes, media_type: str, limits: Limits, draw: Draw, keep_bad_check_digits: bool = False
) -> Prepared:
    """Validate a submission whole and commit to its records. Raises InvalidInput and its leaves.

    `media_type` is that of the request: EPCIS, or a member-signed capture, whose signature is left to the
    writer, which knows the registry. `keep_bad_check_digits` turns that refusal into warnings, as a member may ask.
    """
    if len(body) > limits.body_bytes:
        raise TooLarge(f"expected at most {limits.body_bytes} bytes, got {len(body)}", rule="document-size")
    essence = media_type.partition(";")[0].strip().lower()
    if essence == SUBMISSION:
        return _prepare_signed(parse_submission(body), limits, keep_bad_check_digits)
    document = read_document(body, media_type, Reading(keep_bad_check_digits=keep_bad_check_digits))
    values = _committed(document, limits)
    salts = draw(RECORD_SALT_SIZE_BYTES * len(values))
    size = RECORD_SALT_SIZE_BYTES
    pieces = [salts[at : at + size] for at in range(0, len(salts), size)]
    committer = Committer()
    # Each record is committed to just before its row is made, while it lies in the processor's cache.
    committed = map(committer, values, pieces)
    return _prepared(body, essence, None, document, pieces, committed)


def _prepare_signed(submission: Submission, limits: Limits, keep_bad_check_digits: bool) -> Prepared:
    reading = Reading(sent_digests=submission.contexts, keep_bad_check_digits=keep_bad_check_digits)
    # A submission has no room for a media type; JSON and XML cannot be taken for each other.
    media_type = media_type_of(submission.document)
    document = read_document(submission.document, media_type, reading)
    values = _committed(document, limits)
    committed = iter(verify_submission(submission, values))
    salts = list(submission.record_salts)
    return _prepared(submission.document, media_type, submission, document, salts, committed)


def _committed(document: Document, limits: Limits) -> list[dict[str, Any]]:
    values = [record.committed for record in document.records]
    if len(values) > limits.records:
        expected, got = f"at most {limits.records} records, the header among them", str(len(values))
        first = document.records[limits.records]
        finding = Finding(first.position, first.pointer, "too-many-records", expected, got)
        raise TooLarge(f"expected {expected}, got {got}", [finding], "too-many-records")
    return values


def _prepared(
    body: bytes,
    media_type: str,
    submission: Submission | None,
    document: Document,
    salts: list[bytes],
    committed: Iterator[Committed],
) -> Prepared:
    digest_of = BodyDigests()
    first_event = 1 + len(document.master_data)
    records = []
    for position, value in enumerate(record.committed for record in document.records[:first_event]):
        kind, one = HEADER if position == 0 else MASTER, next(committed)
        digest = digest_of(value, one)
        records.append(NewRecord(kind, None, 0, one.commitment, digest, salts[position], one.body))
    events = []
    for read, one in zip(document.events, committed, strict=True):
        data = one.body
        packed = pack(read.event, sha256(data).digest())
        events.append(packed)
        records.append(
            NewRecord(
                EVENT,
                packed.event_id,
                int(packed.declares),
                one.commitment,
                digest_of(read.committed, one),
                salts[read.position],
                data,
            )
        )
    return Prepared(
        sha256(body).digest(),
        media_type,
        len(body),
        pack_document(body),
        None if submission is None else submission.envelope.data,
        None if submission is None else submission.capture_salt,
        records,
        [""] + [read.pointer for read in document.records[1:]],
        [(read.type, read.thing.iri, read.thing.kind.value) for read in document.master_data],
        events,
        _notes(document, events, first_event),
    )


def _notes(document: Document, events: list[Packed], first: int) -> dict[str, Any]:
    warnings = [finding.as_json() for finding in document.warnings] + _split_warnings(events, first)
    notes: dict[str, Any] = {"warnings": warnings} if warnings else {}
    if document.unresolved:
        notes["unresolvedContexts"] = list(document.unresolved)
    return notes


def _split_warnings(events: list[Packed], first: int) -> list[dict[str, Any]]:
    return [
        Finding(
            position,
            "",
            "several-parties",
            "one party of each type on each side, so that each sees its own leg",
            "two or more: only the capturing member will see it",
        ).as_json()
        for position, event in enumerate(events, first)
        if (event.sources or event.destinations) and is_split_needed(Sides(event.sources, event.destinations))
    ]
