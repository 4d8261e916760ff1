"""What an erasure does once its statement has its index, in the transaction that gives it: values and salts go.

Tables lose what was erased here, together with every projection of it; what files still hold of it is swept
afterwards (`fabric.capture.sweep`). What stays is a tombstone: who saw the record, by which statements it was
erased, and which things it named that other records or links name as well. docs/spec/erasure.md.

Doing any of it again changes nothing, so it does not matter how often a record is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from fabric.epcis.erasure import Erasure, parse_erasure
from fabric.epcis.event import read_event
from fabric.epcis.link import parse_link
from fabric.lineage.fact import GS1, HolderOf
from fabric.lineage.sql import remove_facts
from fabric.store.bodies import StoredBody
from fabric.store.bulk import delete_rows, execute_keys, fetch, select_in, select_keys, update_rows
from fabric.store.erasures import (
    Tombstone,
    forget_names,
    put_names,
    put_tombstones,
    seers,
    tombstones,
)
from fabric.store.records import RECORD_IRI
from fabric.store.schema import EVENT, MASTER, capture, document, job, master, record, thing, touched
from fabric.store.things import smaller_kind
from fabric.visibility.classes import load as load_classes
from fabric.visibility.holders import Holders
from fabric.visibility.index import VisibilityIndex
from fabric.visibility.listing import list_again
from ledger.canonical import canonical
from ledger.disclosure import erase_units, open_disclosure, remains_of
from ledger.log.schema import REFUSED

from .packed import master_row, pack, tell_things

NO_DIGEST: Final = b""
"""In the place of the duplicates rule's digest, which has no salt and would let an erased body be guessed."""

_ROWS: Final = (
    "SELECT id, capture, position, kind, member, event_id, declares, commitment, digest, salt, body FROM record"
    " WHERE commitment IN ({in}) ORDER BY id"
)
_REFUSED: Final = (
    "SELECT r.id FROM record r JOIN capture c ON c.id = r.capture JOIN statement s ON s.id = c.statement"
    f" WHERE s.state = '{REFUSED}' AND r.member = ? AND r.digest IN ({{in}})"
)
_SEEN: Final = 'SELECT record, "class" AS whole, partial FROM event WHERE record IN ({in})'
_LINES: Final = (
    "SELECT l.record, t.id, t.iri, l.role, l.quantity, l.unit FROM line l JOIN thing t ON t.id = l.thing"
    " WHERE l.record IN ({in})"
)
_BESIDE: Final = (
    "SELECT t.id, t.iri FROM line l JOIN thing t ON t.id = l.lot WHERE l.record IN ({in})",
    "SELECT t.id, t.iri FROM event e JOIN thing t ON t.id = e.read_point WHERE e.record IN ({in})",
    "SELECT t.id, t.iri FROM event e JOIN thing t ON t.id = e.biz_location WHERE e.record IN ({in})",
    "SELECT t.id, t.iri FROM named n JOIN thing t ON t.id = n.thing WHERE n.record IN ({in})",
)
_MASTERED: Final = (
    "SELECT m.record, t.id, t.iri FROM master m JOIN thing t ON t.id = m.thing WHERE m.record IN ({in})"
)
_REFERENCES: Final = (
    "SELECT DISTINCT thing FROM line WHERE thing IN {keys}",
    "SELECT DISTINCT thing FROM named WHERE thing IN {keys}",
    "SELECT DISTINCT thing FROM master WHERE thing IN {keys}",
    "SELECT DISTINCT thing FROM same WHERE thing IN {keys}",
    "SELECT DISTINCT lot FROM line WHERE lot IN {keys}",
    "SELECT DISTINCT read_point FROM event WHERE read_point IN {keys}",
    "SELECT DISTINCT biz_location FROM event WHERE biz_location IN {keys}",
)
_TELLING: Final = (
    "SELECT r.id, r.kind, r.body FROM record r WHERE r.body IS NOT NULL AND r.id IN (SELECT record FROM line"
    " WHERE thing = ? UNION SELECT record FROM master WHERE thing = ? UNION SELECT record FROM event"
    " WHERE declares = 1 AND ? IN (read_point, biz_location)) AND r.id > ? ORDER BY r.id LIMIT 200"
)

_LINKED: Final = "SELECT k.body FROM same s JOIN link k ON k.id = s.link WHERE s.thing = ?"

Line = tuple[int, str, str, str | None, str | None]
"""Thing id, IRI, role, quantity, unit."""


