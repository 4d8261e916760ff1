"""What business steps mean to lineage, read from the hand-over table of the ontology."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from functools import cache
from typing import Any, Final, NamedTuple

from ontology import read_table

from .fact import Fact

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
YEAR_US: Final = 365 * DAY_US
NEAR_US: Final = DAY_US
"""A carrier's event this far outside a filling still belongs to it."""

_COUNTS: Final = ("cycle_counting", "stock_taking")
_SOLD: Final = frozenset({"retail_selling", "dispensing"})
_GONE_WITH_CARRIER: Final = frozenset({"destroying"})
_UNMAKES: Final = frozenset({"decommissioning", "destroying"})


class HandoverWords(NamedTuple):
    """The words of `ontology/handover.toml`; `early_us` is how much a receipt may precede its dispatch."""

    dispatch: frozenset[str]
    receipt: frozenset[str]
    end: frozenset[str]
    takes_back: frozenset[str]
    counts: frozenset[str]
    documents: frozenset[str]
    early_us: int


@cache
def words() -> HandoverWords:
    """The hand-over words, read once."""
    table: dict[str, Any] = read_table("handover.toml")
    pairing = table["pairing"]
    return HandoverWords(
        frozenset(table["dispatch"]["steps"]),
        frozenset(table["receipt"]["steps"]),
        frozenset(table["end"]["steps"]),
        frozenset(table["takes_back"]["steps"]),
        frozenset(table.get("counts", {}).get("steps", _COUNTS)),
        frozenset(pairing["documents"]),
        int(pairing["early_receipt_hours"]) * HOUR_US,
    )


def is_creation(fact: Fact) -> bool:
    """Whether an ObjectEvent brings its objects into being: ADD, unless its step says that they moved."""
    return (
        fact.type == "ObjectEvent"
        and fact.action == "ADD"
        and fact.step not in words().receipt
        and fact.step not in words().dispatch
    )


def is_unmaking(fact: Fact) -> bool:
    """Whether an ObjectEvent takes its objects out of the world."""
    return fact.type == "ObjectEvent" and (fact.action == "DELETE" or fact.step in _UNMAKES)


class Meaning(IntEnum):
    """What an event does with the things it names as objects, parents or children."""

    OTHER = 0
    DISPATCH = 1
    RECEIPT = 2
    TAKE_BACK = 3
    COUNT = 4
    TRANSFORMATION = 5
    CREATION = 6
    SALE = 7
    DESTRUCTION = 8
    UNMAKING = 9


_HANDS_OVER: Final = frozenset({Meaning.DISPATCH, Meaning.RECEIPT, Meaning.TAKE_BACK})


def meaning_of(fact: Fact) -> Meaning:
    """What an event does with its things. Ending a carrier by `UNMAKING` leaves its contents as they are."""
    if fact.type == "TransformationEvent":
        return Meaning.TRANSFORMATION
    step, table = fact.step, words()
    if step in table.dispatch and (step != "transporting" or fact.destinations):
        return Meaning.DISPATCH
    if step in table.receipt:
        return Meaning.RECEIPT
    if step in table.takes_back:
        return Meaning.TAKE_BACK
    if step in table.counts:
        return Meaning.COUNT
    if is_creation(fact):
        return Meaning.CREATION
    if step in _SOLD:
        return Meaning.SALE
    if step in _GONE_WITH_CARRIER:
        return Meaning.DESTRUCTION
    if step in table.end or is_unmaking(fact):
        return Meaning.UNMAKING
    return Meaning.OTHER


class Passage(NamedTuple):
    """What a hand-over event says for all of its things; `to` is the destination by its name.

    `sites` are where it is about: the destination of a dispatch, the places and named destinations of a receipt.
    `origins` are the places that a receipt names as its sources. `route` is equal for records of one leg.
    """

    place: str | None
    to: str | None
    sites: frozenset[str]
    origins: frozenset[str]
    documents: frozenset[str]
    route: tuple[str | None, str | None, int]


_NO_WORDS: Final[frozenset[str]] = frozenset()
_LOCATION: Final = "location"
_POSSESSING: Final = "possessing_party"
_OWNING: Final = "owning_party"


def passage_of(fact: Fact, meaning: Meaning) -> Passage | None:
    """What a dispatch, receipt or taking back says; None for other events.

    The place of a dispatch is where it takes things from: bizLocation unless that is a destination, else
    readPoint.
    """
    if meaning not in _HANDS_OVER:
        return None
    day = (fact.time_us + fact.offset_min * 60_000_000) // DAY_US
    ends = _destination(fact.destinations) if fact.destinations else ()
    to = min(ends, default=None)
    numbers = _NO_WORDS
    if fact.transactions:
        kinds = words().documents
        numbers = frozenset([name for kind, name in fact.transactions if kind in kinds])
    if meaning is Meaning.DISPATCH:
        place = fact.biz_location
        if place is None or site(place) in {site(name) for _, name in fact.destinations}:
            place = fact.read_point or named(fact.sources, _LOCATION)
        return Passage(place, to, sites_of(ends), _NO_WORDS, numbers, (site(place), site(to), day))
    place = fact.place or named(fact.destinations, _LOCATION)
    here = [name for name in (fact.biz_location, fact.read_point) if name is not None]
    here += [name for kind, name in fact.destinations if kind in (_LOCATION, _POSSESSING)]
    origins = [name for kind, name in fact.sources if kind == _LOCATION]
    sites = sites_of([*here, *ends])
    return Passage(place, to, sites, sites_of(origins), numbers, (site(place), None, day))


def _destination(pairs: tuple[tuple[str, str], ...]) -> list[str]:
    """Where things go: a location when one is named, else who gets them, and the owner only when nobody else is."""
    for wanted in (_LOCATION, _POSSESSING, _OWNING):
        found = [name for kind, name in pairs if kind == wanted]
        if found:
            return found
    return [name for _, name in pairs]


def sites_of(names: Iterable[str]) -> frozenset[str]:
    """The sites of places and parties."""
    return frozenset([site(name) or "" for name in names])


def named(pairs: Iterable[tuple[str, str]], kind: str) -> str | None:
    """The party or place of one type in a source or destination list; of several the smallest."""
    return min([name for type_, name in pairs if type_ == kind], default=None)


def site(iri: str | None) -> str | None:
    """What two names of one location share: the GLN of a `414` or `417` link, else the name itself."""
    if iri is not None and iri.startswith(("https://id.gs1.org/414/", "https://id.gs1.org/417/")):
        return iri[23:].partition("/")[0]
    return iri
