"""What the projector knows it has written: how far it read, and where each event record was put.

A small SQLite file beside the graph. It is a note, not a truth: without it, or with classes that were numbered
anew, every record is compared with the graph again. Notes are written after the graph, so a crash between
the two repeats work and loses none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from .source import Place

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS placed (record INTEGER PRIMARY KEY, class INTEGER, partial INTEGER, void_by INTEGER)",
    "CREATE TABLE IF NOT EXISTS class (id INTEGER PRIMARY KEY, members TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS purged (id INTEGER PRIMARY KEY CHECK (id = 1), erasure INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS reached (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL)",
)
_PLACES: Final = (
    "SELECT record, class, partial, void_by FROM placed WHERE record > ? AND record <= ? ORDER BY record"
)
_PLACE: Final = "SELECT record, class, partial, void_by FROM placed WHERE record = ?"


class Progress:
    """The notes of one projector; nobody else opens them."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        # A lost note costs time only, so it need not reach the disk before the next one.
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        for statement in _TABLES:
            self._database.execute(statement)
        self._database.commit()

    def reached(self) -> int:
        """The tree size below which every record was written."""
        row = self._database.execute("SELECT size FROM reached").fetchone()
        return 0 if row is None else int(row[0])

    def purged(self) -> int | None:
        """The log index of the last erasure of which no file of the graph holds anything; None for a new graph."""
        row = self._database.execute("SELECT erasure FROM purged").fetchone()
        return None if row is None else int(row[0])

    def note_purged(self, erasure: int) -> None:
        """Erasures up to a log index, -1 for none so far, have no trace in the files of the graph."""
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO purged VALUES (1, ?)", (erasure,))

    def note(self, places: Iterable[Place], reached: int | None = None) -> None:
        """Records that were written where `places` say; `reached` moves on when all below it were."""
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO placed VALUES (?, ?, ?, ?)", places)
            if reached is not None:
                self._database.execute("INSERT OR REPLACE INTO reached VALUES (1, ?)", (reached,))

    def moved(self, now: list[Place]) -> list[int]:
        """Records of a stretch of numbers, in order and complete, that were written otherwise or not at all."""
        if not now:
            return []
        before = set(self._database.execute(_PLACES, (now[0].record - 1, now[-1].record)))
        return [place.record for place in now if place not in before]

    def differing(self, now: Iterable[Place]) -> list[int]:
        """Records, in any order and number, that were written otherwise or not at all."""
        ask = self._database.execute
        return [place.record for place in now if ask(_PLACE, (place.record,)).fetchone() != place]

    def agree_on_classes(self, classes: Mapping[int, frozenset[str]]) -> bool:
        """Whether class numbers still mean what they did; forgets all places when they do not."""
        known: dict[int, str] = dict(self._database.execute("SELECT id, members FROM class"))
        told = {number: " ".join(sorted(members)) for number, members in classes.items()}
        agreed = all(told.get(number) == members for number, members in known.items())
        with self._database:
            if not agreed:
                self._database.execute("DELETE FROM placed")
                self._database.execute("DELETE FROM class")
            rows = told.items() if not agreed else [row for row in told.items() if row[0] not in known]
            self._database.executemany("INSERT INTO class VALUES (?, ?)", rows)
        return agreed

    def close(self) -> None:
        """Close the file."""
        self._database.close()
