"""One answer while it is put together: rows of a plan, their events, and which of them are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy.exc import DBAPIError

from fabric.epcis import ContextTable, read_event
from fabric.store.records import RECORD_IRI

from .budget import Spending, too_complex, was_stopped
from .conditions import Candidate, Query, SortKey
from .errors import PageToken, QueryTooLarge
from .places import MasterData
from .plan import Plan, order_of, plan
from .scope import Scope
from .streams import Course, Key, Order, Row

MOST_AT_ONCE: Final = 250
"""Bodies that are read with one statement."""

MOST_BYTES: Final = 16 * 1024 * 1024
"""Bytes of bodies that are read with one statement, and that are on one page, unless a single event has more."""

_SIZES: Final = "SELECT r.id, length(r.body) FROM record r WHERE r.id IN {keys}"

_LONGEST_TOLD: Final = 200
"""Characters of a text that a cursor holds, so that the longest still makes a token."""

_BODIES: Final = (
    "SELECT r.id, r.commitment, r.member, r.body, r.supplied_id FROM record r WHERE r.id IN {keys}"
)


@dataclass(frozen=True, slots=True)
class Found:
    """One event of an answer: `value` is the committed event with its `@context`, `seq` its capture's log index."""

    record: int
    commitment: bytes
    seq: int
    position: int
    member: str
    record_time_us: int
    value: Mapping[str, Any]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a walk stands: the tree `size` of its first page, the key of the last event that was looked at.

    `left` is how many events may still come (`eventCountLimit`), None for all. `value` is what an extension field
    that orders the walk gave of that event.
    """

    size: int
    key: Key | None
    left: int | None = None
    value: tuple[int, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """As a token holds it."""
        value = None
        if self.value is not None:
            rank, told = self.value
            value = [rank, "d", str(told)] if isinstance(told, Decimal) else [rank, "j", _cut(told)]
        return {
            "s": self.size,
            "k": None if self.key is None else list(self.key),
            "l": self.left,
            "v": value,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Cursor:
        """What a token held. Raises PageToken where that is no place in a walk."""
        match told:
            case {"s": int(size), "k": [int(first), int(second)], "l": None | int() as left, "v": value}:
                return cls(size, (first, second), left, _value(value))
        raise PageToken("expected a token that an earlier page gave out, got another")


def _value(told: Any) -> tuple[int, Any] | None:
    match told:
        case [int(rank), "d", str(text)]:
            return rank, Decimal(text)
        case [int(rank), "j", value]:
            return rank, value
    return None


@dataclass(frozen=True, slots=True)
class Page:
    """Some events of a walk over the tree of `size`; without a `cursor` they are the last."""

    events: tuple[Found, ...]
    cursor: Cursor | None
    size: int


class _Placed(NamedTuple):
    """A row of an answer that an extension field orders, and what the field gave."""

    value: tuple[int, Any] | None
    row: Row


class Answer:
    """Reads for one reader in one transaction, within what may be spent."""

    def __init__(self, scope: Scope, master: MasterData, contexts: ContextTable, spending: Spending) -> None:
        self._scope = scope
        self._master = master
        self._contexts = contexts
        self._spending = spending

    def page(self, query: Query, per_page: int, cursor: Cursor | None) -> Page:
        """The next events of a walk, as `Events.page` promises."""
        if query.order_key is not None:
            return self._ordered(query, query.order_key, per_page, cursor)
        left = query.event_count_limit if cursor is None else cursor.left
        most = per_page if left is None else min(per_page, left)
        course = Course(order_of(query), query.descending, None if cursor is None else cursor.key)
        matching = self._matching(query, course, most)
        events, reached = matching.first(most)
        if cursor is None and query.max_event_count is not None:
            matching.require_at_most(query.max_event_count)
        size, left = self._scope.size, None if left is None else left - len(events)
        is_last = reached is None or left == 0
        return Page(tuple(events), None if is_last else Cursor(size, reached, left), size)

    def onwards(self, query: Query, behind: Key, limit: int) -> Page:
        """The next events of the log, as `Events.since` promises."""
        course = Course(Order.LOG, False, behind)
        matching = self._matching(replace(query, order_by="recordTime"), course, limit)
        events, reached = matching.first(limit, patient=True)
        size = self._scope.size
        return Page(tuple(events), None if reached is None else Cursor(size, reached), size)

    def _matching(self, query: Query, course: Course, wanted: int) -> Matching:
        found = plan(self._scope, query, course, wanted + 1, self._master.descendants)
        return Matching(self, query, found, course.order, wanted + 1)

    def _ordered(self, query: Query, order_key: SortKey, per_page: int, cursor: Cursor | None) -> Page:
        """A page in the order of an extension field: every event is looked at for every page.

        Events without the field come last; those of one value in the order of the log.
        """
        course = Course(Order.LOG, query.descending, None)
        matching = self._matching(query, course, MOST_AT_ONCE)
        present, absent = list[_Placed](), list[_Placed]()
        for row, candidate in matching.candidates():
            value = order_key(candidate)
            (absent if value is None else present).append(_Placed(value, row))
        present.sort(key=_placed_key, reverse=query.descending)
        every = [*present, *absent]
        if cursor is None:
            matching.require_at_most(query.max_event_count, len(every))
        else:
            every = every[_behind(every, cursor, query.descending) :]
        left = query.event_count_limit if cursor is None else cursor.left
        most = per_page if left is None else min(per_page, left)
        events = list[Found]()
        # The first part has as many bytes as a page may have.
        for part in islice(self.parts([one.row for one in every[:most]]), 1):
            events += [found for _, found, _ in self.read(part)]
        left = None if left is None else left - len(events)
        if len(every) <= len(events) or left == 0 or not events:
            return Page(tuple(events), None, self._scope.size)
        last = every[len(events) - 1]
        key = Order.LOG.key(last.row)
        return Page(tuple(events), Cursor(self._scope.size, key, left, last.value), self._scope.size)

    def parts(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Rows in their order, as many at a time as have `MOST_BYTES` of bodies together, one at least."""
        sizes: dict[int, int] = dict(
            map(tuple, self._scope.rows(_SIZES, self._scope.keys([row.record for row in rows])))
        )
        part, held = list[Row](), 0
        for row in rows:
            held += sizes[row.record]
            if part and held > MOST_BYTES:
                yield part
                part, held = [], sizes[row.record]
            part.append(row)
        if part:
            yield part

    def read(self, rows: Sequence[Row]) -> list[tuple[Row, Found, Candidate]]:
        """The events of rows, in their order."""
        self._spending.read(len(rows))
        scope = self._scope
        bodies = {row[0]: row for row in scope.rows(_BODIES, scope.keys([row.record for row in rows]))}
        times = scope.record_times([row.seq for row in rows])
        return [self._event(row, bodies[row.record], times[row.seq]) for row in rows]

    def _event(self, row: Row, stored: Any, record_time_us: int) -> tuple[Row, Found, Candidate]:
        number, commitment, member, body, supplied_id = stored
        value = orjson.loads(body)
        if supplied_id is not None:
            # It is no part of what is committed, so every answer that has it says it anew.
            value["eventID"] = supplied_id
        master = self._master
        candidate = Candidate(
            value,
            read_event(value),
            record_time_us,
            master.descendants,
            master.attributes,
            self._contexts,
            RECORD_IRI + bytes(commitment).hex(),
        )
        found = Found(
            number, bytes(commitment), row.seq, row.position, member, record_time_us, value, len(body)
        )
        return row, found, candidate

    @property
    def spending(self) -> Spending:
        """What is spent on it."""
        return self._spending


