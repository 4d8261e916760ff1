"""Events that tests of the query interface ask about: some of the farm's alone, one that the shop sees too."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from tests.api.door import Door

PLACE, LINE = "urn:epc:id:sgln:9521321.00001.0", "urn:epc:id:sgln:9521321.00002.7"
PLACE_LINK, LINE_LINK = (
    "https://id.gs1.org/414/9521321000018",
    "https://id.gs1.org/414/9521321000025/254/7",
)
SHOP_PARTY = "https://id.gs1.org/417/9506000134369"
HASH_ID = f"ni:///sha-256;{'5e' * 32}?ver=CBV2.0"
OWN_STEP, OWN_DISPOSITION = "https://farm.example.com/steps/pruning", "https://farm.example.com/disp/ripe"
SENT, MISTAKEN = (
    "urn:uuid:00000000-0000-4000-8000-00000000beef",
    "urn:uuid:00000000-0000-4000-8000-00000000dead",
)
NOTES = "https://example.org/terms/"
LINK = re.compile(r'<([^>]+)>; rel="next"')


def serial(number: int) -> str:
    """The EPC of an item, as a URN."""
    return f"urn:epc:id:sgtin:9521321.000017.{number}"


def serial_link(number: int) -> str:
    """The same EPC as a GS1 Digital Link."""
    return f"https://id.gs1.org/01/09521321000179/21/{number}"


def plant(door: Door) -> None:
    """Capture the orchard: twelve events at one place and line, and four that differ each in one way."""
    event = door.sim.event
    at: dict[str, Any] = {"bizLocation": {"id": PLACE}, "readPoint": {"id": LINE}}
    rows = [
        event(epcList=[serial(n)], bizStep="commissioning", disposition="active", action="ADD", **at)
        | {"ex:row": str(n)}
        for n in range(12)
    ]
    mistake = event(eventID=MISTAKEN, epcList=[serial(50)], bizStep="inspecting")
    declared = mistake | {"errorDeclaration": {"declarationTime": "2026-05-03T00:00:00Z"}}
    sent = event(
        eventID=SENT,
        epcList=[serial(3)],
        bizStep="shipping",
        disposition="in_transit",
        destinationList=[{"type": "possessing_party", "destination": SHOP_PARTY}],
    )
    own = event(
        eventID=HASH_ID, epcList=["urn:private:tree:7"], bizStep=OWN_STEP, disposition=OWN_DISPOSITION
    )
    door.captured(door.sim.document([*rows, mistake, sent, own]))
    door.captured(door.sim.document([declared]))


def listed(answer: Any) -> list[dict[str, Any]]:
    """The events of an answer."""
    assert answer.status_code == 200, answer.text[:800]
    found: list[dict[str, Any]] = answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return found


def following(answer: Any) -> str | None:
    """The path that the next page is at."""
    found = LINK.fullmatch(answer.headers.get("link", ""))
    return None if found is None else found[1].removeprefix("http://127.0.0.1")


def walked(door: Door, path: str, member: str = "farm", **headers: str) -> list[dict[str, Any]]:
    """The events of all pages from a path on."""
    found: list[dict[str, Any]] = []
    at: str | None = path
    while at is not None:
        answer = door.get(at, member, **headers)
        found += listed(answer)
        at = following(answer)
    return found


def part(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")
