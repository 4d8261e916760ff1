"""Takes out of the database's files what an erasure took out of its tables.

A deleted row leaves copies behind: in the write-ahead log, in dead tuples, and whether in pages that were split or
moved nobody promises. So the files are rewritten after erasures: on SQLite VACUUM, then a checkpoint that truncates the write-ahead log; on
PostgreSQL VACUUM FULL of the tables that held values. This costs the time to copy the database, so several erasures
share one sweep, and sweeping takes a tenth of the writer's time at most. `erasure.swept` says what is done, durably:
a node that was killed in between sweeps at its next start.

This is about the database alone. Where several nodes share one, the one that sequences sweeps it, for all of them, and
whoever takes over goes on. What a node keeps in its own folder (`fabric.graph.snapshots`) it sweeps itself, and
remembers there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from fabric.store.erasures import last_erasure, mark_swept, unswept

REST: Final = 9.0
"""How many times as long as the last sweep took the writer does other work before the next."""

TRIES: Final = 20
TRY_AGAIN_S: Final = 0.1
"""A reader holds the write-ahead log for less than a second; then it can be truncated."""

LOCK_TIMEOUT_S: Final = 5
"""How long one table is waited for on PostgreSQL: whoever reads it meanwhile goes first."""

_NUMBER: Final = re.compile("[0-9]+")

TABLES: Final = (
    "document",
    "record",
    "job",
    "event",
    "line",
    "named",
    "master",
    "thing",
    "erased",
    "erased_name",
    "lineage_edge",
    "lineage_interval",
    "lineage_filling",
    "lineage_summary",
    "lineage_contradiction",
    "lineage_loser",
)
"""The tables that hold values, for PostgreSQL."""


class Sweeper:
    """Sweeps one database; used by the thread that writes. `clock` gives seconds that never go back."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._due = True
        self._not_before = -float("inf")

    @property
    def is_due(self) -> bool:
        """Whether files may hold something that was erased."""
        return self._due

    def remind(self) -> None:
        """An erasure took effect."""
        self._due = True

    def wait_s(self) -> float | None:
        """How long until the next sweep may be; None when there is nothing to sweep."""
        return max(0.0, self._not_before - self._clock()) if self._due else None

    def run(self) -> bool:
        """Sweep if it is due and time; True when nothing is left. What cannot be done now is tried again later."""
        if not self._due or self._clock() < self._not_before:
            return not self._due
        begun = self._clock()
        try:
            with self._engine.connect() as connection:
                self._due = unswept(connection) is not None
                # What another node erases while this one sweeps may be in tables that are done already.
                last = last_erasure(connection)
            if not self._due:
                return True
            self._due = not self._rewrite(last)
        except DBAPIError:
            # No room for a copy, a lock that somebody holds, a server that is away: the files wait.
            self._due = True
        self._not_before = self._clock() + max(REST * (self._clock() - begun), TRY_AGAIN_S)
        return not self._due

    def _rewrite(self, last: int) -> bool:
        sqlite = self._engine.dialect.name == "sqlite"
        if not (rewrite_sqlite(self._engine) if sqlite else rewrite_postgresql(self._engine)):
            return False
        with self._engine.begin() as connection:
            mark_swept(connection, last)
        return True


def rewrite_sqlite(engine: Engine) -> bool:
    """Copy the live rows into fresh pages and empty the write-ahead log; False when a reader held it all the time."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("VACUUM")
        for _ in range(TRIES):
            busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                return True
            time.sleep(TRY_AGAIN_S)
        return False
    finally:
        raw.close()


def rewrite_postgresql(engine: Engine) -> bool:
    """Write the tables that hold values anew, without dead tuples. Segments of its own log go with recycling.

    False when some stayed: the server copies what a transaction, of whichever client, could still see as it was, and
    skips, with no more than a warning, a table that belongs to another role.
    """
    kept: list[int] = []
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver: Any = connection.connection.driver_connection

        def hear(told: Any) -> None:
            kept.extend(kept_dead(told.message_detail))

        driver.add_notice_handler(hear)
        try:
            connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
            for table in TABLES:
                connection.exec_driver_sql(f'VACUUM (FULL, VERBOSE) "{table}"')
        finally:
            driver.remove_notice_handler(hear)
    return len(kept) == len(TABLES) and not any(kept)


def kept_dead(detail: str | None) -> list[int]:
    """How many dead rows VACUUM said it had to keep; nothing in a message that is not about this.

    Servers speak many languages. In each, the first line is about those rows and has one number.
    """
    numbers = _NUMBER.findall((detail or "").partition("\n")[0])
    return [int(numbers[0])] if len(numbers) == 1 else []
