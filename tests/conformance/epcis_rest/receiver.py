"""A webhook of the suite's own, on loopback: it keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 45.0


@dataclass(frozen=True)
class Delivery:
    """One request to the webhook, and what it was answered."""

    headers: dict[str, str]
    body: Any
    status: int

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a query document; none where it is a problem."""
        results = self.body.get("epcisBody", {}).get("queryResults", {})
        return list(results.get("resultsBody", {}).get("eventList", []))


Answer = Callable[[dict[str, Any]], int]


@dataclass
class Receiver:
    """The webhook. `answer` decides the status of a delivery by its body; 200 at first."""

    answer: Answer = lambda body: 200
    heard: list[Delivery] = field(default_factory=list)

    def __enter__(self) -> Receiver:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))) or b"{}")
                status = receiver.answer(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.heard.append(Delivery(headers, body, status))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def accepted(self) -> list[dict[str, Any]]:
        """The events of every delivery that was answered 200, in the order they came."""
        return [event for one in list(self.heard) if one.status == 200 for event in one.events]

    def wait(self, done: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
        """Whether it comes to that in time."""
        deadline = time.monotonic() + patience_s
        while not done():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.03)
        return True
