"""Small valid documents for the tests of this package; each test breaks one thing in them."""

from __future__ import annotations

import json
from typing import Any

from fabric.epcis.document import EVENT_LISTS

GS1 = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
GS1_DIGEST = "e532647e8eb371379b8b0e8602d8981c8566bc60f7351f22c76a5bc865962008"

COMMON: dict[str, Any] = {
    "eventTime": "2026-05-04T10:11:12.345678+02:00",
    "eventTimeZoneOffset": "+02:00",
    "bizStep": "shipping",
    "disposition": "in_transit",
    "readPoint": {"id": "urn:epc:id:sgln:9506000.00001.0"},
}
EVENTS: dict[str, dict[str, Any]] = {
    "ObjectEvent": {
        "type": "ObjectEvent",
        **COMMON,
        "action": "ADD",
        "epcList": ["urn:epc:id:sgtin:9506000.013435.1"],
        "ilmd": {"ex:harvest": {"field": 7}},
    },
    "AggregationEvent": {
        "type": "AggregationEvent",
        **COMMON,
        "action": "ADD",
        "parentID": "https://id.gs1.org/00/106141412345678908",
        "childQuantityList": [
            {"epcClass": "https://id.gs1.org/01/09506000134352/10/L1", "quantity": 12.5, "uom": "KGM"}
        ],
    },
    "AssociationEvent": {
        "type": "AssociationEvent",
        **COMMON,
        "action": "OBSERVE",
        "parentID": "urn:epc:id:grai:0614141.12345.400",
        "childEPCs": ["urn:example:sensor:7"],
    },
    "TransactionEvent": {
        "type": "TransactionEvent",
        **COMMON,
        "action": "OBSERVE",
        "epcList": ["urn:epc:id:sgtin:9506000.013435.1"],
        "bizTransactionList": [{"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:9506000000015:7"}],
    },
    "TransformationEvent": {
        "type": "TransformationEvent",
        **COMMON,
        "inputQuantityList": [
            {"epcClass": "urn:epc:class:lgtin:4012345.012345.998877", "quantity": 3, "uom": "KGM"}
        ],
        "outputEPCList": ["https://id.gs1.org/01/09506000134352/21/1"],
    },
}


def event(kind: str = "ObjectEvent", **changes: Any) -> dict[str, Any]:
    """One valid event with some fields changed; None removes a field."""
    changed = json.loads(json.dumps(EVENTS[kind])) | changes
    return {name: value for name, value in changed.items() if value is not None}


def document(*events: Any, **changes: Any) -> dict[str, Any]:
    """One valid document of the given events with some members changed; None removes a member."""
    changed = {
        "@context": [GS1, {"ex": "https://ns.example.com/"}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-05-04T12:00:00Z",
        "epcisBody": {"eventList": list(events)},
    } | changes
    return {name: value for name, value in changed.items() if value is not None}


def raw(value: Any) -> bytes:
    """A JSON value as bytes."""
    return json.dumps(value).encode()


def events_in(sent: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a document, as they were sent; none of a single event."""
    place: Any = sent
    for step in EVENT_LISTS.get(sent["type"], "/type/none").split("/")[1:]:
        place = place.get(step, {}) if isinstance(place, dict) else {}
    return place or []
