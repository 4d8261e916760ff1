"""Ranges of one index merged into one order, and read no further than asked.

A stream is what an index holds of one class and one value, in order of time or of the log. A page of thirty from a
hundred streams reads their first rows in one statement, and then more of those only that gave what they had.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from heapq import heapify, heappop, heappush
from typing import Any, Final, NamedTuple

from .scope import Scope

MERGED: Final = 100
"""Streams in one statement: SQLite joins at most 500 SELECTs."""

MOST_AHEAD: Final = 1_000
_FIELDS: Final = "e.time_us, e.record, e.seq, e.position"


class Row(NamedTuple):
    """Where one event stands, in both orders, and its record."""

    time_us: int
    record: int
    seq: int
    position: int


Key = tuple[int, int]
"""The value that orders a row and that no other row has."""


class Order(Enum):
    """What rows are ordered by. Both are total, and a row keeps its key for as long as it exists."""

    TIME = "time"
    LOG = "log"

    def key(self, row: Row) -> Key:
        """A row's place in this order."""
        return (row.time_us, row.record) if self is Order.TIME else (row.seq, row.position)

    @property
    def columns(self) -> tuple[str, str]:
        """The columns of that key."""
        return ("time_us", "record") if self is Order.TIME else ("seq", "position")


class Clause(NamedTuple):
    """A part of a WHERE over `e` of `event`, and its parameters."""

    text: str
    values: tuple[Any, ...] = ()


class Stream(NamedTuple):
    """A range of one index: of `event`, or of a table `alias` that is joined to it and has the columns of the order."""

    where: Clause
    alias: str = "e"
    tables: str = "event e"


@dataclass(frozen=True, slots=True)
class Course:
    """A direction through an order, from behind a key on; None is from its end."""

    order: Order
    descending: bool
    after: Key | None

    def clauses(self, after: Key | None, alias: str = "e") -> list[Clause]:
        """What keeps rows up to a key out."""
        if after is None:
            return []
        first, second = (f"{alias}.{column}" for column in self.order.columns)
        sign = "<" if self.descending else ">"
        return [Clause(f"({first}, {second}) {sign} (?, ?)", after)]

    def order_by(self, alias: str = "e") -> str:
        """The ORDER BY of it."""
        word = "DESC" if self.descending else "ASC"
        first, second = (f"{alias}.{column}" for column in self.order.columns)
        return f"{first} {word}, {second} {word}"

    def rank(self, row: Row) -> Key:
        """What a heap orders rows by."""
        first, second = self.order.key(row)
        return (-first, -second) if self.descending else (first, second)

    def is_due(self, row: Row) -> bool:
        """Whether a row comes behind the key."""
        if self.after is None:
            return True
        key = self.order.key(row)
        return key < self.after if self.descending else key > self.after


def sorted_rows(scope: Scope, records: Iterable[int], clauses: Sequence[Clause], course: Course) -> list[Row]:
    """Those of the records that are visible and meet the clauses, in order."""
    where, values = joined([Clause('e."class" IN {keys}', (scope.seen,)), *clauses])
    query = f"SELECT {_FIELDS} FROM event e WHERE e.record IN {{keys}} AND {where}"
    rows = map(Row._make, scope.rows(query, scope.keys(records), *values))
    return sorted(filter(course.is_due, rows), key=course.rank)


def merged(
    scope: Scope, streams: Sequence[Stream], clauses: Sequence[Clause], course: Course, wanted: int
) -> Iterator[Row]:
    """The rows of all streams that meet the clauses, each once, in order, behind the course's key."""
    return iter(_Merge(scope, streams, clauses, course, wanted))


def joined(clauses: Sequence[Clause]) -> tuple[str, tuple[Any, ...]]:
    """Clauses as one, and their parameters in order."""
    text = " AND ".join([clause.text for clause in clauses]) or "1 = 1"
    return text, tuple([value for clause in clauses for value in clause.values])


class _Merge:
    def __init__(
        self,
        scope: Scope,
        streams: Sequence[Stream],
        clauses: Sequence[Clause],
        course: Course,
        wanted: int,
    ) -> None:
        self._scope = scope
        self._streams = streams
        self._clauses = list(clauses)
        self._course = course
        self._ahead = [min(MOST_AHEAD, 2 + 2 * wanted // max(1, len(streams)))] * len(streams)

    def __iter__(self) -> Iterator[Row]:
        waiting: dict[int, list[Row]] = {}
        for start in range(0, len(self._streams), MERGED):
            part = range(start, min(start + MERGED, len(self._streams)))
            waiting |= self._read(part, self._course.after)
        heap = [(self._course.rank(rows[-1]), number) for number, rows in waiting.items()]
        heapify(heap)
        last = None
        while heap:
            _, number = heappop(heap)
            rows = waiting[number]
            row = rows.pop()
            if row != last:
                yield row
            last = row
            if not rows and self._ahead[number]:
                rows.extend(self._read([number], self._course.order.key(row)).get(number, ()))
            if rows:
                heappush(heap, (self._course.rank(rows[-1]), number))

    def _read(self, numbers: Iterable[int], after: Key | None) -> dict[int, list[Row]]:
        """The next rows of some streams, the first of each last; `_ahead` is 0 where a stream has no more."""
        selects, values = [], list[Any]()
        asked = dict(zip(numbers, (self._ahead[number] for number in numbers), strict=True))
        for number, most in asked.items():
            clause, alias, tables = self._streams[number]
            where, given = joined([clause, *self._course.clauses(after, alias), *self._clauses])
            selects.append(
                f"SELECT {number} AS n, s.* FROM (SELECT {_FIELDS} FROM {tables} WHERE {where}"
                f" ORDER BY {self._course.order_by(alias)} LIMIT ?) s"
            )
            values += [*given, most]
        found: dict[int, list[Row]] = {}
        for number, *row in self._scope.rows(" UNION ALL ".join(selects), *values):
            found.setdefault(number, []).append(Row._make(row))
        for number, most in asked.items():
            rows = found.get(number, [])
            self._ahead[number] = 0 if len(rows) < most else min(MOST_AHEAD, 2 * most)
            # A database need not keep the order of a subquery.
            rows.sort(key=self._course.rank, reverse=True)
        return found
