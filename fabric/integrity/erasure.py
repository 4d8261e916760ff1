"""Gaps: what the store no longer holds must be stated in the log as erased; any other gap is a fault.

A tombstone says that something went; the erasures it names say by which statements; each of these holds a body that
names the record, to which a statement in the log commits. What stays of a record of which some units went must
still hash to its commitment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from fabric.epcis.erasure import parse_erasure
from fabric.store.bulk import select_in
from fabric.store.schema import capture, erased, erased_by, erased_name, erasure, record, retention
from ledger.canonical import canonical
from ledger.disclosure import open_disclosure
from ledger.errors import InvalidInput
from ledger.log import schema as log
from ledger.statement import parse_envelope

from .run import Run, reason

_TOMBSTONES = "SELECT record, whole, remains FROM erased WHERE record IN ({in})"
_STATED = (
    "SELECT b.record, e.member, e.body FROM erased_by b JOIN erasure e ON e.id = b.erasure"
    " WHERE e.idx IS NOT NULL AND b.record IN ({in})"
)


@dataclass
class Gaps:
    """What is stated of the records of a portion: tombstones by record, and by whom which erasures name them."""

    tombs: dict[int, Any] = field(default_factory=dict)
    stated: dict[int, list[tuple[str, Any]]] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection, records: Iterable[int]) -> Gaps:
        """The gaps among these records."""
        found = cls({row.record: row for row in select_in(connection, _TOMBSTONES, records)})
        for row in select_in(connection, _STATED, list(found.tombs)):
            found.stated.setdefault(row.record, []).append((row.member, row.body))
        return found

    def names(self, row: Any) -> bool:
        """Whether an erasure of its member, in the log, names a record: whole if all of it is gone."""
        for member, body in self.stated.get(row.id, ()):
            try:
                told = parse_erasure(json.loads(body))
            except (InvalidInput, TypeError, ValueError):
                continue
            is_enough = row.body is not None or not told.units
            if is_enough and member == row.member and row.commitment in told.records:
                return True
        return False


def record_faults(row: Any, gaps: Gaps, *, refused: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with a record of which something is gone: rule and message."""
    tomb = gaps.tombs.get(row.id)
    if refused and tomb is None and row.body is None and row.salt is None:
        # A copy that the log refused goes with the record it repeats, and counts for nothing.
        return
    if tomb is None:
        if row.body is None and row.salt is None:
            yield "record-gap", "expected its content, or a statement that it was erased, got none"
        else:
            yield "record-half", "expected body and salt, or neither, got one of them"
        return
    if not gaps.names(row):
        yield "record-gap", "expected an erasure in the log that names it, got none"
    if row.salt is not None or row.digest != b"":
        yield "erased", "expected neither salt nor digest of what was erased, got one of them"
    if (tomb.whole == 1) != (row.body is None) or (tomb.whole == 1) != (tomb.remains is None):
        yield "erased", "expected a tombstone that says how much of it went, got another"
    elif row.body is None:
        if row.event_id is not None:
            yield "erased", "expected no event ID of what was erased, got one"
    else:
        yield from _remains(row, tomb.remains)


def _remains(row: Any, remains: Any) -> Iterator[tuple[str, str]]:
    try:
        left = open_disclosure(json.loads(remains))
    except (InvalidInput, TypeError, ValueError) as error:
        yield "record-commitment", f"expected the units and salts that stay, got none: {reason(error)}"
        return
    if left.commitment != row.commitment:
        yield "record-commitment", "expected what stays of it to hash to it, got another commitment"
    if canonical(json.loads(remains)) != remains:
        yield "record-body", "expected canonical bytes of what stays, got another spelling"
    if canonical(left.record) != row.body:
        yield "record-body", "expected the units that stay, got others"


