"""Bodies that are neither events nor queries, in both forms: collections of names, and problems."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from fabric.epcis.xml_document import CONTEXT
from fabric.epcis.xml_writer_answers import xml_collection, xml_problem


def collection(members: Iterable[str], *, xml: bool, prefixes: Mapping[str, str] | None = None) -> bytes:
    """A Collection of names, each of which comes once.

    In JSON a name in one of the namespaces of `prefixes` is written with its prefix, and the context defines it.
    """
    if xml:
        return xml_collection(members)
    told, used = _with_prefixes(members, prefixes or {})
    context = [CONTEXT, used] if used else CONTEXT
    return orjson.dumps({"@context": context, "type": "Collection", "member": told})


def _with_prefixes(members: Iterable[str], prefixes: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    told, used = list[str](), dict[str, str]()
    for name in members:
        # The longest namespace says most.
        fitting = [
            (len(space), prefix) for prefix, space in prefixes.items() if space and name.startswith(space)
        ]
        length, prefix = max(fitting, default=(len(name), ""))
        # What begins with two slashes would be an address again, and not a name with a prefix.
        if name[length:] and not name.startswith("//", length):
            used[prefix] = prefixes[prefix]
            name = f"{prefix}:{name[length:]}"
        told.append(name)
    return told, used


def problem(members: Mapping[str, Any], *, xml: bool) -> bytes:
    """A problem document with these members (RFC 9457)."""
    # ASCII escapes, because what was got may hold lone surrogates that no encoder takes.
    return xml_problem(members) if xml else json.dumps(members).encode()
