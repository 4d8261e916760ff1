"""The one writer of the log: gives staged statements their indices and publishes the tree that holds them.

    sequencer = open_sequencer(engine, publisher, clock)
    while sequencer.sequence(on_sequenced):
        pass

Order (design/evidence.md, "Log"): what waits is read and decided; one transaction compare-and-swaps the head,
stores entries, seals and refusals and calls back; then `Publisher.publish` signs the committed head. Before
the transaction and again before the signature the head is compared with every mark of what was signed before.

A failure before the commit leaves everything as it was. Where the disk takes no more, the commit is known not to
be stored or the publication can simply be done again: `sequence` is called again when there may be room. The same holds
where a required quorum of cosigners is missing: one committed head waits to be published, all else waits staged. Any
other failure of the commit, or after it, leaves this object unable to go on, because it cannot know what was
stored: the process ends, and the next start recovers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Final, NoReturn

from sqlalchemy import Connection, Engine, RootTransaction

from ..checkpoint import Checkpoint
from ..errors import InvalidInput, Unavailable
from ..log_key import signing_keys
from ..registry import Registry
from .database import add_entries, archive_note, archived_root, move_head, read_head, record_outcomes, waiting
from .edge import Growth
from .guard import HIGH_WATER, PUBLISHED, Mark, MarkSource, ReadOnly, ReadOnlyLog, compare, no_marks
from .heads import KnownHeads
from .plan import LogState, Plan, Refused, Sequenced, plan
from .publish import Published, Publisher, QuorumMissing
from .space import MarksUnreadable, StorageFull, storage_full
from .tiles import TileTree

BATCH: Final = 1024
"""Most statements that one transaction gives an index to; bounds how long it holds the database."""

Clock = Callable[[], int]
"""Milliseconds since 1970, UTC."""

OnSequenced = Callable[[Connection, Sequence[Sequenced]], None]
OnRefused = Callable[[Connection, Sequence[Refused]], None]


class Sequencer:
    """Appends to one log; made by `ledger.log.recover.open_sequencer`. Calls of `sequence` take turns."""

    def __init__(
        self,
        engine: Engine,
        publisher: Publisher,
        clock: Clock,
        state: LogState,
        *,
        read_only: ReadOnly | None = None,
        marks: MarkSource = no_marks,
    ) -> None:
        self._engine = engine
        self._publisher = publisher
        self._clock = clock
        self._state = state
        self._heads = KnownHeads(engine, TileTree(publisher.tiles))
        self._turn = Lock()
        self._failed: str | None = None
        self._marks = marks
        self._compared: Sequence[Mark] | None = None
        self._unpublished: Growth | None = None
        self._lacking = False
        self._unarchived: Published | None = None
        self.published: Published | None = None
        self.read_only = read_only

    @property
    def registry(self) -> Registry:
        """The registry in force for the next entry."""
        return self._state.registry

    @property
    def head(self) -> Checkpoint:
        """The committed head."""
        return self._state.head

    def sequence(
        self, on_sequenced: OnSequenced | None = None, on_refused: OnRefused | None = None, limit: int = BATCH
    ) -> Published | None:
        """Sequence up to `limit` staged statements, oldest first, and publish the tree that holds them.

        None when nothing waits any more; batches that are refused as a whole are passed over. The callbacks
        run inside the transaction, after the log's own writes; what they raise undoes it and passes through.
        A head that could not be published before, because the disk was full or a quorum of cosigners was missing, is
        published first, alone. Raises ReadOnlyLog, StorageFull and QuorumMissing (call again later), Unavailable.
        """
        with self._turn:
            self.require_able()
            if self._unpublished is not None:
                return self.publish(self._unpublished)
            while decided := self._decide(limit):
                self.check_marks()
                self._store(decided, on_sequenced, on_refused)
                if decided.entries:
                    return self.publish(decided.state.edge.take_growth())
            return None

    def publish(self, growth: Growth) -> Published:
        """Publish the committed head with the tiles it grew by; recovery calls it with those it derived."""
        self._unpublished = growth
        self.check_marks()
        with self._or_stop("publication"):
            keys = signing_keys(self.registry.log_keys, self._state.seal_ms)
            published = self._publisher.publish(self.head, growth, keys)
        self._unpublished = None
        self._lacking = self._publisher.is_lacking(published)
        self.published = self._unarchived = published
        self._heads.remember(published.checkpoint.size, published.checkpoint.root)
        return published

    @property
    def is_lacking(self) -> bool:
        """Whether the published head lacks cosignatures that `complete` would ask for again."""
        return self._lacking

    def complete(self) -> Published | None:
        """Publish the head again with cosignatures that it lacks; None when none came. Raises as `sequence` does."""
        with self._turn:
            self.require_able()
            if self._unpublished is not None:
                return self.publish(self._unpublished)
            before = self.published
            after = self.publish(Growth((), ())) if self.is_lacking else before
            return None if after == before else after

    def check_marks(self) -> None:
        """Compare the committed head with what may have been signed before. Raises ReadOnlyLog, from then on.

        Two small files are read; only if one of them is not as it was left, or witnesses remember something new,
        is there more to do. Raises MarksUnreadable where a file cannot be read now; then nothing was done yet.
        """
        self.require_able()
        others = tuple(self._marks(self._state.origin))
        try:
            if others == self._compared and self._publisher.is_as_left():
                return
        except Unavailable as error:
            raise MarksUnreadable("record of what was signed", str(error)) from error
        origin, is_published = self._state.origin, self.published is not None
        marks, refusal = read_marks(self._publisher, origin, is_published, lambda _: others)
        head = self.head
        with self._engine.connect() as connection:
            if read_head(connection) != head:
                # Others wrote this database: their marks say nothing against it, only against what is known here.
                raise self._moved()
            roots = {mark.size: archived_root(connection, mark.size) for mark in marks}
        self.read_only = refusal or compare(head, marks, roots | {head.size: head.root})
        self.require_able()
        self._compared = others

    def require_able(self) -> None:
        """Raise ReadOnlyLog or Unavailable when this sequencer may not or cannot go on."""
        if self.read_only is not None:
            raise ReadOnlyLog(self.read_only)
        if self._failed is not None:
            raise Unavailable(f"the log stopped at a failed {self._failed}; restarting the node recovers it")

    def _decide(self, limit: int) -> Plan | None:
        # Ended by a commit: PostgreSQL's driver forgets its prepared statements with each rollback.
        with self._engine.begin() as connection:
            oldest = waiting(connection, limit)
        return plan(self._state, oldest, self._clock(), self._is_prefix) if oldest else None

    def _is_prefix(self, size: int, root: bytes) -> bool:
        return self._heads.is_prefix(size, root, self._state.edge.size)

    def _store(self, decided: Plan, on_sequenced: OnSequenced | None, on_refused: OnRefused | None) -> None:
        with self._engine.connect() as connection:
            transaction = connection.begin()
            try:
                self._write(connection, decided)
                if on_sequenced is not None and decided.sequenced:
                    on_sequenced(connection, decided.sequenced)
                if on_refused is not None and decided.refused:
                    on_refused(connection, decided.refused)
            except BaseException:
                transaction.rollback()
                raise
            failure = _commit(connection, transaction)
        if failure is not None:
            self._judge(failure)
        self._state = decided.state
        self._unarchived = None

    def _write(self, connection: Connection, decided: Plan) -> None:
        if self._unarchived is not None:
            archive_note(connection, self._unarchived)
        # Refusals alone move nothing, and are compared as well: a registry that others changed may not refuse.
        if not move_head(connection, self.head, decided.state.head if decided.entries else self.head):
            raise self._moved()
        if decided.entries:
            add_entries(connection, decided, decided.state.head)
        record_outcomes(connection, decided)

    def _is_overtaken(self) -> bool:
        with self._engine.connect() as connection:
            return read_head(connection) != self.head

    def _moved(self) -> Unavailable:
        self._failed = "comparison of heads"
        return Unavailable("the head was moved by somebody else; restarting the node recovers it")

    def _judge(self, failure: BaseException) -> NoReturn:
        """Raise what a failed commit means: anything but a lack of room leaves open what was stored."""
        full = storage_full(failure)
        if full is None or not self._is_undone():
            self._failed = "commit"
            raise failure
        raise full from failure

    def _is_undone(self) -> bool:
        """Whether the committed head is where it was, seen through the one connection that writes."""
        with suppress(Exception), self._engine.connect() as connection:
            return read_head(connection) == self.head
        return False

    @contextmanager
    def _or_stop(self, step: str) -> Iterator[None]:
        # Whether a failed commit or write took effect is unknown here; only recovery can look.
        try:
            yield
        except (StorageFull, QuorumMissing):
            raise
        except ReadOnlyLog as error:
            if self._is_overtaken():
                # Another node went on with this log meanwhile: what a witness saw is that one's head.
                raise self._moved() from error
            self.read_only = error.state
            raise
        except BaseException:
            self._failed = step
            raise


def _commit(connection: Connection, transaction: RootTransaction) -> BaseException | None:
    try:
        transaction.commit()
    except BaseException as failure:
        # A commit that fails may leave its transaction open, and for SQLAlchemy it is over all the same: the one
        # connection that writes would come back from the pool with it.
        with suppress(Exception):
            connection.connection.rollback()
        return failure
    return None


def read_marks(
    publisher: Publisher, origin: str, is_published: bool, others: MarkSource
) -> tuple[list[Mark], ReadOnly | None]:
    """What may have been signed before, from both files and from others; or why that cannot be told.

    Raises MarksUnreadable for a file that cannot be read now.
    """
    sources: list[tuple[str, Callable[[], Checkpoint | None]]] = [
        (PUBLISHED, lambda: publisher.published(origin)),
        (HIGH_WATER, publisher.high_water),
    ]
    marks: list[Mark] = []
    for name, read in sources:
        try:
            head = read()
        except InvalidInput as error:
            return marks, ReadOnly(name, f"it cannot be read: {error}")
        except Unavailable as error:
            raise MarksUnreadable(name, str(error)) from error
        if head is not None:
            marks.append(Mark.of(name, head))
    if is_published and HIGH_WATER not in [mark.name for mark in marks]:
        return marks, ReadOnly(HIGH_WATER, "expected the file that goes with a published log, got none")
    return [*marks, *others(origin)], None
