"""Delivering one subscription's events, a turn at a time: what is next, noted, sent, and noted again.

The order is the promise. Before a delivery leaves, its name and its events are durable; after a 2xx the place moves, in
one write; nothing else is sent in between. If the node dies before the first write nothing was sent; before the second,
the next run sends the same events under the same name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Event as Flag
from threading import Lock, Semaphore
from typing import Any, Final, Protocol
from uuid import UUID

from sqlalchemy.engine import Connection

from fabric.capture.intake import Clock
from fabric.capture.prepare import Draw
from fabric.capture.writer import Ticket
from fabric.epcis.representation import EpcFormat, Translator
from fabric.query.conditions import Query
from fabric.query.errors import QueryTooComplex
from fabric.query.parameters import from_json
from fabric.query.run import Events, Found
from fabric.visibility.reader import Reader
from ledger.errors import InvalidInput, Unavailable

from . import progress as change
from .post import Receiver
from .progress import END_OF_CAPTURE, Outcome, Place, Progress, RetryRule, Sending
from .queries import NamedQuery
from .report import MEDIA_TYPE, PROBLEM, VERSIONS, problem, report
from .schedule import parse_schedule
from .signature import DELIVERY_HEADER, HEADER, signature
from .subscriptions import Subscription, advance

IN_A_TURN: Final = 16
"""Deliveries after which a subscription lets others have the thread."""

_WAIT_S: Final = 60.0
_AGAIN_S: Final = 0.2
_STOPPING_S: Final = 5.0
_READERS: Final = 2
_MOST_QUERIES: Final = 10_000
_FAR: Final = 5_000
"""Log entries without an event for a stream after which that is noted, so that the next run does not look again."""


class Core(Protocol):
    """What deliveries need of a node: its writer, whom it lets see what, how far its log is published, whose turn it is."""

    @property
    def published_size(self) -> int:
        """Entries under the published checkpoint; 0 before the first."""

    @property
    def is_sequencing(self) -> bool:
        """Whether this node gives indices: of several on one database, that one delivers."""

    @property
    def translator(self) -> Translator:
        """Names in the forms that subscribers ask for."""

    def submit(self, run: Callable[[Connection], Any]) -> Ticket:
        """Queue something to write. Raises Unavailable where nothing can be written now."""

    def reader(self, member: str | None) -> Reader:
        """Whose records a member may see now."""


class Overtaken(Exception):
    """The subscription is gone, or another process delivers it: what this one knows of it is old."""


@dataclass(frozen=True, slots=True)
class Turned:
    """How a turn ended: where the subscription stands, and up to which log index nothing more is to be found for it."""

    progress: Progress
    seen: int


class Courier:
    """Delivers turns of any subscriptions; threads share it.

    `events` gives the node's events as they are now, `by` names this process, `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        core: Core,
        events: Callable[[], Events],
        receiver: Receiver,
        rule: RetryRule,
        *,
        by: str,
        clock: Clock,
        draw: Draw,
        chance: Callable[[], float],
        count: Callable[[str], None],
    ) -> None:
        self._core = core
        self._events = events
        self._receiver = receiver
        self._rule = rule
        self._by = by
        self._clock = clock
        self._draw = draw
        self._chance = chance
        self._count = count
        # Captures and questions are answered with the same connections, and the same processor.
        self._reading = Semaphore(_READERS)
        self._queries: dict[int, Query] = {}
        self._parsing = Lock()
        self._stopping = Flag()

    def stop(self) -> None:
        """Begin no further delivery."""
        self._stopping.set()

    def turn(self, one: Subscription, seen: int = -1) -> Turned:
        """Deliver what is due, up to a number of deliveries or the first that is not taken.

        `seen` is the log index up to which an earlier turn found nothing more. Raises Overtaken, and Unavailable where nothing can be read or noted now; then nothing was sent that was not noted.
        """
        for _ in range(IN_A_TURN):
            if self._stopping.is_set():
                break
            try:
                found, one, looked = self._next(one, seen)
            except InvalidInput as error:
                return Turned(self._noted(one, self._unanswered(one, error)).progress, seen)
            seen = max(seen, looked)
            if found is None:
                break
            one, is_taken = self._deliver(one, found)
            if not is_taken:
                break
        return Turned(one.progress, seen)

    def _next(self, one: Subscription, seen: int) -> tuple[Sequence[Found] | None, Subscription, int]:
        """The events to send now, noted as under way; None where nothing is to be sent, and up to where that was seen."""
        sending = one.progress.sending
        if sending is not None:
            found = self._again(one, sending.keys)
            if sending.keys and not found:
                # All of it was erased, or is not for this member's eyes any more.
                return self._next(self._noted(one, change.passed(one.progress)), seen)
            if sending.by != self._by:
                one = self._noted(one, change.resent(one.progress, self._by, self._clock()))
            return found, one, -1
        fresh = one.schedule is not None and one.progress.run_size is None
        size = self._core.published_size
        bound = size if one.progress.run_size is None else one.progress.run_size
        # A stream looks through each part of the log once, however long it is until something matches.
        place = (
            max(one.progress.place, (seen, END_OF_CAPTURE)) if one.schedule is None else one.progress.place
        )
        found, looked = self._after(one, place, bound, one.progress.batch)
        if found or (fresh and one.report_if_empty):
            return found, self._begun(one, found, None if one.schedule is None else bound), looked
        if one.schedule is not None:
            ended = change.run_ended(replace(one.progress, run_size=bound), self._next_run(one))
            one = self._noted(one, ended)
        elif one.progress.due_ms is not None:
            one = self._noted(one, change.at_rest(one.progress))
        elif looked - one.progress.place[0] >= _FAR:
            one = self._noted(one, change.passed_over(one.progress, looked))
        return None, one, looked

    def _unanswered(self, one: Subscription, error: InvalidInput) -> Progress:
        """What becomes of a subscription whose query cannot be answered; its receiver is told when it is given up."""
        self._count(error.rule)
        now_ms = self._clock()
        if isinstance(error, QueryTooComplex):
            # How much work it is depends on what else is done: it may be less the next time.
            after = change.hindered(one.progress, error.rule, self._rule, now_ms, self._chance())
        else:
            after = change.given_up(one.progress, error.rule, now_ms)
        if after.is_dead:
            body = problem(error, query_name=one.query.name, subscription_id=one.id)
            self._post(one, str(UUID(bytes=self._draw(16), version=4)), PROBLEM, body)
        return after

    def _deliver(self, one: Subscription, found: Sequence[Found]) -> tuple[Subscription, bool]:
        sending = one.progress.sending
        assert sending is not None
        body = report(
            found,
            query_name=one.query.name,
            subscription_id=one.id,
            epc_format=EpcFormat(one.epc_format),
            names=self._core.translator,
            now_ms=self._clock(),
        )
        return self._settled(one, self._post(one, sending.delivery, MEDIA_TYPE, body))

    def _post(self, one: Subscription, delivery: str, media_type: str, body: bytes) -> Outcome:
        headers = {
            "Content-Type": media_type,
            **VERSIONS,
            "GS1-EPC-Format": one.epc_format,
            DELIVERY_HEADER: delivery,
        }
        if one.secret is not None:
            headers[HEADER] = signature(one.secret, delivery, body, self._clock() // 1000)
        return self._receiver.post(one.dest, headers, body)

    def _settled(self, one: Subscription, outcome: Outcome) -> tuple[Subscription, bool]:
        self._count("taken" if outcome.is_taken else outcome.reason)
        now_ms = self._clock()
        if outcome.is_taken:
            return self._noted(one, change.taken(one.progress, now_ms), patient=True), True
        after = change.refused(one.progress, outcome, self._rule, now_ms, self._chance())
        return self._noted(one, after, patient=True), False

    def _begun(self, one: Subscription, found: Sequence[Found], run_size: int | None) -> Subscription:
        keys = tuple((event.seq, event.position) for event in found)
        delivery = str(UUID(bytes=self._draw(16), version=4))
        sending = Sending(delivery, keys, self._by, self._clock())
        return self._noted(one, change.begun(one.progress, sending, run_size))

    def _noted(self, one: Subscription, after: Progress, *, patient: bool = False) -> Subscription:
        """Make progress durable. What came of a delivery is noted as soon as that can be done: nobody else knows it."""
        before = one.progress
        stopped_at = None
        while True:
            try:
                ticket = self._core.submit(lambda connection: advance(connection, one.id, before, after))
                is_noted: bool = ticket.stored.result(_WAIT_S)
            except (Unavailable, TimeoutError):
                if self._stopping.is_set():
                    stopped_at = stopped_at or time.monotonic()
                if not patient or (stopped_at and time.monotonic() - stopped_at > _STOPPING_S):
                    raise
                time.sleep(_AGAIN_S)
                continue
            if not is_noted:
                raise Overtaken
            return replace(one, progress=after)

    def _after(self, one: Subscription, place: Place, bound: int, limit: int) -> tuple[list[Found], int]:
        """At most `limit` events behind a place and below a tree size, and up to which log index there are no others."""
        query, reader = self._query(one.query), self._core.reader(one.query.member)
        while True:
            with self._reading:
                page = self._events().since(reader, query, after=place, limit=limit, below=bound)
            wanted = [event for event in page.events if event.record_time_us >= one.begins_ms * 1000]
            if wanted:
                # Not beyond the first of them: they may come again, in smaller deliveries.
                return wanted, wanted[0].seq - 1
            if page.cursor is None or page.cursor.key is None:
                return [], bound - 1
            place = page.cursor.key

    def _again(self, one: Subscription, keys: Sequence[Place]) -> list[Found]:
        """Those of some events that the member still sees."""
        if not keys:
            return []
        last, wanted = max(keys), frozenset(keys)
        place, found = _just_before(min(keys)), list[Found]()
        while place < last:
            events, _ = self._after(one, place, last[0] + 1, len(keys))
            if not events:
                break
            found += [event for event in events if (event.seq, event.position) in wanted]
            place = (events[-1].seq, events[-1].position)
        return found

    def _query(self, named: NamedQuery) -> Query:
        with self._parsing:
            if named.id not in self._queries:
                if len(self._queries) >= _MOST_QUERIES:
                    self._queries.clear()
                self._queries[named.id] = from_json(named.value, named.extensions)
            return self._queries[named.id]

    def _next_run(self, one: Subscription) -> int:
        now = datetime.fromtimestamp(self._clock() / 1000, UTC)
        found = parse_schedule(one.schedule).next_after(now)
        assert found is not None
        return int(found.timestamp() * 1000)


def _just_before(place: Place) -> Place:
    seq, position = place
    return (seq, position - 1) if position else (seq - 1, END_OF_CAPTURE)
