"""What the anchor must not forget, in SQLite: `hyperledger/anchor.db`.

The file is this process's alone (`ledger.process.exclusive`), so that a second anchor on the same folder is refused instead of
cosigning beside the first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...process.exclusive import ExclusiveDatabase
from ...witness.decision import LastSeen

MAX_BACKLOG: Final = 100_000
"""Checkpoints that wait at most; beyond it the newest takes the place of the one before it."""

MAX_WAITING: Final = 100_000
"""Own checkpoints on the channel that wait for their quorum at most; a newer one with it covers those before."""

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS backlog (size INTEGER PRIMARY KEY, root BLOB NOT NULL, note BLOB NOT NULL, "
    "time_ms INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS anchored (size INTEGER PRIMARY KEY, root BLOB NOT NULL, note BLOB NOT NULL, "
    "time_ms INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, "
    "note BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, origin TEXT NOT NULL, size INTEGER NOT NULL, "
    "line BLOB NOT NULL, UNIQUE (origin, size))",
    "CREATE TABLE IF NOT EXISTS refused (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, rule TEXT NOT NULL, "
    "reason TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS place (name TEXT PRIMARY KEY, number INTEGER NOT NULL, text TEXT NOT NULL) "
    "WITHOUT ROWID",
)
_EVENTS: Final = "events"
_ANCHORED: Final = "anchored"


@dataclass(frozen=True, slots=True)
class Kept:
    """An own checkpoint as it was published: its size, root and note, and when it got here."""

    size: int
    root: bytes
    note: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class Unsent:
    """A cosignature line that was made and is not known to be on the channel."""

    number: int
    origin: str
    size: int
    line: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last checkpoint of a log that this organisation would not cosign, and why."""

    origin: str
    size: int
    rule: str
    reason: str


