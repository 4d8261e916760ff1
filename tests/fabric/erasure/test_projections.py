"""After any erasure the projections are those that a rebuild makes of what stays."""

from __future__ import annotations

import random
from typing import Any

import pytest

from fabric.store.jobs import Job
from ledger.errors import InvalidInput
from tests.simulator import Simulator

from .conftest import FARM, PACKER, SHOP, Erasing, place

LOTS = [f"https://id.gs1.org/01/09506000134352/10/F{n}" for n in range(2)]


def story(sim: Simulator) -> list[Job]:
    """Lots made at a farm, shipped, received, packed into cases by two events, packed on pallets, shipped to a shop."""
    there, here, shop = ({"id": place(gln)} for gln in (FARM, PACKER, SHOP))
    jobs = []
    for n, lot in enumerate(LOTS):
        desadv = [{"type": "desadv", "bizTransaction": f"urn:epcglobal:cbv:bt:{FARM}:{n}"}]
        jobs.append(
            sim.capture(
                "farm",
                [
                    sim.event(
                        action="ADD",
                        bizStep="commissioning",
                        quantityList=[{"epcClass": lot, "quantity": 100, "uom": "KGM"}],
                        bizLocation=there,
                        ilmd={"ex:field": f"north {n}"},
                    ),
                    sim.event(
                        bizStep="shipping",
                        quantityList=[{"epcClass": lot, "quantity": 90, "uom": "KGM"}],
                        readPoint=there,
                        bizTransactionList=desadv,
                        sourceList=[{"type": "location", "source": place(FARM)}],
                        destinationList=[{"type": "location", "destination": place(PACKER)}],
                    ),
                ],
            )
        )
        receipt = sim.event(
            bizStep="receiving",
            quantityList=[{"epcClass": lot, "quantity": 80, "uom": "KGM"}],
            bizLocation=here,
            bizTransactionList=desadv,
            sourceList=[{"type": "location", "source": place(FARM)}],
            destinationList=[{"type": "location", "destination": place(PACKER)}],
        )
        jobs.append(sim.capture_signed("packer", [receipt]))
    cases = [f"urn:epc:id:sgtin:9506000.013436.7{n}" for n in range(4)]
    pallets = [f"urn:epc:id:sscc:9506000.000000000{n}" for n in range(2)]
    run = "urn:epcglobal:cbv:bt:9506000134369:run1"
    transform = [
        sim.event(
            "TransformationEvent",
            inputQuantityList=[{"epcClass": lot, "quantity": 40, "uom": "KGM"}],
            outputEPCList=cases[n : n + 2],
            transformationID=run,
            bizLocation=here,
            bizStep="commissioning",
            ilmd={"cbvmda:lotNumber": f"P{n}"},
        )
        for n, lot in enumerate(LOTS)
    ]
    packing = [
        sim.event(
            "AggregationEvent",
            parentID=pallet,
            childEPCs=cases[2 * n : 2 * n + 2],
            action="ADD",
            bizStep="packing",
            bizLocation=here,
        )
        for n, pallet in enumerate(pallets)
    ]
    shipping = [
        sim.event(
            epcList=[pallet],
            bizStep="shipping",
            readPoint=here,
            bizTransactionList=[
                {"type": "desadv", "bizTransaction": f"urn:epcglobal:cbv:bt:{PACKER}:{pallet[-1]}"}
            ],
            sourceList=[{"type": "location", "source": place(PACKER)}],
            destinationList=[{"type": "location", "destination": place(SHOP)}],
        )
        for pallet in pallets
    ]
    jobs.append(sim.capture_signed("packer", [*transform, *packing, *shipping]))
    jobs.append(
        sim.capture(
            "shop",
            [
                sim.event(
                    epcList=[pallets[0]],
                    bizStep="receiving",
                    bizLocation=shop,
                    bizTransactionList=[
                        {"type": "desadv", "bizTransaction": f"urn:epcglobal:cbv:bt:{PACKER}:0"}
                    ],
                ),
                sim.event(
                    "AggregationEvent",
                    parentID=pallets[0],
                    action="DELETE",
                    bizLocation=shop,
                    childEPCs=cases[:2],
                ),
                sim.event(epcList=["urn:example:private:7"], bizLocation=shop),
                sim.event(
                    "TransactionEvent",
                    epcList=["urn:example:private:7"],
                    action="ADD",
                    bizTransactionList=[{"bizTransaction": "urn:example:po:1"}],
                ),
            ],
        )
    )
    return jobs


def rebuilt(erasing: Erasing) -> dict[str, Any]:
    erasing.sim.rebuild()
    return erasing.state()


def test_each_record_can_be_erased_and_the_rest_is_what_a_rebuild_makes(erasing: Erasing) -> None:
    jobs = story(erasing.sim)
    names = [(job.member, name) for job in jobs for name in erasing.events(job)]
    random.Random(11).shuffle(names)
    for number, (member, name) in enumerate(names):
        _, outcome = erase(erasing, member, name)
        assert outcome.state == "sequenced"
        kept = erasing.state()
        if number % 4 == 0 or number == len(names) - 1:
            assert rebuilt(erasing) == kept, (number, name)
    assert erasing.state()["event"] == []
    assert erasing.state()["things"] == []


def test_units_can_be_erased_and_the_rest_is_what_a_rebuild_makes(erasing: Erasing) -> None:
    jobs = story(erasing.sim)
    names = [(job.member, name) for job in jobs for name in erasing.events(job)]
    asked = [
        "/readPoint",
        "/bizLocation",
        "/quantityList/0",
        "/destinationList",
        "/sourceList",
        "/ilmd",
        "/outputEPCList/1",
        "/childEPCs/0",
        "/transformationID",
        "/bizTransactionList",
        "/bizStep",
        "/eventID",
    ]
    chosen = random.Random(7)
    done, refused = 0, set[str]()
    for member, name in names:
        value = erasing.sim.node.prover.value(name, erasing.sim.node.reader(member))
        units = [one for one in chosen.sample(asked, 4) if one.split("/")[1] in value]
        for unit in units:
            try:
                _, outcome = erase(erasing, member, name, units=[unit])
            except InvalidInput as error:
                refused.add(error.rule)
                continue
            assert outcome.state == "sequenced"
            done += 1
    assert done > 12
    assert refused <= {"unit-needed", "no-such-pointer"}
    kept = erasing.state()
    assert rebuilt(erasing) == kept


def erase(erasing: Erasing, member: str, *names: str, units: list[str] | None = None) -> Any:
    if member == "packer":
        return erasing.post(member, erasing.signed(member, *names, units=tuple(units or ())))
    return erasing.erase(member, *names, units=units)


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.soak), pytest.param(2, marks=pytest.mark.soak)]
)
def test_erasing_many_at_once_equals_erasing_one_after_the_other(erasing: Erasing, seed: int) -> None:
    jobs = story(erasing.sim)
    chosen = random.Random(seed)
    for member in ("farm", "shop", "packer"):
        names = [name for job in jobs if job.member == member for name in erasing.events(job)]
        erase(erasing, member, *chosen.sample(names, len(names) // 2))
    kept = erasing.state()
    assert rebuilt(erasing) == kept
