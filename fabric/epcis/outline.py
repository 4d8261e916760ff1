"""How many events a text has, before anything is built from it, or before all of it is there.

Counting what every event names is quick and counts too many at worst; only where that is too many are the events
themselves counted. A text of many more values than bytes that say something is refused as well, because each value
takes far more memory than its text.
"""

from __future__ import annotations

import re
from typing import Final

from ledger.errors import Finding, TooLarge

from .xml_parser import Element, Place, RefusedXML, looks_like_xml, parse

LEAST_BYTES_A_VALUE: Final = 8
"""Bytes of a JSON text for each of its values, the least that is read where there are many."""

FEW_VALUES: Final = 100_000
"""Values that any text may have, however short each is."""

_NAMED = (b'"eventTime"', b"<eventTime")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\],:]', re.DOTALL)
_LISTS = ((b'"epcisBody"',), (b'"epcisBody"', b'"queryResults"', b'"resultsBody"'))


class _Enough(Exception):
    """There are more events than may be."""


def has_more_events(data: bytes, most: int) -> bool:
    """Whether a text, or as much of it as is there, certainly has more than `most` events. JSON or XML; never raises."""
    if looks_like_xml(data):
        return data.count(_NAMED[1]) > most and _xml_has_more(data, most)
    return data.count(_NAMED[0]) > most and _excess(data, most) is not None


def refuse_excess(data: bytes, most_events: int) -> None:
    """Refuse a JSON text of too many events or values before it is parsed. Raises TooLarge."""
    if data.count(_NAMED[0]) > most_events and (place := _excess(data, most_events)) is not None:
        raise _refusal(place, "too-many-events", f"{most_events} events in a capture at most")
    most = FEW_VALUES + len(data) // LEAST_BYTES_A_VALUE
    # Commas and colons in texts count here; where they are too many, only those between values do.
    if data.count(b",") + data.count(b"[") + data.count(b"{") <= most:
        return
    if sum(one.group() in (b",", b"[", b"{") for one in _TOKEN.finditer(data)) > most:
        raise _refusal("", "too-many-values", f"{most} values in a text of {len(data)} bytes at most")


def _refusal(place: str, rule: str, expected: str) -> TooLarge:
    finding = Finding(None, place, rule, expected, "more")
    return TooLarge(f"{place or '/'}: expected {expected}, got more", [finding], rule)


def _excess(data: bytes, most: int) -> str | None:
    """The pointer of the first event after `most`, if there is one; each container is known by the name it is under."""
    names: list[bytes] = []
    name = text = b""
    inside, count = 0, 0
    for match in _TOKEN.finditer(data):
        token = match.group()
        if token == b":":
            name = text
        elif token == b"{" or token == b"[":
            if inside:
                if len(names) == inside:
                    count += 1
                    if count > most:
                        return "/".join(["", *[one.decode()[1:-1] for one in names[1:]], str(most)])
            elif token == b"[" and name == b'"eventList"' and tuple(names[1:]) in _LISTS:
                inside = len(names) + 1
            names.append(name)
            name = b""
        elif token == b"}" or token == b"]":
            if names:
                names.pop()
            if len(names) < inside:
                inside = 0
        elif token != b",":
            text = token
    return None


def _xml_has_more(data: bytes, most: int) -> bool:
    left = most

    def count(holder: Element, _element: Element, _place: Place) -> None:
        nonlocal left
        left -= holder.name.local == "EventList"
        if left < 0:
            raise _Enough

    try:
        parse(data, count)
    except _Enough:
        return True
    except RefusedXML:
        return False
    return False
