"""What one answer is about: a read transaction, the classes its reader sees, and the tree size it covers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.engine import Connection

from fabric.store.bulk import select_keys
from fabric.visibility.classes import load
from fabric.visibility.reader import Reader
from ledger.log.database import read_head
from ledger.log.dialect import is_sqlite, key_set, rendered
from ledger.shape import time_ms

from .budget import Spending, too_complex

_NO_KEY: Final = -1
"""A number that nothing has: a set that turned out empty is asked for by the same query as any other."""

_TIMES: Final = (
    "SELECT p.value, (SELECT s.time FROM seal s WHERE s.idx >= p.value ORDER BY s.idx LIMIT 1)"
    " FROM {keys:bigint} AS p"
)
_SEAL_FROM: Final = "SELECT idx, first, time FROM seal WHERE idx >= ? ORDER BY idx LIMIT 1"


@dataclass(frozen=True, slots=True)
class Scope:
    """One reader's part of the store below one tree `size`; `classes` are those it sees whole, all of them listed."""

    connection: Connection
    reader: Reader
    classes: tuple[int, ...]
    size: int
    spending: Spending | None = None

    @classmethod
    def of(
        cls,
        connection: Connection,
        reader: Reader,
        size: int | None = None,
        spending: Spending | None = None,
    ) -> Scope:
        """The scope of a connection's transaction; without a size it is that of the head."""
        head = read_head(connection).size
        classes = sorted(number for number, members in load(connection).items() if reader.sees(members))
        return cls(connection, reader, tuple(classes), head if size is None else min(size, head), spending)

    def require_time(self) -> None:
        """Raise QueryTooComplex where no time is left: for who runs many statements, none of which takes long."""
        if self.spending is not None and not self.spending.seconds_left:
            raise too_complex()

    @property
    def limited(self) -> Collection[int] | None:
        """The classes, as what else reads for a reader wants them: None where it sees everything."""
        return None if self.reader.all else self.classes

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Rows of a SELECT with `?` for values and `IN {keys}` for sets, which `keys` makes."""
        text = rendered(query.replace("{no}", "+" if self.sqlite else ""), self.sqlite)
        cursor = self.connection.exec_driver_sql(text, values).cursor
        return [] if cursor is None else list(cursor.fetchall())

    @property
    def sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return is_sqlite(self.connection)

    def keys(self, values: Iterable[int] | Iterable[str]) -> Any:
        """The parameter for one `IN {keys}`."""
        found: list[Any] = sorted(values)
        return key_set(found or [_NO_KEY], self.sqlite)

    @property
    def seen(self) -> Any:
        """The parameter for `IN {keys}` of the visible classes."""
        return self.keys(self.classes)

    def record_times(self, indices: Iterable[int]) -> Mapping[int, int]:
        """recordTime in microseconds by log index: the time of the first seal at or after it."""
        rows = select_keys(self.connection, _TIMES, sorted(set(indices)))
        return {seq: time_ms(text, "seal") * 1000 for seq, text in rows}

    def first_recorded(self, time_us: int) -> int:
        """The lowest log index whose recordTime is at or after a time; the size where there is none.

        Times of seals never decrease, so a few of them are looked at.
        """
        low, high = 0, self.size
        while low < high:
            middle = (low + high) // 2
            row = next(iter(self.rows(_SEAL_FROM, middle)), None)
            if row is not None and time_ms(row[2], "seal") * 1000 < time_us:
                low = row[0] + 1
            else:
                high = middle
        return low
