"""The graph follows the store: whatever came in whatever order, it equals one made from nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import NamedNode

from fabric.graph.graph import Graph
from fabric.graph.names import GRAPH, PAIRED, class_iri, record_iri
from fabric.graph.projection import PROGRESS
from fabric.graph.snapshots import current
from fabric.graph.source import Source
from tests.fabric.graph.conftest import FARM, PACKER, SHOP, Followed, place
from tests.simulator import Simulator

Events = Callable[[str], list[dict[str, Any]]]
LOT = "https://id.gs1.org/01/09506000134352/10/A1"


def graphs_of(followed: Followed, name: str) -> set[str]:
    """The graphs in which a record, by its hex name, stands."""
    node = NamedNode(record_iri(bytes.fromhex(name)))
    return {
        quad.graph_name.value
        for quad in followed.projection.store.quads_for_pattern(node, None, None, None)
        if isinstance(quad.graph_name, NamedNode)
    }


def require_equal(followed: Followed, tmp_path: Path) -> None:
    number = len(list(tmp_path.glob("scratch*")))
    found = followed.against_scratch(tmp_path / f"scratch{number}")
    assert (found.missing, found.surplus) == ((), ())


def receipt(sim: Simulator, code: str) -> dict[str, Any]:
    return sim.event(
        epcList=[f"urn:epc:id:sscc:9506000.{int(code):010d}"],
        bizStep="receiving",
        readPoint={"id": place(SHOP)},
        bizTransactionList=[{"type": "desadv", "bizTransaction": f"urn:epcglobal:cbv:bt:{PACKER}:{code}"}],
        destinationList=[{"type": "location", "destination": place(SHOP)}],
    )


def test_a_record_stands_in_the_graph_of_its_class_and_no_other(followed: Followed) -> None:
    job = followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
    followed.catch_up()
    assert graphs_of(followed, followed.sim.names(job)[1]) == {class_iri(["farm"])}


def test_the_graph_states_the_tree_size_that_it_covers(followed: Followed) -> None:
    followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
    followed.catch_up()
    size = followed.sim.node.state()["size"]
    found = list(followed.projection.store.quads_for_pattern(NamedNode(GRAPH), None, None, NamedNode(GRAPH)))
    assert [q.object.value for q in found if q.predicate.value.endswith("coveredSize")] == [str(size)]  # type: ignore[union-attr]
    assert (current(followed.folder) or ("", 0))[1] == size == followed.reader().size


def test_no_blank_node_is_ever_stored(followed: Followed, handed_on: Events) -> None:
    followed.sim.capture("packer", handed_on("1"))
    followed.catch_up()
    quads = list(followed.projection.store)
    assert quads
    assert not [quad for quad in quads if str(quad).find("_:") >= 0]


def test_a_later_dispatch_moves_what_it_shows_to_the_wider_class(
    followed: Followed, handed_on: Events, tmp_path: Path
) -> None:
    made, packed, shipped = handed_on("1")
    first = followed.sim.names(followed.sim.capture("packer", [made, packed]))
    followed.catch_up()
    assert graphs_of(followed, first[2]) == {class_iri(["packer"])}
    followed.sim.capture("packer", [shipped])
    followed.catch_up()
    assert graphs_of(followed, first[2]) == {class_iri(["packer", "shop"])}
    assert graphs_of(followed, first[1]) == {class_iri(["packer"]), class_iri(["shop"])}
    require_equal(followed, tmp_path)


def test_partial_sight_holds_the_units_of_a_creation_and_nothing_else(
    followed: Followed, handed_on: Events
) -> None:
    job = followed.sim.capture("packer", handed_on("1"))
    followed.catch_up()
    record = record_iri(bytes.fromhex(followed.sim.names(job)[1]))
    node = NamedNode(class_iri(["shop"]))
    found = list(followed.projection.store.quads_for_pattern(None, None, None, node))
    said = {
        quad.predicate.value.rpartition("/")[2].rpartition(":")[2].rpartition("#")[2]
        for quad in found
        if str(quad.subject)[1:].startswith(record)
    }
    assert said == {
        *("type", "wasAttributedTo", "logIndex", "eventTime", "eventTimeZoneOffset", "epcList", "bizStep"),
        *("bizLocation", "ilmd", "lotNumber", "secret"),
    }
    assert not [quad for quad in found if "urn:epcglobal:cbv:bt:x:1" in str(quad)]


def test_a_withdrawn_dispatch_takes_back_what_it_showed(
    followed: Followed, handed_on: Events, tmp_path: Path
) -> None:
    made, packed, shipped = handed_on("1")
    job = followed.sim.capture("packer", [made, packed, shipped])
    followed.catch_up()
    declared = shipped | {"errorDeclaration": {"declarationTime": "2026-05-03T00:00:00Z"}}
    followed.sim.capture("packer", [declared])
    followed.catch_up()
    names = followed.sim.names(job)
    assert graphs_of(followed, names[1]) == graphs_of(followed, names[2]) == {class_iri(["packer"])}
    shop = NamedNode(class_iri(["shop"]))
    assert list(followed.projection.store.quads_for_pattern(None, None, None, shop)) == []
    require_equal(followed, tmp_path)


@pytest.mark.parametrize("late", [True, False])
def test_a_declaration_voids_its_record_whichever_came_first(
    followed: Followed, tmp_path: Path, late: bool
) -> None:
    event = followed.sim.event(quantityList=[{"epcClass": LOT}])
    declared = event | {
        "errorDeclaration": {"declarationTime": "2026-05-03T00:00:00Z", "reason": "did_not_occur"}
    }
    jobs = []
    for one in [event, declared] if late else [declared, event]:
        jobs.append(followed.sim.capture("farm", [one]))
        followed.catch_up()
    names = [followed.sim.names(job)[1] for job in (jobs if late else reversed(jobs))]
    found = followed.projection.store.quads_for_pattern(
        NamedNode(record_iri(bytes.fromhex(names[0]))), NamedNode("urn:loomark:term:voidedBy"), None, None
    )
    assert [quad.object.value for quad in found] == [record_iri(bytes.fromhex(names[1]))]  # type: ignore[union-attr]
    require_equal(followed, tmp_path)


def touched(followed: Followed) -> dict[str, int]:
    """Records that the store says were changed, by hex name, with the log index that says when."""
    query = "SELECT lower(hex(r.commitment)), t.seq FROM touched t JOIN record r ON r.id = t.record"
    return dict(map(tuple, followed.sim.rows(query)))


def test_a_change_is_found_by_the_log_index_it_came_at_and_by_no_comparison_of_all(
    followed: Followed, handed_on: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, packed, shipped = handed_on("1")
    followed.catch_up()
    with monkeypatch.context() as patch:
        patch.setattr(Source, "places", lambda *_: pytest.fail("all records were compared"))
        first = followed.sim.names(followed.sim.capture("packer", [made, packed]))
        followed.catch_up()
        assert touched(followed) == {}
        before = followed.sim.node.state()["size"]
        followed.sim.capture("packer", [shipped])
        assert touched(followed).keys() == set(first[1:])
        assert all(before <= seq <= before + 2 for seq in touched(followed).values())
        followed.catch_up()
        declared = made | {"errorDeclaration": {"declarationTime": "2026-05-03T00:00:00Z"}}
        followed.sim.capture("packer", [declared])
        assert touched(followed)[first[1]] > before
        followed.catch_up()
    require_equal(followed, tmp_path)


def test_a_long_backlog_is_covered_pass_by_pass(
    followed: Followed, handed_on: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabric.graph.projection.PASS", 2)
    followed.catch_up()
    for number in range(1, 5):
        made, packed, shipped = handed_on(str(number))
        for event in (made, packed, shipped):
            followed.sim.capture("packer", [event])
        followed.sim.capture("shop", [receipt(followed.sim, str(number))])
    sizes = [followed.projection.covered]
    while followed.projection.advance():
        sizes.append(followed.projection.covered)
        if len(sizes) == 3:
            # What a cut-short pass wrote beyond the covered size is neither lost nor written wrongly.
            followed.projection._write_new(followed.sim.node.state()["size"], lambda: False)
            followed.reopen()
    assert sizes == sorted(set(sizes))
    assert len(sizes) > 4
    assert sizes[-1] == followed.sim.node.state()["size"]
    require_equal(followed, tmp_path)


def test_what_is_shown_from_the_start_costs_no_mark(followed: Followed, handed_on: Events) -> None:
    followed.sim.capture("packer", handed_on("1"))
    assert touched(followed) == {}


def test_the_first_pass_after_a_start_compares_everything(
    followed: Followed, handed_on: Events, tmp_path: Path
) -> None:
    made, packed, shipped = handed_on("1")
    followed.sim.capture("packer", [made, packed])
    followed.catch_up()
    followed.sim.capture("packer", [shipped])
    followed.projection.close()
    # A rebuild leaves no marks of what changed before it.
    followed.sim.rebuild()
    followed.projection = followed._open()
    assert touched(followed) == {}
    followed.catch_up()
    require_equal(followed, tmp_path)


def test_an_identifier_that_changes_hands_moves_the_records_that_name_it(
    followed: Followed, tmp_path: Path
) -> None:
    other = "9506000134383"
    event = followed.sim.event(
        quantityList=[{"epcClass": LOT}],
        bizStep="shipping",
        destinationList=[{"type": "possessing_party", "destination": f"https://id.gs1.org/417/{other}"}],
    )
    name = followed.sim.names(followed.sim.capture("farm", [event]))[1]
    followed.catch_up()
    assert graphs_of(followed, name) == {class_iri(["farm"])}
    followed.sim.assign("shop", other)
    followed.catch_up()
    assert graphs_of(followed, name) == {class_iri(["farm", "shop"])}
    require_equal(followed, tmp_path)


def test_what_no_record_says_of_a_thing_any_more_is_taken_back(followed: Followed, tmp_path: Path) -> None:
    other = "9506000134383"
    destination = [{"type": "possessing_party", "destination": f"https://id.gs1.org/417/{other}"}]
    urn = "urn:epc:class:lgtin:9506000.013435.A1"
    followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
    followed.sim.capture(
        "farm",
        [
            followed.sim.event(
                quantityList=[{"epcClass": urn}], bizStep="shipping", destinationList=destination
            )
        ],
    )
    followed.catch_up()
    followed.sim.assign("shop", other)
    followed.catch_up()
    name = NamedNode("urn:loomark:term:nameAsSent")
    found = followed.projection.store.quads_for_pattern(NamedNode(LOT), name, None, None)
    assert [quad.graph_name.value for quad in found] == [class_iri(["farm", "shop"])]  # type: ignore[union-attr]
    require_equal(followed, tmp_path)


def test_a_dispatch_and_its_receipt_are_paired_with_rule_evidence_and_strength(
    followed: Followed, handed_on: Events, tmp_path: Path
) -> None:
    sent = followed.sim.names(followed.sim.capture("packer", handed_on("1")))[3]
    followed.catch_up()
    assert list(followed.projection.store.quads_for_pattern(None, None, None, NamedNode(PAIRED))) == []
    got = followed.sim.names(followed.sim.capture("shop", [receipt(followed.sim, "1")]))[1]
    followed.catch_up()
    found = list(followed.projection.store.quads_for_pattern(None, None, None, NamedNode(PAIRED)))
    values = {q.predicate.value.rpartition(":")[2]: q.object.value for q in found}  # type: ignore[union-attr]
    assert len({quad.subject for quad in found}) == 1
    assert values["dispatch"] == record_iri(bytes.fromhex(sent))
    assert values["receipt"] == record_iri(bytes.fromhex(got))
    assert values["strength"] == "urn:loomark:term:stated"
    assert values["evidence"] == f"urn:epcglobal:cbv:bt:{PACKER}:1"
    assert values["thing"].startswith("https://id.gs1.org/00/")
    require_equal(followed, tmp_path)


def test_a_pair_ends_when_one_of_its_records_is_void(
    followed: Followed, handed_on: Events, tmp_path: Path
) -> None:
    followed.sim.capture("packer", handed_on("1"))
    arrived = receipt(followed.sim, "1")
    followed.sim.capture("shop", [arrived])
    followed.catch_up()
    followed.sim.capture(
        "shop", [arrived | {"errorDeclaration": {"declarationTime": "2026-05-03T00:00:00Z"}}]
    )
    followed.catch_up()
    assert list(followed.projection.store.quads_for_pattern(None, None, None, NamedNode(PAIRED))) == []
    require_equal(followed, tmp_path)


def test_projecting_again_after_the_notes_were_lost_changes_nothing(
    followed: Followed, handed_on: Events, tmp_path: Path
) -> None:
    followed.sim.capture("packer", handed_on("1"))
    followed.catch_up()
    before = {str(quad) for quad in followed.projection.store}
    followed.projection._progress._database.execute("DELETE FROM placed")
    followed.projection._progress._database.execute("DELETE FROM reached")
    followed.projection._progress._database.commit()
    followed.reopen()
    followed.sim.capture("shop", [receipt(followed.sim, "1")])
    followed.catch_up()
    assert before - {str(quad) for quad in followed.projection.store} == {
        line for line in before if "coveredSize" in line
    }
    require_equal(followed, tmp_path)


def test_a_batch_that_a_crash_left_unnoted_is_replaced_by_what_the_store_says_then(
    followed: Followed, handed_on: Events, tmp_path: Path
) -> None:
    made, packed, shipped = handed_on("1")
    followed.catch_up()
    followed.sim.capture("packer", [made, packed])
    records = [row[0] for row in followed.sim.rows("SELECT record FROM event")]
    followed.projection._graph.add(followed.projection._source.events(records))
    followed.reopen()
    followed.sim.capture("packer", [shipped])
    followed.catch_up()
    require_equal(followed, tmp_path)


def test_classes_that_a_rebuild_numbers_anew_still_name_the_same_graphs(
    followed: Followed, handed_on: Events, tmp_path: Path
) -> None:
    sim = followed.sim
    sim.capture("shop", [sim.event(quantityList=[{"epcClass": LOT}])])
    sim.capture("packer", handed_on("1"))
    sim.capture("farm", [sim.event(quantityList=[{"epcClass": LOT}])])
    followed.catch_up()
    numbers = dict(map(tuple, sim.rows("SELECT members, id FROM class")))
    followed.projection.close()
    sim.rebuild()
    followed.projection = followed._open()
    assert dict(map(tuple, sim.rows("SELECT members, id FROM class"))) != numbers
    sim.capture("farm", [sim.event(quantityList=[{"epcClass": LOT}])])
    followed.catch_up()
    require_equal(followed, tmp_path)


def test_a_graph_of_another_mapping_is_made_anew(followed: Followed, tmp_path: Path) -> None:
    followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
    followed.catch_up()
    version = "<urn:loomark:graph> <urn:loomark:term:mappingVersion>"
    followed.projection.store.update(
        f"DELETE DATA {{ GRAPH <urn:loomark:graph> {{ {version} 1 }} }} ;"
        f"INSERT DATA {{ GRAPH <urn:loomark:graph> {{ {version} 0 . <urn:x:old> <urn:x:p> <urn:x:o> }} }}"
    )
    followed.reopen()
    followed.catch_up()
    assert not [quad for quad in followed.projection.store if "urn:x:old" in str(quad)]
    require_equal(followed, tmp_path)


def test_the_first_claim_of_a_resubmitted_signed_capture_keeps_both_addresses(
    followed: Followed, tmp_path: Path
) -> None:
    event = followed.sim.event(quantityList=[{"epcClass": LOT}])
    followed.sim.admit("signer", own_key=True)
    followed.sim.capture_signed("signer", [event])
    followed.catch_up()
    followed.sim.capture_signed("signer", [event])
    followed.catch_up()
    require_equal(followed, tmp_path)


def test_old_snapshots_are_removed_and_the_newest_two_stay(followed: Followed) -> None:
    for _ in range(4):
        followed.sim.capture("farm", [followed.sim.event(quantityList=[{"epcClass": LOT}])])
        followed.catch_up()
    assert len(list(followed.folder.glob("snap-*"))) == 2
    assert (followed.folder / PROGRESS).exists()


def test_a_capture_from_several_members_in_any_rhythm_equals_a_graph_from_scratch(
    followed: Followed, handed_on: Events, tmp_path: Path
) -> None:
    sim = followed.sim
    for number in range(1, 6):
        made, packed, shipped = handed_on(str(number))
        later = [
            ("packer", shipped),
            ("shop", receipt(sim, str(number))),
            ("packer", packed),
            ("packer", made),
        ]
        for position, (member, event) in enumerate(later[number % 2 :] + later[: number % 2]):
            sim.capture(member, [event])
            if (number + position) % 3 == 0:
                followed.catch_up()
    sim.capture("farm", [sim.event(quantityList=[{"epcClass": LOT}], readPoint={"id": place(FARM)})])
    followed.catch_up()
    require_equal(followed, tmp_path)


@pytest.mark.parametrize("step", ["_load", "_remove"])
@pytest.mark.parametrize("is_done", [False, True])
def test_a_move_that_dies_at_any_step_is_finished_by_the_next_start(
    followed: Followed,
    handed_on: Events,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    is_done: bool,
) -> None:
    made, packed, shipped = handed_on("1")
    followed.sim.capture("packer", [made, packed])
    followed.catch_up()
    followed.sim.capture("packer", [shipped])
    followed.projection.advance(lambda: True)

    def die(self: Graph, argument: Any) -> None:
        if is_done:
            real(self, argument)
        raise KeyboardInterrupt

    real = getattr(Graph, step)
    with monkeypatch.context() as patch:
        patch.setattr(Graph, step, die)
        with pytest.raises(KeyboardInterrupt):
            followed.catch_up()
    followed.reopen()
    followed.catch_up()
    require_equal(followed, tmp_path)
