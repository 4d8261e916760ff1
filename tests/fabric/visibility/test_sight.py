"""Section 4 of design/meaning.md, sentence by sentence, through a node; and equal again after a rebuild."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Forbidden
from tests.simulator import Simulator

GLNS = {"farm": "9506000134352", "mill": "9506000134369", "carrier": "9506000134376", "shop": "9506000134383"}
LOT = "https://id.gs1.org/01/09506000134352/10/A1"
FLOUR = "https://id.gs1.org/01/09506000134352/10/F1"
SSCC = "https://id.gs1.org/00/095060001343520017"
OTHER_SSCC = "https://id.gs1.org/00/095060001343520024"


@pytest.fixture
def four(sim: Simulator) -> Iterator[Simulator]:
    for name, gln in GLNS.items():
        sim.admit(name, parties=[gln])
    yield sim
    # Whatever a test did, a rebuild comes to the same classes.
    before = sim.projections()
    sim.rebuild()
    assert sim.projections() == before


def party(name: str) -> str:
    return f"https://id.gs1.org/417/{GLNS[name]}"


def lots(*iris: str) -> list[dict[str, Any]]:
    return [{"epcClass": iri, "quantity": 5, "uom": "KGM"} for iri in iris]


def shipping(sim: Simulator, to: str, **fields: Any) -> dict[str, Any]:
    destination = [{"type": "possessing_party", "destination": party(to)}]
    return sim.event(bizStep="shipping", destinationList=destination, **fields)


def packing(sim: Simulator, parent: str, *iris: str, **fields: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"parentID": parent, "childQuantityList": lots(*iris), "action": "ADD"}
    return sim.event("AggregationEvent", **(values | fields))


def milling(sim: Simulator, **fields: Any) -> dict[str, Any]:
    return sim.event(
        "TransformationEvent",
        inputQuantityList=lots(LOT),
        outputQuantityList=lots(FLOUR),
        ilmd={"ex:grade": "A"},
        bizStep="commissioning",
        **fields,
    )


def one(sim: Simulator, member: str, event: dict[str, Any]) -> str:
    """Capture one event; gives its record's name."""
    return sim.names(sim.capture(member, [event]))[1]


def test_the_capturing_member_sees_its_record_and_nobody_else(four: Simulator) -> None:
    assert four.seers(one(four, "farm", four.event(quantityList=lots(LOT)))) == {"farm": "whole"}


def test_places_of_the_event_make_nobody_a_party(four: Simulator) -> None:
    place = {"id": f"https://id.gs1.org/414/{GLNS['mill']}"}
    event = four.event(
        quantityList=lots(LOT), readPoint=place, bizLocation=place, **{"ex:buyer": party("mill")}
    )
    assert four.seers(one(four, "farm", event)) == {"farm": "whole"}


def test_a_carrier_named_as_possessor_sees_that_leg_and_not_the_next(four: Simulator) -> None:
    first = one(four, "farm", shipping(four, "carrier", quantityList=lots(LOT)))
    second = one(four, "mill", shipping(four, "shop", quantityList=lots(LOT)))
    assert four.seers(first) == {"farm": "whole", "carrier": "whole"}
    assert four.seers(second) == {"mill": "whole", "shop": "whole"}


def test_an_owner_named_by_its_carrier_sees_what_was_captured_in_its_name(four: Simulator) -> None:
    owner = [{"type": "owning_party", "source": party("farm")}]
    event = four.event(bizStep="storing", quantityList=lots(LOT), sourceList=owner)
    assert four.seers(one(four, "carrier", event)) == {"carrier": "whole", "farm": "whole"}


def test_a_transformation_is_its_members_alone_whatever_it_names(four: Simulator) -> None:
    event = milling(four, destinationList=[{"type": "possessing_party", "destination": party("shop")}])
    assert four.seers(one(four, "mill", event)) == {"mill": "whole"}


def test_two_receivers_on_one_side_see_nothing_and_the_capture_warns(four: Simulator) -> None:
    both = [{"type": "possessing_party", "destination": party(name)} for name in ("mill", "shop")]
    job = four.capture("farm", [four.event(bizStep="shipping", quantityList=lots(LOT), destinationList=both)])
    assert four.seers(four.names(job)[1]) == {"farm": "whole"}
    assert [warning["rule"] for warning in job.notes["warnings"]] == ["several-parties"]


