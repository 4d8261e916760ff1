"""What the page of one thing shows, as values for its template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from api.answers import View
from fabric.epcis.identifiers import Position, canonical_thing
from fabric.trace import Budget, Direction, Question, Trace, trace
from fabric.trace import document as answers
from fabric.visibility.reader import Reader
from ledger.errors import InvalidInput, NotFound

from .labels import Labels, load_labels
from .overview import MAX_ROWS, dated, overview
from .things import events_naming, names_as_sent, roles_of, things_of_class

Values: TypeAlias = dict[str, Any]

_TRACED: Final = frozenset({"lot", "serial", "document"})
_MATERIAL: Final = frozenset({"lot", "serial"})


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
    labels = _labels(seen, _iris(values), reader)
    claims = labels.attributes.get(iri, ())
    # What nobody named in an event has the descriptions that the reader itself gave, if any.
    if entry is None and not inside and not claims:
        raise NotFound("no record that you may see names this thing", rule="unknown-thing")
    shown = [one.value for one in claims if ":" in one.value]
    more = _labels(seen, shown, reader) if shown else labels
    values |= {
        "claims": claims,
        "roles": roles_of(seen.connection, _processes(values["events"])),
        "claimants": list(dict.fromkeys(one.member for one in claims)),
        "phones": defaultdict(str, labels.phones),
    }
    return values, {**more.names, **labels.names}


def _labels(seen: View, iris: Iterable[str], reader: Reader) -> Labels:
    return load_labels(
        seen.connection, iris, seen.holder_of, seen.coverage.time_us or 0, seen.classes, reader
    )


def _kind(iri: str) -> str:
    try:
        return canonical_thing(iri, Position.EPC).kind.value
    except InvalidInput:
        return "thing"


def _course(seen: View, iri: str, kind: str) -> Values:
    """Events, whereabouts and amounts. For all but material: the newest events that name it."""
    found = _alone(seen, iri) if kind in _TRACED else None
    if found is not None and iri in {row[2] for row in found.things.values() if row[3] in _MATERIAL}:
        return _material(found)
    newest = events_naming(seen.connection, iri, seen.classes) if kind else []
    values: Values = {**_NOTHING, "events": [event._asdict() for event in newest], "event_count": len(newest)}
    return values if found is None else values | _named_with(found, iri) | {"uses": _uses(seen, iri)}


def _material(found: Trace) -> Values:
    """A lot or serial: where it is and what happened to it, its carriers' events among them."""
    told = overview(found)
    events = sorted(answers.events(found), key=lambda event: (str(event["time"]), str(event["record"])))
    contradictions = list(answers.contradictions(found))
    return {
        "events": events[:MAX_ROWS],
        "event_count": len(events),
        "own": next(iter(answers.affected(found))),
        "inside": [],
        "uses": [],
        "carriers": list(answers.carriers(found))[:MAX_ROWS],
        "quantities": list(answers.quantities(found))[:MAX_ROWS],
        "contradictions": contradictions[:MAX_ROWS],
        "holders": told.holders(),
        "moving": told.moving[:MAX_ROWS],
        "missing": dated(told.missing[:MAX_ROWS], contradictions, events),
        "hidden": answers.bucket(found.hidden[0]),
        "erased": answers.erased(found)["records"],
    }


def _processes(events: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(event["record"]) for event in events if event["type"] == "TransformationEvent"]


def _uses(seen: View, iri: str) -> list[Values]:
    """The times a carrier was in use, the latest first; nothing for what was never filled."""
    found = seen.source.find(iri)
    fillings = sorted(seen.source.fillings({found[0]}), key=lambda row: row[2], reverse=True) if found else []
    return [
        {"from": answers.time_text(start), "until": answers.time_text(end)} for _, _, start, end in fillings
    ][:MAX_ROWS]


def _named_with(found: Trace, iri: str) -> Values:
    """A carrier with what is in its latest filling, or a document with what it is about, and how these travel.

    What else became of those things stands on their own pages: they may be in many places.
    """
    rows = list(answers.affected(found))
    with_it = [leg for leg in overview(found).moving if iri == leg.carrier or iri in leg.documents]
    return {
        "own": next((row for row in rows if row["thing"] == iri), None),
        "inside": [row for row in rows if row["thing"] != iri][:MAX_ROWS],
        "moving": with_it[:MAX_ROWS],
        "hidden": answers.bucket(found.hidden[0]),
        "erased": answers.erased(found)["records"],
    }


_NOTHING: Final[Values] = {
    "own": None,
    "inside": [],
    "uses": [],
    "carriers": [],
    "quantities": [],
    "contradictions": [],
    "holders": [],
    "moving": [],
    "missing": [],
    "hidden": "none",
    "erased": 0,
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
    for row in (*values["inside"], *([values["own"]] if values["own"] else ())):
        holder = row["holder"]
        found.update(name for name in (row["thing"], holder["place"], holder["party"]) if name)
    for row in values["carriers"]:
        found.update((row["carrier"], row["thing"]))
    for row in values["quantities"]:
        found.update(place["place"] or "" for place in row["places"])
    for holder in values["holders"]:
        found.update(name for name in (holder.place, holder.party) if name)
    for leg in values["moving"]:
        found.update(name for name in (leg.thing, leg.source, leg.target, leg.carrier) if name)
    for lost in values["missing"]:
        found.update(name for name in (lost.thing, lost.place, lost.other) if name)
    return found


__all__ = ["thing_values"]
