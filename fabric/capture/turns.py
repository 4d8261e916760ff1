"""Several nodes on one PostgreSQL database: one sequences, the others follow, and any may become the one.

`Turns` is what a writer sequences with where the database is shared. It has the face of a `Sequencer`: while this
node holds the lock it is one, opened from the database when the lock was taken; else it follows what is published,
and `sequence` does nothing. A node whose log is read-only takes no turn, so that another can.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import Engine

from ledger.checkpoint import Checkpoint
from ledger.log.database import archive_note, read_head
from ledger.log.follow import Follower
from ledger.log.guard import Mark, MarkSource, ReadOnly, ReadOnlyLog
from ledger.log.lock import LostTurn, SequencerLock
from ledger.log.publish import Published, Publisher
from ledger.log.sequencer import BATCH, OnRefused, OnSequenced, Sequencer
from ledger.registry import Registry

LOOK_EVERY_S: Final = 0.1
"""How long a node waits before it looks again at what others staged, published, or let go of."""

_ASK_WHO_S: Final = 1.0


class Turns:
    """One node's part in sequencing a shared log; used by the writer's thread, looked at by others.

    `open_sequencer` recovers the log when the lock was just taken. It gets marks, which are asked before each
    transaction and each signature, and with them it is asked whether the lock is still held.
    """

    def __init__(
        self,
        engine: Engine,
        lock: SequencerLock,
        publisher: Publisher,
        origin: str,
        marks: MarkSource,
        open_sequencer: Callable[[MarkSource], Sequencer],
    ) -> None:
        self._engine = engine
        self._lock = lock
        self._follower = Follower(engine, publisher, origin)
        self._marks = marks
        self._open = open_sequencer
        self._inner: Sequencer | None = None
        self._refusal: ReadOnly | None = None
        self._asked_at = 0.0
        self.holder: str | None = None
        self.turns = 0

    @property
    def is_sequencing(self) -> bool:
        """Whether it is this node's turn, as far as it knows."""
        return self._inner is not None

    @property
    def head(self) -> Checkpoint:
        """The committed head."""
        if self._inner is not None:
            return self._inner.head
        with self._engine.connect() as connection:
            return read_head(connection)

    @property
    def registry(self) -> Registry:
        """The registry in force for the next entry, or under the last checkpoint that was published."""
        inner = self._inner
        return self._follower.registry if inner is None else inner.registry

    @property
    def published(self) -> Published | None:
        """The latest checkpoint that this node shows."""
        inner = self._inner
        return self._follower.published if inner is None else inner.published

    @property
    def read_only(self) -> ReadOnly | None:
        """Why this node takes no turn, and takes nothing in."""
        return self._refusal or self._follower.read_only

    @property
    def is_lacking(self) -> bool:
        """See `Sequencer`."""
        return self._inner is not None and self._inner.is_lacking

    def look(self) -> bool:
        """Take the turn if nobody has it, else follow who has; True when a new turn began here."""
        if self._inner is not None:
            if self._lock.is_held():
                return False
            self._drop()
        if self.read_only is None and self._lock.try_take():
            return self._begin()
        self._follower.advance()
        self._ask_who()
        return False

    def check_marks(self) -> None:
        """See `Sequencer`; a turn that is lost is given up. Raises ReadOnlyLog."""
        if self.read_only is not None:
            raise ReadOnlyLog(self.read_only)
        if self._inner is not None:
            try:
                self._inner.check_marks()
            except ReadOnlyLog as error:
                self._refuse(error.state)
                raise
            except Exception:
                # Whoever stores goes on: another node sequences it, or this one when it is its turn again.
                with suppress(LostTurn):
                    self._give_up_if_lost()
                if self._inner is not None:
                    raise

    def sequence(
        self, on_sequenced: OnSequenced | None = None, on_refused: OnRefused | None = None, limit: int = BATCH
    ) -> Published | None:
        """See `Sequencer`; None while another node sequences. Raises LostTurn when it is another's turn now."""
        if self._inner is None:
            return None
        try:
            return self._archived(self._inner.sequence(on_sequenced, on_refused, limit))
        except ReadOnlyLog as error:
            self._refuse(error.state)
            raise
        except Exception:
            self._give_up_if_lost()
            raise

    def complete(self) -> Published | None:
        """See `Sequencer`."""
        return None if self._inner is None else self._archived(self._inner.complete())

    def close(self) -> None:
        """Let go of the lock, if it is held: another node takes over at once."""
        self._drop()
        self._lock.release()

    def _begin(self) -> bool:
        try:
            inner = self._open(self._held_marks)
        except BaseException:
            self._lock.release()
            raise
        if inner.read_only is not None:
            self._refuse(inner.read_only)
            return False
        self._inner = inner
        self.turns += 1
        self.holder = None
        self._archived(inner.published)
        return True

    def _held_marks(self, origin: str) -> Sequence[Mark]:
        self._lock.require()
        return self._marks(origin)

    def _archived(self, published: Published | None) -> Published | None:
        """Tell the other nodes what was published: they take the note from the database."""
        if published is not None:
            with self._engine.begin() as connection:
                # Lost with the power it is written again: every start publishes its head.
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                archive_note(connection, published)
        return published

    def _refuse(self, state: ReadOnly) -> None:
        self._refusal = state
        self._drop()
        self._lock.release()

    def _give_up_if_lost(self) -> None:
        """Raise LostTurn in place of an error that came of not holding the lock any more.

        Also where the log went on without this node: whoever held the lock before may have lost it in the middle
        of a transaction, which then was committed. The next look opens the log anew.
        """
        if not self._lock.is_held() or self._is_old():
            self._drop()
            raise LostTurn

    def _is_old(self) -> bool:
        with self._engine.connect() as connection:
            return self._inner is not None and read_head(connection) != self._inner.head

    def _drop(self) -> None:
        # What this node knows of the log may be old from here on: the next turn reads everything again.
        if self._inner is not None:
            self._follower.resume(self._inner.published, self._inner.registry)
            self._inner = None

    def _ask_who(self) -> None:
        if time.monotonic() - self._asked_at > _ASK_WHO_S:
            self._asked_at = time.monotonic()
            self.holder = self._lock.holder()


__all__ = ["LOOK_EVERY_S", "Turns"]
