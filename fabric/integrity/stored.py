"""What cannot be made again: documents, captures and their records, links, jobs, credentials, each against what it signs.

A record is hashed again with its salt, the commitments of a capture's records to the capture commitment, and that is
the one in the statement, which the log holds. A document is hashed to the digest in the header record.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Table, and_, select
from sqlalchemy.engine import Connection

from fabric.epcis.event_hash import record_hash
from fabric.epcis.identity import body_digest
from fabric.epcis.link import parse_link
from fabric.store.bulk import select_in
from fabric.store.credentials import MEMBER, OPERATOR
from fabric.store.schema import EVENT, HEADER, MASTER, capture, credential, document, job, link, record
from fabric.store.schema import erasure as erasure_table
from ledger.canonical import canonical
from ledger.capture import capture_commitment
from ledger.commitment import record_commitment
from ledger.errors import InvalidInput
from ledger.log import schema as log
from ledger.statement import Statement, parse_envelope

from . import erasure
from .bodies import check_body
from .run import Run

_RECORDS_AT_ONCE: Final = 2_000
_NAME: Final = re.compile(r"[0-9a-f]{32}\Z")
_NOTES: Final = frozenset({"warnings", "duplicates", "rejected", "proceed", "unresolvedContexts"})
_OPERATOR_MEMBER: Final = "operator"
_OF_CAPTURES: Final = "SELECT * FROM record WHERE capture IN ({in}) ORDER BY capture, position"
_DIGESTS: Final = "SELECT id, sha256, media_type FROM document WHERE id IN ({in})"
_STATEMENTS: Final = (
    "SELECT s.id, s.idx, s.state, s.envelope, e.data FROM statement s LEFT JOIN entry e ON e.idx = s.idx"
    " WHERE s.id IN ({in})"
)
_NAMED: Final = "SELECT id, member, event_id, digest FROM record WHERE id IN ({in})"

Stated = Mapping[int, Any]
"""Statement rows by number, with the envelope that the statement, or its entry, holds."""


def check_stored(run: Run) -> None:
    """Everything durable that the log does not hold itself."""
    with run.part("table document"):
        _documents(run)
    with run.part("table capture"):
        _captures(run)
    with run.part("table link"):
        _links(run)
    with run.part("table job"):
        _jobs(run)
    with run.part("table credential"):
        _credentials(run)
    with run.part("table erasure"):
        erasure.check_erasures(run)
    with run.part("table statement"):
        _bodies(run)


def _documents(run: Run) -> None:
    """Each document unpacks to the bytes whose digest and size it states."""
    for row in run.rows(document):
        place = f"document {row.id}"
        with run.row("document", place, member=str(row.member)):
            if not row.body:
                erasure.document(run, row)
                continue
            if row.dropped_by is not None:
                run.faults.note("document", place, "expected no erasure of bytes that are kept, got one")
            try:
                unpacked = zlib.decompressobj()
                body = unpacked.decompress(row.body) + unpacked.flush()
            except zlib.error:
                body = None
            if body is None or not unpacked.eof or unpacked.unused_data:
                run.faults.note(
                    "document", place, "expected packed bytes, got none that unpack", member=row.member
                )
                continue
            if sha256(body).digest() != row.sha256:
                run.faults.note(
                    "document-digest",
                    place,
                    "expected bytes of the stored SHA-256, got others",
                    expected=row.sha256.hex(),
                    got=sha256(body).hexdigest(),
                    member=row.member,
                )
            if len(body) != row.size:
                run.faults.note(
                    "document-size",
                    place,
                    f"expected {len(body)} bytes, as it has, got {row.size}",
                    member=row.member,
                )


def _captures(run: Run) -> None:
    """Each capture holds the records that its statement commits to, and each record what it commits to."""
    of_record, total = 0, run.total(record)
    for rows in _portions(run.rows(capture)):
        with run.engine.connect() as connection:
            found = _Portion.read(connection, rows)
        for row in rows:
            one = _Capture(run, row, found)
            with run.row("capture", one.place, member=str(row.member), entry=_number(row.idx)):
                of_record += one.check()
        run.progress("records", of_record, total)
    run.count["record"] = of_record
    if of_record != total:
        run.faults.note(
            "record-capture", "records", f"expected each in a capture, got {total - of_record} in none"
        )


def _portions(rows: Iterator[Any]) -> Iterator[list[Any]]:
    portion: list[Any] = []
    weight = 0
    for row in rows:
        portion.append(row)
        weight += max(1, _number(row.records) or 0)
        if weight >= _RECORDS_AT_ONCE:
            yield portion
            portion, weight = [], 0
    if portion:
        yield portion


class _Portion:
    """What belongs to some captures: their records, statements and documents, by number."""

    def __init__(self) -> None:
        self.records: dict[Any, list[Any]] = {}
        self.statements: dict[Any, Any] = {}
        self.documents: dict[Any, Any] = {}

    @classmethod
    def read(cls, connection: Connection, rows: Sequence[Any]) -> _Portion:
        found = cls()
        for one in select_in(connection, _OF_CAPTURES, [row.id for row in rows]):
            found.records.setdefault(one.capture, []).append(one)
        statements = select_in(connection, _STATEMENTS, [row.statement for row in rows])
        found.statements = {one.id: one for one in statements}
        found.documents = {
            one.id: one for one in select_in(connection, _DIGESTS, [row.document for row in rows])
        }
        return found


class _Capture:
    """One capture: its statement, its document, its records."""

    def __init__(self, run: Run, row: Any, found: _Portion) -> None:
        self._run = run
        self._row = row
        self._rows: list[Any] = found.records.get(row.id, [])
        self._stated = found.statements.get(row.statement)
        self._document = found.documents.get(row.document)
        self.place = f"capture {row.id} of {row.member}"

    def check(self) -> int:
        """Check it; gives the number of its records."""
        rows, count = self._rows, self._row.records
        self._statement()
        if [row.position for row in rows] != list(range(min(count, len(rows) + 1))):
            self._fault("record-positions", f"expected records 0 to {count - 1}, got {len(rows)}")
        elif [row.id for row in rows] != list(range(rows[0].id, rows[0].id + len(rows))):
            self._fault("record-positions", "expected its records numbered one after the other, got a gap")
        self._commitment([row.commitment for row in rows])
        for row in rows:
            place = f"record {_hex(row.commitment)}"
            more = {"record": _hex(row.commitment), "member": str(row.member), "entry": self._entry}
            with self._run.row("record-body", place, **more):
                self._record(row, place, more)
        return len(rows)

    @property
    def _entry(self) -> int | None:
        return None if self._stated is None else _number(self._stated.idx)

    def _statement(self) -> None:
        if self._stated is None:
            self._fault("capture-statement", "expected its staged statement, got none")
            return
        try:
            statement = parse_envelope(self._stated.envelope or self._stated.data or b"").statement
        except InvalidInput as error:
            self._fault("capture-statement", f"its statement: {error.message}")
            return
        if (statement.type, statement.member) != ("capture", self._row.member):
            self._fault(
                "capture-statement", f"expected a capture by {self._row.member}, got another statement"
            )
        elif statement.body["commitment"] != self._row.commitment.hex():
            self._fault(
                "capture-statement",
                "expected the commitment that the statement signs, got another",
                expected=str(statement.body["commitment"]),
                got=_hex(self._row.commitment),
            )
        if self._stated.idx != self._row.idx:
            self._fault("capture-index", f"expected log index {self._stated.idx}, got {self._row.idx}")
        self._custody(statement)

    def _custody(self, statement: Statement) -> None:
        known = self._run.registry.records.get(statement.key)
        if known is not None and (known.use == "service") != (self._row.custody == 1):
            self._fault(
                "capture-custody", f"expected custody as the {known.use} key that signed, got another"
            )
        elif self._row.custody not in (0, 1):
            self._fault("capture-custody", "expected 0 or 1, got another number")

    def _commitment(self, commitments: Sequence[bytes]) -> None:
        try:
            right = capture_commitment(self._row.salt, commitments)
        except InvalidInput as error:
            self._fault("capture-commitment", error.message)
            return
        if right != self._row.commitment:
            self._fault(
                "capture-commitment",
                "expected the commitment to its records, got another",
                expected=_hex(self._row.commitment),
                got=right.hex(),
            )

    def _record(self, row: Any, place: str, more: Mapping[str, Any]) -> None:
        def fault(rule: str, message: str, **told: Any) -> None:
            self._run.faults.note(rule, place, message, **more, **told)

        if row.member != self._row.member:
            fault("record-member", f"expected {self._row.member}, got {row.member}")
        if (row.kind == HEADER) != (row.position == 0) or row.kind not in (HEADER, MASTER, EVENT):
            fault("record-kind", "expected the header record at position 0 only, got another kind")
        if row.body is None or row.salt is None:
            # What remains of an erased record is its commitment, which the capture commitment covers.
            erasure.record(self._run, row, place, more)
            return
        value = json.loads(row.body)
        right = record_commitment(value, row.salt)
        if right != row.commitment:
            fault(
                "record-commitment",
                "expected body and salt to hash to it, got another commitment",
                expected=_hex(row.commitment),
                got=right.hex(),
            )
        elif canonical(value) != row.body:
            fault("record-body", "expected canonical bytes, got another spelling")
        if body_digest(value) != row.digest:
            fault(
                "record-digest",
                "expected the digest of its body, got another",
                expected=body_digest(value).hex(),
                got=_hex(row.digest),
            )
        for rule, message in _facts(row, value, self._document):
            fault(rule, message)

    def _fault(self, rule: str, message: str, **told: Any) -> None:
        member = str(self._row.member)
        self._run.faults.note(rule, self.place, message, member=member, entry=self._entry, **told)


def _is_hash_of(supplied_id: str, value: Mapping[str, Any]) -> bool:
    try:
        return "eventID" not in value and record_hash(value) == supplied_id
    except InvalidInput:
        return False


def _facts(row: Any, value: Mapping[str, Any], stored: Any) -> Iterator[tuple[str, str]]:
    """How the columns of a record differ from what it says."""
    told: tuple[Any, ...] = (None, 0)
    kind = HEADER if "source" in value and "rule" in value else MASTER if "element" in value else EVENT
    if kind == EVENT:
        told = (value.get("eventID"), int("errorDeclaration" in value))
    if row.kind != kind:
        yield "record-kind", "expected the kind that its body has, got another"
    if told != (row.event_id, row.declares):
        yield "record-facts", "expected its eventID and declaration as columns, got others"
    if row.supplied_id is not None and not (kind == EVENT and _is_hash_of(row.supplied_id, value)):
        yield "record-facts", "expected the hash ID of an event without an ID, or none, got another"
    if kind == HEADER:
        if row.duplicate_of is not None:
            yield "record-facts", "expected a header record to repeat none, got one that does"
        source = value["source"]
        named = (source.get("sha256"), source.get("mediaType"))
        if stored is None or named != (stored.sha256.hex(), stored.media_type):
            yield "record-source", "expected the document that its header names, got another"


def _jobs(run: Run) -> None:
    """Each job answers for a document and a capture that are there and belong together."""
    for row in run.rows(job):
        place = f"job {row.id}"
        with run.row("job", place, member=str(row.member)):
            if not _NAME.match(row.id):
                run.faults.note("job", place, "expected a name of 32 hex digits, got another")
            notes = {} if row.notes is None else json.loads(row.notes)
            if (
                not isinstance(notes, dict)
                or not notes.keys() <= _NOTES
                or (row.notes is not None and not notes)
            ):
                run.faults.note("job", place, "expected warnings and duplicates as notes, got others")
    joined = job.outerjoin(document, document.c.id == job.c.document).outerjoin(
        capture, capture.c.id == job.c.capture
    )
    query = (
        select(job.c.id, job.c.member, job.c.document, job.c.capture, document.c.id, document.c.member)
        .add_columns(capture.c.id, capture.c.document, capture.c.member)
        .select_from(joined)
    )
    with run.engine.connect() as connection:
        for name, member, at, of, there, sender, held, source, by in connection.execute(query):
            place = f"job {name}"
            known: dict[str, Any] = {"member": str(member)}
            if there is None:
                run.faults.note("job-document", place, "expected its document, got none", **known)
            elif sender != member:
                run.faults.note("job-document", place, "expected its member's document, got another", **known)
            if of is not None and held is None:
                run.faults.note("job-capture", place, "expected its capture, got none", **known)
            elif of is not None and (source, by) != (at, member):
                run.faults.note(
                    "job-capture", place, "expected the capture of its document, got another", **known
                )
        for table, column, of_job in (
            (document, document.c.id, job.c.document),
            (capture, capture.c.id, job.c.capture),
        ):
            lost = (
                select(column).select_from(table.outerjoin(job, of_job == column)).where(job.c.id.is_(None))
            )
            for (number,) in connection.execute(lost):
                run.faults.note(
                    f"job-{table.name}", f"{table.name} {number}", "expected a job for it, got none"
                )


def _credentials(run: Run) -> None:
    """Each API key speaks for somebody who was admitted, in the role that goes with the name."""
    members = run.registry.members
    for row in run.rows(credential):
        place = f"credential {row.id} of {row.member}"
        with run.row("credential", place, member=str(row.member)):
            right = OPERATOR if row.member == _OPERATOR_MEMBER else MEMBER
            if row.role != right:
                run.faults.note(
                    "credential", place, f"expected the role {right}, got another", member=row.member
                )
            if row.member not in members and row.member != _OPERATOR_MEMBER:
                run.faults.note("credential", place, "expected an admitted member, got another name")
            if len(row.hash) != 32 or not isinstance(row.hash, bytes):
                run.faults.note("credential", place, "expected a hash of 32 bytes, got another")
            if row.revoked_at is not None and not isinstance(row.revoked_at, int):
                run.faults.note("credential", place, "expected a time, got another value")


def _links(run: Run) -> None:
    """Each link holds the body that its statement commits to, for the parties that the statement names."""
    for row in run.rows(link):
        place = f"link {row.id} of {row.member}"
        more: dict[str, Any] = {"member": str(row.member), "entry": _number(row.idx)}
        with run.row("link-body", place, **more):
            check_body(run, "link", parse_link, row, place, more)


def _bodies(run: Run) -> None:
    """No statement whose body lies beside the log is without it."""
    table = log.statement.c
    kinds: tuple[tuple[str, Table, Any], ...] = (
        ("capture", capture, capture.c.statement),
        ("link", link, link.c.statement),
        ("erasure", erasure_table, erasure_table.c.statement),
    )
    for kind, kept, key in kinds:
        joined = log.statement.outerjoin(kept, and_(key == table.id))
        missing = (
            select(table.member, table.statement_id, table.idx)
            .select_from(joined)
            .where(table.type == kind, key.is_(None))
        )
        with run.engine.connect() as connection:
            for member, name, index in connection.execute(missing):
                run.faults.note(
                    f"{kind}-missing",
                    f"statement {name} of {member}",
                    f"expected its {kind}, got none",
                    member=str(member),
                    entry=_number(index),
                )


def _hex(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else "of another type"


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
