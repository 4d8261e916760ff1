"""EPC URNs of the Tag Data Standard as spellings of GS1 keys (`ontology/gs1/schemes.toml`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

from ontology import read_table

from .gs1 import QUALIFIERS, check_digit, is_decimal, thing_of_key
from .remembered import Remembered
from .thing import BadIdentifier, Kind, Thing


@dataclass(frozen=True, slots=True)
class Scheme:
    """One row of the scheme table, ready for use.

    `name` is what a URN of it begins with, `dots` the number of dots that separate components, `none` the last
    component that stands for the absence of `qualifier`.
    """

    name: str
    key: str
    shape: str
    extra: str
    dots: int
    length: int
    zero: bool
    pattern: bool
    qualifier: str
    none: str | None
    completed: Remembered[str, str | None]


def _completed(length: int, leading: bool, text: str) -> str | None:
    """Prefix and reference with their check digit; None if they have not the digits they should."""
    prefix, _, reference = text.partition(".")
    if len(prefix) + len(reference) != length or (reference and not is_decimal(reference)):
        return None
    if not _is_prefix(prefix) or (leading and not reference):
        return None
    digits = reference[0] + prefix + reference[1:] if leading else prefix + reference
    return digits + check_digit(digits)


def _is_prefix(prefix: str) -> bool:
    return 6 <= len(prefix) <= 12 and is_decimal(prefix)


def _scheme(name: str, row: dict[str, Any]) -> Scheme:
    shape, _, extra = row["shape"].partition("+")
    qualifier, length = row.get("qualifier", ""), row.get("length", 0)
    return Scheme(
        name=name,
        key=row["key"],
        shape=shape,
        extra=extra,
        dots=1 + bool(extra) + 2 * (shape == "pieces"),
        length=length,
        zero=row.get("zero", False),
        pattern=row.get("pattern", False),
        qualifier=qualifier,
        none=QUALIFIERS[qualifier].none if qualifier else None,
        completed=Remembered(partial(_completed, length, shape != "digits"), 8_192),
    )


SCHEMES: dict[str, Scheme] = {
    f"urn:epc:{space}:{name}": _scheme(f"urn:epc:{space}:{name}", row)
    for space in ("id", "class")
    for name, row in read_table("gs1/schemes.toml")[space].items()
}
"""The schemes by what a URN begins with."""
_PATTERN = "urn:epc:idpat:"


def parse_urn(text: str) -> Thing | None:
    """The thing an EPC URN names; None for a scheme that is no GS1 key. Raises BadIdentifier.

    `text` begins with ``urn:epc:`` in any case.
    """
    head = text.partition(".")[0]
    start = head.rfind(":")
    scheme = SCHEMES.get(head[:start]) or SCHEMES.get(head[:start].lower())
    if scheme is not None:
        return _thing(text, scheme, text[start + 1 :])
    if head[:start].lower().startswith(_PATTERN):
        return _class_of_pattern(text, head[len(_PATTERN) : start], text[start + 1 :])
    return None


def _class_of_pattern(text: str, name: str, body: str) -> Thing:
    # Only a pattern that leaves out the last component and nothing else is the name of a class; any other
    # pattern has no key, so it stays itself.
    scheme = SCHEMES.get(f"urn:epc:id:{name}")
    head, _, last = body.rpartition(".")
    if scheme is None or not scheme.pattern or last != "*" or "*" in head:
        return Thing(text, Kind.CLASS)
    return _thing(text, scheme, head, pattern=True)


def _thing(text: str, scheme: Scheme, body: str, pattern: bool = False) -> Thing:
    parts = body.split(".", scheme.dots)
    if len(parts) + pattern != scheme.dots + 1:
        raise _malformed(text, scheme)
    value = _value(text, scheme, parts)
    if pattern or not scheme.extra:
        return thing_of_key(scheme.key, value)
    last = _decode(parts[-1])
    if scheme.extra == "tail":
        return thing_of_key(scheme.key, value + last)
    return thing_of_key(scheme.key, value, ((scheme.qualifier, last),))


def _value(text: str, scheme: Scheme, parts: list[str]) -> str:
    prefix, reference = parts[0], parts[1]
    if scheme.shape == "alpha":
        if not _is_prefix(prefix):
            raise _bad_prefix(text)
        return prefix + _decode(reference)
    value = scheme.completed[f"{prefix}.{reference}"]
    if value is None:
        raise _malformed(text, scheme) if _is_prefix(prefix) else _bad_prefix(text)
    if scheme.zero:
        return "0" + value
    return value + parts[2] + parts[3] if scheme.shape == "pieces" else value


def _decode(component: str) -> str:
    return unquote(component, errors="replace") if "%" in component else component


def _bad_prefix(text: str) -> BadIdentifier:
    return BadIdentifier("bad-identifier", "a company prefix of 6 to 12 digits", text)


def _malformed(text: str, scheme: Scheme) -> BadIdentifier:
    expected = (
        f"company prefix and reference of {scheme.length} digits" if scheme.length else "all components"
    )
    return BadIdentifier("bad-identifier", f"{expected} in an EPC URN", text)
