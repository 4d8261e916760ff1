"""64 clients that capture and query at once: no error, and no page walk that loses or repeats an event.

Clients of one member capture into one room, a location, and walk its pages while the others go on capturing there. A walk
has to hold every event that was acknowledged before it began, none twice, and none that nobody sent.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from bench.serving import Served

CLIENTS = 64
MEMBERS = ("baker", "dairy", "mill", "shop")
ROOM_EVENTS = 240
SLICE_S = 6.0
SOAK_S = 300.0
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
PATIENCE_S = 120.0


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("crowd") / "node") as node:
        yield node


@dataclass
class Room:
    """A location of one member: what was sent to it, and what of that was acknowledged."""

    place: str
    sent: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)


@dataclass
class Crowd:
    """What all clients share: the rooms, how long each answer took, and what went wrong."""

    until: float
    chance: random.Random
    rooms: dict[str, list[Room]] = field(default_factory=lambda: defaultdict(list))
    took_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)
    walks: int = 0
    events: int = 0

    def room(self, member: str) -> Room:
        """The member's present room; a full one is followed by the next."""
        rooms = self.rooms[member]
        if not rooms or len(rooms[-1].sent) >= ROOM_EVENTS:
            rooms.append(Room(f"urn:epc:id:sgln:9521321.{len(rooms):05d}.{member}"))
        return rooms[-1]

    def told(self) -> str:
        """How many of each, and the 50th, 95th and 99th percentile in milliseconds."""
        lines = [f"{self.events} events, {self.walks} page walks"]
        for name, took in sorted(self.took_s.items()):
            cuts = statistics.quantiles(took, n=100) if len(took) > 1 else [took[0]] * 99
            p50, p95, p99 = (round(1000 * cuts[index], 1) for index in (49, 94, 98))
            lines.append(f"{name}: {len(took)} answers, p50 {p50} ms, p95 {p95} ms, p99 {p99} ms")
        return "\n".join(lines)


class Client:
    """One client: it captures and asks, by chance, until time is up."""

    def __init__(self, crowd: Crowd, http: httpx2.AsyncClient, member: str, number: int) -> None:
        self.crowd = crowd
        self.http = http
        self.member = member
        self.chance = random.Random(crowd.chance.random())
        self.number = number
        self.count = 0

    async def run(self) -> None:
        """Go on until time is up; the first fault ends this client."""
        doings = (self.capture, self.capture, self.walk, self.find, self.list_steps)
        try:
            while time.monotonic() < self.crowd.until:
                await self.chance.choice(doings)()
        except (AssertionError, httpx2.HTTPError) as fault:
            self.crowd.faults.append(f"client {self.number}: {type(fault).__name__} {str(fault)[:600]}")

    async def _ask(self, name: str, method: str, path: str, status: int, **more: Any) -> httpx2.Response:
        began = time.monotonic()
        answer = await self.http.request(method, path, **more)
        self.crowd.took_s[name].append(time.monotonic() - began)
        assert answer.status_code == status, f"{name}: {answer.status_code} {answer.text[:400]}"
        return answer

    async def capture(self) -> None:
        """Capture a few events and wait until they are in the log."""
        room = self.crowd.room(self.member)
        events = [self._event(room) for _ in range(self.chance.randint(1, 6))]
        names = {event["eventID"] for event in events}
        room.sent |= names
        body = json.dumps(document(events)).encode()
        headers = {"Content-Type": "application/ld+json"}
        answer = await self._ask("capture", "POST", "/epcis/capture", 202, content=body, headers=headers)
        waiting = {"Prefer": "wait=20"}
        while True:
            job = (await self._ask("job", "GET", answer.headers["location"], 200, headers=waiting)).json()
            if not job["running"]:
                break
        assert job["success"], job
        room.done |= names
        self.crowd.events += len(names)

    def _event(self, room: Room) -> dict[str, Any]:
        self.count += 1
        name = f"{self.number:04x}-4000-8000-{self.count:012x}"
        return {
            "type": "ObjectEvent",
            "eventID": f"urn:uuid:00000000-{name}",
            "eventTime": f"2026-05-01T{self.chance.randrange(24):02d}:{self.chance.randrange(60):02d}:00Z",
            "eventTimeZoneOffset": "+00:00",
            "action": "OBSERVE",
            "epcList": [f"urn:epc:id:sgtin:9521321.000017.{self.number}-{self.count % 40}"],
            "bizStep": "storing",
            "bizLocation": {"id": room.place},
        }

    async def walk(self) -> None:
        """Walk the pages of a room that others capture into."""
        rooms = self.crowd.rooms[self.member]
        if not rooms:
            return
        room = rooms[-1] if self.chance.random() < 0.7 else self.chance.choice(rooms)
        before = set(room.done)
        order = self.chance.choice(([], [("orderBy", "eventTime")], [("orderBy", "recordTime")]))
        query = [("EQ_bizLocation", room.place), ("perPage", str(self.chance.randint(5, 40))), *order]
        seen = await self._pages("/epcis/events", query)
        assert len(seen) == len(set(seen)), (
            f"a walk repeats {len(seen) - len(set(seen))} of {len(seen)} events"
        )
        assert before <= set(seen), f"a walk of {len(seen)} events loses {len(before - set(seen))}"
        assert set(seen) <= room.sent, "a walk has events of another room"
        self.crowd.walks += 1

    async def _pages(self, path: str, query: list[tuple[str, str]]) -> list[str]:
        answer = await self._ask("first page", "GET", path, 200, params=query)
        seen: list[str] = []
        while True:
            results = answer.json()["epcisBody"]["queryResults"]["resultsBody"]
            seen += [event["eventID"] for event in results["eventList"]]
            following = re.search(r'<([^>]+)>;\s*rel="next"', answer.headers.get("link", ""))
            if following is None:
                return seen
            answer = await self._ask("next page", "GET", following[1], 200)

    async def find(self) -> None:
        """Ask for one item."""
        epc = f"urn:epc:id:sgtin:9521321.000017.{self.number}-{self.chance.randrange(40)}"
        await self._ask("by EPC", "GET", "/epcis/events", 200, params=[("MATCH_anyEPC", epc)])

    async def list_steps(self) -> None:
        """Ask for the business steps."""
        await self._ask("bizSteps", "GET", "/epcis/bizSteps", 200, params=[("perPage", "100")])


