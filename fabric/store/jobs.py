"""Capture jobs: what became of a submission, under the name its submitter was given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import literal, select, tuple_
from sqlalchemy.engine import Connection

from ledger.log.schema import REFUSED, SEQUENCED, STAGED, seal
from ledger.log.schema import statement as statement_table

from .schema import capture, job

COVERED: Final = "duplicate"
"""State of a job whose every record was captured before: it made no capture."""

_NOTHING_LEFT: Final = "every event was rejected, so nothing was captured"


@dataclass(frozen=True, slots=True)
class Job:
    """A submission: `state` is staged, sequenced, refused (with `rule` and `reason`) or duplicate.

    `index` is the log index once sequenced, `notes` holds `warnings`, `duplicates`, `rejected` and the like as JSON
    values, `created_ms` is milliseconds since 1970 by this node's clock, and `sealed` the time of the log's seal over
    what was sequenced.
    """

    id: str
    member: str
    state: str
    document: int
    capture: int | None
    count: int
    custody: bool
    index: int | None
    rule: str | None
    reason: str | None
    created_ms: int
    notes: Mapping[str, Any] = field(default_factory=dict)
    sealed: str | None = None

    @property
    def proceeds(self) -> bool:
        """Whether events that fail were to be left out, and the rest taken."""
        return bool(self.notes.get("proceed"))

    @property
    def rejected(self) -> Sequence[Mapping[str, Any]]:
        """What was left out: `record`, the position in the document, and `findings`."""
        found: Sequence[Mapping[str, Any]] = self.notes.get("rejected", ())
        return found


def create(
    connection: Connection,
    name: str,
    member: str,
    document_row: int,
    capture_row: int | None,
    notes: Mapping[str, Any],
    now_ms: int,
) -> None:
    """Store a job under its name."""
    connection.execute(
        job.insert().values(
            id=name,
            member=member,
            document=document_row,
            capture=capture_row,
            notes=json.dumps(notes) if notes else None,
            created_at=now_ms,
        )
    )


_SEALED: Final = (
    select(seal.c.time)
    .where(seal.c.idx > statement_table.c.idx)
    .order_by(seal.c.idx)
    .limit(1)
    .correlate(statement_table)
    .scalar_subquery()
    .label("sealed")
)
_QUERY: Final = (
    select(
        job,
        _SEALED,
        capture.c.records,
        capture.c.custody,
        statement_table.c.idx,
        statement_table.c.state,
        statement_table.c.rule,
        statement_table.c.reason,
    )
    .join(capture, capture.c.id == job.c.capture, isouter=True)
    .join(statement_table, statement_table.c.id == capture.c.statement, isouter=True)
)


def load(connection: Connection, name: str) -> Job | None:
    """A job by its name, or None."""
    row = connection.execute(_QUERY.where(job.c.id == name)).one_or_none()
    return None if row is None else _job(row)


def first_of_document(connection: Connection, document_row: int, proceeds: bool) -> Job | None:
    """The job that captured a document whole, asked in the same way; None when there is none.

    Of what the log refused, or some events of which were left out, another attempt may have another end.
    """
    query = _QUERY.where(job.c.document == document_row, statement_table.c.state.is_distinct_from(REFUSED))
    for row in connection.execute(query.order_by(job.c.created_at, job.c.id)):
        found = _job(row)
        if found.proceeds == proceeds and not found.rejected:
            return found
    return None


def first_of_capture(connection: Connection, capture_row: int) -> Job | None:
    """The job that made a capture."""
    row = connection.execute(_QUERY.where(job.c.capture == capture_row).limit(1)).one_or_none()
    return None if row is None else _job(row)


def list_of_member(
    connection: Connection, member: str, limit: int, after: tuple[int, str] | None = None
) -> list[Job]:
    """A member's jobs, newest first: at most `limit`, those after the one with this `created_ms` and id."""
    query = _QUERY.where(job.c.member == member)
    if after is not None:
        query = query.where(tuple_(job.c.created_at, job.c.id) < tuple_(literal(after[0]), literal(after[1])))
    query = query.order_by(job.c.created_at.desc(), job.c.id.desc()).limit(limit)
    return [_job(row) for row in connection.execute(query)]


def _job(row: Any) -> Job:
    notes = json.loads(row.notes) if row.notes else {}
    if row.capture is None and notes.get("rejected") and not notes.get("duplicates"):
        first = notes["rejected"][0]
        return _of(row, notes, REFUSED, first["findings"][0]["rule"], _NOTHING_LEFT)
    return _of(row, notes, COVERED if row.capture is None else row.state, row.rule, row.reason)


def _of(row: Any, notes: dict[str, Any], state: str, rule: str | None, reason: str | None) -> Job:
    return Job(
        row.id,
        row.member,
        state,
        row.document,
        row.capture,
        row.records or 0,
        bool(row.custody),
        row.idx,
        rule,
        reason,
        row.created_at,
        notes,
        row.sealed,
    )


__all__ = [
    "COVERED",
    "REFUSED",
    "SEQUENCED",
    "STAGED",
    "Job",
    "create",
    "first_of_capture",
    "first_of_document",
    "list_of_member",
    "load",
]