class Matching:
    """The events of a plan that match, read as far as somebody wants them."""

    def __init__(self, answer: Answer, query: Query, found: Plan, order: Order, wanted: int) -> None:
        self._answer = answer
        self._query = query
        self._plan = found
        self._order = order
        self._wanted = min(wanted, MOST_AT_ONCE)
        self._found = 0
        self._ahead = 0
        self._more = True
        self._reached: Key | None = None
        self._stream = self._matches()

    def first(self, most: int, *, patient: bool = False) -> tuple[list[Found], Key | None]:
        """The first events, at most so many, and the key behind which the walk goes on; None where it is at its end.

        Fewer where they have more than `MOST_BYTES` together.
        When the budget is spent the events found so far are given, with the key of the last row that was looked at;
        where there are none, only to who is patient. Raises QueryTooComplex otherwise.
        """
        events: list[Found] = []
        last: Key | None = None
        held = 0
        try:
            for row, found in self._stream:
                held += found.size_bytes
                if len(events) == most or (events and held > MOST_BYTES):
                    return events, last
                events.append(found)
                last = self._order.key(row)
        except _Spent:
            if not (events or patient) or self._reached is None or self._query.max_event_count is not None:
                raise too_complex() from None
            return events, self._reached
        return events, None

    def require_at_most(self, most: int | None, count: int | None = None) -> None:
        """Raise QueryTooLarge where more events match; nothing behind one too many is read."""
        if most is None:
            return
        if count is None:
            count = self._count(most)
        if count > most:
            raise QueryTooLarge(f"expected at most {most} events, as maxEventCount says, got more")

    def candidates(self) -> Iterator[tuple[Row, Candidate]]:
        """Every event that matches. Raises QueryTooComplex where the budget does not reach to the last."""
        try:
            for row, _, candidate in self._decided():
                if candidate is not None:
                    yield row, candidate
        except _Spent:
            raise too_complex() from None

    def _count(self, most: int) -> int:
        try:
            while self._found <= most:
                if self._plan.exact:
                    # What is left of the plan is the answer: nobody needs to look into it.
                    found = self._found + self._ahead
                    return found + sum(1 for _ in islice(self._plan.rows, max(0, most + 1 - found)))
                if next(self._stream, None) is None:
                    break
        except _Spent:
            raise too_complex() from None
        return self._found

    def _matches(self) -> Iterator[tuple[Row, Found]]:
        for row, found, candidate in self._decided():
            if candidate is not None:
                self._found += 1
                yield row, found

    def _decided(self) -> Iterator[tuple[Row, Found, Candidate | None]]:
        """Each event in order, without its candidate where it does not match."""
        spending, size = self._answer.spending, self._wanted
        while True:
            if spending.is_spent:
                raise _Spent
            for row, found, candidate in self._read(spending.most(size)):
                if self._reached is not None and not spending.seconds_left:
                    # Large events and many conditions can take long each; one at least is decided.
                    raise _Spent
                self._ahead -= 1
                is_match = self._query.matches(candidate)
                self._reached = self._order.key(row)
                yield row, found, candidate if is_match else None
            if not self._more:
                return
            size = min(MOST_AT_ONCE, 2 * size)

    def _read(self, most: int) -> Iterator[tuple[Row, Found, Candidate]]:
        """The next events of the plan, at most so many; `_more` says whether there were any."""
        try:
            rows = list(islice(self._plan.rows, most))
            self._ahead, self._more = len(rows), bool(rows)
            for part in self._answer.parts(rows) if rows else ():
                yield from self._answer.read(part)
        except DBAPIError as error:
            if was_stopped(error):
                raise _Spent from None
            raise


