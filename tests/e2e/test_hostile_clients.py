"""A served node and clients that send slowly, stop half-way or talk nonsense: it refuses them and goes on."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from api.cli.child import LOG_FILE
from bench.serving import Served

TIMEOUT_S = 1.0
LIMIT_BYTES = 300_000
LIMIT_EVENTS = 400
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"


class Node(Served):
    """A served node with one member."""

    api_key: str

    def __enter__(self) -> Node:
        super().__enter__()
        members = {"members": [{"id": "farm", "name": "Farm", "parties": []}]}
        self.api_key = self.admit(members)["farm"]
        return self

    def connection(self) -> socket.socket:
        """A bare connection to the node."""
        host, port = self.url.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=20)

    def head(self, length: str, path: str = "/epcis/capture", **more: str) -> bytes:
        """The head of a capture request, as bytes on the wire."""
        lines = [
            f"POST {path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: Bearer {self.api_key}",
            "Content-Type: application/ld+json",
            length,
            *(f"{name.replace('_', '-')}: {value}" for name, value in more.items()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def size(self) -> int:
        """The published tree size, by which nothing that is refused shows."""
        with httpx2.Client(base_url=self.url) as http:
            ready = http.get("/readyz")
        assert ready.status_code == 200, ready.text
        return int(ready.json()["size"])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    environment = {
        "LOOMARK_REQUEST_TIMEOUT_S": str(TIMEOUT_S),
        "LOOMARK_CAPTURE_LIMIT_BYTES": str(LIMIT_BYTES),
        "LOOMARK_CAPTURE_LIMIT_EVENTS": str(LIMIT_EVENTS),
        "LOOMARK_PREPARE_PROCESSES": "1",
    }
    folder = tmp_path_factory.mktemp("hostile") / "node"
    with Node(folder, environment=environment) as node:
        warm(node)
        yield node
        node.stop()
    said = set((folder / LOG_FILE).read_text().splitlines())
    assert said <= {"Invalid HTTP request received."}, "the node took a client's fault for its own"


@pytest.fixture(autouse=True)
def _nothing_is_stored(node: Node) -> Iterator[None]:
    before = node.size()
    yield
    assert node.size() == before


def body(number: int = 0) -> bytes:
    """A valid event."""
    event = {
        "@context": CONTEXT,
        "type": "ObjectEvent",
        "eventTime": "2026-05-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [f"https://id.gs1.org/01/09506000134352/10/A{number}"],
    }
    return json.dumps(event).encode()


def warm(node: Node) -> None:
    """Capture one event, however long the prepare process takes to start."""
    with node.client(node.api_key) as http:
        for _ in range(30):
            answer = http.post(
                "/epcis/events", content=body(), headers={"Content-Type": "application/ld+json"}
            )
            # A request that was given up on may be in the log by the next.
            if answer.status_code in (201, 409):
                break
        assert answer.status_code in (201, 409)


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of what the node answers; status 0 when it only closes."""
    data = b""
    while True:
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            break
        data += part
        if not part or b"}" in data.partition(b"\r\n\r\n")[2]:
            break
    first = data.split(b" ")
    return (int(first[1]) if len(first) > 1 else 0), data.partition(b"\r\n\r\n")[2]


def problem(connection: socket.socket) -> tuple[int, str]:
    status, text = answer_of(connection)
    return status, json.loads(text)["rule"] if text else ""


def test_a_body_that_comes_too_slowly_is_refused(node: Node) -> None:
    with node.connection() as slow:
        slow.sendall(node.head("Content-Length: 500") + b"{")
        began = time.monotonic()
        assert problem(slow) == (400, "body-timeout")
        assert time.monotonic() - began < 10 * TIMEOUT_S


def test_a_body_that_drips_is_refused_all_the_same(node: Node) -> None:
    with node.connection() as slow:
        slow.sendall(node.head("Content-Length: 5000"))
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    slow.sendall(b" ")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert problem(slow) == (400, "body-timeout")
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize("path", ["/epcis/capture", "/epcis/events", "/epcis/events?event-ids=hash"])
def test_a_client_that_goes_away_half_way_leaves_nothing(node: Node, path: str) -> None:
    whole = body(1)
    asked = {"GS1_Capture_Error_Behaviour": "proceed"}
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        with node.connection() as aborted:
            aborted.sendall(node.head(f"Content-Length: {len(whole)}", path, **asked) + whole[:cut])
    with node.connection() as reset:
        reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        reset.sendall(node.head("Transfer-Encoding: chunked", path, **asked) + b'5\r\n{"a":')


def test_a_slow_single_event_is_refused_like_a_slow_document(node: Node) -> None:
    with node.connection() as slow:
        slow.sendall(node.head("Content-Length: 500", "/epcis/events") + b"{")
        assert problem(slow) == (400, "body-timeout")


