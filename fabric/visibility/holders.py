"""Which member holds a party or location at a time: exact identifier before GLN before company prefix.

Members hold identifiers by statements of the operator, each with a validity. An identifier nobody holds gives
nobody sight.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from fabric.epcis.identifiers import Position, canonical_thing
from ledger.errors import InvalidInput
from ledger.identifier import Identifier

_GLN: Final = re.compile(r"https://id\.gs1\.org/41[47]/([0-9]{13})(?:/|\Z)")

Spans = tuple[tuple[int, int | None, str], ...]
"""Validities in milliseconds UTC, `[from, until)`, each with the member that holds the identifier then."""


class Holders:
    """An index over the registry's identifiers. Immutable; equal identifiers answer equally."""

    def __init__(self, identifiers: Iterable[Identifier]) -> None:
        self._held: dict[tuple[str, str], list[tuple[int, int | None, str]]] = {}
        for one in identifiers:
            key = (one.kind, canonical_party(one.value) if one.kind == "iri" else one.value)
            self._held.setdefault(key, []).append((one.from_ms, one.until_ms, one.member))
        self._prefix_sizes = sorted(
            {len(value) for kind, value in self._held if kind == "prefix"}, reverse=True
        )
        self._spans: dict[str, tuple[Spans, ...]] = {}

    def member_of(self, iri: str, time_us: int) -> str | None:
        """The member that holds a canonical party or place IRI at a time in microseconds UTC, or None."""
        time_ms = time_us // 1000
        for spans in self.spans(iri):
            for start, end, member in spans:
                if start <= time_ms and (end is None or time_ms < end):
                    return member
        return None

    def spans(self, iri: str) -> tuple[Spans, ...]:
        """Everything that decides who holds an IRI, in order of precedence; equal spans, equal answers."""
        found = self._spans.get(iri)
        if found is None:
            found = self._spans[iri] = tuple(
                tuple(sorted(self._held[key], key=repr)) for key in self._keys(iri) if key in self._held
            )
        return found

    def _keys(self, iri: str) -> list[tuple[str, str]]:
        match = _GLN.match(iri)
        if match is None:
            return [("iri", iri)]
        gln = match[1]
        return [("iri", iri), ("gln", gln), *(("prefix", gln[:size]) for size in self._prefix_sizes)]


def canonical_party(value: str) -> str:
    """The canonical IRI of a party identifier as the operator wrote it; kept as it is when it names no GS1 key."""
    try:
        return canonical_thing(value, Position.PARTY).iri
    except InvalidInput:
        return value
