"""GS1 element strings, as a scanner prints or sends them, as names of things.

``(01)09506000134352(10)ABC`` and the raw form with group separators both work; elements that identify
nothing (dates, weights) are passed over, once they have the format that GS1 gives them: an element that runs on
is a separator that was lost, and what it swallowed could be the lot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ontology import read_table

from .gs1 import KEYS, QUALIFIERS, thing_of_key
from .thing import BadIdentifier, Thing
from .value_format import Format, read_format

_BRACKETED = re.compile(r"\(([0-9]{2,4})\)([^(]*(?:\((?![0-9]{2,4}\))[^(]*)*)")
_SYMBOLOGIES = ("]C1", "]e0", "]d2", "]Q3", "]J1")
_SEPARATOR = "\x1d"
_AI_LENGTHS = (2, 3, 4)
# No element string is longer: a symbol holds some thousand characters at most.
_MOST = 8_192


class Element(NamedTuple):
    """One row of the table of elements: format, whether its length ends it, whether a link's query may have it."""

    format: Format
    predefined: bool
    attribute: bool


def _read_elements(rows: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Element]]:
    for name, row in rows.items():
        first, _, last = name.partition("-")
        element = Element(
            read_format(row["format"]), row.get("predefined", False), row.get("attribute", False)
        )
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first)), element


ELEMENTS: dict[str, Element] = dict(_read_elements(read_table("gs1/elements.toml")["element"]))
"""The elements by application identifier."""


def parse_element_string(text: str) -> Thing:
    """The thing an element string names. Raises BadIdentifier."""
    if len(text) > _MOST:
        raise BadIdentifier("bad-identifier", f"at most {_MOST} characters", text)
    elements = _bracketed(text) if text.startswith("(") else _raw(text)
    keys = [(ai, value) for ai, value in elements if ai in KEYS]
    if len(keys) != 1:
        raise BadIdentifier("bad-identifier", "one GS1 key in the element string", text)
    for name, given in elements:
        if name not in KEYS:
            _check(name, given)
    ai, value = keys[0]
    allowed = {name for sequence in KEYS[ai].sequences for name in sequence}
    qualifiers = [(name, given) for name, given in elements if name in QUALIFIERS and name in allowed]
    return thing_of_key(ai, value, qualifiers)


def _check(ai: str, value: str) -> None:
    element = ELEMENTS.get(ai)
    if element is None:
        raise BadIdentifier("bad-identifier", "an application identifier of GS1", f"({ai})")
    if not element.format.matches(value):
        raise BadIdentifier("bad-identifier", f"{element.format.text} in ({ai})", value)


def _bracketed(text: str) -> list[tuple[str, str]]:
    found = _BRACKETED.findall(text)
    if "".join(f"({ai}){value}" for ai, value in found) != text:
        raise BadIdentifier("bad-identifier", "an element string such as (01)09506000134352(10)A1", text)
    return found


def _raw(text: str) -> list[tuple[str, str]]:
    rest = text[3:] if text.startswith(_SYMBOLOGIES) else text
    found = []
    while rest := rest.lstrip(_SEPARATOR):
        ai = next((rest[:length] for length in _AI_LENGTHS if rest[:length] in ELEMENTS), None)
        if ai is None:
            raise BadIdentifier("bad-identifier", "an application identifier of GS1", rest)
        element = ELEMENTS[ai]
        if element.predefined:
            value = rest[len(ai) : len(ai) + element.format.most]
        else:
            value = rest[len(ai) :].partition(_SEPARATOR)[0]
        found.append((ai, value))
        rest = rest[len(ai) + len(value) :]
    return found