@pytest.mark.parametrize("path", ["/epcis/capture", "/epcis/events"])
def test_a_hundred_megabytes_are_refused_before_they_have_come(node: Node, path: str) -> None:
    """Of a document that never ends, in events or in bytes, no more is read than is dropped for a polite answer."""
    start = json.dumps({"@context": CONTEXT, "type": "EPCISDocument", "epcisBody": {"eventList": []}})[:-3]
    with node.connection() as endless:
        endless.sendall(node.head(f"Content-Length: {100 * 1024 * 1024}", path) + start.encode())
        assert problem(endless) == (413, "body-too-large")
    with node.connection() as endless:
        endless.sendall(node.head("Transfer-Encoding: chunked", path))
        events = (body() + b",") * 200
        whole = start.encode() + events * (1 + LIMIT_EVENTS // 200)
        endless.sendall(b"%x\r\n" % len(whole) + whole + b"\r\n")
        assert problem(endless) == (413, "too-many-events")


def test_many_clients_that_hang_do_not_stop_others(node: Node) -> None:
    held = [node.connection() for _ in range(100)]
    try:
        for one in held:
            one.sendall(node.head("Content-Length: 900")[: random.Random(len(held)).randrange(40, 200)])
        with node.client(node.api_key) as http:
            began = time.monotonic()
            assert http.get("/api/members").status_code == 200
            assert time.monotonic() - began < 5
    finally:
        for one in held:
            one.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"POST /epcis/capture HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /epcis/capture HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /epcis/capture HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    ],
)
def test_what_is_not_http_is_refused_or_dropped(node: Node, request_bytes: bytes) -> None:
    with node.connection() as odd:
        odd.sendall(request_bytes)
        odd.shutdown(socket.SHUT_WR)
        status, _ = answer_of(odd)
        assert status == 0 or 400 <= status < 500


def test_a_length_and_a_chunked_body_at_once_smuggle_nothing(node: Node) -> None:
    inner = node.head(f"Content-Length: {len(body(2))}") + body(2)
    with node.connection() as odd:
        odd.sendall(node.head("Content-Length: 4", Transfer_Encoding="chunked") + b"0\r\n\r\n" + inner)
        status, _ = answer_of(odd)
        assert 400 <= status < 500


def test_a_streamed_body_without_end_is_cut_at_the_limit(node: Node) -> None:
    with node.connection() as endless:
        endless.sendall(node.head("Transfer-Encoding: chunked"))
        sent = 0
        try:
            while sent < 40 * LIMIT_BYTES:
                endless.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
                sent += 65_536
        except OSError:
            pass
        assert sent < 40 * LIMIT_BYTES


def test_an_announced_flood_is_refused_before_it_comes(node: Node) -> None:
    with node.connection() as flood:
        flood.sendall(node.head(f"Content-Length: {10**15}"))
        assert problem(flood) == (413, "body-too-large")


def sent_first(node: Node, request: bytes) -> tuple[int, str]:
    """The refusal as a client reads it that sends everything before it reads, the most of it after the refusal."""
    with node.connection() as late:
        late.sendall(request[:1_000])
        time.sleep(0.05)
        for at in range(1_000, len(request), 100_000):
            late.sendall(request[at : at + 100_000])
            time.sleep(0.01)
        return problem(late)


@pytest.mark.parametrize("over", [1, LIMIT_BYTES // 2, LIMIT_BYTES - 100_000])
@pytest.mark.parametrize("more", [{}, {"Connection": "close"}], ids=["keep-alive", "close"])
def test_a_body_over_the_limit_is_told_so_after_it_was_sent(
    node: Node, over: int, more: dict[str, str]
) -> None:
    length = LIMIT_BYTES + over
    announced = node.head(f"Content-Length: {length}", **more) + b" " * length
    chunks = [length // 3, length // 3, length - 2 * (length // 3)]
    streamed = b"".join(b"%x\r\n%b\r\n" % (size, b" " * size) for size in chunks) + b"0\r\n\r\n"
    for request in (announced, node.head("Transfer-Encoding: chunked", **more) + streamed):
        assert sent_first(node, request) == (413, "body-too-large")


def test_another_refusal_is_told_too_before_the_connection_ends(node: Node) -> None:
    request = node.head(f"Content-Length: {LIMIT_BYTES}") + b" " * LIMIT_BYTES
    stranger = request.replace(node.api_key.encode(), b"x" * len(node.api_key))
    assert sent_first(node, stranger) == (401, "unauthenticated")
    odd = request.replace(b"application/ld+json", b"text/plain")
    assert sent_first(node, odd) == (415, "unsupported-media-type")


def test_a_client_that_asks_before_it_sends_is_refused_at_once(node: Node) -> None:
    with node.connection() as asking:
        asking.sendall(node.head(f"Content-Length: {LIMIT_BYTES + 1}", Expect="100-continue"))
        assert problem(asking) == (413, "body-too-large")
        # It sends no body now; another request on this connection would be taken for one.
        asking.shutdown(socket.SHUT_WR)
        assert asking.recv(65_536) == b""


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(node: Node) -> None:
    whole = b"{" + b" " * 5_000
    with node.connection() as asking:
        asking.sendall(node.head(f"Content-Length: {len(whole)}", Expect="100-continue"))
        assert asking.recv(65_536).startswith(b"HTTP/1.1 100")
        asking.sendall(whole)
        assert problem(asking) == (400, "not-json")


@pytest.mark.parametrize(
    "prefer", ["wait=-1", "wait=1e9", "wait=٣", "wait", "wait=99999999999999999999", ",,=;"]
)
def test_a_preference_that_makes_no_sense_is_no_obstacle(node: Node, prefer: str) -> None:
    with node.client(node.api_key) as http:
        headers: dict[str, Any] = {"Prefer": prefer.encode()}
        assert http.get("/epcis/capture/" + "ab" * 16, headers=headers).status_code == 404
