"""What the page of one thing shows, as values for its template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from api.answers import View
from fabric.epcis.identifiers import Position, canonical_thing
from fabric.trace import Budget, Direction, Question, Trace, trace
from fabric.trace import document as answers
from fabric.visibility.reader import Reader
from ledger.errors import InvalidInput, NotFound

from .labels import load_labels
from .overview import MAX_ROWS, by_holder, overview
from .things import events_naming, names_as_sent, things_of_class

Values: TypeAlias = dict[str, Any]

_TRACED: Final = frozenset({"lot", "serial", "document"})


def thing_values(seen: View, iri: str, reader: Reader) -> tuple[Values, Mapping[str, str]]:
    """The values of `thing.html`, and the names of things in them.

    Raises NotFound, in the same words for a thing that nobody named and for one of which the reader sees nothing.
    """
    entry = next(iter(seen.catalogue.named([iri])), None)
    kind = entry.kind if entry else _kind(iri)
    inside = things_of_class(seen.connection, iri, seen.classes) if kind == "class" else []
    values: Values = {
        "thing": iri,
        "kind": kind,
        "names": names_as_sent(seen.connection, iri, seen.classes) if entry else [],
        "lots": inside,
        "member": seen.holder_of(iri, seen.coverage.time_us or 0) if kind in ("place", "party") else None,
        "size": seen.coverage.size,
        **_course(seen, iri, kind if entry else ""),
    }
    labels = load_labels(seen.connection, _iris(values), seen.holder_of, seen.coverage.time_us or 0)
    claims = labels.attributes.get(iri, ())
    if entry is None and not inside:
        # Nobody named it in an event; who described it in master data still sees the own description.
        claims = tuple(one for one in claims if reader.sees((one.member,)))
        if not claims:
            raise NotFound("no record that you may see names this thing", rule="unknown-thing")
    values |= {"claims": claims, "phones": defaultdict(str, labels.phones), "holders": by_holder(values["holdings"])}
    return values, labels.names


def _kind(iri: str) -> str:
    try:
        return canonical_thing(iri, Position.EPC).kind.value
    except InvalidInput:
        return "thing"


def _course(seen: View, iri: str, kind: str) -> Values:
    """Events, whereabouts and amounts. For what cannot be traced: the newest events that name it."""
    found = _alone(seen, iri) if kind in _TRACED else None
    if found is None:
        newest = events_naming(seen.connection, iri, seen.classes) if kind else []
        events = [{**event._asdict(), "copies": (), "carrier": False} for event in newest]
        return {"events": events, "event_count": len(events), **_NOTHING}
    told = overview(found)
    events_found = sorted(answers.events(found), key=lambda event: (str(event["time"]), str(event["record"])))
    return {
        "events": events_found[:MAX_ROWS],
        "event_count": len(events_found),
        "affected": [row for row in answers.affected(found) if row["thing"] != iri or row["kind"] != "filling"][
            :MAX_ROWS
        ],
        "carriers": answers.carriers(found)[:MAX_ROWS],
        "quantities": answers.quantities(found)[:MAX_ROWS],
        "contradictions": answers.contradictions(found)[:MAX_ROWS],
        "holdings": told.holdings[:MAX_ROWS],
        "moving": told.moving[:MAX_ROWS],
        "missing": told.missing[:MAX_ROWS],
        "hidden": answers.bucket(found.hidden[0]),
    }


_NOTHING: Final[Values] = {
    "affected": [],
    "carriers": [],
    "quantities": [],
    "contradictions": [],
    "holdings": [],
    "moving": [],
    "missing": [],
    "hidden": "none",
}


def _alone(seen: View, iri: str) -> Trace | None:
    """A trace that goes nowhere: the thing (for a carrier its latest filling, for a document what it names)."""
    try:
        return trace(Question(iri, Direction.FORWARD, budget=Budget(nodes=1)), seen.source)
    except InvalidInput as error:
        if error.rule != "not-traceable":
            raise
        return None


def _iris(values: Values) -> set[str]:
    """Everything that the page names."""
    found = {values["thing"], *values["lots"]}
    for row in values["events"]:
        found.update(row.get("things", ()))
        found.add(row["place"] or "")
    for row in values["affected"]:
        holder = row["holder"]
        found.update(name for name in (row["thing"], holder["place"], holder["party"]) if name)
    for row in values["carriers"]:
        found.update((row["carrier"], row["thing"]))
    for row in values["quantities"]:
        found.update(place["place"] or "" for place in row["places"])
    for held in values["holdings"]:
        found.update(name for name in (held.thing, held.place, held.party) if name)
    for leg in values["moving"]:
        found.update(name for name in (leg.thing, leg.source, leg.target, leg.carrier) if name)
    for lost in values["missing"]:
        found.update(name for name in (lost.thing, lost.place, lost.other) if name)
    return found


__all__ = ["thing_values"]
