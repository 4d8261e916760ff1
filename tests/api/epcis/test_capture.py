"""`POST /epcis/capture`: what headers ask of it, what is announced and held to, and what is refused at the door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fabric.epcis.document import Reading, read_document
from fabric.epcis.outline import excess_of_events, refuse_excess
from ledger.errors import TooLarge
from ledger.submission import MEDIA_TYPE as SUBMISSION
from tests.api.door import CAPTURE_LIMIT_BYTES, CAPTURE_LIMIT_EVENTS, Door
from tests.simulator import CONTEXT

JSON, XML = "application/json", "application/xml"
LOT = "https://id.gs1.org/01/09506000134352/10/H"
BEHAVIOUR, VERSION = "GS1-Capture-Error-Behaviour", "GS1-EPCIS-Version"


def document(door: Door, *events: dict[str, Any], **members: Any) -> bytes:
    return door.sim.document(events or (door.sim.event(epcList=[LOT]),), **members)


def send(door: Door, body: bytes, kind: str = JSON, member: str = "farm", **headers: str) -> Any:
    """POST with headers whose names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return door.http.post(
        "/epcis/capture", content=body, headers=door.headers(member, content_type=kind) | named
    )


def settled(door: Door, answer: Any, member: str = "farm") -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = door.get(answer.headers["location"], member, prefer="wait=20").json()
    return job


def xml(events: str, version: str = "2.0", namespace: str = "urn:epcglobal:epcis:xsd:2") -> bytes:
    return (
        f'<epcis:EPCISDocument xmlns:epcis="{namespace}" schemaVersion="{version}"'
        f' creationDate="2026-05-02T00:00:00Z"><EPCISBody><EventList>{events}</EventList></EPCISBody>'
        "</epcis:EPCISDocument>"
    ).encode()


def xml_event(number: int, action: str = "OBSERVE", more: str = "") -> str:
    return (
        f"<ObjectEvent><eventTime>2026-07-01T08:{number // 60:02d}:{number % 60:02d}Z</eventTime>"
        f"<eventTimeZoneOffset>+00:00</eventTimeZoneOffset><epcList><epc>{LOT}</epc></epcList>"
        f"<action>{action}</action>{more}</ObjectEvent>"
    )


def test_the_answer_names_the_job_and_the_versions(door: Door) -> None:
    answer = send(door, document(door))
    job = settled(door, answer)
    assert answer.headers["location"] == f"/epcis/capture/{job['captureID']}"
    assert answer.headers["gs1-epcis-version"] == answer.headers["gs1-cbv-version"] == "2.0.0"
    assert "gs1-extensions" in answer.headers


@pytest.mark.parametrize("value", ["rollback", "proceed", " proceed "])
def test_either_behaviour_may_be_asked_for(door: Door, value: str) -> None:
    job = settled(door, send(door, document(door), **{BEHAVIOUR: value}))
    told = (job["running"], job["success"], job["captureErrorBehaviour"], job["errors"])
    assert told == (False, True, value.strip(), [])


@pytest.mark.parametrize("value", ["all", "shrug", "", "Rollback", "rollback, proceed", "proceed;q=1"])
def test_another_behaviour_is_refused(door: Door, value: str) -> None:
    with door.unchanged():
        found = door.finding(send(door, document(door), **{BEHAVIOUR: value}), "bad-header")
        assert found["pointer"] == f"/header/{BEHAVIOUR}"
        assert found["expected"] == "rollback or proceed"


def test_both_behaviours_at_once_are_refused(door: Door) -> None:
    pairs = [
        *door.headers("farm", content_type=JSON).items(),
        (BEHAVIOUR, "rollback"),
        (BEHAVIOUR, "proceed"),
    ]
    with door.unchanged():
        answer = door.http.post("/epcis/capture", content=document(door), headers=pairs)
        door.finding(answer, "bad-header")


