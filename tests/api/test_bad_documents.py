"""Documents that are refused at the door: the problem says what and where, and nothing of them is stored."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from fabric.epcis.document import Reading
from ledger.canonical import MAX_DEPTH, parse_json
from ledger.commitment import MAX_RECORD_DEPTH
from ledger.submission import MEDIA_TYPE as SUBMISSION
from tests.simulator import CONTEXT, EPCIS

from .door import CAPTURE_LIMIT_BYTES, CAPTURE_LIMIT_EVENTS, Door

LOT = "https://id.gs1.org/01/09506000134352/10/A1"
WRONG_LOT = "https://id.gs1.org/01/09506000134353/10/A1"


def event(**changes: Any) -> dict[str, Any]:
    """A valid event with changes; a field None is left out."""
    value = {
        "type": "ObjectEvent",
        "eventTime": "2026-05-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [LOT],
    }
    return {name: item for name, item in (value | changes).items() if item is not None}


def document(door: Door, *events: dict[str, Any], **members: Any) -> bytes:
    return door.sim.document(events or (event(),), **members)


def spliced(door: Door, text: str) -> bytes:
    """A valid document with JSON text as the value of an extension of its second event, at `VALUE`."""
    return document(door, event(), event(**{"ex:value": "@@"})).replace(b'"@@"', text.encode())


VALUE = "/epcisBody/eventList/1/ex:value"


def place(finding: dict[str, Any]) -> tuple[int | None, str]:
    return finding["record"], finding["pointer"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1,]", b"NaN", b'{"a":1}x', "\ufeff{}".encode(), b"{'a':1}", b'{"a":\x01}'],
    ids=["empty", "cut", "comma", "nan", "tail", "bom", "quotes", "control"],
)
def test_what_is_not_json_is_refused(door: Door, body: bytes) -> None:
    with door.unchanged():
        assert door.finding(door.post(body), "not-json")["pointer"] == ""


def test_bytes_that_are_not_utf8_are_refused(door: Door) -> None:
    with door.unchanged():
        answer = door.post(document(door, event(), event()).replace(b"OBSERVE", b"OBSERVE\xc3"))
        assert place(door.finding(answer, "not-utf8")) == (1, "/epcisBody/eventList/0/action")
        assert [place(one) for one in answer.json()["findings"]][1:] == [(2, "/epcisBody/eventList/1/action")]
        assert place(door.finding(door.post(b"\xff\xfe{}"), "not-utf8")) == (None, "")


@pytest.mark.parametrize(
    ("text", "pointer"),
    [('{"a":1,"a":1}', "/a"), ('[0,{"a":{"b":1,"\\u0062":2}}]', "/1/a/b"), ('{"~/":1,"~/":1}', "/~0~1")],
    ids=["plain", "by-escape-and-inside", "escaped-pointer"],
)
def test_a_member_name_that_comes_twice_is_named_by_its_place(door: Door, text: str, pointer: str) -> None:
    with door.unchanged():
        found = door.finding(door.post(spliced(door, text)), "duplicate-member")
        assert place(found) == (2, VALUE + pointer)
        assert found["expected"] == "each member name once"


@pytest.mark.parametrize(
    "number",
    ["9007199254740993", "-9007199254740992", "1e400", "0.1000000000000000055", "1e20", "1" * 5000, "1E+16"],
)
def test_a_number_that_jcs_cannot_hold_is_named_by_its_place(door: Door, number: str) -> None:
    with door.unchanged():
        found = door.finding(door.post(spliced(door, number)), "jcs-number")
        assert place(found) == (2, VALUE)
        assert found["got"] == number[:40]


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udc00 x"', '{"\\ud800":1}'])
def test_a_lone_surrogate_is_named_by_its_place(door: Door, text: str) -> None:
    with door.unchanged():
        found = door.finding(door.post(spliced(door, text)), "lone-surrogate")
        assert place(found) == (2, VALUE)
        assert found["got"].isascii()


def test_an_unreadable_text_names_the_record_that_a_fault_is_in(door: Door) -> None:
    """Header, master data and events count as in a capture, wherever the events stand; all faults are told."""
    elements = [{"id": f"urn:epc:id:sgln:9506000.0000{n}.0", "attributes": []} for n in range(3)]
    lists = [
        {"type": "urn:epcglobal:epcis:vtype:Location", "vocabularyElementList": elements[:1]},
        {"type": "urn:epcglobal:epcis:vtype:Location", "vocabularyElementList": elements[1:]},
    ]
    whole = json.loads(document(door, event(), event(**{"ex:value": "@event"})))
    whole["epcisHeader"] = {"epcisMasterData": {"vocabularyList": lists}}
    elements[2]["ex:value"] = "@element"
    whole["ex:frame"] = "@frame"
    text = json.dumps(whole).replace('"@event"', "1e400").replace('"@element"', "1e20")
    with door.unchanged():
        answer = door.post(text.replace('"@frame"', '{"a":0,"a":0}').encode())
        door.refused(answer, 400, "jcs-number")
        assert [place(one) for one in answer.json()["findings"]] == [
            (5, "/epcisBody/eventList/1/ex:value"),
            (3, "/epcisHeader/epcisMasterData/vocabularyList/1/vocabularyElementList/1/ex:value"),
            (0, "/ex:frame/a"),
        ]
        one = json.dumps(bare(5)).replace('"OBSERVE"', '"\\ud800"').encode()
        found = door.finding(door.post(one, path="/epcis/events"), "lone-surrogate")
        assert place(found) == (1, "/action")


def test_the_unreadable_document_of_a_signed_capture_is_told_by_places_in_it(door: Door) -> None:
    good = document(door, event(eventTime="2026-05-06T08:00:00Z"))
    body = json.loads(door.sim.submission("packer", [], document=good))
    body["document"] = base64.b64encode(good.replace(b'"OBSERVE"', b"1e400")).decode()
    with door.unchanged():
        found = door.finding(door.post(body, "packer", SUBMISSION), "jcs-number")
        assert place(found) == (1, "/epcisBody/eventList/0/action")


@pytest.mark.parametrize(
    "kind", ["", "text/html", "application/epcis+xml", "text/json", "application/ld+json; charset=iso-8859-1"]
)
def test_another_content_type_is_refused(door: Door, kind: str) -> None:
    with door.unchanged():
        door.refused(door.post(document(door), kind=kind), 415, "unsupported-media-type")


def test_a_body_announced_too_large_is_refused_unread(door: Door) -> None:
    with door.unchanged():
        door.refused(door.post(b" " * (CAPTURE_LIMIT_BYTES + 1)), 413, "body-too-large")


def test_a_body_that_streams_on_is_refused_at_the_limit(door: Door) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        for number in range(1000):
            sent.append(number)
            yield b" " * 16_384

    with door.unchanged():
        headers = door.headers("farm", content_type="application/json")
        answer = door.http.post("/epcis/capture", content=endless(), headers=headers)
        assert "content-length" not in answer.request.headers
        door.refused(answer, 413, "body-too-large")


@pytest.mark.parametrize("announced", ["-1", "many", "1e9", "9" * 400])
def test_a_content_length_that_makes_no_sense_stores_nothing(door: Door, announced: str) -> None:
    headers = door.headers("farm", content_type="application/json")
    with door.unchanged():
        answer = door.http.post(
            "/epcis/capture", content=b"{", headers=headers | {"Content-Length": announced}
        )
        refusal = (413, "body-too-large") if announced.isdecimal() else (400, "not-json")
        door.refused(answer, *refusal)


@pytest.mark.parametrize("depth", [65, 5_000, 50_000])
def test_json_that_is_too_deep_is_refused(door: Door, depth: int) -> None:
    with door.unchanged():
        door.refused(door.post(b"[" * depth + b"]" * depth), 413, "too-deep")
        door.refused(
            door.post(b'{"a":' * (depth // 2) + b"[" * depth + b"]" * depth + b"}" * (depth // 2)),
            413,
            "too-deep",
        )
        found = door.finding(door.post(spliced(door, "[" * depth + "]" * depth)), "too-deep", 413)
        assert place(found) == (2, VALUE + "/0" * (MAX_DEPTH - 4))


def dated(count: int, day: int) -> list[dict[str, Any]]:
    """Events that differ."""
    return [event(eventTime=f"2026-05-{day:02d}T08:{n // 60:02d}:{n % 60:02d}Z") for n in range(count)]


def test_more_events_than_a_capture_may_have_are_refused(door: Door) -> None:
    with door.unchanged():
        body = document(door, *dated(CAPTURE_LIMIT_EVENTS + 1, 1))
        found = door.finding(door.post(body), "too-many-events", 413)
        assert place(found) == (None, f"/epcisBody/eventList/{CAPTURE_LIMIT_EVENTS}")
        # What is no event by its names is counted once it was read.
        body = document(door, *dated(CAPTURE_LIMIT_EVENTS, 1), {})
        found = door.finding(door.post(body), "too-many-events", 413)
        assert place(found) == (CAPTURE_LIMIT_EVENTS + 1, f"/epcisBody/eventList/{CAPTURE_LIMIT_EVENTS}")


def test_as_many_events_as_are_announced_are_taken(door: Door) -> None:
    elements = [{"id": "urn:epc:id:sgln:9506000.00009.0", "attributes": []}]
    lists = [{"type": "urn:epcglobal:epcis:vtype:Location", "vocabularyElementList": elements}]
    header = {"epcisMasterData": {"vocabularyList": lists}}
    # A name that an event has anywhere is not a second event.
    named = {"ex:of": {"eventTime": "x", "eventList": [{"eventTime": "y"}]}}
    events = [one | named for one in dated(CAPTURE_LIMIT_EVENTS, 2)]
    job = door.captured(document(door, *events, epcisHeader=header))
    assert len(job["records"]) == 2 + CAPTURE_LIMIT_EVENTS


@pytest.mark.parametrize(
    "kind", ["QuantityEvent", "objectEvent", "", 7, None, "https://ns.gs1.org/epcis/ObjectEvent"]
)
def test_an_unknown_event_type_is_named_by_record_and_pointer(door: Door, kind: Any) -> None:
    with door.unchanged():
        answer = door.post(document(door, event(), event(type=kind)))
        rule = answer.json()["rule"]
        assert rule in ("unknown-event-type", "missing-field", "wrong-type")
        found = door.finding(answer, rule)
        assert found["record"] == 2
        assert found["pointer"].startswith("/epcisBody/eventList/1")


@pytest.mark.parametrize(
    ("changes", "rule", "pointer"),
    [
        ({"eventTime": None}, "missing-field", ""),
        ({"eventTimeZoneOffset": None}, "missing-field", ""),
        ({"action": None}, "missing-field", ""),
        ({"action": "OBSERVED"}, "bad-action", "/action"),
        ({"epcList": None}, "no-things", ""),
        ({"epcList": LOT}, "wrong-type", "/epcList"),
        ({"parentID": "urn:epc:id:sscc:9506000.0000000001"}, "field-not-allowed", "/parentID"),
        ({"inputEPCList": [LOT]}, "field-not-allowed", "/inputEPCList"),
        (
            {"type": "TransformationEvent", "epcList": None, "outputEPCList": [LOT]},
            "field-not-allowed",
            "/action",
        ),
        ({"readpoint": {"id": LOT}}, "unknown-field", "/readpoint"),
        ({"eventTime": "2026-02-30T08:00:00Z"}, "bad-time", "/eventTime"),
        ({"eventTime": "2026-05-01T08:00:00"}, "bad-time", "/eventTime"),
        ({"eventTime": 1_777_000_000}, "bad-time", "/eventTime"),
        ({"eventTimeZoneOffset": "+15:00"}, "bad-offset", "/eventTimeZoneOffset"),
        ({"eventTimeZoneOffset": "Z"}, "bad-offset", "/eventTimeZoneOffset"),
        ({"bizStep": "shiping"}, "unknown-word", "/bizStep"),
        ({"disposition": "in-transit"}, "unknown-word", "/disposition"),
        ({"nope:field": 1}, "undeclared-prefix", "/nope:field"),
        ({"epcList": ["not an identifier"]}, "not-a-uri", "/epcList/0"),
        ({"quantityList": [{"epcClass": LOT, "quantity": -1}]}, "bad-quantity", "/quantityList/0/quantity"),
    ],
)
def test_a_bad_field_is_named_by_its_pointer(
    door: Door, changes: dict[str, Any], rule: str, pointer: str
) -> None:
    with door.unchanged():
        found = door.finding(door.post(document(door, event(), event(**changes))), rule)
        assert found["record"] == 2
        assert found["pointer"] == "/epcisBody/eventList/1" + pointer


def test_a_bad_check_digit_is_answered_with_the_right_one(door: Door) -> None:
    with door.unchanged():
        found = door.finding(door.post(document(door, event(epcList=[WRONG_LOT]))), "bad-check-digit")
        assert found["pointer"] == "/epcisBody/eventList/0/epcList/0"
        assert found["expected"] == "check digit 2 in GTIN 09506000134352"
        assert found["got"] == "09506000134353"


@pytest.mark.parametrize("signed", [False, True])
def test_a_member_may_ask_to_keep_a_wrong_check_digit_as_a_private_name(door: Door, signed: bool) -> None:
    lot = f"{WRONG_LOT}{'S' if signed else 'C'}"
    body, member, kind = document(door, event(epcList=[lot])), "farm", EPCIS
    if signed:
        reading = Reading(keep_bad_check_digits=True)
        body, member, kind = (
            door.sim.submission("packer", [], document=body, reading=reading),
            "packer",
            SUBMISSION,
        )
    with door.unchanged():
        door.finding(door.post(body, member, kind), "bad-check-digit")
        door.refused(door.post(body, member, kind, "/epcis/capture?check-digits=guess"), 400, "bad-parameter")
    answer = door.post(body, member, kind, "/epcis/capture?check-digits=keep")
    assert answer.status_code == 202, answer.text
    job = door.get(answer.headers["location"], member, prefer="wait=20").json()
    assert job["state"] == "sequenced"
    (warned,) = job["warnings"]
    assert (warned["rule"], place(warned)) == ("bad-check-digit", (1, "/epcisBody/eventList/0/epcList/0"))
    assert warned["expected"] == "check digit 2 in GTIN 09506000134352"
    name = job["records"][1]["record"]
    assert door.get(f"/api/records/{name}", member).json()["value"]["epcList"] == [lot]
    traced = door.get(f"/api/trace?thing={lot}&direction=both", member).json()
    assert [one["thing"] for one in traced["affected"]] == [lot]
    door.sim.verify(door.get(f"/api/records/{name}/proof", member).content)


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ({"id": "@id"}, "context-keyword"),
        ({"kind": "@type"}, "context-keyword"),
        ({"ex:kind": {"@id": "@type"}}, "context-keyword"),
        ({"@vocab": "https://example.org/"}, "context-keyword"),
        ({"ex:x": {"@reverse": "https://example.org/x"}}, "context-term"),
        ({"eventTime": "https://example.org/time"}, "context-term"),
        (7, "context-entry"),
    ],
)
def test_a_context_that_changes_what_names_mean_is_refused(door: Door, entry: Any, rule: str) -> None:
    with door.unchanged():
        answer = door.post(document(door, **{"@context": [CONTEXT, entry]}))
        assert door.finding(answer, rule)["pointer"].startswith("/@context/1")


def nested(levels: int) -> Any:
    """A value of so many levels, the scalar at its bottom included."""
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    return value


def bare(levels: int, **changes: Any) -> dict[str, Any]:
    """A bare event of this depth, deepest in a unit of a group."""
    context = [CONTEXT, {"ex": "https://example.org/terms/"}]
    return event(**changes) | {"@context": context, "ex:deep": [nested(levels - 2), 0]}


def test_a_record_too_deep_for_its_proof_is_refused(door: Door) -> None:
    with door.unchanged():
        body = bare(MAX_RECORD_DEPTH + 1)
        assert door.finding(door.post(body, path="/epcis/events"), "too-deep", 413)["record"] == 1
        del body["@context"]
        found = door.finding(door.post(document(door, event(), body)), "too-deep", 413)
        assert (found["record"], found["pointer"]) == (2, "/epcisBody/eventList/1")
        frame = {"ex:deep": [nested(MAX_RECORD_DEPTH - 2), 0]}
        assert door.finding(door.post(document(door, **frame)), "too-deep", 413)["record"] == 0


def test_the_deepest_record_is_proved_in_full_and_in_part(door: Door) -> None:
    job = door.captured(json.dumps(bare(MAX_RECORD_DEPTH, eventTime="2026-05-05T08:00:00Z")).encode())
    name = job["records"][1]["record"]
    for query in ("", "?show=/ex:deep/0"):
        proof = door.get(f"/api/records/{name}/proof{query}")
        assert proof.status_code == 200, proof.text
        door.sim.verify(proof.content)
        # A report carries its bundle one level down, and is read under the same limit.
        parse_json(b'{"evidence":%b}' % proof.content)


def test_a_document_of_another_type_is_refused(door: Door) -> None:
    with door.unchanged():
        door.finding(door.post(document(door, type="EPCISMasterDataDocument")), "unknown-event-type")


def test_a_query_document_without_results_is_refused_by_what_is_missing(door: Door) -> None:
    with door.unchanged():
        found = door.finding(door.post(document(door, type="EPCISQueryDocument")), "missing-field")
        assert (place(found), found["expected"]) == ((0, "/epcisBody"), "queryResults")


def test_every_fault_of_a_document_is_found_up_to_a_hundred(door: Door) -> None:
    with door.unchanged():
        bad = [event(eventTime="never", bizStep="nonsense", eventTimeZoneOffset="x") for _ in range(45)]
        body = door.refused(door.post(document(door, *bad)), 400, "bad-time")
        assert len(body["findings"]) == 100
        assert {one["rule"] for one in body["findings"]} == {"bad-time", "unknown-word", "bad-offset"}


def test_one_bad_event_refuses_the_whole_document(door: Door) -> None:
    good = [event(eventID=f"urn:uuid:0000000{n}-0000-4000-8000-000000000000") for n in range(5)]
    with door.unchanged():
        door.finding(door.post(document(door, *good, event(action="NONE"))), "bad-action")


def test_the_same_event_id_with_other_content_is_a_conflict(door: Door) -> None:
    one = event(eventID="urn:uuid:10000000-0000-4000-8000-000000000001")
    door.captured(document(door, one))
    with door.unchanged():
        answer = door.post(document(door, one | {"disposition": "damaged"}))
        found = door.finding(answer, "event-id-conflict", 409)
        assert (found["record"], found["pointer"]) == (1, "/epcisBody/eventList/0/eventID")


def test_two_events_of_one_document_with_one_id_are_a_conflict(door: Door) -> None:
    one = event(eventID="urn:uuid:10000000-0000-4000-8000-000000000002")
    with door.unchanged():
        answer = door.post(document(door, one, one | {"disposition": "damaged"}))
        assert door.finding(answer, "event-id-conflict", 409)["record"] == 2


def test_the_same_document_again_is_answered_by_the_first_job(door: Door) -> None:
    body = document(door, event(eventTime="2026-05-03T08:00:00Z"))
    first = door.captured(body)
    with door.unchanged():
        assert door.post(body).headers["location"] == f"/epcis/capture/{first['captureID']}"


def test_a_signed_capture_that_is_no_submission_is_refused(door: Door) -> None:
    with door.unchanged():
        bodies: tuple[Any, ...] = ({}, [], {"envelope": 1}, {"document": "@"})
        for body in bodies:
            door.finding(door.post(json.dumps(body).encode(), "packer", SUBMISSION), "bad-shape")


def test_bytes_at_random_are_answered_with_a_problem(door: Door, seed: int) -> None:
    """Cuts and changed bytes of a valid document either capture or are refused; nothing else happens."""
    chance = random.Random(seed)
    whole = document(door, event(eventTime="2026-05-04T08:00:00Z"))
    for _ in range(60):
        body = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        del body[chance.choice([len(body), chance.randrange(len(body))]) :]
        answer = door.post(bytes(body))
        assert answer.status_code in (202, 400, 409, 413), (answer.status_code, bytes(body))
        if answer.status_code != 202:
            door.refused(answer, answer.status_code, answer.json()["rule"])