def document(events: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-05-02T00:00:00Z",
        "epcisBody": {"eventList": events},
    }


async def _crowd(node: Served, keys: dict[str, str], seconds: float, seed: int) -> Crowd:
    crowd = Crowd(time.monotonic() + seconds, random.Random(seed))
    limits = httpx2.Limits(max_connections=CLIENTS)
    clients = {
        member: httpx2.AsyncClient(
            base_url=node.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=PATIENCE_S,
            limits=limits,
        )
        for member, key in keys.items()
    }
    try:
        await asyncio.gather(
            *(
                Client(crowd, clients[member], member, number).run()
                for number, member in enumerate(MEMBERS * (CLIENTS // len(MEMBERS)))
            )
        )
        await _look_at_the_end(crowd, clients)
    finally:
        for client in clients.values():
            await client.aclose()
    return crowd


async def _look_at_the_end(crowd: Crowd, clients: dict[str, httpx2.AsyncClient]) -> None:
    """When nobody captures any more, every room holds what was acknowledged, and nothing else."""
    for member, rooms in crowd.rooms.items():
        last = Client(crowd, clients[member], member, CLIENTS)
        for room in rooms:
            seen = await last._pages("/epcis/events", [("EQ_bizLocation", room.place), ("perPage", "50")])
            if sorted(seen) != sorted(room.done):
                crowd.faults.append(
                    f"{room.place}: {len(room.done)} acknowledged, {len(seen)} found at the end"
                )


def _holds(node: Served, seconds: float, seed: int) -> None:
    members = [{"id": name, "name": name.title(), "parties": []} for name in MEMBERS]
    keys = node.admit({"members": members})
    crowd = asyncio.run(_crowd(node, keys, seconds, seed))
    print(f"seed {seed}, {seconds:g} s, {CLIENTS} clients: {crowd.told()}")
    assert crowd.faults == []
    assert crowd.walks > 0
    assert crowd.events > 0


def test_a_crowd_of_clients_loses_and_repeats_nothing(node: Served, seed: int) -> None:
    _holds(node, SLICE_S, seed)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_crowd_of_clients_loses_and_repeats_nothing_for_five_minutes(node: Served, seed: int) -> None:
    _holds(node, SOAK_S, seed)
