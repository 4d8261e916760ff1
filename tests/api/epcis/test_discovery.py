"""`/epcis/` and its collections: what is listed to whom, members in any spelling, and the events below them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from api.epcis.discovery import EVENT_TYPES, KINDS, TOP_LEVEL
from api.epcis.interface import COLLECTIONS
from fabric.epcis.words import words_of
from tests.api.door import Door
from tests.api.epcis.orchard import (
    LINE,
    LINE_LINK,
    OWN_DISPOSITION,
    OWN_STEP,
    PLACE,
    PLACE_LINK,
    SENT,
    following,
    listed,
    part,
    plant,
    serial,
    serial_link,
    walked,
)

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
STANDARD = {
    "eventTypes": set(EVENT_TYPES),
    "bizSteps": set(words_of("bizStep")),
    "dispositions": set(words_of("disposition")),
}


@pytest.fixture(scope="module", autouse=True)
def orchard(door: Door) -> None:
    """The events that are listed."""
    plant(door)


def members(answer: Any) -> list[str]:
    """The members of a Collection, each of which comes once."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == {"@context", "type", "member"}
    assert (body["@context"], body["type"]) == (CONTEXT, "Collection")
    found: list[str] = body["member"]
    assert len(found) == len(set(found))
    return found


def every(door: Door, path: str, member: str = "farm", **headers: str) -> list[str]:
    """The members on all pages; none of the pages is empty but the only one."""
    found: list[str] = []
    at: str | None = path
    while at is not None:
        answer = door.get(at, member, **headers)
        page = members(answer)
        assert page or at == path
        found += page
        at = following(answer)
    return found


def test_the_top_level_names_the_resources_of_the_standard(door: Door) -> None:
    for path in ("/epcis/", "/epcis"):
        assert members(door.get(path)) == list(TOP_LEVEL)
    assert set(TOP_LEVEL) == {"queries", "capture", "events", *COLLECTIONS}


def test_lists_have_what_the_callers_events_have(door: Door) -> None:
    own = {name: set(every(door, f"/epcis/{name}?perPage=7")) for name in COLLECTIONS}
    assert own["epcs"] == {*(serial_link(n) for n in (*range(12), 50)), "urn:private:tree:7"}
    assert (own["bizLocations"], own["readPoints"]) == ({PLACE_LINK}, {LINE_LINK})
    assert own["bizSteps"] == STANDARD["bizSteps"] | {OWN_STEP}
    assert own["dispositions"] == STANDARD["dispositions"] | {OWN_DISPOSITION}
    assert own["eventTypes"] == STANDARD["eventTypes"]


def test_lists_have_nothing_that_only_others_events_have(door: Door) -> None:
    for name in COLLECTIONS:
        wanted = STANDARD.get(name, set())
        assert set(every(door, f"/epcis/{name}", "packer")) == wanted
        assert set(every(door, f"/epcis/{name}", "operator")) == wanted
    assert every(door, "/epcis/epcs", "shop") == [serial_link(3)]
    assert every(door, "/epcis/bizLocations", "shop") == []


@pytest.mark.parametrize("per_page", [2, 4, 5, 13, 14, 15])
def test_a_walk_over_a_list_has_each_value_once_and_ends_when_there_is_no_more(
    door: Door, per_page: int
) -> None:
    for name, count in (("eventTypes", 5), ("epcs", 14)):
        answer = door.get(f"/epcis/{name}?perPage={per_page}")
        assert len(members(answer)) == min(per_page, count)
        assert (following(answer) is not None) == (per_page < count)
        assert len(every(door, f"/epcis/{name}?perPage={per_page}")) == count


def test_a_page_of_words_goes_over_to_the_callers_own(door: Door) -> None:
    count = len(STANDARD["dispositions"])
    whole = door.get(f"/epcis/dispositions?perPage={count}")
    assert (set(members(whole)), following(whole) is not None) == (STANDARD["dispositions"], True)
    assert members(door.get(str(following(whole)))) == [OWN_DISPOSITION]
    # To a stranger of that word the same page is the last.
    assert following(door.get(f"/epcis/dispositions?perPage={count}", "packer")) is None


def test_lists_keep_to_the_form_that_is_asked_for(door: Door) -> None:
    urns = set(every(door, "/epcis/epcs", gs1_epc_format="Always_EPC_URN"))
    assert urns == {*(serial(n) for n in (*range(12), 50)), "urn:private:tree:7"}
    assert every(door, "/epcis/readPoints", gs1_epc_format="Always_EPC_URN") == [LINE]
    assert every(door, "/epcis/readPoints", gs1_epc_format="No_Preference") == [LINE_LINK]


