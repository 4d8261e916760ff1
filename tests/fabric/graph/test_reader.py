"""A graph reader never shows anything of what its reader does not see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import NamedNode, Quad

from fabric.graph import GraphReader
from fabric.graph.names import record_iri
from fabric.visibility.reader import NOBODY
from ledger.errors import NotFound, Unavailable
from tests.fabric.graph.conftest import EVERYBODY, PACKER, SHOP, Followed, place

Events = Callable[[str], list[dict[str, Any]]]
CASE = "https://id.gs1.org/01/19506000034361/21/"
LOT = "https://id.gs1.org/01/09506000134352/10/A1"


def named(quads: tuple[Quad, ...]) -> set[str]:
    """The records that stand in an answer, without their parts."""
    subjects = {quad.subject.value for quad in quads if isinstance(quad.subject, NamedNode)}
    return {name for name in subjects if name.startswith("urn:loomark:record:") and "#" not in name}


def records(followed: Followed, job: Any) -> list[str]:
    return [record_iri(bytes.fromhex(name)) for name in followed.sim.names(job)]


def case_of(followed: Followed) -> str:
    query = "SELECT iri FROM thing WHERE kind = 'serial' AND iri LIKE 'https://id.gs1.org/01/%' ORDER BY iri"
    return str(followed.sim.rows(query)[0][0])


def test_a_thing_without_a_visible_record_answers_like_one_that_was_never_named(followed: Followed) -> None:
    followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
    followed.catch_up()
    assert followed.seen("farm", LOT)
    answers = []
    for thing in (LOT, "https://id.gs1.org/01/09506000134352/10/never", "no iri"):
        with pytest.raises(NotFound) as refused:
            followed.seen("shop", thing)
        answers.append((refused.value.rule, str(refused.value)))
    assert len(set(answers)) == 1


def test_the_operator_sees_nothing(followed: Followed) -> None:
    followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
    followed.catch_up()
    for reader in (NOBODY, followed.sim.node.reader("operator"), followed.sim.node.reader(None)):
        with pytest.raises(NotFound):
            followed.reader().describe(LOT, reader)


def test_each_member_sees_its_own_records_of_a_thing_that_all_name(followed: Followed) -> None:
    jobs = {
        member: followed.sim.capture(
            member, [followed.sim.event(quantityList=[{"epcClass": LOT}], **{"ex:note": member})]
        )
        for member in ("farm", "packer", "shop")
    }
    followed.catch_up()
    for member, job in jobs.items():
        quads = followed.seen(member, LOT)
        assert named(quads) == {records(followed, job)[1]}
        others = [name for name in jobs if name != member]
        assert not [quad for quad in quads for name in others if f'"{name}"' in str(quad)]
    everything = followed.reader().describe(LOT, EVERYBODY)
    assert named(everything.quads) == {records(followed, job)[1] for job in jobs.values()}


def test_a_name_that_only_a_hidden_record_uses_stays_hidden(followed: Followed) -> None:
    urn = "urn:epc:class:lgtin:9506000.013435.A1"
    followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": urn}])])
    followed.sim.capture("shop", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
    followed.catch_up()
    assert [quad for quad in followed.seen("farm", LOT) if urn in str(quad)]
    assert not [quad for quad in followed.seen("shop", LOT) if urn in str(quad)]


def test_partial_sight_shows_the_listed_units_and_says_that_it_is_partial(
    followed: Followed, handed_on: Events
) -> None:
    job = followed.sim.capture("packer", handed_on("1"))
    followed.catch_up()
    made = records(followed, job)[1]
    case = case_of(followed)

    def said(member: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for quad in followed.seen(member, case):
            if str(quad.subject)[1:].startswith(made):
                found.setdefault(quad.predicate.value, set()).add(str(quad.object))
        return found

    whole, part = said("packer"), said("shop")
    partly = "<urn:loomark:term:PartlyShown>"
    kind = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
    assert partly in part[kind]
    assert partly not in whole[kind]
    hidden = {
        "urn:loomark:term:eventID",
        "https://ref.gs1.org/epcis/action",
        "https://ref.gs1.org/epcis/bizTransactionList",
    }
    assert hidden <= whole.keys()
    assert not hidden & part.keys()
    assert part.keys() <= whole.keys()


def test_inputs_of_a_creation_are_never_shown_with_a_hand_over(followed: Followed) -> None:
    sim, here = followed.sim, {"id": place(PACKER)}
    out = "https://id.gs1.org/01/09506000134369/10/OUT"
    sim.capture(
        "packer",
        [
            sim.event(
                "TransformationEvent",
                inputQuantityList=[{"epcClass": LOT}],
                outputQuantityList=[{"epcClass": out}],
                bizLocation=here,
            ),
            sim.event(
                quantityList=[{"epcClass": out}],
                bizStep="shipping",
                readPoint=here,
                destinationList=[{"type": "location", "destination": place(SHOP)}],
            ),
        ],
    )
    followed.catch_up()
    assert len(named(followed.seen("shop", out))) == 2
    assert not [quad for quad in followed.seen("shop", out) if LOT in str(quad)]
    with pytest.raises(NotFound):
        followed.seen("shop", LOT)
    assert len(named(followed.seen("packer", LOT))) == 1


def test_a_pair_is_shown_to_whoever_sees_both_of_its_records(followed: Followed, handed_on: Events) -> None:
    sim = followed.sim
    sim.capture("packer", handed_on("1"))
    pallet = "urn:epc:id:sscc:9506000.0000000001"
    receipt = sim.event(
        epcList=[pallet],
        bizStep="receiving",
        readPoint={"id": place(SHOP)},
        destinationList=[{"type": "location", "destination": place(SHOP)}],
    )
    sim.capture("shop", [receipt])
    followed.catch_up()
    thing = str(sim.rows("SELECT iri FROM thing WHERE iri LIKE 'https://id.gs1.org/00/%'")[0][0])
    dispatch = NamedNode("urn:loomark:term:dispatch")
    pairs = {
        member: [quad for quad in followed.seen(member, thing) if quad.predicate == dispatch]
        for member in ("packer", "shop")
    }
    # The shop is a party of the dispatch; its own receipt names nobody else.
    assert (len(pairs["packer"]), len(pairs["shop"])) == (0, 1)


def test_master_data_is_seen_with_the_thing_it_is_about_and_by_its_author(followed: Followed) -> None:
    sim = followed.sim
    element = {
        "id": place(PACKER),
        "attributes": [{"id": "urn:epcglobal:cbv:mda:name", "attribute": "Packing hall"}],
    }
    vocabulary = {"type": "urn:epcglobal:epcis:vtype:BusinessLocation", "vocabularyElementList": [element]}
    sim.capture(
        "packer",
        [sim.event(quantityList=[{"epcClass": LOT}])],
        epcisHeader={"epcisMasterData": {"vocabularyList": [vocabulary]}},
    )
    followed.catch_up()
    assert [quad for quad in followed.seen("packer", place(PACKER)) if "Packing hall" in str(quad)]
    with pytest.raises(NotFound):
        followed.seen("shop", place(PACKER))
    sim.capture("shop", [sim.event(quantityList=[{"epcClass": LOT}], readPoint={"id": place(PACKER)})])
    followed.catch_up()
    assert [quad for quad in followed.seen("shop", place(PACKER)) if "Packing hall" in str(quad)]


def test_the_newest_records_are_shown_and_the_rest_is_announced(followed: Followed) -> None:
    events = [
        followed.sim.event(quantityList=[{"epcClass": LOT}], at=f"2026-05-{day:02d}T00:00:00Z")
        for day in range(1, 8)
    ]
    job = followed.sim.capture("farm", events)
    followed.catch_up()
    reader = followed.sim.node.reader("farm")
    answer = followed.reader().describe(LOT, reader, most=3)
    assert list(answer.records) == records(followed, job)[:-4:-1]
    assert named(answer.quads) == set(answer.records)
    assert answer.more
    assert not followed.reader().describe(LOT, reader).more


def test_an_open_reader_moves_on_to_the_next_snapshot(followed: Followed) -> None:
    reader = followed.reader()
    followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
    followed.catch_up()
    first = reader.describe(LOT, EVERYBODY)
    for _ in range(3):
        followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
        followed.catch_up()
    second = reader.describe(LOT, EVERYBODY)
    assert (len(first.records), len(second.records)) == (1, 4)
    assert first.size < second.size == reader.size == followed.sim.node.state()["size"]


def test_before_the_first_snapshot_the_graph_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        GraphReader(tmp_path).describe(LOT, EVERYBODY)
    assert GraphReader(tmp_path).size == 0
