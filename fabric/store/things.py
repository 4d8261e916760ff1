"""Things get a small integer each, once, so that lines and edges compare numbers instead of IRIs.

Only the transaction that sequences interns, so ids follow from one counter. A transaction works in a
`Sitting`; what it learned enters the long-lived `Interner` cache only by `keep`, after the commit: ids of a
transaction that was rolled back are never seen again.

A thing's kind and `lot_of` can be told differently by different records. The smallest in `_RANK`, and the
smallest lot IRI, stand: the outcome does not depend on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy.engine import Connection

from .bulk import execute_rows, insert_rows, select_in
from .schema import thing

CACHE_SIZE: Final = 200_000
_RANK: Final = {"lot": 0, "serial": 1, "class": 2, "place": 3, "party": 4, "document": 5, "device": 6}
_COLUMNS: Final = ("id", "iri", "kind", "lot_of")
_SELECT: Final = "SELECT t.iri, t.id, t.kind, l.iri FROM thing t LEFT JOIN thing l ON l.id = t.lot_of WHERE t.iri IN ({in})"
_UPDATE: Final = "UPDATE thing SET kind = ?, lot_of = ? WHERE id = ?"
_Told: TypeAlias = tuple[str, str | None]


class Known(NamedTuple):
    """A thing as stored: its id, its kind, and the IRI of the lot its name states."""

    id: int
    kind: str
    lot_of: str | None


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

    def _add(self, fresh: Mapping[str, Known]) -> None:
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

    def ids(self, things: Iterable[tuple[str, str, str | None]]) -> dict[str, int]:
        """Ids by IRI for `(iri, kind, lot_of)` triples, their lots included; unknown ones are added."""
        told = _told(things)
        self._load(iri for iri in told if iri not in self._fresh and iri not in self._shared)
        ids: dict[str, int] = {}
        missing: list[str] = []
        changed: list[tuple[str, Known]] = []
        for iri, (kind, lot_of) in told.items():
            known = self._fresh.get(iri) or self._shared.get(iri)
            if known is None:
                missing.append(iri)
                continue
            ids[iri] = known.id
            if kind != known.kind or (lot_of is not None and lot_of != known.lot_of):
                changed.append((iri, known))
        if missing:
            self._insert(missing, told, ids)
        for iri, known in changed:
            self._settle(iri, known, told[iri])
        return ids

    def known(self, iri: str) -> Known:
        """A thing that this sitting or an earlier one interned."""
        return self._fresh.get(iri) or self._shared[iri]

    def keep(self) -> None:
        """Hand what was learned to the cache. Only after the transaction was committed."""
        self._interner._add(self._fresh)

    def _load(self, iris: Iterable[str]) -> None:
        for row in select_in(self._connection, _SELECT, iris):
            self._fresh[row[0]] = Known(row[1], row[2], row[3])

    def _insert(self, missing: list[str], told: Mapping[str, _Told], ids: dict[str, int]) -> None:
        if self._next is None:
            self._next = 1 + int(
                self._connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM thing").scalar_one()
            )
        for number, iri in enumerate(missing, self._next):
            ids[iri] = number
            self._fresh[iri] = Known(number, *told[iri])
        self._next += len(missing)
        rows = [(ids[iri], iri, told[iri][0], ids.get(told[iri][1] or "")) for iri in missing]
        insert_rows(self._connection, thing, _COLUMNS, rows)

    def _settle(self, iri: str, known: Known, said: _Told) -> None:
        kind, lot_of = _smaller(said, (known.kind, known.lot_of))
        if (kind, lot_of) == (known.kind, known.lot_of):
            return
        lot_id = None if lot_of is None else self.ids([(lot_of, "lot", None)])[lot_of]
        self._fresh[iri] = Known(known.id, kind, lot_of)
        execute_rows(self._connection, _UPDATE, [(kind, lot_id, known.id)])


def _told(things: Iterable[tuple[str, str, str | None]]) -> dict[str, _Told]:
    """What is said about each IRI, contradictions settled, a lot before the serials that state it."""
    told: dict[str, _Told] = {}
    for iri, kind, lot_of in things:
        if lot_of is not None and lot_of not in told:
            told[lot_of] = ("lot", None)
        before = told.get(iri)
        told[iri] = (kind, lot_of) if before is None else _smaller((kind, lot_of), before)
    return told


def _smaller(one: _Told, other: _Told) -> _Told:
    if one == other:
        return one
    lots = [lot for lot in (one[1], other[1]) if lot is not None]
    return min(one[0], other[0], key=_RANK.__getitem__), min(lots) if lots else None
