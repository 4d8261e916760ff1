"""Pages: how many, in which order, by whose token, and until when."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from api.epcis.paging import MOST_ENDED, PER_PAGE, PageTokens, address_of
from fabric.query.errors import PageToken
from fabric.visibility.reader import Reader
from ledger.errors import NotFound
from tests.api.door import Door
from tests.api.epcis.orchard import following, listed, part, serial, walked

EVENTS = "/epcis/events"
ROWS = 40
FARM, SHOP = Reader("farm", frozenset({"farm"})), Reader("shop", frozenset({"shop"}))
NO_READER = Reader(None, frozenset())


@pytest.fixture(scope="module", autouse=True)
def rows(door: Door) -> None:
    """Forty events at one step."""
    event = door.sim.event
    door.captured(
        door.sim.document(
            [event(epcList=[serial(n)], bizStep="packing") | {"ex:row": str(n)} for n in range(ROWS)]
        )
    )


@pytest.fixture
def clock() -> list[float]:
    return [1_000_000.5]


@pytest.fixture
def tokens(clock: list[float]) -> PageTokens:
    return PageTokens(b"s" * 32, 60, lambda: clock[0])


def token_of(answer: Any) -> str:
    """The token of the next page."""
    at = following(answer)
    assert at is not None
    (token,) = parse_qs(urlsplit(at).query)["nextPageToken"]
    return token


def test_a_page_has_thirty_where_nobody_says(door: Door) -> None:
    answer = door.get(EVENTS)
    assert len(listed(answer)) == PER_PAGE == 30
    rest = door.get(str(following(answer)))
    assert len(listed(rest)) == ROWS - PER_PAGE
    assert ("link" in rest.headers, "gs1-next-page-token-expires" in rest.headers) == (False, False)


@pytest.mark.parametrize("size", [1, 7, 39, 40, 41, 10**15])
def test_a_walk_has_each_event_once_and_no_link_at_its_end(door: Door, size: int) -> None:
    answer = door.get(f"{EVENTS}?perPage={size}")
    assert len(listed(answer)) == min(size, ROWS)
    assert (following(answer) is None) == (size >= ROWS)
    found = walked(door, f"{EVENTS}?perPage={size}")
    assert sorted(int(one["ex:row"]) for one in found) == list(range(ROWS))


def test_the_node_has_a_limit_of_its_own(tmp_path: Any) -> None:
    with Door(tmp_path / "node", page_limit=4) as small:
        small.admit("farm")
        small.captured(small.sim.document([small.sim.event(epcList=[serial(n)]) for n in range(9)]))
        for path in (EVENTS, f"{EVENTS}?perPage=1000", "/epcis/epcs"):
            answer = small.get(path)
            assert following(answer) is not None
        assert len(listed(small.get(EVENTS))) == len(listed(small.get(f"{EVENTS}?perPage=1000"))) == 4
        assert len(walked(small, EVENTS)) == 9


def test_the_link_is_absolute_and_keeps_what_was_asked(door: Door) -> None:
    asked = "EQ_bizStep=packing&EQ_ex%3Arow=1%7C2%7C3&perPage=1"
    answer = door.get(f"{EVENTS}?{asked}", gs1_extensions="ex=https://example.org/terms/")
    link = re.fullmatch(r'<([^>]*)>; rel="next"', answer.headers["link"])
    assert link is not None
    found = urlsplit(link[1])
    assert (found.scheme, found.netloc, found.path) == ("http", "127.0.0.1", EVENTS)
    query = parse_qs(found.query)
    assert (query["EQ_bizStep"], query["EQ_ex:row"], query["perPage"]) == (["packing"], ["1|2|3"], ["1"])
    names = {
        one["ex:row"]
        for one in walked(door, f"{EVENTS}?{asked}", gs1_extensions="ex=https://example.org/terms/")
    }
    assert names == {"1", "2", "3"}


def test_the_link_of_an_encoded_address_stays_encoded(door: Door) -> None:
    step = f"/epcis/bizSteps/{part('https://ref.gs1.org/cbv/BizStep-packing')}/events"
    assert len(walked(door, f"{step}?perPage=15")) == ROWS
    at = following(door.get(f"{step}?perPage=15"))
    assert at is not None
    assert at.startswith(f"{step}?")


@pytest.mark.parametrize("host", ['evil.example/>; rel="x"', "a b", "", "x\u00e9", "a,b"])
def test_a_host_that_is_none_is_in_no_link(host: str) -> None:
    scope = {"type": "http", "method": "GET", "scheme": "http", "path": EVENTS, "query_string": b""}
    told = [(b"host", host.encode("latin-1"))]
    assert address_of(Request({**scope, "raw_path": EVENTS.encode(), "headers": told})) == EVENTS
    known = [(b"host", b"[::1]:8080")]
    found = address_of(Request({**scope, "raw_path": b"/epcis/epcs/a%2Fb>c/events", "headers": known}))
    assert found == "http://[::1]:8080/epcis/epcs/a%2Fb%3Ec/events"


def test_a_token_says_when_it_ends(door: Door) -> None:
    answer = door.get(f"{EVENTS}?perPage=1")
    ends = datetime.fromisoformat(answer.headers["gs1-next-page-token-expires"])
    left_s = (ends - datetime.now(UTC)).total_seconds()
    assert door.settings.page_token_life_s - 60 < left_s <= door.settings.page_token_life_s


def test_a_page_asked_for_again_is_the_same_page(door: Door) -> None:
    at = following(door.get(f"{EVENTS}?perPage=3"))
    assert at is not None
    assert listed(door.get(at)) == listed(door.get(at))


def test_perpage_may_change_in_the_middle_of_a_walk(door: Door) -> None:
    first = door.get(f"{EVENTS}?EQ_bizStep=packing&perPage=3")
    rest = walked(door, f"{EVENTS}?EQ_bizStep=packing&perPage=17&nextPageToken={token_of(first)}")
    assert len(rest) == ROWS - 3
    assert not {one["ex:row"] for one in listed(first)} & {one["ex:row"] for one in rest}


def test_the_order_of_parameters_is_no_other_question(door: Door) -> None:
    token = token_of(door.get(f"{EVENTS}?EQ_bizStep=packing&EQ_action=OBSERVE&perPage=3"))
    again = f"{EVENTS}?nextPageToken={token}&EQ_action=OBSERVE&perPage=3&EQ_bizStep=packing"
    assert len(listed(door.get(again))) == 3


def test_what_is_captured_while_somebody_pages_disturbs_nothing(door: Door) -> None:
    path = f"{EVENTS}?EQ_bizStep=storing&perPage=2"
    event = door.sim.event
    door.captured(door.sim.document([event(epcList=[serial(n)], bizStep="storing") for n in range(6)]))
    answer = door.get(path)
    found = [one["eventID"] for one in listed(answer)]
    while (at := following(answer)) is not None:
        door.captured(door.sim.document([event(epcList=[serial(77)], bizStep="storing")]))
        answer = door.get(at)
        found += [one["eventID"] for one in listed(answer)]
    assert (len(found), len(set(found))) == (6, 6)
    assert len(walked(door, path)) > 6


@pytest.mark.parametrize("token", ["", "1", "A" * 200, "0" * 5000, "%00", "é", "../../x", "{}"])
def test_an_invented_token_is_refused(door: Door, token: str) -> None:
    with door.unchanged():
        body = door.refused(
            door.get(f"{EVENTS}?nextPageToken={part(token)}"), 400, "page-token", "QueryParameterException"
        )
        assert body["findings"][0]["pointer"] == "/nextPageToken"


def test_a_token_is_of_one_caller_one_address_and_one_question(door: Door) -> None:
    token = token_of(door.get(f"{EVENTS}?EQ_bizStep=packing&perPage=3"))
    with door.unchanged():
        for path, member in (
            (f"{EVENTS}?EQ_bizStep=packing", "shop"),
            (f"{EVENTS}?EQ_bizStep=packing", "operator"),
            (f"{EVENTS}?EQ_bizStep=storing", "farm"),
            (f"{EVENTS}?EQ_bizStep=packing&EQ_action=OBSERVE", "farm"),
            (f"{EVENTS}?", "farm"),
            ("/epcis/bizSteps/packing/events?EQ_bizStep=packing", "farm"),
            ("/epcis/epcs?", "farm"),
        ):
            answer = door.get(f"{path}&nextPageToken={token}", member)
            door.refused(answer, 400, "page-token", "QueryParameterException")
    assert len(listed(door.get(f"{EVENTS}?EQ_bizStep=packing&perPage=3&nextPageToken={token}"))) == 3


def test_a_token_that_was_given_back_leads_nowhere(door: Door) -> None:
    token = token_of(door.get(f"{EVENTS}?perPage=3"))
    page = f"{EVENTS}?perPage=3&nextPageToken={token}"

    def delete(member: str | None) -> Any:
        return door.http.delete(f"/epcis/nextPageToken/{token}", headers=door.headers(member))

    with door.unchanged():
        door.refused(delete("shop"), 404, "page-token", "NoSuchResourceException")
        door.refused(delete(None), 401, "unauthenticated")
        assert listed(door.get(page))
        for _ in range(2):
            given = delete("farm")
            assert (given.status_code, given.content) == (204, b"")
            assert given.headers["gs1-epcis-version"] == "2.0.0"
        door.refused(door.get(page), 400, "page-token-expired", "QueryParameterException")
        never = door.http.delete("/epcis/nextPageToken/none", headers=door.headers("farm"))
        door.refused(never, 404, "page-token", "NoSuchResourceException")


def test_a_token_ends_by_time(tokens: PageTokens, clock: list[float]) -> None:
    token, expires = tokens.issue(FARM, b"q", [1, "x"])
    assert expires == datetime.fromtimestamp(1_000_060, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    clock[0] = 1_000_059.9
    assert tokens.accept(token, FARM, b"q") == [1, "x"]
    clock[0] = 1_000_060
    with pytest.raises(PageToken) as caught:
        tokens.accept(token, FARM, b"q")
    assert caught.value.rule == "page-token-expired"


def test_a_token_outlives_a_restart_and_not_the_secret(clock: list[float]) -> None:
    token, _ = PageTokens(b"s" * 32, 60, lambda: clock[0]).issue(FARM, b"q", {"a": 1})
    assert PageTokens(b"s" * 32, 60, lambda: clock[0]).accept(token, FARM, b"q") == {"a": 1}
    with pytest.raises(PageToken):
        PageTokens(b"t" * 32, 60, lambda: clock[0]).accept(token, FARM, b"q")


def test_of_what_was_given_back_no_more_is_kept_than_needed(
    tokens: PageTokens, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_ENDED > 1000
    monkeypatch.setattr("api.epcis.paging.MOST_ENDED", 3)
    given = []
    for number in range(5):
        clock[0] += 1
        given.append(tokens.issue(FARM, b"q", number)[0])
        tokens.end(given[-1], FARM)
    assert len(tokens._ended) == 3
    with pytest.raises(PageToken):
        tokens.accept(given[-1], FARM, b"q")
    clock[0] += 61
    late, _ = tokens.issue(FARM, b"q", 9)
    tokens.end(late, FARM)
    assert len(tokens._ended) == 1


@pytest.mark.parametrize("reader", [SHOP, NO_READER])
def test_nobody_ends_anothers_walk(tokens: PageTokens, reader: Reader) -> None:
    token, _ = tokens.issue(FARM, b"q", 1)
    with pytest.raises(NotFound):
        tokens.end(token, reader)
    assert tokens.accept(token, FARM, b"q") == 1


@given(st.data())
def test_a_token_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    tokens = PageTokens(b"s" * 32, 60, lambda: 1000.0)
    token, _ = tokens.issue(FARM, b"q", [3, None])
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda one: one != token[at]))
    with pytest.raises(PageToken):
        tokens.accept(token[:at] + other + token[at + 1 :], FARM, b"q")


@given(st.text(max_size=300))
def test_any_text_as_a_token_is_refused(text: str) -> None:
    with pytest.raises(PageToken):
        PageTokens(b"s" * 32, 60, lambda: 1000.0).accept(text, FARM, b"q")
