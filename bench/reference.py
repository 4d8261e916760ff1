"""Reference events (design, section 7): 900 bytes, 15 units, 3 thing references, in documents of any size."""

from __future__ import annotations

import json
import uuid
from random import Random
from typing import Any

CONTEXT = [
    "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
    {"ex": "https://example.org/terms/"},
]


def event(random: Random, number: int) -> dict[str, Any]:
    """One event of 900 bytes and 15 units that refers to three things: two lots and a read point."""
    lot = f"L{random.randrange(10**9):09d}"
    value: dict[str, Any] = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:{uuid.UUID(int=random.getrandbits(128), version=4)}",
        "eventTime": f"2026-03-{1 + number % 28:02d}T08:{number % 60:02d}:{number // 60 % 60:02d}.000Z",
        "eventTimeZoneOffset": "+01:00",
        "action": "OBSERVE",
        "bizStep": "inspecting",
        "disposition": "conformant",
        "readPoint": {"id": "https://id.gs1.org/414/9506000134352"},
        "quantityList": [
            {"epcClass": f"https://id.gs1.org/01/09506000134352/10/{lot}A", "quantity": 120, "uom": "KGM"},
            {"epcClass": f"https://id.gs1.org/01/09506000134369/10/{lot}B", "quantity": 80.5, "uom": "KGM"},
        ],
        "ex:inspector": {"name": "Station 7", "method": "visual"},
        "ex:remark": "",
    }
    value["ex:remark"] = "x" * (900 - len(json.dumps(value, separators=(",", ":"))))
    return value


def document(random: Random, events: int) -> bytes:
    """An EPCISDocument of that many reference events."""
    value = {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-29T10:00:00Z",
        "epcisBody": {"eventList": [event(random, number) for number in range(events)]},
    }
    return json.dumps(value, separators=(",", ":")).encode()
