"""Event facts as flat tuples: what crosses the process boundary, and what becomes rows.

`pack` turns an event into a tuple of text and numbers, because pickling object graphs would cost more than
reading the event. The writer makes rows and lineage facts from it. Recovery and rebuild pack the stored
record again, so there is one way from a record to its rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from fabric.epcis.event import Event, Ref, Role
from fabric.epcis.identifiers import Kind, Position, read_name
from fabric.epcis.master_data import MASTER_DATA_POSITION
from fabric.lineage.fact import (
    MENTION,
    OBJECT,
    ONE_EACH,
    OUTPUT,
    Fact,
    Line,
    Sort,
    created_lot,
    lot_beside,
    short_word,
    sort_from,
)
from fabric.lineage.quantity import exact_text
from fabric.store.things import smaller_kind

try:
    import orjson
except ImportError:  # Without it the same bytes take longer.
    orjson = None  # type: ignore[assignment, unused-ignore]

_HAS_ORJSON: bool = orjson is not None
_SORTS: Final = {sort.value: sort for sort in Sort}
_NUMBERS: Final = {sort: sort.value for sort in Sort}
# Reading `.value` of an enumeration calls Python; a dictionary does not.
_WORDS: Final[dict[str, str]] = {one: one.value for one in (*Role, *Kind)}
_ONE: Final = Decimal(1)
_MADE: Final = frozenset({OBJECT, OUTPUT})

PackedLine = tuple[str, str, str, int, str | None, str | None, str | None, str | None]
"""IRI, kind, role, sort, exact quantity, unit, IRI of the stated lot, name as sent."""


MasterRow = tuple[str, str, str]
"""Vocabulary type, IRI and kind of what a master-data record is about."""


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
    """An event as flat values: those of its fact (`fabric.lineage.fact.fact_of`), put together without one."""
    created = created_lot(event) if event.ilmd else None
    listed = event.type == "TransactionEvent"
    lines = tuple([_line(ref, MENTION if listed else _WORDS[ref.role], created) for ref in event.things])
    step = short_word(event.biz_step)
    transactions, sources, destinations = event.transactions, event.sources, event.destinations
    if transactions:
        transactions = tuple([(short_word(kind), name) for kind, name in transactions])
    if sources:
        sources = tuple([(short_word(kind) or "", name) for kind, name in sources])
    if destinations:
        destinations = tuple([(short_word(kind) or "", name) for kind, name in destinations])
    read_point, biz_location = event.read_point, event.biz_location
    value: list[Any] = [
        event.type,
        event.action,
        step,
        event.time_us,
        read_point,
        biz_location,
        sorted(set(sources)) if sources else (),
        sorted(set(destinations)) if destinations else (),
        sorted(
            [
                [iri, role, amount or "", unit or ""]
                for iri, _, role, _, amount, unit, _, _ in lines
                if role != MENTION
            ]
        ),
        sorted({(kind or "", name) for kind, name in transactions}) if transactions else (),
    ]
    return Packed(
        digest,
        event.event_id,
        event.type,
        event.action,
        step,
        short_word(event.disposition),
        event.time_us,
        event.offset_min,
        read_point,
        biz_location,
        event.transformation_id,
        transactions,
        sources,
        destinations,
        event.error_declaration is not None,
        blake2b(_compact(value), digest_size=16).digest(),
        lines,
    )


def _line(ref: Ref, role: str, created: str | None) -> PackedLine:
    iri, kind, lot = ref.thing.iri, _WORDS[ref.thing.kind], ref.thing.lot_of
    sort = sort_from(kind, iri)
    amount, unit = "1" if sort in ONE_EACH else None, None
    if ref.quantity is not None:
        amount, unit = _exact(ref.quantity.value), ref.quantity.unit
    if lot is None and created is not None and role in _MADE:
        lot = lot_beside(iri, created)
    return iri, kind, role, _NUMBERS[sort], amount, unit, lot, None if ref.original == iri else ref.original


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else exact_text(value)


def _compact(value: list[Any]) -> bytes:
    """JSON of lists, text and whole numbers, as `fabric.lineage.fact.content_of` writes it."""
    if _HAS_ORJSON:
        return orjson.dumps(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def fact_from(
    packed: Packed, *, record: int, commitment: bytes, position: int, seq: int, member: str
) -> Fact:
    """The event as lineage reads it; thing keys are IRIs. `record` is the row, `seq` the log index."""
    lines = tuple(
        [
            Line(
                iri,
                role,
                _SORTS[sort],
                None if quantity is None else _ONE if quantity == "1" else Decimal(quantity),
                unit,
                lot,
                original,
            )
            for iri, _, role, sort, quantity, unit, lot, original in packed.lines
        ]
    )
    return Fact(record, commitment, packed.digest, position, seq, member, *packed[1:-1], lines)


def master_row(record: Mapping[str, Any]) -> MasterRow:
    """Vocabulary type, IRI and kind of what a master-data record is about."""
    position = MASTER_DATA_POSITION.get(record["type"], Position.EPC)
    about = read_name(record["element"]["id"], position)[0]
    return record["type"], about.iri, about.kind.value


def tell_things(packed: Packed, told: dict[str, str]) -> None:
    """Add every thing that an event names, places, parties and lots included, with its kind to `told`.

    An error declaration makes no lines: of it only places and parties are looked up.
    """
    lines = packed.lines
    if packed.declares:
        parties = {iri for _, iri in (*packed.sources, *packed.destinations)}
        needed = {packed.read_point, packed.biz_location, *parties}
        lines = tuple([line for line in lines if line[0] in needed])
    for iri, kind, _, _, _, _, lot, _ in lines:
        before = told.get(iri)
        if before is None:
            told[iri] = kind
        elif before != kind:
            told[iri] = smaller_kind(before, kind)
        if lot is not None:
            told[lot] = "lot"
