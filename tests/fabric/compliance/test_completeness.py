from __future__ import annotations

from typing import Any

import pytest

from fabric.compliance.rules import ctes
from ledger.errors import InvalidInput

from .scene import (
    CASES,
    FARM,
    FIELD_LOT,
    PACKED_LOT,
    PACKER,
    PALLET,
    SALAD_LOT,
    complete,
    cut,
    gaps,
    handed,
    harvest,
    master_data,
    send,
    state,
    story,
)

LOTS = (FIELD_LOT, PACKED_LOT, SALAD_LOT)


@pytest.mark.parametrize("lot", LOTS)
def test_a_story_told_in_full_has_no_gap(lot: str) -> None:
    found = complete(lot, story())
    assert gaps(found) == []
    assert [event for event in found.events if event.kind.unclassified] == []


def test_each_event_is_the_tracking_event_that_the_rule_means() -> None:
    told = {lot: [event.kind.cte for event in complete(lot, story()).events] for lot in LOTS}
    assert told == {
        FIELD_LOT: ["harvesting", "cooling", None, None, None],
        PACKED_LOT: ["initial_packing", "shipping", "receiving", None],
        SALAD_LOT: ["transformation"],
    }


def test_movements_before_packing_are_no_tracking_events_and_say_why() -> None:
    found = complete(FIELD_LOT, story())
    whys = [
        event.kind.why for event in found.events if event.happening.fact.step in ("shipping", "receiving")
    ]
    assert len(whys) == 2
    assert all("after initial packing" in str(why) for why in whys)


@pytest.mark.parametrize(
    ("event", "lot", "cte"),
    [
        ("harvest", FIELD_LOT, "harvesting"),
        ("cool", FIELD_LOT, "cooling"),
        ("pack", PACKED_LOT, "initial_packing"),
        ("send", PACKED_LOT, "shipping"),
        ("receive", PACKED_LOT, "receiving"),
        ("cut", SALAD_LOT, "transformation"),
    ],
)
def test_a_missing_reference_document_is_a_gap_of_its_record(event: str, lot: str, cte: str) -> None:
    found = complete(lot, story(**{event: {"bizTransactionList": None}}))
    assert gaps(found) == [(cte, "ref_doc")]
    (gap,) = found.gaps
    (row,) = [one for one in found.events if one.kind.cte == cte]
    assert gap["record"] == row.happening.record.name
    assert gap["section"].startswith(ctes()[cte].section)
    assert gap["looked"] == ["event", "ilmd", "creating event", "master data"]


@pytest.mark.parametrize(
    ("lot", "left_out", "gap"),
    [
        (FIELD_LOT, "cool", ("cooling", "event")),
        (PACKED_LOT, "pack", ("initial_packing", "event")),
        (PACKED_LOT, "receive", ("receiving", "event")),
        (PACKED_LOT, "send", ("shipping", "event")),
    ],
)
def test_an_event_that_must_have_happened_and_has_no_record_is_a_gap(
    lot: str, left_out: str, gap: tuple[str, str]
) -> None:
    found = complete(lot, story(**{left_out: None}))
    assert gap in gaps(found)
    assert [one["record"] for one in found.gaps if one["kde"] == "event"] == [None]


def test_what_a_limited_reader_may_not_see_is_unknown_and_no_gap() -> None:
    found = complete(PACKED_LOT, story(receive=None), limited=True)
    assert gaps(found) == []
    assert [(one.cte, one.state) for one in found.expected] == [("receiving", "unknown")]


def test_a_shipment_that_may_still_arrive_is_no_gap() -> None:
    late = "2026-09-20T06:00:00-07:00"
    assert gaps(complete(PACKED_LOT, story(send={"at": late}, receive=None, cut=None))) == []


def test_the_farm_and_harvest_of_what_was_packed_come_from_the_harvested_lot() -> None:
    found = complete(PACKED_LOT, story())
    events = complete(FIELD_LOT, story()).events
    harvested = events[0].happening.record.name
    for kde in ("commodity_variety", "field_name", "harvester_name_phone", "harvest_date"):
        assert state(found, "initial_packing", kde)["record"] == harvested
    assert state(found, "initial_packing", "cooling_date")["record"] == events[1].happening.record.name
    assert state(found, "initial_packing", "received_qty_uom")["value"] == "600 KGM"


