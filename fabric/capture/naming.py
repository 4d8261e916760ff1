"""Records by the names that people have: a commitment, its IRI, or the event ID they sent."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from sqlalchemy import Engine, or_, select, true

from fabric.store.records import RECORD_IRI
from fabric.store.schema import capture, event, record
from fabric.visibility.classes import visible_classes
from fabric.visibility.reader import Reader
from ledger.errors import Conflict, Finding, NotFound
from ledger.log.schema import REFUSED, statement

_COMMITMENT: Final = re.compile(r"[0-9a-f]{64}\Z")
MOST_NAMESAKES: Final = 100


class CapturedRecord(NamedTuple):
    """A record of a capture, as its submitter is told of it; `is_supplied` says that its event ID was asked for."""

    position: int
    commitment: bytes
    event_id: str | None
    is_supplied: bool = False


def records_of(engine: Engine, capture_id: int) -> list[CapturedRecord]:
    """The records of a capture, in order of position."""
    columns = select(record.c.position, record.c.commitment, record.c.event_id, record.c.supplied_id)
    with engine.connect() as connection:
        rows = connection.execute(columns.where(record.c.capture == capture_id).order_by(record.c.position))
        return [
            CapturedRecord(position, commitment, event_id or supplied_id, supplied_id is not None)
            for position, commitment, event_id, supplied_id in rows
        ]


def commitment_named(engine: Engine, text: str, reader: Reader) -> str:
    """The commitment (hex) of the one record that `text` names to this reader.

    `text` is a commitment, `urn:loomark:record:<commitment>`, or an event ID. Raises NotFound where nothing
    visible has that name, and Conflict (rule `several-records`) where several records share an event ID: its
    findings name each.
    """
    plain = text.removeprefix(RECORD_IRI)
    if _COMMITMENT.match(plain):
        return plain
    visible = _of_event_id(engine, text, reader)
    if not visible:
        raise NotFound("no such record", rule="unknown-record")
    if len(visible) > 1:
        findings = [Finding(None, "", "several-records", "one record", name) for name in visible]
        raise Conflict(
            f"{len(visible)} records carry this event ID; name one of them", findings, "several-records"
        )
    return visible[0]


def _of_event_id(engine: Engine, event_id: str, reader: Reader) -> list[str]:
    """At most a hundred of the records that the reader sees whole; the hidden ones push none of them out."""
    own = capture.c.member.in_(sorted(reader.members))
    with engine.connect() as connection:
        # An event ID is no part of what a hand-over shows of a creation: who sees only that part cannot ask by it.
        seen = event.c["class"].in_(sorted(visible_classes(connection, reader)))
        query = (
            select(record.c.commitment)
            .join(capture, capture.c.id == record.c.capture)
            .join(statement, statement.c.id == capture.c.statement)
            .join(event, event.c.record == record.c.id, isouter=True)
            .where(or_(record.c.event_id == event_id, record.c.supplied_id == event_id))
            .where(statement.c.state != REFUSED)
            .where(true() if reader.all else own | seen)
            .order_by(record.c.id)
            .limit(MOST_NAMESAKES)
        )
        return [row.commitment.hex() for row in connection.execute(query)]
