"""Our vocabulary and the mapping from EPCIS JSON to RDF, as tables with full IRIs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from . import read_table, read_text

MAPPING: Final = "mapping.toml"
TERMS: Final = "loomark.ttl"
_PREFIXED: Final = re.compile(r"([a-z0-9]+):([A-Za-z][\w-]*)")


@cache
def prefixes() -> Mapping[str, str]:
    """The prefixes of the mapping, and of what is written from the graph."""
    return dict(read_table(MAPPING)["prefixes"])


@cache
def term(name: str) -> str:
    """The IRI of a prefixed name such as ``prov:used``. Raises KeyError for a prefix that is not ours."""
    prefix, _, rest = name.partition(":")
    return prefixes()[prefix] + rest


def mapping_version() -> int:
    """Version of the mapping; a graph that was made by another one is rebuilt."""
    return int(read_table(MAPPING)["version"])


def turtle() -> str:
    """Our own terms, as Turtle."""
    return read_text(TERMS)


def mapped_terms() -> frozenset[str]:
    """Every IRI that the mapping can write as a predicate or class."""
    table = read_table(MAPPING)
    return frozenset(term(name) for name in _names({**table, "prefixes": {}}))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str) and _PREFIXED.fullmatch(value):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _names(inner)