def test_the_header_record_is_its_submitters_alone(four: Simulator) -> None:
    job = four.capture("farm", [shipping(four, "mill", quantityList=lots(LOT))])
    assert four.seers(four.names(job)[0]) == {"farm": "whole"}


def test_a_dispatch_shows_what_its_carriers_held_and_no_other_carrier(four: Simulator) -> None:
    held = one(four, "farm", packing(four, SSCC, LOT))
    other = one(four, "farm", packing(four, OTHER_SSCC, LOT))
    one(four, "farm", shipping(four, "mill", epcList=[SSCC]))
    assert four.seers(held) == {"farm": "whole", "mill": "whole"}
    assert four.seers(other) == {"farm": "whole"}


def test_a_dispatch_shows_nothing_of_another_members_records(four: Simulator) -> None:
    foreign = one(four, "carrier", packing(four, SSCC, LOT))
    one(four, "farm", shipping(four, "mill", epcList=[SSCC]))
    assert four.seers(foreign) == {"carrier": "whole"}


def test_a_dispatch_shows_the_units_of_the_creation_and_never_its_inputs(four: Simulator) -> None:
    made = one(four, "mill", milling(four))
    one(four, "mill", packing(four, SSCC, FLOUR))
    one(four, "mill", shipping(four, "shop", epcList=[SSCC]))
    assert four.seers(made) == {"mill": "whole", "shop": "part"}
    shown = four.node.prover.value(made, four.node.reader("shop"))
    assert "outputQuantityList" in shown
    assert "ilmd" in shown
    assert "inputQuantityList" not in shown
    bundle = four.node.prover.bundle_for(made, four.node.reader("shop"))
    four.verify(bundle)
    assert LOT.encode() not in bundle
    with pytest.raises(Forbidden):
        four.node.prover.bundle_for(made, four.node.reader("shop"), ["/inputQuantityList"])


def test_the_order_of_capture_makes_no_difference(four: Simulator, tmp_path: Path) -> None:
    build: list[Callable[[Simulator], dict[str, Any]]] = [
        lambda sim: milling(
            sim, eventID="urn:uuid:00000000-0000-4000-8000-0000000000a1", at="2026-05-01T01:00:00Z"
        ),
        lambda sim: packing(
            sim,
            SSCC,
            FLOUR,
            eventID="urn:uuid:00000000-0000-4000-8000-0000000000a2",
            at="2026-05-01T02:00:00Z",
        ),
        lambda sim: shipping(
            sim,
            "shop",
            epcList=[SSCC],
            eventID="urn:uuid:00000000-0000-4000-8000-0000000000a3",
            at="2026-05-01T03:00:00Z",
        ),
    ]
    outcomes = []
    for number, order in enumerate(permutations(range(3))):
        with Simulator(tmp_path / str(number)) as sim:
            for name, gln in GLNS.items():
                sim.admit(name, parties=[gln])
            names = {place: one(sim, "mill", build[place](sim)) for place in order}
            outcomes.append([sim.seers(names[place]) for place in range(3)])
    assert outcomes == [[{"mill": "whole", "shop": "part"}] + [{"mill": "whole", "shop": "whole"}] * 2] * 6


def test_a_voided_dispatch_shows_nothing_any_more(four: Simulator) -> None:
    held = one(four, "farm", packing(four, SSCC, LOT))
    sent = shipping(four, "mill", epcList=[SSCC])
    one(four, "farm", sent)
    one(four, "farm", sent | {"errorDeclaration": {"declarationTime": "2026-05-03T00:00:00Z"}})
    assert four.seers(held) == {"farm": "whole"}


@pytest.mark.parametrize("first", ["record", "declaration"])
def test_a_declaration_has_the_parties_of_what_it_voids(four: Simulator, first: str) -> None:
    sent = shipping(four, "mill", quantityList=lots(LOT))
    voided = sent | {"destinationList": [{"type": "possessing_party", "destination": party("shop")}]}
    voided["errorDeclaration"] = {"declarationTime": "2026-05-03T00:00:00Z"}
    events = [sent, voided] if first == "record" else [voided, sent]
    names = [one(four, "farm", event) for event in events]
    assert [four.seers(name) for name in names] == [{"farm": "whole", "mill": "whole"}] * 2


