"""A served node that is killed: its process tree by /proc, the load on it, and what it promised."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from bench.serving import Served, process_tree

LOT = "https://id.gs1.org/01/09506000134352/10/A"
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
LARGE_EVENTS = 200
GONE_WITHIN_S = 120.0

Birth = tuple[int, str]
"""A process: its id, and when it started, because ids are used again."""


def births(root: int) -> list[Birth]:
    """`root` and all its descendants that run now."""
    found = [(pid, _started(pid)) for pid in process_tree(root)]
    return [(pid, started) for pid, started in found if started]


def survivors(tree: list[Birth], within_s: float = GONE_WITHIN_S) -> list[Birth]:
    """Which of these processes still run after a while; returns early when none does."""
    deadline = time.monotonic() + within_s
    while True:
        left = [(pid, started) for pid, started in tree if _started(pid) == started]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def _started(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # A zombie has ended; only nobody asked how.
    return "" if fields[0] in "ZX" else fields[19]


def kill(victims: list[Birth]) -> None:
    """kill -9, one after the other."""
    for pid, started in victims:
        if _started(pid) == started:
            os.kill(pid, signal.SIGKILL)


def children(tree: list[Birth]) -> list[Birth]:
    """The workers among a node's processes: all but the node itself and Python's tracker of semaphores."""
    return [one for one in tree[1:] if b"resource_tracker" not in _command(one[0])]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@dataclass
class Promises:
    """What nodes acknowledged over all lives: jobs, the index of each, proofs that were handed out."""

    jobs: dict[str, tuple[str, int]] = field(default_factory=dict)
    index: dict[str, int] = field(default_factory=dict)
    proofs: list[bytes] = field(default_factory=list)
    unanswered: list[tuple[str, bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, job: dict[str, Any]) -> None:
        """Take in a job as a node showed it; an index that was told never changes and is nobody else's."""
        name = f"/epcis/capture/{job['captureID']}"
        if job["state"] == "sequenced":
            assert self.index.setdefault(name, job["index"]) == job["index"], "a capture has two indices"


class Load:
    """Clients that capture small and large documents until told to stop or until the node is gone."""

    def __init__(self, node: Served, keys: dict[str, str], promises: Promises, chance: random.Random) -> None:
        self._node = node
        self._promises = promises
        self._stop = threading.Event()
        self.answers: list[int] = []
        self.errors: list[str] = []
        self._threads = [
            threading.Thread(
                target=self._run, args=(member, key, random.Random(chance.random()), number % 3 == 2)
            )
            for number, (member, key) in enumerate([*keys.items(), *keys.items(), *keys.items()])
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)
        assert not self.errors, self.errors

    def _run(self, member: str, key: str, chance: random.Random, large: bool) -> None:
        try:
            with self._node.client(key) as http:
                while not self._stop.is_set():
                    body = document(chance, LARGE_EVENTS if large else 1)
                    self._capture(http, member, body, LARGE_EVENTS if large else 1, chance)
        except AssertionError as error:
            self.errors.append(str(error))
        except httpx2.HTTPError:
            return

    def _capture(
        self, http: httpx2.Client, member: str, body: bytes, events: int, chance: random.Random
    ) -> None:
        promises = self._promises
        with promises.lock:
            promises.unanswered.append((member, body))
        answer = http.post("/epcis/capture", content=body, headers={"Content-Type": "application/ld+json"})
        assert answer.status_code in (202, 503), answer.text
        with promises.lock:
            self.answers.append(answer.status_code)
            promises.unanswered.remove((member, body))
            if answer.status_code == 202:
                promises.jobs[answer.headers["location"]] = (member, events)
        if answer.status_code == 202 and chance.random() < 0.5:
            self._follow(http, answer.headers["location"])

    def _follow(self, http: httpx2.Client, location: str) -> None:
        job = http.get(location, headers={"Prefer": "wait=10"}).json()
        with self._promises.lock:
            self._promises.hear(job)
        if job["state"] == "sequenced" and len(self._promises.proofs) < 200:
            proof = http.get(f"/api/records/{job['records'][-1]['record']}/proof")
            assert proof.status_code == 200, proof.text
            with self._promises.lock:
                self._promises.proofs.append(proof.content)


def document(chance: random.Random, events: int) -> bytes:
    """A document of events that nobody captured before."""
    value = {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-05-02T00:00:00Z",
        "epcisBody": {"eventList": [_event(chance) for _ in range(events)]},
    }
    return json.dumps(value).encode()


def _event(chance: random.Random) -> dict[str, Any]:
    number = chance.getrandbits(48)
    return {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:00000000-0000-4000-8000-{number:012x}",
        "eventTime": f"2026-05-01T08:{number % 60:02d}:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [f"{LOT}{number % 20_000}"],
        "bizStep": "inspecting",
    }


def each_job(
    node: Served, keys: dict[str, str], names: dict[str, tuple[str, int]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Acknowledged jobs as the node shows them once they are settled."""
    clients = {member: node.client(key) for member, key in keys.items()}
    try:
        for name, (member, _) in names.items():
            answer = clients[member].get(name, headers={"Prefer": "wait=20"})
            assert answer.status_code == 200, f"an acknowledged capture is lost: {answer.text}"
            yield name, answer.json()
    finally:
        for client in clients.values():
            client.close()
