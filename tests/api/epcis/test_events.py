"""`GET /epcis/events` and `/epcis/events/{eventID}`: what is found, in which form, for whom, and what is refused."""

from __future__ import annotations

import asyncio
import math
import threading
import time
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from fastapi import Request

from api.epcis import events as module
from api.epcis.working import CallerGone, Waiting, answered
from fabric.epcis.document import read_document
from fabric.query.errors import QueryTooLarge
from ledger.errors import NotFound
from tests.api.door import Door
from tests.api.epcis.orchard import (
    HASH_ID,
    LINE,
    LINE_LINK,
    MISTAKEN,
    NOTES,
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

EVENTS = "/epcis/events"


@pytest.fixture(scope="module", autouse=True)
def orchard(door: Door) -> None:
    """The events that are asked for."""
    plant(door)


def test_all_events_that_the_caller_sees_are_answered(door: Door) -> None:
    assert len(walked(door, EVENTS)) == 16
    assert [one["eventID"] for one in walked(door, EVENTS, "shop")] == [SENT]
    assert listed(door.get(EVENTS, "packer")) == listed(door.get(EVENTS, "operator")) == []


def test_parameters_choose(door: Door) -> None:
    rows = walked(
        door, f"{EVENTS}?EQ_bizStep=commissioning&EQ_readPoint={LINE}&MATCH_epc={serial(4)}|{serial(5)}"
    )
    assert {one["epcList"][0] for one in rows} == {serial_link(4), serial_link(5)}
    by_field = walked(door, f"{EVENTS}?EQ_ex:row=4", gs1_extensions=f"ex={NOTES}")
    assert [one["ex:row"] for one in by_field] == ["4"]


def test_a_query_document_names_itself_and_what_was_sent_with_the_events(door: Door) -> None:
    body = door.get(f"{EVENTS}?EQ_eventID={SENT}").json()
    assert (body["type"], body["schemaVersion"]) == ("EPCISQueryDocument", "2.0")
    assert {"ex": "https://example.org/terms/"} in body["@context"]
    assert body["epcisBody"]["queryResults"]["queryName"] == "SimpleEventQuery"
    # What is answered is a document that EPCIS readers take, this node's own included.
    for accept in ("application/ld+json", "application/xml"):
        answer = door.get(f"{EVENTS}?EQ_eventID={SENT}", accept=accept)
        assert answer.headers["content-type"] == accept
        assert len(read_document(answer.content, accept).records) == 2


def test_every_answer_carries_the_headers_of_the_standard(door: Door) -> None:
    for path in (EVENTS, f"{EVENTS}/{part(SENT)}", f"{EVENTS}?nothing=1", f"{EVENTS}/none"):
        told = door.get(path, gs1_extensions=f"ex={NOTES}").headers
        assert told["gs1-epcis-version"] == told["gs1-cbv-version"] == "2.0.0"
        assert told["gs1-vendor-version"].startswith("Loomark/")
        assert "cbvmda=" in told["gs1-extensions"]
        assert "Accept" in told["vary"]
        assert told["cache-control"] == "no-store"
    assert (
        "ex=https://example.org/terms/"
        in door.get(EVENTS, gs1_extensions=f"ex={NOTES}").headers["gs1-extensions"]
    )


def test_record_time_is_the_nodes_own(door: Door) -> None:
    claimed = door.sim.event(epcList=["urn:private:claims:1"], recordTime="1999-01-01T00:00:00Z")
    door.captured(door.sim.document([claimed]))
    (found,) = listed(
        door.get(f"{EVENTS}?EQ_eventID={claimed['eventID']}", gs1_epc_format="Never_Translates")
    )
    assert not found["recordTime"].startswith("1999")
    since, before = (
        listed(door.get(f"{EVENTS}?EQ_eventID={claimed['eventID']}&{side}_recordTime={found['recordTime']}"))
        for side in ("GE", "LT")
    )
    assert (len(since), before) == (1, [])


@pytest.mark.parametrize(
    ("form", "epc", "place", "line"),
    [
        (None, serial_link(3), PLACE_LINK, LINE_LINK),
        ("Always_GS1_Digital_Link", serial_link(3), PLACE_LINK, LINE_LINK),
        ("Always_EPC_URN", serial(3), PLACE, LINE),
        ("Never_Translates", serial(3), PLACE, LINE),
        ("No_Preference", serial(3), PLACE, LINE),
    ],
)
def test_identifiers_come_in_the_form_that_is_asked_for(
    door: Door, form: str | None, epc: str, place: str, line: str
) -> None:
    headers = {"gs1_epc_format": form} if form else {}
    answer = door.get(f"{EVENTS}?MATCH_epc={part(serial_link(3))}&EQ_bizStep=commissioning", **headers)
    (found,) = listed(answer)
    assert (found["epcList"], found["bizLocation"]["id"], found["readPoint"]["id"]) == ([epc], place, line)
    assert answer.headers["gs1-epc-format"] == (form or "Always_GS1_Digital_Link")


def test_a_name_without_a_urn_cannot_be_met_as_one_and_is_pointed_to(door: Door) -> None:
    # Of numbers that no company has, nobody can tell how long a company prefix in them is.
    link = "https://id.gs1.org/01/09999999999994/21/x"
    unknown = door.sim.event(epcList=[serial(60), link])
    door.captured(door.sim.document([unknown]))
    path = f"{EVENTS}?EQ_eventID={unknown['eventID']}"
    with door.unchanged():
        for accept in ("application/json", "application/xml;q=0.5, application/json"):
            answer = door.get(path, gs1_epc_format="Always_EPC_URN", accept=accept)
            found = door.refused(answer, 406, "unknown-company-prefix")["findings"][0]
            pointer = "/epcisBody/queryResults/resultsBody/eventList/0/epcList/1"
            assert (found["pointer"], found["got"]) == (pointer, link)
        answer = door.get("/epcis/epcs", gs1_epc_format="Always_EPC_URN")
        found = door.refused(answer, 406, "unknown-company-prefix")["findings"][0]
        assert (found["pointer"], found["got"]) == ("/member", link)
    for form in ("No_Preference", "Never_Translates", "Always_GS1_Digital_Link"):
        assert listed(door.get(path, gs1_epc_format=form))[0]["epcList"][1] == link


def test_xml_is_answered_to_whoever_prefers_it(door: Door) -> None:
    path = f"{EVENTS}?EQ_bizStep=shipping"
    for accept in ("application/xml", "text/xml", "application/json;q=0.2, application/xml;q=0.7"):
        answer = door.get(path, accept=accept)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].partition(";")[0] in ("application/xml", "text/xml")
        assert answer.headers["gs1-cbv-xml-format"] == "No_Preference"
        root = ElementTree.fromstring(answer.content)
        assert root.tag == "{urn:epcglobal:epcis-query:xsd:2}EPCISQueryDocument"
        assert [one.text for one in root.iter("epc")] == [serial_link(3)]
        assert [one.text for one in root.iter("bizStep")] == ["urn:epcglobal:cbv:bizstep:shipping"]
    words = door.get(path, accept="application/xml", gs1_cbv_xml_format="Always_Web_URI")
    assert "https://ref.gs1.org/cbv/BizStep-shipping" in words.text
    # It says nothing of JSON, whose words are bare.
    assert listed(door.get(path, gs1_cbv_xml_format="Always_Web_URI"))[0]["bizStep"] == "shipping"


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/png, text/plain"])
def test_a_form_that_there_is_not_cannot_be_met(door: Door, accept: str) -> None:
    with door.unchanged():
        found = door.refused(door.get(EVENTS, accept=accept), 406, "not-acceptable")["findings"][0]
        assert found["pointer"] == "/header/Accept"


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("GS1-EPCIS-Min", "2.1.0", 406),
        ("GS1-EPCIS-Max", "1.2", 406),
        ("GS1-CBV-Min", "3", 406),
        ("GS1-CBV-Max", "1.2.2", 406),
        ("GS1-EPCIS-Min", "new", 400),
        ("GS1-CBV-Max", "2..0", 400),
        ("GS1-EPC-Format", "EPC", 400),
        ("GS1-CBV-XML-Format", "always_urn", 400),
        ("GS1-Extensions", "ex", 400),
        ("Accept", "json", 400),
    ],
)
def test_a_header_that_cannot_be_read_or_met_is_named(
    door: Door, header: str, value: str, status: int
) -> None:
    with door.unchanged():
        for path in (EVENTS, f"{EVENTS}/{part(SENT)}", "/epcis/", "/epcis/epcs", "/epcis/epcs/x"):
            answer = door.get(path, **{header: value})
            if status == 406:
                found = door.refused(answer, 406, "not-acceptable")["findings"][0]
            else:
                found = door.refused(answer, 400, "bad-header", "ValidationException")["findings"][0]
            assert found["pointer"] == f"/header/{header}"


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("nonsense=1", "unknown-parameter"),
        ("EQ_action=REMOVE", None),
        ("orderBy=eventTime&orderDirection=UP", None),
        ("orderBy=eventTime&eventCountLimit=1&maxEventCount=1", None),
        ("eventCountLimit=1", None),
        ("GE_eventTime=yesterday", "bad-time"),
        ("EQ_bizStep=", "empty-value"),
        ("EQ_ex:row=1", "unknown-prefix"),
        ("GE_eventTime=2026-01-01T00:00:00Z&GE_eventTime=2027-01-01T00:00:00Z", None),
        ("perPage=0", "bad-value"),
        ("perPage=many", "bad-value"),
        ("perPage=3&perPage=4", "repeated-parameter"),
        ("nextPageToken=none", "page-token"),
    ],
)
def test_a_wrong_question_is_a_query_parameter_exception(door: Door, query: str, rule: str | None) -> None:
    with door.unchanged():
        answer = door.get(f"{EVENTS}?{query}")
        body = door.refused(answer, 400, rule or answer.json()["rule"], "QueryParameterException")
        assert body["findings"][0]["expected"]
        assert body["findings"][0]["pointer"].startswith(f"/{query.partition('=')[0]}") or rule is None


