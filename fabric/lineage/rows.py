"""Facts as rows of `event` and `line` (`fabric.store.schema`), and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from .fact import MENTION, Fact, Line, Sort
from .quantity import exact_text

EVENT_COLUMNS: Final = (
    "record",
    "seq",
    "position",
    "member",
    "type",
    "action",
    "event_id",
    "time_us",
    "offset_min",
    "step",
    "disposition",
    "read_point",
    "biz_location",
    "transformation_id",
    "facts",
    "content",
    "declares",
    "duplicate_of",
    "class",
    "partial",
)
DIGEST_SIZE: Final = 16
"""Bytes kept of the digest that orders records of one time and position: no two differ only after them."""

LINE_COLUMNS: Final = ("record", "ord", "thing", "role", "quantity", "unit", "lot", "original")

# What `Row` is made of, in order; `x` is the loser table, `r` the record with its commitment and bytes' digest.
SELECT_FACT: Final = (
    "SELECT e.record, r.commitment, e.position, e.seq, e.member, e.event_id, e.type, e.action, e.step,"
    " e.disposition, e.time_us, e.offset_min, e.read_point, e.biz_location, e.transformation_id, e.facts,"
    ' e.content, e.void_seq, e."class", e.partial, x.counts'
    " FROM event e JOIN record r ON r.id = e.record LEFT JOIN lineage_loser x ON x.record = e.record"
)


class Row(NamedTuple):
    """One event row as `SELECT_FACT` gives it."""

    record: int
    commitment: bytes
    position: int
    seq: int
    member: str
    event_id: str | None
    type: str
    action: str | None
    step: str | None
    disposition: str | None
    time_us: int
    offset_min: int
    read_point: int | None
    biz_location: int | None
    transformation_id: str | None
    facts: str
    content: bytes
    void_seq: int | None
    visible: int
    partial: int | None
    counts: int | None


class NewFact(NamedTuple):
    """A fact of a capture that was just given its log index (`fact.seq`), keys still IRIs.

    `class_id` and `partial` are visibility classes; `duplicate_of` a record id.
    """

    fact: Fact
    class_id: int
    partial: int | None = None
    duplicate_of: int | None = None


LineRow: TypeAlias = tuple[int, int, int, str, str | None, str | None, int | None]
"""record, ord, thing, role, quantity, unit, lot."""


def event_row(new: NewFact, ids: Mapping[str, int]) -> tuple[Any, ...]:
    """The `event` row of a fact, in the order of `EVENT_COLUMNS`."""
    fact = new.fact
    return (
        fact.record,
        fact.seq,
        fact.position,
        fact.member,
        fact.type,
        fact.action,
        fact.event_id,
        fact.time_us,
        fact.offset_min,
        fact.step,
        fact.disposition,
        None if fact.read_point is None else ids[fact.read_point],
        None if fact.biz_location is None else ids[fact.biz_location],
        fact.transformation_id,
        _packed(fact),
        fact.content,
        int(fact.declares),
        new.duplicate_of,
        new.class_id,
        new.partial,
    )


def line_rows(fact: Fact, ids: Mapping[str, int]) -> list[tuple[Any, ...]]:
    """The `line` rows of a fact, in the order of `LINE_COLUMNS`; a declaration has none."""
    if fact.declares:
        return []
    return [
        (
            fact.record,
            number,
            ids[str(line.thing)],
            line.role,
            None if line.quantity is None else exact_text(line.quantity),
            line.unit,
            None if line.lot is None else ids[str(line.lot)],
            line.original,
        )
        for number, line in enumerate(fact.lines)
    ]


def with_ids(fact: Fact, ids: Mapping[str, int], sorts: Mapping[int, Sort]) -> Fact:
    """A fact over thing ids, each thing of the sort that all records together give it."""
    lines = []
    for thing, role, _, quantity, unit, lot, _ in fact.lines:
        key = ids[str(thing)]
        lines.append(Line(key, role, sorts[key], quantity, unit, None if lot is None else ids[str(lot)]))
    values: list[Any] = list(fact)
    values[_DIGEST], values[_LINES] = fact.digest[:DIGEST_SIZE], tuple(lines)
    return Fact(*values)


_DIGEST: Final = Fact._fields.index("digest")
_LINES: Final = Fact._fields.index("lines")


def fact_from(
    row: Row,
    lines: Sequence[LineRow],
    sorts: Mapping[int, Sort],
    names: Mapping[int, str],
    *,
    whole: bool = True,
) -> Fact:
    """The fact of an event row and (`whole`) all of its lines, or some; mentions apart."""
    digest, sources, destinations, transactions = _unpacked(row.facts)
    return Fact(
        row.record,
        row.commitment,
        digest,
        row.position,
        row.seq,
        row.member,
        row.event_id,
        row.type,
        row.action,
        row.step,
        row.disposition,
        row.time_us,
        row.offset_min,
        None if row.read_point is None else names[row.read_point],
        None if row.biz_location is None else names[row.biz_location],
        row.transformation_id,
        transactions,
        sources,
        destinations,
        False,
        row.content,
        tuple(
            Line(thing, role, sorts[thing], None if amount is None else _decimal(amount), unit, lot)
            for _, _, thing, role, amount, unit, lot in lines
            if role != MENTION
        ),
        row.counts != 0,
        whole,
    )


def _packed(fact: Fact) -> str:
    """Digest, sources, destinations and transactions as JSON; absent members are empty."""
    value: dict[str, Any] = {"sha": fact.digest[:DIGEST_SIZE].hex()}
    if fact.sources:
        value["src"] = fact.sources
    if fact.destinations:
        value["dst"] = fact.destinations
    if fact.transactions:
        value["txn"] = fact.transactions
    return orjson.dumps(value).decode()


_Pairs: TypeAlias = tuple[tuple[str, str], ...]


def _unpacked(text: str) -> tuple[bytes, _Pairs, _Pairs, _Pairs]:
    value = orjson.loads(text)
    digest = bytes.fromhex(value["sha"])
    if len(value) == 1:
        return digest, (), (), ()
    return digest, _pairs(value, "src"), _pairs(value, "dst"), _pairs(value, "txn")


def _pairs(value: Mapping[str, Any], name: str) -> tuple[tuple[Any, Any], ...]:
    return tuple((kind, iri) for kind, iri in value.get(name, ()))


@lru_cache(maxsize=65_536)
def _decimal(text: str) -> Decimal:
    return Decimal(text)
