"""What an erasure takes along, what it must leave, and what is refused: declarations, duplicates, units, retention."""

from __future__ import annotations

from typing import Any

import pytest

from api.answers import view
from fabric.store.credentials import MEMBER, OPERATOR, Principal
from fabric.store.retention import DAY_MS
from fabric.trace import Direction, Question, trace
from fabric.visibility.reader import EVERYBODY, Reader
from ledger.errors import Conflict, Erased, InvalidInput
from tests.simulator import START_MS, Simulator

from .conftest import Erasing
from .test_proofs import faults, full

LOT = "https://id.gs1.org/01/09506000134352/10/R1"
DECLARATION = {"declarationTime": "2026-05-02T00:00:00Z", "reason": "incorrect_data"}


def used(sim: Simulator, **fields: Any) -> dict[str, Any]:
    return sim.event(**{"quantityList": [{"epcClass": LOT, "quantity": 3, "uom": "KGM"}], **fields})


def one(sim: Simulator, event: dict[str, Any], member: str = "farm") -> str:
    return sim.names(sim.capture(member, [event]))[1]


def agrees(erasing: Erasing) -> None:
    """Assert that the store is as a rebuild makes it, and that a check finds nothing."""
    assert faults(erasing.sim) == []
    kept = erasing.state()
    erasing.sim.rebuild()
    assert erasing.state() == kept


def test_a_declaration_is_kept_for_as_long_as_what_it_voids(erasing: Erasing) -> None:
    sim = erasing.sim
    event = used(sim)
    wrong = one(sim, event)
    declaration = one(sim, event | {"errorDeclaration": DECLARATION})
    before = erasing.state(), sim.counts()
    with pytest.raises(Conflict) as caught:
        erasing.erase("farm", declaration)
    assert caught.value.rule == "declaration-in-force"
    with pytest.raises(InvalidInput) as unit:
        erasing.erase("farm", declaration, units=["/errorDeclaration"])
    assert unit.value.rule == "unit-needed"
    assert (erasing.state(), sim.counts()) == before
    erasing.erase("farm", declaration, units=["/errorDeclaration/reason"])
    assert erasing.state()["event"] != []
    assert sim.rows("SELECT count(*) FROM event WHERE void_by IS NOT NULL") == [(1,)]
    erasing.erase("farm", wrong)
    agrees(erasing)
    erasing.erase("farm", declaration)
    assert erasing.state()["event"] == []
    agrees(erasing)


def test_both_can_go_together(erasing: Erasing) -> None:
    sim = erasing.sim
    event = used(sim)
    names = one(sim, event), one(sim, event | {"errorDeclaration": DECLARATION})
    erasing.erase("farm", *names)
    assert erasing.state()["event"] == []
    agrees(erasing)


def test_the_copy_of_a_member_that_signed_twice_counts_on(erasing: Erasing) -> None:
    sim = erasing.sim
    event = used(sim, action="ADD", bizStep="commissioning")
    documents = [sim.document([event], creationDate=f"2026-05-0{day}T00:00:00Z") for day in (2, 3)]
    first, second = (sim.names(sim.capture_signed("packer", [], document=one))[1] for one in documents)
    assert sim.rows("SELECT count(*) FROM event WHERE duplicate_of IS NOT NULL") == [(1,)]
    erasing.post("packer", erasing.signed("packer", first))
    assert sim.verify(full(sim, "packer", second)).opened.full
    assert [row[0] for row in sim.rows("SELECT e.record FROM event e")] != []
    agrees(erasing)
    with pytest.raises(Erased):
        erasing.post("packer", erasing.signed("packer", first))
    erasing.post("packer", erasing.signed("packer", second))
    assert erasing.state()["event"] == []
    agrees(erasing)


def test_another_members_statement_of_the_same_event_is_its_own(erasing: Erasing) -> None:
    sim = erasing.sim
    event = used(sim)
    mine, theirs = one(sim, event), one(sim, event, "shop")
    erasing.erase("farm", mine)
    assert sim.verify(full(sim, "shop", theirs)).opened.full
    assert sim.node.prover.tombstone(theirs, sim.node.reader("shop")) is None
    agrees(erasing)


def test_what_was_erased_can_be_captured_again_as_a_new_record(erasing: Erasing) -> None:
    sim = erasing.sim
    event = used(sim)
    name = one(sim, event)
    assert sim.capture("farm", [event], creationDate="2026-06-01T00:00:00Z").state == "duplicate"
    erasing.erase("farm", name)
    again = sim.capture("farm", [event], creationDate="2026-06-02T00:00:00Z")
    assert again.state == "sequenced"
    assert sim.verify(full(sim, "farm", sim.names(again)[1])).opened.full
    agrees(erasing)


def test_contradicting_records_are_weighed_again_without_the_erased_one(erasing: Erasing) -> None:
    sim = erasing.sim
    event = used(sim, action="ADD", bizStep="commissioning")
    mine = one(sim, event)
    one(sim, event | {"quantityList": [{"epcClass": LOT, "quantity": 9, "uom": "KGM"}]}, "shop")
    assert sim.rows("SELECT count(*) FROM lineage_loser")[0][0] > 0
    erasing.erase("farm", mine)
    assert sim.rows("SELECT count(*) FROM lineage_loser") == [(0,)]
    agrees(erasing)


