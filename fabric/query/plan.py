"""From conditions to what is read: a superset of the answer's events, in its order, from an index.

Every row that a plan gives is decided by the conditions themselves afterwards; here it only must not be missed.
What is tried, in this order:

1. Names that few events have (event IDs, transformations, things, documents, parties): their records, sorted.
2. A value that few visible events have (a place, a step, a disposition, a type, a time): the same.
3. Otherwise the indices of one field, one stream a class and value, merged; or the log's order, class by class.

"Few" is counted in the index and no further. What other members' records hold costs a reader nothing in 2 and 3,
and in 1 at most `MOST_NAMED` rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Final

from fabric.lineage.fact import short_word
from fabric.store.records import HASH_ID, RECORD_IRI

from .conditions import (
    Actions,
    Condition,
    Destinations,
    Dispositions,
    ErrorDeclarations,
    EventIds,
    EventTime,
    Place,
    Query,
    RecordTime,
    Sources,
    Steps,
    Things,
    Transactions,
    TransformationIds,
    Types,
)
from .named import ThingNames, records_of_ids, records_of_runs
from .scope import Scope
from .streams import Clause, Course, Order, Row, Stream, joined, merged, sorted_rows

FEW: Final = 100
"""Rows that are sorted rather than walked through in the order of time, where there is a choice of indices."""

FEW_BY_LOG: Final = 2_000
"""The same where the order is the log's, for which fields have no index of their own."""

MOST_STREAMS: Final = 2_000
EVENT_TYPES: Final = (
    "ObjectEvent",
    "AggregationEvent",
    "AssociationEvent",
    "TransactionEvent",
    "TransformationEvent",
)
_COLUMNS: Final = {"readPoint": "read_point", "bizLocation": "biz_location"}
_TYPE: Final = "type"
_PREFERRED: Final = ("biz_location", "read_point", "disposition", "step", _TYPE)
_NOT_REPEATED: Final = (
    "(e.duplicate_of IS NULL OR NOT EXISTS (SELECT 1 FROM event o WHERE o.record = e.duplicate_of"
    ' AND o."class" IN {keys}))'
)

_FAMILY: Final = "family f {join} event e ON e.record = f.record"

