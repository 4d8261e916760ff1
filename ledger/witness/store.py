"""What a witness cosigned, in SQLite: one row a log, changed and durable before anybody is answered.

The file is this process's alone (`ledger.process.exclusive`), so that a second witness on the same folder is refused instead of
cosigning beside the first.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..process.exclusive import ExclusiveDatabase
from .decision import LastSeen

MAX_CONFLICTS: Final = 16
"""Forks kept for each log: two are a proof already, and a log that forks must not fill the disk."""

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, "
    "note BLOB NOT NULL, time_s INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS conflict (origin TEXT NOT NULL, size INTEGER NOT NULL, note BLOB NOT NULL, "
    "seen BLOB NOT NULL, PRIMARY KEY (origin, size, note)) WITHOUT ROWID",
)


class WitnessStore:
    """The state of one witness. Safe to share by threads: `turn` gives one of them at a time the only transaction."""

    def __init__(self, path: Path) -> None:
        self._file = ExclusiveDatabase(path, _SCHEMA, "witness")

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """One transaction; what it keeps is durable when the block has ended. Raises Unavailable, keeping nothing."""
        with self._file.transaction() as db:
            yield Turn(db)

    def latest(self, origin: str) -> bytes | None:
        """The latest cosigned checkpoint of a log, with its log's signatures and the witness's; None before the first."""
        with self.turn() as turn:
            return turn.note(origin)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class Turn:
    """One transaction of a `WitnessStore`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def last(self, origin: str) -> LastSeen:
        """The tree of a log that was cosigned last."""
        found = self._db.execute("SELECT size, root FROM seen WHERE origin = ?", (origin,)).fetchone()
        return LastSeen() if found is None else LastSeen(found[0], found[1])

    def note(self, origin: str) -> bytes | None:
        """The note that was cosigned last."""
        found = self._db.execute("SELECT note FROM seen WHERE origin = ?", (origin,)).fetchone()
        return None if found is None else bytes(found[0])

    def keep(self, origin: str, seen: LastSeen, note: bytes, time_s: int) -> None:
        """Make this the tree that was cosigned last; only the latest is kept."""
        self._db.execute(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", (origin, seen.size, seen.root, note, time_s)
        )

    def keep_conflict(self, origin: str, size: int, note: bytes) -> None:
        """Keep a checkpoint that the log signed beside the one that was cosigned at the same size."""
        have = self._db.execute("SELECT count(*) FROM conflict WHERE origin = ?", (origin,)).fetchone()[0]
        if have < MAX_CONFLICTS:
            self._db.execute(
                "INSERT OR IGNORE INTO conflict VALUES (?, ?, ?, ?)", (origin, size, note, self.note(origin))
            )

    def conflicts(self, origin: str) -> list[tuple[bytes, bytes]]:
        """Pairs of checkpoints of one size and two roots that the log signed: what was cosigned, and what came after."""
        rows = self._db.execute("SELECT seen, note FROM conflict WHERE origin = ? ORDER BY size", (origin,))
        return [(bytes(seen), bytes(note)) for seen, note in rows]


def now_s() -> int:
    """This machine's clock, seconds since 1970 UTC."""
    return int(time.time())


Clock = Callable[[], int]
"""Seconds since 1970, UTC."""
