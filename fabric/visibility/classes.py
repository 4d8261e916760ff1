"""Visibility classes: the interned sets of members that may see a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.engine import Connection

from fabric.store.bulk import insert_rows
from fabric.store.schema import visibility_class

from .reader import Reader

_COLUMNS: Final = ("id", "members")


class Classes:
    """The classes of one database, as one writer interns them. `settle` drops what a rollback took back."""

    def __init__(self) -> None:
        self._ids: dict[frozenset[str], int] | None = None

    def ids(self, connection: Connection, sets: Iterable[frozenset[str]]) -> Mapping[frozenset[str], int]:
        """Class ids by set of members; unknown sets are added in the order of their text."""
        known = self._ids
        if known is None:
            known = self._ids = {parties: number for number, parties in load(connection).items()}
        missing = sorted({_text(one) for one in sets if one not in known})
        rows = list(enumerate(missing, 1 + max(known.values(), default=0)))
        insert_rows(connection, visibility_class, _COLUMNS, rows)
        known.update({frozenset(text.split()): number for number, text in rows})
        return known

    def clear(self) -> None:
        """Forget everything: after a rollback, or when the tables were rebuilt."""
        self._ids = None


def load(connection: Connection) -> dict[int, frozenset[str]]:
    """All classes: members by id."""
    rows = connection.execute(select(visibility_class.c.id, visibility_class.c.members))
    return {row.id: frozenset(row.members.split()) for row in rows}


def visible_classes(connection: Connection, reader: Reader) -> frozenset[int]:
    """Ids of the classes that a reader sees: decided once per class, never per record."""
    return frozenset(number for number, members in load(connection).items() if reader.sees(members))


def _text(members: frozenset[str]) -> str:
    return " ".join(sorted(members))
