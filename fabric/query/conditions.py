"""What a question asks of an event: typed conditions that a planner may narrow by, each decided by `matches`.

Every condition is a value, and `matches` is a function of it and one event: total, exact, without I/O. A typed
condition says enough for an index to find a superset of its events; whatever has no index is a `Body`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from fabric.epcis import PACKAGED, ContextTable, Event, Position, Role
from fabric.epcis.identifiers import name_reader

from .pattern import Pattern


def _nothing_below(iri: str) -> frozenset[str]:
    return frozenset()


def _no_attributes(iri: str) -> Mapping[str, tuple[str, ...]]:
    return {}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One stored event as a condition sees it.

    `value` is the committed event as its reader may see it, with its `@context` list, `event` what `read_event`
    makes of it. `record_time_us` is microseconds since 1970 UTC. `descendants` gives the canonical IRIs of all
    places below one, directly or not (itself left out or not); `attributes` what visible master data says of a
    thing or a word: attribute IRI to its texts. `contexts` resolves the addresses of the event's own context. `name`
    is the IRI of its record.
    """

    value: Mapping[str, Any]
    event: Event
    record_time_us: int
    descendants: Callable[[str], frozenset[str]] = _nothing_below
    attributes: Callable[[str], Mapping[str, tuple[str, ...]]] = _no_attributes
    contexts: ContextTable = PACKAGED
    name: str = ""


class Condition(Protocol):
    """One thing asked. It decides; an index only narrows."""

    @property
    def parameter(self) -> str:
        """The parameter, or parameters, as the caller spelt them, for messages."""

    def matches(self, candidate: Candidate) -> bool:
        """Whether the event is asked for. Never raises."""


@dataclass(frozen=True, slots=True)
class EventTime:
    """eventTime in microseconds since 1970 UTC, from `ge_us` on and before `lt_us`; None is no bound."""

    ge_us: int | None
    lt_us: int | None
    parameter: str = "eventTime"

    def matches(self, candidate: Candidate) -> bool:
        """Whether the event's time is in the range."""
        return _within(candidate.event.time_us, self.ge_us, self.lt_us)


@dataclass(frozen=True, slots=True)
class RecordTime:
    """recordTime in microseconds since 1970 UTC, from `ge_us` on and before `lt_us`; None is no bound."""

    ge_us: int | None
    lt_us: int | None
    parameter: str = "recordTime"

    def matches(self, candidate: Candidate) -> bool:
        """Whether the time of the record's seal is in the range."""
        return _within(candidate.record_time_us, self.ge_us, self.lt_us)


def _within(time_us: int, ge_us: int | None, lt_us: int | None) -> bool:
    return (ge_us is None or time_us >= ge_us) and (lt_us is None or time_us < lt_us)


@dataclass(frozen=True, slots=True)
class Types:
    """Event types by name; an extension type is its IRI, which no stored event has."""

    names: frozenset[str]
    parameter: str = "eventType"

    def matches(self, candidate: Candidate) -> bool:
        """Whether the event is of one of the types."""
        return candidate.event.type in self.names


@dataclass(frozen=True, slots=True)
class Actions:
    """ADD, OBSERVE, DELETE."""

    names: frozenset[str]
    parameter: str = "EQ_action"

    def matches(self, candidate: Candidate) -> bool:
        """Whether the event has one of the actions."""
        return candidate.event.action in self.names


@dataclass(frozen=True, slots=True)
class Steps:
    """Business steps, as IRIs; a word of one's own is its URI as sent."""

    words: frozenset[str]
    parameter: str = "EQ_bizStep"

    def matches(self, candidate: Candidate) -> bool:
        """Whether the event has one of the steps."""
        return candidate.event.biz_step in self.words


@dataclass(frozen=True, slots=True)
class Dispositions:
    """Dispositions, as IRIs; a word of one's own is its URI as sent."""

    words: frozenset[str]
    parameter: str = "EQ_disposition"

    def matches(self, candidate: Candidate) -> bool:
        """Whether the event has one of the dispositions."""
        return candidate.event.disposition in self.words


@dataclass(frozen=True, slots=True)
class Place:
    """Canonical places in `field` (readPoint or bizLocation); with `descendants` also whatever lies below them."""

    field: str
    iris: frozenset[str]
    descendants: bool = False
    parameter: str = ""

    def matches(self, candidate: Candidate) -> bool:
        """Whether the event is at one of the places."""
        event = candidate.event
        place = event.read_point if self.field == "readPoint" else event.biz_location
        if place is None:
            return False
        if place in self.iris:
            return True
        return self.descendants and any(place in candidate.descendants(iri) for iri in self.iris)


@dataclass(frozen=True, slots=True)
class Things:
    """Things in some fields of an event, by name or pattern.

    The fields decide, because one role stands for several of them; `roles` and `by_class` are what an index of
    things by role may use: every event that matches has a thing in one of the roles that a pattern matches.
    """

    roles: frozenset[Role]
    by_class: bool
    patterns: tuple[Pattern, ...]
    fields: tuple[str, ...] = ()
    parameter: str = ""
    _iris: frozenset[str] = field(init=False, repr=False, compare=False)
    _others: tuple[Pattern, ...] = field(init=False, repr=False, compare=False)
    _starts: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        others = tuple(one for one in self.patterns if one.iri is None)
        starts = {start for one in others for start in one.starts}
        iris = frozenset(one.iri for one in self.patterns if one.iri is not None)
        object.__setattr__(self, "_iris", iris)
        object.__setattr__(self, "_others", others)
        object.__setattr__(self, "_starts", tuple(sorted(starts)))

    def matches(self, candidate: Candidate) -> bool:
        """Whether one of the fields names one of the things."""
        wanted, starts = self._iris, self._starts
        # Most events name nothing like it, which their things tell without a look at the fields.
        for ref in candidate.event.things:
            iri = ref.thing.iri
            if iri in wanted or (starts and iri.startswith(starts)):
                return self._in_fields(candidate.value)
        return False

    def _in_fields(self, value: Mapping[str, Any]) -> bool:
        wanted, starts, others = self._iris, self._starts, self._others
        for name in self.fields:
            inside = value.get(name, ())
            names = (inside,) if isinstance(inside, str) else inside
            for iri in _canonical(names, self.by_class):
                if iri in wanted:
                    return True
                if starts and iri.startswith(starts) and any(one.matches(iri) for one in others):
                    return True
        return False


