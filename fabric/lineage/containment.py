"""What was in what, and when: intervals of children in parents, and the uses (fillings) of carriers.

A pure function of the happenings that name one parent and of those by which its serial children left it.
Rules: design page meaning, section 3, "containment" and "filling".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from .derived import Contradiction, Filling, FillingNode, Interval
from .fact import CHILD, INPUT, OBJECT, OUTPUT, PARENT, Fact, Instant, Line, Sort, ThingKey
from .occurrence import Occurrence
from .quantity import EXACT, convert, dimension_of, exact_text
from .words import NEAR_US, YEAR_US, is_creation, is_unmaking, site

AGGREGATING: Final = frozenset({"AggregationEvent", "AssociationEvent"})
CARRIERS: Final = frozenset({Sort.SSCC, Sort.ASSET, Sort.PRIVATE})
_CLASSES: Final = frozenset({Sort.LOT, Sort.CLASS})
_UNKNOWN: Final = "unknown"


class Stray(NamedTuple):
    """A carrier's event outside every filling, which belongs to the nearest within 24 h, inferred."""

    happening: Occurrence
    filling: Filling


class Contents(NamedTuple):
    """Everything that was in one parent. `intervals` are in the order in which they began, then closed."""

    parent: ThingKey
    fillings: list[Filling]
    intervals: list[Interval]
    strays: list[Stray]
    clashes: list[Contradiction]


class Inside(NamedTuple):
    """One child in a parent at an instant; `quantity` None is unknown."""

    child: ThingKey
    quantity: Decimal | None
    unit: str | None
    inferred: bool


@dataclass(slots=True)
class _Open:
    """A child that is inside while the happenings are read in order."""

    line: Line
    from_: Instant
    opened_by: int
    filling: int | None
    aggregated: bool
    by_class: bool
    inferred_from: Instant | None
    steps: list[tuple[Instant, Decimal | None]]


@dataclass(slots=True)
class _Use:
    """A filling while it is open."""

    number: int
    from_: Instant
    opened_by: int
    put_out: bool
    inferred_from: Instant | None = None
    packed_at: str | None = None
    until: Instant | None = None
    closed_by: int | None = None


