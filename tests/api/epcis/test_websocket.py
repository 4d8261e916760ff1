"""Websockets on named queries, against a served node: what they report, and who is refused, how."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from api.epcis.websocket import Feed
from bench.serving import Served
from fabric.store.credentials import Principal
from fabric.subscription.progress import END_OF_CAPTURE
from tests.fabric.subscription.receiver import until

JSON = "application/ld+json"
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
WITHIN_S = 60.0
_numbers = count(1)


class World:
    """A served node, its members' keys, and the captures of one of them."""

    def __init__(self, folder: Path) -> None:
        self.node = Served(folder)
        self.keys: dict[str, str] = {}

    def admit(self, *names: str) -> None:
        self.keys |= self.node.admit({"members": [{"id": one, "name": one, "parties": []} for one in names]})

    def http(self, member: str = "farm") -> httpx2.Client:
        return self.node.client(self.keys[member])

    def query(self, member: str = "farm", **more: Any) -> tuple[str, str]:
        """A query of a place of its own; its name, and the place."""
        number = next(_numbers)
        name, place = f"socket-{number}", f"https://id.gs1.org/414/9506000134352/254/{number}"
        with self.http(member) as http:
            body = {"name": name, "query": {"EQ_bizLocation": [place], **more}}
            assert http.post("/epcis/queries", json=body).status_code == 201
        return name, place

    def capture(self, place: str, events: int = 1, member: str = "farm", **more: Any) -> list[str]:
        """Capture events at a place, and wait until they are in the log; their IDs."""
        ids = [f"urn:uuid:00000000-0000-4000-8000-{next(_numbers):012d}" for _ in range(events)]
        event = {
            "type": "ObjectEvent",
            "eventTime": "2026-05-01T08:00:00Z",
            "eventTimeZoneOffset": "+00:00",
            "action": "OBSERVE",
            "epcList": ["https://id.gs1.org/01/09506000134352/21/W"],
            "bizLocation": {"id": place},
            **more,
        }
        document = {
            "@context": [CONTEXT, {"ex": "https://example.org/terms/"}],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-05-02T00:00:00Z",
            "epcisBody": {"eventList": [{"eventID": one, **event} for one in ids]},
        }
        with self.http(member) as http:
            answer = http.post("/epcis/capture", content=json.dumps(document), headers={"Content-Type": JSON})
            assert answer.status_code == 202, answer.text
            job = http.get(answer.headers["location"], headers={"Prefer": "wait=30"}).json()
        assert job["state"] == "sequenced", job
        return ids

    def open(
        self, name: str, query: str = "stream=true", member: str | None = "farm", **headers: str
    ) -> ClientConnection:
        """A connection, or InvalidStatus with the refusal. Headers have underscores for hyphens."""
        more = {one.replace("_", "-"): value for one, value in headers.items()}
        if member is not None:
            more["Authorization"] = f"Bearer {self.keys[member]}"
        url = f"{self.node.url.replace('http:', 'ws:')}/epcis/queries/{name}/events?{query}"
        return connect(url, additional_headers=more, open_timeout=WITHIN_S, max_size=2**26, proxy=None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("sockets") / "node")
    with made.node:
        made.admit("farm", "shop")
        yield made


def heard(connection: ClientConnection, number: int) -> list[str]:
    """The IDs of the events of the next messages, until there are so many."""
    found: list[str] = []
    while len(found) < number:
        found += [one["eventID"] for one in events_of(message(connection))]
    return found