def test_lists_come_in_xml_too(door: Door) -> None:
    for path, one in (
        ("/epcis/epcs", serial_link(3)),
        ("/epcis/", "eventTypes"),
        ("/epcis/bizSteps/shipping", "events"),
    ):
        answer = door.get(path, accept="application/xml")
        assert answer.headers["content-type"] == "application/xml"
        root = ElementTree.fromstring(answer.content)
        assert root.tag == "{urn:epcglobal:epcis:xsd:2}Collection"
        assert one in [element.text for element in root]
    words = door.get("/epcis/bizSteps", accept="application/xml", gs1_cbv_xml_format="Always_Web_URI")
    assert "https://ref.gs1.org/cbv/BizStep-accepting" in words.text
    assert "urn:epcglobal:cbv:bizstep:accepting" in door.get("/epcis/bizSteps", accept="text/xml").text


SPELLINGS = [
    ("eventTypes", "ObjectEvent", 16),
    ("epcs", part(serial(3)), 2),
    ("epcs", serial(3), 2),
    ("epcs", part(serial_link(3)), 2),
    ("epcs", serial_link(3), 2),
    ("epcs", serial_link(3).replace("/", "%2f"), 2),
    ("epcs", part("https://shop.example.com/01/09521321000179/21/3?17=261231"), 2),
    ("epcs", "urn:private:tree:7", 1),
    ("bizSteps", "commissioning", 12),
    ("bizSteps", "urn:epcglobal:cbv:bizstep:commissioning", 12),
    ("bizSteps", part("https://ref.gs1.org/cbv/BizStep-commissioning"), 12),
    ("bizSteps", part(OWN_STEP), 1),
    ("bizSteps", OWN_STEP, 1),
    ("bizLocations", PLACE, 12),
    ("bizLocations", part(PLACE_LINK), 12),
    ("readPoints", LINE, 12),
    ("readPoints", part(LINE_LINK), 12),
    ("dispositions", "active", 12),
    ("dispositions", part("https://ref.gs1.org/cbv/Disp-active"), 12),
    ("dispositions", part(OWN_DISPOSITION), 1),
]


@pytest.mark.parametrize(("name", "spelt", "count"), SPELLINGS)
def test_a_member_is_one_however_it_is_spelt(door: Door, name: str, spelt: str, count: int) -> None:
    assert members(door.get(f"/epcis/{name}/{spelt}")) == ["events"]
    assert len(walked(door, f"/epcis/{name}/{spelt}/events?perPage=5")) == count


def test_a_name_that_ends_like_the_address_of_events_is_a_name(door: Door) -> None:
    step = "https://farm.example.com/steps/events"
    door.captured(door.sim.document([door.sim.event(epcList=[serial(9)], bizStep=step)]))
    assert members(door.get(f"/epcis/bizSteps/{part(step)}")) == ["events"]
    assert len(listed(door.get(f"/epcis/bizSteps/{part(step)}/events"))) == 1
    assert len(listed(door.get(f"/epcis/bizSteps/{step}/events"))) == 1


@pytest.mark.parametrize("name", ["eventTypes", "bizSteps", "dispositions"])
def test_a_word_of_the_standard_is_known_though_no_event_has_it(door: Door, name: str) -> None:
    for word in sorted(STANDARD[name])[::5]:
        assert members(door.get(f"/epcis/{name}/{word}", "packer")) == ["events"]
    assert listed(door.get(f"/epcis/{name}/{min(STANDARD[name])}/events", "packer")) == []


UNKNOWN = {
    "eventTypes": ["NoSuchEvent", "https://example.com/OwnEvent", "objectevent", "%00"],
    "epcs": [
        serial(999),
        "urn:private:tree:8",
        "nothing",
        "urn:epc:idpat:sgtin:9521321.000017.*",
        "a%7Cb",
        "%0A",
    ],
    "bizSteps": [
        "dancing",
        "Shipping",
        "https://example.com/steps/x",
        "urn:epcglobal:cbv:disp:active",
        "a%20b",
    ],
    "bizLocations": ["urn:epc:id:sgln:9521321.00009.0", LINE, "here", "%ff"],
    "readPoints": ["urn:epc:id:sgln:9521321.00009.0", PLACE, "%2e%2e", "x" * 3000],
    "dispositions": ["sleepy", "urn:epcglobal:cbv:bizstep:shipping", "%3Cscript%3E"],
}


@pytest.mark.parametrize("name", sorted(UNKNOWN))
def test_an_unknown_member_is_not_found_nor_are_events_below_it(door: Door, name: str) -> None:
    with door.unchanged():
        for value in UNKNOWN[name]:
            for path in (f"/epcis/{name}/{value}", f"/epcis/{name}/{value}/events"):
                answer = door.get(path)
                door.refused(answer, 404, answer.json()["rule"], "NoSuchResourceException")
            answer = door.http.options(f"/epcis/{name}/{value}", headers=door.headers("farm"))
            assert answer.status_code == 404, value


HIDDEN = {
    "epcs": serial_link(5),
    "bizSteps": OWN_STEP,
    "bizLocations": PLACE_LINK,
    "readPoints": LINE_LINK,
    "dispositions": OWN_DISPOSITION,
}