def test_a_header_and_master_data_can_be_erased(erasing: Erasing) -> None:
    sim = erasing.sim
    vocabulary = {
        "type": "urn:epcglobal:epcis:vtype:EPCClass",
        "vocabularyElementList": [
            {
                "id": "https://id.gs1.org/01/09506000134352",
                "attributes": [
                    {"id": "urn:epcglobal:cbv:mda#descriptionShort", "attribute": "secret name"},
                    {"id": "urn:epcglobal:cbv:mda#countryOfOrigin", "attribute": "DE"},
                ],
            }
        ],
    }
    body = {"vocabularyList": [vocabulary]}
    job = sim.capture("farm", [used(sim)], epcisHeader={"epcisMasterData": body})
    header, master, event = sim.names(job)
    erasing.erase("farm", header, units=["/document"])
    agrees(erasing)
    erasing.erase("farm", master, header)
    erasing.settle()
    assert b"secret name" not in b"".join(one.read_bytes() for one in sim.folder.glob("loomark.db*"))
    assert sim.rows("SELECT count(*) FROM master") == [(0,)]
    assert sim.verify(full(sim, "farm", event)).opened.full
    agrees(erasing)


def test_a_shipment_that_is_erased_no_longer_shows_how_its_lot_was_made(erasing: Erasing) -> None:
    sim = erasing.sim
    made = one(sim, used(sim, action="ADD", bizStep="commissioning"))
    shipped = one(
        sim,
        used(
            sim,
            bizStep="shipping",
            destinationList=[{"type": "location", "destination": "https://id.gs1.org/414/9506000134376"}],
        ),
    )
    assert sim.seers(made) == {"farm": "whole", "shop": "part"}
    erasing.erase("farm", shipped)
    assert sim.seers(made) == {"farm": "whole"}
    assert sim.seers(shipped) == {"farm": "whole", "shop": "whole"}
    agrees(erasing)


def caller(name: str) -> Principal:
    return Principal(1, name, OPERATOR if name == "operator" else MEMBER)


def test_what_is_due_is_listed_first_and_erased_when_told(erasing: Erasing) -> None:
    sim = erasing.sim
    service = sim.node.capture
    event = used(sim)
    old = sim.names(sim.capture("farm", [event, used(sim)]))
    other = one(sim, used(sim), "shop")
    sim.tick(31 * DAY_MS)
    # What this takes back is due; the declaration itself is young, and stays in force until then.
    young = sim.names(sim.capture("farm", [event | {"errorDeclaration": DECLARATION}, used(sim)]))
    assert service.retain(None, apply=True) == []
    service.set_retention(caller("farm"), "farm", {"days": 30})
    before = erasing.state(), sim.counts()
    (listed,) = service.retain(None, apply=False)
    assert sorted(one.hex() for one in listed.records) == sorted(old)
    assert (listed.rule, listed.stated) == (None, ())
    assert (erasing.state(), sim.counts()) == before
    (done,) = service.retain("farm", apply=True)
    assert service.outcome(done.stated[0]).state == "sequenced"
    for name in old:
        stone = sim.node.prover.tombstone(name, sim.node.reader("farm"))
        assert stone is not None
        assert stone["erasures"][0]["reason"] == "retention: 30 days after capture"
    for name in (*young[1:], other):
        sim.node.prover.value(name, sim.node.reader("shop" if name == other else "farm"))
    (nothing,) = service.retain("farm", apply=True)
    assert (nothing.records, nothing.stated) == ((), ())
    agrees(erasing)


def test_a_declaration_that_is_due_waits_for_what_it_voids(erasing: Erasing) -> None:
    sim = erasing.sim
    event = used(sim)
    early = sim.names(sim.capture("farm", [event | {"errorDeclaration": DECLARATION}]))
    sim.tick(20 * DAY_MS)
    late = sim.names(sim.capture("farm", [event]))
    assert sim.rows("SELECT count(*) FROM event WHERE void_by IS NOT NULL") == [(1,)]
    sim.node.capture.set_retention(caller("operator"), "farm", {"days": 30})
    sim.tick(15 * DAY_MS)
    (found,) = sim.node.capture.retain(None, apply=True)
    assert [one.hex() for one in found.records] == early[:1]
    sim.tick(20 * DAY_MS)
    (found,) = sim.node.capture.retain(None, apply=True)
    assert sorted(one.hex() for one in found.records) == sorted([*late, early[1]])
    agrees(erasing)


def test_until_a_date_everything_captured_before_it_is_kept(erasing: Erasing) -> None:
    sim = erasing.sim
    names = sim.names(sim.capture("farm", [used(sim)]))
    until = "2026-12-31T00:00:00.000Z"
    policy = sim.node.capture.set_retention(caller("farm"), "farm", {"until": until})
    assert policy is not None
    assert policy.until_ms is not None
    assert policy.until_ms > START_MS
    assert sim.node.capture.retain("farm", apply=True)[0].records == ()
    sim.tick(policy.until_ms - sim.now_ms + 1)
    after = one(sim, used(sim))
    (found,) = sim.node.capture.retain("farm", apply=True)
    assert sorted(one.hex() for one in found.records) == sorted(names)
    assert sim.verify(full(sim, "farm", after)).opened.full