def test_a_signed_capture_cannot_proceed(door: Door) -> None:
    body = door.sim.submission("packer", [door.sim.event(epcList=[LOT])])
    with door.unchanged():
        door.finding(send(door, body, SUBMISSION, "packer", **{BEHAVIOUR: "proceed"}), "signed-proceed")
    assert settled(door, send(door, body, SUBMISSION, "packer"), "packer")["state"] == "sequenced"


@pytest.mark.parametrize("version", ["2", "2.0", "2.0.0", "2.0.1"])
def test_the_version_of_the_document_may_be_stated_beside_it(door: Door, version: str) -> None:
    assert settled(door, send(door, document(door), **{VERSION: version}))["success"] is True


@pytest.mark.parametrize("version", ["1.2", "1.2.0", "1"])
def test_json_of_an_older_version_does_not_exist(door: Door, version: str) -> None:
    with door.unchanged():
        found = door.finding(send(door, document(door), **{VERSION: version}), "bad-header")
        assert found["pointer"] == f"/header/{VERSION}"


@pytest.mark.parametrize("header", [VERSION, "GS1-CBV-Version"])
@pytest.mark.parametrize(
    ("version", "status", "rule"),
    [
        ("3.0", 406, "not-acceptable"),
        ("0.9", 406, "not-acceptable"),
        ("two", 400, "bad-header"),
        ("", 400, "bad-header"),
    ],
)
def test_a_version_that_is_not_captured_is_refused(
    door: Door, header: str, version: str, status: int, rule: str
) -> None:
    with door.unchanged():
        answer = send(door, document(door), **{header: version})
        assert door.finding(answer, rule, status)["pointer"] == f"/header/{header}"


def test_a_document_of_another_version_than_stated_is_refused(door: Door) -> None:
    old = "urn:epcglobal:epcis:xsd:1"
    with door.unchanged():
        found = door.finding(
            send(door, document(door, schemaVersion="2.1"), **{VERSION: "2.0.0"}), "version-differs"
        )
        assert (found["pointer"], found["got"]) == ("/schemaVersion", "2.1")
        found = door.finding(send(door, xml(xml_event(1)), XML, **{VERSION: "1.2"}), "version-differs")
        assert (found["pointer"], found["got"]) == ("/EPCISDocument/@schemaVersion", "2.0")
        found = door.finding(
            send(door, xml(xml_event(1), "1.2", old), XML, **{VERSION: "2.0"}), "version-differs"
        )
        assert (found["pointer"], found["got"]) == ("/EPCISDocument/@schemaVersion", "1.2")
        # A document that mixes versions agrees with none.
        door.finding(send(door, xml(xml_event(1), "1.2"), XML, **{VERSION: "1.2"}), "schema-version")
        door.finding(send(door, xml(xml_event(1), "2.0", old), XML, **{VERSION: "2.0"}), "schema-version")
    assert (
        settled(door, send(door, xml(xml_event(1), "1.2", old), XML, **{VERSION: "1.2"}))["success"] is True
    )


@pytest.mark.parametrize("value", ["ex", "ex=not a uri", "=https://example.org/", "ex=urn:a:b, ex=urn:a:c"])
def test_extensions_that_are_none_are_refused(door: Door, value: str) -> None:
    with door.unchanged():
        found = door.finding(send(door, document(door), **{"GS1-Extensions": value}), "bad-header")
        assert found["pointer"] == "/header/GS1-Extensions"


def test_extensions_are_told_back(door: Door) -> None:
    answer = send(door, document(door), **{"GS1-Extensions": "ex=https://example.org/terms/"})
    assert "ex=https://example.org/terms/" in answer.headers["gs1-extensions"]
    settled(door, answer)


def test_an_answer_nobody_can_give_is_refused_before_anything_is_stored(door: Door) -> None:
    with door.unchanged():
        door.finding(send(door, document(door), Accept="image/png"), "not-acceptable", 406)


