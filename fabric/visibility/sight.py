"""What one reader sees of one record: all of it, the units of a creation that a hand-over shows, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from sqlalchemy.engine import Connection

from fabric.lineage.creation import shown_units
from fabric.store.bulk import select_in
from fabric.store.records import StoredRecord
from fabric.store.schema import EVENT, MASTER
from ledger.registry import Registry

from .classes import load, visible_classes
from .reader import NOBODY, Reader

_SEE_ALL: Final = frozenset({"auditor", "recall"})
_CLASSES: Final = 'SELECT "class" AS whole, partial FROM event WHERE record IN ({in})'
_NAMING: Final = (
    'SELECT DISTINCT e."class" AS whole FROM master m JOIN line l ON l.thing = m.thing JOIN event e ON e.record = l.record'
    " WHERE m.record IN ({in})"
)


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


def _sight_of_master(connection: Connection, reader: Reader, record: int) -> Sight:
    """Master data of an identifier is seen by whoever sees a record that names it."""
    visible = visible_classes(connection, reader)
    naming = select_in(connection, _NAMING, [record])
    return Sight.WHOLE if any(row.whole in visible for row in naming) else Sight.NOTHING
