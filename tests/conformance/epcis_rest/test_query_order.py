"""Order and limits of query answers."""

from __future__ import annotations

import pytest

from .clauses import must
from .documents import EXTENSIONS, Event
from .server import Server, event_list, next_link, refused
from .world import World

OPERATION = "GET /events"


def in_order(server: Server, world: World, *query: tuple[str, str], **headers: str) -> list[Event]:
    return server.at(world.home, *query, **headers)


@must(OPERATION, "orderBy=eventTime with ASC or DESC orders by event time; without a direction it is DESC.")
@pytest.mark.parametrize("direction", ["ASC", "DESC", None])
def test_events_come_in_the_order_of_their_times(server: Server, world: World, direction: str | None) -> None:
    asked = [("orderDirection", direction)] if direction else []
    found = in_order(server, world, ("orderBy", "eventTime"), ("eventType", "ObjectEvent"), *asked)
    times = [str(event["eventTime"]) for event in found]
    assert len(times) == 7
    assert times == sorted(times, reverse=direction != "ASC")


@must(OPERATION, "orderBy=recordTime orders by the time the server recorded.")
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_events_come_in_the_order_of_their_recording(server: Server, world: World, direction: str) -> None:
    found = in_order(server, world, ("orderBy", "recordTime"), ("orderDirection", direction))
    times = [str(event["recordTime"]) for event in found]
    assert len(times) == 11
    assert times == sorted(times, reverse=direction == "DESC")


@must(OPERATION, "orderBy takes an extension field that holds numbers, times or text.")
@pytest.mark.parametrize("field", ["ex:count", "ex:colour", "ex:moment"])
def test_events_come_in_the_order_of_an_extension_field(server: Server, world: World, field: str) -> None:
    query = [("orderBy", field), ("EXISTS_ex:count", "true"), ("orderDirection", "ASC")]
    found = in_order(server, world, *query, GS1_Extensions=EXTENSIONS["GS1-Extensions"])
    assert [event["ex:colour"] for event in found] == (
        ["blue", "red"] if field == "ex:colour" else ["red", "blue"]
    )


@must(OPERATION, "eventCountLimit gives the first so many events of the order, over all pages.")
@pytest.mark.parametrize("per_page", ["2", "100"])
def test_only_the_first_events_come(server: Server, world: World, per_page: str) -> None:
    query = [
        ("orderBy", "eventTime"),
        ("orderDirection", "ASC"),
        ("eventCountLimit", "3"),
        ("perPage", per_page),
    ]
    assert world.names(in_order(server, world, *query)) == ["made", "packed", "seen"]


@must(
    OPERATION,
    "More events than maxEventCount: QueryTooLargeException instead of an answer; as many or fewer: all.",
)
def test_more_than_the_greatest_number_is_refused(server: Server, world: World) -> None:
    query = [("EQ_bizLocation", world.home), ("eventType", "ObjectEvent")]
    for more in ([], [("perPage", "2")]):
        answer = server.get("/events", [*query, ("maxEventCount", "6"), *more])
        refused(answer, 413, "QueryTooLargeException")
    answer = server.get("/events", [*query, ("maxEventCount", "7"), ("perPage", "100")])
    assert len(event_list(answer)) == 7
    assert next_link(answer) is None


@must(OPERATION, "perPage bounds the events of one page; the order goes on over the pages.")
def test_pages_keep_the_order(server: Server, world: World) -> None:
    query = [("orderBy", "eventTime"), ("orderDirection", "ASC")]
    whole, paged = (
        [event["eventTime"] for event in in_order(server, world, *query, ("perPage", size))]
        for size in ("100", "3")
    )
    assert len(whole) == 11
    assert paged == whole


@must(OPERATION, "orderBy narrows nothing: events without the field are in the answer as well, at any place.")
@pytest.mark.parametrize("per_page", ["3", "100"])
def test_events_without_the_field_are_not_left_out(server: Server, world: World, per_page: str) -> None:
    query = [("orderBy", "ex:count"), ("perPage", per_page)]
    found = in_order(server, world, *query, GS1_Extensions=EXTENSIONS["GS1-Extensions"])
    assert world.names(found) == sorted(world.ids)
