"""What one reader sees of one record: all of it, the units of a creation that a hand-over shows, or nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any, Final

from sqlalchemy.engine import Connection

from fabric.lineage.creation import seen, shown_units
from fabric.store.bulk import fetch, select_in, select_keys
from fabric.store.erasures import tombstones
from fabric.store.records import StoredRecord
from fabric.store.schema import EVENT, MASTER
from ledger.registry import Registry

from .classes import load, visible_classes
from .reader import NOBODY, Reader

_SEE_ALL: Final = frozenset({"auditor", "recall"})
_CLASSES: Final = 'SELECT "class" AS whole, partial FROM event WHERE record IN ({in})'
_ABOUT: Final = "SELECT t.iri FROM master m JOIN thing t ON t.id = m.thing WHERE m.record IN ({in})"
# A lot is named, too, by what says that a serial belongs to it.
_NAMED: Final = (
    "SELECT t.iri FROM thing t WHERE t.iri IN {keys} AND (EXISTS (SELECT 1 FROM line l"
    " JOIN event e ON e.record = l.record WHERE l.thing = t.id{seen}) OR EXISTS (SELECT 1 FROM lineage_edge g"
    " JOIN line l ON l.record = g.record AND l.thing = g.dst AND l.lot = g.src JOIN event e ON e.record = g.record"
    " WHERE g.src = t.id AND g.kind = 3{seen}))"
)
_INSTANCE: Final = (
    "SELECT 1 FROM thing t JOIN line l ON l.thing = t.id JOIN event e ON e.record = l.record"
    " WHERE t.iri > ? AND t.iri < ? AND t.kind IN ('lot', 'serial'){seen} LIMIT 1"
)
_PRODUCT: Final = re.compile(r"https://id\.gs1\.org/01/[0-9]{14}\Z")


class Sight(Enum):
    """How much of a record a reader sees."""

    NOTHING = "nothing"
    PART = "part"
    WHOLE = "whole"


def reader_of(registry: Registry, member: str | None, now_ms: int) -> Reader:
    """The reader in a member's name: its own records, and those of the members granted to it now.

    A standing role of auditor or recall, given at admission, is a grant for all without an end. The operator, and whoever was never admitted, sees nothing.
    """
    known = None if member is None else registry.members.get(member)
    if known is None or (registry.charter is not None and known.id == registry.charter.operator):
        return NOBODY
    members, sees_all = {known.id}, not _SEE_ALL.isdisjoint(known.roles)
    for grant in registry.grants:
        if grant.grantee == known.id and grant.holds_at(now_ms):
            sees_all = sees_all or grant.members is None
            members.update(grant.members or ())
    return Reader(known.id, frozenset(members), sees_all)


def sight(connection: Connection, reader: Reader, record: StoredRecord) -> Sight:
    """How much of a record a reader sees. A record that is not sequenced is its submitter's alone."""
    if reader.sees((record.capture.member,)):
        return Sight.WHOLE
    if record.capture.idx is None or record.kind not in (MASTER, EVENT):
        return Sight.NOTHING
    if record.body is None:
        return _sight_of_erased(connection, reader, record.id)
    if record.kind == MASTER:
        return _sight_of_master(connection, reader, record.id)
    classes = load(connection)
    row = next(select_in(connection, _CLASSES, [record.id]), None)
    if row is None:
        return Sight.NOTHING
    if reader.sees(classes[row.whole]):
        return Sight.WHOLE
    seen_in_part = row.partial is not None and reader.sees(classes[row.partial])
    return Sight.PART if seen_in_part else Sight.NOTHING


def shown_value(found: Sight, value: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a committed record that a sight leaves."""
    if found is Sight.NOTHING:
        return {}
    if found is Sight.WHOLE:
        return dict(value)
    return shown_units(value)


def named_visibly(
    connection: Connection, classes: Collection[int] | None, iris: Collection[str]
) -> frozenset[str]:
    """Those of the IRIs whose master data a reader of these classes sees: those a record it sees names.

    Whatever is shown of a record names, if only units of a creation; who names a lot or serial names its product
    class, too. None = all classes, and then everything.
    """
    if classes is None:
        return frozenset(iris)
    query = _NAMED.replace("{seen}", seen(classes))
    found = {row[0] for row in select_keys(connection, query, sorted(iris))}
    products = {iri for iri in iris if iri not in found and _PRODUCT.match(iri)}
    return frozenset(found | {iri for iri in products if _has_instance(connection, classes, iri)})


def _has_instance(connection: Connection, classes: Collection[int], product: str) -> bool:
    """Whether a lot or serial of a product class is named. In the order of texts `0` follows `/`."""
    query = _INSTANCE.replace("{seen}", seen(classes))
    return bool(fetch(connection, query, f"{product}/", f"{product}0"))


def _sight_of_erased(connection: Connection, reader: Reader, record: int) -> Sight:
    """An erased record has no class any more: its tombstone says who saw it."""
    stone = tombstones(connection, [record]).get(record)
    if stone is None:
        return Sight.NOTHING
    if reader.sees(stone.parties):
        return Sight.WHOLE
    return Sight.PART if reader.sees(stone.partial) else Sight.NOTHING


def _sight_of_master(connection: Connection, reader: Reader, record: int) -> Sight:
    """Master data of an identifier is seen by whoever sees a record that names it."""
    iris = {row.iri for row in select_in(connection, _ABOUT, [record])}
    named = named_visibly(connection, visible_classes(connection, reader), iris)
    return Sight.WHOLE if named else Sight.NOTHING
