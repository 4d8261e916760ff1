"""What master data says to one reader: which places lie below which, and the attributes of things.

A place lies below another where visible master data lists it among the other's `children`, directly or through
others; EPCIS 2.0 (section 6.5) knows no other hierarchy, so a GLN with an extension lies below the GLN only where
somebody says so. Of several claims about one identifier that of the member that holds it counts, then the newest
(design: meaning, section 2), each vocabulary type by itself. A reader sees the claims of the members in whose name it asks, and those about what a record
that it sees names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from fabric.epcis.identifiers import Position, read_name
from fabric.epcis.master_data import MASTER_DATA_POSITION
from fabric.visibility.sight import named_visibly

from .errors import QueryTooComplex
from .scope import Scope

MOST_PLACES: Final = 20_000
"""Places below one another that a question may ask for."""

_CLAIMS: Final = (
    "SELECT t.iri, m.type, m.member, m.seq, r.position, r.body FROM thing t JOIN master m ON m.thing = t.id"
    " JOIN record r ON r.id = m.record WHERE t.iri IN {keys} AND m.seq < ?"
)
_ABSENT: Final[Mapping[str, tuple[str, ...]]] = {}

HolderOf = Callable[[str, int], str | None]
"""Which member holds an identifier at a time in microseconds UTC."""


class _Claim(NamedTuple):
    children: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]


class MasterData:
    """Claims as one scope sees them, read once each; `time_us` is when the holder of an identifier is asked for."""

    def __init__(self, scope: Scope, holder_of: HolderOf, time_us: int) -> None:
        self._scope = scope
        self._holder_of = holder_of
        self._time_us = time_us
        self._claims: dict[str, list[_Claim]] = {}
        self._below: dict[str, frozenset[str]] = {}

    def descendants(self, iri: str) -> frozenset[str]:
        """Every place below one, without itself; raises QueryTooComplex for more than a question may ask for."""
        found = self._below.get(iri)
        if found is None:
            found = self._below[iri] = frozenset(self._walk(iri) - {iri})
        return found

    def attributes(self, iri: str) -> Mapping[str, tuple[str, ...]]:
        """The attributes that master data gives a thing: by IRI of the attribute, as texts."""
        self._learn([iri])
        found: dict[str, tuple[str, ...]] = {}
        for claim in self._claims[iri]:
            found = {**claim.attributes, **found}
        return found or _ABSENT

    def _walk(self, iri: str) -> set[str]:
        seen = {iri}
        level = {iri}
        while level:
            self._scope.require_time()
            self._learn(level)
            below = {child for one in level for claim in self._claims[one] for child in claim.children}
            level = below - seen
            seen |= level
            if len(seen) > MOST_PLACES:
                raise QueryTooComplex(
                    f"expected a place with at most {MOST_PLACES} others below it, got one with more"
                )
        return seen

    def _learn(self, iris: Collection[str]) -> None:
        missing = {iri for iri in iris if iri not in self._claims}
        if not missing:
            return
        rows = self._scope.rows(_CLAIMS, self._scope.keys(missing), self._scope.size)
        named = named_visibly(self._scope.connection, self._scope.limited, missing)
        visible = [row for row in rows if row[0] in named or self._scope.reader.sees((row[2],))]
        for iri in missing:
            self._claims[iri] = []
        for iri, body in self._winning(visible):
            self._claims[iri].append(_claim(body))

    def _winning(self, rows: Iterable[Any]) -> list[tuple[str, bytes]]:
        """The body of the claim that counts, for each identifier and vocabulary type."""
        best: dict[tuple[str, str], tuple[tuple[bool, int, int], bytes]] = {}
        for iri, kind, member, seq, position, body in rows:
            rank = (member == self._holder_of(iri, self._time_us), seq, position)
            if body is not None and ((iri, kind) not in best or best[iri, kind][0] < rank):
                best[iri, kind] = (rank, body)
        return [(iri, body) for (iri, _), (_, body) in sorted(best.items())]


def _claim(body: bytes) -> _Claim:
    record = orjson.loads(body)
    element = record["element"]
    position = MASTER_DATA_POSITION.get(record["type"], Position.EPC)
    children = tuple([read_name(name, position)[0].iri for name in element.get("children", ())])
    attributes: dict[str, tuple[str, ...]] = {}
    for one in element.get("attributes", ()):
        values = one.get("attribute")
        texts = tuple([_text(value) for value in (values if isinstance(values, list) else [values])])
        attributes[one["id"]] = attributes.get(one["id"], ()) + texts
    return _Claim(children, attributes)


def _text(value: Any) -> str:
    """An attribute's value as it is compared: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