@dataclass(slots=True)
class _Reading:
    """The state of one parent, happening by happening."""

    parent: ThingKey
    sort: Sort
    inside: dict[tuple[ThingKey, str], _Open] = field(default_factory=dict)
    uses: list[_Use] = field(default_factory=list)
    use: _Use | None = None
    created: bool = False
    intervals: list[tuple[_Open, Instant | None, int | None]] = field(default_factory=list)
    clashes: list[Contradiction] = field(default_factory=list)

    def own(self, happening: Occurrence) -> None:
        """A happening that names the parent itself."""
        fact, when = happening.fact, happening.instant
        lines = happening.lines[self.parent]
        if fact.action == "OBSERVE" and lines[0].role == OBJECT and len(lines) == 1 and not is_unmaking(fact):
            return
        roles = {line.role for line in lines}
        if PARENT in roles and fact.type in AGGREGATING:
            self._packing(fact, when)
        elif OUTPUT in roles or (OBJECT in roles and is_creation(fact)):
            self._create(fact, when, OUTPUT in roles)
        elif OBJECT in roles and is_unmaking(fact):
            self._empty(fact, when)
            self._end_use(fact, when)

    def departure(self, happening: Occurrence, children: Iterable[ThingKey]) -> None:
        """A happening by which serial children left: packed elsewhere, used, or taken out of the world."""
        before = bool(self.inside)
        for child in children:
            self._close((child, ""), happening.instant, happening.fact.record)
        self._end_if_emptied(before, happening.fact, happening.instant)

    def _packing(self, fact: Fact, when: Instant) -> None:
        children = [line for line in fact.lines if line.role == CHILD]
        if fact.action == "DELETE":
            before = bool(self.inside)
            for line in children:
                self._take(line, fact, when)
            if not children:
                self._empty(fact, when)
            self._end_if_emptied(before, fact, when)
            return
        observed = fact.action == "OBSERVE"
        if not children:
            return
        self._begin_use(fact, when, observed)
        if not observed:
            self._mark_packing_place(fact, when)
        for line in children:
            if observed:
                self._witness(line, fact, when)
            else:
                self._put(line, fact, when)

    def _begin_use(self, fact: Fact, when: Instant, observed: bool) -> None:
        if self.sort in CARRIERS and self.use is None:
            self._open_use(fact, when, put_out=False, inferred=observed)

    def _open_use(self, fact: Fact, when: Instant, *, put_out: bool, inferred: bool = False) -> None:
        self.use = _Use(len(self.uses), when, fact.record, put_out, when if inferred else None)
        self.uses.append(self.use)

    def _mark_packing_place(self, fact: Fact, when: Instant) -> None:
        """A returnable carrier packed at another place goes on in the same filling only by inference."""
        use, place = self.use, site(fact.place)
        if use is None or place is None:
            return
        if use.packed_at is None:
            use.packed_at = place
        elif use.packed_at != place and self.sort is not Sort.SSCC and use.inferred_from is None:
            use.inferred_from = when

    def _create(self, fact: Fact, when: Instant, put_out: bool) -> None:
        again, self.created = self.created, True
        if self.sort not in CARRIERS:
            return
        use = self.use
        if use is not None and not again and when.time_us - use.from_.time_us <= NEAR_US:
            # Packed shortly before its first creation by a bad clock: the same use, not another one.
            use.put_out = use.put_out or put_out
            return
        if use is not None:
            self._empty(fact, when)
            self._end_use(fact, when)
        self._open_use(fact, when, put_out=put_out)

    def _put(self, line: Line, fact: Fact, when: Instant) -> None:
        if line.sort not in _CLASSES:
            now = self.inside.get((line.thing, ""))
            if now is not None and now.inferred_from is None:
                return
            self._close((line.thing, ""), when, fact.record)
            self._open((line.thing, ""), line, fact, when)
            return
        key = (line.thing, _balance_key(line))
        now = self.inside.get(key)
        if now is None:
            self._open(key, line, fact, when)
            return
        amount, held = _in_unit(line, now), now.steps[-1][1]
        total = None if amount is None or held is None else EXACT.add(held, amount)
        now.steps.append((when, total))

    def _witness(self, line: Line, fact: Fact, when: Instant) -> None:
        if not any(child == line.thing for child, _ in self.inside):
            key = "" if line.sort not in _CLASSES else _balance_key(line)
            self._open((line.thing, key), line, fact, when, inferred=True)

    def _take(self, line: Line, fact: Fact, when: Instant) -> None:
        if line.sort not in _CLASSES:
            self._close((line.thing, ""), when, fact.record)
            return
        keys = [key for key in self.inside if key[0] == line.thing]
        if line.quantity is None:
            for key in keys:
                self._close(key, when, fact.record)
            return
        key = (line.thing, _balance_key(line))
        now = self.inside.get(key)
        if now is not None:
            self._reduce(key, now, line, fact, when)
        elif (line.thing, _UNKNOWN) not in self.inside:
            self._clash("unit-mismatch" if keys else "negative-contents", line, fact)
            self._doubt(keys, when)

    def _reduce(self, key: tuple[ThingKey, str], now: _Open, line: Line, fact: Fact, when: Instant) -> None:
        amount, held = _in_unit(line, now), now.steps[-1][1]
        if amount is None:
            self._clash("unit-mismatch", line, fact)
            self._doubt([key], when)
            now.steps.append((when, None))
            return
        if held is None:
            return
        left = EXACT.subtract(held, amount)
        if left > 0:
            now.steps.append((when, left))
        elif left == 0 or (line.thing, _UNKNOWN) in self.inside:
            self._close(key, when, fact.record)
        else:
            self._clash("negative-contents", line, fact)
            self._doubt([key], when)
            now.steps.append((when, None))

    def _clash(self, kind: str, line: Line, fact: Fact) -> None:
        amount = "" if line.quantity is None else exact_text(line.quantity)
        detail = f"taken out: {amount} {line.unit or 'items'}; not so much of it was inside"
        if kind == "unit-mismatch":
            detail = (
                f"taken out: {amount} {line.unit or 'items'}; what was inside is stated in another dimension"
            )
        self.clashes.append(Contradiction(kind, (self.parent, line.thing), (fact.record,), detail))

    def _doubt(self, keys: Iterable[tuple[ThingKey, str]], when: Instant) -> None:
        for key in keys:
            now = self.inside[key]
            now.inferred_from = now.inferred_from or when

    def _open(
        self, key: tuple[ThingKey, str], line: Line, fact: Fact, when: Instant, *, inferred: bool = False
    ) -> None:
        by_class = line.sort in _CLASSES
        self.inside[key] = _Open(
            line,
            when,
            fact.record,
            None if self.use is None else self.use.number,
            fact.type == "AggregationEvent",
            by_class,
            when if inferred else None,
            [(when, line.quantity if by_class else Decimal(1))],
        )

    def _close(self, key: tuple[ThingKey, str], when: Instant, record: int) -> None:
        now = self.inside.pop(key, None)
        if now is not None:
            self.intervals.append((now, when, record))

    def _empty(self, fact: Fact, when: Instant) -> None:
        for key in list(self.inside):
            self._close(key, when, fact.record)

    def _end_if_emptied(self, before: bool, fact: Fact, when: Instant) -> None:
        if before and not self.inside:
            self._end_use(fact, when)

    def _end_use(self, fact: Fact, when: Instant) -> None:
        if self.use is not None:
            self.use.until, self.use.closed_by = when, fact.record
            self.use = None


