<<<<<<< HEAD
"""Gaps: what the store no longer holds must be stated in the log as erased; any other gap is a fault.

A tombstone says that something went; the erasures it names say by which statements; each of these holds a body that
names the record, to which a statement in the log commits. What stays of a record of which some units went must
still hash to its commitment.
=======
"""Gaps: what a store no longer holds must be stated in the log as erased; any other gap is a fault.

An erasure has taken effect once its statement has an index. Then what it names must be gone, and whatever is gone
must be named by one: value by value, down to the units of a record.
>>>>>>> 25fce5666125b33723f2d36805d88433f1383523
"""

from __future__ import annotations

import json
<<<<<<< HEAD
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from fabric.epcis.erasure import parse_erasure
from fabric.store.bulk import select_in
from fabric.store.schema import capture, erased, erased_by, erased_name, erasure, record, retention
from ledger.canonical import canonical
from ledger.disclosure import open_disclosure
from ledger.errors import InvalidInput
from ledger.log import schema as log
=======
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fabric.epcis.erasure import Erasure, parse_erasure
from fabric.store.bulk import select_in
from fabric.store.erasures import StoredErasure, stored_erasure
from fabric.store.schema import erased, erased_by, erased_name, erasure
from fabric.store.schema import record as record_table
from ledger.canonical import canonical
from ledger.disclosure import open_disclosure
from ledger.errors import InvalidInput
>>>>>>> 25fce5666125b33723f2d36805d88433f1383523
from ledger.statement import parse_envelope

from .run import Run, reason

<<<<<<< HEAD
_TOMBSTONES = "SELECT record, whole, remains FROM erased WHERE record IN ({in})"
_STATED = (
    "SELECT b.record, e.member, e.body FROM erased_by b JOIN erasure e ON e.id = b.erasure"
    " WHERE e.idx IS NOT NULL AND b.record IN ({in})"
)


@dataclass
class Gaps:
    """What is stated of the records of a portion: tombstones by record, and by whom which erasures name them."""

    tombs: dict[int, Any] = field(default_factory=dict)
    stated: dict[int, list[tuple[str, Any]]] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection, records: Iterable[int]) -> Gaps:
        """The gaps among these records."""
        found = cls({row.record: row for row in select_in(connection, _TOMBSTONES, records)})
        for row in select_in(connection, _STATED, list(found.tombs)):
            found.stated.setdefault(row.record, []).append((row.member, row.body))
        return found

    def names(self, row: Any) -> bool:
        """Whether an erasure of its member, in the log, names a record: whole if all of it is gone."""
        for member, body in self.stated.get(row.id, ()):
            try:
                told = parse_erasure(json.loads(body))
            except (InvalidInput, TypeError, ValueError):
                continue
            is_enough = row.body is not None or not told.units
            if is_enough and member == row.member and row.commitment in told.records:
                return True
        return False


def record_faults(row: Any, gaps: Gaps, *, refused: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with a record of which something is gone: rule and message."""
    tomb = gaps.tombs.get(row.id)
    if refused and tomb is None and row.body is None and row.salt is None:
        # A copy that the log refused goes with the record it repeats, and counts for nothing.
        return
    if tomb is None:
        if row.body is None and row.salt is None:
            yield "record-gap", "expected its content, or a statement that it was erased, got none"
        else:
            yield "record-half", "expected body and salt, or neither, got one of them"
        return
    if not gaps.names(row):
        yield "record-gap", "expected an erasure in the log that names it, got none"
    if row.salt is not None or row.digest != b"":
        yield "erased", "expected neither salt nor digest of what was erased, got one of them"
    if (tomb.whole == 1) != (row.body is None) or (tomb.whole == 1) != (tomb.remains is None):
        yield "erased", "expected a tombstone that says how much of it went, got another"
    elif row.body is None:
        if row.event_id is not None:
            yield "erased", "expected no event ID of what was erased, got one"
    else:
        yield from _remains(row, tomb.remains)


def _remains(row: Any, remains: Any) -> Iterator[tuple[str, str]]:
    try:
        left = open_disclosure(json.loads(remains))
    except (InvalidInput, TypeError, ValueError) as error:
        yield "record-commitment", f"expected the units and salts that stay, got none: {reason(error)}"
        return
    if left.commitment != row.commitment:
        yield "record-commitment", "expected what stays of it to hash to it, got another commitment"
    if canonical(json.loads(remains)) != remains:
        yield "record-body", "expected canonical bytes of what stays, got another spelling"
    if canonical(left.record) != row.body:
        yield "record-body", "expected the units that stay, got others"


