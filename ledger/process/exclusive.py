"""An SQLite file of one process: locked for as long as it is open, and one transaction at a time.

A second process on the same file is refused instead of deciding beside the first. WAL with ``synchronous=FULL``: a commit
that returned survives a power cut.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from ..errors import Unavailable

_PRAGMAS: Final = ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL")


class ExclusiveDatabase:
    """The file, by its only connection. Safe to share by threads: one of them at a time has the transaction.

    `schema` are statements that change nothing where they ran before; `owner` says whose file it is, for messages.
    Raises Unavailable where the file cannot be opened, or another process holds it.
    """

    def __init__(self, path: Path, schema: Sequence[str], owner: str) -> None:
        self._owner = owner
        self._lock = Lock()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._db = sqlite3.connect(path, timeout=1.0, check_same_thread=False, isolation_level=None)
            for pragma in _PRAGMAS:
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute("BEGIN IMMEDIATE")
            for statement in schema:
                self._db.execute(statement)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise Unavailable(f"cannot open {path}: {error}; does another {owner} use it?") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """What is written in the block is durable when it has ended. Raises Unavailable, keeping nothing."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except (sqlite3.Error, OverflowError) as error:
                raise Unavailable(f"the state of the {self._owner} cannot be kept: {error}") from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()
