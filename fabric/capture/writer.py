"""The writer: one thread that stores, sequences, publishes, and wakes who waits.

Each round takes what is queued, stores it in one transaction (then it is durable, and a job is answered),
sequences what is staged in a second one with every projection, and publishes the new head. One statement's
refusal is its own. Where the disk takes no more (`ledger.log.space`), what was not stored is refused, `trouble`
says so, and the writer tries again until there is room. Any other failure of the environment ends the writer,
because only a restart can tell what was stored: `failure` says so, and every later request is Unavailable. A log
that became read-only ends it too, but not the node, which goes on answering questions.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Engine, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DataError

from fabric.store.jobs import Job
from ledger.errors import InvalidInput, LoomarkError, Unavailable
from ledger.log.guard import ReadOnlyLog
from ledger.log.plan import Refused, Sequenced
from ledger.log.publish import QuorumMissing
from ledger.log.schema import head as head_table
from ledger.log.sequencer import Sequencer
from ledger.log.space import StorageFull, storage_full

from .indexing import Indexer
from .intake import Intake, LogView
from .prepare import Prepared
from .sweep import Sweeper
from .turns import Turns

QUEUE: Final = 64
MOST_RECORDS: Final = 4096
"""Records after which a round takes no further submission: bounds how long a one-event capture waits."""

MOST_QUEUED: Final = 50_000
"""Records in the queue after which it is full, however few submissions they are: bounds the wait of the next."""

TRY_AGAIN_S: Final = 1.0
"""How long after a refusal for lack of room, with nothing new queued, the writer looks whether there is some."""

_FAULTS: Final = (
    ArithmeticError,
    AttributeError,
    DataError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Errors of code, not of the environment: one submission brought them about, the next may be well."""

RETRY_AFTER_S: Final = 1


_WAITS: Final = (
    "the node cannot write now; what you sent is stored, and gets its index when there is room again"
)

_UNWITNESSED: Final = "what you sent is stored, and is published once enough witnesses cosign"

_TOUCH: Final = update(head_table).values(size=head_table.c.size)
"""Writes what is there: it needs room, and changes nothing."""


class QueueFull(Unavailable):
    """More is queued than the node can store soon; `retry_after_s` says when to try again."""

    retry_after_s = RETRY_AFTER_S


