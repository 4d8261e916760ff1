"""Who may sequence, where several nodes share one PostgreSQL database, and taking turns at what must not overlap.

On SQLite the folder's lock decides, and nothing here does anything. On PostgreSQL:

- `SequencerLock` is an advisory lock of a session: one node holds it, on a connection of its own, and the
  server lets go of it when that connection ends, however it ends. Whoever sequences asks before each transaction
  and before each signature whether the connection still stands. That question alone could be answered a moment too
  early; what keeps the log whole is that the head is moved by compare-and-swap, and only a committed head is signed.
- `take_turns` is an advisory lock of a transaction: what one transaction reads and decides by, no other changes
  until it is over.
"""

from __future__ import annotations

import os
import socket
from threading import Lock
from typing import Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ..errors import Unavailable
from .dialect import is_sqlite
from .engine import lock_engine

_CLASS: Final = 0x4C4D
"""First number of every advisory lock of a log; they are the database's, which holds one log."""

SEQUENCING: Final = 1
STORING: Final = 2
MIGRATING: Final = 3


NAME: Final = f"loomark {socket.gethostname()} {os.getpid()}"[:63]
"""How this process names its lock connection; the server shows it beside the lock."""

_TAKE: Final = f"SELECT pg_try_advisory_lock({_CLASS}, {SEQUENCING})"
_HOLDER: Final = (
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    f" WHERE l.locktype = 'advisory' AND l.classid = {_CLASS} AND l.objid = {SEQUENCING} AND l.granted"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class DatabaseAway(Unavailable):
    """The database server does not answer; it may be back soon."""

    rule = "database-away"

    def __init__(self) -> None:
        super().__init__("the database does not answer")


class LostTurn(Unavailable):
    """This node does not hold the lock any more: another may sequence. What is stored stays stored."""

    def __init__(self) -> None:
        super().__init__("another node sequences this log now")


def take_turns(connection: Connection, what: int) -> None:
    """Wait until no other transaction does `what`; it is this one's turn until it ends."""
    if not is_sqlite(connection):
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s, %s)", (_CLASS, what))


class SequencerLock:
    """The lock of one node, on a connection of its own to the database `url`. Safe to share by threads."""

    def __init__(self, url: str) -> None:
        self._engine: Engine = lock_engine(url, NAME)
        self._connection: Connection | None = None
        self._using = Lock()

    def try_take(self) -> bool:
        """Take the lock unless somebody has it; True when it is held here. Raises Unavailable without a server."""
        with self._using:
            if self._connection is not None and self._answers():
                return True
            try:
                self._connection = self._engine.connect()
                taken = bool(_ask(self._connection, _TAKE))
            except DBAPIError as error:
                self._drop()
                raise DatabaseAway from error
            if not taken:
                self._connection.close()
                self._connection = None
            return taken

    def is_held(self) -> bool:
        """Whether the connection that holds the lock still stands. Once it does not, the lock is lost for good."""
        with self._using:
            return self._connection is not None and self._answers()

    def holder(self) -> str | None:
        """The name that whoever holds the lock gave its connection, None while nobody does."""
        with self._using:
            if self._connection is not None:
                return NAME
            try:
                with self._engine.connect() as connection:
                    found: str | None = connection.exec_driver_sql(_HOLDER).scalar()
            except DBAPIError:
                return None
            return found

    def require(self) -> None:
        """Raise LostTurn unless the lock is held here."""
        if not self.is_held():
            raise LostTurn

    def release(self) -> None:
        """Let go of the lock; nothing happens when it is not held."""
        with self._using:
            self._drop()
            self._engine.dispose()

    def _answers(self) -> bool:
        if self._connection is None:
            return False
        try:
            _ask(self._connection, "SELECT 1")
        except DBAPIError:
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        # The session is ended, not returned to a pool: a session that goes on would go on holding the lock.
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


class OnlyTurn:
    """The lock of work that no node may sequence beside, in the manner of a folder's lock."""

    def __init__(self, url: str) -> None:
        self._lock = SequencerLock(url)

    def acquire(self) -> None:
        """Take the lock. Raises Unavailable while a node sequences."""
        if not self._lock.try_take():
            self._lock.release()
            raise Unavailable("a node sequences this log; stop all nodes on its database first")

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()


def _ask(connection: Connection, statement: str) -> Any:
    return connection.exec_driver_sql(statement).scalar_one()
