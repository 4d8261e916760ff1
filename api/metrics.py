"""What a node counts about itself, in a registry of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from api.epcis.subscribing import Subscribing
    from ledger.log.cosign import WitnessCounts
    from ledger.witness.witness import Witness


_ANCHOR = {
    "healthy": ("anchor_healthy", "1 when the log is anchored without trouble"),
    "lag": ("anchor_lag", "Entries published and not yet under a checkpoint with the organisations' quorum"),
    "cosigned": (
        "anchor_cosigned_size",
        "Entries under the newest checkpoint with the organisations' quorum",
    ),
    "onChannel": ("anchor_channel_size", "Entries under the newest own checkpoint on the channel"),
    "backlog": ("anchor_backlog", "Checkpoints that wait to be submitted"),
    "unsent": ("anchor_unsent", "Cosignatures that wait to be sent"),
    "secondsSinceAnchored": ("anchor_age_seconds", "Seconds since a checkpoint was accepted by the channel"),
}


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
            "readOnly": self._gauge(
                "read_only", "1 when the log refuses to sign; somebody has to find out why"
            ),
            "sequencing": self._gauge(
                "sequencing", "1 when this node gives indices; 1 in all on a shared database"
            ),
            "storageFull": self._gauge("storage_full", "1 when the last write found no room"),
        }

        self._anchoring: dict[str, Gauge] = {}

    def observe_node(self, state: Mapping[str, Any]) -> None:
        """Take over the numbers of a node's state."""
        for name, gauge in self._gauges.items():
            if state.get(name) is not None:
                gauge.set(float(state[name]))
        for name, value in state.get("anchor", {}).items():
            if name in _ANCHOR and value is not None:
                self._anchor(name).set(float(value))

    def _anchor(self, name: str) -> Gauge:
        """The gauge of one number about the anchor; a node without one shows none."""
        if name not in self._anchoring:
            self._anchoring[name] = self._gauge(*_ANCHOR[name])
        return self._anchoring[name]

    def observe_witnesses(self, counts: WitnessCounts) -> None:
        """Count what the node's witnesses answer, and publications without their quorum."""
        self.registry.register(_Sampled(lambda: _asked(counts)))

    def observe_subscriptions(self, subscribed: Subscribing) -> None:
        """Count what becomes of deliveries, how subscriptions fare, and websockets."""
        self.registry.register(_Sampled(lambda: _delivered(subscribed)))

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"loomark_{name}", text, registry=self.registry)


_SUBSCRIPTIONS = {
    "active": ("subscriptions", "Subscriptions that deliver"),
    "dead": ("subscriptions_dead", "Subscriptions that were given up until somebody resumes them"),
    "failing": ("subscriptions_failing", "Subscriptions whose last delivery was not taken"),
    "backlog": ("subscription_backlog", "Log entries that the stream furthest behind has not looked through"),
}


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


class _Sampled(Collector):
    """Numbers that somebody else keeps, read when they are asked for."""

    def __init__(self, sample: Callable[[], Iterator[Metric]]) -> None:
        self._sample = sample

    def collect(self) -> Iterator[Metric]:
        """The numbers as they are now."""
        return self._sample()


def witness_registry(witness: Witness) -> CollectorRegistry:
    """What a witness counts about itself: answers by status, and forks that it saw."""

    def sample() -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "loomark_witness_answers", "Answers to add-checkpoint by status", labels=["status"]
        )
        for status, count in sorted(witness.counts.items()):
            answers.add_metric([str(status)], count)
        yield answers
        forks = "Checkpoints of a size that was cosigned with another root"
        yield CounterMetricFamily("loomark_witness_forks", forks, value=witness.forks)

    registry = CollectorRegistry()
    registry.register(_Sampled(sample))
    return registry


def _delivered(subscribed: Subscribing) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "loomark_deliveries", "Deliveries to subscribers by outcome", labels=["outcome"]
    )
    for outcome, count in sorted(subscribed.deliveries.counts.outcomes().items()):
        attempts.add_metric([outcome], count)
    yield attempts
    state = subscribed.deliveries.state()
    for name, (metric, text) in _SUBSCRIPTIONS.items():
        yield GaugeMetricFamily(f"loomark_{metric}", text, value=state[name])
    yield GaugeMetricFamily("loomark_websockets", "Open websockets", value=subscribed.sockets.count)
    sent = "Messages sent to websockets"
    yield CounterMetricFamily("loomark_websocket_messages", sent, value=subscribed.sockets.sent)


def _asked(counts: WitnessCounts) -> Iterator[Metric]:
    asked = CounterMetricFamily(
        "loomark_witness_asked", "Answers of witnesses by outcome", labels=["witness", "outcome"]
    )
    for (name, outcome), count in sorted(counts.outcomes().items()):
        asked.add_metric([name, outcome], count)
    yield asked
    missed = CounterMetricFamily(
        "loomark_witness_quorum_missed",
        "Publications whose cosignatures made no quorum, by what was done",
        labels=["then"],
    )
    for then, count in sorted(counts.missed().items()):
        missed.add_metric([then], count)
    yield missed