@dataclass(frozen=True, slots=True)
class Eraser:
    """Carries out erasures on a connection it is given; never commits.

    `reproject` writes the projections of one record again from what stays of it.
    """

    visibility: VisibilityIndex
    holders: Holders
    reproject: Callable[[Connection, int], None]

    @property
    def _holder_of(self) -> HolderOf:
        return self.holders.member_of

    def run(self, connection: Connection, one: StoredBody) -> None:
        """Erase what a sequenced erasure names of its author's records; what is gone already stays gone."""
        told = parse_erasure(one.value())
        rows = [row for row in select_in(connection, _ROWS, told.records) if row.member == one.member]
        known = tombstones(connection, [row.id for row in rows])
        fresh = [row for row in rows if row.id not in known or not known[row.id].whole]
        numbers = [row.id for row in fresh]
        seen = _seen(connection, fresh)
        before = _named(connection, numbers)
        candidates = {thing_id: iri for lines in before.values() for thing_id, iri, *_ in lines}
        for query in _BESIDE:
            candidates |= {row.id: row.iri for row in select_in(connection, query, numbers)}
        self._unproject(connection, numbers)
        stays = [_strip(connection, row, told, known.get(row.id), seen[row.id]) for row in fresh]
        self._drop_refused_copies(connection, one.member, fresh)
        _drop_documents(connection, one, fresh)
        put_tombstones(connection, one.id, [*stays, *(known[row.id] for row in rows if row not in fresh)])
        self.visibility.own_classes(connection, seers(connection))
        for left in stays:
            if not left.whole:
                self.reproject(connection, left.record)
        after = _named(connection, numbers)
        gone = {number: _differing(before[number], after.get(number, ())) for number in before}
        dropped = _drop_things(connection, candidates)
        list_again(connection, candidates.keys())
        put_names(connection, {number: iris - dropped for number, iris in gone.items()})
        forget_names(connection, dropped)

    def _unproject(self, connection: Connection, numbers: Sequence[int]) -> None:
        leaving = self.visibility.leaving(connection, numbers)
        remove_facts(connection, numbers, self._holder_of)
        for table in ("named", "declared", "family"):
            execute_keys(connection, f"DELETE FROM {table} WHERE record IN {{keys}}", numbers)
        rows = [(number,) for number in numbers]
        delete_rows(connection, master, ("record",), rows)
        delete_rows(connection, touched, ("record",), rows)
        self.visibility.left(connection, leaving, self.holders)

    def _drop_refused_copies(self, connection: Connection, member: str, fresh: Sequence[Any]) -> None:
        """Equal records of captures that the log refused: they count for nothing, and held the same values."""
        digests = {row.digest for row in fresh if row.digest != NO_DIGEST}
        numbers = [row.id for row in select_in(connection, _REFUSED, digests, member)]
        _forget(connection, [(None, None, None, NO_DIGEST, number) for number in numbers])
        owners = select(record.c.capture).where(record.c.id.in_(numbers))
        query = select(capture.c.document).where(capture.c.id.in_(owners))
        for (number,) in list(connection.execute(query)):
            connection.execute(update(document).where(document.c.id == number).values(body=b""))


def _seen(connection: Connection, rows: Sequence[Any]) -> dict[int, tuple[frozenset[str], frozenset[str]]]:
    """Who saw each record whole, and who in part."""
    classes = load_classes(connection)
    found = {row.id: (frozenset({str(row.member)}), frozenset[str]()) for row in rows}
    for row in select_in(connection, _SEEN, list(found)):
        part = frozenset[str]() if row.partial is None else classes[row.partial]
        found[row.record] = (classes[row.whole] | found[row.record][0], part)
    return found


def _named(connection: Connection, numbers: Collection[int]) -> dict[int, list[Line]]:
    """What the projections say that each record names."""
    found: dict[int, list[Line]] = {}
    for row in select_in(connection, _LINES, numbers):
        found.setdefault(row.record, []).append((row.id, row.iri, row.role, row.quantity, row.unit))
    for row in select_in(connection, _MASTERED, numbers):
        found.setdefault(row.record, []).append((row.id, row.iri, "master", None, None))
    return found


def _differing(before: Iterable[Line], after: Iterable[Line]) -> set[str]:
    """The things of which a record says less now."""
    return {line[1] for line in set(before) - set(after)}


