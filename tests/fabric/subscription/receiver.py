"""A receiver of deliveries on loopback: a real HTTP server that a test tells how to answer, and that remembers all it heard."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

WITHIN_S = 60.0
"""A deadline of tests, never what they assert."""


@dataclass(frozen=True)
class Delivery:
    """One POST that was read whole, and the status that it was answered with; None where there was no answer."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int | None

    @property
    def name(self) -> str:
        """The delivery's name."""
        return self.headers["loomark-delivery"]

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def results(self) -> dict[str, Any]:
        """`queryResults` of the document."""
        found: dict[str, Any] = self.document["epcisBody"]["queryResults"]
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the document."""
        found: list[dict[str, Any]] = self.results["resultsBody"]["eventList"]
        return found

    @property
    def ids(self) -> list[str]:
        """The IDs of the events."""
        return [one["eventID"] for one in self.events]


Answer = Callable[[Delivery], int | None]
"""The status of an answer; None closes the connection without one."""


@dataclass
class Receiver:
    """Answers each POST with what `answer` says of it; 200 unless told otherwise. Its address is `url`."""

    answer: Answer = lambda _: 200
    heard: list[Delivery] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Receiver:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._hear(self)

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A sender that goes away is part of the game."""

        self._news = threading.Condition()
        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(WITHIN_S)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def taken(self) -> list[Delivery]:
        """The deliveries that it answered 2xx."""
        with self._news:
            return [one for one in self.heard if one.status is not None and 200 <= one.status < 300]

    @property
    def taken_ids(self) -> list[str]:
        """The IDs of all events in deliveries that it answered 2xx, in order, repeated as they were."""
        return [name for one in self.taken for name in one.ids]

    def wait_for(self, is_there: Callable[[Sequence[Delivery]], object], within_s: float = WITHIN_S) -> None:
        """Wait until what was heard satisfies a condition."""
        with self._news:
            assert self._news.wait_for(lambda: is_there(self.heard), within_s), [
                (one.status, one.path, len(one.body)) for one in self.heard
            ]

    def wait_for_ids(self, *ids: str) -> None:
        """Wait until it has answered 2xx to each of these events."""

        def is_there(heard: Sequence[Delivery]) -> bool:
            return {name for one in heard if one.status == 200 for name in one.ids} >= set(ids)

        self.wait_for(is_there)

    def _hear(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        status = self.answer(Delivery(handler.path, headers, body, None))
        with self._news:
            self.heard.append(Delivery(handler.path, headers, body, status))
            self._news.notify_all()
        handler.close_connection = True
        if status is not None:
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            if 300 <= status < 400:
                handler.send_header("Location", f"{self.url}/elsewhere")
            handler.end_headers()
            handler.wfile.flush()


def until(is_so: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