def message(connection: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(connection.recv(WITHIN_S))
    assert found["type"] == "EPCISQueryDocument"
    return found


def events_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return found


def refusal(world: World, *arguments: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as caught:
        world.open(*arguments, **more)
    response = caught.value.response
    if response.headers["content-type"] == "application/problem+xml":
        return response.status_code, {}
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, json.loads(response.body or b"")


def test_new_events_are_pushed_in_the_order_of_the_log_and_no_others(world: World) -> None:
    name, place = world.query()
    world.capture(place)
    with world.open(name) as connection:
        assert connection.response is not None
        assert connection.response.headers["GS1-EPCIS-Version"] == "2.0.0"
        assert connection.response.headers["GS1-Query-Min-Record-Time"].endswith("Z")
        world.capture(world.query()[1])
        world.capture(place, member="shop")
        wanted = world.capture(place, 150) + world.capture(place)
        assert heard(connection, 151) == wanted
        document = message_after(world, connection, place)
        assert document["epcisBody"]["queryResults"]["queryName"] == name
        assert "subscriptionID" not in document["epcisBody"]["queryResults"]


def test_a_capture_of_more_events_than_a_message_has_is_reported_whole_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The newest capture, at index 9, in three messages: between them there is nothing to wait for."""
    pages = [(["a"], (9, 99)), (["b"], (9, 199)), (["c"], (9, END_OF_CAPTURE))]
    sent: list[Any] = []

    async def send(_: Feed, found: Any) -> None:
        sent.append(found)

    monkeypatch.setattr(Feed, "_after", lambda *_: pages.pop(0))
    monkeypatch.setattr(Feed, "_may_go_on", lambda _: True)
    monkeypatch.setattr(Feed, "_send", send)
    caller = Principal(1, "farm", "member")
    sockets = SimpleNamespace(threads=None)
    serving = SimpleNamespace(
        node=SimpleNamespace(published_size=10), subscribing=SimpleNamespace(sockets=sockets)
    )
    rest: Any = SimpleNamespace(schedule=None)
    feed = Feed(rest, cast(Any, serving), caller, rest, rest, rest, rest, (8, END_OF_CAPTURE))
    asyncio.run(feed._run())
    assert sent == [["a"], ["b"], ["c"]]


def message_after(world: World, connection: ClientConnection, place: str) -> dict[str, Any]:
    world.capture(place)
    return message(connection)


def test_headers_say_the_same_as_parameters(world: World) -> None:
    name, place = world.query()
    early = world.capture(place, 2)
    since = "2020-01-01T00:00:00.000Z"
    with world.open(name, "", GS1_Query_Stream="true", GS1_Query_InitialRecordTime=since) as connection:
        assert heard(connection, 2) == early
        assert connection.response is not None
        assert connection.response.headers["GS1-Query-Min-Record-Time"] == since
    with world.open(name, f"stream=true&initialRecordTime={since}") as connection:
        late = world.capture(place)
        assert heard(connection, 3) == early + late


def test_identifiers_are_as_the_connection_asks(world: World) -> None:
    name, place = world.query()
    with world.open(name, GS1_EPC_Format="Always_EPC_URN") as urns, world.open(name) as links:
        world.capture(place, epcList=["https://id.gs1.org/01/09521234000020/21/W"])
        assert events_of(message(links))[0]["epcList"] == ["https://id.gs1.org/01/09521234000020/21/W"]
        assert events_of(message(urns))[0]["epcList"][0].startswith(
            ("urn:epc:id:sgtin:", "https://id.gs1.org/")
        )


def test_a_schedule_reports_when_it_says(world: World) -> None:
    name, place = world.query()
    with world.open(name, "second=[0-59]&reportIfEmpty=true") as connection:
        assert events_of(message(connection)) == []
        wanted = world.capture(place, 2)
        assert heard(connection, 2) == wanted


@pytest.mark.parametrize(
    ("query", "rule", "exception"),
    [
        ("", "stream-or-schedule", "SubscriptionControlsException"),
        ("stream=false", "stream-or-schedule", "SubscriptionControlsException"),
        ("stream=true&hour=1", "stream-or-schedule", "SubscriptionControlsException"),
        ("hour=24", "bad-schedule", "SubscriptionControlsException"),
        ("stream=maybe", "bad-shape", "SubscriptionControlsException"),
        ("stream=true&initialRecordTime=now", "bad-time", "SubscriptionControlsException"),
        ("stream=true&stream=false", "repeated-parameter", "QueryParameterException"),
        ("stream=true&EQ_action=ADD", "unknown-parameter", "QueryParameterException"),
        ("stream=true&nextPageToken=x", "unknown-parameter", "QueryParameterException"),
    ],
)
def test_controls_that_cannot_be_obeyed_are_refused(
    world: World, query: str, rule: str, exception: str
) -> None:
    name, _ = world.query()
    status, problem = refusal(world, name, query)
    assert (status, problem["rule"], problem["type"]) == (400, rule, f"epcisException:{exception}")


def test_a_parameter_and_a_header_that_disagree_are_refused(world: World) -> None:
    name, _ = world.query()
    status, problem = refusal(world, name, "hour=1", GS1_Query_Hour="2")
    assert (status, problem["rule"]) == (400, "contradictory-controls")


def test_who_asks_is_checked_as_everywhere(world: World) -> None:
    name, _ = world.query()
    limited, _ = world.query(maxEventCount=3)
    assert refusal(world, name, member=None)[0] == 401
    status, problem = refusal(world, name, member="shop")
    assert (status, problem["type"]) == (404, "epcisException:NoSuchNameException")
    world.keys["operator"] = world.node.operator_key
    assert refusal(world, name, member="operator")[1]["rule"] == "not-a-member"
    assert refusal(world, limited)[1]["rule"] == "limited-query"
    assert refusal(world, name, Accept="application/xml")[0] == 406
    assert refusal(world, name, GS1_EPC_Format="Some")[0] == 400
    with world.http() as http:
        assert http.get("/healthz").status_code == 200


def test_a_session_opens_a_socket_only_from_a_page_of_the_node(world: World) -> None:
    name, place = world.query()
    with httpx2.Client(base_url=world.node.url) as http:
        http.post("/login", data={"key": world.keys["farm"]})
        cookie = "; ".join(f"{one}={value}" for one, value in http.cookies.items())
    assert cookie
    status, problem = refusal(world, name, member=None, Cookie=cookie, Origin="https://elsewhere.example.com")
    assert (status, problem["rule"]) == (403, "csrf")
    assert refusal(world, name, member=None, Cookie=cookie)[0] == 403
    with world.open(name, member=None, Cookie=cookie, Origin=world.node.url) as connection:
        assert heard_after(world, connection, place) == 1


def heard_after(world: World, connection: ClientConnection, place: str) -> int:
    world.capture(place)
    return len(heard(connection, 1))


def test_a_dropped_query_closes_its_sockets(world: World) -> None:
    name, _ = world.query()
    with world.open(name) as connection, world.http() as http:
        assert http.delete(f"/epcis/queries/{name}").status_code == 204
        with pytest.raises(ConnectionClosed) as caught:
            connection.recv(WITHIN_S)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008


def test_a_revoked_key_closes_its_sockets(world: World) -> None:
    world.admit("leaver")
    name, _ = world.query("leaver")
    with world.open(name, member="leaver") as connection:
        with world.node.client(world.node.operator_key) as http:
            answer = http.post("/api/members/leaver/api-key")
        assert answer.status_code in (200, 201), answer.text
        with pytest.raises(ConnectionClosed):
            connection.recv(WITHIN_S)


def test_one_member_has_a_bounded_number_of_sockets(world: World) -> None:
    name, _ = world.query("shop")
    with ExitStack() as opened:
        for _ in range(16):
            opened.enter_context(world.open(name, member="shop"))
        assert refusal(world, name, member="shop")[0] == 429
        other, _ = world.query()
        opened.enter_context(world.open(other))
        with world.http() as http:
            assert "loomark_websockets 17.0" in http.get("/metrics").text
    until(lambda: _is_open(world, name))


def _is_open(world: World, name: str) -> bool:
    try:
        with world.open(name, member="shop"):
            return True
    except InvalidStatus:
        return False


def test_what_a_client_says_has_no_meaning_and_too_much_of_it_ends_the_connection(world: World) -> None:
    name, place = world.query()
    with world.open(name) as connection:
        connection.send("anything")
        connection.send(b"\x00\x01")
        assert heard_after(world, connection, place) == 1
        connection.send("a" * 100_000)
        with pytest.raises(ConnectionClosed) as caught:
            connection.recv(WITHIN_S)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009
    with world.http() as http:
        assert http.get("/healthz").status_code == 200


def test_a_client_that_does_not_read_holds_up_nobody(world: World) -> None:
    """Its socket's buffers fill; another one on the same query gets everything meanwhile."""
    name, place = world.query()
    long = {"ex:text": "a" * 40_000}
    with world.open(name) as connection:
        stuck = _stuck(world, name)
        try:
            wanted = [one for _ in range(3) for one in world.capture(place, 100, **long)]
            assert heard(connection, len(wanted)) == wanted
        finally:
            stuck.close()


def _stuck(world: World, name: str) -> socket.socket:
    host, _, port = world.node.url.removeprefix("http://").partition(":")
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.connect((host, int(port)))
    lines = [
        f"GET /epcis/queries/{name}/events?stream=true HTTP/1.1",
        f"Host: {host}:{port}",
        f"Authorization: Bearer {world.keys['farm']}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    stuck.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert b" 101 " in stuck.recv(1000)
    return stuck


def test_an_upgrade_elsewhere_is_no_upgrade(world: World) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(f"{world.node.url.replace('http:', 'ws:')}/epcis/events", proxy=None)
    assert caught.value.response.status_code == 403


def test_the_node_stops_in_order_with_sockets_open(world: World) -> None:
    """The last test: it stops the node that the others talk to."""
    name, _ = world.query()
    with world.open(name) as connection:
        stopping = threading.Thread(target=world.node.stop)
        stopping.start()
        with pytest.raises(ConnectionClosed) as caught:
            connection.recv(WITHIN_S)
        stopping.join(WITHIN_S)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1012
    assert world.node.process.returncode == 0
