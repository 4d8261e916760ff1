"""The course of a lot: its events and those of its carriers while it was inside, and what each is under the rule."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from fabric.epcis.times import time_of
from fabric.lineage import Fact, HolderOf, Sort
from fabric.lineage.fact import INPUT, OUTPUT
from fabric.lineage.words import site, words
from fabric.trace import TraceSource
from fabric.trace.carrying import carrying
from fabric.trace.events import Calendar, Occurrence, occurrences
from fabric.trace.source import LegRow, Thing

from .dossier import Dossier, Record, local_name
from .rules import Rule, making, rules

CARRIED = "carried"
TRANSFORMATION = "TransformationEvent"


class Kind(NamedTuple):
    """What an event is for a lot: a critical tracking event, or none for a reason, or (`unclassified`) neither."""

    cte: str | None
    why: str | None
    unclassified: bool = False


@dataclass(frozen=True)
class Happening:
    """One event of a lot. `role` is the lot's role in it, `carried` where only a carrier of it is named.

    `record` is the one that speaks for all that state it; `inputs` are the lots that went into what it put out.
    """

    lot: str
    fact: Fact
    record: Record
    role: str
    inputs: tuple[str, ...]

    @cached_property
    def stated(self) -> dict[str, Any]:
        """What extensions and ilmd state, by the local part of the name; extensions come first."""
        event = self.record.event
        if event is None:
            return {}
        found = {local_name(name): value for name, value in event.ilmd.items()}
        return found | {local_name(name): value for name, value in event.extensions.items()}

    @cached_property
    def sensors(self) -> frozenset[str]:
        """The types of its sensor reports, as local names."""
        event = self.record.event
        reports = (
            [] if event is None else [one for element in event.sensor for one in element["sensorReport"]]
        )
        return frozenset(local_name(one["type"]) for one in reports if isinstance(one.get("type"), str))

    @property
    def date(self) -> str:
        """The local date: eventTime in eventTimeZoneOffset."""
        return local_date(self.fact)


class Courses:
    """The courses of lots over one source. `limited`: records may exist that the reader cannot see."""

    def __init__(self, source: TraceSource, dossier: Dossier, holder_of: HolderOf, *, limited: bool) -> None:
        self.source, self.dossier, self.holder_of, self.limited = source, dossier, holder_of, limited
        self._events: dict[str, list[Happening]] = {}
        self._kinds: dict[tuple[str, int], Kind] = {}
        self._makers: dict[str, Happening | None] = {}
        self._made: dict[tuple[str, int], str | None] = {}
        self._legs: dict[str, Sequence[LegRow]] = {}
        self._harvested: dict[str, bool] = {}
        self._coolings: dict[str, Sequence[Happening]] = {}
        self._receipts: dict[str, Sequence[Happening]] = {}
        self._runs: dict[tuple[str, str], list[Fact]] = {}
        for fact in dossier.facts:
            if fact.transformation_id is not None:
                self._runs.setdefault((fact.member, fact.transformation_id), []).append(fact)

    def load(self, lots: Collection[str]) -> None:
        """Read the courses of these lots in one go."""
        missing = {lot for lot in lots if lot not in self._events}
        if not missing:
            return
        for lot in missing:
            self._events[lot] = []
        for one in occurrences_of(missing, self.source):
            for node in sorted(one.nodes, key=str):
                self._events[str(node)].append(self._happening(str(node), one))

    def of(self, lot: str) -> Sequence[Happening]:
        """The events of a lot in the order of instants."""
        self.load([lot])
        return self._events[lot]

    def maker(self, lot: str) -> Happening | None:
        """The event that made a lot, where one is known: a making event of the rule before any other creation."""
        if lot not in self._makers:
            created = [one for one in self.of(lot) if _creates(one)]
            chosen = [one for one in created if self.made_by(one) in making()]
            self._makers[lot] = next(iter(chosen or created), None)
        return self._makers[lot]

    def made_by(self, happening: Happening) -> str | None:
        """The critical tracking event of an event that creates its lot; never looks at who made the lot."""
        key = (happening.lot, happening.fact.record)
        if key not in self._made:
            self._made[key] = self._kind(happening, maker=None).cte
        return self._made[key]

    def kind(self, happening: Happening) -> Kind:
        """What an event is for its lot, by the first rule that fits."""
        key = (happening.lot, happening.fact.record)
        if key not in self._kinds:
            maker = None if _creates(happening) else self.maker(happening.lot)
            self._kinds[key] = self._kind(happening, None if maker is None else self.made_by(maker))
        return self._kinds[key]

    def legs(self, lot: str) -> Sequence[LegRow]:
        """The hand-overs of a lot."""
        if lot not in self._legs:
            self._legs[lot] = next((course[3] for course in self.source.courses([lot])), ())
        return self._legs[lot]

    def is_harvested(self, lot: str) -> bool:
        """Whether a lot was harvested: what it goes into is packed for the first time.

        Only events without inputs are looked at, so it ends where lots went into each other.
        """
        if lot not in self._harvested:
            created = (one for one in self.of(lot) if _creates(one) and one.fact.type != TRANSFORMATION)
            self._harvested[lot] = any(self.made_by(one) == "harvesting" for one in created)
        return self._harvested[lot]

    def coolings(self, lot: str) -> Sequence[Happening]:
        """The events that cooled a lot."""
        if lot not in self._coolings:
            self._coolings[lot] = [one for one in self.of(lot) if self.kind(one).cte == "cooling"]
        return self._coolings[lot]

    def receipts(self, lot: str, place: str | None) -> Sequence[Happening]:
        """The events that took a lot in at a place."""
        if lot not in self._receipts:
            steps = words().receipt
            self._receipts[lot] = [one for one in self.of(lot) if one.fact.step in steps]
        return [one for one in self._receipts[lot] if site(one.fact.place) == site(place)]

    def _happening(self, lot: str, one: Occurrence) -> Happening:
        fact = one.facts[0]
        roles = [line.role for line in fact.lines if line.thing == lot]
        role = OUTPUT if OUTPUT in roles else (roles[0] if roles else CARRIED)
        inputs: tuple[str, ...] = ()
        if fact.type == TRANSFORMATION and role == OUTPUT:
            inputs = inputs_of(self._run(fact))
        return Happening(lot, fact, self.dossier.by_number[fact.record], role, inputs)

    def _run(self, fact: Fact) -> list[Fact]:
        if fact.transformation_id is None:
            return [fact]
        return self._runs[fact.member, fact.transformation_id]

    def _kind(self, one: Happening, maker: str | None) -> Kind:
        for rule in rules():
            if self._fits(rule, one, maker):
                return Kind(rule.cte, rule.none or rule.why, rule.cte is None and rule.none is None)
        return Kind(None, "no rule fits", unclassified=True)

    def _fits(self, rule: Rule, one: Happening, maker: str | None) -> bool:
        fact, stated = one.fact, one.stated
        return (
            (not rule.types or fact.type in rule.types)
            and (not rule.actions or fact.action in rule.actions)
            and (not rule.steps or _is_step(fact.step, rule.steps))
            and (not rule.roles or one.role in rule.roles)
            and (not rule.made_by or maker in rule.made_by)
            and (not rule.sensors or not rule.sensors.isdisjoint(one.sensors))
            and (not rule.named or not rule.named.isdisjoint(stated))
            and rule.not_named.isdisjoint(stated)
            and (rule.moves is None or rule.moves is moves(fact))
            and (not rule.hidden or (not one.record.full and not one.inputs))
            and (rule.inputs is None or self._inputs_are(rule.inputs, one))
        )

    def _inputs_are(self, word: str, one: Happening) -> bool:
        harvested = any(self.is_harvested(lot) for lot in one.inputs if lot != one.lot)
        return harvested if word == "harvested" else not harvested


def occurrences_of(lots: Collection[Thing], source: TraceSource) -> list[Occurrence]:
    """The events of lots and of their carriers while the lots were inside, in the order of instants."""
    if not lots:
        return []
    windows: dict[Any, Any] = {lot: (lot, (None, None)) for lot in lots}
    held = carrying(windows, source.around)
    calendar = Calendar(windows, held, source.fillings({one.carrier for one in held}))
    return occurrences(source.facts(calendar.things), calendar)


def inputs_of(facts: Iterable[Fact]) -> tuple[str, ...]:
    """The lots that go into a process, each once."""
    found = [
        line.thing for fact in facts for line in fact.lines if line.role == INPUT and line.sort is Sort.LOT
    ]
    return tuple(dict.fromkeys(map(str, found)))


def moves(fact: Fact) -> bool:
    """Whether an event leads from one place to another, as far as it says."""
    ends = [
        {site(name) for kind, name in side if kind == "location"}
        for side in (fact.sources, fact.destinations)
    ]
    return not (ends[0] and ends[0] == ends[1])


def local_date(fact: Fact) -> str:
    """The date of an event where it happened, `YYYY-MM-DD`."""
    try:
        return time_of(fact.time_us + fact.offset_min * 60_000_000).date().isoformat()
    except OverflowError:
        # The last and the first day of the calendar have no other side of midnight.
        return "9999-12-31" if fact.time_us > 0 else "0001-01-01"


def _creates(one: Happening) -> bool:
    fact = one.fact
    if fact.type == TRANSFORMATION:
        return one.role == OUTPUT
    named = one.role == "object" and fact.type == "ObjectEvent"
    return named and (fact.action == "ADD" or not {"landingDate", "catchArea"}.isdisjoint(one.stated))


def _is_step(step: str | None, words: tuple[str, ...]) -> bool:
    if step is None:
        return False
    return step in words or (":" in step and step.lower().endswith(words))


__all__ = ["CARRIED", "Courses", "Happening", "Kind", "inputs_of", "local_date", "moves", "occurrences_of"]
