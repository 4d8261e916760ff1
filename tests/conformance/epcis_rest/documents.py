"""Documents and events of the suite's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .identifiers import Item, Place, fresh, fresh_event_id

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
NAMESPACE = "https://ns.example.org/conformance/"
EXTENSIONS = {"GS1-Extensions": f"ex={NAMESPACE}"}
"""The header that gives the suite's extension fields their prefix in query strings."""

Event = dict[str, Any]
Document = dict[str, Any]


def context() -> list[Any]:
    """The standard's context and the suite's own namespace."""
    return [CONTEXT, {"ex": NAMESPACE}]


def now_text() -> str:
    """The present, as the standard writes times."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at(minute: int, second: int = 0) -> str:
    """A time of the suite's day, in an offset that is not UTC."""
    return f"2024-03-01T{10 + minute // 60:02d}:{minute % 60:02d}:{second:02d}.000+01:00"


def object_event(place: Place, **more: Any) -> Event:
    """An observation of a fresh item at `place`; `more` sets further fields, and None takes one away."""
    event: Event = {
        "eventID": fresh_event_id(),
        "type": "ObjectEvent",
        "eventTime": at(0),
        "eventTimeZoneOffset": "+01:00",
        "epcList": [Item("000017", fresh()).urn],
        "action": "OBSERVE",
        "bizStep": "inspecting",
        "bizLocation": {"id": place.urn},
        **more,
    }
    return {name: value for name, value in event.items() if value is not None}


def fresh_place(reference: str = "00001") -> Place:
    """A location nobody used before: events at it are this test's alone."""
    return Place(reference, fresh())


def document(events: list[Event], header: dict[str, Any] | None = None) -> Document:
    """An EPCISDocument that holds `events`."""
    made: Document = {
        "@context": context(),
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": now_text(),
        "epcisBody": {"eventList": events},
    }
    return made if header is None else {**made, "epcisHeader": header}


def query_document(events: list[Event]) -> Document:
    """An EPCISQueryDocument that holds `events`: what one server answers, given to another."""
    results = {"queryName": "SimpleEventQuery", "resultsBody": {"eventList": events}}
    return {
        "@context": context(),
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": now_text(),
        "epcisBody": {"queryResults": results},
    }


def bare(event: Event) -> Event:
    """One event as `POST /events` takes it: with its own context."""
    return {"@context": context(), **event}


def locations(hierarchy: dict[str, list[str]], attributes: dict[str, dict[str, str]]) -> dict[str, Any]:
    """A header with master data of locations: the children of each, and the attributes of each."""
    elements = []
    for name in {**hierarchy, **attributes}:
        element: dict[str, Any] = {"id": name}
        if name in attributes:
            element["attributes"] = [
                {"id": key, "attribute": value} for key, value in attributes[name].items()
            ]
        if name in hierarchy:
            element["children"] = hierarchy[name]
        elements.append(element)
    vocabulary = {"type": "urn:epcglobal:epcis:vtype:BusinessLocation", "vocabularyElementList": elements}
    return {"epcisMasterData": {"vocabularyList": [vocabulary]}}
