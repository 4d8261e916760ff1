"""A small consortium that fills every table: whoever changes rows behind a node's back needs rows to change."""

from __future__ import annotations

from typing import Any

from tests.simulator import Simulator

LOT = "https://id.gs1.org/01/09506000134352/10/A1"
FLOUR = "https://id.gs1.org/01/09506000134369/10/B1"
PALLET = "https://id.gs1.org/00/095060001000000012"
SITE = "https://id.gs1.org/414/9506000134352"
DOCK = "https://id.gs1.org/414/9506000134369"


def story(sim: Simulator) -> None:
    """Every projection has rows: things, parties, hand-over, packing, a process, master data, a declaration."""
    sim.admit("mill", parties=["9506000134352"])
    sim.admit("shop", parties=["9506000134369"])
    sim.admit("lab", own_key=True)
    kilos = {"quantity": 3, "uom": "KGM"}
    sides: dict[str, Any] = {
        "sourceList": [{"type": "owning_party", "source": "https://id.gs1.org/417/9506000134352"}],
        "destinationList": [{"type": "owning_party", "destination": "https://id.gs1.org/417/9506000134369"}],
    }
    made = sim.event(
        "TransformationEvent",
        inputQuantityList=[{"epcClass": LOT, **kilos}],
        outputQuantityList=[{"epcClass": FLOUR, **kilos}],
        transformationID="urn:uuid:00000000-0000-4000-8000-00000000aaaa",
        readPoint={"id": SITE},
    )
    packed = sim.event(
        "AggregationEvent",
        action="ADD",
        parentID=PALLET,
        childQuantityList=[{"epcClass": FLOUR, **kilos}],
        bizStep="packing",
        readPoint={"id": SITE},
    )
    sent = sim.event(epcList=[PALLET], bizStep="shipping", readPoint={"id": SITE}, **sides)
    wrong = sim.event(quantityList=[{"epcClass": LOT, "quantity": 9, "uom": "KGM"}])
    sim.capture("mill", [made, packed, sent, wrong])
    declaration = {"declarationTime": "2026-05-03T00:00:00Z", "reason": "incorrect_data"}
    sim.capture("mill", [wrong | {"errorDeclaration": declaration}])
    sim.capture("shop", [sim.event(epcList=[PALLET], bizStep="receiving", readPoint={"id": DOCK}, **sides)])
    sim.capture_signed("lab", [sim.event(quantityList=[{"epcClass": FLOUR, "quantity": 1, "uom": "KGM"}])])
    element = {"id": SITE, "attributes": []}
    masters = {
        "vocabularyList": [
            {"type": "urn:epcglobal:epcis:vtype:BusinessLocation", "vocabularyElementList": [element]}
        ]
    }
    sim.capture("mill", [sim.event(epcList=[PALLET])], epcisHeader={"epcisMasterData": masters})
    sim.link("mill", LOT, "urn:example:partner:4711")
