"""`POST /epcis/events`: one event, in the log when it is answered."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

import pytest

from ledger.submission import MEDIA_TYPE as SUBMISSION
from tests.api.door import Door
from tests.simulator import CONTEXT

LOT = "https://id.gs1.org/01/09506000134352/10/E"
JSON, XML = "application/json", "application/xml"
PATH = "/epcis/events"
PATIENCE_S = 3.0
DECLARATION = {"declarationTime": "2026-06-01T00:00:00Z", "reason": "incorrect_data"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A node of its own, which one test here makes wait."""
    with Door(tmp_path_factory.mktemp("single") / "node") as door:
        door.admit("farm", parties=["9506000134352"])
        door.admit("shop")
        door.admit("packer", own_key=True)
        yield door


def bare(door: Door, **fields: Any) -> dict[str, Any]:
    return door.sim.event(**({"epcList": [LOT]} | fields)) | {"@context": [CONTEXT]}


def xml_event(event_id: str) -> bytes:
    return (
        "<ObjectEvent><eventTime>2026-07-01T08:00:00Z</eventTime><eventTimeZoneOffset>+00:00</eventTimeZoneOffset>"
        f"<eventID>{event_id}</eventID><epcList><epc>{LOT}</epc></epcList><action>OBSERVE</action></ObjectEvent>"
    ).encode()


def events_at(door: Door, location: str) -> list[dict[str, Any]]:
    """The events of the query document at an address."""
    answer = door.get(location)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return found


def test_an_event_is_in_the_log_when_it_is_answered(door: Door) -> None:
    event = bare(door)
    answer = door.post(event, path=PATH, kind=JSON)
    assert answer.status_code == 201, answer.text
    location = answer.headers["location"]
    assert unquote(location) == f"{PATH}/{event['eventID']}"
    assert "/" not in location.removeprefix(f"{PATH}/")
    assert answer.headers["gs1-epcis-version"] == "2.0.0"
    told = answer.json()
    assert told.pop("recordTime").endswith("Z")
    assert told == event
    receipt = door.get(answer.headers["loomark-receipt"])
    assert receipt.json()["receipt"] == "loomark/receipt/v1"


@pytest.mark.parametrize("form", [None, "Always_GS1_Digital_Link", "Always_EPC_URN"])
def test_the_answer_says_that_names_stand_as_they_were_sent(door: Door, form: str | None) -> None:
    sent = "urn:epc:id:sgtin:9506000.113435.1"
    asked = {} if form is None else {"gs1_epc_format": form}
    body = json.dumps(bare(door, epcList=[sent])).encode()
    answer = door.http.post(PATH, content=body, headers=door.headers("farm", content_type=JSON, **asked))
    assert answer.status_code == 201, answer.text
    assert answer.json()["epcList"] == [sent]
    assert answer.headers["gs1-epc-format"] == "Never_Translates"


def test_an_event_without_an_id_is_named_by_its_record(door: Door) -> None:
    answer = door.post(bare(door, eventID=None, eventTime="2026-05-09T08:00:00Z"), path=PATH, kind=JSON)
    assert answer.status_code == 201
    name = unquote(answer.headers["location"]).removeprefix(f"{PATH}/")
    assert name.startswith("urn:loomark:record:")
    assert door.get(f"/api/records/{name}").status_code == 200
    (found,) = events_at(door, answer.headers["location"])
    assert (found["epcList"], "eventID" in found) == ([LOT], False)


def test_an_event_without_an_id_gets_its_hash_where_that_is_asked(door: Door) -> None:
    event = bare(door, eventID=None, eventTime="2026-05-11T08:00:00Z")
    answer = door.post(event, path=f"{PATH}?event-ids=hash", kind=JSON)
    assert answer.status_code == 201, answer.text
    name = unquote(answer.headers["location"]).removeprefix(f"{PATH}/")
    assert name.startswith("ni:///sha-256;")
    assert name == answer.json()["eventID"]
    # By its ID, in the answer too; the record is what was sent.
    (found,) = events_at(door, answer.headers["location"])
    assert found["eventID"] == name
    assert "eventID" not in door.get(f"/api/records/{quote(name, safe='')}").json()["value"]
    with door.unchanged():
        door.refused(door.post(event, path=PATH, kind=JSON), 409, "event-exists")
        door.refused(door.post(event, path=f"{PATH}?event-ids=hash", kind=JSON), 409, "event-exists")


