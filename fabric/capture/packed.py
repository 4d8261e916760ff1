"""Event facts as flat tuples: what crosses the process boundary, and what becomes rows.

`pack` turns an event into a tuple of text and numbers, because pickling object graphs would cost more than
reading the event. The writer makes rows and lineage facts from it. Recovery and rebuild pack the stored
record again, so there is one way from a record to its rows.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from fabric.epcis.event import Event
from fabric.lineage.fact import Fact, Line, Sort, fact_of
from fabric.lineage.quantity import exact_text
from fabric.store.things import smaller_kind

_SORTS: Final = {sort.value: sort for sort in Sort}

PackedLine = tuple[str, str, str, int, str | None, str | None, str | None, str | None]
"""IRI, kind, role, sort, exact quantity, unit, IRI of the stated lot, name as sent."""


class Packed(NamedTuple):
    """One event as flat values; `digest` is the SHA-256 of the record's canonical bytes, parties are IRIs."""

    digest: bytes
    event_id: str | None
    type: str
    action: str | None
    step: str | None
    disposition: str | None
    time_us: int
    offset_min: int
    read_point: str | None
    biz_location: str | None
    transformation_id: str | None
    transactions: tuple[tuple[str | None, str], ...]
    sources: tuple[tuple[str, str], ...]
    destinations: tuple[tuple[str, str], ...]
    declares: bool
    content: bytes
    lines: tuple[PackedLine, ...]


def pack(event: Event, digest: bytes) -> Packed:
    """An event as flat values."""
    fact = fact_of(event, record=0, commitment=b"", digest=digest, position=0, member="")
    lines = tuple(
        [
            (
                line.thing,
                ref.thing.kind.value,
                line.role,
                line.sort.value,
                None if line.quantity is None else exact_text(line.quantity),
                line.unit,
                line.lot,
                line.original,
            )
            for line, ref in zip(fact.lines, event.things, strict=True)
        ]
    )
    return Packed(digest, *fact[6:-2], lines)  # type: ignore[arg-type]


def fact_from(
    packed: Packed, *, record: int, commitment: bytes, position: int, seq: int, member: str
) -> Fact:
    """The event as lineage reads it; thing keys are IRIs. `record` is the row, `seq` the log index."""
    lines = tuple(
        [
            Line(
                iri, role, _SORTS[sort], None if quantity is None else Decimal(quantity), unit, lot, original
            )
            for iri, _, role, sort, quantity, unit, lot, original in packed.lines
        ]
    )
    return Fact(record, commitment, packed.digest, position, seq, member, *packed[1:-1], lines)


def tell_things(packed: Packed, told: dict[str, str]) -> None:
    """Add every thing that an event names, places, parties and lots included, with its kind to `told`."""
    for iri, kind, _, _, _, _, lot, _ in packed.lines:
        before = told.get(iri)
        if before is None:
            told[iri] = kind
        elif before != kind:
            told[iri] = smaller_kind(before, kind)
        if lot is not None:
            told[lot] = "lot"