def read_contents(
    parent: ThingKey,
    sort: Sort,
    own: Sequence[Occurrence],
    departures: Mapping[ThingKey, Iterable[Occurrence]],
) -> Contents:
    """What was in a parent, from the happenings that name it (whole, in order) and departures of its serial children."""
    reading = _Reading(parent, sort)
    leaving: dict[int, tuple[Occurrence, list[ThingKey]]] = {}
    for child, happenings in departures.items():
        for happening in happenings:
            leaving.setdefault(happening.fact.record, (happening, []))[1].append(child)
    if leaving:
        stream: list[tuple[Occurrence, list[ThingKey] | None]] = [(happening, None) for happening in own]
        stream += leaving.values()
        stream.sort(key=lambda pair: pair[0].instant)
        for happening, children in stream:
            if children is None:
                reading.own(happening)
            else:
                reading.departure(happening, children)
    else:
        for happening in own:
            reading.own(happening)
    reading.intervals += [(now, None, None) for now in reading.inside.values()]
    return _closed(reading, own)


def _closed(reading: _Reading, own: Sequence[Occurrence]) -> Contents:
    fillings = [_filling(reading, use) for use in reading.uses]
    intervals = [_interval(reading, fillings, *row) for row in reading.intervals]
    intervals.sort(key=lambda row: (row.from_, row.until is None, row.until or row.from_, row.opened_by))
    return Contents(reading.parent, fillings, intervals, _strays(own, fillings), reading.clashes)


def _strays(own: Iterable[Occurrence], fillings: list[Filling]) -> list[Stray]:
    if not fillings:
        return []
    found = []
    last = fillings[-1]
    for happening in own:
        if last.until is None and last.from_ <= happening.instant:
            continue
        filling, _ = use_at(fillings, happening.instant)
        if filling is not None and not _covers(filling, happening.instant):
            found.append(Stray(happening, filling))
    return found


def _filling(reading: _Reading, use: _Use) -> Filling:
    inferred = use.inferred_from
    if reading.sort is Sort.SSCC:
        limit = Instant(use.from_.time_us + YEAR_US, -1, b"")
        if (use.until is None or use.until > limit) and (inferred is None or limit < inferred):
            inferred = limit
    node = FillingNode(reading.parent, use.number)
    return Filling(node, use.from_, use.until, inferred, use.put_out, use.opened_by, use.closed_by)


