"""What a dispatch shows to its parties beyond itself: pure, over the capturing member's own records.

With a dispatch its parties see the aggregations that state what the handed-over carriers then held, those
carriers only, and a few units of the records that created the lots and serials handed over; never inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Final, NamedTuple

import ontology
from fabric.lineage.creation import CREATING_STEPS, creation_pointers

_PACKING_TYPES: Final = frozenset({"AggregationEvent", "AssociationEvent"})


class Part(NamedTuple):
    """One thing a record names: its key, role, and quantity if it states one."""

    thing: int
    role: str
    quantity: str | None
    unit: str | None


class Own(NamedTuple):
    """One record of the dispatching member as this module needs it; `order` breaks ties of equal times."""

    record: int
    type: str
    action: str | None
    step: str | None
    time_us: int
    order: tuple[int, bytes]
    parts: tuple[Part, ...]


class Shown(NamedTuple):
    """What a dispatch shows: records to be seen whole, records to be seen in part, and what it hands over."""

    whole: frozenset[int]
    part: frozenset[int]
    things: frozenset[int]


@cache
def dispatch_steps() -> frozenset[str]:
    """The business steps that hand things over, by `ontology/handover.toml`."""
    return frozenset(ontology.read_table("handover.toml")["dispatch"]["steps"])


def is_dispatch(step: str | None, has_destination: bool) -> bool:
    """Whether a record hands its things over."""
    return has_destination and step in dispatch_steps()


def is_packing(event_type: str) -> bool:
    """Whether a record states what a parent holds."""
    return event_type in _PACKING_TYPES


def is_creation(event_type: str, action: str | None, step: str | None) -> bool:
    """Whether a record creates the lots and serials that `created` names."""
    if event_type == "TransformationEvent":
        return True
    return event_type == "ObjectEvent" and action == "ADD" and step in CREATING_STEPS


def created(own: Own) -> set[int]:
    """The things that a creation record creates."""
    role = "output" if own.type == "TransformationEvent" else "object"
    return {part.thing for part in own.parts if part.role == role}


def parent_of(own: Own) -> int | None:
    """The parent of a packing record, or None."""
    return next((part.thing for part in own.parts if part.role == "parent"), None)


def shown_by(
    dispatch: Own,
    packings: Mapping[int, Iterable[Own]],
    creations: Mapping[int, Iterable[Own]],
) -> Shown:
    """What a dispatch shows, given the member's live packing records by parent and creations by thing.

    Carriers inside a handed-over carrier are handed over with it, to any depth.
    """
    whole: set[int] = set()
    seen = handed_over(dispatch)
    waiting = list(seen)
    while waiting:
        carrier = waiting.pop()
        contents, records = held_at(packings.get(carrier, ()), dispatch.time_us)
        whole |= records
        waiting += contents - seen
        seen |= contents
    part = {own.record for thing in seen for own in creations.get(thing, ())}
    whole.discard(dispatch.record)
    return Shown(frozenset(whole), frozenset(part - whole - {dispatch.record}), frozenset(seen))


def handed_over(dispatch: Own) -> set[int]:
    """The things a dispatch names as material: everything but mentions."""
    return {part.thing for part in dispatch.parts if part.role != "mention"}


def held_at(packings: Iterable[Own], time_us: int) -> tuple[set[int], set[int]]:
    """What one parent held at a time, and the records that state it.

    Records order by time, then position, then digest. A child given by class is a balance per unit; what an
    emptied balance or an unpacked child leaves behind is stated by no record.
    """
    held: dict[tuple[int, str | None], _Content] = {}
    for own in sorted(packings, key=lambda one: (one.time_us, one.order)):
        if own.time_us <= time_us:
            _apply(held, own)
    records = {record for content in held.values() for record in content.records}
    return {thing for thing, _ in held}, records


@dataclass(slots=True)
class _Content:
    balance: Decimal | None
    records: set[int]


def _apply(held: dict[tuple[int, str | None], _Content], own: Own) -> None:
    children = [part for part in own.parts if part.role == "child"]
    if own.action == "DELETE":
        if not children:
            held.clear()
        for part in children:
            _take_out(held, part, own.record)
        return
    for part in children:
        _put_in(held, part, own)


def _put_in(held: dict[tuple[int, str | None], _Content], part: Part, own: Own) -> None:
    amount = None if part.quantity is None else Decimal(part.quantity)
    content = held.get((part.thing, part.unit))
    if content is None:
        held[part.thing, part.unit] = _Content(amount, {own.record})
        return
    content.records.add(own.record)
    if own.action == "ADD" and amount is not None and content.balance is not None:
        content.balance += amount


def _take_out(held: dict[tuple[int, str | None], _Content], part: Part, record: int) -> None:
    if part.quantity is None:
        for key in [key for key in held if key[0] == part.thing]:
            del held[key]
        return
    content = held.get((part.thing, part.unit))
    if content is None:
        return
    if content.balance is not None:
        content.balance -= Decimal(part.quantity)
        if content.balance <= 0:
            del held[part.thing, part.unit]
            return
    content.records.add(record)


__all__ = [
    "Own",
    "Part",
    "Shown",
    "created",
    "creation_pointers",
    "dispatch_steps",
    "handed_over",
    "held_at",
    "is_creation",
    "is_dispatch",
    "is_packing",
    "parent_of",
    "shown_by",
]
