"""The first transaction of a capture: duplicates, authority, signature, and everything stored with its statement.

Durable before anybody is told. Whatever is refused is refused before the first row of it is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy.engine import Connection

from fabric.store import documents, jobs, records
from fabric.store.jobs import Job
from fabric.store.records import RECORD_IRI, NewRecord, StoredCapture
from fabric.store.schema import HEADER
from ledger.capture import CAPTURE_SALT_SIZE_BYTES, capture_commitment
from ledger.ed25519 import Signer
from ledger.errors import Conflict, Finding, Forbidden, Unavailable
from ledger.log.stage import stage
from ledger.registry import Registry
from ledger.shape import time_text
from ledger.statement import parse_envelope
from ledger.submission import capture_statement

from .duplicates import Judgement, Same, judge
from .indexing import Indexable
from .keyring import Keyring
from .prepare import Draw, Prepared

MOST_FINDINGS: Final = 100

Clock = Callable[[], int]
"""Milliseconds since 1970, UTC."""


def now_ms() -> int:
    """This machine's clock."""
    return time.time_ns() // 1_000_000


class EventExists(Conflict):
    """An event that was to be captured on its own was captured before, with the same body. `record` is its name."""

    default_rule = "event-exists"

    def __init__(self, record: str) -> None:
        expected, got = "an event that this member has not captured", f"the same as {RECORD_IRI}{record}"
        finding = Finding(1, "", self.default_rule, expected, got)
        super().__init__(f"expected {expected}, got {got}", [finding])
        self.record = record


class Stored(NamedTuple):
    """A job, and its capture as the projections will want it: None when an earlier job answers."""

    job: Job
    fresh: Indexable | None


@dataclass(frozen=True, slots=True)
class LogView:
    """What the log says now: `seen` is the head last published, (size, root)."""

    origin: str
    registry: Registry
    seen: tuple[int, bytes]