def check_erasures(run: Run) -> None:
    """Each erasure holds the body that its statement commits to; each tombstone is of a record and an erasure."""
    for row in run.rows(erasure):
        place = f"erasure {row.id} of {row.member}"
        more: dict[str, Any] = {"member": str(row.member), "entry": row.idx if type(row.idx) is int else None}
        with run.row("erasure", place, **more), run.engine.connect() as connection:
            stated = connection.execute(
                select(log.statement.c.idx, log.statement.c.envelope, log.entry.c.data)
                .select_from(
                    log.statement.outerjoin(log.entry, log.entry.c.idx == log.statement.c.idx),
                )
                .where(log.statement.c.id == row.statement)
            ).one_or_none()
            for message in _erasure_faults(row, stated):
                run.faults.note("erasure", place, message, **more)
    _tombstones(run)


def _erasure_faults(row: Any, stated: Any) -> Iterator[str]:
    if stated is None:
        yield "expected its staged statement, got none"
        return
    statement = parse_envelope(stated.envelope or stated.data or b"").statement
    value = json.loads(row.body)
    right = parse_erasure(value).commitment(row.salt)
    if (statement.type, statement.member, statement.id) != ("erasure", row.member, row.statement_id):
        yield f"expected an erasure by {row.member}, got another statement"
    elif " ".join(sorted({statement.member, *statement.body["parties"]})) != row.parties:
        yield "expected the parties that the statement names, got others"
    if right != row.commitment or right.hex() != statement.body.get("commitment"):
        yield "expected the commitment that the statement signs, got another"
    if canonical(value) != row.body:
        yield "expected canonical bytes, got another spelling"
    if stated.idx != row.idx:
        yield f"expected log index {stated.idx}, got {row.idx}"
    if row.swept not in (0, 1) or (row.swept == 1 and row.idx is None):
        yield "expected to be swept once it is in the log, got another mark"


def _tombstones(run: Run) -> None:
    """No tombstone without record and erasure, no name and no mark without a tombstone."""
    lost = (
        (erased, erased.outerjoin(record, record.c.id == erased.c.record), record.c.id),
        (erased_by, erased_by.outerjoin(erasure, erasure.c.id == erased_by.c.erasure), erasure.c.id),
        (erased_by, erased_by.outerjoin(erased, erased.c.record == erased_by.c.record), erased.c.record),
        (
            erased_name,
            erased_name.outerjoin(erased, erased.c.record == erased_name.c.record),
            erased.c.record,
        ),
    )
    with run.engine.connect() as connection:
        for table, joined, there in lost:
            query = select(table.c.record).select_from(joined).where(there.is_(None))
            for (number,) in connection.execute(query):
                run.faults.note(
                    "erased", f"{table.name} record number {number}", "expected what it is about, got none"
                )
        told = select(erased.c.record, erased.c.parties, erased.c.partial)
        for number, parties, partial in connection.execute(told):
            for members in (parties, partial or ""):
                if not isinstance(members, str) or not _are_members(members, run.registry.members):
                    run.faults.note(
                        "erased", f"erased record number {number}", "expected sorted members, got others"
                    )
        for row in connection.execute(select(retention)):
            if row.member not in run.registry.members:
                run.faults.note("retention", f"retention of {row.member}", "expected an admitted member")


def _are_members(told: str, members: Mapping[str, Any]) -> bool:
    names = told.split(" ") if told else []
    return names == sorted(set(names)) and all(name in members for name in names)


def document_fault(connection: Connection, row: Any) -> str | None:
    """Why a document without its bytes, or one marked as dropped, is at fault; None when a statement says so."""
    if row.dropped_by is not None:
        query = select(erasure.c.member).where(erasure.c.id == row.dropped_by, erasure.c.idx.is_not(None))
        if connection.execute(query).scalar_one_or_none() != row.member:
            return "expected an erasure in the log on whose account it was dropped, got none"
        return None if row.body == b"" else "expected no bytes of a dropped document, got some"
    refused = (
        select(capture.c.id)
        .join(log.statement, log.statement.c.id == capture.c.statement)
        .where(capture.c.document == row.id, log.statement.c.state == log.REFUSED)
    )
    if connection.execute(refused.limit(1)).first() is not None:
        return None
    return "expected packed bytes, got none"


