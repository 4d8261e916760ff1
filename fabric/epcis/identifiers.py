"""Names of things: every spelling of a GS1 key becomes one canonical IRI (design: meaning, section 1).

A GS1 key in an EPC URN or in a Digital Link of any domain becomes its `https://id.gs1.org/` link. Any other
absolute URI is itself, byte for byte. Nothing is guessed, trimmed or folded, and lots and serials keep
their case::

    canonical_thing("urn:epc:id:sgtin:9506000.013435.12345", Position.EPC).iri
    -> "https://id.gs1.org/01/09506000134352/21/12345"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .digital_link import parse_link
from .element_string import parse_element_string
from .gs1 import ROOT, check_digit, encode, is_decimal, thing_of_key
from .remembered import Remembered
from .thing import KIND_BY_POSITION, BadIdentifier, Kind, Position, Thing
from .urn import parse_urn

PRIVATE = "urn:loomark:thing:"

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\x00-\x20\x7f<>\"{}|\\^`]+")
LONGEST_BYTES = 2_048
"""The longest name in UTF-8 that is taken: an index of a database holds no key of much more than that."""
TOO_LONG = f"a name of at most {LONGEST_BYTES} bytes"
_SURELY_SHORT = LONGEST_BYTES // 4
_CARRIERS = (f"{ROOT}00/", f"{ROOT}8003/", f"{ROOT}8004/")
_KINDS = {kind.value: kind for kind in Kind}


def is_absolute_uri(text: str) -> bool:
    """Whether a text has a scheme and only characters that an IRI may have (RFC 3987)."""
    return _ABSOLUTE.fullmatch(text) is not None


def is_too_long(text: str) -> bool:
    """Whether a name is longer than any that is taken."""
    if len(text) <= _SURELY_SHORT:
        return False
    return len(text) > LONGEST_BYTES or len(text.encode("utf-8", "surrogatepass")) > LONGEST_BYTES


def canonical_thing(text: str, position: Position) -> Thing:
    """The thing an identifier names.

    Raises BadIdentifier (an InvalidInput) with rule ``bad-check-digit`` (the message carries the right one),
    ``bad-identifier``, ``not-a-uri`` or ``too-long``.
    """
    thing, problem = read_name(text, position)
    if problem is not None:
        raise BadIdentifier(problem.rule, problem.expected, problem.got)
    return thing


Named = tuple[Thing, BadIdentifier | None]


def read_name(text: str, position: Position) -> Named:
    """The thing an identifier names, and what is wrong with it.

    With a problem the thing is the name itself as a private one: that is what a member who asked to keep
    wrong check digits gets, and what a committed record is read as.
    """
    return _READERS[position](text)


def name_reader(position: Position) -> Callable[[str], Named]:
    """`read_name` for one position; faster where the position is known beforehand."""
    return _READERS[position]


# Serials and lots rarely come back after a document or two; the rest is a small stock of names.
_CACHED = dict.fromkeys(Position, 8_192) | {Position.EPC: 32_768, Position.EPC_CLASS: 32_768}


def _make_reader(position: Position) -> Callable[[str], Named]:
    def read(text: str) -> Named:
        try:
            thing = _named_by_key(text)
        except BadIdentifier as problem:
            return _private(text, position), problem.with_traceback(None)
        if thing is None:
            thing = _private(text, position)
            if not is_absolute_uri(text):
                return thing, BadIdentifier("not-a-uri", "an absolute URI", text)
        return thing, BadIdentifier("too-long", TOO_LONG, text) if is_too_long(thing.iri) else None

    return Remembered(read, _CACHED[position]).__getitem__


def _named_by_key(text: str) -> Thing | None:
    scheme = text[:8].lower()
    if scheme == "urn:epc:":
        return parse_urn(text)
    if scheme.startswith(("https://", "http://")) and is_absolute_uri(text):
        return parse_link(text)
    return None


def _private(text: str, position: Position) -> Thing:
    if text.startswith(PRIVATE):
        kind = _KINDS.get(text[len(PRIVATE) :].split(":")[1] if text.count(":") > 4 else "")
        if kind is not None:
            return Thing(text, kind)
    return Thing(text, KIND_BY_POSITION[position])


def private_thing(member: str, kind: Kind, code: str) -> Thing:
    """The thing that a member's own code names, where there is no URI (CSV columns, sensors)."""
    return Thing(f"{PRIVATE}{member}:{kind.value}:{encode(code)}", kind)


def is_carrier_key(iri: str) -> bool:
    """Whether a canonical IRI is a logistic carrier: SSCC, GRAI or GIAI."""
    return iri.startswith(_CARRIERS)


_READERS = {position: _make_reader(position) for position in Position}


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """What a text typed into a search may mean: things by name, and lots and serials by their bare code.

    `endings` are the ends of canonical IRIs, such as ``/10/ABC1``; the searcher looks which of them exist.
    """

    things: tuple[Thing, ...]
    endings: tuple[str, ...]


def search_candidates(text: str) -> SearchTerms:
    """Everything a typed text can mean, most certain first. Never raises."""
    text = text.strip()
    things = tuple(dict.fromkeys(_typed_things(text)))
    if not text or ":" in text or text.startswith("(01)"):
        return SearchTerms(things, ())
    code = encode(text)
    return SearchTerms(things, (f"/10/{code}", f"/21/{code}", f":lot:{code}", f":serial:{code}"))


def _typed_things(text: str) -> Iterator[Thing]:
    if is_absolute_uri(text):
        thing, problem = read_name(text, Position.EPC)
        if problem is None:
            yield thing
        return
    for ai, lengths in (("01", (8, 12, 13, 14)), ("00", (18,)), ("414", (13,)), ("417", (13,))):
        if is_decimal(text) and len(text) in lengths and text[-1] == check_digit(text[:-1]):
            yield thing_of_key(ai, text)
    try:
        yield parse_element_string(text)
    except BadIdentifier:
        return


__all__ = [
    "BadIdentifier",
    "Kind",
    "Named",
    "Position",
    "SearchTerms",
    "Thing",
    "canonical_thing",
    "is_absolute_uri",
    "is_carrier_key",
    "is_too_long",
    "name_reader",
    "parse_element_string",
    "private_thing",
    "read_name",
    "search_candidates",
]
