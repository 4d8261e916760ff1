"""From submitted bytes to rows ready to be stored: validated, canonical, committed. No database, no keys.

`prepare` is a function of its arguments; the random bytes it needs come from `draw`. It runs in the pool
(`fabric.capture.pool`), and what it gives is made of tuples, text and bytes, so that handing it over is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from fabric.epcis.document import Document, EventRecord, Reading, media_type_of, read_document
from fabric.epcis.event_hash import record_hash
from fabric.epcis.findings import MOST
from fabric.epcis.identity import BodyDigests
from fabric.store.documents import pack as pack_document
from fabric.store.records import NewRecord
from fabric.store.schema import EVENT, HEADER, MASTER
from fabric.visibility.parties import Sides, is_split_needed
from ledger.capture import MAX_RECORDS
from ledger.commitment import RECORD_SALT_SIZE_BYTES, Committed, Committer
from ledger.errors import Finding, InvalidInput, TooLarge
from ledger.submission import MEDIA_TYPE as SUBMISSION
from ledger.submission import Submission, parse_submission, verify_submission

from .packed import Packed, pack

Draw = Callable[[int], bytes]
"""That many random bytes."""

Where = tuple[int, str]
"""Position in the document, and pointer or path."""

Rejected = tuple[int, list[dict[str, object]]]
"""Position in the document of an event that is left out, and what is wrong with it: findings as JSON."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one submission may hold; the format's own limits apply as well."""

    body_bytes: int = 16 * 1024 * 1024
    events: int = MAX_RECORDS


@dataclass(frozen=True, slots=True)
class Asked:
    """What a submitter asked of one capture.

    `keep_bad_check_digits` turns that refusal into warnings; `proceed` leaves out events that fail and takes the rest;
    `single` takes one bare event that is new, and nothing else; `hash_ids` gives events without an ID the one that
    their hash makes; `version` is the EPCIS version that was stated beside the document.
    """

    keep_bad_check_digits: bool = False
    proceed: bool = False
    single: bool = False
    hash_ids: bool = False
    version: str | None = None


NOTHING: Final = Asked()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A validated submission: `records` in order of position, the header record, then `masters`, then `events`.

    `places` say where each was in the document: its position there, which those that were left out have as well, and
    its pointer. A master-data row is its type, and the IRI and kind of what it is about. `envelope` and `salt` are
    those of a member-signed capture, else None. `rejected` is what was left out; `notes` are JSON.
    """

    sha256: bytes
    media_type: str
    size: int
    document: bytes
    envelope: bytes | None
    salt: bytes | None
    records: list[NewRecord]
    places: list[Where]
    masters: list[tuple[str, str, str]]
    events: list[Packed]
    rejected: list[Rejected]
    notes: dict[str, Any]
    asked: Asked = NOTHING


def prepare(body: bytes, media_type: str, limits: Limits, draw: Draw, asked: Asked = NOTHING) -> Prepared:
    """Validate a submission and commit to its records. Raises InvalidInput and its leaves.

    `media_type` is that of the request: EPCIS, or a member-signed capture, whose signature is left to the
    writer, which knows the registry. A signature is over all records of a capture, so what is signed cannot proceed.
    """
    if len(body) > limits.body_bytes:
        raise TooLarge(f"expected at most {limits.body_bytes} bytes, got {len(body)}", rule="document-size")
    essence = media_type.partition(";")[0].strip().lower()
    if essence == SUBMISSION:
        return _prepare_signed(parse_submission(body), limits, asked)
    document = read_document(body, media_type, _reading(limits, asked))
    values = [record.committed for record in document.records]
    salts = draw(RECORD_SALT_SIZE_BYTES * len(values))
    size = RECORD_SALT_SIZE_BYTES
    pieces = [salts[at : at + size] for at in range(0, len(salts), size)]
    committer = Committer()
    # Each record is committed to just before its row is made, while it lies in the processor's cache.
    committed = map(committer, values, pieces)
    return _prepared(body, essence, None, document, pieces, committed, asked)


def _reading(limits: Limits, asked: Asked, sent_digests: Mapping[str, str | None] | None = None) -> Reading:
    return Reading(
        sent_digests=sent_digests,
        keep_bad_check_digits=asked.keep_bad_check_digits,
        proceed=asked.proceed,
        single=asked.single,
        version=asked.version,
        most_events=limits.events,
    )


def _prepare_signed(submission: Submission, limits: Limits, asked: Asked) -> Prepared:
    if asked.proceed:
        raise InvalidInput(
            "expected rollback for a capture that its member signed, got proceed: the signature is over all of it",
            rule="signed-proceed",
        )
    reading = _reading(limits, asked, submission.contexts)
    # A submission has no room for a media type; JSON and XML cannot be taken for each other.
    media_type = media_type_of(submission.document)
    document = read_document(submission.document, media_type, reading)
    values = [record.committed for record in document.records]
    committed = iter(verify_submission(submission, values))
    salts = list(submission.record_salts)
    return _prepared(submission.document, media_type, submission, document, salts, committed, asked)


def _prepared(
    body: bytes,
    media_type: str,
    submission: Submission | None,
    document: Document,
    salts: list[bytes],
    committed: Iterator[Committed],
    asked: Asked,
) -> Prepared:
    digest_of = BodyDigests()
    first_event = 1 + len(document.master_data)
    records = []
    for position, value in enumerate(record.committed for record in document.records[:first_event]):
        kind, one = HEADER if position == 0 else MASTER, next(committed)
        digest = digest_of(value, one)
        records.append(NewRecord(kind, None, 0, one.commitment, digest, salts[position], one.body))
    events = []
    unhashed: list[Finding] = []
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
                salts[len(records)],
                data,
                None,
                _supplied(read, unhashed) if asked.hash_ids and packed.event_id is None else None,
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
        [(read.position, read.pointer) for read in document.records],
        [(read.type, read.thing.iri, read.thing.kind.value) for read in document.master_data],
        events,
        [(one.position, [finding.as_json() for finding in one.findings]) for one in document.rejected],
        _notes(document, events, unhashed),
        asked,
    )


def _supplied(read: EventRecord, unhashed: list[Finding]) -> str | None:
    """The hash ID of an event; where it has none, that is noted, and the event goes without."""
    try:
        return record_hash(read.committed)
    except InvalidInput as error:
        expected = "an event that the hash of the CBV is defined for"
        unhashed.append(Finding(read.position, read.pointer, "no-hash-id", expected, error.message[:200]))
        return None


def _notes(document: Document, events: list[Packed], unhashed: list[Finding]) -> dict[str, Any]:
    positions = [read.position for read in document.events]
    told = [*document.warnings, *unhashed[:MOST]]
    warnings = [finding.as_json() for finding in told] + _split_warnings(events, positions)
    notes: dict[str, Any] = {"warnings": warnings} if warnings else {}
    if document.unresolved:
        notes["unresolvedContexts"] = list(document.unresolved)
    return notes


def _split_warnings(events: list[Packed], positions: list[int]) -> list[dict[str, Any]]:
    return [
        Finding(
            position,
            "",
            "several-parties",
            "one party of each type on each side, so that each sees its own leg",
            "two or more: only the capturing member will see it",
        ).as_json()
        for position, event in zip(positions, events, strict=True)
        if (event.sources or event.destinations) and is_split_needed(Sides(event.sources, event.destinations))
    ]
