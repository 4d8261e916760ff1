"""Hand-overs of one thing: which receipt belongs to which dispatch (design: meaning, sections 3 and 5).

What is one item (a carrier, a serial) is at one place, so its dispatches are received in turn. Of a lot parts may
travel at the same time: a receipt that fits one dispatch joins it, several may; one that fits several stays apart
as ambiguous. Nothing is chosen by amount or age.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain, islice
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

from .derived import Contradiction, Leg
from .fact import Sort, ThingKey
from .history import Entry
from .quantity import EXACT, ZERO
from .words import HOUR_US, Passage, named, site, words

Amounts: TypeAlias = dict[str | None, Decimal]


@dataclass(slots=True)
class Dispatch:
    """The dispatch records of one carrier or thing, source, destination and day; `sites` are destinations.

    Legs are numbered in the order of their first instants. `carriers` are all that its records name.
    """

    number: int
    carrier: ThingKey | None
    carriers: set[ThingKey]
    from_place: str | None
    to_place: str | None
    sites: frozenset[str]
    documents: frozenset[str]
    first_us: int
    entries: list[Entry] = field(default_factory=list)
    receipts: list[Entry] = field(default_factory=list)
    stated: bool = False
    disputed: bool = False
    taken_back: list[Entry] = field(default_factory=list)
    sent: Amounts = field(default_factory=dict)
    unknown: bool = False
    voided: bool = False
    got: Amounts = field(default_factory=dict)
    got_unknown: bool = False

    def weigh(self) -> None:
        """Say how much it took away, less what was taken back; all, if that names no amount, voids it."""
        self.sent, self.unknown = amounts_of(self.entries)
        if not self.taken_back:
            return
        back, everything = amounts_of(self.taken_back)
        left = dict(self.sent)
        for unit, quantity in back.items():
            if unit in left:
                left[unit] = max(ZERO, EXACT.subtract(left[unit], quantity))
        self.voided = everything or not any(left.values())
        if not self.voided:
            self.sent = left

    def close(self) -> None:
        """Say how much of it was received, once no receipt will join it any more."""
        if self.receipts:
            self.got, self.got_unknown = amounts_of(self.receipts)


@dataclass(slots=True)
class Handovers:
    """What became of the dispatches and receipts of one thing. `lone` receipts have no dispatch."""

    dispatches: list[Dispatch] = field(default_factory=list)
    lone: list[list[Entry]] = field(default_factory=list)
    ambiguous: list[list[Entry]] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)


def passage(entry: Entry) -> Passage:
    """What the hand-over event of an entry says for all of its things."""
    found = entry.happening.passage
    if found is None:
        raise TypeError("expected a hand-over event")
    return found


def carriers_of(thing: ThingKey, entry: Entry) -> tuple[ThingKey, ...]:
    """The carriers by which an event speaks of a thing: the one it named instead, and the parent it was seen in."""
    parent = entry.happening.parent
    if entry.carrier is None:
        return () if parent is None or parent == thing else (parent,)
    return (entry.carrier,) if parent is None or parent == entry.carrier else (entry.carrier, parent)


def pair(
    thing: ThingKey, sort: Sort, sent_away: list[Entry], taken_in: list[Entry], taken_back: list[Entry]
) -> Handovers:
    """The hand-overs of a thing, from its dispatches, receipts and void_shippings in the order of instants."""
    found = Handovers()
    if sent_away:
        dispatches: dict[tuple[object, ...], Dispatch] = {}
        for entry in sent_away:
            _join(dispatches, thing, entry)
        found.dispatches = list(dispatches.values())
    for entry in taken_back:
        _take_back(found.dispatches, thing, entry)
    for leg in found.dispatches:
        leg.weigh()
    if taken_in:
        legs = [leg for leg in found.dispatches if not leg.voided]
        _Pairing(thing, sort, legs).match(found, taken_in)
        for leg in legs:
            leg.close()
    return found


def _join(dispatches: dict[tuple[object, ...], Dispatch], thing: ThingKey, entry: Entry) -> None:
    said = passage(entry)
    carriers = carriers_of(thing, entry)
    carrier = carriers[0] if carriers else None
    key = (carrier, said.route)
    leg = dispatches.get(key)
    if leg is None:
        known = (len(dispatches), carrier, set(carriers), said.place, said.to, said.sites, said.documents)
        leg = dispatches[key] = Dispatch(*known, entry.happening.fact.time_us)
    else:
        leg.carriers.update(carriers)
        leg.sites |= said.sites
        leg.documents |= said.documents
    leg.entries.append(entry)


def _take_back(dispatches: list[Dispatch], thing: ThingKey, entry: Entry) -> None:
    """Give a void_shipping to the newest dispatch before it that shares carrier, document and place."""
    fact, names = entry.happening.fact, passage(entry).documents
    place = site(fact.place)
    carriers = carriers_of(thing, entry)
    fitting = [
        leg
        for leg in dispatches
        if (not leg.carriers.isdisjoint(carriers) if carriers else leg.carrier is None)
        and leg.first_us <= fact.time_us
        and not (names and leg.documents and not names & leg.documents)
        and (place is None or place == site(leg.from_place) or place in leg.sites)
    ]
    if fitting:
        fitting[-1].taken_back.append(entry)


class _Want(NamedTuple):
    """What one receipt looks for: dispatches of `pool`, which are in the order of their numbers.

    They must name one of `documents` and come from one of `origins`; an empty set asks for nothing. `in_turn`:
    they are of one item, so the order of time tells which one it was.
    """

    entry: Entry
    pool: Sequence[Dispatch]
    documents: frozenset[str]
    origins: frozenset[str]
    stated: bool
    in_turn: bool

    def accepts(self, leg: Dispatch) -> bool:
        """Whether the dispatch goes where the receipt is, and bears what is asked for."""
        return (
            _fits(leg, passage(self.entry).sites)
            and not (self.documents and self.documents.isdisjoint(leg.documents))
            and not (self.origins and site(leg.from_place) not in self.origins)
        )

    def before(self) -> Iterator[Dispatch]:
        """Dispatches before the receipt, the latest first."""
        pool = self.pool
        for position in range(self._split() - 1, -1, -1):
            if self.accepts(pool[position]):
                yield pool[position]

    def after(self) -> Iterator[Dispatch]:
        """Dispatches after the receipt by no more than clocks may be wrong, the earliest first."""
        pool = self.pool
        for position in range(self._split(), len(pool)):
            if _is_early(pool[position], self.entry):
                return
            if self.accepts(pool[position]):
                yield pool[position]

    def candidates(self) -> Iterator[Dispatch]:
        """Dispatches before the receipt; only where there is none, those after it."""
        first = next(self.before(), None)
        return self.after() if first is None else self.before()

    def _split(self) -> int:
        return bisect_right(self.pool, self.entry.happening.instant.time_us, key=_first_us)


_first_us = attrgetter("first_us")
_number = attrgetter("number")
_NOTHING: Final[frozenset[str]] = frozenset()
_FEW: Final = 8
"""So many dispatches are looked through one by one."""


class _Pairing:
    """Finds the dispatches of receipts, without looking at every dispatch for every receipt.

    A search ends at the second find: two are ambiguous.
    """

    def __init__(self, thing: ThingKey, sort: Sort, legs: list[Dispatch]) -> None:
        self._thing = thing
        self._one_item = sort is not Sort.LOT
        self._legs = legs
        self._indexed = False
        self._anywhere: list[Dispatch] = []
        self._by_carrier: dict[ThingKey, list[Dispatch]] = {}
        self._by_document: dict[str, list[Dispatch]] = {}
        self._by_site: dict[str, list[Dispatch]] = {}

    def match(self, found: Handovers, receipts: list[Entry]) -> None:
        """Give each receipt to its dispatch, or list it apart."""
        waiting: list[_Want] = []
        apart: list[Entry] = []
        for entry in receipts:
            fitting = self._first_two(entry)
            if not fitting:
                apart.append(entry)
            elif len(fitting) == 1:
                _receive(fitting[0], entry, self._is_evident(fitting[0], entry))
            else:
                waiting += self._choose(self._want(entry))
        unsure = self._settle(waiting) if waiting else waiting
        for want in unsure:
            for leg in want.candidates():
                leg.disputed = leg.disputed or not leg.receipts
        if apart:
            for entry in apart:
                found.contradictions += self._too_early(entry)
            found.lone = _by_delivery(apart)
        if unsure:
            found.ambiguous = _by_delivery([want.entry for want in unsure])

    def _first_two(self, entry: Entry) -> list[Dispatch]:
        """The only dispatch that a receipt can belong to by place and time, or two of several."""
        latest_us = entry.happening.fact.time_us + words().early_us
        sites = passage(entry).sites
        found: list[Dispatch] = []
        for leg in self._legs if len(self._legs) <= _FEW else self._near(sites):
            if leg.first_us > latest_us:
                break
            if _fits(leg, sites):
                found.append(leg)
                if len(found) == 2:
                    break
        return found

    def _is_evident(self, leg: Dispatch, entry: Entry) -> bool:
        """Whether the same carrier or document number states that the two belong together."""
        if not passage(entry).documents.isdisjoint(leg.documents):
            return True
        return bool(leg.carriers) and not leg.carriers.isdisjoint(carriers_of(self._thing, entry))

    def _choose(self, want: _Want) -> list[_Want]:
        """Receive what the best evidence tells; give it back if that leaves several dispatches of a lot."""
        if want.in_turn:
            _receive(_next_in_turn(want), want.entry, want.stated)
            return []
        legs = list(islice(want.candidates(), 2))
        if len(legs) > 1:
            return [want]
        _receive(legs[0], want.entry, want.stated)
        return []

    def _near(self, sites: frozenset[str]) -> Sequence[Dispatch]:
        self._index()
        return self._pool(chain((self._by_site.get(name) for name in sites), (self._anywhere,)))

    def _index(self) -> None:
        if self._indexed:
            return
        self._indexed = True
        for leg in self._legs:
            for carrier in leg.carriers:
                self._by_carrier.setdefault(carrier, []).append(leg)
            for name in leg.documents:
                self._by_document.setdefault(name, []).append(leg)
            for name in leg.sites:
                self._by_site.setdefault(name, []).append(leg)
            if not leg.sites:
                self._anywhere.append(leg)

    def _want(self, entry: Entry) -> _Want:
        """The best evidence by which a receipt finds any dispatch: carrier, then document, then destination."""
        self._index()
        for want in self._wants(entry):
            if next(want.candidates(), None) is not None:
                return want
        raise TypeError("expected a receipt that fits a dispatch")

    def _wants(self, entry: Entry) -> Iterator[_Want]:
        said = passage(entry)
        carriers = carriers_of(self._thing, entry)
        own = self._pool(self._by_carrier.get(carrier) for carrier in carriers) if carriers else ()
        if own:
            if said.documents:
                yield _Want(entry, own, said.documents, _NOTHING, True, True)
            yield _Want(entry, own, _NOTHING, _NOTHING, True, True)
        same = self._pool(self._by_document.get(name) for name in said.documents) if said.documents else ()
        for pool, stated in ((same, True), (self._near(said.sites), False)):
            if pool:
                if said.origins:
                    yield _Want(entry, pool, _NOTHING, said.origins, stated, self._one_item)
                yield _Want(entry, pool, _NOTHING, _NOTHING, stated, self._one_item)

    def _pool(self, lists: Iterable[list[Dispatch] | None]) -> Sequence[Dispatch]:
        """Lists of dispatches as one, in the order of their numbers."""
        given = [legs for legs in lists if legs]
        if len(given) < 2:
            return given[0] if given else ()
        distinct = {leg.number: leg for legs in given for leg in legs}
        return sorted(distinct.values(), key=_number)

    def _settle(self, waiting: list[_Want]) -> list[_Want]:
        """A dispatch that a receipt had to belong to is no candidate for one that has another choice."""
        unsure: list[_Want] = []
        delivered = {(leg.number, _delivery(one)) for leg in self._legs for one in leg.receipts}
        for want in waiting:
            delivery = _delivery(want.entry)
            left = (
                leg for leg in want.candidates() if not leg.receipts or (leg.number, delivery) in delivered
            )
            legs = list(islice(left, 2))
            if len(legs) == 1:
                _receive(legs[0], want.entry, want.stated)
                delivered.add((legs[0].number, delivery))
            else:
                unsure.append(want)
        return unsure

    def _too_early(self, entry: Entry) -> list[Contradiction]:
        """A receipt without a dispatch, though evidence names one, more than a day later, that nobody received."""
        for leg in self._legs:
            if not leg.receipts and self._is_evident(leg, entry) and _fits(leg, passage(entry).sites):
                return [_too_early(self._thing, leg, entry)]
        return []


def _next_in_turn(want: _Want) -> Dispatch:
    """The latest dispatch before the receipt that no receipt of this step answered, else one shortly after it.

    A receipt told again at the same place on the same day is of the same dispatch; so is one for which no
    other dispatch is left.
    """
    delivery, step = _delivery(want.entry), want.entry.happening.fact.step
    answered: Dispatch | None = None
    for leg in want.before():
        if all(other.happening.fact.step != step for other in leg.receipts):
            return leg
        if any(_delivery(other) == delivery for other in leg.receipts):
            return leg
        answered = answered or leg
    for leg in want.after():
        if not leg.receipts:
            return leg
        answered = answered or leg
    if answered is None:
        raise TypeError("expected a receipt that fits a dispatch")
    return answered


def _receive(leg: Dispatch, entry: Entry, stated: bool) -> None:
    leg.receipts.append(entry)
    leg.stated = leg.stated or stated


def _fits(leg: Dispatch, sites: frozenset[str]) -> bool:
    """Whether a receipt there is at the destination; without a named destination, whether it is anywhere else."""
    return not leg.sites.isdisjoint(sites) if leg.sites else site(leg.from_place) not in sites


def _is_early(leg: Dispatch, entry: Entry) -> bool:
    return entry.happening.instant.time_us < leg.first_us - words().early_us


def _delivery(entry: Entry) -> tuple[object, ...]:
    return entry.carrier, passage(entry).route


def _by_delivery(entries: list[Entry]) -> list[list[Entry]]:
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(_delivery(entry), []).append(entry)
    return list(groups.values())


def _too_early(thing: ThingKey, leg: Dispatch, entry: Entry) -> Contradiction:
    records = (leg.entries[0].happening.fact.record, entry.happening.fact.record)
    hours = (leg.first_us - entry.happening.fact.time_us) // HOUR_US
    return Contradiction(
        "receipt-before-dispatch", (thing,), records, f"received {hours} h before its dispatch"
    )


def amounts_of(entries: list[Entry]) -> tuple[Amounts, bool]:
    """How much one movement was, by unit, and whether some record leaves it open.

    Records of one step add up; another step of the same movement says the same again, so the largest counts.
    """
    if len(entries) == 1 and len(entries[0].amounts) == 1:
        ((unit, quantity),) = entries[0].amounts
        return ({}, True) if quantity is None else ({unit: quantity}, False)
    by_step: dict[tuple[str | None, str | None], Decimal] = {}
    unknown = False
    for entry in entries:
        step = entry.happening.fact.step
        for unit, quantity in entry.amounts:
            if quantity is None:
                unknown = True
            else:
                by_step[step, unit] = EXACT.add(by_step.get((step, unit), ZERO), quantity)
    found: Amounts = {}
    for (_, unit), quantity in by_step.items():
        found[unit] = max(quantity, found.get(unit, ZERO))
    return found, unknown and not found


def legs_of(found: Handovers) -> list[Leg]:
    """The rows of one thing's hand-overs, one a unit."""
    rows: list[Leg] = []
    for leg in found.dispatches:
        rows += _leg_rows(leg)
    for entries in found.lone:
        rows += _receipt_rows(entries, "received")
    for entries in found.ambiguous:
        rows += _receipt_rows(entries, "ambiguous")
    return rows