def test_more_events_than_the_question_allows_are_too_large(door: Door) -> None:
    with door.unchanged():
        answer = door.get(f"{EVENTS}?EQ_bizStep=commissioning&maxEventCount=11")
        door.refused(answer, 413, "query-too-large", "QueryTooLargeException")
    assert len(walked(door, f"{EVENTS}?EQ_bizStep=commissioning&maxEventCount=12&perPage=5")) == 12


def test_what_a_limit_leaves_is_counted_over_all_pages(door: Door) -> None:
    path = (
        f"{EVENTS}?EQ_bizStep=commissioning&orderBy=eventTime&orderDirection=ASC&eventCountLimit=7&perPage=3"
    )
    rows = walked(door, path)
    assert [one["ex:row"] for one in rows] == [str(number) for number in range(7)]


def test_too_many_values_are_too_complex(door: Door) -> None:
    with door.unchanged():
        answer = door.get(f"{EVENTS}?EQ_eventID={'|'.join('a:b' for _ in range(2500))}")
        body = door.refused(answer, 413, "query-too-complex", "QueryTooComplexException")
        assert body["findings"][0]["pointer"] == "/EQ_eventID"


def test_a_longer_address_than_the_limit_is_refused_before_it_is_read(door: Door) -> None:
    limit = door.settings.uri_limit_bytes
    with door.unchanged():
        for path in (
            f"{EVENTS}?{'a' * limit}",
            f"{EVENTS}/{'a' * limit}",
            f"{EVENTS}?EQ_eventID=urn:x:{'a' * limit}",
        ):
            for member in ("farm", None):
                door.refused(door.get(path, member), 414, "uri-too-long")
    fits = f"{EVENTS}?EQ_eventID=urn:x:"
    assert listed(door.get(fits + "a" * (limit - len(fits)))) == []
    with door.unchanged():
        door.refused(door.get(fits + "a" * (limit - len(fits) + 1)), 414, "uri-too-long")