class AnchorStore:
    """The state of one anchor. Safe to share by threads: `turn` gives one of them at a time the only transaction."""

    def __init__(self, path: Path) -> None:
        self._file = ExclusiveDatabase(path, _SCHEMA, "anchor")

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """One transaction; what it keeps is durable when the block has ended. Raises Unavailable, keeping nothing."""
        with self._file.transaction() as db:
            yield Turn(db)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class Turn:
    """One transaction of an `AnchorStore`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def enqueue(self, kept: Kept) -> None:
        """Put a checkpoint behind the backlog, where it is larger than all that ever were in it."""
        if kept.size <= self.last_selected():
            return
        if self.backlog() >= MAX_BACKLOG:
            self._db.execute("DELETE FROM backlog WHERE size = (SELECT max(size) FROM backlog)")
        self._db.execute(
            "INSERT INTO backlog VALUES (?, ?, ?, ?)", (kept.size, kept.root, kept.note, kept.time_ms)
        )
        self._put("selected", kept.size)

    def last_selected(self) -> int:
        """The size of the checkpoint that was put into the backlog last; 0 before the first."""
        return self._number("selected")

    def backlog(self) -> int:
        """How many checkpoints wait."""
        return int(self._db.execute("SELECT count(*) FROM backlog").fetchone()[0])

    def oldest(self) -> Kept | None:
        """The checkpoint that is next."""
        found = self._db.execute("SELECT * FROM backlog ORDER BY size LIMIT 1").fetchone()
        return None if found is None else Kept(*found)

    def settle(self, kept: Kept, time_ms: int) -> None:
        """Take a checkpoint that is on the channel out of the backlog; it waits for its quorum from now on."""
        self._db.execute(
            "INSERT OR REPLACE INTO anchored VALUES (?, ?, ?, ?)", (kept.size, kept.root, kept.note, time_ms)
        )
        self._db.execute(
            "DELETE FROM anchored WHERE size <= (SELECT size FROM anchored ORDER BY size DESC LIMIT 1 OFFSET ?)",
            (MAX_WAITING,),
        )
        self.cover(kept, kept.size, time_ms)

    def cover(self, kept: Kept, size: int, time_ms: int) -> None:
        """Take a checkpoint out of the backlog that one of `size` on the channel covers."""
        self._db.execute("DELETE FROM backlog WHERE size = ?", (kept.size,))
        self._put(_ANCHORED, max(size, self.on_channel()[0]), str(time_ms))

    def on_channel(self) -> tuple[int, int]:
        """Size of the largest own checkpoint known to be on the channel, and when that became known (ms); else zeros."""
        found = self._db.execute("SELECT number, text FROM place WHERE name = ?", (_ANCHORED,)).fetchone()
        return (0, 0) if found is None else (found[0], int(found[1]))

    def waiting(self, limit: int) -> list[Kept]:
        """Own checkpoints on the channel that have no quorum yet, the largest first, at most so many."""
        rows = self._db.execute("SELECT * FROM anchored ORDER BY size DESC LIMIT ?", (limit,))
        return [Kept(*row) for row in rows]

    def forget_waiting(self, size: int) -> None:
        """Wait no longer for checkpoints below a size that has its quorum."""
        self._db.execute("DELETE FROM anchored WHERE size < ?", (size,))

    def kept(self, size: int) -> Kept | None:
        """An own checkpoint on the channel that is still waited for."""
        found = self._db.execute("SELECT * FROM anchored WHERE size = ?", (size,)).fetchone()
        return None if found is None else Kept(*found)

    def seen(self, origin: str) -> LastSeen:
        """The tree of a log that was cosigned last."""
        found = self._db.execute("SELECT size, root FROM seen WHERE origin = ?", (origin,)).fetchone()
        return LastSeen() if found is None else LastSeen(found[0], found[1])

    def seen_note(self, origin: str) -> bytes | None:
        """The note that was cosigned last, with the log's lines and the own one."""
        found = self._db.execute("SELECT note FROM seen WHERE origin = ?", (origin,)).fetchone()
        return None if found is None else bytes(found[0])

    def keep_cosigned(self, origin: str, seen: LastSeen, note: bytes, line: bytes) -> None:
        """Make this the tree that was cosigned last, and its line one to be sent."""
        self._db.execute(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", (origin, seen.size, seen.root, note)
        )
        self._db.execute(
            "INSERT OR IGNORE INTO outbox (origin, size, line) VALUES (?, ?, ?)", (origin, seen.size, line)
        )
        self._db.execute("DELETE FROM refused WHERE origin IN (?, '')", (origin,))

    def cosigned(self) -> dict[str, int]:
        """The size cosigned last, by origin."""
        return {str(row[0]): int(row[1]) for row in self._db.execute("SELECT origin, size FROM seen")}

    def unsent(self, limit: int = 64) -> list[Unsent]:
        """Lines that are to be sent: each log's oldest, then each log's next, so that no log makes others wait."""
        rows = self._db.execute(
            "SELECT id, origin, size, line FROM outbox"
            " ORDER BY row_number() OVER (PARTITION BY origin ORDER BY id), id LIMIT ?",
            (limit,),
        )
        return [Unsent(*row) for row in rows]

    def unsent_count(self) -> int:
        """How many lines are to be sent."""
        return int(self._db.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def sent(self, number: int) -> None:
        """A line is on the channel, or can never be."""
        self._db.execute("DELETE FROM outbox WHERE id = ?", (number,))

    def refuse(self, refusal: Refusal) -> None:
        """Remember what was not cosigned last of a log, and why."""
        self._db.execute(
            "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)",
            (refusal.origin, refusal.size, refusal.rule, refusal.reason),
        )

    def refusals(self) -> list[Refusal]:
        """What was not cosigned last, by origin; a log that goes on as it should is no longer among them."""
        return [Refusal(*row) for row in self._db.execute("SELECT * FROM refused ORDER BY origin")]

    def position(self) -> tuple[int, str] | None:
        """Block and transaction id of the last event that was dealt with."""
        found = self._db.execute("SELECT number, text FROM place WHERE name = ?", (_EVENTS,)).fetchone()
        return None if found is None else (found[0], found[1])

    def move(self, block: int, tx_id: str) -> None:
        """The event of this transaction was dealt with."""
        self._put(_EVENTS, block, tx_id)

    def fed(self, origin: str) -> int:
        """Up to which size a log's anchored checkpoints were handed to its monitor."""
        return self._number(f"fed {origin}")

    def feed(self, origin: str, size: int) -> None:
        """A log's anchored checkpoints up to a size were handed to its monitor."""
        self._put(f"fed {origin}", size)

    def _number(self, name: str) -> int:
        found = self._db.execute("SELECT number FROM place WHERE name = ?", (name,)).fetchone()
        return 0 if found is None else int(found[0])

    def _put(self, name: str, number: int, text: str = "") -> None:
        self._db.execute("INSERT OR REPLACE INTO place VALUES (?, ?, ?)", (name, number, text))
