"""What a recall lead has to see at once: who holds what, what is on its way, what is missing and where it was lost.

Read off a trace in one pass over its members. Rows are kept up to a limit a list, totals count everything; the
whole answer is the JSON document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Final, NamedTuple

from fabric.trace import Trace
from fabric.trace.answer import leaves
from fabric.trace.balance import OVERDUE_US, Balance
from fabric.trace.document import time_text
from fabric.trace.reach import Node
from fabric.trace.source import Course, LegRow

MAX_ROWS: Final = 200
_OPEN: Final = frozenset({"open", "ambiguous"})


class Holding(NamedTuple):
    """Stock of an affected thing at a place. `amount` None = nobody stated one; `member` None = unknown."""

    member: str | None
    place: str | None
    party: str | None
    thing: str
    kind: str
    amount: str | None
    unit: str | None
    since: str | None


class Holder(NamedTuple):
    """Where stock is and whose it is, with what is held there."""

    member: str | None
    place: str | None
    party: str | None
    rows: list[Holding]


class Moving(NamedTuple):
    """A dispatch of an affected thing that nobody received. `state` is in_transit, overdue, outside or ambiguous."""

    state: str
    thing: str
    amount: str | None
    unit: str | None
    source: str | None
    target: str | None
    dispatched: str | None
    carrier: str | None
    documents: tuple[str, ...]


class Missing(NamedTuple):
    """An amount of an affected lot that cannot be found, or that is too much: where, and why it is thought so."""

    thing: str
    amount: str
    unit: str | None
    why: str
    place: str | None
    other: str | None = None
    since: str | None = None


@dataclass(slots=True)
class Overview:
    """Lists for a page, the most pressing first, each at most `MAX_ROWS`; the numbers count all."""

    things: int = 0
    possible: int = 0
    states: dict[str, int] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    holdings: list[Holding] = field(default_factory=list)
    moving: list[Moving] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    surplus: list[Missing] = field(default_factory=list)
    unaccounted_lots: int = 0
    without_quantity: int = 0
    never_received: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def of_missing(self) -> dict[str, str]:
        """For each lot with something missing, how that is said in a few words."""
        sums: dict[tuple[str, str | None], Decimal] = {}
        for row in self.missing:
            key = (row.thing, row.unit)
            sums[key] = sums.get(key, Decimal(0)) + Decimal(row.amount)
        return {thing: f"{total.normalize():f}" for (thing, _), total in sums.items()}


def overview(trace: Trace) -> Overview:
    """The overview of an answer, within the life of its source."""
    found = Overview(things=len(trace), possible=len(trace.possible))
    for state in trace.states.values():
        found.states[state[4]] = found.states.get(state[4], 0) + 1
    lots = {node for node, _ in trace.balances}
    weighed = [(node, Balance._make(balance)) for (node, _), balance in trace.balances.items()]
    found.unaccounted_lots = len({node for node, balance in weighed if balance.unaccounted})
    found.without_quantity = sum(balance.without_quantity for _, balance in weighed)
    for course in trace.courses():
        _add(found, trace, course, is_lot=course[0] in lots)
    _sort(found)
    return found


def by_holder(holdings: Iterable[Holding]) -> list[Holder]:
    """Holdings in order, one group for each holder and place."""
    return [Holder(*who, list(rows)) for who, rows in groupby(holdings, key=lambda row: row[:3])]


def _add(found: Overview, trace: Trace, course: Course, *, is_lot: bool) -> None:
    thing = trace.things[course[0]][2]
    for row in _holdings(trace, course, is_lot=is_lot):
        found.holdings.append(row)
        found.members.update({row.member} if row.member else ())
        found.places.update({row.place} if row.place else ())
    found.moving.extend(_moving(trace, thing, course))
    if is_lot:
        found.missing.extend(_lost(trace, thing, course))
        found.surplus.extend(_too_much(thing, course))
    if course[4]:
        found.never_received[thing] = tuple(sorted(course[4]))


def _holdings(trace: Trace, course: Course, *, is_lot: bool) -> Iterator[Holding]:
    node, _, stock, _, _ = course
    _, _, thing, kind, _, _ = trace.things[node]
    state = trace.states.get(node)
    since = time_text(state[1]) if state else None
    stated = False
    for row in stock if is_lot else ():
        stated = stated or any(amount != "0" for amount in row[2:8])
        if row[9] != "0":
            here = since if state is not None and state[2] == row[0] else None
            yield Holding(_member(trace, row[0], node), row[0], None, thing, kind, row[9], row[1], here)
    if state is not None and state[4] == "held" and not stated:
        holder = trace.holder(node)
        amount = "1" if kind == "serial" else None
        yield Holding(holder.member, state[2], state[3], thing, kind, amount, None, since)


def _member(trace: Trace, place: str | None, node: Node) -> str | None:
    state = trace.states.get(node)
    time_us = state[1] if state is not None else trace.coverage.time_us or 0
    return None if place is None else trace.source.member(place, time_us)


def _moving(trace: Trace, thing: str, course: Course) -> Iterator[Moving]:
    for leg in course[3]:
        if leg[8] not in _OPEN or leg[3] is None:
            continue
        if leaves(trace.source, leg):
            state = "outside"
        elif _is_overdue(trace, leg):
            state = "overdue"
        else:
            state = "ambiguous" if leg[8] == "ambiguous" else "in_transit"
        carrier = None if leg[0] is None else trace.source.iris({leg[0]})[leg[0]]
        yield Moving(
            state, thing, leg[6], leg[5], leg[1], leg[2], time_text(leg[3]), carrier, tuple(sorted(leg[11]))
        )


def _is_overdue(trace: Trace, leg: LegRow) -> bool:
    now_us = trace.coverage.time_us
    return now_us is not None and bool(leg[3] < now_us - OVERDUE_US)


def _lost(trace: Trace, thing: str, course: Course) -> Iterator[Missing]:
    """The parts of `unaccounted`: dispatched and not received in time, received short, counted below the book."""
    for row in course[2]:
        if row[10] != "0":
            yield Missing(thing, row[10], row[1], "counted below the book", row[0])
    for leg in course[3]:
        if leg[8] == "received" and leg[6] is not None and leg[7] is not None:
            short = Decimal(leg[6]) - Decimal(leg[7])
            if short > 0:
                yield Missing(
                    thing, f"{short:f}", leg[5], "received short", leg[1], leg[2], time_text(leg[4])
                )
        elif leg[8] in _OPEN and leg[3] is not None and leg[6] not in (None, "0"):
            if _is_overdue(trace, leg) and not leaves(trace.source, leg):
                yield Missing(thing, leg[6], leg[5], "never received", leg[1], leg[2], time_text(leg[3]))


def _too_much(thing: str, course: Course) -> Iterator[Missing]:
    for row in course[2]:
        if row[11] != "0":
            yield Missing(thing, row[11], row[1], "more out or counted than came in", row[0])
    for leg in course[3]:
        if leg[8] == "received" and leg[6] is not None and leg[7] is not None:
            over = Decimal(leg[7]) - Decimal(leg[6])
            if over > 0:
                yield Missing(
                    thing, f"{over:f}", leg[5], "received above its dispatch", leg[1], leg[2], time_text(leg[4])
                )


def _sort(found: Overview) -> None:
    found.holdings.sort(key=lambda row: (*(name or "~" for name in row[:3]), row.thing, row.unit or ""))
    urgency = ("overdue", "in_transit", "ambiguous", "outside")
    found.moving.sort(key=lambda row: (urgency.index(row.state), row.dispatched or "", row.thing))
    found.missing.sort(key=lambda row: (row.why, row.thing, row.place or ""))
    found.surplus.sort(key=lambda row: (row.why, row.thing, row.place or ""))


__all__ = ["MAX_ROWS", "Holder", "Holding", "Missing", "Moving", "Overview", "by_holder", "overview"]
