"""Dispatches paired with their receipts, as inferred links with rule, evidence and strength.

The legs are lineage's (`lineage_summary`); here they become hand-overs in the graph of their rule. Each belongs
to one thing, so what changes for a thing replaces all of its hand-overs. Evidence is what both records name,
so whoever sees both learns nothing from the pair that they do not show.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from fabric.store.bulk import select_in
from ontology.vocabulary import term

from .names import PAIRED, handover_iri, record_iri
from .terms import iri, is_iri

_TYPE: Final = iri(term("rdf:type"))
_HANDOVER: Final = iri(term("loomark:HandOver"))
_THING: Final = iri(term("loomark:thing"))
_DISPATCH: Final = iri(term("loomark:dispatch"))
_RECEIPT: Final = iri(term("loomark:receipt"))
_STRENGTH: Final = iri(term("loomark:strength"))
_EVIDENCE: Final = iri(term("loomark:evidence"))
_STATED: Final = iri(term("loomark:stated"))
_POSSIBLE: Final = iri(term("loomark:possible"))
_END: Final = f" {iri(PAIRED)} .\n"

_NAMED: Final = "SELECT DISTINCT thing FROM line WHERE record IN ({in}) AND role <> 'mention'"
_SAME_ID: Final = "SELECT o.id FROM record r JOIN record o ON o.event_id = r.event_id WHERE r.id IN ({in})"
_PARENTS: Final = "SELECT DISTINCT parent FROM lineage_interval WHERE child IN ({in})"
_CHILDREN: Final = "SELECT DISTINCT child FROM lineage_interval WHERE parent IN ({in})"
_LEGS: Final = "SELECT s.thing, t.iri, s.body FROM lineage_summary s JOIN thing t ON t.id = s.thing WHERE s.thing IN ({in})"
_IRIS: Final = "SELECT iri FROM thing WHERE id IN ({in})"
_NUMBERS: Final = "SELECT id FROM thing WHERE iri IN ({in})"
_RECORDS: Final = "SELECT id, commitment FROM record WHERE id IN ({in})"
_LINES: Final = (
    "SELECT l.record, l.thing, t.iri FROM line l JOIN thing t ON t.id = l.thing WHERE l.record IN ({in})"
)

# Places of a leg in the JSON of a summary (docs/spec/lineage.md).
_STATE, _IS_STATED, _INFERRED, _DOCUMENTS, _DISPATCHES, _RECEIPTS = 8, 9, 10, 11, 12, 13


class HandOver(NamedTuple):
    """One thing, one dispatch record, one receipt record, and how sure the pairing is."""

    thing: int
    iri: str
    dispatch: int
    receipt: int
    stated: bool
    documents: tuple[str, ...]


def affected_things(engine: Engine, records: Collection[int]) -> set[int]:
    """Things whose hand-overs these records may have changed: named, beside them in a parent, and inside.

    A superset of what lineage derived anew for the records.
    """
    with engine.connect() as connection:
        # One of several records under an eventID may have begun, or ceased, to count.
        records = {*records, *(record for (record,) in select_in(connection, _SAME_ID, records))}
        named = {thing for (thing,) in select_in(connection, _NAMED, records)}
    return affected_by(engine, named)


def affected_by(engine: Engine, named: Collection[int]) -> set[int]:
    """Things whose hand-overs a change to these things may have changed."""
    with engine.connect() as connection:
        found = set(named)
        waiting = found | {parent for (parent,) in select_in(connection, _PARENTS, named)}
        seen = set(waiting)
        while waiting:
            waiting = {child for (child,) in select_in(connection, _CHILDREN, waiting)} - seen
            seen |= waiting
        return found | seen


def handovers_of(engine: Engine, things: Collection[int]) -> Iterator[str]:
    """The hand-overs of these things as N-Quads lines."""
    with engine.connect() as connection:
        found = [one for row in select_in(connection, _LEGS, things) for one in _paired(row)]
        records = {number for one in found for number in (one.dispatch, one.receipt)}
        names = dict(map(tuple, select_in(connection, _RECORDS, records)))
        lines = _lines(connection, records)
    for one in found:
        named = (lines.get(one.dispatch, {}), lines.get(one.receipt, {}))
        # A thing that neither record names is there by its carrier, whose own hand-over says so.
        if any(one.thing in part for part in named):
            yield from _quads(one, names, named[0].keys() & named[1].keys(), named[0])


def things_of(engine: Engine, iris: Collection[str]) -> set[int]:
    """The things of these IRIs, where they still have a number."""
    with engine.connect() as connection:
        return {number for (number,) in select_in(connection, _NUMBERS, iris)}


def iris_of(engine: Engine, things: Collection[int]) -> list[str]:
    """The IRIs of things."""
    with engine.connect() as connection:
        return [name for (name,) in select_in(connection, _IRIS, things)]


def _paired(row: Any) -> Iterator[HandOver]:
    seen = set()
    for leg in orjson.loads(row.body)[2]:
        if leg[_STATE] != "received" or leg[_INFERRED]:
            continue
        for dispatch in leg[_DISPATCHES]:
            for receipt in leg[_RECEIPTS]:
                if (dispatch, receipt) not in seen:
                    seen.add((dispatch, receipt))
                    documents = tuple(leg[_DOCUMENTS])
                    yield HandOver(row.thing, row.iri, dispatch, receipt, bool(leg[_IS_STATED]), documents)


def _lines(connection: Connection, records: Iterable[int]) -> dict[int, dict[int, str]]:
    found: dict[int, dict[int, str]] = {}
    for record, thing, name in select_in(connection, _LINES, records):
        found.setdefault(record, {})[thing] = name
    return found


def _quads(
    one: HandOver, names: Mapping[int, bytes], shared: Collection[int], lines: Mapping[int, str]
) -> Iterator[str]:
    dispatch, receipt = names[one.dispatch], names[one.receipt]
    if not is_iri(one.iri):
        return
    subject = iri(handover_iri(one.iri, dispatch, receipt))
    yield f"{subject} {_TYPE} {_HANDOVER}{_END}"
    yield f"{subject} {_THING} {iri(one.iri)}{_END}"
    yield f"{subject} {_DISPATCH} {iri(record_iri(dispatch))}{_END}"
    yield f"{subject} {_RECEIPT} {iri(record_iri(receipt))}{_END}"
    yield f"{subject} {_STRENGTH} {_STATED if one.stated else _POSSIBLE}{_END}"
    both = {lines[thing] for thing in shared}
    for document in sorted(both.intersection(one.documents)):
        yield f"{subject} {_EVIDENCE} {iri(document)}{_END}"
