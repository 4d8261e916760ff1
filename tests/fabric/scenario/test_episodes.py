"""Each construct by itself: what its books say is checked by hand here, never by the trace code."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from fabric.epcis.document import read_document
from fabric.scenario import episodes
from fabric.scenario.books import Filling
from fabric.scenario.cell import Cell
from fabric.scenario.defects import DEFECTS
from fabric.scenario.documents import dumps
from fabric.scenario.emit import CONTEXT
from fabric.scenario.episodes import EPISODES, Batch, Episode, fresh_cases, retail
from fabric.scenario.generation import run_cell
from fabric.scenario.names import Thing
from fabric.scenario.truth import carriers, physical, quantities
from fabric.scenario.world import END, build_world

MEMBERS = 12


def told(episode: Episode, seed: int = 1) -> tuple[Cell, Batch, Batch]:
    """A cell in which one episode happened: the batch that went in and the one that came out."""
    cell = Cell(build_world(MEMBERS), random.Random(seed), END - 200 * 86_400)
    before = fresh_cases(cell)
    cell.captured.clear()
    return cell, before, episode(cell, before)


def forward(cell: Cell, thing: Thing) -> set[str]:
    reached = cell.books.reach([thing], forward=True)
    return {n.carrier.iri if isinstance(n, Filling) else n.iri for n in reached}


def steps(cell: Cell) -> list[Any]:
    return [(c.event["type"], c.event.get("action"), c.event["bizStep"]) for c in cell.captured]


def document(cell: Cell) -> bytes:
    body = {"eventList": [c.event for c in cell.captured]}
    return dumps(
        {
            "@context": CONTEXT,
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-07-01T00:00:00Z",
            "epcisBody": body,
        }
    )


def settled(cell: Cell) -> Iterator[dict[str, Any]]:
    for lot in cell.books.accounts:
        yield quantities(cell.books, lot, END)


@pytest.mark.parametrize("name", EPISODES)
@pytest.mark.parametrize("members", [1, 5, MEMBERS])
def test_every_portion_is_where_the_books_say_after_each_episode(name: str, members: int) -> None:
    for seed in range(3):
        cell = run_cell(build_world(members), random.Random(seed), [EPISODES[name]])
        places = {p.key.iri: p for ps in cell.world.by_role.values() for p in ps}
        for lot, accounts in cell.books.accounts.items():
            for place, account in accounts.items():
                loaded = sum(
                    load.amounts.get(lot, 0)
                    for load in cell._loads.values()
                    if load.filling.carrier.iri.startswith("https://id.gs1.org/8003/")
                    and account.made  # A tote that is still packed stands where its lot was made.
                )
                assert cell.stock(lot, places[place]).size + loaded == account.book


@pytest.mark.parametrize("name", EPISODES)
def test_nothing_is_missing_too_much_or_contaminated_beyond_the_affected(name: str) -> None:
    for seed in range(3):
        cell = run_cell(build_world(MEMBERS), random.Random(seed), [EPISODES[name]])
        assert read_document(document(cell), "application/ld+json").warnings == ()
        for row in settled(cell):
            assert (row["unaccounted"], row["surplus"], row["in_transit"]) == ("0", "0", "0")
        for lot in cell.books.lots:
            assert set(physical(cell.books, lot)) <= forward(cell, lot)


@pytest.mark.parametrize("name", EPISODES)
def test_backward_is_the_converse_of_forward(name: str) -> None:
    books = run_cell(build_world(MEMBERS), random.Random(4), [EPISODES[name]]).books
    nodes = {n for edge in books.edges() for n in edge}
    ahead = {(a, b) for a in nodes for b in books.reach([a], forward=True)}
    back = {(a, b) for b in nodes for a in books.reach([b], forward=False)}
    assert ahead == back
    assert len(nodes) >= 2


def test_a_mixed_pallet_carries_both_lots_and_affects_neither_by_the_other() -> None:
    cell, before, after = told(episodes.mixed_pallet)
    other = cell.books.lots[-1]
    assert other.iri not in forward(cell, before.lot)
    assert before.lot.iri not in forward(cell, other)
    assert len(carriers(cell.books, {before.lot})) == len(carriers(cell.books, {other})) == 1
    assert after.place is not before.place


def test_rework_makes_a_loop_that_ends_by_itself() -> None:
    cell, before, after = told(episodes.rework_loop)
    offcut = cell.books.lots[-1]
    assert forward(cell, after.lot) == forward(cell, offcut) == {after.lot.iri, offcut.iri}
    assert cell.books.reach([before.lot], forward=True) == {before.lot: 0, after.lot: 1, offcut: 2}


def test_a_declared_error_leaves_no_trace_of_the_wrong_input() -> None:
    cell, before, after = told(episodes.declared_error)
    decoy = cell.books.lots[-2]
    assert forward(cell, decoy) == {decoy.iri}
    assert after.lot.iri in forward(cell, before.lot)
    wrong, declaration, right = (c.event for c in cell.captured[-3:])
    assert wrong["eventID"] == declaration["eventID"] != right["eventID"]
    assert declaration["errorDeclaration"]["correctiveEventIDs"] == [right["eventID"]]
    assert wrong["inputQuantityList"] != right["inputQuantityList"]


def test_what_a_put_out_pallet_held_is_affected_and_what_a_packed_one_held_is_not() -> None:
    cell, before, _ = told(episodes.pallet_put_out)
    reached = cell.books.reach([before.lot], forward=True)
    assert sum(isinstance(n, Filling) for n in reached) == 1
    assert sum(isinstance(n, Thing) and n.kind == "serial" for n in reached) == 3
    cell, before, _ = told(episodes.repack)
    assert cell.books.reach([before.lot], forward=True) == {before.lot: 0}


def test_a_display_is_material_and_takes_what_it_held_with_it() -> None:
    cell, before, _ = told(episodes.display_kit)
    assert len(forward(cell, before.lot)) == 5


def test_a_pallet_as_input_stands_for_its_contents() -> None:
    cell, before, after = told(episodes.pallet_as_input)
    assert after.lot.iri in forward(cell, before.lot)
    assert "outputQuantityList" in cell.captured[1].event
    assert "inputQuantityList" not in cell.captured[1].event
    row = quantities(cell.books, before.lot, END)
    assert (row["used"], row["on_hand"]) == (row["made"], "0")


def test_serials_descend_from_their_lot_but_the_lot_not_from_its_serials_sources() -> None:
    cell, before, _ = told(episodes.serials_with_lot_in_ilmd)
    (lot,) = cell.books.serials
    serials = {s.iri for s in cell.books.serials[lot]}
    assert forward(cell, lot) == {lot.iri} | serials
    assert forward(cell, before.lot) == {before.lot.iri} | serials
    assert cell.captured[0].event["ilmd"] == {"cbvmda:lotNumber": lot.code}


def test_one_code_is_two_lots_under_two_products_and_one_lot_of_two_making_places() -> None:
    cell, before, _ = told(episodes.same_code_at_two_packers)
    twin, brand = cell.books.lots[-2:]
    assert twin.code == before.lot.code
    assert twin != before.lot
    assert twin.iri not in forward(cell, before.lot)
    makers = [place for place, account in cell.books.accounts[brand].items() if account.made]
    assert len(makers) == 2
    assert brand.iri in forward(cell, before.lot)


def test_a_tote_that_nobody_emptied_goes_on_as_inferred_when_it_is_packed_elsewhere() -> None:
    cell, before, _ = told(episodes.totes_without_delete)
    other = cell.books.lots[-1]
    (held,), (holds,) = (carriers(cell.books, {lot}) for lot in (before.lot, other))
    assert held["carrier"] == holds["carrier"]
    assert (held["until"], held["inferred"]) == (None, True)
    assert (holds["until"], holds["inferred"]) == (None, False)
    assert not any(c.event.get("action") == "DELETE" for c in cell.captured)


def test_a_pallet_gives_up_part_and_keeps_the_rest_until_it_is_empty() -> None:
    cell, before, _ = told(episodes.partial_unpack)
    (held,) = carriers(cell.books, {before.lot})
    removed = [c.event for c in cell.captured if c.event.get("action") == "DELETE"]
    amounts = [e["childQuantityList"][0]["quantity"] for e in removed]
    assert len(amounts) == 2
    assert sum(amounts) == before.portions
    assert held["until"] is not None


def test_a_transformation_in_two_events_shares_one_id() -> None:
    cell, _, _ = told(episodes.two_event_transformation)
    first, second = (c.event for c in cell.captured)
    assert first["transformationID"] == second["transformationID"]
    assert "outputQuantityList" not in first
    assert "inputQuantityList" not in second
    assert first["inputQuantityList"][-1]["epcClass"].count("/10/") == 0


def test_a_lot_goes_by_three_names_and_one_of_them_is_no_uri() -> None:
    cell, _, after = told(episodes.three_names)
    read = read_document(document(cell), "application/ld+json")
    named = {t.original for r in read.events for t in r.event.things if t.thing.iri == after.lot.iri}
    assert {after.lot.iri, after.lot.urn} <= named
    assert after.lot.iri.endswith("%2Bb")
    assert any(str(c.event.get("sim:label", "")).startswith("(01)") for c in cell.captured)


def test_dates_only_are_midnights_of_the_members_own_clock() -> None:
    cell, _, _ = told(episodes.dates_only)
    at = [r.event for r in read_document(document(cell), "application/ld+json").events]
    assert all((e.time_us // 60_000_000 + e.offset_min) % 1_440 == 0 for e in at)
    assert len({e.time_us for e in at}) == len(at) == 4


def test_a_neighbour_outside_receives_and_says_nothing() -> None:
    cell, before, _ = told(episodes.hop_outside)
    assert steps(cell) == [("ObjectEvent", "OBSERVE", "shipping")]
    row = quantities(cell.books, before.lot, END)
    assert (row["outside"], row["open_handovers"]) == (str(before.portions // 4), 0)


def test_copies_come_from_the_other_party_and_change_no_amount() -> None:
    cell, before, _ = told(episodes.relayed_copies, seed=2)
    members = [c.member for c in cell.captured]
    first, second, copied, unnamed = (c.event for c in cell.captured)
    assert copied == first
    assert {**unnamed, "eventID": second["eventID"]} == second
    assert members[2] is members[1] is not members[0]
    row = quantities(cell.books, before.lot, END)
    assert sum(int(p["received"]) for p in row["places"]) == before.portions


def test_a_dispatch_called_back_counts_once() -> None:
    cell, before, _ = told(episodes.voided_dispatch)
    assert [leg.state for leg in cell.books.legs[-2:]] == ["voided", "received"]
    row = quantities(cell.books, before.lot, END)
    assert sum(int(p["dispatched"]) for p in row["places"]) == before.portions


def test_late_records_are_the_senders() -> None:
    cell, before, _ = told(episodes.late_capture)
    late = [c for c in cell.captured if c.late]
    assert late
    assert {c.member.id for c in late} == {before.place.member.id}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: d.__name__)
def test_each_defect_is_noted_once_with_records_that_exist(defect: Episode) -> None:
    cell = run_cell(build_world(MEMBERS), random.Random(1), [defect])
    (noted,) = cell.defects
    ids = {c.event.get("eventID") for c in cell.captured}
    assert set(noted["records"]) <= ids
    (row,) = (row for row in settled(cell) if row["thing"] == noted["thing"])
    for shown in ("unaccounted", "surplus"):
        if noted["shown"] == shown:
            assert row[shown] != "0"
    others = [r for r in settled(cell) if r is not row and r["thing"] != noted["thing"]]
    assert all((r["unaccounted"], r["surplus"]) == ("0", "0") for r in others)


def test_events_of_a_lot_are_its_own_and_those_of_its_carriers_while_it_was_inside() -> None:
    cell, before, _ = told(episodes.partial_unpack)
    later = cell.new_lot(before.place.member, "packer", variant=1)
    pallet = cell.books.packings[0].filling.carrier
    cell.make(before.place, later, 5)
    cell.pack(before.place, pallet, [(later, 5)])
    ids = [c.event["eventID"] for c in cell.captured]
    of_lot = cell.books.events_of([before.lot])
    assert set(ids[:-2]) < set(of_lot)
    assert not set(ids[-2:]) & set(of_lot)
    assert cell.books.events_of([later]) == sorted(ids[-2:])


def test_retail_ends_every_story_with_a_count_that_agrees() -> None:
    cell, before, _ = told(lambda cell, batch: batch)
    retail(cell, before)
    row = quantities(cell.books, before.lot, END)
    (store,) = (p for p in row["places"] if p["counted"] is not None)
    assert store["counted"] == store["on_hand"]
