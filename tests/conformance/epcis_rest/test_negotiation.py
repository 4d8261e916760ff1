"""What a request's headers ask of the answer: media type, versions, the spelling of identifiers and words."""

from __future__ import annotations

import pytest

from .clauses import must, should
from .documents import NAMESPACE, document, fresh_place, now_text, object_event
from .identifiers import Item, Place, fresh
from .server import Server, event_list, refused
from .world import World

ACCEPT = "header Accept"
FORMAT = "header GS1-EPC-Format"
UNMET = ("NotAcceptableException",)


@must(ACCEPT, "JSON is given where it is asked for, where anything will do, and where nothing is said.")
@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/*", "text/html, */*;q=0.1", None])
def test_json_is_given(server: Server, world: World, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = server.get("/events", {"EQ_bizLocation": world.home}, **headers)
    assert answer.headers["content-type"].partition(";")[0] in ("application/json", "application/ld+json")
    assert event_list(answer)


@should(ACCEPT, "The media type of JSON-LD is understood as well.")
def test_json_ld_is_given(server: Server, world: World) -> None:
    assert event_list(server.get("/events", {"EQ_bizLocation": world.home}, Accept="application/ld+json"))


@must(ACCEPT, "406, NotAcceptableException: no form that the client accepts.")
@pytest.mark.parametrize("path", ["/", "/events", "/capture", "/queries", "/eventTypes"])
@pytest.mark.parametrize("accept", ["text/csv", "image/png", "application/json;q=0"])
def test_no_form_is_refused(server: Server, path: str, accept: str) -> None:
    refused(server.get(path, Accept=accept), 406, *UNMET)


@must("header GS1-EPCIS-Min and -Max", "A range of versions that the server has a version in is met.")
@pytest.mark.parametrize("name", ["EPCIS", "CBV"])
@pytest.mark.parametrize(
    ("lowest", "highest"), [("2.0.0", "2.0.0"), ("2.0", "2.0"), ("1.0.0", "2.0.0"), ("2.0.0", "9.0.0")]
)
def test_a_range_with_a_version_is_met(
    server: Server, world: World, name: str, lowest: str, highest: str
) -> None:
    headers = {f"GS1_{name}_Min": lowest, f"GS1_{name}_Max": highest}
    answer = server.get("/events", {"EQ_bizLocation": world.home}, **headers)
    assert event_list(answer)
    assert answer.headers.get(f"gs1-{name}-version", "2.0.0").startswith("2.0")


@must(
    "header GS1-EPCIS-Min and -Max", "406, NotAcceptableException: no version of the server is in the range."
)
@pytest.mark.parametrize("path", ["/events", "/", "/capture", "/queries"])
@pytest.mark.parametrize("headers", [{"GS1_EPCIS_Min": "3.0.0"}, {"GS1_EPCIS_Max": "0.5.0"}])
def test_a_range_without_a_version_is_refused(server: Server, path: str, headers: dict[str, str]) -> None:
    refused(server.get(path, (), **headers), 406, *UNMET)


@must("header GS1-CBV-Min and -Max", "406, NotAcceptableException: no version of the server is in the range.")
@pytest.mark.parametrize("headers", [{"GS1_CBV_Min": "3.0.0"}, {"GS1_CBV_Max": "0.5.0"}])
def test_a_range_without_a_vocabulary_is_refused(server: Server, headers: dict[str, str]) -> None:
    refused(server.get("/events", (), **headers), 406, *UNMET)


@must("schema version", "A version is numbers and dots; anything else is refused. Reading: 400 or 406.")
@pytest.mark.parametrize("value", ["two", "2.", "v2.0", "2.0.0-beta"])
@pytest.mark.parametrize("name", ["GS1_EPCIS_Min", "GS1_CBV_Max"])
def test_what_is_no_version_is_refused(server: Server, name: str, value: str) -> None:
    answer = server.get("/events", (), **{name: value})
    refused(answer, 400 if answer.status_code == 400 else 406, "ValidationException", *UNMET)


@should(
    "header GS1-EPCIS-Version",
    "A capture that says another version than the server reads is refused; nothing is stored.",
)
@pytest.mark.parametrize("headers", [{"GS1_EPCIS_Version": "9.0.0"}, {"GS1_CBV_Version": "9.0.0"}])
def test_a_capture_in_an_unknown_version_is_refused(server: Server, headers: dict[str, str]) -> None:
    place = fresh_place()
    answer = server.post("/capture", document([object_event(place)]), **headers)
    assert answer.status_code in (400, 406, 415), answer.text
    assert server.at(place.urn) == []


@must("header GS1-EPCIS-Version", "A capture that says the version it has is taken.")
def test_a_capture_in_its_version_is_taken(server: Server) -> None:
    place = fresh_place()
    server.capture(document([object_event(place)]), GS1_EPCIS_Version="2.0.0", GS1_CBV_Version="2.0.0")
    assert len(server.at(place.urn)) == 1


@must(FORMAT, "Without the header, and with Always_GS1_Digital_Link, identifiers come as GS1 Digital Links.")
@pytest.mark.parametrize("headers", [{}, {"GS1_EPC_Format": "Always_GS1_Digital_Link"}])
def test_identifiers_come_as_digital_links(server: Server, world: World, headers: dict[str, str]) -> None:
    (packed,) = server.at(world.home, ("EQ_bizStep", "packing"), **headers)
    assert packed["parentID"] == world.pallet.link
    assert packed["childEPCs"] == [world.item.link]
    assert packed["childQuantityList"][0]["epcClass"] == world.lot.link
    (made,) = server.at(world.home, ("EQ_bizStep", "commissioning"), **headers)
    assert made["readPoint"]["id"] == world.line.link


@must(FORMAT, "Always_EPC_URN: identifiers come as EPC URNs.")
def test_identifiers_come_as_urns(server: Server, world: World) -> None:
    (packed,) = server.at(world.home, ("EQ_bizStep", "packing"), GS1_EPC_Format="Always_EPC_URN")
    assert packed["parentID"] == world.pallet.urn
    assert packed["childEPCs"] == [world.item.urn]
    assert packed["childQuantityList"][0]["epcClass"] == world.lot.urn


@must(FORMAT, "Never_Translates: identifiers come as they were captured, whichever spelling it was.")
def test_identifiers_come_as_captured(server: Server) -> None:
    place, item = fresh_place(), Item("000017", fresh())
    custom = f"https://shop.example.com/01/09506000134352/21/{fresh()}"
    sent = [item.urn, custom, Item("000017", fresh()).link]
    server.capture(document([object_event(place, epcList=sent)]))
    (found,) = server.at(place.urn, GS1_EPC_Format="Never_Translates")
    assert found["epcList"] == sent


@must(FORMAT, "No_Preference: either spelling will do, and an answer is always given.")
def test_no_preference_is_always_answered(server: Server, world: World) -> None:
    (made,) = server.at(world.home, ("EQ_bizStep", "commissioning"), GS1_EPC_Format="No_Preference")
    assert made["epcList"][0] in (world.item.urn, world.item.link)


@must(
    FORMAT,
    "Always_EPC_URN for what came as a Digital Link: the URN, or 406 where the server cannot know how long the company"
    " prefix is; never a Digital Link.",
)
def test_a_digital_link_becomes_a_urn_or_is_refused(server: Server) -> None:
    place, item = fresh_place(), Item("000017", fresh())
    server.capture(document([object_event(place, epcList=[item.link])]))
    answer = server.get("/events", {"EQ_bizLocation": place.urn}, GS1_EPC_Format="Always_EPC_URN")
    if answer.status_code == 406:
        refused(answer, 406, *UNMET)
    else:
        assert event_list(answer)[0]["epcList"] == [item.urn]


@must(FORMAT, "A value that is none of the four is refused. Reading: 400 or 406.")
@pytest.mark.parametrize("path", ["/events", "/epcs"])
def test_an_unknown_format_is_refused(server: Server, path: str) -> None:
    answer = server.get(path, GS1_EPC_Format="Sometimes_URN")
    refused(
        answer,
        400 if answer.status_code == 400 else 406,
        "ValidationException",
        "QueryParameterException",
        *UNMET,
    )


@must(FORMAT, "What is asked for holds for the event of one ID as well.")
def test_one_event_keeps_to_the_format(server: Server, world: World) -> None:
    path = f"/events/{world.ids['made']}"
    for wanted, spelt in (("Always_EPC_URN", world.item.urn), ("Always_GS1_Digital_Link", world.item.link)):
        (found,) = event_list(server.get(path, GS1_EPC_Format=wanted))
        assert found["epcList"] == [spelt]


@must(FORMAT, "A query finds an event under either spelling, whatever spelling the answer has.")
@pytest.mark.parametrize("wanted", ["Always_EPC_URN", "Never_Translates"])
def test_a_format_does_not_change_what_is_found(server: Server, world: World, wanted: str) -> None:
    query = [("EQ_bizLocation", world.home), ("MATCH_anyEPC", world.item.link)]
    assert world.names(server.events(query, GS1_EPC_Format=wanted)) == ["made", "packed"]


@must("CBV words", "In JSON, standard words come as bare words; a URI of a custom one as it is.")
def test_words_come_bare(server: Server) -> None:
    place, custom = fresh_place(), f"https://example.org/steps/{fresh()}"
    events = [
        object_event(place, bizStep="shipping", eventTime=now_text()),
        object_event(place, bizStep=custom),
    ]
    server.capture(document(events))
    assert {event["bizStep"] for event in server.at(place.urn)} == {"shipping", custom}


@must(
    "GET /bizLocations/{bizLocation}/events",
    "A location without an extension is one location in both spellings.",
)
def test_a_location_without_an_extension(server: Server) -> None:
    place = Place("00777", "0")
    marked = object_event(fresh_place(), readPoint={"id": place.urn})
    server.capture(document([marked]))
    query = [("EQ_readPoint", place.link.partition("/254/")[0]), ("EQ_eventID", marked["eventID"])]
    assert len(server.events(query)) == 1


@should(
    "header GS1-Extensions",
    "An answer tells the namespaces of the extension fields in it: a prefix never stands alone.",
)
def test_an_answer_defines_its_prefixes(server: Server, world: World) -> None:
    answer = server.get("/events", {"EQ_eventID": world.ids["made"]})
    (made,) = event_list(answer)
    (name,) = (name for name in made if name.endswith(":colour"))
    contexts = [*answer.json()["@context"], *made.get("@context", [])]
    defined = {key: value for one in contexts if isinstance(one, dict) for key, value in one.items()}
    assert defined[name.partition(":")[0]] == NAMESPACE


@should("header GS1-Extensions", "An answer names the extensions that the request defined.")
def test_an_answer_names_the_extensions(server: Server, world: World) -> None:
    answer = server.get("/events", {"EQ_bizLocation": world.home}, GS1_Extensions=f"ex={NAMESPACE}")
    assert f"ex={NAMESPACE}" in answer.headers["gs1-extensions"]