def check_erasures(run: Run) -> None:
    """Each erasure holds the body that its statement commits to; each tombstone is of a record and an erasure."""
    for row in run.rows(erasure):
        place = f"erasure {row.id} of {row.member}"
        more: dict[str, Any] = {"member": str(row.member), "entry": row.idx if type(row.idx) is int else None}
        with run.row("erasure", place, **more), run.engine.connect() as connection:
            stated = connection.execute(
                select(log.statement.c.idx, log.statement.c.envelope, log.entry.c.data)
                .select_from(
                    log.statement.outerjoin(log.entry, log.entry.c.idx == log.statement.c.idx),
                )
                .where(log.statement.c.id == row.statement)
            ).one_or_none()
            for message in _erasure_faults(row, stated):
                run.faults.note("erasure", place, message, **more)
    _tombstones(run)


def _erasure_faults(row: Any, stated: Any) -> Iterator[str]:
    if stated is None:
        yield "expected its staged statement, got none"
        return
    statement = parse_envelope(stated.envelope or stated.data or b"").statement
    value = json.loads(row.body)
    right = parse_erasure(value).commitment(row.salt)
    if (statement.type, statement.member, statement.id) != ("erasure", row.member, row.statement_id):
        yield f"expected an erasure by {row.member}, got another statement"
    elif " ".join(sorted({statement.member, *statement.body["parties"]})) != row.parties:
        yield "expected the parties that the statement names, got others"
    if right != row.commitment or right.hex() != statement.body.get("commitment"):
        yield "expected the commitment that the statement signs, got another"
    if canonical(value) != row.body:
        yield "expected canonical bytes, got another spelling"
    if stated.idx != row.idx:
        yield f"expected log index {stated.idx}, got {row.idx}"
    if row.swept not in (0, 1) or (row.swept == 1 and row.idx is None):
        yield "expected to be swept once it is in the log, got another mark"


def _tombstones(run: Run) -> None:
    """No tombstone without record and erasure, no name and no mark without a tombstone."""
    lost = (
        (erased, erased.outerjoin(record, record.c.id == erased.c.record), record.c.id),
        (erased_by, erased_by.outerjoin(erasure, erasure.c.id == erased_by.c.erasure), erasure.c.id),
        (erased_by, erased_by.outerjoin(erased, erased.c.record == erased_by.c.record), erased.c.record),
        (
            erased_name,
            erased_name.outerjoin(erased, erased.c.record == erased_name.c.record),
            erased.c.record,
        ),
    )
    with run.engine.connect() as connection:
        for table, joined, there in lost:
            query = select(table.c.record).select_from(joined).where(there.is_(None))
            for (number,) in connection.execute(query):
                run.faults.note(
                    "erased", f"{table.name} record number {number}", "expected what it is about, got none"
                )
        told = select(erased.c.record, erased.c.parties, erased.c.partial)
        for number, parties, partial in connection.execute(told):
            for members in (parties, partial or ""):
                if not isinstance(members, str) or not _are_members(members, run.registry.members):
                    run.faults.note(
                        "erased", f"erased record number {number}", "expected sorted members, got others"
                    )
        for row in connection.execute(select(retention)):
            if row.member not in run.registry.members:
                run.faults.note("retention", f"retention of {row.member}", "expected an admitted member")


def _are_members(told: str, members: Mapping[str, Any]) -> bool:
    names = told.split(" ") if told else []
    return names == sorted(set(names)) and all(name in members for name in names)


def document_fault(connection: Connection, row: Any) -> str | None:
    """Why a document without its bytes, or one marked as dropped, is at fault; None when a statement says so."""
    if row.dropped_by is not None:
        query = select(erasure.c.member).where(erasure.c.id == row.dropped_by, erasure.c.idx.is_not(None))
        if connection.execute(query).scalar_one_or_none() != row.member:
            return "expected an erasure in the log on whose account it was dropped, got none"
        return None if row.body == b"" else "expected no bytes of a dropped document, got some"
    refused = (
        select(capture.c.id)
        .join(log.statement, log.statement.c.id == capture.c.statement)
        .where(capture.c.document == row.id, log.statement.c.state == log.REFUSED)
    )
    if connection.execute(refused.limit(1)).first() is not None:
        return None
    return "expected packed bytes, got none"


__all__ = ["Gaps", "check_erasures", "document_fault", "record_faults"]
