"""EPCIS documents on disk: one folder a member, at most 1,000 events a document, written as the run goes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .emit import CONTEXT, Event
from .names import trade_class
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


@dataclass(frozen=True, slots=True)
class Layout:
    """How documents are cut: events in each, the creation date, and the disorder (None: as it happened)."""

    per_document: int = EVENTS_PER_DOCUMENT
    created: str = "2026-07-01T00:00:00Z"
    disorder: random.Random | None = None


class MemberFolder:
    """The documents of one member. Events go out in seeded disorder; late ones in documents of their own."""

    def __init__(self, folder: Path, member: Member, layout: Layout) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._member, self._layout = folder, member, layout
        self._header: dict[str, Any] | None = master_data(member)
        self._waiting: dict[bool, list[bytes]] = {False: [], True: []}
        self.documents = 0

    def add(self, event: Event, *, late: bool) -> None:
        """Take one event; a full document goes to disk at once."""
        queue = self._waiting[late]
        queue.append(dumps(event))
        # Late events leave in documents of half the size, well after those that happened beside them.
        if len(queue) >= self._room(late):
            self._write(queue)

    def _room(self, late: bool) -> int:
        return max(self._layout.per_document // 2, 1) if late else self._layout.per_document

    def close(self) -> None:
        """Write what is left; the late ones last. A member without events still states its master data."""
        for queue in (self._waiting[False], self._waiting[True]):
            if queue or self._header is not None:
                self._write(queue)

    def _write(self, queue: list[bytes]) -> None:
        self.documents += 1
        if self._layout.disorder is not None:
            self._layout.disorder.shuffle(queue)
        envelope: dict[str, Any] = {
            "@context": CONTEXT,
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": self._layout.created,
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
        _element(
            p.key.iri, {"name": p.name, "owning_party": member.party.iri, "countryCode": "US"} | p.details
        )
        for p in member.places
    ]
    roles = list(dict.fromkeys(p.role for p in member.places if p.role in ROLES))
    products = list(member.catalogue.values()) or [member.product(role) for role in roles]
    vocabularies = {
        "Location": places,
        "Party": [_element(member.party.iri, {"name": member.name} | member.details)],
        "EPCClass": [
            _element(trade_class(p.gtin).iri, {"descriptionShort": p.name} | p.details) for p in products
        ],
    }
    return {
        "epcisMasterData": {
            "vocabularyList": [
                {"type": f"urn:epcglobal:epcis:vtype:{kind}", "vocabularyElementList": elements}
                for kind, elements in vocabularies.items()
            ]
        }
    }


def _element(iri: str, attributes: dict[str, str]) -> dict[str, Any]:
    return {
        "id": iri,
        "attributes": [
            {"id": name if ":" in name else f"cbvmda:{name}", "attribute": value}
            for name, value in attributes.items()
        ],
    }


class Folders:
    """All members' documents of one run, under `out`."""

    def __init__(self, out: Path, world: World, layout: Layout) -> None:
        self._folders = {m.id: MemberFolder(out / m.id, m, layout) for m in world.members}
        self.events = 0

    def add(self, member: Member, event: Event, *, late: bool = False) -> None:
        """Hand an event to its member's documents."""
        self._folders[member.id].add(event, late=late)
        self.events += 1

    def close(self) -> None:
        """Finish every member's folder."""
        for folder in self._folders.values():
            folder.close()
