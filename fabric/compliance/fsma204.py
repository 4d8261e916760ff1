"""FSMA 204 (21 CFR part 1, subpart S): what the records of a lot state of what the rule wants, and the gaps.

    for lot in completeness(["https://id.gs1.org/01/09521234543213/10/A1"], source, dossier, holder_of):
        print(lot.gaps)

Every critical tracking event of the lot is listed with the state of each key data element, and every event that
is none with the reason. Events that must have happened and have no record are gaps too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from fabric.lineage import HolderOf
from fabric.trace import Trace, TraceSource
from fabric.trace.answer import leaves
from fabric.trace.balance import OVERDUE_US

from .course import Courses, Happening, Kind
from .dossier import Dossier
from .find import HIDDEN, MISSING, NOT_APPLICABLE, PRESENT, UNKNOWN, Finder, Verdict
from .rules import Cte, Kde, Variant, cooled_commodities, ctes, making, variants

FSMA204: Final = "loomark/fsma204/v1"
RULE: Final = "21 CFR 1.1325 to 1.1350"
STATES: Final = (PRESENT, MISSING, NOT_APPLICABLE, HIDDEN, UNKNOWN)
LOOKED: Final = ("event", "ilmd", "creating event", "master data")
_SHIPPED: Final = "shipping"
_RECEIVED: Final = "receiving"


@dataclass(frozen=True, slots=True)
class Element:
    """One key data element of one event, and its state."""

    kde: Kde
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """The element as a row of the answer."""
        found = self.verdict
        return {
            "kde": self.kde.id,
            "section": self.kde.section,
            "state": found.state,
            "value": found.value,
            "source": found.source,
            "record": found.record,
            "why": found.why,
        }


@dataclass(frozen=True, slots=True)
class Tracked:
    """One event of a lot: the critical tracking event it is, with its elements, or why it is none."""

    happening: Happening
    kind: Kind
    cte: Cte | None
    elements: tuple[Element, ...]

    def as_json(self) -> dict[str, Any]:
        """The event as a row of the answer."""
        fact = self.happening.fact
        return {
            "cte": None if self.cte is None else self.cte.name,
            "section": None if self.cte is None else self.cte.section,
            "state": "unclassified" if self.kind.unclassified else "tracked" if self.cte else "none",
            "why": self.kind.why,
            "record": self.happening.record.name,
            "event_id": fact.event_id,
            "member": fact.member,
            "type": fact.type,
            "step": fact.step,
            "role": self.happening.role,
            "date": self.happening.date,
            "place": fact.place,
            "kdes": [one.as_json() for one in self.elements],
        }


@dataclass(frozen=True, slots=True)
class Expected:
    """An event that must have happened and has no record; `unknown` where a hidden record may state it."""

    cte: str
    section: str
    state: str
    why: str

    def as_json(self) -> dict[str, Any]:
        """The event as a row of the answer."""
        return {"cte": self.cte, "section": self.section, "state": self.state, "why": self.why}


@dataclass(frozen=True, slots=True)
class Completeness:
    """What the records state about one lot."""

    lot: str
    events: tuple[Tracked, ...]
    expected: tuple[Expected, ...]

    @property
    def gaps(self) -> list[dict[str, Any]]:
        """What is missing: event, element, section, record or none, and where it was looked for."""
        found = [
            {
                "cte": one.cte.name,
                "kde": element.kde.id,
                "section": element.kde.section,
                "record": one.happening.record.name,
                "event_id": one.happening.fact.event_id,
                "why": element.verdict.why,
                "looked": list(LOOKED),
            }
            for one in self.events
            if one.cte is not None
            for element in one.elements
            if element.verdict.state == MISSING
        ]
        return found + [
            {
                "cte": one.cte,
                "kde": "event",
                "section": one.section,
                "record": None,
                "event_id": None,
                "why": one.why,
                "looked": ["events of the lot and of its carriers"],
            }
            for one in self.expected
            if one.state == MISSING
        ]

    def as_json(self) -> dict[str, Any]:
        """The answer of `GET /api/compliance/fsma204`, without its envelope."""
        counts = dict.fromkeys(STATES, 0)
        for event in self.events:
            for element in event.elements:
                counts[element.verdict.state] += 1
        return {
            "lot": self.lot,
            "rule": RULE,
            "counts": counts,
            "gaps": self.gaps,
            "expected": [one.as_json() for one in self.expected],
            "events": [one.as_json() for one in self.events],
        }


def completeness(
    lots: Collection[str],
    source: TraceSource,
    dossier: Dossier,
    holder_of: HolderOf,
    *,
    limited: bool = False,
) -> list[Completeness]:
    """The completeness of lots. `source` is a memory source over the facts of `dossier`; things are IRIs.

    `limited` says that records may exist which the reader cannot see: what is not found is then not a gap where
    such a record may state it.
    """
    courses = Courses(source, dossier, holder_of, limited=limited)
    courses.load(lots)
    courses.load({before for lot in lots for one in courses.of(lot) for before in one.inputs})
    finder = Finder(courses)
    return [_Lot(lot, courses, finder).completeness() for lot in sorted(lots)]


def completeness_of_all(
    found: Trace, dossier: Dossier, holder_of: HolderOf, *, limited: bool
) -> list[dict[str, Any]]:
    """The completeness of each lot that a trace over a dossier reaches, as JSON values."""
    lots = {hit.thing for hit in found.hits() if hit.kind == "lot"}
    rows = completeness(lots, found.source, dossier, holder_of, limited=limited)
    return [one.as_json() for one in rows]


class _Lot:
    """The evaluation of one lot."""

    def __init__(self, lot: str, courses: Courses, finder: Finder) -> None:
        self._lot, self._courses, self._finder = lot, courses, finder
        self._events = list(courses.of(lot))
        self._kinds = [courses.kind(one) for one in self._events]

    def completeness(self) -> Completeness:
        events = [
            row
            for one, kind in zip(self._events, self._kinds, strict=True)
            for row in self._tracked(one, kind)
        ]
        return Completeness(self._lot, tuple(events), tuple(self._expected()))

    def _tracked(self, one: Happening, kind: Kind) -> Iterator[Tracked]:
        if kind.cte is None:
            yield Tracked(one, kind, None, ())
            return
        for name in self._wanted(kind.cte, one):
            cte = ctes()[name]
            elements = tuple(Element(kde, self._verdict(kind.cte, kde, one)) for kde in cte.kdes)
            yield Tracked(one, kind, cte, elements)

    def _wanted(self, cte: str, one: Happening) -> Iterator[str]:
        instead = [row.other for row in variants("instead") if row.cte == cte and self._is(row, one)]
        yield instead[0] if instead else cte
        yield from (row.other for row in variants("beside") if row.cte == cte and self._is(row, one))

    def _is(self, row: Variant, one: Happening) -> bool:
        if row.named:
            return any(one.stated.get(name) for name in row.named)
        commodity = self._finder.commodity(one.lot)
        return any(word in commodity for word in row.words)

    def _verdict(self, cte: str, kde: Kde, one: Happening) -> Verdict:
        found = self._finder.state(kde, one)
        if found.state == MISSING and cte == "transformation" and self._is_sold_here(one):
            return Verdict(NOT_APPLICABLE, why="made and sold by one retail place, not shipped (1.1350)")
        return found

    def _is_sold_here(self, maker: Happening) -> bool:
        shipped = any(kind.cte == _SHIPPED for kind in self._kinds)
        sold = any(one.fact.step in ("retail_selling", "dispensing") for one in self._events)
        return sold and not shipped and maker.fact.place is not None

    # What must have happened

    def _expected(self) -> Iterator[Expected]:
        maker = self._courses.maker(self._lot)
        if maker is None:
            yield self._lacking(
                "initial_packing", "1.1320", "no record tells who packed, landed or made the lot"
            )
            return
        made_by = self._courses.made_by(maker)
        if made_by == "harvesting":
            yield from self._expected_cooling()
        elif made_by in making():
            yield from self._expected_ends()

    def _expected_cooling(self) -> Iterator[Expected]:
        if any(kind.cte == "cooling" for kind in self._kinds):
            return
        commodity = self._finder.commodity(self._lot)
        left = any(
            one.role == "input" or kind.why for one, kind in zip(self._events, self._kinds, strict=True)
        )
        if left and any(word in commodity for word in cooled_commodities()):
            why = "food of this kind is cooled before it is packed, and no cooling is recorded"
            yield self._lacking("cooling", ctes()["cooling"].section, why)

    def _expected_ends(self) -> Iterator[Expected]:
        """A receipt for each shipment that should have arrived, a shipment for each receipt."""
        time_us = self._courses.source.coverage.time_us
        for leg in self._courses.legs(self._lot):
            sent_us, state = leg[3], leg[8]
            if sent_us is None and state != "ambiguous" and leg[1] is not None:
                why = f"received at {leg[2]} from {leg[1]}, and no shipment is recorded"
                yield self._lacking(_SHIPPED, ctes()[_SHIPPED].section, why)
            overdue = sent_us is not None and time_us is not None and sent_us < time_us - OVERDUE_US
            if state == "open" and overdue and not leaves(self._courses.source, leg):
                why = f"shipped to {leg[2]} more than 14 days ago, and no receipt is recorded"
                yield self._lacking(_RECEIVED, ctes()[_RECEIVED].section, why)

    def _lacking(self, cte: str, section: str, why: str) -> Expected:
        state = UNKNOWN if self._courses.limited else MISSING
        return Expected(cte, section, state, why)


__all__ = [
    "FSMA204",
    "RULE",
    "STATES",
    "Completeness",
    "Expected",
    "Tracked",
    "completeness",
    "completeness_of_all",
]
