"""Things get a small integer each, once, so that lines and edges compare numbers instead of IRIs.

Only the transaction that sequences interns, so ids follow from one counter. A transaction works in a
`Sitting`; what it learned enters the long-lived `Interner` cache only by `keep`, after the commit: ids of a
transaction that was rolled back are never seen again.

A private name can be told with different kinds. The first in `_RANK` stands, whichever came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from .bulk import insert_rows, select_in, update_rows
from .schema import thing

CACHE_SIZE: Final = 200_000
_RANK: Final = {"lot": 0, "serial": 1, "class": 2, "place": 3, "party": 4, "document": 5, "device": 6}
_COLUMNS: Final = ("id", "iri", "kind")
_SELECT: Final = "SELECT iri, id, kind FROM thing WHERE iri IN ({in})"

Known = tuple[int, str]
"""A thing as stored: its id and its kind."""


class Interner:
    """The cache of interned things of one writer, oldest entries dropped first."""

    def __init__(self, size: int = CACHE_SIZE) -> None:
        self._size = size
        self._known: dict[str, Known] = {}

    def sitting(self, connection: Connection) -> Sitting:
        """A transaction's view; call its `keep` once the transaction has been committed."""
        return Sitting(connection, self._known, self)

    def clear(self) -> None:
        """Forget everything, as after the tables were rebuilt."""
        self._known.clear()

    def learn(self, fresh: Mapping[str, Known]) -> None:
        """Take in what a committed transaction learned."""
        self._known.update(fresh)
        surplus = len(self._known) - self._size
        if surplus > 0:
            for iri in list(islice(self._known, surplus)):
                del self._known[iri]


class Sitting:
    """Interning within one transaction."""

    def __init__(self, connection: Connection, shared: Mapping[str, Known], interner: Interner) -> None:
        self._connection = connection
        self._shared = shared
        self._interner = interner
        self._fresh: dict[str, Known] = {}
        self._next: int | None = None
        self.first_new: int | None = None
        self.contested: set[int] = set()

    def ids(self, told: Mapping[str, str]) -> dict[str, int]:
        """Ids by IRI for things told as IRI and kind; unknown ones are added.

        `first_new` is then the lowest id that was added, or None: no row names one of it or above. `contested` are
        those that were told with another kind than before.
        """
        self.first_new = None
        self.contested = set()
        fresh, shared = self._fresh, self._shared
        self._load(iri for iri in told if iri not in shared and iri not in fresh)
        ids: dict[str, int] = {}
        missing: list[str] = []
        for iri, kind in told.items():
            known = fresh.get(iri) or shared.get(iri)
            if known is None:
                missing.append(iri)
                continue
            ids[iri] = known[0]
            if kind != known[1]:
                self.contested.add(known[0])
                self._settle(iri, known, kind)
        if missing:
            self._insert(missing, told, ids)
        return ids

    def keep(self) -> None:
        """Hand what was learned to the cache. Only after the transaction was committed."""
        self._interner.learn(self._fresh)

    def _load(self, iris: Iterable[str]) -> None:
        for iri, number, kind in select_in(self._connection, _SELECT, iris):
            self._fresh[iri] = (number, kind)

    def _insert(self, missing: list[str], told: Mapping[str, str], ids: dict[str, int]) -> None:
        if self._next is None:
            highest = select(func.coalesce(func.max(thing.c.id), 0))
            self._next = 1 + int(self._connection.execute(highest).scalar_one())
        self.first_new = self._next
        rows = [(number, iri, told[iri]) for number, iri in enumerate(missing, self._next)]
        self._next += len(missing)
        for number, iri, kind in rows:
            ids[iri] = number
            self._fresh[iri] = (number, kind)
        insert_rows(self._connection, thing, _COLUMNS, rows)

    def _settle(self, iri: str, known: Known, kind: str) -> None:
        if _RANK[kind] < _RANK[known[1]]:
            self._fresh[iri] = (known[0], kind)
            update_rows(self._connection, thing, ("kind",), ("id",), [(kind, known[0])])


def smaller_kind(one: str, other: str) -> str:
    """Which of two kinds told of one name stands."""
    return one if _RANK[one] <= _RANK[other] else other
