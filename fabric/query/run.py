"""Questions answered from the store: pages of a walk, events in the order of the log.

A walk is a snapshot: it sees what was recorded below the tree size of its first page, in an order in which every
event has one place that never changes. What is captured meanwhile is not in it, what is voided stays, what is
erased is left out, and what was newly shared appears once, or not at all: nothing comes twice, nothing is lost.

A plan (`plan`) finds rows, and the conditions decide on each event. An event that repeats one of the same member
(in a capture that the member signed, design: meaning, section 2) is left out while its reader sees the first.
Events that an error declaration voids are answered like any other, and so are the declarations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from fabric.epcis import PACKAGED, ContextTable
from fabric.visibility.reader import Reader

from .answer import Answer, Cursor, Found, Page
from .budget import Budget, Clock, Spending, stopped_when_spent
from .conditions import EventIds, Query
from .lists import knows, values_of
from .places import HolderOf, MasterData
from .scope import Scope
from .streams import Key

_BEHIND_ALL = 2**31 - 1
"""A position behind every record of a capture."""


class Events:
    """Questions over the reading engine. Safe for threads: every answer has a connection of its own.

    `holder_of` says who holds an identifier, for claims of master data; `contexts` resolves addresses of contexts.
    """

    def __init__(
        self,
        reading: Engine,
        holder_of: HolderOf,
        *,
        budget: Budget | None = None,
        contexts: ContextTable = PACKAGED,
        clock: Clock = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._reading = reading
        self._holder_of = holder_of
        self._budget = Budget() if budget is None else budget
        self._contexts = contexts
        self._clock = clock
        self._now_us = now_us

    def page(self, reader: Reader, query: Query, *, per_page: int, cursor: Cursor | None = None) -> Page:
        """The next events of a walk, at most `per_page`.

        A page may be shorter than asked for and still have a cursor, where few of many events match. Raises
        QueryTooLarge for more events than `max_event_count`, QueryTooComplex for what costs more than the budget.
        """
        with self._answer(reader, None if cursor is None else cursor.size) as answer:
            return answer.page(query, per_page, cursor)

    def by_event_id(
        self, reader: Reader, event_id: str, *, per_page: int, cursor: Cursor | None = None
    ) -> Page:
        """The events of this ID: the event, its error declarations, and the copies of other members."""
        query = Query((EventIds(frozenset({event_id})),), "recordTime", descending=False)
        return self.page(reader, query, per_page=per_page, cursor=cursor)

    def since(
        self, reader: Reader, query: Query, *, after: int | Key, limit: int, below: int | None = None
    ) -> Page:
        """Matching events behind a log index, or behind a place in a capture, in the order of the log.

        `below` is a tree size, None for the head. The page's cursor, where it has one, says by its key how far the
        log was looked through: to go on, pass that as `after`, even where the page has no events.
        """
        behind = after if isinstance(after, tuple) else (after, _BEHIND_ALL)
        with self._answer(reader, below) as answer:
            return answer.onwards(query, behind, limit)

    def values(
        self, reader: Reader, field: str, *, per_page: int, after: str | None = None
    ) -> tuple[list[str], str | None]:
        """The next values of a field that visible events have, each once, and the last of them where there are more.

        Fields are `epc`, `bizStep`, `bizLocation`, `readPoint`, `disposition` and `eventType`. Things and places are
        canonical IRIs, steps and dispositions CBV short words or IRIs. Raises PageToken for an `after` that was
        erased meanwhile.
        """
        with self._scope(reader) as scope:
            return values_of(scope, field, per_page, after)

    def knows(self, reader: Reader, field: str, value: str) -> bool:
        """Whether any visible event has this value of a field; hidden and unknown ones are asked for alike."""
        with self._scope(reader) as scope:
            return knows(scope, field, value)

    @contextmanager
    def _scope(self, reader: Reader) -> Iterator[Scope]:
        spending = Spending(self._budget, self._clock)
        with self._reading.connect() as connection, stopped_when_spent(connection, spending):
            yield Scope.of(connection, reader)

    @contextmanager
    def _answer(self, reader: Reader, size: int | None) -> Iterator[Answer]:
        spending = Spending(self._budget, self._clock)
        with self._reading.connect() as connection, stopped_when_spent(connection, spending):
            scope = Scope.of(connection, reader, size, spending)
            master = MasterData(scope, self._holder_of, self._now_us())
            yield Answer(scope, master, self._contexts, spending)


__all__ = ["Budget", "Cursor", "Events", "Found", "Page"]
