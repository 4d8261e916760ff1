"""Hand-overs of one thing: which receipt belongs to which dispatch (design: meaning, sections 3 and 5).

A receipt that fits one dispatch joins it, several may; one that fits several stays apart as ambiguous. Nothing
is chosen by guessing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain, islice, takewhile
from typing import TypeAlias

from .derived import Contradiction, Leg
from .fact import ThingKey
from .history import Entry
from .quantity import EXACT, ZERO
from .words import HOUR_US, Passage, named, site, words

Amounts: TypeAlias = dict[str | None, Decimal]


@dataclass(slots=True)
class Dispatch:
    """The dispatch records of one carrier or thing, source, destination and day; `sites` are destinations."""

    carrier: ThingKey | None
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


def pair(
    thing: ThingKey, sent_away: list[Entry], taken_in: list[Entry], taken_back: list[Entry]
) -> Handovers:
    """The hand-overs of a thing, from its dispatches, receipts and void_shippings in the order of instants."""
    found = Handovers()
    if sent_away:
        dispatches: dict[tuple[object, ...], Dispatch] = {}
        for entry in sent_away:
            _join(dispatches, entry)
        found.dispatches = list(dispatches.values())
    for entry in taken_back:
        _take_back(found.dispatches, entry)
    if taken_in:
        _Pairing(thing, [leg for leg in found.dispatches if not is_voided(leg)]).match(found, taken_in)
    return found


def _join(dispatches: dict[tuple[object, ...], Dispatch], entry: Entry) -> None:
    said = passage(entry)
    key = (entry.carrier, site(said.place), site(said.to), said.day)
    leg = dispatches.get(key)
    if leg is None:
        first_us = entry.happening.instant.time_us
        leg = Dispatch(entry.carrier, said.place, said.to, said.sites, said.documents, first_us)
        dispatches[key] = leg
    else:
        leg.sites |= said.sites
        leg.documents |= said.documents
    leg.entries.append(entry)


def _take_back(dispatches: list[Dispatch], entry: Entry) -> None:
    """Give a void_shipping to the newest dispatch before it that shares carrier, document and place."""
    fact, names = entry.happening.fact, passage(entry).documents
    place = site(fact.place)
    fitting = [
        leg
        for leg in dispatches
        if leg.carrier == entry.carrier
        and leg.first_us <= fact.time_us
        and not (names and leg.documents and not names & leg.documents)
        and (place is None or place == site(leg.from_place) or place in leg.sites)
    ]
    if fitting:
        fitting[-1].taken_back.append(entry)


class _Pairing:
    """Finds the dispatches of receipts, without looking at every dispatch for every receipt.

    Dispatches are in the order of their first instants. A search ends at the second find: two are ambiguous.
    """

    def __init__(self, thing: ThingKey, legs: list[Dispatch]) -> None:
        self._thing = thing
        self._legs = legs
        self._by_evidence: dict[object, list[Dispatch]] = {}
        self._by_delivery: dict[object, list[Dispatch]] = {}
        for leg in legs:
            if leg.carrier is not None:
                self._by_evidence.setdefault((leg.carrier,), []).append(leg)
            for name in leg.documents:
                self._by_evidence.setdefault(name, []).append(leg)

    def match(self, found: Handovers, receipts: list[Entry]) -> None:
        """Give each receipt to its dispatch, or list it apart."""
        waiting: list[tuple[Entry, bool]] = []
        apart: list[Entry] = []
        for entry in receipts:
            stated = any(True for _ in self._evident(entry))
            legs = list(
                islice(self._evident(entry) if stated else self._fitting(entry, reversed(self._legs)), 2)
            )
            if len(legs) == 1:
                self._receive(legs[0], entry, stated)
            elif legs:
                waiting.append((entry, stated))
            else:
                apart.append(entry)
                found.contradictions += self._too_early(entry)
        unsure = self._settle(waiting)
        for leg in self._legs:
            leg.disputed = not leg.receipts and any(self._is_candidate(leg, *pair) for pair in unsure)
        found.lone = _by_delivery(apart)
        found.ambiguous = _by_delivery([entry for entry, _ in unsure])

    def _settle(self, waiting: list[tuple[Entry, bool]]) -> list[tuple[Entry, bool]]:
        """A dispatch that a receipt had to belong to is no candidate for one that has another choice."""
        free = {id(leg): leg for leg in self._legs if not leg.receipts}
        unsure: list[tuple[Entry, bool]] = []
        for entry, stated in waiting:
            legs = list(islice(self._left(entry, stated, free.values()), 2))
            if len(legs) == 1:
                self._receive(legs[0], entry, stated)
                free.pop(id(legs[0]), None)
            else:
                unsure.append((entry, stated))
        return unsure

    def _left(self, entry: Entry, stated: bool, free: Iterable[Dispatch]) -> Iterator[Dispatch]:
        same = self._by_delivery.get(_delivery(entry), [])
        started = takewhile(lambda leg: not _is_early(leg, entry), free)
        return (leg for leg in chain(same, started) if self._is_candidate(leg, entry, stated))

    def _receive(self, leg: Dispatch, entry: Entry, stated: bool) -> None:
        leg.receipts.append(entry)
        leg.stated = leg.stated or stated
        delivered = self._by_delivery.setdefault(_delivery(entry), [])
        if all(leg is not other for other in delivered):
            delivered.append(leg)

    def _is_candidate(self, leg: Dispatch, entry: Entry, stated: bool) -> bool:
        if not _fits(leg, entry) or _is_early(leg, entry):
            return False
        return not stated or _is_evident(leg, entry)

    def _evident(self, entry: Entry) -> Iterator[Dispatch]:
        """Dispatches that carrier or document gives to a receipt."""
        keys: list[object] = [*sorted(passage(entry).documents)]
        if entry.carrier is not None:
            keys.append((entry.carrier,))
        seen: set[int] = set()
        for key in keys:
            for leg in self._fitting(entry, reversed(self._by_evidence.get(key, []))):
                if id(leg) not in seen:
                    seen.add(id(leg))
                    yield leg

    def _fitting(self, entry: Entry, legs: Iterable[Dispatch]) -> Iterator[Dispatch]:
        return (leg for leg in legs if not _is_early(leg, entry) and _fits(leg, entry))

    def _too_early(self, entry: Entry) -> list[Contradiction]:
        """A receipt without a dispatch, though evidence names one that is more than a day later."""
        for leg in self._legs:
            if _is_evident(leg, entry) and _fits(leg, entry):
                return [_too_early(self._thing, leg, entry)]
        return []


def _fits(leg: Dispatch, entry: Entry) -> bool:
    """Whether a receipt is at a destination; without a named destination, whether it is anywhere else."""
    sites = passage(entry).sites
    return not leg.sites.isdisjoint(sites) if leg.sites else site(leg.from_place) not in sites


def _is_early(leg: Dispatch, entry: Entry) -> bool:
    return entry.happening.instant.time_us < leg.first_us - words().early_us


def _is_evident(leg: Dispatch, entry: Entry) -> bool:
    same_carrier = entry.carrier is not None and entry.carrier == leg.carrier
    return same_carrier or not passage(entry).documents.isdisjoint(leg.documents)


def _delivery(entry: Entry) -> tuple[object, ...]:
    said = passage(entry)
    return entry.carrier, site(said.place), said.day


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


def sent(leg: Dispatch) -> tuple[Amounts, bool]:
    """What a dispatch took away, less what was taken back."""
    amounts, unknown = amounts_of(leg.entries)
    if not leg.taken_back:
        return amounts, unknown
    back, _ = amounts_of(leg.taken_back)
    for unit, quantity in back.items():
        if unit in amounts:
            amounts[unit] = max(ZERO, EXACT.subtract(amounts[unit], quantity))
    return amounts, unknown


def is_voided(leg: Dispatch) -> bool:
    """Whether all of a dispatch was taken back: by amount, or without naming one."""
    if not leg.taken_back:
        return False
    unknown = amounts_of(leg.taken_back)[1]
    return unknown or not any(sent(leg)[0].values())


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
    voided = is_voided(leg)
    state = "voided" if voided else "received" if receipts else "ambiguous" if leg.disputed else "open"
    out = amounts_of(entries)[0] if voided else sent(leg)[0]
    got = amounts_of(receipts)[0] if receipts else {}
    stated = leg.stated if receipts else leg.carrier is not None or bool(leg.documents)
    return [
        Leg(
            leg.carrier,
            leg.from_place,
            leg.to_place,
            leg.first_us,
            receipts[0].happening.instant.time_us if receipts else None,
            unit,
            out.get(unit),
            got.get(unit),
            state,
            stated,
            all(entry.inferred for entry in entries),
            _documents(leg.documents, receipts),
            _records(entries),
            _records(receipts),
        )
        for unit in _units(out, got)
    ]


def _documents(names: frozenset[str], entries: list[Entry]) -> tuple[str, ...]:
    for entry in entries:
        said = passage(entry).documents
        if said is not names and said:
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
            all(entry.inferred for entry in entries),
            _documents(passage(entries[0]).documents, entries),
            (),
            _records(entries),
        )
        for unit in _units(got, {})
    ]


def _records(entries: Iterable[Entry]) -> tuple[int, ...]:
    return tuple([entry.happening.fact.record for entry in entries])


def _units(one: Amounts, other: Amounts) -> list[str | None]:
    if len(one) == 1 and (not other or one.keys() == other.keys()):
        return list(one)
    return sorted(one.keys() | other.keys(), key=lambda unit: unit or "") or [None]
