"""Bodies that are neither events nor queries, in both forms: collections of names, and problems."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from fabric.epcis.xml_document import CONTEXT
from fabric.epcis.xml_writer_answers import xml_collection, xml_problem


def collection(members: Iterable[str], *, xml: bool) -> bytes:
    """A Collection of names, each of which comes once."""
    if xml:
        return xml_collection(members)
    return orjson.dumps({"@context": CONTEXT, "type": "Collection", "member": list(members)})


def problem(members: Mapping[str, Any], *, xml: bool) -> bytes:
    """A problem document with these members (RFC 9457)."""
    # ASCII escapes, because what was got may hold lone surrogates that no encoder takes.
    return xml_problem(members) if xml else json.dumps(members).encode()
