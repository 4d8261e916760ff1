"""Receivers that misbehave, clients that capture, and what has to be true of all that was delivered in the end."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from bench.serving import Served
from tests.fabric.subscription.receiver import Delivery, Receiver

from .served import document

ENVIRONMENT = {
    "LOOMARK_SUBSCRIPTION_DESTINATIONS": "127.0.0.0/8",
    "LOOMARK_SUBSCRIPTION_RETRY_S": "0.02",
    "LOOMARK_SUBSCRIPTION_TIMEOUT_S": "2",
    "LOOMARK_SUBSCRIPTION_ATTEMPTS": "100000",
    "LOOMARK_PREPARE_PROCESSES": "1",
}
WITHIN_S = 120.0
MEDIA = "application/ld+json"


class Mood:
    """How a receiver answers while it is troubled: its share of each way to fail, by a seed."""

    def __init__(self, seed: int, most_events: int) -> None:
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._most_events = most_events
        self.is_troubled = True
        self.answers: Counter[int | None] = Counter()

    def __call__(self, delivery: Delivery) -> int | None:
        """The status, after a while if it is slow; None is no answer."""
        with self._lock:
            lot = self._chance.random() if self.is_troubled else 1.0
        if len(delivery.events) > self._most_events:
            status: int | None = 413
        elif lot < 0.15:
            status = 500
        elif lot < 0.25:
            status = None
        elif lot < 0.35:
            time.sleep(0.3)
            status = 200
        elif lot < 0.4:
            # Longer than an attempt lasts: whatever is answered then, nobody hears it.
            time.sleep(2.5)
            status = 503
        else:
            status = 200
        with self._lock:
            self.answers[status] += 1
        return status


@dataclass
class Capturing:
    """A client that captures documents of some events each until it is told to stop, at whichever node answers."""

    nodes: Sequence[Served]
    key: str
    seed: int
    pause_s: float = 0.01
    events: dict[str, list[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def __enter__(self) -> Capturing:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()
        assert not self.errors, self.errors

    def _run(self) -> None:
        chance = random.Random(self.seed)
        turn = 0
        while not self._stop.wait(self.pause_s):
            turn += 1
            body = document(chance, chance.choice((1, 1, 1, 3, 20)))
            try:
                with self.nodes[turn % len(self.nodes)].client(self.key) as http:
                    answer = http.post("/epcis/capture", content=body, headers={"Content-Type": MEDIA})
            except (httpx2.HTTPError, IndexError):
                time.sleep(0.05)
                continue
            if answer.status_code == 202:
                self.events[answer.headers["location"]] = _ids(body)
            elif answer.status_code != 503:
                self.errors.append(answer.text[:300])


def _ids(body: bytes) -> list[str]:
    found: list[dict[str, Any]] = json.loads(body)["epcisBody"]["eventList"]
    return [one["eventID"] for one in found]


def subscribe(node: Served, key: str, receivers: Sequence[Receiver]) -> None:
    """A query for everything that its member sees, and each receiver subscribed to it."""
    with node.client(key) as http:
        assert http.post("/epcis/queries", json={"name": "all", "query": {}}).status_code == 201
        for receiver in receivers:
            body = {"dest": receiver.url, "stream": True, "signatureToken": "ours"}
            answer = http.post("/epcis/queries/all/subscriptions", json=body)
            assert answer.status_code == 201, answer.text


def logged(node: Served, key: str, captured: dict[str, list[str]]) -> set[str]:
    """The events of acknowledged captures, once every one of those is in the log."""
    found: set[str] = set()
    with node.client(key) as http:
        for job, events in captured.items():
            told = http.get(job, headers={"Prefer": "wait=30"}).json()
            assert told["state"] == "sequenced", told
            found.update(events)
    return found


def require_delivered(receiver: Receiver, wanted: set[str], kills: int) -> int:
    """Everything was taken, and nothing twice but under the name it had, at most once a death; gives how often."""

    def is_there(_: object) -> bool:
        return set(receiver.taken_ids) >= wanted

    receiver.wait_for(is_there, WITHIN_S)
    by_name: dict[str, Delivery] = {}
    order: list[str] = []
    repeated = 0
    for one in receiver.taken:
        if one.name in by_name:
            # Its first 200 was not noted before a death; what is known by its name is the same.
            repeated += 1
            assert one.ids == by_name[one.name].ids
            continue
        by_name[one.name] = one
        order += one.ids
    assert len(order) == len(set(order)), "an event was taken under two names"
    assert repeated <= kills, "a delivery was repeated without a death"
    return repeated
