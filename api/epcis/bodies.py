"""Bodies that are neither events nor queries, in both forms: collections of names, and problems.

The standard's schemas name their elements in XML: `epcis:EPCISException` for a problem; of a collection it names none,
so that is `epcis:Collection` with a `member` for each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson

from fabric.epcis.xml_document import CONTEXT
from fabric.epcis.xml_writer import EPCIS, PROLOG

_NO_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def collection(members: Iterable[str], *, xml: bool) -> bytes:
    """A Collection of names, each of which comes once."""
    if not xml:
        return orjson.dumps({"@context": CONTEXT, "type": "Collection", "member": list(members)})
    return _document("Collection", "".join(_element("member", one) for one in members))


def problem(members: Mapping[str, Any], *, xml: bool) -> bytes:
    """A problem document with these members (RFC 9457)."""
    if not xml:
        # ASCII escapes, because what was got may hold lone surrogates that no encoder takes.
        return json.dumps(members).encode()
    return _document("EPCISException", "".join(_member(name, value) for name, value in members.items()))


def _member(name: str, value: Any) -> str:
    if isinstance(value, list):
        item = name.removesuffix("s")
        return f"<{name}>" + "".join(_member(item, one) for one in value) + f"</{name}>"
    if isinstance(value, Mapping):
        return f"<{name}>" + "".join(_member(*pair) for pair in value.items()) + f"</{name}>"
    return "" if value is None else _element(name, value)


def _element(name: str, value: object) -> str:
    # What was refused may hold what no XML text can.
    return f"<{name}>{escape(_NO_CHARACTER.sub(chr(0xFFFD), str(value)))}</{name}>"


def _document(root: str, inside: str) -> bytes:
    return f'{PROLOG}<epcis:{root} xmlns:epcis="{EPCIS}">{inside}</epcis:{root}>'.encode()
