"""Pages: a walk neither loses nor repeats, tokens are the server's own, and the end is told by silence."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from .clauses import may, must, should
from .documents import Event, document, fresh_place, object_event
from .identifiers import Place
from .server import Server, event_list, ids, next_link, part, refused

EVENTS = 23
SECTION = "paging"


@pytest.fixture(scope="module")
def place(server: Server) -> Place:
    """A location with more events than fit a page."""
    place = fresh_place()
    server.capture(document([object_event(place) for _ in range(EVENTS)]))
    return place


def first_page(server: Server, place: Place, size: int = 5) -> tuple[list[Event], str]:
    """The events of a first page, and the token of the next."""
    answer = server.get("/events", {"EQ_bizLocation": place.urn, "perPage": str(size)})
    following = next_link(answer)
    assert following is not None, "there are more events than one page holds"
    (token,) = parse_qs(urlsplit(server.absolute(following)).query)["nextPageToken"]
    return event_list(answer), token


@must("GET /events", "No page holds more events than perPage; the Link with rel=next leads to the next.")
@pytest.mark.parametrize("size", [1, 5, 22])
def test_a_walk_finds_every_event_once(server: Server, place: Place, size: int) -> None:
    answer = server.get("/events", {"EQ_bizLocation": place.urn, "perPage": str(size)})
    found: list[Event] = []
    while True:
        page = event_list(answer)
        assert len(page) <= size
        found += page
        following = next_link(answer)
        if following is None:
            break
        answer = server.ask("GET", server.absolute(following))
    assert len(found) == EVENTS
    assert len(set(ids(found))) == EVENTS


@must("header Link", "The last page has no Link with rel=next; nor has an answer of one page.")
@pytest.mark.parametrize("size", [EVENTS, EVENTS + 1])
def test_the_only_page_has_no_link(server: Server, place: Place, size: int) -> None:
    answer = server.get("/events", {"EQ_bizLocation": place.urn, "perPage": str(size)})
    if len(event_list(answer)) < EVENTS:
        pytest.skip("the server's own limit of a page is lower")
    assert next_link(answer) is None


@must("schema PerPage", "Without perPage a page holds at most 30 events.")
def test_a_page_holds_thirty_events_by_default(server: Server) -> None:
    place = fresh_place()
    server.capture(document([object_event(place) for _ in range(33)]))
    answer = server.get("/events", {"EQ_bizLocation": place.urn})
    assert 0 < len(event_list(answer)) <= 30
    assert next_link(answer) is not None


@must(
    SECTION,
    "Events that are captured while a client pages are neither a reason to lose nor to repeat others.",
)
@pytest.mark.parametrize(
    "order", [{}, {"orderBy": "eventTime", "orderDirection": "ASC"}, {"orderBy": "recordTime"}]
)
def test_captures_during_a_walk_disturb_nothing(server: Server, order: dict[str, str]) -> None:
    place = fresh_place()
    before = [object_event(place, eventTime=f"2024-03-01T10:00:{n:02d}Z") for n in range(9)]
    server.capture(document(before))
    answer = server.get("/events", {"EQ_bizLocation": place.urn, "perPage": "2", **order})
    found: list[Event] = []
    for number in range(20):
        found += event_list(answer)
        following = next_link(answer)
        if following is None:
            break
        more = object_event(place, eventTime=f"2024-03-01T10:00:{number * 2:02d}.5Z")
        server.capture(document([more]))
        answer = server.ask("GET", server.absolute(following))
    seen = ids(found)
    assert len(seen) == len(set(seen)), "an event came twice"
    assert set(ids(before)) <= set(seen), "an event was lost"


@must(SECTION, "A token works with the query it belongs to, asked again in the same way.")
def test_a_token_can_be_given_by_hand(server: Server, place: Place) -> None:
    first, token = first_page(server, place)
    query = {"EQ_bizLocation": place.urn, "perPage": "5", "nextPageToken": token}
    second = event_list(server.get("/events", query))
    assert len(second) == 5
    assert not set(ids(first)) & set(ids(second))
    assert ids(event_list(server.get("/events", query))) == ids(second), (
        "a page asked for again is the same page"
    )


@must(SECTION, "A token that the server did not give out is refused.")
@pytest.mark.parametrize("forge", ["", "1", "0" * 40, "nonsense", "../../etc"])
def test_an_invented_token_is_refused(server: Server, place: Place, forge: str) -> None:
    query = {"EQ_bizLocation": place.urn, "perPage": "5", "nextPageToken": forge}
    refused(server.get("/events", query), 400, "QueryParameterException", "ValidationException")


@should(SECTION, "A token that was changed is refused: it is opaque, and not a way to other pages.")
@pytest.mark.parametrize("where", [0, 0.3, 0.7])
def test_a_changed_token_is_refused(server: Server, place: Place, where: float) -> None:
    _, token = first_page(server, place)
    index = int(len(token) * where)
    changed = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]
    query = {"EQ_bizLocation": place.urn, "perPage": "5", "nextPageToken": changed}
    refused(server.get("/events", query), 400, "QueryParameterException", "ValidationException")


@should(SECTION, "A token that belongs to another query is refused.")
def test_a_token_of_another_query_is_refused(server: Server, place: Place) -> None:
    _, token = first_page(server, place)
    query = {"EQ_bizLocation": fresh_place().urn, "perPage": "5", "nextPageToken": token}
    refused(server.get("/events", query), 400, "QueryParameterException", "ValidationException")


@should(SECTION, "A token of one client is refused to another.")
def test_a_token_of_another_client_is_refused(server: Server, second: Server, place: Place) -> None:
    _, token = first_page(server, place)
    query = {"EQ_bizLocation": place.urn, "perPage": "5", "nextPageToken": token}
    refused(second.get("/events", query), 400, "QueryParameterException", "ValidationException")


@should(SECTION, "A token says nothing: it is no number of rows, and holds no identifier.")
def test_a_token_is_opaque(server: Server, place: Place) -> None:
    _, token = first_page(server, place)
    assert not token.isdecimal()
    name = place.urn.rpartition(".")[2]
    for piece in [token, *re.split(r"[^\w-]", token)]:
        read = base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)) if len(piece) % 4 != 1 else b""
        assert name not in piece
        assert name.encode() not in read


@may(
    "header GS1-Next-Page-Token-Expires",
    "Where it is given, beside a Link, it is a time that is still to come.",
)
def test_the_expiry_of_a_token_is_ahead(server: Server, place: Place) -> None:
    answer = server.get("/events", {"EQ_bizLocation": place.urn, "perPage": "5"})
    told = answer.headers.get("gs1-next-page-token-expires")
    if told is None:
        pytest.skip("the server does not tell when tokens expire")
    assert datetime.fromisoformat(told) > datetime.now(UTC)
    last = server.get("/events", {"EQ_bizLocation": fresh_place().urn})
    assert "gs1-next-page-token-expires" not in last.headers


@may(
    "DELETE /nextPageToken/{token}",
    "204 for a token that is released, or 501 where the server does not offer it.",
)
def test_a_token_is_released(server: Server, place: Place) -> None:
    _, token = first_page(server, place)
    answer = server.ask("DELETE", f"/nextPageToken/{part(token)}")
    if answer.status_code == 501:
        refused(answer, 501, "ImplementationException")
        pytest.skip("the server answers 501: it does not offer this")
    assert answer.status_code == 204, answer.text
    assert answer.content == b""


@may("DELETE /nextPageToken/{token}", "A token that was released is refused from then on.")
def test_a_released_token_is_refused(server: Server, place: Place) -> None:
    _, token = first_page(server, place)
    if server.ask("DELETE", f"/nextPageToken/{part(token)}").status_code == 501:
        pytest.skip("the server answers 501: it does not offer this")
    query = {"EQ_bizLocation": place.urn, "perPage": "5", "nextPageToken": token}
    refused(server.get("/events", query), 400, "QueryParameterException", "ValidationException")