_read_epc, _read_class = name_reader(Position.EPC), name_reader(Position.EPC_CLASS)


def _canonical(names: Iterable[Any], by_class: bool) -> Iterable[str]:
    if by_class:
        return (_read_class(element["epcClass"])[0].iri for element in names)
    return (_read_epc(name)[0].iri for name in names)


@dataclass(frozen=True, slots=True)
class EventIds:
    """Event IDs, as sent, or names of records, which every event has."""

    ids: frozenset[str]
    parameter: str = "EQ_eventID"

    def matches(self, candidate: Candidate) -> bool:
        """Whether the event has one of the IDs."""
        return candidate.event.event_id in self.ids or candidate.name in self.ids


@dataclass(frozen=True, slots=True)
class TransformationIds:
    """Canonical IRIs of transformations."""

    ids: frozenset[str]
    parameter: str = "EQ_transformationID"

    def matches(self, candidate: Candidate) -> bool:
        """Whether the event is part of one of the transformations."""
        return candidate.event.transformation_id in self.ids


@dataclass(frozen=True, slots=True)
class Transactions:
    """Business transactions of one type (IRIs of it; None is any type) by their canonical IRIs."""

    type: frozenset[str] | None
    iris: frozenset[str]
    parameter: str = ""

    def matches(self, candidate: Candidate) -> bool:
        """Whether one entry of the list has both the type and one of the names."""
        return _paired(candidate.event.transactions, self.type, self.iris)


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources of one type (IRIs of it) by their canonical IRIs."""

    type: frozenset[str]
    iris: frozenset[str]
    parameter: str = ""

    def matches(self, candidate: Candidate) -> bool:
        """Whether one entry of the list has both the type and one of the names."""
        return _paired(candidate.event.sources, self.type, self.iris)


@dataclass(frozen=True, slots=True)
class Destinations:
    """Destinations of one type (IRIs of it) by their canonical IRIs."""

    type: frozenset[str]
    iris: frozenset[str]
    parameter: str = ""

    def matches(self, candidate: Candidate) -> bool:
        """Whether one entry of the list has both the type and one of the names."""
        return _paired(candidate.event.destinations, self.type, self.iris)


def _paired(
    pairs: Iterable[tuple[str | None, str]], types: frozenset[str] | None, iris: frozenset[str]
) -> bool:
    return any(iri in iris and (types is None or kind in types) for kind, iri in pairs)


@dataclass(frozen=True, slots=True)
class ErrorDeclarations:
    """An error declaration, and what is asked of it: its time, its reason (IRIs), one of its corrective events."""

    ge_us: int | None = None
    lt_us: int | None = None
    reasons: frozenset[str] | None = None
    correctives: frozenset[str] | None = None
    parameter: str = "EXISTS_errorDeclaration"

    def matches(self, candidate: Candidate) -> bool:
        """Whether there is a declaration, and all that is asked of it holds."""
        told = candidate.event.error_declaration
        if told is None or not _within(told.time_us, self.ge_us, self.lt_us):
            return False
        if self.reasons is not None and told.reason not in self.reasons:
            return False
        return self.correctives is None or not self.correctives.isdisjoint(told.correctives)


class Predicate(Protocol):
    """A question about the body of an event; a value, so that equal questions are equal."""

    def __call__(self, candidate: Candidate) -> bool:
        """Whether it holds. Never raises."""


@dataclass(frozen=True, slots=True)
class Body:
    """Whatever has no index of its own: decided on the body of each event that the others leave."""

    predicate: Predicate
    parameter: str = ""

    def matches(self, candidate: Candidate) -> bool:
        """Whether the predicate holds."""
        return self.predicate(candidate)


class SortKey(Protocol):
    """What an extension field that orders an answer gives of an event."""

    def __call__(self, candidate: Candidate) -> tuple[int, Any] | None:
        """A key that orders numbers, times and texts, each among themselves; None where the field is absent."""


@dataclass(frozen=True, slots=True)
class Query:
    """A whole question: an event is asked for where every condition matches.

    `order_by` is ``eventTime``, ``recordTime``, the name of an extension field as asked (then `order_key` gives
    its values), or None for no order. Without an order there is no `event_count_limit`.
    """

    conditions: tuple[Condition, ...] = ()
    order_by: str | None = None
    descending: bool = True
    event_count_limit: int | None = None
    max_event_count: int | None = None
    order_key: SortKey | None = None

    def matches(self, candidate: Candidate) -> bool:
        """Whether every condition matches."""
        return all(condition.matches(candidate) for condition in self.conditions)


ORDERS: Final = ("eventTime", "recordTime")
"""The standard's own fields that an answer may be ordered by."""
