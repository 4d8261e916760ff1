"""What a typed text may mean: a lot, serial or carrier by any of its names, a document number, a bare code.

A text that names one thing gives that thing. A bare code gives candidates, each with product, origin and place,
for a person to choose from; a document comes with its issuer, its date and what it is about, and a bare GTIN gives
the lots and serials of that product. Words that pages print before names ("GTIN", "lot") may be typed. Names that
differ only in case, separators or leading zeros are suggested beside them; where nothing has the name, so are those
that begin or end with it, are one edit away, or have the right check digit. Nothing is ever merged, and nothing that the
reader may not see is meant or suggested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote

from fabric.epcis.gs1 import check_digit, encode
from fabric.epcis.identifiers import is_absolute_uri, search_candidates
from fabric.lineage import Fact
from fabric.lineage.fact import MENTION

from .document import time_text
from .source import Thing, TraceSource

LIMIT: Final = 50
"""So many candidates, and so many near matches, are given at most."""

_TRACEABLE: Final = frozenset({"lot", "serial", "class", "document"})
_SEPARATORS: Final = re.compile(r"[^0-9a-z]+")
_LABELLED: Final = re.compile(
    r"(?:.*[\s,;])?(lot|batch|serial|sscc|gtin|gln|document)(?:\s+(?:number|no\.?))?[\s:#]+(\S.*)\Z",
    re.I | re.S,
)
_OF_GTIN: Final = re.compile(
    r"gtin[\s:#]*([0-9]{8}|[0-9]{12,14})[\s,;]+(lot|batch|serial)(?:\s+(?:number|no\.?))?[\s:#]+(\S.*)\Z",
    re.I | re.S,
)
_QUALIFIERS: Final = {"lot": "10", "batch": "10", "serial": "21"}
_PRODUCT: Final = re.compile(r"https://id\.gs1\.org/01/[0-9]{14}\Z")
_KEYED: Final = re.compile(r"(?<![0-9])(?:[0-9]{8}|[0-9]{12,14}|[0-9]{18})(?![0-9])")
_MIN_BEGINNING: Final = 3
_MIN_EDITED: Final = 4
_MAX_SUGGESTED: Final = 10


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

    def sharing(self, first: str, last: str, fits: Callable[[str], bool], limit: int) -> Iterable[Entry]:
        """Things whose IRI `fits`, of those whose last part begins with `first` or that end in `last`, in any case;
        at most `limit`, in the order of IRIs."""

    def under(self, product: str, limit: int) -> Iterable[Entry]:
        """Lots and serials of a product class; at most `limit`, in the order of IRIs."""


@dataclass(frozen=True, slots=True)
class About:
    """What tells documents of one number apart: the member of the first record that names it, its time, from which
    place or party to which, and the lots, serials and carriers that those records name."""

    issuer: str
    time: str | None
    source: str | None
    target: str | None
    things: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """As a candidate of `GET /api/search` gives it."""
        return {
            "issuer": self.issuer,
            "time": self.time,
            "from": self.source,
            "to": self.target,
            "things": list(self.things),
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """One meaning of a text. `origins` are the places it was made at, `place` where it was last; `about` is told
    of documents only."""

    thing: str
    kind: str
    product: str | None
    origins: tuple[str, ...]
    place: str | None
    about: About | None = None

    def as_json(self) -> dict[str, object]:
        """The candidate as `GET /api/search` gives it."""
        return {
            "thing": self.thing,
            "kind": self.kind,
            "product": self.product,
            "origins": list(self.origins),
            "place": self.place,
            "about": None if self.about is None else self.about.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a text means. `thing` is set when it can mean only one thing; `near` are suggestions, never meanings.

    `corrected` is the text with the right check digits, where that and not the text itself is the name of `near`.
    """

    thing: str | None
    candidates: tuple[Candidate, ...]
    near: tuple[Candidate, ...]
    corrected: str | None = None

    def as_json(self) -> dict[str, object]:
        """The resolution as `GET /api/search` gives it."""
        return {
            "thing": self.thing,
            "candidates": [one.as_json() for one in self.candidates],
            "near": [one.as_json() for one in self.near],
            "corrected": self.corrected,
        }


def resolve(text: str, directory: Directory, source: TraceSource) -> Resolution:
    """What a typed text means to this reader. Never raises: a text that means nothing has no candidates."""
    meant, near = _named(text, directory)
    for spelling in _spellings(text):
        if not meant:
            meant, more = _named(spelling, directory)
            near += more
    thing = meant[0].iri if len(meant) == 1 else None
    corrected = None
    if not meant:
        meant = _of_product(text, directory)
    if not meant:
        corrected, right = _corrected(text, directory)
        near = right or _distinct([*near, *_suggested(text, directory)])
    return Resolution(thing, _described(meant, source), _described(near, source), corrected)


def _named(text: str, directory: Directory) -> tuple[list[Entry], list[Entry]]:
    """What has this name, and what has one that differs in case, separators or leading zeros only."""
    terms = search_candidates(text)
    exact = list(directory.named([thing.iri for thing in terms.things]))
    similar = list(directory.ending(_code(text), LIMIT)) if _key(text) else []
    coded = [entry for entry in similar if entry.iri.endswith(terms.endings)] if terms.endings else []
    documents = [entry for entry in similar if entry.kind == "document" and _last(entry.iri) == text.strip()]
    meant = _distinct([*exact, *coded, *documents])
    near = [entry for entry in similar if entry not in meant and _key(_last(entry.iri)) == _key(_code(text))]
    return meant, _distinct(near)


