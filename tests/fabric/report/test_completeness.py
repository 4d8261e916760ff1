from __future__ import annotations

import pytest

from ledger.errors import InvalidInput, NotFound

from .conftest import Demonstration


def found(demo: Demonstration, lot: str) -> set[tuple[str, str, str | None]]:
    value = demo.reporter.completeness(lot, demo.reader("everybody"))
    return {(gap["cte"], gap["kde"], gap["event_id"]) for gap in value["gaps"]}


def test_the_gaps_of_the_demonstration_are_found_and_no_others(demo: Demonstration) -> None:
    for lot in demo.lots:
        told = {(gap["cte"], gap["kde"], gap["record"]) for gap in demo.truth["gaps"] if gap["lot"] == lot}
        # A shipment that never arrived is a finding of the trace in the scenario's truth, and a gap here.
        assert found(demo, lot) - {("receiving", "event", None)} == told


def test_a_shipment_that_never_arrived_is_a_gap_of_the_receipt(demo: Demonstration) -> None:
    assert [lot for lot in demo.lots if ("receiving", "event", None) in found(demo, lot)] == [demo.hearts]


def test_a_limited_reader_is_told_what_it_cannot_know(demo: Demonstration) -> None:
    value = demo.reporter.completeness(demo.hearts, demo.reader("processor"))
    assert value["limited"] is True
    beyond = demo.reporter.completeness(demo.hearts, demo.reader("retailer"))
    assert beyond["counts"]["unknown"] + beyond["counts"]["hidden"] > 0
    unclassified = [event for event in value["events"] if event["state"] == "unclassified"]
    assert [event["why"] for event in unclassified] == [
        "inputs are hidden: initial packing or transformation"
    ]


def test_a_lot_the_reader_cannot_see_has_no_completeness(demo: Demonstration) -> None:
    with pytest.raises(NotFound) as hidden:
        demo.reporter.completeness(demo.lot, demo.reader("retailer"))
    with pytest.raises(NotFound) as unknown:
        demo.reporter.completeness(demo.lot + "X", demo.reader("retailer"))
    assert hidden.value.message == unknown.value.message.replace(demo.lot + "X", demo.lot)


def test_only_lots_have_a_completeness(demo: Demonstration) -> None:
    place = "https://id.gs1.org/414/9525004000012"
    with pytest.raises(InvalidInput) as caught:
        demo.reporter.completeness(place, demo.reader("everybody"))
    assert caught.value.rule == "not-a-lot"