def _running() -> Future[Any]:
    """A future that whoever waits for it cannot cancel: the writer will answer it, and must not find it answered."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


@dataclass(slots=True)
class Ticket:
    """What the submitter of work holds: `stored` once durable, `settled` once it is sequenced or refused."""

    stored: Future[Any] = field(default_factory=_running)
    settled: Future[None] = field(default_factory=_running)


@dataclass(slots=True)
class Work:
    """Something to do in the first transaction; `weight` is its number of records."""

    run: Callable[[Connection], Any]
    weight: int
    ticket: Ticket


class Writer:
    """The one thread that writes. `start`, then `submit_*` from any thread, then `stop`."""

    def __init__(
        self,
        engine: Engine,
        sequencer: Sequencer | Turns,
        indexer: Indexer,
        intake: Intake,
        *,
        on_failure: Callable[[BaseException], None] | None = None,
        capacity: int = QUEUE,
    ) -> None:
        self._engine = engine
        self._sweeper = Sweeper(engine)
        self._sequencer = sequencer
        self._indexer = indexer
        self._intake = intake
        self._on_failure = on_failure
        self._queue: queue.Queue[Work | None] = queue.Queue(capacity)
        self._queued_records = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._accepting = True
        self._ended = threading.Event()
        self.failure: BaseException | None = None
        self.trouble: Unavailable | None = None

    def start(self) -> None:
        """Sequence what an earlier run left staged, then serve the queue; a read-only log is left alone."""
        try:
            self.sequence()
        except ReadOnlyLog as error:
            self.failure = error
            return
        except BaseException as error:
            self._suffer(error)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Accept nothing more, finish what is queued, end the thread."""
        self._accepting = False
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout_s)

    def submit_capture(self, member: str, prepared: Prepared) -> Ticket:
        """Queue a prepared capture; `stored` gives its Job. Raises QueueFull, Unavailable."""
        return self._submit(
            lambda connection: self._store(connection, member, prepared), len(prepared.records)
        )

    def submit(self, run: Callable[[Connection], Any]) -> Ticket:
        """Queue any other writing; `stored` gives what it returns once that is durable."""
        return self._submit(run, 1)

    @property
    def takes_more(self) -> bool:
        """Whether submissions are taken: also while a head waits for its quorum, if one was published before."""
        if isinstance(self.trouble, QuorumMissing):
            return self._sequencer.published is not None
        return self.failure is None and self.trouble is None

    @property
    def queued(self) -> int:
        """How many submissions wait."""
        return self._queue.qsize()

    def log_view(self) -> LogView:
        """What the log says now; exact in the writer's own thread, recent in others."""
        published = self._sequencer.published
        if published is None:
            raise Unavailable("the log has no published checkpoint yet")
        head = published.checkpoint
        return LogView(head.origin, self._sequencer.registry, (head.size, head.root))

    def sequence(self) -> None:
        """Sequence all that is staged. Called by `start`, by the thread, and by nobody else."""
        while self._sequencer.sequence(self._on_sequenced, self._refused) is not None:
            self._indexer.committed()

    def _on_sequenced(self, connection: Connection, sequenced: Sequence[Sequenced]) -> None:
        self._indexer.on_sequenced(connection, sequenced)
        if any(one.envelope.statement.type == "erasure" for one in sequenced):
            self._sweeper.remind()

    def _refused(self, _connection: Connection, refused: Sequence[Refused]) -> None:
        self._indexer.drop([one.row for one in refused])

    def _store(self, connection: Connection, member: str, prepared: Prepared) -> Job:
        stored = self._intake.store(connection, member, prepared, self.log_view())
        if stored.fresh is not None:
            self._indexer.remember(stored.fresh)
        return stored.job

    def _submit(self, run: Callable[[Connection], Any], weight: int) -> Ticket:
        self._require_able()
        work = Work(run, weight, Ticket())
        try:
            self._count(weight)
            self._queue.put_nowait(work)
        except queue.Full:
            self._count(-weight)
            raise QueueFull("the queue of captures is full; try again soon") from None
        # The writer may have ended between the question above and the queue: then nobody else would answer.
        if self._ended.is_set():
            self._abandon()
        return work.ticket

    def _count(self, weight: int) -> None:
        """Keep the number of queued records; raises queue.Full, having counted, when more wait than may."""
        with self._counting:
            waiting = self._queued_records
            self._queued_records += weight
        if weight > 0 and waiting and waiting + weight > MOST_QUEUED:
            raise queue.Full

    def _require_able(self) -> None:
        if isinstance(self.failure, ReadOnlyLog):
            raise ReadOnlyLog(self.failure.state) from self.failure
        if self.failure is not None:
            raise Unavailable("the writer stopped; restarting the node recovers it") from self.failure
        if not self._accepting:
            raise Unavailable("the node is stopping")
        if self._sequencer.published is None and self.trouble is not None:
            raise self.trouble

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            while self._turn():
                pass
        except BaseException as error:
            failure = self.failure = error
        # What was queued behind the order to stop, or comes from now on, is answered too.
        self._ended.set()
        self._abandon()
        if failure is not None and not isinstance(failure, ReadOnlyLog) and self._on_failure is not None:
            self._on_failure(failure)

    def _turn(self) -> bool:
        """Wait for work and do it; False at the order to stop."""
        try:
            first = self._queue.get(timeout=self._patience_s())
        except queue.Empty:
            self._idle()
            self._sweep()
            return True
        return first is not None and self._round(first)

    def _idle(self) -> None:
        """What there is to do while nothing is sent."""
        if self.trouble is not None or self._sequencer.is_lacking:
            self._try_again()

    def _sweep(self) -> None:
        """Take what was erased out of the database's files, when it is time."""
        self._sweeper.run()

    def _patience_s(self) -> float | None:
        """How long to wait for work before trying again what could not be done."""
        sweep_s = self._sweeper.wait_s()
        if self.trouble is None and not self._sequencer.is_lacking:
            return sweep_s
        return TRY_AGAIN_S if sweep_s is None else min(TRY_AGAIN_S, sweep_s)

    def _round(self, first: Work) -> bool:
        """Store and sequence one batch; False when it ended with the order to stop."""
        batch, go_on = self._batch(first)
        try:
            # What a read-only log would never sequence is not taken either.
            self._sequencer.check_marks()
            done = self._store_all(batch)
            for work, outcome in done:
                answer(work.ticket.stored, outcome)
            self.sequence()
        except BaseException as error:
            told = storage_full(error) or error
            for work in batch:
                is_stored = work.ticket.stored.done()
                answer(work.ticket.stored, told)
                answer(work.ticket.settled, _told_later(told) if is_stored else told)
            self._suffer(error)
            return go_on
        self.trouble = None
        self._settle(batch)
        self._sweep()
        return go_on

    def _settle(self, batch: Sequence[Work]) -> None:
        """Answer who waits for the end of what was stored: all that was staged has been decided."""
        for work in batch:
            answer(work.ticket.settled, None)

    def _suffer(self, error: BaseException) -> None:
        """Go on after a lack of room, which left nothing half done but what is remembered here; else raise.

        What a transaction taught that is not there any more must not be believed: another statement may get the
        number of one that was rolled back.
        """
        if isinstance(error, QuorumMissing):
            # The transaction is committed; only its publication waits.
            self._indexer.committed()
            self.trouble = error
            return
        full = storage_full(error)
        if full is None:
            raise error
        self.trouble = full
        self._indexer = Indexer(self._sequencer.registry)

    def _try_again(self) -> None:
        """Do what is left to do, and write a little, to find out whether there is room again."""
        try:
            self._sequencer.complete()
            self.sequence()
            if isinstance(self.trouble, StorageFull):
                with self._engine.begin() as connection:
                    connection.execute(_TOUCH)
        except BaseException as error:
            self._suffer(error)
        else:
            self.trouble = None

    def _batch(self, first: Work) -> tuple[list[Work], bool]:
        batch, weight = [first], first.weight
        while weight < MOST_RECORDS:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                break
            if work is None:
                self._count(-weight)
                return batch, False
            batch.append(work)
            weight += work.weight
        self._count(-weight)
        return batch, True

    def _store_all(self, batch: list[Work]) -> list[tuple[Work, Any]]:
        """One transaction; a refusal undoes its own part only, because each part has a savepoint."""
        done: list[tuple[Work, Any]] = []
        with self._engine.begin() as connection:
            self._begin(connection)
            for work in batch:
                try:
                    with connection.begin_nested():
                        outcome = work.run(connection)
                    done.append((work, outcome))
                except InvalidInput as refusal:
                    done.append((work, refusal))
                except _FAULTS as fault:
                    # Our own mistake in reading what somebody sent is theirs to hear, not everybody's outage:
                    # nothing of it is stored, and nothing is remembered of it either.
                    done.append((work, fault))
        return done

    def _begin(self, connection: Connection) -> None:
        """What comes first in a transaction that stores. Nothing, where only this writer writes."""

    def _abandon(self) -> None:
        while True:
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                return
            if work is not None:
                self._count(-work.weight)
                error = Unavailable("the writer stopped before this was stored; send it again")
                answer(work.ticket.stored, error)
                answer(work.ticket.settled, error)


def _told_later(error: BaseException) -> BaseException:
    """What somebody hears of an error whose submission is stored all the same."""
    if isinstance(error, StorageFull):
        return StorageFull(_WAITS)
    return QuorumMissing(f"{error}; {_UNWITNESSED}") if isinstance(error, QuorumMissing) else error


def answer(future: Future[Any], outcome: Any) -> None:
    """Answer a future once: with an error, what is lost, or the outcome."""
    if future.done():
        return
    if isinstance(outcome, (LoomarkError, *_FAULTS)):
        future.set_exception(outcome)
    elif isinstance(outcome, BaseException):
        lost = Unavailable("the writer stopped; restarting the node recovers it")
        lost.__cause__ = outcome
        future.set_exception(lost)
    else:
        future.set_result(outcome)
