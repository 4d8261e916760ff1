"""EPCIS documents on disk: one folder a member, at most 1,000 events a document, written as the run goes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .emit import CONTEXT, Event
from .world import ROLES, Member, World

EVENTS_PER_DOCUMENT = 1_000


def standard_dumps(value: Any) -> bytes:
    """Compact JSON by the standard library."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _fastest_dumps() -> Callable[[Any], bytes]:
    """orjson where it is installed: for what documents hold (text, integers, short decimals) the same bytes."""
    try:
        import orjson
    except ImportError:
        return standard_dumps
    return orjson.dumps


dumps = _fastest_dumps()


class MemberFolder:
    """The documents of one member. Events go out in seeded disorder; late ones in documents of their own."""

    def __init__(
        self, folder: Path, member: Member, header: dict[str, Any], rng: random.Random, per: int
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._member, self._rng, self._per = folder, member, rng, per
        self._header: dict[str, Any] | None = header
        self._waiting: dict[bool, list[bytes]] = {False: [], True: []}
        self.documents = 0

    def add(self, event: Event, *, late: bool) -> None:
        """Take one event; a full document goes to disk at once."""
        queue = self._waiting[late]
        queue.append(dumps(event))
        # Late events leave in documents of half the size, well after those that happened beside them.
        if len(queue) >= (max(self._per // 2, 1) if late else self._per):
            self._write(queue)

    def close(self) -> None:
        """Write what is left; the late ones last. A member without events still states its master data."""
        for queue in (self._waiting[False], self._waiting[True]):
            if queue or self._header is not None:
                self._write(queue)

    def _write(self, queue: list[bytes]) -> None:
        self.documents += 1
        self._rng.shuffle(queue)
        envelope: dict[str, Any] = {
            "@context": CONTEXT,
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-07-01T00:00:00Z",
            "sender": self._member.party.iri,
        }
        if self._header is not None:
            envelope["epcisHeader"] = self._header
            self._header = None
        envelope["epcisBody"] = {"eventList": []}
        head, tail = dumps(envelope)[:-3], b"]}}"
        path = self._folder / f"{self.documents:05d}.jsonld"
        path.write_bytes(head + b",".join(queue) + tail)
        queue.clear()


def master_data(member: Member) -> dict[str, Any]:
    """The header in which a member names its party, places and products."""
    places = [
        _element(p.key.iri, name=p.name, owning_party=member.party.iri, countryCode="US")
        for p in member.places
    ]
    roles = list(dict.fromkeys(p.role for p in member.places if p.role in ROLES))
    products = [
        _element(f"https://id.gs1.org/01/{product.gtin}", descriptionShort=f"{product.name} ({member.name})")
        for role in roles
        for product in [member.product(role)]
    ]
    vocabularies = {
        "Location": places,
        "Party": [_element(member.party.iri, name=member.name)],
        "EPCClass": products,
    }
    return {
        "epcisMasterData": {
            "vocabularyList": [
                {"type": f"urn:epcglobal:epcis:vtype:{kind}", "vocabularyElementList": elements}
                for kind, elements in vocabularies.items()
            ]
        }
    }


def _element(iri: str, **attributes: str) -> dict[str, Any]:
    return {
        "id": iri,
        "attributes": [{"id": f"cbvmda:{name}", "attribute": value} for name, value in attributes.items()],
    }


class Folders:
    """All members' documents of one run, under `out`."""

    def __init__(self, out: Path, world: World, rng: random.Random, per: int = EVENTS_PER_DOCUMENT) -> None:
        self._folders = {m.id: MemberFolder(out / m.id, m, master_data(m), rng, per) for m in world.members}
        self.events = 0

    def add(self, member: Member, event: Event, *, late: bool = False) -> None:
        """Hand an event to its member's documents."""
        self._folders[member.id].add(event, late=late)
        self.events += 1

    def close(self) -> None:
        """Finish every member's folder."""
        for folder in self._folders.values():
            folder.close()
