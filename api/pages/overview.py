"""What a recall lead has to see at once: who holds what, what is on its way, what is missing and where it was lost.

Read off a trace in one pass over its members. Rows are kept up to a limit a list, totals count everything; the
whole answer is the JSON document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fabric.trace import Trace
from fabric.trace.answer import leaves
from fabric.trace.balance import OVERDUE_US, Balance
from fabric.trace.document import time_text
from fabric.trace.reach import Node
from fabric.trace.source import Course, LegRow

MAX_ROWS: Final = 200
FEW_ROWS: Final = 3
_OF_STOCK: Final = frozenset({"count-below-book", "count-above-book", "out-above-in"})
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


@dataclass(slots=True)
class Holder:
    """A place or party and whose it is, with what is held there: `count` things, the first of them in `rows`."""

    member: str | None
    place: str | None
    party: str | None
    rows: list[Holding] = field(default_factory=list)
    count: int = 0


class Sold(NamedTuple):
    """What was sold or dispensed of a thing at a place. `amount` None = nobody stated one."""

    thing: str
    place: str | None
    member: str | None
    amount: str | None
    unit: str | None


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
    held: dict[tuple[str | None, str | None, str | None], Holder] = field(default_factory=dict)
    moving: list[Moving] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    surplus: list[Missing] = field(default_factory=list)
    sold: list[Sold] = field(default_factory=list)
    unaccounted_lots: int = 0
    without_quantity: int = 0
    never_received: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def holdings(self) -> int:
        """How many things are held, each counted at each place."""
        return sum(holder.count for holder in self.held.values())

    def holders(self) -> list[Holder]:
        """Who holds something, by member and place. Where it is more than a page shows, of each only a few things."""
        ordered = sorted(
            self.held.values(), key=lambda one: [name or "~" for name in (one.member, one.place, one.party)]
        )
        few = MAX_ROWS if self.holdings <= MAX_ROWS else FEW_ROWS
        for holder in ordered:
            holder.rows = sorted(holder.rows, key=lambda row: (row.thing, row.unit or ""))[:few]
        return ordered[:MAX_ROWS]

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


def _add(found: Overview, trace: Trace, course: Course, *, is_lot: bool) -> None:
    thing = trace.things[course[0]][2]
    for row in _holdings(trace, course, is_lot=is_lot):
        holder = found.held.get(row[:3])
        if holder is None:
            holder = found.held[row[:3]] = Holder(*row[:3])
        holder.count += 1
        if len(holder.rows) < MAX_ROWS:
            holder.rows.append(row)
    found.moving.extend(_moving(trace, thing, course))
    if is_lot:
        found.sold.extend(_sold(trace, thing, course))
        found.missing.extend(_lost(trace, thing, course))
        found.surplus.extend(_too_much(thing, course))
    if course[4]:
        found.never_received[thing] = tuple(sorted(course[4]))


def _holdings(trace: Trace, course: Course, *, is_lot: bool) -> Iterator[Holding]:
    node, _, stock, _, _ = course
    _, _, thing, kind, _, _ = trace.things[node]
    stated = False
    for row in stock if is_lot else ():
        stated = stated or any(amount != "0" for amount in row[2:8])
        if row[9] != "0":
            yield Holding(_member(trace, row[0], node), row[0], None, thing, kind, row[9], row[1])
    state = trace.states.get(node)
    if state is not None and state[4] == "held" and not stated:
        holder = trace.holder(node)
        yield Holding(holder.member, state[2], state[3], thing, kind, "1" if kind == "serial" else None, None)


def _sold(trace: Trace, thing: str, course: Course) -> Iterator[Sold]:
    for row in course[2]:
        if row[6] != "0":
            yield Sold(thing, row[0], _member(trace, row[0], course[0]), row[6], row[1])


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
    return now_us is not None and leg[3] is not None and bool(leg[3] < now_us - OVERDUE_US)


def _lost(trace: Trace, thing: str, course: Course) -> Iterator[Missing]:
    """The parts of `unaccounted`: dispatched and not received in time, received short, counted below the book."""
    for row in course[2]:
        if row[10] != "0":
            yield Missing(thing, row[10], row[1], "counted below the book", row[0])
    for leg in course[3]:
        if leg[8] in _OPEN and leg[6] not in (None, "0") and _is_overdue(trace, leg):
            if not leaves(trace.source, leg):
                yield _on_leg(thing, leg, leg[6], "never received", leg[3])
        elif (apart := _apart(leg)) > 0:
            yield _on_leg(thing, leg, f"{apart:f}", "received short", leg[4])


def _too_much(thing: str, course: Course) -> Iterator[Missing]:
    """The parts of `surplus`."""
    for row in course[2]:
        if row[11] != "0":
            yield Missing(thing, row[11], row[1], "more went out, or was counted, than came in", row[0])
    for leg in course[3]:
        if (apart := _apart(leg)) < 0:
            yield _on_leg(thing, leg, f"{-apart:f}", "received above its dispatch", leg[4])


def _apart(leg: LegRow) -> Decimal:
    """How much less was received than sent; 0 while nothing was, or where an amount is not stated."""
    if leg[8] != "received" or leg[6] is None or leg[7] is None:
        return Decimal(0)
    return Decimal(leg[6]) - Decimal(leg[7])


def _on_leg(thing: str, leg: LegRow, amount: str, why: str, time_us: int | None) -> Missing:
    return Missing(thing, amount, leg[5], why, leg[1], leg[2], time_text(time_us))


def dated(
    rows: Iterable[Missing], contradictions: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]
) -> list[Missing]:
    """The rows, those that a count or a way out tells dated by the newest event of the contradiction about them."""
    known = {event["record"]: event for event in events}
    told: dict[str, list[Mapping[str, Any]]] = {}
    for row in contradictions:
        if row["kind"] in _OF_STOCK:
            for thing in row["things"]:
                told.setdefault(thing, []).extend(known[one] for one in row["records"] if one in known)
    return [
        row if row.since else row._replace(since=_newest(row.place, told.get(row.thing, []))) for row in rows
    ]


def _newest(place: str | None, events: Sequence[Mapping[str, Any]]) -> str | None:
    """When it was at the place; where no event names just that place, when the only one was."""
    there = [str(event["time"]) for event in events if event["place"] == place]
    return max(there) if there else str(events[0]["time"]) if len(events) == 1 else None


def _sort(found: Overview) -> None:
    urgency = ("overdue", "in_transit", "ambiguous", "outside")
    found.moving.sort(key=lambda row: (urgency.index(row.state), row.dispatched or "", row.thing))
    found.missing.sort(key=lambda row: (row.why, row.thing, row.place or ""))
    found.sold.sort(key=lambda row: (row.thing, row.place or "", row.unit or ""))
    found.surplus.sort(key=lambda row: (row.why, row.thing, row.place or ""))


__all__ = ["MAX_ROWS", "Holder", "Holding", "Missing", "Moving", "Overview", "Sold", "dated", "overview"]
