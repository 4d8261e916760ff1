"""How much work one question may cost, and how a database is stopped in the middle of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from ledger.log.dialect import is_sqlite

from .errors import QueryTooComplex

Clock = Callable[[], float]
"""Seconds from some moment on, that never go back."""

_STEPS: Final = 20_000
"""Instructions of SQLite between two looks at the clock: some tenths of a millisecond."""

# Rows are wanted in the order of an index, a page of them: without statistics a server would rather read all and sort.
_SERVER: Final = (
    "SELECT set_config('statement_timeout', %s, true), set_config('enable_bitmapscan', 'off', true),"
    " set_config('enable_sort', 'off', true)"
)
_CANCELLED: Final = "57014"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one answer may cost: `seconds` in all, `bodies` of events that are read and decided on one by one."""

    seconds: float = 3.0
    bodies: int = 20_000


class Spending:
    """A budget while it is spent."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self._clock = clock
        self._until = clock() + budget.seconds
        self._bodies = budget.bodies

    @property
    def seconds_left(self) -> float:
        """Seconds that are left, down to 0."""
        return max(0.0, self._until - self._clock())

    @property
    def is_spent(self) -> bool:
        """Whether no time is left, or no body may be read."""
        return self._bodies <= 0 or self.seconds_left == 0.0

    def read(self, count: int) -> None:
        """Take so many bodies from what is left."""
        self._bodies -= count

    def most(self, count: int) -> int:
        """How many bodies may be read at once, of those that are wanted."""
        return max(1, min(count, self._bodies))


@contextmanager
def stopped_when_spent(connection: Connection, spending: Spending) -> Iterator[None]:
    """Let no statement of a block run on once the time is spent: QueryTooComplex then."""
    driver: Any = connection.connection.driver_connection
    if is_sqlite(connection):
        driver.set_progress_handler(lambda: spending.seconds_left == 0.0, _STEPS)
    else:
        # Of this transaction only; the server counts each statement by itself, so none outlives it by much.
        limit = max(1, round(spending.seconds_left * 1000))
        connection.exec_driver_sql(_SERVER, (str(limit),))
    try:
        yield
    except DBAPIError as error:
        if was_stopped(error):
            raise too_complex() from None
        raise
    finally:
        if is_sqlite(connection):
            driver.set_progress_handler(None, 0)


def too_complex() -> QueryTooComplex:
    """The refusal of a question that costs more than the budget."""
    return QueryTooComplex(
        "expected a question that can be answered within the node's budget, got one that needs more: ask for a"
        " shorter time, a place, a business step, or things by name"
    )


def was_stopped(error: DBAPIError) -> bool:
    """Whether a statement ended because the time was spent."""
    return str(error.orig) == "interrupted" or getattr(error.orig, "sqlstate", None) == _CANCELLED
