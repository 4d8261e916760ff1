"""Records by the names that people have: a commitment, its IRI, or the event ID they sent."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from sqlalchemy import Engine, select

from fabric.store.schema import record
from fabric.visibility.reader import Reader
from fabric.visibility.sight import Sight
from ledger.errors import Conflict, Finding, NotFound

from .intake import RECORD_IRI
from .proof import Prover

_COMMITMENT: Final = re.compile(r"[0-9a-f]{64}\Z")
MOST_NAMESAKES: Final = 100


class CapturedRecord(NamedTuple):
    """A record of a capture, as its submitter is told of it."""

    position: int
    commitment: bytes
    event_id: str | None


def records_of(engine: Engine, capture_id: int) -> list[CapturedRecord]:
    """The records of a capture, in order of position."""
    columns = select(record.c.position, record.c.commitment, record.c.event_id)
    with engine.connect() as connection:
        rows = connection.execute(columns.where(record.c.capture == capture_id).order_by(record.c.position))
        return [CapturedRecord(*row) for row in rows]


def commitment_named(engine: Engine, prover: Prover, text: str, reader: Reader) -> str:
    """The commitment (hex) of the one record that `text` names to this reader.

    `text` is a commitment, `urn:loomark:record:<commitment>`, or an event ID. Raises NotFound where nothing
    visible has that name, and Conflict (rule `several-records`) where several records share an event ID: its
    findings name each.
    """
    plain = text.removeprefix(RECORD_IRI)
    if _COMMITMENT.match(plain):
        return plain
    visible = [name for name in _of_event_id(engine, text) if _is_told(prover, name, reader)]
    if not visible:
        raise NotFound("no such record", rule="unknown-record")
    if len(visible) > 1:
        findings = [Finding(None, "", "several-records", "one record", name) for name in visible]
        raise Conflict(
            f"{len(visible)} records carry this event ID; name one of them", findings, "several-records"
        )
    return visible[0]


def _of_event_id(engine: Engine, event_id: str) -> list[str]:
    query = select(record.c.commitment).where(record.c.event_id == event_id).order_by(record.c.id)
    with engine.connect() as connection:
        return [row.commitment.hex() for row in connection.execute(query.limit(MOST_NAMESAKES))]


def _is_told(prover: Prover, name: str, reader: Reader) -> bool:
    """Whether the reader is told a record's event ID: of one shown in part it is not."""
    try:
        return prover.record(name, reader)[1] is Sight.WHOLE
    except NotFound:
        return False