def _spellings(text: str) -> Iterator[str]:
    """What a text says without the words that pages print before names."""
    whole = _OF_GTIN.match(text.strip())
    if whole is not None:
        yield f"https://id.gs1.org/01/{whole[1].zfill(14)}/{_QUALIFIERS[whole[2].lower()]}/{encode(whole[3])}"
        return
    labelled = _LABELLED.match(text.strip())
    if labelled is not None:
        yield labelled[2]


def _of_product(text: str, directory: Directory) -> list[Entry]:
    """The lots and serials of the product that a text names by its GTIN."""
    names = [thing.iri for each in (text, *_spellings(text)) for thing in search_candidates(each).things]
    products = dict.fromkeys(name for name in names if _PRODUCT.match(name))
    return [entry for product in products for entry in directory.under(product, LIMIT)]


def _corrected(text: str, directory: Directory) -> tuple[str | None, list[Entry]]:
    """The text with right check digits and what it names then, if it names anything."""
    right = _KEYED.sub(lambda found: found[0][:-1] + check_digit(found[0][:-1]), text.strip())
    if right != text.strip():
        for spelling in (right, *_spellings(right)):
            found = _named(spelling, directory)[0] or _of_product(spelling, directory)
            if found:
                return right, found
    return None, []


def _suggested(text: str, directory: Directory) -> list[Entry]:
    """Things whose code begins or ends with what was typed, or is one edit away. A whole IRI was copied, not typed."""
    found: list[Entry] = []
    if is_absolute_uri(text.strip()):
        return found
    for spelling in (text, *_spellings(text)):
        code, key = encode(_code(spelling)), _key(_code(spelling))
        if len(key) >= _MIN_BEGINNING:
            half = len(code) // 2
            near = partial(_is_near, key, _code(spelling).lower())
            found += directory.sharing(code[:half], code[half:], near, _MAX_SUGGESTED)
    return _distinct(found)


def _is_near(typed: str, text: str, iri: str) -> bool:
    """Whether the code of a thing begins with the key that was typed, ends with the text, or is the key but for one
    letter more, less or different."""
    code = _key(_last(iri))
    if code.startswith(typed) or _last(iri).lower().endswith(text):
        return True
    if len(typed) < _MIN_EDITED or abs(len(code) - len(typed)) > 1:
        return False
    same = next((at for at, pair in enumerate(zip(code, typed, strict=False)) if pair[0] != pair[1]), None)
    if same is None:
        return True
    rests = ((same + 1, same + 1), (same + 1, same), (same, same + 1))
    return any(code[left:] == typed[right:] for left, right in rests)


def product_of(iri: str) -> str | None:
    """The product class that the IRI of a GTIN with lot or serial names; None for anything else."""
    found = re.match(r"https://id\.gs1\.org/01/[0-9]{14}(?=/)", iri)
    return None if found is None else found.group()


def _described(entries: list[Entry], source: TraceSource) -> tuple[Candidate, ...]:
    shown = [entry for entry in entries if entry.kind in _TRACEABLE][:LIMIT]
    courses = {course[0]: course for course in source.courses([entry.thing for entry in shown])}
    documents = _documents({entry.thing for entry in shown if entry.kind == "document"}, source)
    found = []
    for entry in shown:
        _, state, stock, _, _ = courses.get(entry.thing, (entry.thing, None, (), (), ()))
        origins = {row[0] for row in stock if row[0] is not None and row[2] != "0"}
        place = None if state is None else state[2]
        about = documents.get(entry.thing)
        found.append(
            Candidate(entry.iri, entry.kind, product_of(entry.iri), tuple(sorted(origins)), place, about)
        )
    return tuple(sorted(found, key=lambda one: (one.kind, one.thing)))


def _documents(documents: Collection[Thing], source: TraceSource) -> dict[Thing, About]:
    """What visible records say of documents."""
    naming: dict[Thing, list[Fact]] = {}
    for fact in source.mentions(documents) if documents else ():
        for line in fact.lines:
            if line.thing in documents:
                naming.setdefault(line.thing, []).append(fact)
    things = {line.thing for facts in naming.values() for fact in facts for line in fact.lines}
    names = source.iris(things)
    return {document: _about(facts, names) for document, facts in naming.items()}


def _about(facts: list[Fact], names: Mapping[Thing, str]) -> About:
    facts = sorted(facts, key=lambda fact: fact.instant)
    named = {names[line.thing] for fact in facts for line in fact.lines if line.role != MENTION}
    source = next((_end(fact.sources) for fact in facts if fact.sources), None) or facts[0].place
    target = next((_end(fact.destinations) for fact in facts if fact.destinations), None)
    return About(facts[0].member, time_text(facts[0].time_us), source, target, tuple(sorted(named)))


def _end(ends: Collection[tuple[str, str]]) -> str:
    """The place or party of a source or destination list: the place if one is told."""
    return next((name for kind, name in ends if kind == "location"), next(iter(ends))[1])


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


__all__ = ["LIMIT", "About", "Candidate", "Directory", "Entry", "Resolution", "product_of", "resolve"]