def test_a_member_with_a_key_of_its_own_is_told_and_left_alone(erasing: Erasing) -> None:
    sim = erasing.sim
    sim.capture_signed("packer", [used(sim)])
    sim.node.capture.set_retention(caller("packer"), "packer", {"days": 1})
    sim.tick(2 * DAY_MS)
    (found,) = sim.node.capture.retain(None, apply=True)
    assert (found.rule, len(found.records), found.stated) == ("no-delegation", 2, ())
    assert sim.rows("SELECT count(*) FROM erased") == [(0,)]


def test_thousands_of_records_go_by_few_statements(erasing: Erasing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fabric.capture.retaining.MAX_RECORDS", 10)
    monkeypatch.setattr("fabric.capture.retaining.MOST_AT_ONCE", 40)
    sim = erasing.sim
    for _ in range(3):
        sim.capture("farm", [used(sim) for _ in range(20)])
    sim.node.capture.set_retention(caller("farm"), "farm", {"days": 1})
    sim.tick(2 * DAY_MS)
    (found,) = sim.node.capture.retain("farm", apply=True)
    assert (len(found.records), len(found.stated), found.left) == (40, 4, 23)
    (found,) = sim.node.capture.retain("farm", apply=True)
    assert (len(found.records), len(found.stated), found.left) == (23, 3, 0)
    assert sim.rows("SELECT count(*) FROM record WHERE body IS NOT NULL") == [(0,)]
    agrees(erasing)


def test_the_kind_of_a_private_name_follows_from_who_still_tells_it(erasing: Erasing) -> None:
    sim = erasing.sim
    code = "urn:example:code:5"
    serial = one(sim, used(sim, quantityList=None, epcList=[code]))
    lot = one(sim, used(sim, quantityList=[{"epcClass": code, "quantity": 1}]))
    assert sim.rows("SELECT kind FROM thing WHERE iri = ?", code) == [("lot",)]
    erasing.erase("farm", lot)
    assert sim.rows("SELECT kind FROM thing WHERE iri = ?", code) == [("serial",)]
    agrees(erasing)
    erasing.sim.link("farm", code, LOT)
    erasing.erase("farm", serial)
    assert sim.rows("SELECT count(*) FROM thing WHERE iri = ?", code) == [(1,)]
    agrees(erasing)


def erased_in_trace(sim: Simulator, reader: Reader, size: int | None = None) -> Any:
    with view(sim.node, reader, size) as seen:
        return trace(Question(LOT, Direction.FORWARD), seen.source).as_json().get("erased")


def test_only_those_who_saw_a_record_are_told_that_it_was_erased(erasing: Erasing) -> None:
    sim = erasing.sim
    to_shop = [{"type": "location", "destination": "https://id.gs1.org/414/9506000134376"}]
    one(sim, used(sim, action="ADD", bizStep="commissioning"))
    first = one(sim, used(sim, bizStep="shipping", destinationList=to_shop))
    one(sim, used(sim, bizStep="shipping", destinationList=to_shop))
    stored = one(sim, used(sim, bizStep="storing"))
    sim.capture_signed("packer", [used(sim, bizStep="receiving")])
    size = sim.node.state()["size"]
    erasing.erase("farm", first)
    erasing.erase("farm", stored)

    def counts() -> list[Any]:
        told = [EVERYBODY, *(sim.node.reader(name) for name in ("farm", "shop", "packer"))]
        return [erased_in_trace(sim, reader) for reader in told]

    both, single = ({"records": n, "things": [{"thing": LOT, "records": n}]} for n in (2, 1))
    assert counts() == [both, both, single, None]
    assert erased_in_trace(sim, EVERYBODY, size) == both
    agrees(erasing)
    assert counts() == [both, both, single, None]
    # A fresh index has a class for nobody but those who saw a record, kept or erased.
    assert sim.rows("SELECT count(*) FROM class WHERE members = 'farm shop'") == [(1,)]


def test_an_amount_that_was_erased_is_unknown_and_not_zero(erasing: Erasing) -> None:
    sim = erasing.sim
    other = "https://id.gs1.org/01/09506000134352/10/R2"
    lots = [{"epcClass": lot, "quantity": 8, "uom": "KGM"} for lot in (LOT, other)]
    name = one(sim, used(sim, action="ADD", bizStep="commissioning", quantityList=lots))
    one(sim, used(sim, bizStep="storing"))
    erasing.erase("farm", name, units=["/quantityList/0"])
    with view(sim.node, EVERYBODY, None) as seen:
        found: Any = trace(Question(LOT, Direction.FORWARD), seen.source).as_json()
    assert found["erased"] == {"records": 1, "things": [{"thing": LOT, "records": 1}]}
    made = {row["thing"]: row["made"] for row in found["quantities"]}
    assert made.get(LOT) != "8"
    agrees(erasing)
