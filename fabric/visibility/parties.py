"""The parties of a record: who captured it, and whom its source and destination lists name.

Naming decides, never the business step; readPoint, bizLocation and extension fields make nobody a party.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from .holders import Holders

_TYPES: Final = ("owning_party", "possessing_party", "location")

Named = tuple[tuple[str, str], ...]
"""Entries of a source or destination list as (type IRI, party or place IRI)."""


class Sides(NamedTuple):
    """What a record's source and destination lists name."""

    sources: Named = ()
    destinations: Named = ()

    def iris(self) -> set[str]:
        """The parties and places that count: those of a type that makes parties."""
        return {iri for entries in self for kind, iri in entries if _type_word(kind) in _TYPES}


def parties(member: str, event_type: str, time_us: int, sides: Sides, holders: Holders) -> frozenset[str]:
    """The members that may see a record by what it says itself; its capturing member is always one of them.

    Two different parties of one type on one side leave only the capturing member: nobody sees the other's leg.
    """
    alone = frozenset({member})
    if event_type == "TransformationEvent" or not (sides.sources or sides.destinations):
        return alone
    found = {member}
    for entries in sides:
        for _, iris in _by_type(entries):
            held = {holders.member_of(iri, time_us) or iri for iri in iris}
            if len(held) > 1:
                return alone
            found |= {name for iri in iris if (name := holders.member_of(iri, time_us)) is not None}
    return frozenset(found)


def is_split_needed(sides: Sides) -> bool:
    """Whether one side names two identifiers of one type; then a warning asks to split the event."""
    return any(len(iris) > 1 for entries in sides for _, iris in _by_type(entries))


def _by_type(entries: Iterable[tuple[str, str]]) -> list[tuple[str, set[str]]]:
    found: dict[str, set[str]] = {}
    for kind, iri in entries:
        word = _type_word(kind)
        if word in _TYPES:
            found.setdefault(word, set()).add(iri)
    return list(found.items())


def _type_word(kind: str) -> str:
    return kind.rsplit("/", 1)[-1].removeprefix("SDT-")