__all__ = ["Gaps", "check_erasures", "document_fault", "record_faults"]
=======
_BY: Final = "SELECT e.* FROM erased_by b JOIN erasure e ON e.id = b.erasure WHERE b.record IN ({in})"
_STONES: Final = "SELECT record, whole, parties, partial, remains FROM erased WHERE record IN ({in})"
_STATEMENTS: Final = (
    "SELECT s.id, s.idx, s.state, s.envelope, e.data FROM statement s LEFT JOIN entry e ON e.idx = s.idx"
    " WHERE s.id IN ({in})"
)
_NAMED: Final = "SELECT id, member, commitment, salt, body, digest FROM record WHERE commitment IN ({in})"
_ALONE: Final = "/eventID"
"""An eventID made from content goes with the first unit, named or not."""


def record(run: Run, row: Any, place: str, more: Mapping[str, Any]) -> None:
    """A record without body or salt is one that the log says was erased, and what stays opens its commitment."""
    if row.salt is not None:
        run.faults.note("record-half", place, "expected body and salt, or neither, got one of them", **more)
        return
    with run.engine.connect() as connection:
        told = [
            parse_erasure(one.value())
            for one in map(stored_erasure, select_in(connection, _BY, [row.id]))
            if one.seq is not None and one.member == row.member
        ]
        stone = next(select_in(connection, _STONES, [row.id]), None)
    named = [one for one in told if row.commitment in one.records]
    if stone is None or not named or (row.body is None and all(one.units for one in named)):
        rule = "record-gap" if row.body is None else "record-half"
        run.faults.note(
            rule, place, "expected its content, or a statement that it was erased, got none", **more
        )
        return
    for rule, message in _stone_faults(row, stone, named):
        run.faults.note(rule, place, message, **more)


def _stone_faults(row: Any, stone: Any, named: Sequence[Erasure]) -> Iterator[tuple[str, str]]:
    if row.digest != b"":
        yield "record-digest", "expected no digest of a body that was erased, got one"
    if (stone.whole == 1) != (row.body is None) or (stone.remains is None) != (row.body is None):
        yield "erased", "expected what is kept of it as its tombstone says, got another"
        return
    members = stone.parties.split()
    if row.member not in members or " ".join(sorted(set(members))) != stone.parties:
        yield "erased", "expected its member among those who saw it, got another set"
    if row.body is None:
        if row.event_id is not None:
            yield "record-facts", "expected no eventID of what was erased, got one"
        return
    opened = open_disclosure(json.loads(stone.remains))
    if opened.commitment != row.commitment:
        yield (
            "record-commitment",
            "expected the units and salts that stay to hash to it, got another commitment",
        )
    elif canonical(opened.record) != row.body:
        yield "record-body", "expected the bytes of the units that stay, got others"
    if opened.record.get("eventID") != row.event_id and row.kind == 2:
        yield "record-facts", "expected its eventID as a column, got another"
    units = {unit for one in named for unit in one.units} | {_ALONE}
    for pointer in opened.hidden:
        if not any(_covers(unit, pointer) for unit in units):
            yield "record-gap", f"expected {pointer}, or a statement that it was erased, got none"


def _covers(unit: str, pointer: str) -> bool:
    return unit == pointer or pointer.startswith(f"{unit}/") or unit.startswith(f"{pointer}/")


def document(run: Run, row: Any) -> None:
    """A document without its bytes is one whose records were erased."""
    with run.engine.connect() as connection:
        query = "SELECT * FROM erasure WHERE id IN ({in})"
        found = next(map(stored_erasure, select_in(connection, query, [row.dropped_by])), None)
        refused = _is_of_refused(connection, row.id)
    if refused or (found is not None and found.seq is not None and found.member == row.member):
        return
    run.faults.note(
        "document",
        f"document {row.id}",
        "expected packed bytes, or an erasure that dropped them, got none",
        member=str(row.member),
    )


def _is_of_refused(connection: Any, number: int) -> bool:
    """Whether every capture of a document was refused by the log: what is gone of it counted for nothing."""
    query = "SELECT s.state FROM capture c JOIN statement s ON s.id = c.statement WHERE c.document IN ({in})"
    states = {row.state for row in select_in(connection, query, [number])}
    return states == {"refused"}


def link(run: Run, row: Any, place: str) -> None:
    """A link without body or salt is one that the log says was erased."""
    run.faults.note("link-body", place, "expected its body, got none", member=str(row.member))


