"""Addresses that are too long, sent to a real server: told so at any length, and the connection's neighbours unharmed."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.epcis.problems import answer_refusal
from api.epcis.uri_limit import LONGEST_PARSED, ShortAddresses, UriLimit

LIMIT = 16 * 1024


async def _fine(_scope: Scope, _receive: Receive, send: Send) -> None:
    await Response(b"{}")(_scope, _receive, send)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server with the node's protocol and limit, on a port of its own."""
    app = UriLimit(_fine, LIMIT, answer_refusal)
    config = uvicorn.Config(app, http=ShortAddresses, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    running = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    running.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    running.join()


def asked(port: int, address: bytes) -> tuple[int, dict[str, str]]:
    """The status and the body of an answer to a bare request."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET " + address + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("size", [16 * 1024 + 1, 64_999, 65_000, 65_535, 65_536, 70_000, 5_000_000])
@pytest.mark.parametrize("start", [b"/epcis/events?x=", b"/epcis/epcs/", b"/epcis/events/%41"])
def test_a_too_long_address_is_told_so_at_any_length(port: int, start: bytes, size: int) -> None:
    status, problem = asked(port, start + b"a" * (size - len(start)))
    assert (status, problem["type"], problem["rule"]) == (
        414,
        "epcisException:URITooLongException",
        "uri-too-long",
    )


def test_an_address_within_the_limit_is_read(port: int) -> None:
    start = b"/epcis/events?x="
    assert asked(port, start + b"a" * (LIMIT - len(start)))[0] == 200
    assert asked(port, b"/healthz")[0] == 200


def test_no_more_of_an_address_is_kept_than_can_be_parsed() -> None:
    protocol = ShortAddresses.__new__(ShortAddresses)
    protocol.url = b""
    for _ in range(100):
        protocol.on_url(b"/" * 3_000)
    assert len(protocol.url) == LONGEST_PARSED
