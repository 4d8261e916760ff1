"""What the events of each visibility class are about: serial things, and families of things.

`listed` has a row for a class and a serial thing when an event of that class names the thing, and not only beside
something else: an EPC of its lists, or its parent. `family` has one for an event and each family of the things that it is
about. Both are functions of `event`, `line` and `thing` alone; here they are kept so when events come, change their class,
or go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy.engine import Connection

from fabric.store.bulk import execute_keys, insert_rows, update_rows
from fabric.store.schema import family
from ledger.log.dialect import is_sqlite, key_set, rendered

_NAMES: Final = "(l.role <> 'mention' OR e.type = 'TransactionEvent')"
_ADD: Final = (
    'INSERT INTO listed ("class", thing) SELECT CAST(? AS INTEGER), p.value FROM {keys:bigint} AS p WHERE 1 = 1'
    " ON CONFLICT DO NOTHING"
)
_ADD_OF_RECORDS: Final = (
    'INSERT INTO listed ("class", thing) SELECT DISTINCT e."class", l.thing FROM event e'
    " {join} line l ON l.record = e.record {join} thing t ON t.id = l.thing"
    f" WHERE e.record IN {{keys}} AND {_NAMES} AND t.kind = 'serial' ON CONFLICT DO NOTHING"
)
_ADD_OF_THINGS: Final = (
    'INSERT INTO listed ("class", thing) SELECT DISTINCT e."class", l.thing FROM thing t'
    " {join} line l ON l.thing = t.id {join} event e ON e.record = l.record"
    f" WHERE t.id IN {{keys}} AND t.kind = 'serial' AND {_NAMES} ON CONFLICT DO NOTHING"
)
_DROP_LEFT: Final = (
    'DELETE FROM listed WHERE "class" = ? AND thing IN (SELECT l.thing FROM line l WHERE l.record IN {keys})'
    " AND NOT EXISTS (SELECT 1 FROM line l JOIN event e ON e.record = l.record WHERE l.thing = listed.thing"
    f' AND e."class" = listed."class" AND {_NAMES})'
)
_DROP: Final = 'DELETE FROM listed WHERE "class" IN (SELECT c.id FROM "class" c) AND thing IN {keys}'


_FAMILY: Final = ("class", "start", "time_us", "record")
_GS1: Final = "https://id.gs1.org/"
_COMPANY_DIGITS: Final = 8
"""Of a key without qualifiers: an indicator and seven digits tell most companies apart."""


def family_of(iri: str) -> str:
    """What a canonical IRI begins with, and others of its product: all but the serial or lot; of a key that has none,
    and of other names, the part that its company has in common."""
    if not iri.startswith(_GS1):
        return iri[: 1 + max(iri.rfind(mark) for mark in ":/#.")]
    end = iri.rfind("/")
    if iri.count("/", len(_GS1), end):
        return iri[: end + 1]
    return iri[: end + 1 + _COMPANY_DIGITS]


class Moved(NamedTuple):
    """A record that is of another class now."""

    record: int
    before: int
    after: int


def list_things(connection: Connection, named: Mapping[int, Collection[int]]) -> None:
    """List serial things, by class, that new events name."""
    sqlite = is_sqlite(connection)
    for number, things in sorted(named.items()):
        if things:
            connection.exec_driver_sql(rendered(_ADD, sqlite), (number, key_set(sorted(things), sqlite)))


def list_families(connection: Connection, rows: Sequence[tuple[int, str, int, int]]) -> None:
    """File new events by the families of what they are about: class, family, time, record."""
    insert_rows(connection, family, _FAMILY, rows)


def list_moved(connection: Connection, moved: Iterable[Moved]) -> None:
    """List what records name in the class that they are of now, and no longer in that which they were of."""
    by_class: dict[int, list[int]] = {}
    every = list(moved)
    last = {one.record: one.after for one in every}
    update_rows(connection, family, ("class",), ("record",), [(after, one) for one, after in last.items()])
    for one in every:
        by_class.setdefault(one.before, []).append(one.record)
    records = [number for found in by_class.values() for number in found]
    execute_keys(connection, _ADD_OF_RECORDS, records)
    sqlite = is_sqlite(connection)
    for number, found in sorted(by_class.items()):
        connection.exec_driver_sql(rendered(_DROP_LEFT, sqlite), (number, key_set(sorted(found), sqlite)))


def list_again(connection: Connection, things: Collection[int]) -> None:
    """List things as the tables say now, whatever was listed: records went, or a thing is of another kind."""
    execute_keys(connection, _DROP, things)
    execute_keys(connection, _ADD_OF_THINGS, things)
