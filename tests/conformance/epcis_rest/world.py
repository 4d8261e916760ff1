"""A small world captured once: events of every kind, each with a name, at one location of its own.

A query that is narrowed to :attr:`World.home` sees these and no others, whatever else the server holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .documents import Document, Event, at, document, locations
from .identifiers import (
    PREFIX,
    Item,
    Lot,
    Place,
    check_digit,
    fresh,
    fresh_event_id,
    fresh_hash_id,
    fresh_pallet,
)

CITY = "urn:epcglobal:cbv:mda#city"
GLN = f"{PREFIX}00000{check_digit(PREFIX + '00000')}"


class World:
    """The identifiers of one run, and the events made of them. Names of events are the suite's, not the server's."""

    def __init__(self) -> None:
        self.run = fresh()
        self.hall = Place("00001", f"{self.run}H")
        self.home = self.hall.urn
        self.site = Place("00002", f"{self.run}S").urn
        self.yard = Place("00002", f"{self.run}Y").urn
        self.line = Place("00002", f"{self.run}L")
        self.dock = Place("00003", f"{self.run}D")
        self.item = Item("000017", f"{self.run}1")
        self.second = Item("000017", f"{self.run}2")
        self.raw = Item("000025", f"{self.run}3")
        self.product = Item("000033", f"{self.run}4")
        self.lot = Lot("000041", f"{self.run}A")
        self.made_lot = Lot("000058", f"{self.run}B")
        self.pallet = fresh_pallet()
        self.order = f"urn:epcglobal:cbv:bt:{GLN}:{self.run}"
        self.transformation = fresh_event_id()
        self.device = f"urn:epc:id:giai:{PREFIX}.{self.run}"
        self.corrective = fresh_event_id()
        self.ids = {name: fresh_event_id() for name in MAKERS}
        self.ids["seen"] = fresh_hash_id()
        self.ids["declared"] = self.ids["mistake"]
        self.events = {name: self._event(name) for name in MAKERS}

    def _event(self, name: str) -> Event:
        common: Event = {
            "eventID": self.ids[name],
            "eventTime": at(10 * list(MAKERS).index(name)),
            "eventTimeZoneOffset": "+01:00",
            "bizLocation": {"id": self.home},
        }
        return {**common, **MAKERS[name](self)}

    def documents(self) -> list[Document]:
        """What has to be captured: the declaration of an error comes after what it is about."""
        header = locations(
            {self.site: [self.yard], self.yard: [self.line.urn]},
            {self.line.urn: {CITY: "Lyon"}, self.home: {CITY: "Basel"}},
        )
        first = [event for name, event in self.events.items() if name != "declared"]
        return [document(first, header), document([self.events["declared"]])]

    def names(self, events: Iterable[Event]) -> list[str]:
        """The names of events as a server answered them, sorted; what is not of this world is named by its ID."""
        return sorted(self._name(event) for event in events)

    def _name(self, event: Event) -> str:
        if event.get("eventID") == self.ids["declared"]:
            return "declared" if "errorDeclaration" in event else "mistake"
        known = {event_id: name for name, event_id in self.ids.items()}
        return known.get(str(event.get("eventID")), str(event.get("eventID")))


def _made(world: World) -> Event:
    return {
        "type": "ObjectEvent",
        "action": "ADD",
        "bizStep": "commissioning",
        "disposition": "active",
        "epcList": [world.item.urn],
        "readPoint": {"id": world.line.urn},
        "certificationInfo": ["https://accreditation.example.org/certificate/1"],
        "ilmd": {
            "ex:batch": "B7",
            "ex:weight": "12.5",
            "ex:best": "2024-09-01T00:00:00Z",
            "ex:maker": {"ex:grade": "3", "ex:person": "Ann"},
        },
        "ex:colour": "red",
        "ex:count": 5,
        "ex:moment": "2024-05-01T00:00:00Z",
        "ex:box": {"ex:depth": "3", "ex:label": "deep"},
    }


def _seen(world: World) -> Event:
    return {
        "type": "ObjectEvent",
        "action": "OBSERVE",
        "bizStep": "inspecting",
        "disposition": "conformant",
        "persistentDisposition": {"set": ["completeness_verified"], "unset": ["completeness_inferred"]},
        "epcList": [world.second.urn],
        "readPoint": {"id": world.dock.urn, "ex:zone": "Z1", "ex:gate": {"ex:number": "4"}},
        "bizLocation": {"id": world.home, "ex:floor": "F2", "ex:shelf": {"ex:number": "8"}},
        "ex:colour": "blue",
        "ex:count": 9,
        "ex:moment": "2024-07-01T00:00:00Z",
        "ex:box": {"ex:depth": "7", "ex:label": "shallow"},
    }


def _packed(world: World) -> Event:
    return {
        "type": "AggregationEvent",
        "action": "ADD",
        "bizStep": "packing",
        "disposition": "in_progress",
        "parentID": world.pallet.urn,
        "childEPCs": [world.item.urn],
        "childQuantityList": [{"epcClass": world.lot.urn, "quantity": 10, "uom": "KGM"}],
    }


def _shipped(world: World) -> Event:
    return {
        "type": "TransactionEvent",
        "action": "ADD",
        "bizStep": "shipping",
        "disposition": "in_transit",
        "parentID": world.pallet.urn,
        "epcList": [world.second.urn],
        "bizTransactionList": [{"type": "po", "bizTransaction": world.order}],
        "sourceList": [{"type": "location", "source": world.line.urn}],
        "destinationList": [{"type": "location", "destination": world.dock.urn}],
    }


def _cooked(world: World) -> Event:
    return {
        "type": "TransformationEvent",
        "bizStep": "creating_class_instance",
        "disposition": "in_progress",
        "transformationID": world.transformation,
        "inputEPCList": [world.raw.urn],
        "inputQuantityList": [{"epcClass": world.lot.urn, "quantity": 200, "uom": "KGM"}],
        "outputEPCList": [world.product.urn],
        "outputQuantityList": [{"epcClass": world.made_lot.urn, "quantity": 30}],
        "ilmd": {"ex:batch": "B9", "ex:weight": "99.5", "ex:maker": {"ex:grade": "8", "ex:person": "Bob"}},
    }


def _joined(world: World) -> Event:
    return {
        "type": "AssociationEvent",
        "action": "ADD",
        "bizStep": "installing",
        "parentID": world.device,
        "childEPCs": [world.product.urn],
    }


def _counted(world: World) -> Event:
    return {
        "type": "ObjectEvent",
        "action": "OBSERVE",
        "bizStep": "stock_taking",
        "quantityList": [{"epcClass": world.lot.urn, "quantity": 2000, "uom": "GRM"}],
    }


def _cold(world: World) -> Event:
    metadata = {
        "time": "2024-03-01T09:00:00Z",
        "startTime": "2024-03-01T08:00:00Z",
        "endTime": "2024-03-01T09:00:00Z",
        "deviceID": world.device,
        "dataProcessingMethod": f"https://example.com/253/{world.run}-cold",
        "bizRules": f"https://example.com/rules/{world.run}-cold",
        "ex:probe": "P1",
    }
    report: dict[str, Any] = {
        "type": "Temperature",
        "value": 4.5,
        "minValue": 2.5,
        "maxValue": 6.5,
        "meanValue": 4.25,
        "sDev": 0.5,
        "percRank": 50,
        "percValue": 4.75,
        "uom": "CEL",
        "ex:quality": "good",
    }
    text = {
        "type": "AmountOfSubstance",
        "microorganism": f"https://example.org/taxonomy/{world.run}",
        "chemicalSubstance": f"https://example.org/inchi/{world.run}",
        "stringValue": "clear",
        "booleanValue": True,
        "hexBinaryValue": "f0f0f0",
        "uriValue": f"https://example.org/value/{world.run}",
    }
    element = {
        "sensorMetadata": metadata,
        "sensorReport": [report, text],
        "ex:rack": "R1",
        "ex:cell": {"ex:row": "6"},
    }
    return _sensed(world, element)


def _warm(world: World) -> Event:
    metadata = {
        "time": "2024-03-01T19:00:00Z",
        "startTime": "2024-03-01T18:00:00Z",
        "endTime": "2024-03-01T19:00:00Z",
    }
    report = {"type": "Temperature", "value": 30, "uom": "CEL"}
    other = {"type": "RelativeHumidity", "value": 60, "uom": "P1", "booleanValue": False}
    return _sensed(world, {"sensorMetadata": metadata, "sensorReport": [report, other]})


def _sensed(world: World, element: dict[str, Any]) -> Event:
    return {
        "type": "ObjectEvent",
        "action": "OBSERVE",
        "bizStep": "sensor_reporting",
        "epcList": [world.product.urn],
        "sensorElementList": [element],
    }


def _mistake(world: World) -> Event:
    return {"type": "ObjectEvent", "action": "DELETE", "bizStep": "destroying", "epcList": [world.raw.urn]}


def _declared(world: World) -> Event:
    declaration = {
        "declarationTime": "2024-04-02T10:00:00Z",
        "reason": "incorrect_data",
        "correctiveEventIDs": [world.corrective],
        "ex:ticket": "T-1",
        "ex:weight": "7",
        "ex:who": {"ex:rank": "2", "ex:desk": "north"},
    }
    return {**world._event("mistake"), "errorDeclaration": declaration}


MAKERS = {
    "made": _made,
    "seen": _seen,
    "packed": _packed,
    "shipped": _shipped,
    "cooked": _cooked,
    "joined": _joined,
    "counted": _counted,
    "cold": _cold,
    "warm": _warm,
    "mistake": _mistake,
    "declared": _declared,
}
"""Each event by its name, in the order of their times: ten minutes apart."""