def test_the_job_says_which_ids_were_supplied(door: Door) -> None:
    own = door.sim.event(epcList=[LOT])
    body = door.sim.document([own, door.sim.event(epcList=[LOT], eventID=None)])
    answer = door.post(body, path="/epcis/capture?event-ids=hash")
    job = door.get(answer.headers["location"], prefer="wait=20").json()
    one, two = job["results"]
    assert (one["eventID"], one.get("eventIDSupplied")) == (own["eventID"], None)
    assert (two["eventID"][:14], two["eventIDSupplied"]) == ("ni:///sha-256;", True)


def test_another_source_of_ids_is_refused(door: Door) -> None:
    with door.unchanged():
        door.refused(door.post(bare(door), path=f"{PATH}?event-ids=uuid", kind=JSON), 400, "bad-parameter")


def test_the_time_it_is_recorded_at_is_the_nodes(door: Door) -> None:
    answer = door.post(bare(door, recordTime="2001-01-01T00:00:00Z"), path=PATH, kind=JSON)
    assert answer.json()["recordTime"] > "2026"


def test_an_event_in_xml_is_answered_as_it_came_where_that_is_asked(door: Door) -> None:
    data = xml_event("urn:uuid:20000000-0000-4000-8000-000000000001")
    headers = door.headers("farm", content_type=XML, accept=XML)
    answer = door.http.post(PATH, content=data, headers=headers)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (201, XML)
    assert answer.content == data
    with door.unchanged():
        json_headers = door.headers("farm", content_type=JSON, accept=XML)
        answer = door.http.post(PATH, content=json.dumps(bare(door)).encode(), headers=json_headers)
        assert (answer.status_code, "epcisException:NotAcceptableException" in answer.text) == (406, True)


def test_a_signed_event_is_the_members_own(door: Door) -> None:
    body = door.sim.submission("packer", [], document=json.dumps(bare(door)).encode())
    answer = door.post(body, "packer", SUBMISSION, PATH)
    assert answer.status_code == 201, answer.text
    with door.unchanged():
        door.refused(door.post(body, "packer", SUBMISSION, PATH), 409, "event-exists")


def test_the_same_event_again_is_a_conflict_that_names_its_record(door: Door) -> None:
    event = bare(door)
    first = door.post(event, path=PATH, kind=JSON)
    assert first.status_code == 201
    name = door.get(f"/api/records/{event['eventID']}").json()["record"]
    with door.unchanged():
        for again in (event, event | {"recordTime": "2002-01-01T00:00:00Z"}):
            found = door.finding(door.post(again, path=PATH, kind=JSON), "event-exists", 409)
            assert found["got"].endswith(f"urn:loomark:record:{name}")


def test_the_same_event_without_an_id_is_a_conflict_too(door: Door) -> None:
    event = bare(door, eventID=None, eventTime="2026-05-10T08:00:00Z")
    assert door.post(event, path=PATH, kind=JSON).status_code == 201
    with door.unchanged():
        door.refused(door.post(event, path=PATH, kind=JSON), 409, "event-exists")


def test_of_the_same_event_many_times_at_once_one_is_taken(door: Door) -> None:
    event = json.dumps(bare(door)).encode()
    headers = door.headers("farm", content_type=JSON)
    told: list[int] = []
    several = [
        threading.Thread(
            target=lambda: told.append(door.http.post(PATH, content=event, headers=headers).status_code)
        )
        for _ in range(6)
    ]
    for one in several:
        one.start()
    for one in several:
        one.join(60)
    assert sorted(told) == [201, 409, 409, 409, 409, 409]


def test_what_was_captured_in_a_document_is_there(door: Door) -> None:
    event = door.sim.event(epcList=[LOT])
    door.captured(door.sim.document([event]))
    with door.unchanged():
        # The document declares a prefix more: by its context it is another body.
        door.refused(
            door.post(event | {"@context": [CONTEXT]}, path=PATH, kind=JSON), 409, "event-id-conflict"
        )