@pytest.mark.parametrize("name", sorted(HIDDEN))
@pytest.mark.parametrize("member", ["shop", "packer", "operator"])
def test_a_hidden_member_answers_like_an_unknown_one(door: Door, name: str, member: str) -> None:
    unknown = HIDDEN[name][:-1] + ("8" if name == "epcs" else "z")
    if name in ("bizLocations", "readPoints"):
        unknown = "https://id.gs1.org/414/9521321000032"
    with door.unchanged():
        for below in ("", "/events", "/events?EQ_action=ADD", "?perPage=2"):
            hidden, none = (
                door.get(f"/epcis/{name}/{part(one)}{below}", member) for one in (HIDDEN[name], unknown)
            )
            door.refused(hidden, 404, "unknown-member")
            assert (hidden.status_code, hidden.content) == (none.status_code, none.content)
            assert hidden.headers.keys() == none.headers.keys()
            # What is wrong with a question is told alike, too.
        for one in (HIDDEN[name], unknown):
            wrong = door.get(f"/epcis/{name}/{part(one)}/events?EQ_action=X", member)
            door.refused(wrong, 400, wrong.json()["rule"], "QueryParameterException")


def test_a_wrong_check_digit_is_told_with_the_right_one(door: Door) -> None:
    with door.unchanged():
        for below in ("", "/events"):
            answer = door.get(f"/epcis/epcs/{part('https://id.gs1.org/01/09521321000178/21/3')}{below}")
            body = door.refused(answer, 400, "bad-check-digit", "QueryParameterException")
            assert body["findings"][0]["pointer"] == "/path/epc"
            assert "09521321000179" in body["findings"][0]["expected"]


def test_a_name_that_was_kept_with_its_wrong_check_digit_is_found(door: Door) -> None:
    kept = "https://id.gs1.org/01/09521321000171/21/3"
    body = door.sim.document([door.sim.event(epcList=[kept])])
    answer = door.post(body, path="/epcis/capture?check-digits=keep")
    door.get(answer.headers["location"], prefer="wait=20")
    assert members(door.get(f"/epcis/epcs/{part(kept)}")) == ["events"]
    (found,) = listed(door.get(f"/epcis/epcs/{part(kept)}/events"))
    assert found["epcList"] == [kept]


def test_parameters_choose_among_the_events_below(door: Door) -> None:
    path = f"/epcis/epcs/{part(serial(3))}/events"
    assert {one["bizStep"] for one in walked(door, path)} == {"commissioning", "shipping"}
    assert [one["eventID"] for one in listed(door.get(f"{path}?EQ_bizStep=shipping"))] == [SENT]
    assert listed(door.get(f"{path}?MATCH_anyEPC={serial(4)}")) == []
    assert [one["eventID"] for one in listed(door.get(path, "shop"))] == [SENT]


@pytest.mark.parametrize(
    ("path", "same", "others"),
    [
        ("bizSteps/commissioning", "EQ_bizStep=commissioning", "EQ_bizStep=shipping"),
        ("bizSteps/commissioning", "EQ_bizStep=shipping|commissioning", "EQ_bizStep=shipping|packing"),
        ("dispositions/active", "EQ_disposition=active", "EQ_disposition=in_transit"),
        ("eventTypes/ObjectEvent", "eventType=ObjectEvent", "eventType=AggregationEvent"),
        (f"bizLocations/{PLACE}", f"EQ_bizLocation={PLACE_LINK}", f"EQ_bizLocation={LINE}"),
        (f"readPoints/{LINE}", f"EQ_readPoint={LINE}", f"EQ_readPoint={PLACE}"),
    ],
)
def test_a_parameter_that_contradicts_the_address_is_refused(
    door: Door, path: str, same: str, others: str
) -> None:
    assert len(walked(door, f"/epcis/{path}/events?{same}")) >= 12
    with door.unchanged():
        answer = door.get(f"/epcis/{path}/events?{others}")
        body = door.refused(answer, 400, "contradicts-address", "QueryParameterException")
        assert body["findings"][0]["pointer"] == f"/{others.partition('=')[0]}"


def test_another_place_of_another_field_contradicts_nothing(door: Door) -> None:
    assert len(walked(door, f"/epcis/bizLocations/{PLACE}/events?EQ_readPoint={LINE}")) == 12
    assert len(walked(door, f"/epcis/bizLocations/{PLACE}/events?WD_bizLocation={PLACE}")) == 12


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
def test_lists_and_members_take_no_parameters_of_queries(door: Door, name: str) -> None:
    with door.unchanged():
        for path in (f"/epcis/{name}?EQ_action=ADD", f"/epcis/{name}/x?EQ_action=ADD"):
            door.refused(door.get(path), 400, "query-parameter", "QueryParameterException")


def test_every_collection_has_its_parameter() -> None:
    assert KINDS.keys() == COLLECTIONS.keys()
    assert {one.parameter for one in KINDS.values()} == {
        "eventType",
        "MATCH_anyEPC",
        "EQ_bizStep",
        "EQ_bizLocation",
        "EQ_readPoint",
        "EQ_disposition",
    }