def test_an_element_missing_at_harvest_is_a_gap_of_both_events() -> None:
    ilmd = {name: value for name, value in harvest()["ilmd"].items() if name != "ex:fieldName"}
    events = story(harvest={"ilmd": ilmd})
    assert gaps(complete(FIELD_LOT, events)) == [("harvesting", "field_name")]
    assert gaps(complete(PACKED_LOT, events)) == [("initial_packing", "field_name")]


def test_a_harvester_without_a_phone_is_a_gap() -> None:
    ilmd = {name: value for name, value in harvest()["ilmd"].items() if name != "ex:harvesterPhone"}
    (gap,) = complete(FIELD_LOT, story(harvest={"ilmd": ilmd})).gaps
    assert (gap["kde"], gap["section"], gap["why"]) == ("harvester_name_phone", "1.1325(a)(2)", "no phone")


def test_cooling_that_was_not_recorded_leaves_the_packers_elements_unknown() -> None:
    row = state(complete(PACKED_LOT, story(cool=None)), "initial_packing", "cooling_date")
    assert row["state"] == "unknown"
    assert "cooled" in row["why"]


@pytest.mark.parametrize(
    ("attribute", "kde", "part"),
    [
        ("cbvmda:postalCode", "subsequent_recipient", "zip"),
        ("gs1:telephone", "ship_from", "phone"),
        ("cbvmda:descriptionShort", "product_description", "product_name"),
        ("ex:packaging", "product_description", "packaging_size"),
    ],
)
def test_an_incomplete_description_names_what_it_lacks(attribute: str, kde: str, part: str) -> None:
    row = state(complete(PACKED_LOT, story(), master_data(attribute)), "shipping", kde)
    assert row["state"] == "missing"
    assert part in row["why"]


def test_a_description_nobody_showed_is_missing_or_unknown_to_a_limited_reader() -> None:
    assert state(complete(PACKED_LOT, story(), []), "shipping", "ship_from")["state"] == "missing"
    limited = complete(PACKED_LOT, story(), [], limited=True)
    assert state(limited, "shipping", "ship_from")["state"] == "unknown"


def test_dates_are_local() -> None:
    found = complete(PACKED_LOT, story(send={"at": "2026-08-04T05:30:00Z"}))
    assert state(found, "shipping", "ship_date")["value"] == "2026-08-03"


def test_the_lot_code_source_is_the_place_of_the_creating_event() -> None:
    packed = complete(PACKED_LOT, story())
    masters = {one["element"]["id"] for one in master_data()}
    assert PACKER in masters
    row = state(packed, "shipping", "tlc_source_or_reference")
    assert (row["state"], row["source"]) == ("present", "master data")


def test_an_extension_overrides_the_place_that_gave_the_code() -> None:
    said = {
        "ilmd": {
            "ex:packingDate": "2026-08-02",
            "ex:traceabilityLotCodeSourceReference": "https://example.org/tlc/7",
        }
    }
    row = state(complete(PACKED_LOT, story(pack=said)), "shipping", "tlc_source_or_reference")
    assert (row["state"], row["value"]) == ("present", "https://example.org/tlc/7")


def test_the_quantity_of_a_lot_sent_by_its_pallet_is_what_the_pallet_held() -> None:
    packing = {
        **send(),
        "type": "AggregationEvent",
        "action": "ADD",
        "bizStep": "packing",
        "parentID": PALLET,
        "childQuantityList": [{"epcClass": PACKED_LOT, "quantity": 50}],
        "eventTime": "2026-08-03T05:00:00-07:00",
    }
    for name in ("quantityList", "sourceList", "destinationList", "bizTransactionList"):
        packing.pop(name)
    pallet: dict[str, Any] = {"quantityList": None, "epcList": [PALLET]}
    found = complete(PACKED_LOT, [*story(send=pallet, receive=pallet), packing])
    for cte in ("shipping", "receiving"):
        row = state(found, cte, "qty_uom")
        assert (row["state"], row["source"]) == ("present", "contents of the carrier")
        assert row["value"].startswith("50 ")


def test_a_movement_that_stays_in_place_is_no_shipping() -> None:
    found = complete(PACKED_LOT, story(send=handed(PACKER, PACKER), receive=None))
    assert "shipping" not in [event.kind.cte for event in found.events]


