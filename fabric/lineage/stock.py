"""What a thing's events say about where how much of it is, who has it, and what cannot be true.

Amounts that measure the same are brought to one unit before anything is added: the unit that was sent, or the
base unit of the dimension where several were sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

from . import handover
from .derived import Contradiction, Interval, Leg, State, Stock, Summary
from .fact import INPUT, OBJECT, OUTPUT, Fact, Instant, Sort, ThingKey
from .handover import Handovers
from .history import Entry
from .quantity import EXACT, ZERO, convert, dimension_of, exact_text, units
from .words import DAY_US, Meaning, named

IN: Final = frozenset({"made", "received"})
_COUNTED: Final = "counted"
_POSSESSING: Final = "possessing_party"
_ENDS: Final = frozenset({"sold", "destroyed"})
_COLUMNS: Final = {
    Meaning.CREATION: "made",
    Meaning.SALE: "sold",
    Meaning.DESTRUCTION: "destroyed",
    Meaning.UNMAKING: "destroyed",
}
# The creation of a carrier makes no contents, and the end of one ends them only if they go with it.
_CARRIED: Final = {Meaning.SALE: "sold", Meaning.DESTRUCTION: "destroyed"}


class Movement(NamedTuple):
    """One amount that came to a place or left it; `column` is a field of `Stock`. `quantity` None is unknown."""

    instant: Instant
    place: str | None
    column: str
    unit: str | None
    quantity: Decimal | None
    fact: Fact


Known: TypeAlias = dict[tuple[object, ...], Summary]
"""Summaries without contradictions by what decides them: what travels together has one course."""


def summarise(
    thing: ThingKey,
    sort: Sort,
    entries: list[Entry],
    around: Mapping[ThingKey, Sequence[Interval]],
    known: Known | None = None,
) -> Summary:
    """Everything derived about one thing from its events, in the order of instants, and the stays of each child.

    `known` is kept between calls over the same happenings.
    """
    known = {} if known is None else known
    entries = _in_one_unit(entries)
    course = _course(sort, entries)
    summary = known.get(course)
    if summary is None:
        summary = _summarise(thing, sort, entries)
        if not summary.contradictions:
            known[course] = summary
    if len(around.get(thing, ())) > 1:
        twice = _contained_twice(thing, around)
        if twice:
            summary = replace(summary, contradictions=[*summary.contradictions, *twice])
    return summary


def _course(sort: Sort, entries: list[Entry]) -> tuple[object, ...]:
    """What decides a summary: events that move the thing, the last one, and who did anything else with it."""
    if not entries or entries[-1].happening.meaning is Meaning.DISPATCH:
        # A dispatch that was received is not the last event: any other may be.
        return (sort is Sort.LOT, *entries)
    key: list[object] = [sort is Sort.LOT, entries[-1]]
    others: set[frozenset[str]] = set()
    movers: set[frozenset[str]] = set()
    for entry in entries:
        happening = entry.happening
        meaning = happening.meaning
        if meaning is not Meaning.OTHER:
            key.append(entry)
            if meaning is Meaning.DISPATCH and entry.carrier is None:
                movers.add(happening.members)
        elif entry.carrier is None:
            others.add(happening.members)
    if others:
        key.append(frozenset(others - movers))
    else:
        key.append(_NOBODY)
    return tuple(key)


_NOBODY: Final[frozenset[frozenset[str]]] = frozenset()


def _summarise(thing: ThingKey, sort: Sort, entries: list[Entry]) -> Summary:
    moves: list[Movement] = []
    found = _read(thing, sort, entries, moves)
    summary = Summary(contradictions=found.contradictions)
    if found.dispatches or found.lone or found.ambiguous:
        summary.legs = handover.legs_of(found)
        _hand_over(found, moves)
    summary.stock = _stock(thing, moves, summary.contradictions)
    summary.state = _state(sort, entries, found, summary.stock, summary.legs)
    summary.never_received = _never_received(entries)
    if len(moves) > 1:
        _use_before_receipt(thing, moves, summary.contradictions)
    return summary


def _read(thing: ThingKey, sort: Sort, entries: list[Entry], moves: list[Movement]) -> Handovers:
    """Pair the hand-overs among the events of a thing, and add all other movements."""
    sent_away: list[Entry] = []
    taken_in: list[Entry] = []
    taken_back: list[Entry] = []
    ended = False
    for entry in entries:
        meaning = entry.happening.meaning
        if meaning is Meaning.DISPATCH:
            sent_away.append(entry)
        elif meaning is Meaning.RECEIPT:
            taken_in.append(entry)
        elif meaning is Meaning.TAKE_BACK:
            taken_back.append(entry)
        elif meaning is not Meaning.OTHER:
            column = _column(entry)
            # One item ends once: sold, then decommissioned at the till, is one end.
            again = ended and column in _ENDS and sort is not Sort.LOT
            if column is not None and not again:
                ended = ended or column in _ENDS
                moves += _moves(entry, column)
    return handover.pair(thing, sort, sent_away, taken_in, taken_back)


def _moves(entry: Entry, column: str) -> list[Movement]:
    happening = entry.happening
    fact = happening.fact
    place = fact.biz_location or fact.read_point
    return [
        Movement(happening.instant, place, column, unit, quantity, fact) for unit, quantity in entry.amounts
    ]


def _in_one_unit(entries: list[Entry]) -> list[Entry]:
    """The entries with all amounts of one dimension in one unit."""
    first = entries[0].amounts[0][0] if entries and entries[0].amounts else None
    for entry in entries:
        if len(entry.amounts) != 1 or entry.amounts[0][0] != first:
            break
    else:
        return entries
    sent = {unit for entry in entries for unit, quantity in entry.amounts if quantity is not None}
    if len(sent) < 2:
        return entries
    by_dimension: dict[str, set[str | None]] = {}
    for unit in sent:
        by_dimension.setdefault(dimension_of(unit), set()).add(unit)
    target = {unit: _base(group) for group in by_dimension.values() if len(group) > 1 for unit in group}
    if not target:
        return entries
    return [
        entry._replace(amounts=tuple(_converted(pair, target) for pair in entry.amounts)) for entry in entries
    ]


def _base(group: set[str | None]) -> str | None:
    """The unit to which others of one dimension are brought exactly: that of factor 1, items before their codes."""
    if None in group:
        return None
    table = units()
    dimension = dimension_of(next(iter(group)))
    return next(code for code, unit in table.items() if unit.dimension == dimension and unit.factor == 1)


def _converted(
    pair: tuple[str | None, Decimal | None], target: dict[str | None, str | None]
) -> tuple[str | None, Decimal | None]:
    unit, quantity = pair
    if quantity is None or unit not in target:
        return pair
    exact = convert(quantity, unit, target[unit])
    return pair if exact is None else (target[unit], exact)


def _hand_over(found: Handovers, moves: list[Movement]) -> None:
    for leg in found.dispatches:
        if not leg.voided:
            moves += _moved(leg.entries, leg.from_place, "dispatched", leg.sent, leg.unknown)
        if leg.receipts:
            place = handover.passage(leg.receipts[0]).place
            moves += _moved(leg.receipts, place, "received", leg.got, leg.got_unknown)
    for entries in (*found.lone, *found.ambiguous):
        moves += _received(entries)
    moves.sort(key=_instant)


_instant = attrgetter("instant")


def _column(entry: Entry) -> str | None:
    """What an event that hands nothing over does to the stock of its place."""
    meaning, roles = entry.happening.meaning, entry.roles
    if meaning is Meaning.TRANSFORMATION:
        if INPUT in roles:
            return "used"
        return "made" if OUTPUT in roles and entry.carrier is None else None
    if meaning is Meaning.COUNT:
        return _COUNTED
    if OBJECT not in roles:
        return None
    return (_CARRIED if entry.carrier is not None else _COLUMNS).get(meaning)


def _received(entries: list[Entry]) -> list[Movement]:
    amounts, unknown = handover.amounts_of(entries)
    return _moved(entries, handover.passage(entries[0]).place, "received", amounts, unknown)


def _moved(
    entries: list[Entry], place: str | None, column: str, amounts: handover.Amounts, unknown: bool
) -> list[Movement]:
    first = entries[0].happening
    if not unknown and len(amounts) == 1:
        ((unit, quantity),) = amounts.items()
        return [Movement(first.instant, place, column, unit, quantity, first.fact)]
    moves = [
        Movement(first.instant, place, column, unit, quantity, first.fact)
        for unit, quantity in amounts.items()
    ]
    if unknown:
        moves.append(Movement(first.instant, place, column, None, None, first.fact))
    return moves


def _stock(thing: ThingKey, moves: list[Movement], contradictions: list[Contradiction]) -> list[Stock]:
    """One row a place and unit. The book is read in the order of instants; a count sets it."""
    rows: dict[tuple[str | None, str | None], Stock] = {}
    unknown_in: set[str | None] = set()
    for move in moves:
        _, place, column, unit, quantity, _ = move
        row = rows.get((place, unit))
        if row is None:
            row = rows[place, unit] = Stock(place, unit)
        if quantity is None:
            row.without_quantity += 1
            if column in IN:
                unknown_in.add(place)
        elif column == _COUNTED:
            _count(thing, row, move, contradictions)
        else:
            before, book = getattr(row, column), row.on_hand
            setattr(row, column, EXACT.add(before, quantity) if before else quantity)
            if column in IN:
                row.on_hand = EXACT.add(book, quantity) if book else quantity
            else:
                row.on_hand = ZERO if book is quantity else EXACT.subtract(book, quantity)
    for row in rows.values():
        if row.on_hand is not ZERO and row.on_hand < ZERO:
            _overdrawn(thing, row, moves, row.place in unknown_in, contradictions)
    if len(rows) == 1:
        return list(rows.values())
    return [rows[key] for key in sorted(rows, key=_place_and_unit)]


def _place_and_unit(key: tuple[str | None, str | None]) -> tuple[str, str]:
    return key[0] or "", key[1] or ""


def _count(thing: ThingKey, row: Stock, move: Movement, contradictions: list[Contradiction]) -> None:
    counted = move.quantity or ZERO
    apart = EXACT.subtract(row.on_hand, counted)
    row.counted = row.on_hand = counted
    if not apart:
        return
    if apart > ZERO:
        row.short = EXACT.add(row.short, apart)
        kind, word = "count-below-book", "less"
    else:
        row.surplus = EXACT.subtract(row.surplus, apart)
        kind, word = "count-above-book", "more"
    detail = f"counted {exact_text(counted)} {row.unit or 'items'}, {exact_text(apart.copy_abs())} {word} than the book"
    contradictions.append(Contradiction(kind, (thing,), (move.fact.record,), detail))


def _overdrawn(
    thing: ThingKey, row: Stock, moves: list[Movement], unknown_in: bool, contradictions: list[Contradiction]
) -> None:
    """More left a place than came to it: surplus, unless an unknown amount came in."""
    above = row.on_hand.copy_negate()
    row.on_hand = ZERO
    if unknown_in:
        return
    row.surplus = EXACT.add(row.surplus, above)
    if row.made or row.received:
        records = {move.fact.record for move in moves if (move.place, move.unit) == (row.place, row.unit)}
        detail = f"{exact_text(above)} {row.unit or 'items'} more left {row.place or 'an unnamed place'} than came in"
        contradictions.append(Contradiction("out-above-in", (thing,), tuple(sorted(records)), detail))


def _use_before_receipt(thing: ThingKey, moves: list[Movement], contradictions: list[Contradiction]) -> None:
    """At one place, something left before anything had come in. A date without a time stands for its day."""
    first_in: dict[str | None, Movement] = {}
    first_out: dict[str | None, Movement] = {}
    for move in moves:
        if move.column != _COUNTED:
            (first_in if move.column in IN else first_out).setdefault(move.place, move)
    for place, out in first_out.items():
        came = first_in.get(place)
        if (
            came is None
            or came.column != "received"
            or out.instant > came.instant
            or not _earlier(out.fact, came.fact)
        ):
            continue
        detail = f"{out.column} at {place or 'an unnamed place'} before it was received there"
        records = (out.fact.record, came.fact.record)
        contradictions.append(Contradiction("use-before-receipt", (thing,), records, detail))


def _earlier(one: Fact, other: Fact) -> bool:
    if _is_date_only(one) or _is_date_only(other):
        return _local(one) // DAY_US < _local(other) // DAY_US
    return one.time_us < other.time_us


def _is_date_only(fact: Fact) -> bool:
    return fact.time_us % DAY_US == 0 or _local(fact) % DAY_US == 0


def _local(fact: Fact) -> int:
    return fact.time_us + fact.offset_min * 60_000_000


def _contained_twice(thing: ThingKey, around: Mapping[ThingKey, Sequence[Interval]]) -> list[Contradiction]:
    """A serial inside two parents at once, neither of which was ever inside the other."""
    single = sorted((stay for stay in around[thing] if not stay.by_class), key=lambda stay: stay.from_)
    found = []
    for before, after in pairwise(single):
        one, other = before.parent, after.parent
        apart = before.until is not None and before.until <= after.from_
        if one != other and not apart and not (_was_in(one, other, around) or _was_in(other, one, around)):
            detail = "inside two parents at the same time"
            records = tuple(sorted({before.opened_by, after.opened_by}))
            found.append(
                Contradiction("contained-twice", (thing, before.parent, after.parent), records, detail)
            )
    return found


def _was_in(child: ThingKey, parent: ThingKey, around: Mapping[ThingKey, Sequence[Interval]]) -> bool:
    return any(stay.parent == parent for stay in around.get(child, ()))


def _state(
    sort: Sort, entries: list[Entry], found: Handovers, stock: Iterable[Stock], legs: Iterable[Leg]
) -> State | None:
    """Where the last event leaves the thing. A dispatch whose receipt bears an earlier time is not the last."""
    last = _last(entries, found)
    if last is None:
        return None
    fact = last.happening.fact
    if last.happening.meaning is Meaning.DISPATCH:
        place = handover.passage(last).place
        return State(fact.record, fact.time_us, place, named(fact.sources, _POSSESSING), "in_transit")
    place = handover.passage(last).place if last.happening.meaning is Meaning.RECEIPT else fact.place
    possessor = named(fact.destinations, _POSSESSING) or named(fact.sources, _POSSESSING)
    ended = _column(last) in ("sold", "destroyed", "used") and (
        sort is not Sort.LOT or _is_spent(stock, legs)
    )
    return State(fact.record, fact.time_us, place, possessor, "ended" if ended else "held")


def _last(entries: list[Entry], found: Handovers) -> Entry | None:
    """The last event, dispatches passed over that were received, or taken back."""
    if not entries or entries[-1].happening.meaning is not Meaning.DISPATCH:
        return entries[-1] if entries else None
    settled = {
        entry.happening.fact.record
        for leg in found.dispatches
        if leg.receipts or leg.voided
        for entry in leg.entries
    }
    for entry in reversed(entries):
        if entry.happening.fact.record not in settled:
            return entry
    return entries[-1]


def _is_spent(stock: Iterable[Stock], legs: Iterable[Leg]) -> bool:
    """Whether nothing of a lot is left anywhere, as far as amounts are stated."""
    if any(leg.state in ("open", "ambiguous") for leg in legs):
        return False
    return all(row.on_hand == ZERO and not row.without_quantity for row in stock)


def _never_received(entries: list[Entry]) -> tuple[str, ...]:
    """Members that acted on the thing, and no record of theirs makes or receives it."""
    entitled: set[str] = set()
    acting: set[frozenset[str]] = set()
    for entry in entries:
        happening = entry.happening
        meaning = happening.meaning
        own = entry.carrier is None
        if meaning is Meaning.RECEIPT or (own and (meaning is Meaning.CREATION or OUTPUT in entry.roles)):
            entitled |= happening.members
        elif own:
            acting.add(happening.members)
    if not acting:
        return ()
    return tuple(sorted({min(members) for members in acting if members.isdisjoint(entitled)}))
