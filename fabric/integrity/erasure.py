"""Gaps: what a store no longer holds must be stated in the log as erased; any other gap is a fault.

An erasure has taken effect once its statement has an index. Then what it names must be gone, and whatever is gone
must be named by one: value by value, down to the units of a record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select

from fabric.epcis.erasure import Erasure, parse_erasure
from fabric.store.bodies import StoredBody, stored_body
from fabric.store.bulk import select_in
from fabric.store.schema import erased, erased_by, erased_name, erasure, retention
from fabric.store.schema import record as record_table
from ledger.canonical import canonical
from ledger.disclosure import open_disclosure

from .bodies import check_body
from .run import Run

_BY: Final = "SELECT e.* FROM erased_by b JOIN erasure e ON e.id = b.erasure WHERE b.record IN ({in})"
_STONES: Final = "SELECT record, whole, parties, partial, remains FROM erased WHERE record IN ({in})"
_NAMED: Final = "SELECT id, member, commitment, salt, body, digest FROM record WHERE commitment IN ({in})"
_REFUSED: Final = (
    "SELECT c.id FROM capture c JOIN statement s ON s.id = c.statement WHERE s.state = 'refused'"
    " AND EXISTS (SELECT 1 FROM erasure e WHERE e.member = c.member AND e.idx IS NOT NULL) AND c.id IN ({in})"
)
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
            for one in map(stored_body, select_in(connection, _BY, [row.id]))
            if one.seq is not None and one.member == row.member
        ]
        stone = next(select_in(connection, _STONES, [row.id]), None)
        refused = row.body is None and next(select_in(connection, _REFUSED, [row.capture]), None) is not None
    if refused and stone is None:
        # It counted for nothing; what was equal to it was erased, and took it along.
        return
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
    if row.supplied_id is not None:
        yield "record-facts", "expected no ID made of what was erased, got one"
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
        found = next(map(stored_body, select_in(connection, query, [row.dropped_by])), None)
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


def check_erasures(run: Run) -> None:
    """Each erasure holds the body that its statement commits to, and what it names is gone once it has its index."""
    for row in run.rows(erasure):
        place = f"erasure {row.id} of {row.member}"
        more: dict[str, Any] = {"member": str(row.member), "entry": row.idx if type(row.idx) is int else None}
        with run.row("erasure-body", place, **more):
            found = stored_body(row)
            with run.engine.connect() as connection:
                told = parse_erasure(found.value())
                named = list(select_in(connection, _NAMED, told.records))
                known = set(
                    select_in(connection, "SELECT record FROM erased_by WHERE erasure IN ({in})", [found.id])
                )
            check_body(run, "erasure", parse_erasure, row, place, more)
            if found.seq is not None:
                _effects(run, found, told, named, {one.record for one in known})
            elif known:
                run.faults.note("erasure-index", place, "expected no effect before it has an index", **more)
            if row.swept not in (0, 1):
                run.faults.note("erasure-body", place, "expected 0 or 1 for swept, got another", **more)
    _orphans(run)


def _effects(run: Run, found: StoredBody, told: Erasure, named: Sequence[Any], known: set[int]) -> None:
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
        for row in connection.execute(select(erased.c.record, erased.c.parties, erased.c.partial)):
            if not all(_are_members(run, told) for told in (row.parties, row.partial)):
                run.faults.note(
                    "erased", f"erased of record {row.record}", "expected sorted members, got others"
                )
        for name in connection.execute(select(retention.c.member)).scalars():
            if name not in run.registry.members:
                run.faults.note("retention", f"retention of {name}", "expected an admitted member, got none")
        kept = record_table.c.body.is_not(None) & record_table.c.salt.is_not(None)
        rows = record_table.join(erased, erased.c.record == record_table.c.id).select().where(kept)
        for row in connection.execute(rows):
            run.faults.note("erased", f"record {row.id}", "expected no tombstone of a whole record, got one")


def _are_members(run: Run, told: Any) -> bool:
    if told is None:
        return True
    names = told.split(" ") if isinstance(told, str) else [""]
    return names == sorted(set(names)) and all(name in run.registry.members for name in names)
