"""`/epcis/queries`: names are their member's own, what is refused leaves nothing, and what is asked is answered as it is seen."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.door import Door
from tests.simulator import EPCIS

JSON = "application/json"
PATH = "/epcis/queries"
LOT = "https://id.gs1.org/01/09506000134352/10/Q"


def make(door: Door, name: str, query: Any, member: str | None = "farm") -> Any:
    return door.post({"name": name, "query": query}, member, JSON, PATH)


def names(door: Door, member: str = "farm") -> list[str]:
    found: list[str] = [one["name"] for one in door.get(f"{PATH}?perPage=1000", member).json()]
    return found


def event_ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    document = answer.json()
    return [one["eventID"] for one in document["epcisBody"]["queryResults"]["resultsBody"]["eventList"]]


def test_a_query_is_kept_as_it_was_sent_and_dropped(door: Door) -> None:
    query = {"EQ_bizStep": ["shipping"], "GE_quantity": 4.5, "eventType": ["ObjectEvent"]}
    answer = make(door, "kept", query)
    assert (answer.status_code, answer.headers["location"]) == (201, f"{PATH}/kept")
    assert answer.headers["GS1-EPCIS-Version"] == "2.0.0"
    assert door.get(f"{PATH}/kept").json() == {"name": "kept", "query": query}
    gone = door.http.delete(f"{PATH}/kept", headers=door.headers("farm"))
    assert (gone.status_code, gone.content) == (204, b"")
    with door.unchanged():
        door.refused(door.get(f"{PATH}/kept"), 404, "no-such-name", "NoSuchNameException")
        again = door.http.delete(f"{PATH}/kept", headers=door.headers("farm"))
        door.refused(again, 404, "no-such-name", "NoSuchNameException")


def test_a_name_is_its_members_own(door: Door) -> None:
    assert make(door, "shared", {"EQ_action": ["ADD"]}).status_code == 201
    with door.unchanged():
        for path in ("", "/events", "/subscriptions"):
            answer = door.get(f"{PATH}/shared{path}", "shop")
            door.refused(answer, 404, "no-such-name", "NoSuchNameException")
        answer = door.http.delete(f"{PATH}/shared", headers=door.headers("shop"))
        door.refused(answer, 404, "no-such-name", "NoSuchNameException")
        door.refused(make(door, "shared", {}), 409, "name-taken")
    assert make(door, "shared", {"EQ_action": ["DELETE"]}, "shop").status_code == 201
    assert door.get(f"{PATH}/shared").json()["query"] == {"EQ_action": ["ADD"]}
    assert door.get(f"{PATH}/shared", "shop").json()["query"] == {"EQ_action": ["DELETE"]}
    assert "shared" in names(door, "shop")
    assert names(door, "packer") == []


@pytest.mark.parametrize("name", ["a b", "straße", "50%", "a?b#c", "日本", "x" * 200, "..."])
def test_a_name_may_be_any_text_of_one_segment(door: Door, name: str) -> None:
    answer = make(door, name, {})
    assert answer.status_code == 201, answer.text
    assert door.get(answer.headers["location"]).json() == {"name": name, "query": {}}
    assert (
        door.get(f"{PATH}/{quote(name, safe='')}/events").json()["epcisBody"]["queryResults"]["queryName"]
        == name
    )


@pytest.mark.parametrize(
    ("body", "rule", "exception"),
    [
        (b"", "not-json", "ValidationException"),
        (b"{", "not-json", "ValidationException"),
        (b"[]", "bad-shape", "ValidationException"),
        (b'{"name": "a"}', "bad-shape", "ValidationException"),
        (b'{"query": {}}', "bad-shape", "ValidationException"),
        (b'{"name": "a", "query": {}, "more": 1}', "bad-shape", "ValidationException"),
        (b'{"name": "a", "query": []}', "bad-shape", "ValidationException"),
        (b'{"name": "a", "query": null}', "bad-shape", "ValidationException"),
        (b'{"name": 7, "query": {}}', "bad-query-name", "ValidationException"),
        (b'{"name": "", "query": {}}', "bad-query-name", "ValidationException"),
        (b'{"name": " a", "query": {}}', "bad-query-name", "ValidationException"),
        (b'{"name": "a/b", "query": {}}', "bad-query-name", "ValidationException"),
        (b'{"name": "..", "query": {}}', "bad-query-name", "ValidationException"),
        (b'{"name": "a\\u0000", "query": {}}', "bad-query-name", "ValidationException"),
        (b'{"name": "a\\nb", "query": {}}', "bad-query-name", "ValidationException"),
        (b'{"name": "a", "name": "b", "query": {}}', "duplicate-member", "ValidationException"),
    ],
)
def test_what_is_no_definition_is_refused(door: Door, body: bytes, rule: str, exception: str) -> None:
    before = names(door)
    with door.unchanged():
        door.refused(door.post(body, "farm", JSON, PATH), 400, rule, exception)
    assert names(door) == before


def test_a_name_that_is_too_long_and_a_query_that_is_too_large_are_refused(door: Door) -> None:
    before = names(door)
    with door.unchanged():
        door.refused(make(door, "x" * 201, {}), 400, "bad-query-name")
        long = {"EQ_bizStep": ["a" * 70_000]}
        door.refused(make(door, "long", long), 400, "query-too-long")
        body = json.dumps({"name": "huge", "query": {"EQ_bizStep": ["a" * 300_000]}}).encode()
        answer = door.post(body, "farm", JSON, PATH)
        assert answer.status_code == 413
        assert answer.json()["rule"] == "body-too-large"
    assert names(door) == before


@pytest.mark.parametrize(
    "query",
    [
        {"EQ_noSuchParameter": ["1"]},
        {"EQ_action": ["REMOVE"]},
        {"eventCountLimit": 5},
        {"orderBy": "eventTime", "eventCountLimit": 5, "maxEventCount": 5},
    ],
)
def test_a_wrong_query_is_refused_when_it_is_named(door: Door, query: dict[str, Any]) -> None:
    with door.unchanged():
        answer = make(door, "wrong", query)
        assert answer.status_code == 400, answer.text
        body = answer.json()
        assert body["type"] in (
            "epcisException:QueryParameterException",
            "epcisException:QueryValidationException",
        )
        assert body["findings"][0]["pointer"].startswith("/query"), body
        door.refused(door.get(f"{PATH}/wrong"), 404, "no-such-name", "NoSuchNameException")


def test_who_asks_and_how_is_checked_first(door: Door) -> None:
    with door.unchanged():
        door.refused(make(door, "a", {}, None), 401, "unauthenticated")
        door.refused(door.get(PATH, None), 401, "unauthenticated")
        door.refused(make(door, "a", {}, "operator"), 403, "not-a-member")
        answer = door.post({"name": "a", "query": {}}, "farm", "text/plain", PATH)
        door.refused(answer, 415, "unsupported-media-type")
        answer = door.get(PATH, accept="application/xml")
        assert answer.status_code == 406
        answer = door.get(f"{PATH}?color=red")
        door.refused(answer, 400, "unknown-parameter", "QueryParameterException")


def test_the_list_is_paged_in_the_order_of_names(door: Door) -> None:
    made = [f"page-{number}" for number in range(7)]
    for name in reversed(made):
        assert make(door, name, {}, "packer").status_code == 201
    seen: list[str] = []
    path: str | None = f"{PATH}?perPage=3"
    pages = 0
    while path is not None:
        answer = door.get(path, "packer")
        seen += [one["name"] for one in answer.json()]
        pages += 1
        link = answer.headers.get("link")
        path = None if link is None else link.partition(">")[0][1:].removeprefix("http://127.0.0.1")
    assert (seen, pages) == (made, 3)
    token = (
        door.get(f"{PATH}?perPage=3", "packer")
        .headers["link"]
        .partition("nextPageToken=")[2]
        .partition(">")[0]
    )
    with door.unchanged():
        stolen = door.get(f"{PATH}?perPage=3&nextPageToken={token}", "farm")
        assert stolen.status_code == 400


def test_a_query_is_a_view_of_what_its_member_sees(door: Door) -> None:
    place = "https://id.gs1.org/414/9506000134376"
    assert make(door, "view", {"EQ_bizLocation": [place]}).status_code == 201
    assert make(door, "view", {"EQ_bizLocation": [place]}, "shop").status_code == 201
    events = [door.sim.event(epcList=[LOT], bizLocation={"id": place}) for _ in range(5)]
    door.captured(door.sim.document(events[:3]), "farm", EPCIS)
    door.captured(door.sim.document(events[3:]), "shop", EPCIS)
    wanted = {one["eventID"] for one in events}
    mine, theirs = (event_ids(door.get(f"{PATH}/view/events", member)) for member in ("farm", "shop"))
    assert set(mine) == {one["eventID"] for one in events[:3]}
    assert set(theirs) == {one["eventID"] for one in events[3:]}
    assert len(mine + theirs) == len(wanted)
    first = door.get(f"{PATH}/view/events?perPage=2")
    assert len(event_ids(first)) == 2
    assert 'rel="next"' in first.headers["link"]
    xml = door.get(f"{PATH}/view/events", accept="application/xml")
    assert xml.headers["content-type"].startswith("application/xml")
    assert b"<queryName>view</queryName>" in xml.content
    with door.unchanged():
        answer = door.get(f"{PATH}/view/events?EQ_action=ADD")
        door.refused(answer, 400, "unknown-parameter", "QueryParameterException")
        answer = door.get(f"{PATH}/view/events?stream=true")
        door.refused(answer, 400, "unknown-parameter", "QueryParameterException")
        assert "Upgrade: websocket" in answer.json()["detail"]
