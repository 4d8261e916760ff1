"""`POST /capture`: what is taken in, what is refused, and what the job says of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .clauses import may, must, should
from .documents import CONTEXT, bare, document, fresh_place, now_text, object_event, query_document
from .identifiers import fresh, fresh_event_id
from .server import JSON, Server, ids, refused

OPERATION = "POST /capture"
REJECTED = ("ValidationException",)


@must(OPERATION, "A document that is received is answered 202, with the URL of its capture job in Location.")
def test_a_received_document_gets_a_job(server: Server) -> None:
    place = fresh_place()
    answer = server.post("/capture", document([object_event(place)]))
    assert answer.status_code == 202, answer.text
    job = server.job(answer.headers["location"])
    assert job["success"] is True
    assert len(server.at(place.urn)) == 1


@must(OPERATION, "The body may be an EPCISQueryDocument as well: one server's answer is another's capture.")
def test_a_query_document_is_captured(server: Server) -> None:
    place = fresh_place()
    events = [object_event(place), object_event(place)]
    server.capture(query_document(events))
    assert ids(server.at(place.urn)) == ids(events)


@must(OPERATION, "Every event of a document is stored; nothing of it is left out or stored twice.")
def test_all_events_of_a_document_are_stored(server: Server) -> None:
    place = fresh_place()
    events = [object_event(place) for _ in range(70)]
    server.capture(document(events))
    assert ids(server.at(place.urn)) == ids(events)


@should(OPERATION, "The answer tells which EPCIS and CBV versions were understood.")
def test_the_answer_names_the_versions(server: Server) -> None:
    answer = server.post("/capture", document([object_event(fresh_place())]))
    assert answer.headers["gs1-epcis-version"].startswith("2.")
    assert answer.headers["gs1-cbv-version"].startswith("2.")


@must(OPERATION, "Master data may come in the header of a document.")
def test_a_document_with_master_data_is_captured(server: Server) -> None:
    place = fresh_place()
    element = {"id": place.urn, "attributes": [{"id": "urn:epcglobal:cbv:mda#name", "attribute": "Hall"}]}
    vocabulary = {"type": "urn:epcglobal:epcis:vtype:BusinessLocation", "vocabularyElementList": [element]}
    header = {"epcisMasterData": {"vocabularyList": [vocabulary]}}
    assert server.capture(document([object_event(place)], header))["success"] is True
    assert len(server.at(place.urn)) == 1


@must("recordTime", "A record time in a capture is ignored: the server sets it.")
def test_the_record_time_is_the_servers(server: Server) -> None:
    place, before = fresh_place(), now_text()
    server.capture(document([object_event(place, recordTime="2001-01-01T00:00:00Z")]))
    (found,) = server.at(place.urn)
    assert found["recordTime"] > "2024", (found["recordTime"], before)


@should(OPERATION, "An event without an ID gets one: without it nobody could ask for the event by its ID.")
def test_an_event_without_an_id_gets_one(server: Server) -> None:
    place = fresh_place()
    server.capture(document([object_event(place, eventID=None), object_event(place, eventID=None)]))
    found = server.at(place.urn)
    assert len(found) == 2
    if not any("eventID" in event for event in found):
        pytest.skip(
            "the server leaves an event without an ID as it was sent, unless it is asked in its own way"
        )
    assert len({event["eventID"] for event in found}) == 2


BROKEN: dict[str, Any] = {
    "no JSON": b"{",
    "nothing": b"",
    "no object": b"[]",
    "no text of Unicode": b'{"@context":"\xff"}',
    "no document type": {"@context": CONTEXT, "schemaVersion": "2.0", "epcisBody": {"eventList": []}},
    "no body": {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": now_text(),
    },
    "an event that is no object": document([1]),  # type: ignore[list-item]
}


@must(
    OPERATION,
    "A document that cannot be read is refused at once, with ValidationException, and nothing is stored.",
)
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_document_is_refused(server: Server, name: str) -> None:
    body = BROKEN[name] if isinstance(BROKEN[name], bytes) else json.dumps(BROKEN[name]).encode()
    refused(server.post_bytes("/capture", body, JSON), 400, *REJECTED)


@must(
    OPERATION,
    "A document nested beyond reason is refused. Reading: ValidationException, or 413 where the depth is a limit of the"
    " server's.",
)
@pytest.mark.parametrize(
    "body", [b"[" * 50_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000], ids=["open", "closed"]
)
def test_a_document_that_is_too_deep_is_refused(server: Server, body: bytes) -> None:
    answer = server.post_bytes("/capture", body, JSON)
    status = 413 if answer.status_code == 413 else 400
    refused(answer, status, *(REJECTED if status == 400 else ("CaptureLimitExceededException",)))


WRONG: dict[str, dict[str, Any]] = {
    "an action that is none": {"action": "REMOVE"},
    "no event time": {"eventTime": None},
    "an event time without an offset": {"eventTime": "2024-03-01T10:00:00"},
    "no offset of the time zone": {"eventTimeZoneOffset": None},
    "an offset that is none": {"eventTimeZoneOffset": "+25:00"},
    "an event type that is none": {"type": "ObjectEvnt"},
    "an ID that is no URI": {"epcList": ["not a uri"]},
    "a business step that is neither a word of CBV nor a URI": {"bizStep": "dancing"},
    "a field that the standard does not have": {"colour": "red"},
    "a quantity that is no number": {
        "quantityList": [{"epcClass": "urn:epc:class:lgtin:9521321.000041.1", "quantity": "x"}]
    },
    "a sensor report without a type": {"sensorElementList": [{"sensorReport": [{"value": 1, "uom": "CEL"}]}]},
    "a location without an ID": {"readPoint": {"name": "gate"}},
}


def rejects(server: Server, answer: Any) -> None:
    """Refused at once, or in the job: the standard leaves it to the server when it looks at events."""
    if answer.status_code == 400:
        refused(answer, 400, *REJECTED)
        return
    job = server.finish(answer)
    assert job["success"] is False, job
    assert job.get("errors") or job.get("errorFile"), job
    for error in job.get("errors", []):
        assert error["type"], error
        assert error["title"], error


@must(
    OPERATION,
    "rollback, the default: one event that is rejected rejects the document. Reading: the refusal may come at once, as"
    " 400, or in the job.",
)
@pytest.mark.parametrize("name", WRONG)
def test_one_wrong_event_rejects_all(server: Server, name: str) -> None:
    place = fresh_place()
    answer = server.post("/capture", document([object_event(place), object_event(place, **WRONG[name])]))
    rejects(server, answer)
    assert server.at(place.urn) == []


@must("header GS1-Capture-Error-Behaviour", "rollback in words means what its absence means.")
def test_rollback_may_be_said(server: Server) -> None:
    place = fresh_place()
    good = server.post("/capture", document([object_event(place)]), GS1_Capture_Error_Behaviour="rollback")
    assert server.finish(good)["captureErrorBehaviour"] == "rollback"
    wrong = document([object_event(place), object_event(place, action="REMOVE")])
    rejects(server, server.post("/capture", wrong, GS1_Capture_Error_Behaviour="rollback"))
    assert len(server.at(place.urn)) == 1


@should(
    "header GS1-Capture-Error-Behaviour",
    "A value that no client can ask for is refused; `all` is the server's alone.",
)
@pytest.mark.parametrize("value", ["all", "shrug"])
def test_an_unknown_behaviour_is_refused(server: Server, value: str) -> None:
    place = fresh_place()
    answer = server.post("/capture", document([object_event(place)]), GS1_Capture_Error_Behaviour=value)
    refused(answer, 400, *REJECTED)
    assert server.at(place.urn) == []


@pytest.fixture(scope="module")
def proceeds(server: Server) -> None:
    announced = server.ask("OPTIONS", "/capture").headers.get("gs1-capture-error-behaviour", "rollback")
    if announced not in ("all", "proceed"):
        pytest.skip(f"the server announces {announced} and so does not offer proceed")


@may(
    "header GS1-Capture-Error-Behaviour", "proceed: the good events are stored, and the job names the errors."
)
@pytest.mark.usefixtures("proceeds")
def test_proceed_stores_what_is_good(server: Server) -> None:
    place = fresh_place()
    good = [object_event(place), object_event(place)]
    mixed = document([good[0], object_event(place, action="REMOVE"), good[1]])
    job = server.finish(server.post("/capture", mixed, GS1_Capture_Error_Behaviour="proceed"))
    assert (job["running"], job["success"], job["captureErrorBehaviour"]) == (False, False, "proceed")
    assert job.get("errors") or job.get("errorFile")
    assert ids(server.at(place.urn)) == ids(good)


@may("header GS1-Capture-Error-Behaviour", "proceed without an error: success, and no errors.")
@pytest.mark.usefixtures("proceeds")
def test_proceed_without_errors_succeeds(server: Server) -> None:
    place = fresh_place()
    job = server.capture(document([object_event(place)]), GS1_Capture_Error_Behaviour="proceed")
    assert job["captureErrorBehaviour"] == "proceed"
    assert job.get("errors", []) == []


@must(OPERATION, "415, UnsupportedMediaTypeException: a body of a media type that is not EPCIS.")
@pytest.mark.parametrize("media_type", ["text/plain", "image/png", "application/pdf"])
def test_another_media_type_is_refused(server: Server, media_type: str) -> None:
    body = json.dumps(document([object_event(fresh_place())])).encode()
    refused(server.post_bytes("/capture", body, media_type), 415, "UnsupportedMediaTypeException")


@must(
    OPERATION,
    "406, NotAcceptableException: the client accepts no form that the server has; nothing is stored.",
)
def test_an_answer_nobody_can_give_is_refused(server: Server) -> None:
    place = fresh_place()
    answer = server.post("/capture", document([object_event(place)]), Accept="image/png")
    refused(answer, 406, "NotAcceptableException")
    assert server.at(place.urn) == []


def limits(server: Server) -> dict[str, int]:
    headers = server.ask("OPTIONS", "/capture").headers
    names = ("gs1-epcis-capture-limit", "gs1-epcis-capture-file-size-limit")
    return {name: int(headers[name]) for name in names if name in headers}


@must(
    OPERATION,
    "413, CaptureLimitExceededException, with the limits in its headers: more events than the announced limit; nothing"
    " is stored.",
)
def test_more_events_than_announced_are_refused(server: Server) -> None:
    limit = limits(server).get("gs1-epcis-capture-limit")
    if limit is None or limit > 50_000:
        pytest.skip(f"the announced limit is {limit}: more than this suite sends")
    place = fresh_place()
    thin = {"epcList": ["urn:epc:id:sgtin:9521321.000017.1"], "bizStep": None}
    answer = server.post("/capture", document([object_event(place, **thin) for _ in range(limit + 1)]))
    refused(answer, 413, "CaptureLimitExceededException")
    assert answer.headers["gs1-epcis-capture-limit"] == str(limit)
    assert server.at(place.urn) == []


@must(
    OPERATION,
    "413, CaptureLimitExceededException, with the limits in its headers: more bytes than the announced limit; nothing is"
    " stored.",
)
def test_more_bytes_than_announced_are_refused(server: Server) -> None:
    limit = limits(server).get("gs1-epcis-capture-file-size-limit")
    if limit is None or limit > 100_000_000:
        pytest.skip(f"the announced limit is {limit}: more than this suite sends")
    place = fresh_place()
    body = json.dumps(document([object_event(place)])).encode()
    answer = server.post_bytes("/capture", body + b" " * (limit + 1 - len(body)), JSON)
    refused(answer, 413, "CaptureLimitExceededException")
    assert answer.headers["gs1-epcis-capture-file-size-limit"] == str(limit)
    assert server.at(place.urn) == []


@must(OPERATION, "A document as large as the announced limits is taken.")
def test_a_document_of_the_announced_size_is_taken(server: Server) -> None:
    limit = limits(server).get("gs1-epcis-capture-limit")
    if limit is None or limit > 1_000:
        pytest.skip(f"the announced limit is {limit}: more than this suite stores")
    place = fresh_place()
    server.capture(document([object_event(place) for _ in range(limit)]))
    assert len(server.at(place.urn, ("perPage", "1000"))) == limit


@must(
    OPERATION, "An event ID that is taken by another event is rejected, unless the event declares an error."
)
def test_a_taken_event_id_is_rejected(server: Server) -> None:
    place, event_id = fresh_place(), fresh_event_id()
    server.capture(document([object_event(place, eventID=event_id)]))
    other = object_event(place, eventID=event_id, bizStep="storing")
    answer = server.post("/capture", document([other]))
    if answer.status_code == 409:
        refused(answer, 409, "ResourceAlreadyExistsException")
    else:
        rejects(server, answer)
    (kept,) = server.at(place.urn)
    assert kept["bizStep"] == "inspecting"


@must(OPERATION, "The same event again is not stored twice, whatever the server answers to it.")
def test_the_same_event_again_is_stored_once(server: Server) -> None:
    place = fresh_place()
    event = object_event(place)
    server.capture(document([event]))
    again = server.post("/capture", document([event]))
    assert again.status_code in (202, 400, 409), again.text
    if again.status_code == 202:
        server.finish(again)
    assert len(server.at(place.urn)) == 1


@must(
    "errorDeclaration",
    "The event that declares an error has the event ID of what it is about, and is stored beside it.",
)
def test_an_error_declaration_is_stored_beside_what_it_is_about(server: Server) -> None:
    place = fresh_place()
    event = object_event(place)
    server.capture(document([event]))
    declaration = {"declarationTime": now_text(), "reason": "did_not_occur"}
    server.capture(document([{**event, "errorDeclaration": declaration}]))
    found = server.at(place.urn)
    assert len(found) == 2
    assert {event["eventID"] for event in found} == {event["eventID"]}
    assert sum("errorDeclaration" in one for one in found) == 1


@must("extension fields", "Fields of a namespace of the client's own are kept and given back.")
def test_extension_fields_come_back(server: Server) -> None:
    place, word = fresh_place(), fresh()
    server.capture(document([object_event(place, **{"ex:note": word, "ex:list": [{"ex:inner": "1"}, "2"]})]))
    answer = server.get("/events", [("EQ_bizLocation", place.urn)])
    assert word in answer.text
    assert '"1"' in answer.text.replace(" ", "")


@must("event time", "An event time keeps its instant and its offset.")
@pytest.mark.parametrize("time", ["2024-03-01T10:00:00.123456Z", "2024-03-01T23:59:59.999-11:30"])
def test_the_event_time_comes_back(server: Server, time: str) -> None:
    place, offset = fresh_place(), "-11:30"
    server.capture(document([object_event(place, eventTime=time, eventTimeZoneOffset=offset)]))
    (found,) = server.at(place.urn)
    assert found["eventTime"] == time
    assert found["eventTimeZoneOffset"] == offset


@should(OPERATION, "An event outside a document is no document: `POST /events` is for it.")
def test_bare_events_are_no_document(server: Server) -> None:
    place = fresh_place()
    answer = server.post("/capture", bare(object_event(place)))
    if answer.status_code == 202:
        pytest.skip("the server takes bare events at /capture too, which the standard does not ask")
    refused(answer, 400, *REJECTED)
    assert server.at(place.urn) == []


@must(OPERATION, "The media type may have parameters, and JSON-LD is JSON.")
@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/ld+json"])
def test_a_media_type_with_parameters_is_taken(server: Server, media_type: str) -> None:
    place = fresh_place()
    body = json.dumps(document([object_event(place)])).encode()
    server.finish(server.post_bytes("/capture", body, media_type))
    assert len(server.at(place.urn)) == 1


@must(OPERATION, "The context may be one address, or a list with namespaces of the client's own.")
@pytest.mark.parametrize("context", [CONTEXT, [CONTEXT], [CONTEXT, {"ex": "https://ns.example.org/a/"}]])
def test_every_shape_of_context_is_taken(server: Server, context: Any) -> None:
    place = fresh_place()
    server.capture({**document([object_event(place)]), "@context": context})
    assert len(server.at(place.urn)) == 1
