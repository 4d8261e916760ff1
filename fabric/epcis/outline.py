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
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\],:]', re.DOTALL)
_LISTS = ((b'"epcisBody"',), (b'"epcisBody"', b'"queryResults"', b'"resultsBody"'))


class _Enough(Exception):
    """There are more events than may be; the first one too many is at the path."""


def excess_of_events(data: bytes, most: int) -> str | None:
    """Where in a text, or in as much of it as is there, the first event after `most` is; None where there is none.

    A pointer in JSON, a path in XML. Never raises. An event that does not name its time as every event must may go
    uncounted here; whoever reads the document finds it.
    """
    if looks_like_xml(data):
        return _xml_excess(data, most) if data.count(_NAMED[1]) > most else None
    return _json_excess(data, most) if data.count(_NAMED[0]) > most else None


def refuse_excess(data: bytes, most_events: int) -> None:
    """Refuse a JSON text of too many values or events before it is parsed. Raises TooLarge."""
    most = FEW_VALUES + len(data) // LEAST_BYTES_A_VALUE
    # Signs inside texts count here; where that is too many, only those between texts do.
    if _signs(data) > most and _signs(_STRING.sub(b"", data)) > most:
        raise _refusal("", "too-many-values", f"{most} values in a text of {len(data)} bytes at most")
    if (place := excess_of_events(data, most_events)) is not None:
        raise _refusal(place, "too-many-events", f"{most_events} events in a capture at most")


def _signs(data: bytes) -> int:
    """Commas and opening brackets: about one for each value."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _refusal(place: str, rule: str, expected: str) -> TooLarge:
    finding = Finding(None, place, rule, expected, "more")
    return TooLarge(f"{place or '/'}: expected {expected}, got more", [finding], rule)


def _json_excess(data: bytes, most: int) -> str | None:
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


def _xml_excess(data: bytes, most: int) -> str | None:
    left = most

    def count(holder: Element, _element: Element, place: Place) -> None:
        nonlocal left
        left -= holder.name.local == "EventList"
        if left < 0:
            raise _Enough(place.path)

    try:
        parse(data, count)
    except _Enough as found:
        return str(found)
    except RefusedXML:
        return None
    return None