def test_the_limits_are_announced_with_their_refusals(door: Door) -> None:
    announced = {
        "gs1-epcis-capture-limit": str(CAPTURE_LIMIT_EVENTS),
        "gs1-epcis-capture-file-size-limit": str(CAPTURE_LIMIT_BYTES),
    }
    options = door.http.options("/epcis/capture").headers
    assert {name: options[name] for name in announced} == announced
    events = [door.sim.event(epcList=[LOT]) for _ in range(CAPTURE_LIMIT_EVENTS + 1)]
    with door.unchanged():
        for body, rule in (
            (document(door, *events), "too-many-events"),
            (b" " * (CAPTURE_LIMIT_BYTES + 1), "body-too-large"),
        ):
            answer = send(door, body)
            door.refused(answer, 413, rule)
            assert {name: answer.headers[name] for name in announced} == announced


@pytest.mark.parametrize("kind", [JSON, XML])
def test_events_are_counted_while_a_body_comes(door: Door, kind: str) -> None:
    """The refusal comes when the first event too many has come, not when all has."""
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        whole = document(door, door.sim.event(epcList=[LOT])) if kind == JSON else xml(xml_event(0))
        one = (
            json.dumps(door.sim.event(epcList=[LOT])).encode() + b","
            if kind == JSON
            else xml_event(0).encode()
        )
        start = (
            whole.index(b"[", whole.index(b"eventList")) + 1
            if kind == JSON
            else whole.index(b"<ObjectEvent>")
        )
        yield whole[:start]
        for number in range(10 * CAPTURE_LIMIT_EVENTS):
            sent.append(number)
            # Cut anywhere, also inside the names that are looked for.
            yield one[: 9 + number]
            yield one[9 + number :]

    with door.unchanged():
        answer = door.http.post(
            "/epcis/capture", content=endless(), headers=door.headers("farm", content_type=kind)
        )
        found = door.finding(answer, "too-many-events", 413)
        at = f"/epcisBody/eventList/{CAPTURE_LIMIT_EVENTS}"
        assert found["pointer"] == (
            at
            if kind == JSON
            else f"/EPCISDocument/EPCISBody/EventList/ObjectEvent[{CAPTURE_LIMIT_EVENTS + 1}]"
        )


def test_what_only_looks_like_many_events_is_taken(door: Door) -> None:
    """The name of an event's time in other places, at the door and in the reading."""
    named: dict[str, Any] = {
        "ex:eventTimes": [{"eventTime": '"eventTime": {[, <eventTime>\\'}] * (2 * CAPTURE_LIMIT_EVENTS)
    }
    job = settled(door, send(door, document(door, door.sim.event(epcList=[LOT], **named))))
    assert (job["success"], len(job["records"])) == (True, 2)
    more = f'<ex:a xmlns:ex="https://example.org/terms/">{"<eventTime>x</eventTime>" * 2 * CAPTURE_LIMIT_EVENTS}</ex:a>'
    job = settled(door, send(door, xml(xml_event(0, more=more)), XML))
    assert (job["success"], len(job["records"])) == (True, 2)


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("query", [False, True])
def test_the_first_event_too_many_is_named_whatever_the_document(
    door: Door, query: bool, escaped: bool
) -> None:
    events = [door.sim.event(epcList=[LOT]) for _ in range(4)]
    value = json.loads(document(door, *events))
    if query:
        value["type"] = "EPCISQueryDocument"
        value["epcisBody"] = {"queryResults": {"resultsBody": value["epcisBody"]}}
    body = json.dumps(value).encode()
    pointer = "/epcisBody/queryResults/resultsBody/eventList/3" if query else "/epcisBody/eventList/3"
    if escaped:
        body = body.replace(b'"eventTime"', b'"event\\u0054ime"')
    assert (excess_of_events(body, 3), excess_of_events(body, 4)) == (None if escaped else pointer, None)
    with pytest.raises(TooLarge) as refusal:
        read_document(body, JSON, Reading(most_events=3))
    assert (refusal.value.rule, refusal.value.findings[0].pointer) == ("too-many-events", pointer)
    assert len(read_document(body, JSON, Reading(most_events=4)).events) == 4