Descendants = Callable[[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows of a superset of the answer, in the order of a course; `exact`: of nothing but the answer."""

    rows: Iterator[Row]
    exact: bool


def order_of(query: Query) -> Order:
    """The order in which a question is answered; one that asks for none gets what its index has.

    The newest event first where time, type, place, step, disposition or things are asked for; the newest record first otherwise,
    and for whoever asks for what was recorded since some time.
    """
    if query.order_by is not None:
        return Order.LOG if query.order_by == "recordTime" else Order.TIME
    if any(isinstance(one, RecordTime) and one.ge_us is not None for one in query.conditions):
        return Order.LOG
    by_time = (EventTime, Types, Steps, Dispositions, Place, Things, ErrorDeclarations)
    return Order.TIME if any(isinstance(one, by_time) for one in query.conditions) else Order.LOG


def plan(scope: Scope, query: Query, course: Course, wanted: int, descendants: Descendants) -> Plan:
    """How a question's events are found; `wanted` is how many are likely to be read."""
    asked = _Asked(scope, query.conditions, course.order, descendants)
    records = asked.records()
    if records is None:
        asked.look_for_families()
        records = asked.few(FEW if course.order is Order.TIME else FEW_BY_LOG)
    if records is not None:
        return Plan(iter(sorted_rows(scope, records, asked.clauses, course)), asked.exact)
    clauses = [*asked.clauses, *asked.naming()]
    if course.order is Order.LOG:
        streams = [Stream(Clause('e."class" = ?', (number,))) for number in scope.classes]
        return Plan(merged(scope, streams, clauses, course, wanted), asked.exact)
    return Plan(merged(scope, asked.streams(), clauses, course, wanted), asked.exact)


class _Asked:
    """What the typed conditions say of rows of `event`, and which of their fields an index begins with."""

    def __init__(
        self, scope: Scope, conditions: Iterable[Condition], order: Order, descendants: Descendants
    ) -> None:
        self._scope = scope
        self._descendants = descendants
        self._fields: dict[str, frozenset[Any]] = {}
        self._times: list[Clause] = []
        self._recorded: list[Clause] = []
        self._declared = False
        self._named: list[Callable[[], set[int] | None]] = []
        self._namings: list[ThingNames] = []
        self._families: list[tuple[int, str]] | None = None
        self._plain: ThingNames | None = None
        self.exact = True
        self._by_log = order is Order.LOG
        self.clauses = [
            self._in_log(Clause("e.seq < ?", (scope.size,))),
            Clause(_NOT_REPEATED, (scope.seen,)),
        ]
        for condition in conditions:
            self._take(condition)

    def records(self) -> set[int] | None:
        """The records of what is asked for by name; None where no name leaves only a few."""
        found: set[int] | None = None
        looks: list[Callable[[], set[int] | None]] = list(self._named)
        looks += [partial(names.records, not self._by_log) for names in self._namings]
        for look in looks:
            records = look()
            if records is not None:
                found = records if found is None else found & records
        return found

    def naming(self) -> list[Clause]:
        """What leaves, of many events, those that name the things asked for; families that say so need no more."""
        plain = None if self._by_log else self._plain
        return [names.clause() for names in self._namings if names is not plain]

    def look_for_families(self) -> None:
        """Find the families of things that are asked for, where they are not many: those of the first condition."""
        for names in self._namings:
            found = self._families = names.families()
            if found is not None:
                self._plain = names if all(names.are_all_of(start) for _, start in found) else None
                return

    def few(self, most: int) -> set[int] | None:
        """The records of the first of the asked fields that few visible events have in common, or None."""
        choices = list(self._telling())
        if not self._by_log and len(choices) < 2:
            # The streams of the one index that there is are in order, and read no further than a page.
            return None
        for where, alias, tables in choices:
            query = f'SELECT {alias}.record FROM {tables} WHERE {alias}."class" IN {{keys}} AND {where.text} LIMIT ?'
            rows = self._scope.rows(query, self._scope.seen, *where.values, most + 1)
            if len(rows) <= most:
                return {row[0] for row in rows} | self._declaring(alias)
        return None

    def streams(self) -> list[Stream]:
        """One stream for each class and value of the most telling field."""
        scope = self._scope
        told = [Stream(Clause('e."class" = ? AND e.declares = 1', (number,))) for number in scope.classes]
        if self._declared:
            return told
        if self._families is not None:
            times = self._times_of("f")
            wheres = [
                _both([Clause('f."class" = ? AND f.start = ?', pair), *times]) for pair in self._families
            ]
            return [*(Stream(where, "f", _FAMILY) for where in wheres), *told]
        fields = [name for name in _PREFERRED if name in self._fields]
        few = [name for name in fields if len(self._fields[name]) * len(scope.classes) <= MOST_STREAMS]
        name = next(iter(few), _TYPE)
        pairs = product(scope.classes, sorted(self._values(name)))
        return [Stream(Clause(f'e."class" = ? AND e.{name} = ?', pair)) for pair in pairs]

    def _telling(self) -> Iterator[Stream]:
        """What single indices can be asked: each a field's values, the time, the log's range, families, declarations."""
        if self._declared:
            yield Stream(_both([Clause("e.declares = 1"), *self._times]))
        elif self._families is not None:
            starts = self._scope.keys({start for _, start in self._families})
            yield Stream(
                _both([Clause("f.start IN {keys}", (starts,)), *self._times_of("f")]), "f", "family f"
            )
        for name in _PREFERRED:
            if name in self._fields or (name == _TYPE and self._times):
                given = Clause(f"{{no}}e.{name} IS NOT NULL")
                values = Clause(f"e.{name} IN {{keys}}", (self._scope.keys(self._values(name)),))
                yield Stream(_both([given, values, *self._times]))
        if self._recorded and not self._by_log:
            yield Stream(_both(self._recorded))

    def _times_of(self, alias: str) -> list[Clause]:
        return [Clause(clause.text.replace("e.", f"{alias}."), clause.values) for clause in self._times]

    def _declaring(self, alias: str) -> set[int]:
        """Error declarations, which are of no family, beside the events that are."""
        if alias != "f":
            return set()
        query = 'SELECT e.record FROM event e WHERE e."class" IN {keys} AND e.declares = 1'
        return {row[0] for row in self._scope.rows(query, self._scope.seen)}

    def _values(self, name: str) -> Collection[Any]:
        return self._fields.get(name, frozenset(EVENT_TYPES))

    def _take(self, condition: Condition) -> None:
        scope = self._scope
        match condition:
            case EventTime(ge_us=ge, lt_us=lt):
                bounds = [("e.time_us >= ?", ge), ("e.time_us < ?", lt)]
                times = [Clause(text, (bound,)) for text, bound in bounds if bound is not None]
                self._times += times
                self.clauses += times
            case RecordTime(ge_us=ge, lt_us=lt):
                self._record_time(ge, lt)
            case Types(names=names):
                self._field(_TYPE, names)
            case Steps(words=words):
                self._field("step", {short_word(word) for word in words})
            case Dispositions(words=words):
                self._field("disposition", {short_word(word) for word in words})
            case Place(field=field, iris=iris, descendants=below):
                places = set(iris).union(*map(self._descendants, iris)) if below else iris
                query = "SELECT id FROM thing WHERE iri IN {keys}"
                self._field(_COLUMNS[field], {row[0] for row in scope.rows(query, scope.keys(places))})
            case Actions(names=names):
                self.clauses.append(Clause("{no}e.action IN {keys}", (scope.keys(names),)))
            case _:
                self._named_or_told(condition)

    def _named_or_told(self, condition: Condition) -> None:
        scope = self._scope
        self.exact = False
        match condition:
            case EventIds(ids=ids):
                self._named.append(lambda: records_of_ids(scope, ids))
                if not any(one.startswith((HASH_ID, RECORD_IRI)) for one in ids):
                    # An event may have such a name that is not in its row; whoever reads the event decides.
                    self.clauses.append(Clause("{no}e.event_id IN {keys}", (scope.keys(ids),)))
            case TransformationIds(ids=ids):
                self._named.append(lambda: records_of_runs(scope, ids))
                self.clauses.append(Clause("{no}e.transformation_id IN {keys}", (scope.keys(ids),)))
            case Things() | Transactions() | Sources() | Destinations():
                names = ThingNames.of(scope, condition)
                if names is not None:
                    self._namings.append(names)
            case ErrorDeclarations():
                self._declared = True
                self.clauses.append(Clause("e.declares = 1"))

    def _field(self, name: str, values: Collection[Any]) -> None:
        found = frozenset(values)
        self._fields[name] = found & self._fields.get(name, found)
        self.clauses.append(Clause(f"{{no}}e.{name} IN {{keys}}", (self._scope.keys(found),)))

    def _record_time(self, ge_us: int | None, lt_us: int | None) -> None:
        bounds = [("e.seq >= ?", ge_us), ("e.seq < ?", lt_us)]
        first = self._scope.first_recorded
        found = [Clause(text, (first(bound),)) for text, bound in bounds if bound is not None]
        self._recorded += found
        self.clauses += [self._in_log(clause) for clause in found]

    def _in_log(self, clause: Clause) -> Clause:
        """A range of the log, which is no reason to use its index where the order is that of time."""
        return clause if self._by_log else Clause(f"{{no}}{clause.text}", clause.values)


def _both(clauses: Iterable[Clause]) -> Clause:
    return Clause(*joined(list(clauses)))


__all__ = ["EVENT_TYPES", "FEW", "Plan", "order_of", "plan"]