def _strip(
    connection: Connection,
    row: Any,
    told: Erasure,
    known: Tombstone | None,
    seen: tuple[frozenset[str], frozenset[str]],
) -> Tombstone:
    """Take value and salt out of a record's row, whole or of some units; gives what stays."""
    parties, partial = seen
    if known is not None:
        parties, partial = parties | known.parties, partial | known.partial
    if not told.units or row.body is None:
        _forget(connection, [(None, None, None, NO_DIGEST, row.id)])
        return Tombstone(row.id, True, parties, partial, None, ())
    if known is None or known.remains is None:
        left = remains_of(json.loads(row.body), row.salt, told.units)
    else:
        left = erase_units(json.loads(known.remains), told.units)
    value = open_disclosure(left).record
    event_id = value.get("eventID")
    _forget(connection, [(None, canonical(value), event_id, NO_DIGEST, row.id)])
    return Tombstone(row.id, False, parties, partial, canonical(left), ())


def _forget(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    # An ID made of the whole content would let what is gone be guessed.
    told = [(*row[:-1], None, row[-1]) for row in rows]
    update_rows(connection, record, ("salt", "body", "event_id", "digest", "supplied_id"), ("id",), told)


def _drop_documents(connection: Connection, one: StoredBody, fresh: Sequence[Any]) -> None:
    """Drop the submitted bytes that held the records, and what was noted of them; the digest stays.

    A submission that repeated a record in custody made no record of it: the notes of its job say what it repeated.
    """
    owners = {row.capture for row in fresh}
    names = {RECORD_IRI + row.commitment.hex() for row in fresh}
    documents = {
        row.document
        for row in select_in(connection, "SELECT document FROM capture WHERE id IN ({in})", owners)
    }
    query = select(job.c.document, job.c.notes).where(job.c.member == one.member, job.c.notes.is_not(None))
    for row in connection.execute(query):
        repeated = {item["duplicateOf"] for item in json.loads(row.notes).get("duplicates", ())}
        if not names.isdisjoint(repeated):
            documents.add(row.document)
    if not fresh:
        return
    rows = [(b"", one.id, number) for number in sorted(documents)]
    update_rows(connection, document, ("body", "dropped_by"), ("id",), rows)
    _drop_warnings(connection, documents)


def _drop_warnings(connection: Connection, documents: Collection[int]) -> None:
    """A warning quotes what it is about, and so does what is said of an event that was left out."""
    found = select_in(
        connection, "SELECT id, notes FROM job WHERE notes IS NOT NULL AND document IN ({in})", documents
    )
    changed = []
    for row in list(found):
        notes = {name: item for name, item in json.loads(row.notes).items() if name != "warnings"}
        for one in notes.get("rejected", ()):
            one["findings"] = [
                {"record": one["record"], "rule": found["rule"]} for found in one["findings"][:1]
            ]
        changed.append((json.dumps(notes) if notes else None, row.id))
    update_rows(connection, job, ("notes",), ("id",), changed)


def _drop_things(connection: Connection, candidates: Mapping[int, str]) -> set[str]:
    """Delete the things that nothing names any more, and tell the kinds of the others again; gives those deleted."""
    kept: set[int] = set()
    for query in _REFERENCES:
        kept |= {row[0] for row in select_keys(connection, query, sorted(candidates.keys() - kept))}
    gone = sorted(candidates.keys() - kept)
    delete_rows(connection, thing, ("id",), [(number,) for number in gone])
    for number in kept:
        if not candidates[number].startswith(GS1):
            _tell_kind(connection, number, candidates[number])
    return {candidates[number] for number in gone}


def _tell_kind(connection: Connection, number: int, iri: str) -> None:
    """The kind of a private name follows from who still names it; a GS1 key tells its own.

    The kind that stands was the smallest, so the first that still tells it settles the question.
    """
    ((stands,),) = fetch(connection, "SELECT kind FROM thing WHERE id = ?", number)
    smallest: str | None = None
    for kind in _told_kinds(connection, number, iri):
        if kind == stands:
            return
        smallest = kind if smallest is None else smaller_kind(smallest, kind)
    if smallest is not None:
        connection.execute(update(thing).where(thing.c.id == number).values(kind=smallest))


def _told_kinds(connection: Connection, number: int, iri: str) -> Iterator[str]:
    """The kind that each link, and each record, tells of a thing; records are read in portions."""
    for row in fetch(connection, _LINKED, number):
        link = parse_link(json.loads(row.body))
        yield from (end.kind.value for end in (link.one, link.other) if end.iri == iri)
    last = 0
    while rows := fetch(connection, _TELLING, number, number, number, last):
        for row in rows:
            last, told = row.id, dict[str, str]()
            value = json.loads(row.body)
            if row.kind == EVENT:
                tell_things(pack(read_event(value), sha256(row.body).digest()), told)
            elif row.kind == MASTER:
                _, name, kind = master_row(value)
                told[name] = kind
            if iri in told:
                yield told[iri]
