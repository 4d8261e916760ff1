"""One run of a check: the copy it reads, what it found, how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, Table, func, select
from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LoomarkError, Unavailable
from ledger.log.durable import Files
from ledger.log.fault import Faults
from ledger.registry import Registry

PORTION: Final = 500
DAMAGED: Final = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, LoomarkError, OSError)
"""What reading a damaged row or file raises, where what it holds is of another type or shape than was written."""

_NO_ROOM: Final = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_READONLY"})


class NoRoom(Unavailable):
    """The scratch folder is full or cannot be written: nothing was learned of what was to be checked."""


Progress = Callable[[str, int, int], None]
"""Called with what is being checked, how much of it is done, and of how much."""


@dataclass
class Run:
    """What the parts of a check share. `engine` reads the copy; `registry` is the one at the head of the log.

    `live` says that a node may go on writing to what is not in the copy.
    """

    engine: Engine
    progress: Progress
    registry: Registry = field(default_factory=Registry)
    head: int = 0
    live: bool = False
    high_water: Path = Path("high-water")
    files: Files | None = None
    elsewhere: frozenset[str] = frozenset()
    faults: Faults = field(default_factory=Faults)
    count: dict[str, int] = field(default_factory=dict)

    def rows(self, table: Table) -> Iterator[Any]:
        """The rows of a table in the order of its key, read in portions; counts them."""
        total, done, last = self.total(table), 0, None
        key = next(iter(table.primary_key))
        while True:
            query = select(table).order_by(key).limit(PORTION)
            with self.engine.connect() as connection:
                rows = list(connection.execute(query if last is None else query.where(key > last)))
            yield from rows
            if len(rows) < PORTION:
                break
            done, last = done + len(rows), rows[-1]._mapping[key.name]
            self.progress(f"{table.name}s", done, total)
        self.count[table.name] = done + len(rows)

    def total(self, table: Table) -> int:
        """How many rows a table has."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    @contextmanager
    def part(self, place: str) -> Iterator[None]:
        """Note a fault, and go on behind this block, where the database gives nothing to read."""
        try:
            yield
        except SQLAlchemyError as error:
            require_room(error)
            self.faults.note("database-page", place, f"expected to read it, got: {reason(error)}")

    @contextmanager
    def row(self, rule: str, place: str, **more: Any) -> Iterator[None]:
        """Note a fault where a row holds what nothing can be made of."""
        try:
            yield
        except NoRoom:
            raise
        except DAMAGED as error:
            self.faults.note(
                rule, place, f"expected values as they are written, got: {reason(error)}", **more
            )


def require_room(error: BaseException) -> None:
    """Raise Unavailable where an error is about the scratch folder, not about what is checked."""
    cause = getattr(error, "orig", None) or error
    if getattr(cause, "sqlite_errorname", "") in _NO_ROOM:
        raise NoRoom(
            "the check has no room for its copy, or cannot write it: name another folder with --scratch"
        ) from error


def reason(error: BaseException) -> str:
    """Why something could not be read, without a word of what it holds."""
    if isinstance(error, SQLAlchemyError):
        return str(getattr(error, "orig", None) or type(error).__name__)[:200]
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return getattr(error, "message", None) or type(error).__name__
