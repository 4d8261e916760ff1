"""Servers that answer witnesses' questions as badly as they can, on real sockets."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ledger.errors import InvalidInput, Unavailable
from ledger.log.ask import MAX_ANSWER_BYTES, HttpAddress


class _Handler(BaseHTTPRequestHandler):
    server: HostileServer

    def answer(self) -> None:
        self.server.asked.append(self.path)
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.close_connection = True
        self.server.way(self)

    do_POST = do_GET = answer  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


class HostileServer(ThreadingHTTPServer):
    """Answers every request in one way, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, way: Callable[[_Handler], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.way = way
        self.asked: list[str] = []
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/w"

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that has heard enough hangs up.
        pass


Start = Callable[[Callable[[_Handler], None]], HostileServer]


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[HostileServer] = []

    def begin(way: Callable[[_Handler], None]) -> HostileServer:
        server = HostileServer(way)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        made.append(server)
        return server

    yield begin
    for server in made:
        server.stopping.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def asking() -> Iterator[Callable[..., HttpAddress]]:
    made: list[HttpAddress] = []

    def to(url: str, timeout_s: float = 5.0) -> HttpAddress:
        made.append(HttpAddress(url, timeout_s))
        return made[-1]

    yield to
    for one in made:
        one.close()


def _head(handler: _Handler, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def test_an_answer_is_taken_as_it_is(start: Start, asking: Callable[..., HttpAddress]) -> None:
    def way(handler: _Handler) -> None:
        _head(handler, 409, Content_Type="text/x.tlog.size")
        handler.wfile.write(b"17\n")

    server = start(way)
    answer = asking(server.url + "/").post("add-checkpoint", b"old 0\n")
    assert (answer.status, answer.body, answer.media_type) == (409, b"17\n", "text/x.tlog.size")
    assert server.asked == ["/w/add-checkpoint"]


def test_a_redirect_is_not_followed(start: Start, asking: Callable[..., HttpAddress]) -> None:
    beyond = start(lambda handler: _head(handler))
    server = start(lambda handler: _head(handler, 307, Location=beyond.url, Content_Length="0"))
    address = asking(server.url)
    assert address.post("add-checkpoint", b"").status == 307
    assert address.get("x/checkpoint").status == 307
    assert beyond.asked == []


def test_a_flood_is_cut_off(start: Start, asking: Callable[..., HttpAddress]) -> None:
    sent = [0]

    def way(handler: _Handler) -> None:
        _head(handler)
        for _ in range(1_000):
            handler.wfile.write(b"x" * 65_536)
            sent[0] += 65_536

    with pytest.raises(InvalidInput, match="at most"):
        asking(start(way).url).get("x")
    # Some lies in the buffers of both sides; most of what it would send is never taken.
    assert sent[0] < 65_536_000


def test_a_small_answer_that_unpacks_to_a_large_one_is_not_unpacked(
    start: Start, asking: Callable[..., HttpAddress]
) -> None:
    packed = gzip.compress(bytes(50 * MAX_ANSWER_BYTES))

    def way(handler: _Handler) -> None:
        _head(handler, Content_Encoding="gzip", Content_Length=str(len(packed)))
        handler.wfile.write(packed)

    assert asking(start(way).url).get("x").body == packed


def test_a_drip_ends_at_the_deadline(start: Start, asking: Callable[..., HttpAddress]) -> None:
    def way(handler: _Handler) -> None:
        _head(handler, Content_Length="100000")
        while not handler.server.stopping.wait(0.02):
            handler.wfile.write(b"x")

    with pytest.raises(TimeoutError):
        asking(start(way).url, 0.3).get("x")


def test_silence_ends_at_the_deadline(start: Start, asking: Callable[..., HttpAddress]) -> None:
    with pytest.raises(TimeoutError):
        asking(start(lambda handler: _wait(handler.server)).url, 0.3).post("x", b"body")


def _wait(server: HostileServer) -> None:
    server.stopping.wait(30)


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00\xff" * 1000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
)
def test_noise_is_no_answer(start: Start, asking: Callable[..., HttpAddress], noise: bytes) -> None:
    with pytest.raises(Unavailable):
        asking(start(lambda handler: _write(handler, noise)).url).get("x")


def _write(handler: _Handler, data: bytes) -> None:
    handler.wfile.write(data)


def test_nobody_there_is_unavailable(asking: Callable[..., HttpAddress], start: Start) -> None:
    server = start(lambda handler: _head(handler))
    server.shutdown()
    server.server_close()
    with pytest.raises(Unavailable):
        asking(server.url).get("x")


@pytest.mark.parametrize("url", ["ftp://witness.example", "file:///etc/passwd", "witness.example", ""])
def test_an_address_is_http(url: str) -> None:
    with pytest.raises(InvalidInput):
        HttpAddress(url, 1.0)
