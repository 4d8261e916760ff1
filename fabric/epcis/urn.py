"""EPC URNs of the Tag Data Standard as spellings of GS1 keys (`ontology/gs1/schemes.toml`)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from ontology import read_table

from .gs1 import check_digit, is_decimal, thing_of_key
from .thing import BadIdentifier, Kind, Thing

_SCHEMES = read_table("gs1/schemes.toml")
_ID: dict[str, dict[str, Any]] = _SCHEMES["id"]
_CLASS: dict[str, dict[str, Any]] = _SCHEMES["class"]


def parse_urn(text: str) -> Thing | None:
    """The thing an EPC URN names; None for a scheme that is no GS1 key. Raises BadIdentifier.

    `text` begins with ``urn:epc:`` in any case.
    """
    space, _, rest = text[8:].partition(":")
    name, _, body = rest.partition(":")
    space = space.lower()
    if space == "id":
        scheme = _ID.get(name)
        return _thing(text, scheme, body) if scheme else None
    if space == "class":
        scheme = _CLASS.get(name)
        return _thing(text, scheme, body) if scheme else None
    if space == "idpat":
        return _class_of_pattern(text, name, body)
    return None


def _class_of_pattern(text: str, name: str, body: str) -> Thing:
    # Only a pattern that leaves out the last component and nothing else is the name of a class; any other
    # pattern has no key, so it stays itself.
    scheme = _ID.get(name)
    head, _, last = body.rpartition(".")
    if scheme is None or not scheme.get("pattern") or last != "*" or "*" in head:
        return Thing(text, Kind.CLASS)
    return _thing(text, scheme, head, pattern=True)


def _thing(text: str, scheme: dict[str, Any], body: str, pattern: bool = False) -> Thing:
    shape, _, extra = scheme["shape"].partition("+")
    count = 1 + bool(extra) + 2 * (shape == "pieces")
    parts = body.split(".", count)
    if len(parts) + pattern != count + 1:
        raise _malformed(text, scheme)
    value = _value(text, scheme, shape, parts)
    if pattern or not extra:
        return thing_of_key(scheme["key"], value)
    last = _decode(parts[-1])
    if extra == "tail":
        return thing_of_key(scheme["key"], value + last) if last else thing_of_key(scheme["key"], value)
    return thing_of_key(scheme["key"], value, ((scheme["qualifier"], last),))


def _value(text: str, scheme: dict[str, Any], shape: str, parts: list[str]) -> str:
    prefix, reference = parts[0], parts[1]
    if not (6 <= len(prefix) <= 12 and is_decimal(prefix)):
        raise BadIdentifier("bad-identifier", "a company prefix of 6 to 12 digits", text)
    if shape == "alpha":
        return prefix + _decode(reference)
    value = _completed(prefix, reference, scheme["length"], shape != "digits")
    if value is None:
        raise _malformed(text, scheme)
    if scheme.get("zero"):
        return "0" + value
    return value + parts[2] + parts[3] if shape == "pieces" else value


@lru_cache(maxsize=65_536)
def _completed(prefix: str, reference: str, length: int, leading: bool) -> str | None:
    if len(prefix) + len(reference) != length or (reference and not is_decimal(reference)):
        return None
    if leading:
        if not reference:
            return None
        digits = reference[0] + prefix + reference[1:]
    else:
        digits = prefix + reference
    return digits + check_digit(digits)


def _decode(component: str) -> str:
    return unquote(component, errors="replace") if "%" in component else component


def _malformed(text: str, scheme: dict[str, Any]) -> BadIdentifier:
    expected = (
        f"company prefix and reference of {scheme['length']} digits"
        if "length" in scheme
        else "all components"
    )
    return BadIdentifier("bad-identifier", f"{expected} in an EPC URN", text)
