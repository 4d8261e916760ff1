"""The events of a thing: its own, and those of its carriers, transitively, while it was inside."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import Final, NamedTuple

from .containment import Contents, amount_at, is_inferred, stands
from .derived import Interval
from .fact import CHILD, INPUT, OBJECT, OUTPUT, PARENT, Instant, Line, ThingKey
from .occurrence import Occurrence

_SINGLE: Final = {role: frozenset({role}) for role in (OBJECT, PARENT, CHILD, INPUT, OUTPUT)}


class Entry(NamedTuple):
    """One event of a thing. `carrier` is what the event named instead of the thing; `roles` those of what it named.

    `amounts` are (unit, quantity) pairs, quantity None where unknown.
    """

    happening: Occurrence
    carrier: ThingKey | None
    roles: frozenset[str]
    amounts: tuple[tuple[str | None, Decimal | None], ...]
    inferred: bool


class _Window(NamedTuple):
    """When a thing was in a carrier, and the interval of the innermost carrier that says how much of it."""

    innermost: Interval
    from_: Instant
    until: Instant | None
    inferred_from: Instant | None


def history(
    thing: ThingKey,
    happenings: Mapping[ThingKey, Sequence[Occurrence]],
    around: Mapping[ThingKey, Sequence[Interval]],
    contents: Mapping[ThingKey, Contents],
) -> list[Entry]:
    """The events of a thing in the order of instants; an event that names it and its carrier is its own.

    `happenings` are by every thing they name, in order; `around` are the intervals of each child.
    """
    entries = [_own(happening.lines[thing], happening) for happening in happenings.get(thing, ())]
    stays = around.get(thing)
    if not stays:
        return entries
    named = {entry.happening.fact.record for entry in entries}
    if len(stays) == 1:
        entries += _through(stays[0], named, happenings, around, contents)
        entries.sort(key=_instant)
        return entries
    single: dict[int, Entry] = {}
    for interval in stays:
        for entry in _through(interval, named, happenings, around, contents):
            record = entry.happening.fact.record
            if interval.by_class:
                # Parts of a lot may lie in several carriers of one event: each part moves.
                entries.append(entry)
            elif record not in single or (single[record].inferred and not entry.inferred):
                single[record] = entry
    entries += single.values()
    entries.sort(key=_instant)
    return entries


_instant = attrgetter("happening.instant")


def _own(lines: Sequence[Line], happening: Occurrence) -> Entry:
    if len(lines) == 1:
        line = lines[0]
        return Entry(happening, None, _SINGLE[line.role], ((line.unit, line.quantity),), False)
    roles = frozenset(line.role for line in lines)
    return Entry(happening, None, roles, tuple((line.unit, line.quantity) for line in lines), False)


def _through(
    interval: Interval,
    named: Set[int],
    happenings: Mapping[ThingKey, Sequence[Occurrence]],
    around: Mapping[ThingKey, Sequence[Interval]],
    contents: Mapping[ThingKey, Contents],
) -> Iterable[Entry]:
    """The events of a carrier during one stay in it; most carriers were in no other and nothing strayed."""
    carrier = interval.parent
    if carrier in around or contents[carrier].strays:
        return _upwards(interval, named, happenings, around, contents)
    window = _Window(interval, interval.from_, interval.until, interval.inferred_from)
    during = _during(carrier, window, happenings.get(carrier, ()))
    return [entry for entry in during if entry.happening.fact.record not in named]


def _upwards(
    interval: Interval,
    named: Set[int],
    happenings: Mapping[ThingKey, Sequence[Occurrence]],
    around: Mapping[ThingKey, Sequence[Interval]],
    contents: Mapping[ThingKey, Contents],
) -> Iterator[Entry]:
    """The events of a carrier during one stay in it, and those of the carriers that carrier was in.

    Of several carriers that one event names, the innermost speaks; events in `named` name the thing itself.
    """
    told = set(named)
    entered: set[tuple[ThingKey, Instant, Instant | None]] = set()
    level = [(interval, _Window(interval, interval.from_, interval.until, interval.inferred_from))]
    while level:
        above: list[tuple[Interval, _Window]] = []
        for stay, window in level:
            carrier = stay.parent
            if (carrier, window.from_, window.until) in entered:
                continue
            entered.add((carrier, window.from_, window.until))
            during = _during(carrier, window, happenings.get(carrier, ()))
            for entry in chain(during, _near(stay, interval, contents[carrier])):
                if entry.happening.fact.record not in told:
                    told.add(entry.happening.fact.record)
                    yield entry
            for outer in around.get(carrier, ()):
                narrowed = _narrow(window, outer)
                if narrowed is not None:
                    above.append((outer, narrowed))
        level = above


def _during(carrier: ThingKey, window: _Window, happenings: Sequence[Occurrence]) -> Iterator[Entry]:
    innermost, until = window.innermost, window.until
    changes = len(innermost.steps) > 1
    amounts = ((innermost.unit, amount_at(innermost, window.from_)),)
    start = bisect_left(happenings, window.from_, key=_when)
    for position in range(start, len(happenings)):
        happening = happenings[position]
        when = happening.instant
        if until is not None and when > until:
            break
        if changes:
            amounts = ((innermost.unit, amount_at(innermost, when)),)
        inferred = window.inferred_from is not None and is_inferred(window.inferred_from, when)
        yield _carried(carrier, happening, amounts, inferred)


_when = attrgetter("instant")


def _near(stay: Interval, innermost: Interval, contents: Contents) -> Iterator[Entry]:
    """Events of a carrier outside every filling: they belong to the nearest within 24 h, inferred."""
    for happening, filling in contents.strays:
        if stay.filling == filling.node and stands(stay, filling, happening.instant):
            amounts = ((innermost.unit, amount_at(innermost, happening.instant)),)
            yield _carried(stay.parent, happening, amounts, True)


def _carried(
    carrier: ThingKey,
    happening: Occurrence,
    amounts: tuple[tuple[str | None, Decimal | None], ...],
    inferred: bool,
) -> Entry:
    lines = happening.lines[carrier]
    roles = _SINGLE[lines[0].role] if len(lines) == 1 else frozenset([line.role for line in lines])
    return Entry(happening, carrier, roles, amounts, inferred)


def _narrow(window: _Window, outer: Interval) -> _Window | None:
    from_ = max(window.from_, outer.from_)
    until = window.until
    if outer.until is not None and (until is None or outer.until < until):
        until = outer.until
    if until is not None and until < from_:
        return None
    guesses = [guess for guess in (window.inferred_from, outer.inferred_from) if guess is not None]
    return _Window(window.innermost, from_, until, min(guesses) if guesses else None)