@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}/x", "/epcis/", "/epcis/epcs", "/epcis/epcs/x/events"])
def test_a_stranger_is_asked_who_it_is(door: Door, path: str) -> None:
    with door.unchanged():
        answer = door.get(path, None)
        door.refused(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        # Nothing of the question is looked at before.
        door.refused(door.get(f"{path}?x=1", None, accept="text/html"), 401, "unauthenticated")


def test_a_browser_is_told_in_the_standards_way_too(door: Door) -> None:
    for path in ("/epcis", "/epcis/", EVENTS):
        answer = door.get(
            path, None, accept="text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        )
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+xml")


def test_head_is_answered_without_the_body(door: Door) -> None:
    for path in (f"{EVENTS}?perPage=2", f"{EVENTS}/{part(SENT)}", "/epcis/epcs", "/epcis/"):
        whole = door.get(path)
        head = door.http.head(path, headers=door.headers("farm"))
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == whole.headers["content-length"]
        assert ("link" in head.headers) == ("link" in whole.headers)


@pytest.mark.parametrize(
    "spelt",
    [
        part(HASH_ID),
        HASH_ID,
        HASH_ID.replace("/", "%2f").replace("?", "%3F"),
        "ni:%2F%2F%2Fsha-256;" + "5e" * 32 + "%3Fver=CBV2.0",
    ],
)
def test_an_event_is_found_by_its_id_however_it_is_escaped(door: Door, spelt: str) -> None:
    (found,) = listed(door.get(f"{EVENTS}/{spelt}"))
    assert found["eventID"] == HASH_ID


def test_an_event_comes_with_its_error_declarations(door: Door) -> None:
    found = listed(door.get(f"{EVENTS}/{part(MISTAKEN)}"))
    assert ["errorDeclaration" in one for one in found] == [False, True]
    assert {one["eventID"] for one in found} == {MISTAKEN}


def test_the_path_is_decoded_once(door: Door) -> None:
    name = "urn:example:50%25off"
    event = door.sim.event(eventID=name, epcList=[serial(70)])
    door.captured(door.sim.document([event]))
    assert listed(door.get(f"{EVENTS}/{part(name)}"))[0]["eventID"] == name
    with door.unchanged():
        door.refused(door.get(f"{EVENTS}/{name}"), 404, "unknown-event")


@pytest.mark.parametrize("name", [MISTAKEN, HASH_ID])
@pytest.mark.parametrize("member", ["shop", "packer", "operator"])
def test_a_hidden_event_answers_like_an_unknown_one(door: Door, name: str, member: str) -> None:
    unknown = "urn:uuid:00000000-0000-4000-8000-00000000f00d"
    with door.unchanged():
        hidden, none = (door.get(f"{EVENTS}/{part(one)}", member) for one in (name, unknown))
        door.refused(hidden, 404, "unknown-event")
        assert (hidden.status_code, hidden.content) == (none.status_code, none.content)
        by_query = [door.get(f"{EVENTS}?EQ_eventID={part(one)}", member) for one in (name, unknown)]
        assert [listed(one) for one in by_query] == [[], []]
        # OPTIONS of somebody who says who it is, too.
        for one in (name, unknown):
            asked = door.http.options(f"{EVENTS}/{part(one)}", headers=door.headers(member))
            door.refused(asked, 404, "unknown-event")


def test_options_tell_their_reader_that_an_event_is_there(door: Door) -> None:
    assert door.http.options(f"{EVENTS}/{part(HASH_ID)}", headers=door.headers("farm")).status_code == 204
    assert door.http.options(f"{EVENTS}/{part(HASH_ID)}").status_code == 204
    assert door.http.options(f"{EVENTS}/none").status_code == 204


@pytest.mark.parametrize(
    "path", [f"{EVENTS}/{part(SENT)}?EQ_action=ADD", "/epcis/?perPage=1", f"{EVENTS}/x?ver=2&a=b"]
)
def test_parameters_where_none_belong_are_refused(door: Door, path: str) -> None:
    with door.unchanged():
        door.refused(door.get(path), 400, "query-parameter", "QueryParameterException")


@pytest.mark.parametrize(
    "path", [f"{EVENTS}/", f"{EVENTS}/%00", f"{EVENTS}/%ff%fe", f"{EVENTS}/%F0%9F%8D%8E"]
)
def test_an_event_id_that_is_none_is_not_found(door: Door, path: str) -> None:
    with door.unchanged():
        answer = door.get(path)
        door.refused(answer, 404, answer.json()["rule"], "NoSuchResourceException")


class _Many:
    """Events of one ID without end, in pages."""

    def by_event_id(self, *_: Any, per_page: int, **__: Any) -> Any:
        class Page:
            events = (object(),) * per_page
            cursor = object()

        return Page


def test_more_events_of_one_id_than_a_page_holds_are_refused(door: Door) -> None:
    with pytest.raises(QueryTooLarge):
        module.all_with_id(_Many(), door.sim.node.reader("farm"), "urn:x:1", 3)  # type: ignore[arg-type]


def test_a_page_of_very_large_events_ends_early_and_loses_none(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(module, "LARGE_PAGE_BYTES", 500)
    path = f"{EVENTS}?EQ_bizStep=commissioning&perPage=9"
    first = door.get(path)
    assert 0 < len(listed(first)) < 9
    assert following(first) is not None
    assert {one["ex:row"] for one in walked(door, path)} == {str(number) for number in range(12)}


def _request(*messages: dict[str, Any]) -> Request:
    """A request whose caller sends these messages, and then nothing more."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    return Request({"type": "http", "method": "GET", "path": EVENTS, "headers": []}, receive)


def test_work_stops_when_its_caller_has_gone(door: Door) -> None:
    started, stopped = threading.Event(), threading.Event()

    def work(events: Any) -> None:
        started.set()
        deadline = time.monotonic() + 60
        while events._clock() != math.inf:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        stopped.set()
        raise NotFound("it was stopped")

    async def leave() -> None:
        gone = _request({"type": "http.request"}, {"type": "http.disconnect"})
        await answered(gone, door.app.state.services, work)

    with door.unchanged(), pytest.raises(CallerGone):
        asyncio.run(leave())
    assert not started.is_set() or stopped.is_set()


def test_work_that_a_gone_caller_waited_for_is_not_begun(door: Door) -> None:
    async def leave() -> None:
        serving = door.app.state.services
        gone = _request({"type": "http.disconnect"})
        # All places are taken, so that the question waits for one while its caller leaves.
        held = [object() for _ in range(int(serving.questions.total_tokens))]
        for one in held:
            await serving.questions.acquire_on_behalf_of(one)
        asking = asyncio.ensure_future(answered(gone, serving, lambda _: pytest.fail("it was begun")))
        await asyncio.sleep(0.05)
        for one in held:
            serving.questions.release_on_behalf_of(one)
        await asking

    with pytest.raises(CallerGone):
        asyncio.run(leave())


def test_the_result_is_that_of_the_work(door: Door) -> None:
    async def ask() -> int:
        return await answered(_request({"type": "http.request"}), door.app.state.services, lambda _: 7)

    assert asyncio.run(ask()) == 7


def test_when_nobody_waits_all_time_is_over() -> None:
    waiting = Waiting()
    assert waiting.clock() <= waiting.clock() < math.inf
    waiting.end()
    assert (waiting.is_over, waiting.clock()) == (True, math.inf)


def test_a_question_that_costs_too_much_is_told_so(tmp_path: Any) -> None:
    with Door(tmp_path / "node", query_budget_events=1) as small:
        small.admit("farm")
        small.captured(small.sim.document([small.sim.event(epcList=[serial(n)]) for n in range(5)]))
        with small.unchanged():
            answer = small.get(f"{EVENTS}?EQ_{NOTES}row=x".replace(NOTES, part(NOTES)))
            body = small.refused(answer, 413, answer.json()["rule"], "QueryTooComplexException")
            assert body["findings"] or body["detail"]
        assert len(listed(small.get(f"{EVENTS}?perPage=1"))) == 1