def test_another_event_under_the_same_id_is_a_conflict_unless_it_declares_an_error(door: Door) -> None:
    event = bare(door)
    assert door.post(event, path=PATH, kind=JSON).status_code == 201
    with door.unchanged():
        other = event | {"disposition": "damaged"}
        found = door.finding(door.post(other, path=PATH, kind=JSON), "event-id-conflict", 409)
        assert found["pointer"] == "/eventID"
    declared = event | {"errorDeclaration": DECLARATION}
    answer = door.post(declared, path=PATH, kind=JSON)
    assert answer.status_code == 201
    assert unquote(answer.headers["location"]) == f"{PATH}/{event['eventID']}"
    with door.unchanged():
        door.refused(door.post(declared, path=PATH, kind=JSON), 409, "event-exists")


def test_anothers_copy_is_that_ones_own_statement(door: Door) -> None:
    event = bare(door)
    assert [door.post(event, one, JSON, PATH).status_code for one in ("farm", "shop")] == [201, 201]


def test_a_document_is_no_event(door: Door) -> None:
    with door.unchanged():
        for kind in ("EPCISDocument", "EPCISQueryDocument"):
            body = door.sim.document([door.sim.event(epcList=[LOT])], type=kind)
            found = door.finding(door.post(body, path=PATH, kind=JSON), "single-event")
            assert (found["pointer"], found["got"]) == ("/type", kind)
        whole = (
            b'<epcis:EPCISDocument xmlns:epcis="urn:epcglobal:epcis:xsd:2" schemaVersion="2.0"'
            b' creationDate="2026-05-02T00:00:00Z"><EPCISBody><EventList>%b</EventList></EPCISBody>'
            b"</epcis:EPCISDocument>"
        ) % xml_event("urn:uuid:20000000-0000-4000-8000-000000000002")
        door.finding(door.post(whole, path=PATH, kind=XML), "single-event")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"type": "EPCISEvent"}, "unknown-event-type"),
        ({"type": None}, "missing-field"),
        ({"@context": None}, "missing-field"),
        ({"action": "NO"}, "bad-action"),
        ({"eventID": "seven"}, "not-a-uri"),
        ({"ilmd": {"ex:x": 1}}, "field-not-allowed"),
    ],
)
def test_an_event_at_fault_is_refused(door: Door, changes: dict[str, Any], rule: str) -> None:
    body = {name: item for name, item in (bare(door) | changes).items() if item is not None}
    with door.unchanged():
        answer = door.post(body, path=PATH, kind=JSON)
        assert answer.status_code == 400
        assert rule in {one["rule"] for one in answer.json()["findings"]}


def test_proceeding_with_one_event_is_all_or_nothing(door: Door) -> None:
    headers = door.headers("farm", content_type=JSON) | {"GS1-Capture-Error-Behaviour": "proceed"}
    with door.unchanged():
        bad = json.dumps(bare(door, action="NO")).encode()
        door.finding(door.http.post(PATH, content=bad, headers=headers), "bad-action")
    good = json.dumps(bare(door)).encode()
    assert door.http.post(PATH, content=good, headers=headers).status_code == 201


def test_an_event_that_does_not_get_into_the_log_in_time_is_not_lost(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored, the answer says where to ask, and once it is in the log another attempt is told so."""
    event, gate = bare(door), threading.Event()
    services = door.app.state.services
    hasty = replace(services.settings, request_timeout_s=PATIENCE_S)
    monkeypatch.setattr(door.app.state, "services", replace(services, settings=hasty))
    writer = door.sim.node._writer
    sequence = writer.sequence

    def later() -> None:
        gate.wait(30)
        sequence()

    monkeypatch.setattr(writer, "sequence", later)
    answer = door.post(event, path=PATH, kind=JSON)
    body = door.refused(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    job = next(word for word in body["detail"].split() if word.startswith("/epcis/capture/"))
    assert (door.get(job).json()["state"], door.get(job).json()["running"]) == ("staged", True)
    gate.set()
    assert door.get(job, prefer="wait=20").json()["state"] == "sequenced"
    with door.unchanged():
        door.refused(door.post(event, path=PATH, kind=JSON), 409, "event-exists")
