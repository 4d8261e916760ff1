"""What erasures leave: tombstones of records, the units and salts that stay, and what files still hold."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.engine import Connection, Row

from .bodies import StoredBody, stored_body
from .bulk import delete_rows, fetch, insert_rows, select_in
from .schema import erased, erased_by, erased_name, erasure

_TOMBSTONES: Final = "SELECT record, whole, parties, partial, remains FROM erased WHERE record IN ({in})"
_BY: Final = (
    "SELECT b.record, e.idx, e.member, e.statement_id, e.parties, e.body, e.swept FROM erased_by b"
    " JOIN erasure e ON e.id = b.erasure WHERE b.record IN ({in})"
)
_NAMED: Final = (
    "SELECT n.iri, n.record, x.parties, x.partial, c.idx FROM erased_name n JOIN erased x ON x.record = n.record"
    " JOIN record r ON r.id = n.record JOIN capture c ON c.id = r.capture WHERE n.iri IN ({in})"
)


class StatedErasure(NamedTuple):
    """A member's erasure; `swept`: the files of the database hold nothing of what it erased any more."""

    stated: StoredBody
    swept: bool


class Done(NamedTuple):
    """One erasure of a record: its log index `seq`, by whom, and what its body says to its parties."""

    seq: int
    member: str
    statement_id: str
    parties: frozenset[str]
    units: tuple[str, ...]
    reason: str
    swept: bool


class Tombstone(NamedTuple):
    """What stays of an erased record: `parties` saw it whole, `partial` a part; `remains` is None when all of it went."""

    record: int
    whole: bool
    parties: frozenset[str]
    partial: frozenset[str]
    remains: bytes | None
    done: tuple[Done, ...]


class ErasedName(NamedTuple):
    """A record of which what named a thing was erased, and who saw it; `seq` is the log index of its capture."""

    iri: str
    record: int
    parties: frozenset[str]
    partial: frozenset[str]
    seq: int


def erasures_of(connection: Connection, member: str, limit: int) -> list[StatedErasure]:
    """A member's latest erasures, newest first."""
    query = select(erasure).where(erasure.c.member == member).order_by(erasure.c.id.desc()).limit(limit)
    return [_stated(row) for row in connection.execute(query)]


def erasure_named(connection: Connection, member: str, statement_id: str) -> StatedErasure | None:
    """A member's erasure by the id of its statement, or None."""
    query = select(erasure).where(erasure.c.member == member, erasure.c.statement_id == statement_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _stated(row)


def unswept(connection: Connection) -> int | None:
    """The lowest log index of an erasure of which files of the database may still hold something, or None."""
    found = fetch(connection, "SELECT min(idx) FROM erasure WHERE idx IS NOT NULL AND swept = 0")
    return None if found[0][0] is None else int(found[0][0])


def mark_swept(connection: Connection, last: int) -> None:
    """Note that the files hold nothing of erasures up to a log index. Only after the files were rewritten."""
    connection.execute(update(erasure).where(erasure.c.idx <= last, erasure.c.swept == 0).values(swept=1))


def last_erasure(connection: Connection) -> int:
    """The highest log index of an erasure, -1 when there is none: what followers compare their copies by."""
    found = fetch(connection, "SELECT max(idx) FROM erasure")
    return -1 if found[0][0] is None else int(found[0][0])


def erased_between(connection: Connection, after: int, until: int) -> list[tuple[int, bytes]]:
    """Records, with their commitments, of erasures with `after` < log index <= `until`."""
    query = (
        "SELECT DISTINCT r.id, r.commitment FROM erasure e JOIN erased_by b ON b.erasure = e.id"
        " JOIN record r ON r.id = b.record WHERE e.idx > ? AND e.idx <= ? ORDER BY r.id"
    )
    return [(row[0], row[1]) for row in fetch(connection, query, after, until)]


def tombstones(connection: Connection, records: Collection[int]) -> dict[int, Tombstone]:
    """What stays of those of the records of which something was erased."""
    rows = list(select_in(connection, _TOMBSTONES, records))
    done: dict[int, list[Done]] = {}
    for row in select_in(connection, _BY, [row.record for row in rows]):
        body = json.loads(row.body)
        found = Done(
            row.idx,
            row.member,
            row.statement_id,
            frozenset(row.parties.split()),
            tuple(body["units"]),
            body["reason"],
            bool(row.swept),
        )
        done.setdefault(row.record, []).append(found)
    return {
        row.record: Tombstone(
            row.record,
            bool(row.whole),
            frozenset(row.parties.split()),
            frozenset((row.partial or "").split()),
            row.remains,
            tuple(sorted(done.get(row.record, ()))),
        )
        for row in rows
    }


def put_tombstones(connection: Connection, erasure_row: int, found: Iterable[Tombstone]) -> None:
    """Write what stays of records that an erasure touched."""
    every = list(found)
    numbers = [one.record for one in every]
    delete_rows(connection, erased, ("record",), [(number,) for number in numbers])
    rows = [
        (
            one.record,
            int(one.whole),
            " ".join(sorted(one.parties)),
            " ".join(sorted(one.partial)) or None,
            one.remains,
        )
        for one in every
    ]
    insert_rows(connection, erased, ("record", "whole", "parties", "partial", "remains"), rows)
    insert_rows(connection, erased_by, ("record", "erasure"), [(number, erasure_row) for number in numbers])


def names_of(connection: Connection, record: int) -> set[str]:
    """The things that what was erased of a record named."""
    return set(connection.execute(select(erased_name.c.iri).where(erased_name.c.record == record)).scalars())


def put_names(connection: Connection, named: Mapping[int, Collection[str]]) -> None:
    """Note, for each record, the things that what was erased of it named."""
    rows = [
        (iri, number)
        for number, iris in sorted(named.items())
        for iri in sorted(set(iris) - names_of(connection, number))
    ]
    insert_rows(connection, erased_name, ("iri", "record"), rows)


def forget_names(connection: Connection, iris: Iterable[str]) -> None:
    """Forget names that nothing else in the store has any more."""
    for iri in iris:
        connection.execute(erased_name.delete().where(erased_name.c.iri == iri))


def erased_naming(connection: Connection, iris: Iterable[str]) -> list[ErasedName]:
    """The erased records that named any of these things, each once a thing."""
    return [
        ErasedName(
            row.iri,
            row.record,
            frozenset(row.parties.split()),
            frozenset((row.partial or "").split()),
            -1 if row.idx is None else row.idx,
        )
        for row in select_in(connection, _NAMED, iris)
    ]


def seers(connection: Connection) -> set[frozenset[str]]:
    """The sets of members who saw records of which something was erased."""
    rows = connection.execute(select(erased.c.parties, erased.c.partial).distinct())
    return {frozenset(text.split()) for row in rows for text in row if text}


def _stated(row: Row[Any]) -> StatedErasure:
    return StatedErasure(stored_body(row), bool(row.swept))