def _interval(
    reading: _Reading, fillings: list[Filling], now: _Open, until: Instant | None, closed_by: int | None
) -> Interval:
    inferred = now.inferred_from
    node = None
    if now.filling is not None:
        filling = fillings[now.filling]
        node, limit = filling.node, filling.inferred_from
        if limit is not None and now.from_ < limit and (until is None or limit < until):
            inferred = limit if inferred is None else min(limit, inferred)
    return Interval(
        now.line.thing,
        reading.parent,
        node,
        now.from_,
        until,
        now.steps[-1][1],
        now.line.unit if now.by_class else None,
        now.by_class,
        now.aggregated,
        inferred,
        now.opened_by,
        closed_by,
        tuple(now.steps),
    )


def _balance_key(line: Line) -> str:
    return _UNKNOWN if line.quantity is None else dimension_of(line.unit)


def _in_unit(line: Line, now: _Open) -> Decimal | None:
    return None if line.quantity is None else convert(line.quantity, line.unit, now.line.unit)


def departs(happening: Occurrence, child: ThingKey, parent: ThingKey) -> bool:
    """Whether a happening says that a serial child left `parent`: packed elsewhere, used, or unmade."""
    fact = happening.fact
    for line in happening.lines[child]:
        if line.role == INPUT or (line.role == OBJECT and is_unmaking(fact)):
            return True
        elsewhere = line.role == CHILD and fact.action == "ADD" and fact.type in AGGREGATING
        if elsewhere and happening.parent is not None and happening.parent != parent:
            return True
    return False


def is_inferred(inferred_from: Instant | None, when: Instant) -> bool:
    """Whether something that is inferred from an instant on is so at another."""
    return inferred_from is not None and when >= inferred_from


def amount_at(interval: Interval, when: Instant) -> Decimal | None:
    """How much was inside at an instant of the interval; before its first step, what it began with."""
    amount = interval.steps[0][1]
    for since, quantity in interval.steps:
        if since > when:
            break
        amount = quantity
    return amount


def use_at(fillings: Sequence[Filling], when: Instant) -> tuple[Filling | None, bool]:
    """The filling an instant falls into, else the nearest within 24 h; and whether that is only inferred.

    Fillings are in order. Of two that share an instant the later one holds it: it began there.
    """
    place = bisect_right(fillings, when, key=lambda filling: filling.from_)
    if place and _covers(fillings[place - 1], when):
        filling = fillings[place - 1]
        return filling, is_inferred(filling.inferred_from, when)
    nearest: Filling | None = None
    distance = NEAR_US + 1
    for filling in fillings[max(place - 1, 0) : place + 1]:
        edge = filling.from_ if when < filling.from_ else filling.until or filling.from_
        apart = abs(edge.time_us - when.time_us)
        if apart < distance:
            nearest, distance = filling, apart
    return nearest, True


def _covers(filling: Filling, when: Instant) -> bool:
    return filling.from_ <= when and (filling.until is None or when <= filling.until)


def contents_at(contents: Contents, when: Instant) -> tuple[Filling | None, list[Inside]]:
    """What was in a carrier at an instant, or in the filling nearest to it, and that filling."""
    filling, guessed = use_at(contents.fillings, when)
    if filling is None:
        return None, []
    found = []
    for interval in contents.intervals:
        if interval.filling == filling.node and stands(interval, filling, when):
            inferred = guessed or is_inferred(interval.inferred_from, when)
            found.append(Inside(interval.child, amount_at(interval, when), interval.unit, inferred))
    return filling, found


def stands(interval: Interval, filling: Filling, when: Instant) -> bool:
    """Whether a content of the filling was inside at an instant, which may lie beyond the filling's ends."""
    if when < filling.from_:
        return True
    if filling.until is not None and when > filling.until:
        return interval.until is None or interval.until >= filling.until
    return interval.from_ <= when and (interval.until is None or when <= interval.until)
