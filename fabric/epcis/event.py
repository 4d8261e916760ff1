"""One EPCIS event as values: what lineage, visibility, trace and graph read.

`read_event` works from a record in its committed form alone, so a rebuild, a report and the offline
verifier all see the event the capture saw. Nothing here validates: `document.read_document` did that
before the record was committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from .identifiers import Kind, Thing


class Role(StrEnum):
    """What a thing is to an event (design: meaning, section 3)."""

    OBJECT = "object"
    PARENT = "parent"
    CHILD = "child"
    INPUT = "input"
    OUTPUT = "output"
    MENTION = "mention"


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount in the unit sent. `unit` None means items; `value` None means the amount is unknown."""

    value: Decimal | None
    unit: str | None


@dataclass(frozen=True, slots=True)
class Ref:
    """One mention of a thing in an event; `original` is the name as it was sent."""

    thing: Thing
    role: Role
    original: str
    quantity: Quantity | None


@dataclass(frozen=True, slots=True)
class ErrorDeclaration:
    """The statement that an earlier record with this eventID is void. `time_us` is microseconds UTC."""

    time_us: int
    reason: str | None
    correctives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One EPCIS 2.0 event.

    `time_us` is microseconds since 1970 UTC, `offset_min` the eventTimeZoneOffset in minutes. Words are CBV
    IRIs, identifiers canonical IRIs; `sources` and `destinations` are (type IRI, party or place IRI),
    `transactions` (type IRI or None, document IRI). `ilmd`, `extensions` and `sensor` are the JSON as sent.
    """

    type: str
    action: str | None
    event_id: str | None
    time_us: int
    offset_min: int
    biz_step: str | None
    disposition: str | None
    read_point: str | None
    biz_location: str | None
    things: tuple[Ref, ...]
    sources: tuple[tuple[str, str], ...]
    destinations: tuple[tuple[str, str], ...]
    transactions: tuple[tuple[str | None, str], ...]
    transformation_id: str | None
    error_declaration: ErrorDeclaration | None
    ilmd: Mapping[str, Any]
    extensions: Mapping[str, Any]
    sensor: tuple[Mapping[str, Any], ...]


def read_event(committed: Mapping[str, Any]) -> Event:
    """The event of a validated record in committed form."""
    raise NotImplementedError


__all__ = ["ErrorDeclaration", "Event", "Kind", "Quantity", "Ref", "Role", "Thing", "read_event"]