class Intake:
    """Stores captures on a connection it is given. Never commits, and writes nothing of what it refuses."""

    def __init__(self, keyring: Keyring, clock: Clock, draw: Draw) -> None:
        self._keyring = keyring
        self._clock = clock
        self._draw = draw

    def store(self, connection: Connection, member: str, prepared: Prepared, log: LogView) -> Stored:
        """Store a capture and stage its statement, or find the job that did.

        Raises Conflict (`event-id-conflict`, `statement-id-reused`), Forbidden, InvalidInput.
        """
        _require_role(log.registry, member)
        known = documents.find(connection, member, prepared.sha256)
        if known is not None and not prepared.asked.single:
            first = jobs.first_of_document(connection, known, prepared.asked.proceed)
            if first is not None:
                return Stored(first, None)
        now_ms = self._clock()
        judgement = self._judge(connection, member, prepared)
        if prepared.envelope is None:
            plan = self._in_custody(member, prepared, judgement, log, now_ms)
        else:
            plan = _as_signed(member, prepared, judgement, log, now_ms)
        row = None if plan is None else stage(connection, plan.envelope, origin=log.origin, now_ms=now_ms)
        if row is not None and (earlier := records.load_captures(connection, [row]).get(row)):
            # The same statement came with other bytes around the same records: its first job answers.
            return Stored(_job_of(connection, earlier), None)
        document = known if known is not None else _keep_document(connection, member, prepared, now_ms)
        fresh = None
        if plan is not None and row is not None:
            fresh = _keep_capture(connection, member, document, row, plan, now_ms)
        notes = prepared.notes | _outcome_notes(prepared, judgement)
        name = self._draw(16).hex()
        capture = None if fresh is None else fresh.capture.id
        jobs.create(connection, name, member, document, capture, notes, now_ms)
        return Stored(_load(connection, name), fresh)

    def _judge(self, connection: Connection, member: str, prepared: Prepared) -> Judgement:
        ids = {name for record in prepared.records if (name := record.name) is not None}
        unnamed = {one.digest for one in prepared.records if one.event_id is None and one.kind != HEADER}
        judgement = judge(
            prepared.records,
            prepared.places,
            records.earlier_by_event_id(connection, member, ids),
            records.earlier_by_digest(connection, member, unnamed),
        )
        if judgement.conflicts and not prepared.asked.proceed:
            found = list(judgement.conflicts.values())[:MOST_FINDINGS]
            first = found[0]
            raise Conflict(f"{first.pointer}: expected {first.expected}, got {first.got}", found, first.rule)
        if judgement.duplicates and prepared.asked.single:
            raise EventExists(next(iter(judgement.duplicates.values())).commitment.hex())
        return judgement

    def _in_custody(
        self, member: str, prepared: Prepared, judgement: Judgement, log: LogView, now_ms: int
    ) -> _Plan | None:
        left_out = judgement.duplicates.keys() | judgement.conflicts.keys()
        kept = [number for number in range(len(prepared.records)) if number not in left_out]
        if len(kept) == 1:
            # The header record alone would say that something was captured.
            return None
        key = self._keyring.delegated(log.registry, member, now_ms)
        if key is None:
            raise Forbidden(
                f"expected a key of this node that {member} delegated to it (`loomark key delegate --key FILE`), or a capture"
                f" that {member} signed (`loomark capture --key FILE`)",
                rule="no-delegation",
            )
        chosen = [prepared.records[number] for number in kept]
        salt = self._draw(CAPTURE_SALT_SIZE_BYTES)
        commitment = capture_commitment(salt, [one.commitment for one in chosen])
        envelope = self._sign(member, key, commitment, log, now_ms)
        first_master, first_event = 1, 1 + len(prepared.masters)
        return _Plan(
            envelope,
            True,
            commitment,
            salt,
            chosen,
            [
                prepared.masters[number - first_master]
                for number in kept
                if first_master <= number < first_event
            ],
            [prepared.events[number - first_event] for number in kept if number >= first_event],
            {},
        )

    def _sign(self, member: str, key: Signer, commitment: bytes, log: LogView, now_ms: int) -> bytes:
        return capture_statement(
            commitment,
            key=key,
            log=log.origin,
            member=member,
            seen=log.seen,
            issued=time_text(now_ms),
            statement_id=self._draw(16).hex(),
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    envelope: bytes
    custody: bool
    commitment: bytes
    salt: bytes
    records: Sequence[NewRecord]
    masters: Sequence[tuple[str, str, str]]
    events: Sequence[Any]
    duplicates: dict[int, Same]


def _require_role(registry: Registry, member: str) -> None:
    """Refuse who was admitted to read only, before anything of theirs is looked at."""
    known = registry.members.get(member)
    if known is not None and "member" not in known.roles:
        raise Forbidden(
            f"expected the role member for a capture, got {member} as {' and '.join(known.roles)} only",
            rule="wrong-role",
        )


def _as_signed(member: str, prepared: Prepared, judgement: Judgement, log: LogView, now_ms: int) -> _Plan:
    """A member-signed capture as it stands; authority is decided again when it is sequenced."""
    envelope = parse_envelope(prepared.envelope or b"")
    if envelope.statement.member != member:
        raise Forbidden(
            f"expected a capture by {member}, whose API key this is, got one by {envelope.statement.member}",
            rule="wrong-member",
        )
    authority = log.registry.authorise(envelope, now_ms)
    if authority.custody != "member":
        raise Forbidden(f"expected a key of {member}, got a {authority.custody} key", rule="wrong-use")
    return _Plan(
        envelope.data,
        False,
        bytes.fromhex(str(envelope.statement.body["commitment"])),
        prepared.salt or b"",
        prepared.records,
        prepared.masters,
        prepared.events,
        judgement.duplicates,
    )


def _keep_document(connection: Connection, member: str, prepared: Prepared, now_ms: int) -> int:
    return documents.store(
        connection,
        member,
        prepared.sha256,
        prepared.media_type,
        prepared.size,
        prepared.document,
        now_ms,
    )


def _keep_capture(
    connection: Connection, member: str, document: int, row: int, plan: _Plan, now_ms: int
) -> Indexable:
    values = {
        "document": document,
        "member": member,
        "statement": row,
        "custody": int(plan.custody),
        "commitment": plan.commitment,
        "salt": plan.salt,
        "records": len(plan.records),
    }
    number = records.insert_capture(connection, values | {"created_at": now_ms})
    first = records.next_record(connection)
    repeated = {
        first + position: same.record if same.record is not None else first + (same.position or 0)
        for position, same in plan.duplicates.items()
    }
    kept = plan.records
    if repeated:
        kept = [
            record._replace(duplicate_of=repeated.get(first + position))
            for position, record in enumerate(plan.records)
        ]
    records.insert_records(connection, number, member, first, kept)
    found = StoredCapture(
        number, member, document, row, plan.custody, plan.commitment, plan.salt, len(plan.records), None
    )
    commitments = [record.commitment for record in plan.records]
    digests = [record.digest for record in plan.records]
    return Indexable(found, first, commitments, plan.masters, plan.events, repeated, digests)


def _outcome_notes(prepared: Prepared, judgement: Judgement) -> dict[str, Any]:
    """What became of the records that were not taken, by their positions in the document."""
    repeated = [
        {"record": prepared.places[number][0], "duplicateOf": RECORD_IRI + same.commitment.hex()}
        for number, same in sorted(judgement.duplicates.items())
    ]
    conflicts = [(found.record or 0, [found.as_json()]) for found in judgement.conflicts.values()]
    rejected = [
        {"record": position, "findings": findings}
        for position, findings in sorted([*prepared.rejected, *conflicts], key=lambda one: one[0])
    ]
    notes = {"duplicates": repeated, "rejected": rejected, "proceed": prepared.asked.proceed}
    return {name: value for name, value in notes.items() if value}


def _job_of(connection: Connection, earlier: StoredCapture) -> Job:
    found = jobs.first_of_capture(connection, earlier.id)
    if found is None:
        raise Unavailable("expected the job of a stored capture, got none: run loomark fsck")
    return found


def _load(connection: Connection, name: str) -> Job:
    found = jobs.load(connection, name)
    if found is None:
        raise Unavailable("expected the job that was just stored, got none")
    return found
