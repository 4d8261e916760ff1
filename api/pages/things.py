"""What a thing's page shows beside its trace: names as sent, events at a place, the lots of a product.

Each is one query over records that the reader sees; `classes` None = all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy.engine import Connection

from fabric.lineage.creation import seen
from fabric.store.bulk import fetch, select_in, select_keys
from fabric.trace.document import time_text

MAX_NAMES: Final = 20
MAX_EVENTS: Final = 100
MAX_LOTS: Final = 200

_NAMES: Final = (
    "SELECT DISTINCT l.original FROM line l JOIN thing t ON t.id = l.thing JOIN event e ON e.record = l.record"
    " WHERE t.iri = ? AND l.original IS NOT NULL{seen} ORDER BY l.original LIMIT 20"
)
_EVENTS: Final = (
    'SELECT DISTINCT e.time_us, e.record, e.type, e.step, e.member, r.commitment, e.void_by, p.iri, e."class" FROM line l'
    " JOIN thing t ON t.id = l.thing JOIN event e ON e.record = l.record JOIN record r ON r.id = e.record"
    " LEFT JOIN thing p ON p.id = coalesce(e.read_point, e.biz_location)"
    " WHERE t.iri = ?{seen} ORDER BY e.time_us DESC, e.record DESC LIMIT 100"
)
_LOTS: Final = (
    "SELECT DISTINCT t.iri FROM thing t JOIN line l ON l.thing = t.id JOIN event e ON e.record = l.record"
    " WHERE t.iri > ? AND t.iri < ? AND t.kind IN ('lot', 'serial'){seen} ORDER BY t.iri LIMIT 200"
)
_ROLES: Final = (
    "SELECT r.commitment, t.iri, l.role FROM record r JOIN line l ON l.record = r.id JOIN thing t ON t.id = l.thing"
    " WHERE r.commitment IN ({in}) AND l.role IN ('input', 'output')"
)
_STEPS: Final = "SELECT record, step FROM event WHERE record IN {keys} AND step IS NOT NULL"


class Told(NamedTuple):
    """An event as a page lists it."""

    time: str | None
    type: str
    step: str | None
    member: str
    record: str
    voided: bool
    place: str | None
    copies: tuple[str, ...] = ()


def names_as_sent(connection: Connection, iri: str, classes: Collection[int] | None) -> list[str]:
    """Other names under which visible records name a thing."""
    return [row[0] for row in _rows(connection, _NAMES, classes, iri)]


def events_naming(connection: Connection, iri: str, classes: Collection[int] | None) -> list[Told]:
    """The newest visible events that name a thing in any role, such as those at a place."""
    rows = _rows(connection, _EVENTS, classes, iri)

    def whole(number: int) -> bool:
        return classes is None or number in classes

    return [
        Told(
            time_text(time_us),
            kind,
            step,
            member,
            commitment.hex(),
            void_by is not None and whole(number),
            place,
        )
        for time_us, _, kind, step, member, commitment, void_by, place, number in rows
    ]


def things_of_class(connection: Connection, iri: str, classes: Collection[int] | None) -> list[str]:
    """The lots and serials of a product class that visible records name."""
    return [row[0] for row in _rows(connection, _LOTS, classes, f"{iri}/", f"{iri}0")]


def steps_of(connection: Connection, records: Iterable[int]) -> dict[int, str]:
    """The steps of events by record; only for records that the reader was shown."""
    return dict(select_keys(connection, _STEPS, records))


def roles_of(connection: Connection, commitments: Iterable[str]) -> dict[tuple[str, str], str]:
    """By record (hex) and thing (IRI), whether a process used it (`input`) or made it (`output`).

    Only for records that the reader was shown, and to be asked for things that it was shown in them.
    """
    keys = [bytes.fromhex(one) for one in commitments]
    return {(commitment.hex(), iri): role for commitment, iri, role in select_in(connection, _ROLES, keys)}


def _rows(connection: Connection, statement: str, classes: Collection[int] | None, *values: Any) -> list[Any]:
    return fetch(connection, statement.replace("{seen}", seen(classes)), *values)


__all__ = ["Told", "events_naming", "names_as_sent", "roles_of", "steps_of", "things_of_class"]