def test_a_text_of_very_many_values_is_refused_unparsed() -> None:
    body = b'{"type":"EPCISDocument","x":[' + b"[]," * 500_000 + b"[]]}"
    with pytest.raises(TooLarge) as refusal:
        refuse_excess(body, 10)
    assert refusal.value.rule == "too-many-values"
    # As many signs inside a text are one value.
    refuse_excess(b'{"type":"EPCISDocument","x":"' + b"[]," * 500_000 + b'"}', 10)


def test_a_record_time_that_is_sent_is_kept_and_counts_for_nothing(door: Door) -> None:
    event = door.sim.event(epcList=[LOT], recordTime="2001-01-01T00:00:00Z")
    job = settled(door, send(door, document(door, event)))
    value = door.get(f"/api/records/{job['records'][1]['record']}").json()["value"]
    assert value["recordTime"] == "2001-01-01T00:00:00Z"
    again = settled(door, send(door, document(door, event | {"recordTime": "2002-01-01T00:00:00Z"})))
    assert again["state"] == "duplicate"


def test_xml_goes_on_without_the_events_that_fail(door: Door) -> None:
    events = [
        xml_event(100),
        xml_event(101, "NO"),
        xml_event(102),
        xml_event(103, more="<action>ADD</action>"),
    ]
    job = settled(door, send(door, xml("".join(events)), XML, **{BEHAVIOUR: "proceed"}))
    assert (job["state"], job["success"], len(job["records"])) == ("sequenced", False, 3)
    at = "/EPCISDocument/EPCISBody/EventList/ObjectEvent"
    told = [(one["position"], one["outcome"]) for one in job["results"]]
    assert told == [(1, "accepted"), (2, "rejected"), (3, "accepted"), (4, "rejected")]
    found = [one["findings"][0] for one in job["results"] if one["outcome"] == "rejected"]
    assert [one["pointer"].startswith(f"{at}[{n}]") for one, n in zip(found, (2, 4), strict=True)] == [
        True,
        True,
    ]
    assert all(one["line"] >= 1 for one in found)
    door.sim.verify(door.get(f"/api/records/{job['records'][2]['record']}/proof").content)


def test_no_xml_event_that_cannot_be_said_in_json_is_captured(door: Door) -> None:
    """However many there are: those that are not told one by one are left out all the same."""
    four = "<action>ADD</action>" * 4
    events = [xml_event(200 + n, more=four) for n in range(CAPTURE_LIMIT_EVENTS - 1)] + [xml_event(300)]
    job = settled(door, send(door, xml("".join(events)), XML, **{BEHAVIOUR: "proceed"}))
    assert [one["outcome"] for one in job["results"]] == ["rejected"] * (CAPTURE_LIMIT_EVENTS - 1) + [
        "accepted"
    ]
    found = [one["findings"] for one in job["results"][:-1]]
    assert (len(found[0]), len(found[-1]), found[-1][0]["rule"]) == (4, 1, "xml-unreadable")
    at = f"/EPCISDocument/EPCISBody/EventList/ObjectEvent[{CAPTURE_LIMIT_EVENTS - 1}]"
    assert (found[-1][0]["pointer"], found[-1][0]["line"]) == (at, 1)


def test_a_document_cut_anywhere_stores_nothing(door: Door) -> None:
    for kind, whole in ((JSON, document(door)), (XML, xml(xml_event(400)))):
        with door.unchanged():
            for at in range(0, len(whole) - 1, 37):
                answer = send(door, whole[:at], kind, **{BEHAVIOUR: "proceed"})
                assert answer.status_code == 400, (at, answer.text)
                assert answer.json()["rule"] in ("not-json", "not-xml")


def test_a_bare_event_is_one_capture_too(door: Door) -> None:
    event = door.sim.event(epcList=[LOT]) | {"@context": CONTEXT}
    with door.unchanged():
        bad = json.dumps(event | {"action": "NO"}).encode()
        # One event is all there is: there is nothing to go on with.
        door.finding(send(door, bad, **{BEHAVIOUR: "proceed"}), "bad-action")
        door.finding(send(door, xml_event(500, "NO").encode(), XML, **{BEHAVIOUR: "proceed"}), "bad-action")
    assert settled(door, send(door, json.dumps(event).encode()))["success"] is True
