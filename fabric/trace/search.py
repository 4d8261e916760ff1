"""What a typed text may mean: a lot, serial or carrier by any of its names, a document number, a bare code.

A text that names one thing gives that thing. A bare code gives candidates, each with product, origin and place,
for a person to choose from. Names that differ only in case, separators or leading zeros are suggested beside
them; nothing is ever merged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote

from fabric.epcis.identifiers import search_candidates

from .source import Thing, TraceSource

LIMIT: Final = 50
"""So many candidates, and so many near matches, are given at most."""

_TRACEABLE: Final = frozenset({"lot", "serial", "class", "document"})
_SEPARATORS: Final = re.compile(r"[^0-9a-z]+")


class Entry(NamedTuple):
    """A thing that a visible record names: its key, canonical IRI and kind (`fabric.epcis` Kind)."""

    thing: Thing
    iri: str
    kind: str


class Directory(Protocol):
    """Names of the things a reader may see; hidden ones do not exist."""

    def named(self, iris: Collection[str]) -> Iterable[Entry]:
        """Things with exactly these IRIs."""

    def ending(self, code: str, limit: int) -> Iterable[Entry]:
        """Things whose IRI ends in the letters and digits of `code`, whatever stands between them and in any
        case; at most `limit`, in the order of IRIs."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One meaning of a text. `origins` are the places it was made at, `place` where it was last."""

    thing: str
    kind: str
    product: str | None
    origins: tuple[str, ...]
    place: str | None

    def as_json(self) -> dict[str, object]:
        """The candidate as `GET /api/search` gives it."""
        return {
            "thing": self.thing,
            "kind": self.kind,
            "product": self.product,
            "origins": list(self.origins),
            "place": self.place,
        }


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a text means. `thing` is set when it can mean only one thing; `near` are suggestions, never meanings."""

    thing: str | None
    candidates: tuple[Candidate, ...]
    near: tuple[Candidate, ...]

    def as_json(self) -> dict[str, object]:
        """The resolution as `GET /api/search` gives it."""
        return {
            "thing": self.thing,
            "candidates": [one.as_json() for one in self.candidates],
            "near": [one.as_json() for one in self.near],
        }


def resolve(text: str, directory: Directory, source: TraceSource) -> Resolution:
    """What a typed text means to this reader. Never raises: a text that means nothing has no candidates."""
    terms = search_candidates(text)
    exact = list(directory.named([thing.iri for thing in terms.things]))
    similar = list(directory.ending(_code(text), LIMIT)) if _key(text) else []
    coded = [entry for entry in similar if entry.iri.endswith(terms.endings)] if terms.endings else []
    documents = [entry for entry in similar if entry.kind == "document" and _last(entry.iri) == text.strip()]
    meant = _distinct([*exact, *coded, *documents])
    near = [entry for entry in similar if entry not in meant and _key(_last(entry.iri)) == _key(_code(text))]
    return Resolution(
        meant[0].iri if len(meant) == 1 else None,
        _described(meant, source),
        _described(_distinct(near), source),
    )


def product_of(iri: str) -> str | None:
    """The product class that the IRI of a GTIN with lot or serial names; None for anything else."""
    found = re.match(r"https://id\.gs1\.org/01/[0-9]{14}(?=/)", iri)
    return None if found is None else found.group()


def _described(entries: list[Entry], source: TraceSource) -> tuple[Candidate, ...]:
    shown = [entry for entry in entries if entry.kind in _TRACEABLE][:LIMIT]
    courses = {course[0]: course for course in source.courses([entry.thing for entry in shown])}
    found = []
    for entry in shown:
        _, state, stock, _, _ = courses.get(entry.thing, (entry.thing, None, (), (), ()))
        origins = {row[0] for row in stock if row[0] is not None and row[2] != "0"}
        place = None if state is None else state[2]
        found.append(Candidate(entry.iri, entry.kind, product_of(entry.iri), tuple(sorted(origins)), place))
    return tuple(sorted(found, key=lambda one: (one.kind, one.thing)))


def _distinct(entries: Iterable[Entry]) -> list[Entry]:
    return list({entry.iri: entry for entry in entries}.values())


def _code(text: str) -> str:
    """The part of a typed text that tells things of one product apart: what follows its last separator."""
    text = text.strip()
    return unquote(re.split(r"[/:)]", text)[-1]) if "/" in text or ":" in text or ")" in text else text


def _last(iri: str) -> str:
    return unquote(re.split(r"[/:]", iri)[-1])


def _key(code: str) -> str:
    """What near names share: their letters and digits, without case and leading zeros."""
    return _SEPARATORS.sub("", code.lower()).lstrip("0")


__all__ = ["LIMIT", "Candidate", "Directory", "Entry", "Resolution", "product_of", "resolve"]