def test_containers_are_only_wanted_of_aquaculture() -> None:
    row = state(complete(FIELD_LOT, story()), "harvesting", "container_name")
    assert (row["state"], row["why"]) == ("not_applicable", "only for food from aquaculture")


def test_an_event_no_rule_fits_is_shown_as_unclassified() -> None:
    odd = harvest(
        ilmd=None,
        bizStep="https://example.org/step/blessing",
        action="OBSERVE",
        at="2026-08-01T09:00:00-07:00",
    )
    found = complete(FIELD_LOT, [*story(), odd])
    (event,) = [one for one in found.events if one.kind.unclassified]
    assert event.as_json()["state"] == "unclassified"
    assert gaps(found) == []


def test_a_creation_without_its_inputs_is_hidden_and_not_guessed() -> None:
    shown = (
        "@context",
        "type",
        "eventTime",
        "eventTimeZoneOffset",
        "readPoint",
        "bizLocation",
        "bizStep",
        "outputQuantityList",
        "ilmd",
    )
    events = story()
    number = next(n for n, one in enumerate(events) if one["type"] == "TransformationEvent")
    events[number] = {name: value for name, value in events[number].items() if name in shown}
    found = complete(PACKED_LOT, events, limited=True, part=number)
    made = found.events[0]
    assert made.kind.unclassified
    assert "inputs are hidden" in str(made.kind.why)
    assert gaps(found) == []


def test_a_lot_from_an_exempt_source_needs_the_other_paragraph() -> None:
    exempt = {"ilmd": {"ex:packingDate": "2026-08-02", "ex:exemptSource": "Small Farm"}}
    names = [event.cte.name for event in complete(PACKED_LOT, story(pack=exempt)).events if event.cte]
    assert names[0] == "initial_packing_from_exempt"


def test_sprouts_need_elements_of_their_own() -> None:
    sprouts = master_data()
    for one in sprouts:
        if one["element"]["id"] == CASES:
            one["element"]["attributes"][0]["attribute"] = "Alfalfa sprouts"
    found = complete(PACKED_LOT, story(), sprouts)
    assert ("initial_packing_sprouts_extra", "seed_description") in gaps(found)


def test_food_a_shop_makes_and_sells_is_not_asked_for_transformation_elements() -> None:
    sale = send(
        bizStep="retail_selling", sourceList=None, destinationList=None, at="2026-08-05T06:00:00-07:00"
    )
    sale["quantityList"] = [{"epcClass": SALAD_LOT, "quantity": 5}]
    made = {"bizTransactionList": None}
    assert gaps(complete(SALAD_LOT, story(cut=made))) == [("transformation", "ref_doc")]
    found = complete(SALAD_LOT, [*story(cut=made), sale])
    assert gaps(found) == []
    assert state(found, "transformation", "ref_doc")["state"] == "not_applicable"


def test_a_record_that_is_not_valid_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidInput) as caught:
        complete(FIELD_LOT, story(harvest={"eventTimeZoneOffset": "west"}))
    assert caught.value.findings
    assert FARM in harvest()["readPoint"]["id"]


def test_lots_that_went_into_each_other_end_the_look_back() -> None:
    rework = cut(at="2026-08-05T06:00:00-07:00")
    rework["inputQuantityList"] = [{"epcClass": SALAD_LOT, "quantity": 5}]
    rework["outputQuantityList"] = [{"epcClass": PACKED_LOT, "quantity": 1}]
    found = complete(SALAD_LOT, [*story(), rework])
    assert [event.kind.cte for event in found.events] == ["transformation", None]
    assert gaps(found) == []


def test_master_data_of_no_shape_states_nothing() -> None:
    odd = master_data()
    odd[0]["element"]["attributes"] = 7
    odd[1]["element"]["attributes"] = [7, {"id": 7}, {"id": "cbvmda:name"}]
    row = state(complete(PACKED_LOT, story(), odd), "shipping", "ship_from")
    assert row["state"] == "missing"


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
def test_the_ends_of_the_calendar_have_a_date(when: str) -> None:
    # The other way round the local date would lie outside the calendar, and the event is refused at the door.
    offset = "-14:00" if when.startswith("9") else "+14:00"
    odd = harvest(at=when, eventTimeZoneOffset=offset)
    assert complete(FIELD_LOT, [odd]).events[0].happening.date == when[:10]