def _leg_rows(leg: Dispatch) -> list[Leg]:
    receipts, entries = leg.receipts, leg.entries
    state = "voided" if leg.voided else "received" if receipts else "ambiguous" if leg.disputed else "open"
    out, got = leg.sent, leg.got
    stated = leg.stated if receipts else leg.carrier is not None or bool(leg.documents)
    return [
        Leg(
            leg.carrier,
            leg.from_place,
            leg.to_place,
            leg.first_us,
            receipts[0].happening.fact.time_us if receipts else None,
            unit,
            out.get(unit),
            got.get(unit),
            state,
            stated,
            _is_guess(entries),
            _documents(leg.documents, receipts),
            _records(entries),
            _records(receipts),
        )
        for unit in _units(out, got)
    ]


def _is_guess(entries: Sequence[Entry]) -> bool:
    if len(entries) == 1:
        return entries[0].inferred
    return False not in [entry.inferred for entry in entries]


def _documents(names: frozenset[str], entries: list[Entry]) -> tuple[str, ...]:
    for entry in entries:
        said = passage(entry).documents
        if not said <= names:
            names = names | said
    return tuple(sorted(names)) if len(names) > 1 else tuple(names)


def _receipt_rows(entries: list[Entry], state: str) -> list[Leg]:
    fact = entries[0].happening.fact
    got, _ = amounts_of(entries)
    return [
        Leg(
            entries[0].carrier,
            named(fact.sources, "location") or named(fact.sources, "possessing_party"),
            passage(entries[0]).place,
            None,
            fact.time_us,
            unit,
            None,
            got.get(unit),
            state,
            False,
            _is_guess(entries),
            _documents(passage(entries[0]).documents, entries),
            (),
            _records(entries),
        )
        for unit in _units(got, {})
    ]


def _records(entries: Sequence[Entry]) -> tuple[int, ...]:
    if len(entries) == 1:
        return (entries[0].happening.fact.record,)
    return tuple([entry.happening.fact.record for entry in entries])


def _units(one: Amounts, other: Amounts) -> list[str | None]:
    if len(one) == 1 and (not other or one.keys() == other.keys()):
        return list(one)
    return sorted(one.keys() | other.keys(), key=lambda unit: unit or "") or [None]