class _Spent(Exception):
    """The budget is spent; whoever catches it decides what that means."""


def _told(value: tuple[int, Any] | None) -> tuple[int, Any] | None:
    """A value as a cursor holds it."""
    return None if value is None else (value[0], _cut(value[1]))


def _cut(told: Any) -> Any:
    return told[:_LONGEST_TOLD] if isinstance(told, str) else told


def _placed_key(one: _Placed) -> tuple[Any, ...]:
    return one.value, one.row.seq, one.row.position


def _behind(every: Sequence[_Placed], cursor: Cursor, descending: bool) -> int:
    """How many of an ordered answer come up to a cursor, whether its own event is still there or not."""
    key = cursor.key or (-1, -1)
    for count, one in enumerate(every, 1):
        # The value says as much unless it was too long to be kept whole.
        if Order.LOG.key(one.row) == key and _told(one.value) == _told(cursor.value):
            return count

    def is_past(one: _Placed) -> bool:
        if one.value is None or cursor.value is None:
            if (one.value is None) != (cursor.value is None):
                return one.value is not None
            own = Order.LOG.key(one.row)
            return own >= key if descending else own <= key
        own_key = (one.value, *Order.LOG.key(one.row))
        at = (cursor.value, *key)
        return own_key >= at if descending else own_key <= at

    return sum(1 for one in every if is_past(one))