def check_erasures(run: Run) -> None:
    """Each erasure holds the body that its statement commits to, and what it names is gone once it has its index."""
    for row in run.rows(erasure):
        place = f"erasure {row.id} of {row.member}"
        more: dict[str, Any] = {"member": str(row.member), "entry": row.idx if type(row.idx) is int else None}
        with run.row("erasure-body", place, **more):
            found = stored_erasure(row)
            with run.engine.connect() as connection:
                stated = next(select_in(connection, _STATEMENTS, [found.statement]), None)
                told = parse_erasure(found.value())
                named = list(select_in(connection, _NAMED, told.records))
                known = set(
                    select_in(connection, "SELECT record FROM erased_by WHERE erasure IN ({in})", [found.id])
                )
            for rule, message in _faults(found, told, stated):
                run.faults.note(rule, place, message, **more)
            if found.seq is not None:
                _effects(run, found, told, named, {one.record for one in known})
            elif known:
                run.faults.note("erasure-index", place, "expected no effect before it has an index", **more)
            if row.swept not in (0, 1):
                run.faults.note("erasure-body", place, "expected 0 or 1 for swept, got another", **more)
    _orphans(run)


def _faults(found: StoredErasure, told: Erasure, stated: Any) -> Iterator[tuple[str, str]]:
    if stated is None:
        yield "erasure-statement", "expected its staged statement, got none"
        return
    try:
        statement = parse_envelope(stated.envelope or stated.data or b"").statement
    except InvalidInput as error:
        yield "erasure-statement", f"expected its statement: {reason(error)}"
        return
    if (statement.type, statement.member, statement.id) != ("erasure", found.member, found.statement_id):
        yield "erasure-statement", f"expected an erasure by {found.member}, got another statement"
    elif {statement.member, *statement.body["parties"]} != found.parties:
        yield "erasure-parties", "expected the parties that the statement names, got others"
    right = told.commitment(found.salt)
    if right != found.commitment or right.hex() != statement.body.get("commitment"):
        yield "erasure-commitment", "expected the commitment that the statement signs, got another"
    if canonical(told.as_json()) != found.body:
        yield "erasure-body", "expected canonical bytes, got another spelling"
    if stated.idx != found.seq:
        yield "erasure-index", f"expected log index {stated.idx}, got {found.seq}"


def _effects(run: Run, found: StoredErasure, told: Erasure, named: Sequence[Any], known: set[int]) -> None:
    own = [row for row in named if row.member == found.member]
    for row in own:
        kept = row.salt is not None or (row.body is not None and not told.units)
        if kept or row.id not in known:
            run.faults.note(
                "erasure-undone",
                f"record {row.commitment.hex()}",
                "expected nothing of what was erased, got it back",
                member=found.member,
                entry=found.seq,
            )
    if {row.commitment for row in own} != set(told.records) or known - {row.id for row in own}:
        run.faults.note(
            "erased",
            f"erasure {found.id} of {found.member}",
            "expected its effect on the records it names, got one on others",
            member=found.member,
            entry=found.seq,
        )


def _orphans(run: Run) -> None:
    """Tombstones, and what they name, belong to records of which something was erased."""
    checks = (
        (erased, "SELECT record FROM erased WHERE record NOT IN (SELECT record FROM erased_by)"),
        (erased_by, "SELECT record FROM erased_by WHERE record NOT IN (SELECT record FROM erased)"),
        (erased_by, "SELECT record FROM erased_by WHERE erasure NOT IN (SELECT id FROM erasure)"),
        (erased_name, "SELECT record FROM erased_name WHERE record NOT IN (SELECT record FROM erased)"),
        (erased_name, "SELECT record FROM erased_name WHERE iri NOT IN (SELECT iri FROM thing)"),
    )
    with run.engine.connect() as connection:
        for table, query in checks:
            for (number,) in connection.exec_driver_sql(query):
                run.faults.note("erased", f"{table.name} of record {number}", "expected no such row, got one")
        kept = record_table.c.body.is_not(None) & record_table.c.salt.is_not(None)
        rows = record_table.join(erased, erased.c.record == record_table.c.id).select().where(kept)
        for row in connection.execute(rows):
            run.faults.note("erased", f"record {row.id}", "expected no tombstone of a whole record, got one")
>>>>>>> 25fce5666125b33723f2d36805d88433f1383523
