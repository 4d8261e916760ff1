"""What a node counts about itself, in a registry of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """Counters and gauges of one node. Routes are counted by their pattern, never by what was asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "loomark_http_requests_total",
            "Answers by route and status",
            ["route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "loomark_http_request_seconds", "Time to answer by route", ["route"], registry=self.registry
        )
        self._gauges = {
            "size": self._gauge("log_size", "Entries under the published checkpoint"),
            "graph_size": self._gauge("graph_size", "Entries that the knowledge graph covers"),
            "queued": self._gauge("writer_queued", "Prepared captures that wait for the writer"),
            "writable": self._gauge("writable", "1 when captures are taken"),
        }

    def observe_node(self, state: Mapping[str, Any]) -> None:
        """Take over the numbers of a node's state."""
        for name, gauge in self._gauges.items():
            if state.get(name) is not None:
                gauge.set(float(state[name]))

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"loomark_{name}", text, registry=self.registry)


class Measured:
    """ASGI middleware that counts answers and times them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = "none"

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.requests.labels(route, status).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
