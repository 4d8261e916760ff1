"""The one writer of the log: gives staged statements their indices and publishes the tree that holds them.

    sequencer = open_sequencer(engine, publisher, clock)
    while sequencer.sequence(on_sequenced):
        pass

Order (design/evidence.md, "Log"): what waits is read and decided; one transaction compare-and-swaps the head,
stores entries, seals and refusals and calls back; then `Publisher.publish` signs the committed head. A failure
before the commit leaves everything as it was. A failure of the commit, or after it, leaves this object unable
to go on, because it cannot know what was stored: the process ends, and the next start recovers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final

from sqlalchemy import Connection, Engine

from ..checkpoint import Checkpoint
from ..errors import Unavailable
from ..registry import Registry
from .database import add_entries, archive_note, move_head, record_outcomes, waiting
from .edge import Growth
from .heads import KnownHeads
from .plan import LogState, Plan, Refused, Sequenced, plan
from .publish import Published, Publisher
from .tiles import TileTree

BATCH: Final = 1024
"""Most statements that one transaction gives an index to; bounds how long it holds the database."""

Clock = Callable[[], int]
"""Milliseconds since 1970, UTC."""

OnSequenced = Callable[[Connection, Sequence[Sequenced]], None]
OnRefused = Callable[[Connection, Sequence[Refused]], None]


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """Why the log may not sign: `against` names what its head was compared with."""

    against: str
    reason: str

    def __str__(self) -> str:
        return f"read-only: against the {self.against}, {self.reason}"


class ReadOnlyLog(Unavailable):
    """The log refuses to sign; reading goes on. An operator has to find out why."""

    def __init__(self, state: ReadOnly) -> None:
        super().__init__(str(state))
        self.state = state


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
    ) -> None:
        self._engine = engine
        self._publisher = publisher
        self._clock = clock
        self._state = state
        self._heads = KnownHeads(engine, TileTree(publisher.tiles))
        self._turn = Lock()
        self._failed: str | None = None
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
        Raises ReadOnlyLog, Unavailable.
        """
        with self._turn:
            self.require_able()
            while decided := self._decide(limit):
                self._store(decided, on_sequenced, on_refused)
                if decided.entries:
                    return self.publish(decided.state.edge.take_growth())
            return None

    def publish(self, growth: Growth) -> Published:
        """Publish the committed head with the tiles it grew by; recovery calls it with those it derived."""
        with self._or_stop("publication"):
            published = self._publisher.publish(self.head, growth)
        self.published = self._unarchived = published
        self._heads.remember(published.checkpoint.size, published.checkpoint.root)
        return published

    def require_able(self) -> None:
        """Raise ReadOnlyLog or Unavailable when this sequencer may not or cannot go on."""
        if self.read_only is not None:
            raise ReadOnlyLog(self.read_only)
        if self._failed is not None:
            raise Unavailable(f"the log stopped at a failed {self._failed}; restarting the node recovers it")

    def _decide(self, limit: int) -> Plan | None:
        with self._engine.connect() as connection:
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
            with self._or_stop("commit"):
                transaction.commit()
        self._state = decided.state
        self._unarchived = None

    def _write(self, connection: Connection, decided: Plan) -> None:
        if self._unarchived is not None:
            archive_note(connection, self._unarchived)
        if decided.entries:
            if not move_head(connection, self.head, decided.state.head):
                self._failed = "comparison of heads"
                raise Unavailable("the head was moved by somebody else; restarting the node recovers it")
            add_entries(connection, decided, decided.state.head)
        record_outcomes(connection, decided)

    @contextmanager
    def _or_stop(self, step: str) -> Iterator[None]:
        # Whether a failed commit or write took effect is unknown here; only recovery can look.
        try:
            yield
        except BaseException:
            self._failed = step
            raise
