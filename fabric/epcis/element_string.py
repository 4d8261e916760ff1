"""GS1 element strings, as a scanner prints or sends them, as names of things.

``(01)09506000134352(10)ABC`` and the raw form with group separators both work; elements that identify
nothing (dates, weights) are passed over.
"""

from __future__ import annotations

import re

from ontology import read_table

from .gs1 import KEYS, QUALIFIERS, thing_of_key
from .thing import BadIdentifier, Thing

_BRACKETED = re.compile(r"\(([0-9]{2,4})\)([^(]*(?:\((?![0-9]{2,4}\))[^(]*)*)")
_SYMBOLOGIES = ("]C1", "]e0", "]d2", "]Q3", "]J1")
_SEPARATOR = "\x1d"
_TABLE = read_table("gs1/elements.toml")
_FIXED: dict[str, int] = _TABLE["fixed"]
_AI_LENGTH = {start: int(length) for length, starts in _TABLE["ai_length"].items() for start in starts}


def parse_element_string(text: str) -> Thing:
    """The thing an element string names. Raises BadIdentifier."""
    elements = _bracketed(text) if text.startswith("(") else _raw(text)
    keys = [(ai, value) for ai, value in elements if ai in KEYS]
    if len(keys) != 1:
        raise BadIdentifier("bad-identifier", "one GS1 key in the element string", text)
    ai, value = keys[0]
    allowed = {name for sequence in KEYS[ai].sequences for name in sequence}
    qualifiers = [(name, given) for name, given in elements if name in QUALIFIERS and name in allowed]
    return thing_of_key(ai, value, qualifiers)


def _bracketed(text: str) -> list[tuple[str, str]]:
    found = _BRACKETED.findall(text)
    if "".join(f"({ai}){value}" for ai, value in found) != text:
        raise BadIdentifier("bad-identifier", "an element string such as (01)09506000134352(10)A1", text)
    return found


def _raw(text: str) -> list[tuple[str, str]]:
    rest = text[3:] if text.startswith(_SYMBOLOGIES) else text
    found = []
    while rest := rest.lstrip(_SEPARATOR):
        start = rest[:2]
        if not (len(start) == 2 and start.isdecimal() and start.isascii()):
            raise BadIdentifier("bad-identifier", "an application identifier", rest)
        fixed, width = _FIXED.get(start), _AI_LENGTH.get(start, 2)
        element = rest[:fixed] if fixed else rest.partition(_SEPARATOR)[0]
        found.append((element[:width], element[width:]))
        rest = rest[len(element) :]
    return found