def test_master_data_is_seen_by_whoever_sees_a_record_that_names_it(four: Simulator) -> None:
    element = {
        "id": LOT,
        "attributes": [{"id": "urn:epcglobal:cbv:mda#descriptionShort", "attribute": "Wheat"}],
    }
    vocabulary = {"type": "urn:epcglobal:epcis:vtype:EPCClass", "vocabularyElementList": [element]}
    job = four.capture("farm", [], epcisHeader={"epcisMasterData": {"vocabularyList": [vocabulary]}})
    name = four.names(job)[1]
    assert four.seers(name) == {"farm": "whole"}
    one(four, "farm", shipping(four, "mill", quantityList=lots(LOT)))
    assert four.seers(name) == {"farm": "whole", "mill": "whole"}


def test_an_unknown_identifier_gives_sight_once_a_member_holds_it(four: Simulator) -> None:
    gln = "9506000134390"
    held = one(four, "farm", packing(four, SSCC, LOT))
    event = four.event(
        bizStep="shipping",
        epcList=[SSCC],
        destinationList=[{"type": "possessing_party", "destination": f"https://id.gs1.org/417/{gln}"}],
    )
    sent = one(four, "farm", event)
    assert four.seers(sent) == {"farm": "whole"}
    four.admit("depot", parties=[gln])
    assert four.seers(sent) == {"farm": "whole", "depot": "whole"}
    assert four.seers(held) == {"farm": "whole", "depot": "whole"}


def test_an_identifier_that_moved_keeps_the_past_with_its_holder_then(four: Simulator) -> None:
    early = one(four, "farm", shipping(four, "mill", quantityList=lots(LOT), at="2026-01-01T00:00:00Z"))
    late = one(four, "farm", shipping(four, "mill", quantityList=lots(LOT), at="2026-05-01T00:00:00Z"))
    moved, epoch = "2026-03-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"
    gln = {"kind": "gln", "value": GLNS["mill"]}
    four.assign("mill", gln | {"from": epoch, "until": moved})
    four.assign("shop", gln | {"from": moved, "until": None})
    assert four.seers(early) == {"farm": "whole", "mill": "whole"}
    assert four.seers(late) == {"farm": "whole", "shop": "whole"}


def test_a_grant_lets_an_auditor_see_what_the_listed_members_see_until_it_ends(four: Simulator) -> None:
    four.admit("auditor")
    record = one(four, "farm", four.event(quantityList=lots(LOT)))
    foreign = one(four, "shop", four.event(quantityList=lots(LOT)))
    until = "2026-12-31T00:00:00.000Z"
    four.state({"type": "role", "grantee": "auditor", "role": "auditor", "for": ["farm"], "until": until})
    assert four.seers(record) == {"farm": "whole", "auditor": "whole"}
    assert four.seers(foreign) == {"shop": "whole"}
    four.tick(400 * 24 * 3600 * 1000)
    assert four.seers(record) == {"farm": "whole"}


def test_a_grant_for_all_sees_all_and_the_operator_nothing(four: Simulator) -> None:
    four.admit("regulator")
    four.state({"type": "role", "grantee": "regulator", "role": "recall", "for": "all", "until": None})
    job = four.capture("farm", [four.event(quantityList=lots(LOT))])
    for name in four.names(job):
        assert four.seers(name) == {"farm": "whole", "regulator": "whole"}
        assert four.sight("operator", name).value == "nothing"
        assert four.sight(None, name).value == "nothing"
        assert four.sight("nobody-known", name).value == "nothing"


@pytest.mark.parametrize("role", ["auditor", "recall"])
def test_a_standing_role_of_auditor_or_recall_sees_every_record(four: Simulator, role: str) -> None:
    record = one(four, "farm", four.event(quantityList=lots(LOT)))
    four.admit("inspector", roles=[role])
    assert four.seers(record) == {"farm": "whole", "inspector": "whole"}
    four.state({"type": "member", "subject": "inspector", "roles": ["member"]})
    assert four.seers(record) == {"farm": "whole"}
