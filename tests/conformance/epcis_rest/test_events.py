"""`POST /events` and `GET /events/{eventID}`."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import unquote

import pytest

from .clauses import must, should
from .documents import bare, fresh_place, now_text, object_event
from .identifiers import fresh, fresh_event_id, fresh_hash_id
from .server import JSON, Server, event_list, ids, next_link, part, refused
from .world import World

CREATE = "POST /events"
READ = "GET /events/{eventID}"
LIST = "GET /events"
MISSING = ("NoSuchResourceException", "NoSuchNameException")


@must(CREATE, "A single event is captured while the client waits: 201, with the event's URL in Location.")
def test_an_event_is_created_and_found_at_its_location(server: Server) -> None:
    event = object_event(fresh_place())
    answer = server.post("/events", bare(event))
    assert answer.status_code == 201, answer.text
    location = server.absolute(answer.headers["location"])
    assert event["eventID"] in unquote(location)
    (found,) = event_list(server.ask("GET", location))
    assert found["eventID"] == event["eventID"]
    assert found["action"] == event["action"]


@should(CREATE, "The answer holds the event that was created, and names the versions.")
def test_the_answer_holds_the_event(server: Server) -> None:
    event = object_event(fresh_place())
    answer = server.post("/events", bare(event))
    assert answer.headers["gs1-epcis-version"].startswith("2.")
    assert answer.headers["gs1-cbv-version"].startswith("2.")
    assert answer.json()["eventID"] == event["eventID"]


@should(CREATE, "An event without an ID gets one, by which its Location finds it.")
def test_an_event_without_an_id_is_found_at_its_location(server: Server) -> None:
    place = fresh_place()
    answer = server.post("/events", bare(object_event(place, eventID=None)))
    assert answer.status_code == 201, answer.text
    (found,) = event_list(server.ask("GET", server.absolute(answer.headers["location"])))
    assert len(server.at(place.urn)) == 1
    assert found["bizStep"] == "inspecting"


@must(CREATE, "409, ResourceAlreadyExistsException: the event ID is taken by another event.")
def test_a_taken_event_id_is_refused(server: Server) -> None:
    place = fresh_place()
    event = object_event(place)
    assert server.post("/events", bare(event)).status_code == 201
    answer = server.post("/events", bare({**event, "bizStep": "storing"}))
    refused(answer, 409, "ResourceAlreadyExistsException")
    assert len(server.at(place.urn)) == 1


@must(
    CREATE,
    "The same event again is not stored twice. Reading: 409, or the answer to the first for a client that repeats a"
    " request whose answer was lost.",
)
def test_the_same_event_again_is_stored_once(server: Server) -> None:
    place = fresh_place()
    event = bare(object_event(place))
    first = server.post("/events", event)
    again = server.post("/events", event)
    if again.status_code == 409:
        refused(again, 409, "ResourceAlreadyExistsException")
    else:
        assert again.status_code in (200, 201)
        assert again.headers["location"] == first.headers["location"]
    assert len(server.at(place.urn)) == 1


@must(CREATE, "400, ValidationException: an event that is wrong; it is not stored.")
@pytest.mark.parametrize(
    "wrong", [{"action": "REMOVE"}, {"eventTime": None}, {"type": "Nothing"}, {"bizStep": "dancing"}]
)
def test_a_wrong_event_is_refused(server: Server, wrong: dict[str, str | None]) -> None:
    place = fresh_place()
    answer = server.post("/events", bare(object_event(place, **wrong)))
    refused(answer, 400, "ValidationException")
    assert server.at(place.urn) == []


@must(CREATE, "415, UnsupportedMediaTypeException: a body of a media type that is not EPCIS.")
def test_another_media_type_is_refused(server: Server) -> None:
    body = json.dumps(bare(object_event(fresh_place()))).encode()
    refused(server.post_bytes("/events", body, "text/csv"), 415, "UnsupportedMediaTypeException")


@must(CREATE, "413, CaptureLimitExceededException: a body above the announced size.")
def test_a_body_that_is_too_large_is_refused(server: Server) -> None:
    announced = server.ask("OPTIONS", "/capture").headers.get("gs1-epcis-capture-file-size-limit")
    if announced is None or int(announced) > 100_000_000:
        pytest.skip(f"the announced limit is {announced}: more than this suite sends")
    place = fresh_place()
    body = json.dumps(bare(object_event(place))).encode()
    answer = server.post_bytes("/events", body + b" " * int(announced), JSON)
    refused(answer, 413, "CaptureLimitExceededException")
    assert server.at(place.urn) == []


@must("errorDeclaration", "An event that declares an error is created although its event ID is taken.")
def test_a_declaration_is_created_beside_the_event(server: Server) -> None:
    event = object_event(fresh_place())
    assert server.post("/events", bare(event)).status_code == 201
    declared = {**event, "errorDeclaration": {"declarationTime": now_text()}}
    assert server.post("/events", bare(declared)).status_code == 201
    found = event_list(server.get(f"/events/{part(event['eventID'])}"))
    assert len(found) == 2


@must(READ, "The answer is an EPCISQueryDocument with the event of that ID.")
def test_an_event_is_read_by_its_id(server: Server, world: World) -> None:
    (found,) = event_list(server.get(f"/events/{part(world.ids['packed'])}"))
    assert world.names([found]) == ["packed"]


@must(READ, "The answer holds the declarations of errors about the event too.")
def test_an_event_comes_with_its_declarations(server: Server, world: World) -> None:
    found = event_list(server.get(f"/events/{part(world.ids['mistake'])}"))
    assert world.names(found) == ["declared", "mistake"]


@must(READ, "An event ID with slashes, a question mark and a semicolon is asked for percent-encoded.")
def test_a_hash_id_is_found_percent_encoded(server: Server) -> None:
    event = object_event(fresh_place(), eventID=fresh_hash_id())
    assert server.post("/events", bare(event)).status_code == 201
    (found,) = event_list(server.get(f"/events/{part(event['eventID'])}"))
    assert found["eventID"] == event["eventID"]


@must(READ, "404: no event has that ID.")
@pytest.mark.parametrize("make", [fresh_event_id, fresh_hash_id, fresh])
def test_an_unknown_event_is_not_found(server: Server, make: Callable[[], str]) -> None:
    refused(server.get(f"/events/{part(make())}"), 404, *MISSING)


@must(
    LIST,
    "The answer is an EPCISQueryDocument, by the JSON Schema: context, type, and results with a list of events.",
)
def test_the_answer_is_a_query_document(server: Server, world: World) -> None:
    answer = server.get("/events", {"EQ_bizLocation": world.home, "perPage": "100"})
    body = answer.json()
    assert body["@context"]
    assert body["type"] == "EPCISQueryDocument"
    assert body["schemaVersion"].startswith("2.")
    assert set(body["epcisBody"]) == {"queryResults"}
    assert isinstance(body["epcisBody"]["queryResults"]["queryName"], str)
    assert len(event_list(answer)) == 11


@must(LIST, "A query that finds nothing is answered 200 with an empty list.")
def test_a_query_that_finds_nothing_is_answered(server: Server) -> None:
    assert event_list(server.get("/events", {"EQ_bizLocation": fresh_place().urn})) == []


@should(LIST, "The answer names the EPCIS and CBV versions.")
def test_the_answer_names_the_versions(server: Server, world: World) -> None:
    answer = server.get("/events", {"EQ_bizLocation": world.home})
    assert answer.headers["gs1-epcis-version"].startswith("2.")
    assert answer.headers["gs1-cbv-version"].startswith("2.")


@must(LIST, "An event comes back with every field it was captured with.")
def test_an_event_comes_back_whole(server: Server, world: World) -> None:
    found = server.events([("EQ_bizLocation", world.home)], GS1_EPC_Format="Never_Translates")
    for event in found:
        name = world.names([event])[0]
        sent = world.events[name]
        assert {key: event.get(key) for key in sent} == sent, name


@must(LIST, "What is created by `POST /events` is found by queries as soon as it was answered.")
def test_a_created_event_is_found_at_once(server: Server) -> None:
    place = fresh_place()
    event = object_event(place)
    assert server.post("/events", bare(event)).status_code == 201
    assert ids(server.at(place.urn)) == [event["eventID"]]


@must(
    CREATE, "406, NotAcceptableException: the client accepts no form that the server has; nothing is stored."
)
def test_an_answer_nobody_can_give_is_refused(server: Server) -> None:
    place = fresh_place()
    refused(
        server.post("/events", bare(object_event(place)), Accept="image/png"), 406, "NotAcceptableException"
    )
    assert server.at(place.urn) == []


@must(READ, "The answer is one page: it has no Link.")
def test_one_event_is_one_page(server: Server, world: World) -> None:
    answer = server.get(f"/events/{part(world.ids['mistake'])}")
    assert len(event_list(answer)) == 2
    assert next_link(answer) is None
