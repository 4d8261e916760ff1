"""The writer of a node whose database is shared: it stores what it is sent, whoever sequences.

What this node stored while another sequences is settled once that one gave it an index or refused it, and this
node shows the checkpoint that covers it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

from fabric.store.jobs import Job
from ledger.errors import Unavailable
from ledger.log.database import read_head, staged_rows
from ledger.log.lock import STORING, DatabaseAway, LostTurn, take_turns
from ledger.log.space import storage_full

from .indexing import Indexer
from .intake import Intake
from .prepare import Prepared
from .turns import LOOK_EVERY_S, Turns
from .writer import Work, Writer, answer


class SharedWriter(Writer):
    """A `Writer` that takes turns with those of other nodes."""

    def __init__(
        self,
        engine: Engine,
        turns: Turns,
        intake: Intake,
        *,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        super().__init__(engine, turns, Indexer(turns.registry), intake, on_failure=on_failure)
        self._turns = turns
        self._unsettled: list[tuple[frozenset[int] | None, Sequence[Work]]] = []

    def sequence(self) -> None:
        """Sequence all that is staged, by any node, if it is this one's turn."""
        try:
            if self._turns.look():
                # Others wrote since this node's last turn: what it remembered of things and classes is old.
                self._indexer = Indexer(self._turns.registry)
                # Whoever sequenced before may have ended between an erasure and its sweep.
                self._sweeper.remind()
            super().sequence()
        except LostTurn:
            return

    def stop(self, timeout_s: float = 10.0) -> None:
        """Finish what is queued, end the thread, and let another node sequence."""
        super().stop(timeout_s)
        self._turns.close()

    def _begin(self, connection: Connection) -> None:
        # Numbers of records and the rule on duplicates rest on what is stored already.
        take_turns(connection, STORING)

    def _store(self, connection: Connection, member: str, prepared: Prepared) -> Job:
        stored = self._intake.store(connection, member, prepared, self.log_view())
        if stored.fresh is not None and self._turns.is_sequencing:
            self._indexer.remember(stored.fresh)
        return stored.job

    def _sweep(self) -> None:
        # One database is swept once, not by each of its nodes.
        if self._turns.is_sequencing:
            super()._sweep()

    def _patience_s(self) -> float:
        return LOOK_EVERY_S

    def _turn(self) -> bool:
        try:
            return super()._turn()
        except (OperationalError, InterfaceError, DatabaseAway) as error:
            self._suffer(error)
            return True

    def _idle(self) -> None:
        self._try_again()
        self._look_at_unsettled()

    def _settle(self, batch: Sequence[Work]) -> None:
        if self._turns.is_sequencing:
            super()._settle(batch)
            return
        self._unsettled.append((None, batch))
        self._look_at_unsettled()

    def _look_at_unsettled(self) -> None:
        if not self._unsettled:
            return
        with self._engine.connect() as connection:
            waiting = staged_rows(connection)
            size = read_head(connection).size
        published = self._turns.published
        if published is None or published.checkpoint.size < size:
            self._unsettled = [(waiting if rows is None else rows, batch) for rows, batch in self._unsettled]
            return
        # More than a batch may wait when it is looked for first; what another node sequenced before is not among it.
        unsettled = [(waiting if rows is None else rows, batch) for rows, batch in self._unsettled]
        self._unsettled = [(rows, batch) for rows, batch in unsettled if not rows.isdisjoint(waiting)]
        for rows, batch in unsettled:
            if rows.isdisjoint(waiting):
                super()._settle(batch)

    def _suffer(self, error: BaseException) -> None:
        """Go on when the database was away: what was being stored is sent again, and a turn begins anew."""
        if isinstance(error, OperationalError | InterfaceError) and storage_full(error) is None:
            self.trouble = DatabaseAway()
        elif isinstance(error, DatabaseAway | LostTurn):
            self.trouble = error
        else:
            super()._suffer(error)

    def _abandon(self) -> None:
        super()._abandon()
        lost = Unavailable(
            "the node stopped; what was stored is sequenced by another, or after its next start"
        )
        for _, batch in self._unsettled:
            for work in batch:
                answer(work.ticket.settled, lost)
        self._unsettled = []
