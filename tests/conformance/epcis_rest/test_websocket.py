"""Subscriptions by WebSocket: optional, and right where they are offered."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .clauses import may
from .documents import document, fresh_place, now_text, object_event
from .identifiers import Place, fresh
from .server import Server, ids, part
from .upgrade import Upgraded

OPERATION = "GET /queries/{queryName}/events"


class Query:
    """A named query of one location."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.place: Place = fresh_place()
        self.name = f"conformance-{fresh()}"
        query = {"name": self.name, "query": {"EQ_bizLocation": [self.place.urn]}}
        assert server.post("/queries", query).status_code == 201

    def open(self, *query: tuple[str, str]) -> Upgraded:
        """Ask for an upgrade with these parameters."""
        pairs = "&".join(f"{name}={part(value)}" for name, value in query)
        return Upgraded(f"{self.server.url}/queries/{self.name}/events?{pairs}", self.server.key)

    def capture(self, count: int = 1) -> list[str]:
        """Capture events that the query finds; their IDs."""
        events = [object_event(self.place) for _ in range(count)]
        self.server.capture(document(events))
        return ids(events)


@pytest.fixture
def query(server: Server) -> Iterator[Query]:
    made = Query(server)
    with made.open(("stream", "true")) as tried:
        status = tried.status
    if status != 101:
        pytest.skip(f"the server answers {status} to an upgrade: it does not offer WebSockets")
    yield made
    server.ask("DELETE", f"/queries/{made.name}")


def received(connection: Upgraded, count: int) -> list[str]:
    """The IDs of events of the next messages, until there are `count`."""
    found: list[str] = []
    while len(found) < count:
        body = connection.message()
        assert body is not None, "the server closed the connection"
        assert body["type"] == "EPCISQueryDocument"
        found += ids(body["epcisBody"]["queryResults"]["resultsBody"]["eventList"])
    return sorted(found)


@may(OPERATION, "101: the connection is upgraded, by the handshake of RFC 6455.")
def test_the_handshake_is_answered(query: Query) -> None:
    with query.open(("stream", "true")) as connection:
        assert connection.headers["upgrade"].lower() == "websocket"
        assert connection.headers["connection"].lower() == "upgrade"
        assert connection.headers["sec-websocket-accept"] == connection.expected
        connection.close()


@may(OPERATION, "stream=true: every new event that the query finds is sent, each once, and no other.")
def test_events_are_sent_as_they_come(server: Server, query: Query) -> None:
    with query.open(("stream", "true")) as connection:
        server.capture(document([object_event(fresh_place())]))
        wanted = query.capture() + query.capture(2)
        assert received(connection, 3) == sorted(wanted)
        connection.close()


@may(OPERATION, "Every client of a query gets every event.")
def test_two_clients_get_the_same_events(query: Query) -> None:
    with query.open(("stream", "true")) as one, query.open(("stream", "true")) as other:
        wanted = query.capture()
        assert received(one, 1) == received(other, 1) == wanted


@may(OPERATION, "initialRecordTime: earlier events, from that time on, come first.")
def test_earlier_events_come_first(query: Query) -> None:
    start = now_text()
    early = query.capture()
    with query.open(("stream", "true"), ("initialRecordTime", start)) as connection:
        assert received(connection, 1) == early
        late = query.capture()
        assert received(connection, 1) == late


@may(
    OPERATION,
    "A schedule in the query string: the query is run when the schedule says, and told even if empty where asked.",
)
def test_a_schedule_is_kept(query: Query) -> None:
    with query.open(("second", "[0-59]"), ("reportIfEmpty", "true")) as connection:
        body = connection.message()
        assert body["epcisBody"]["queryResults"]["resultsBody"]["eventList"] == []
        wanted = query.capture()
        assert received(connection, 1) == wanted


@may(
    OPERATION,
    "400, SubscriptionControlsException: a stream and a schedule exclude each other, and a schedule has to be one.",
)
@pytest.mark.parametrize(
    "controls",
    [
        [("stream", "true"), ("minute", "5")],
        [],
        [("minute", "61")],
        [("hour", "noon")],
        [("stream", "true"), ("initialRecordTime", "yesterday")],
    ],
)
def test_wrong_controls_are_refused(query: Query, controls: list[tuple[str, str]]) -> None:
    with query.open(*controls) as connection:
        assert connection.status == 400
        kind = json.loads(connection.body())["type"]
        assert kind in ("epcisException:SubscriptionControlsException", "epcisException:ValidationException")


@may("DELETE /queries/{queryName}", "Deleting a query closes its WebSockets.")
def test_deleting_the_query_closes_the_connection(server: Server, query: Query) -> None:
    with query.open(("stream", "true")) as connection:
        assert server.ask("DELETE", f"/queries/{query.name}").status_code == 204
        assert connection.message() is None


@may(OPERATION, "An upgrade for a query that is not there is refused with 404.")
def test_an_upgrade_for_no_query_is_not_found(server: Server, query: Query) -> None:
    with Upgraded(f"{server.url}/queries/{fresh()}/events?stream=true", server.key) as connection:
        assert connection.status == 404
