"""Identifiers as the event hash ID writes them: the constrained canonical GS1 Digital Link (CBV 2.0, 8.9).

This is not how Loomark names things (that is `identifiers`): a link with lot and serial keeps the serial alone,
a wrong check digit is nobody's business here, and what fits no table stays as it was sent. The tables are
frozen with the version of the hash (`ontology/cbv/event_hash.toml`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from ontology import read_table

from .gs1 import check_digit
from .remembered import Remembered

_ROOT = "https://id.gs1.org/"
_SETS = {"N": "0-9", "X": r"!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z", "Y": r"#\-/0-9A-Z"}
_PREFIX = re.compile(r"[0-9]{6,12}")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_BARE = "-._';="
# A key and three qualifiers.
_MOST_PARTS = 8

_Fits = Callable[[str], object]


def _of_set(rule: list[Any]) -> _Fits:
    characters, most = rule
    return re.compile(f"[{_SETS[characters]}]{{1,{most}}}").fullmatch


@dataclass(frozen=True, slots=True)
class _Scheme:
    key: str
    shape: str
    length: int
    lead: str
    reference: _Fits | None
    tail: _Fits | None
    qualifier: str
    none: str | None
    pattern: bool


@dataclass(frozen=True, slots=True)
class _Key:
    fits: _Fits
    length: int
    qualifiers: frozenset[str]
    kept: tuple[str, ...]


def _scheme(row: dict[str, Any]) -> _Scheme:
    return _Scheme(
        key=row["key"],
        shape=row["shape"],
        length=row.get("length", 0),
        lead=row.get("lead", ""),
        reference=_of_set(row["reference"]) if "reference" in row else None,
        tail=_of_set(row["tail"]) if "tail" in row else None,
        qualifier=row.get("qualifier", ""),
        none=row.get("none"),
        pattern=row.get("pattern", False),
    )


def _key(row: dict[str, Any]) -> _Key:
    heads = "|".join(f"[0-9]{{{count}}}" for count in row["digits"])
    characters, most = row.get("tail", ("N", 0))
    least = 1 if row.get("some") else 0
    pattern = re.compile(f"(?:{heads})[{_SETS[characters]}]{{{least},{most}}}")
    length = row["digits"][0] if len(row["digits"]) > 1 else 0
    return _Key(pattern.fullmatch, length, frozenset(row.get("qualifiers", ())), tuple(row.get("kept", ())))


_TABLE = read_table("cbv/event_hash.toml")
_SCHEMES = {name: _scheme(row) for name, row in _TABLE["urn"].items()}
_KEYS = {ai: _key(row) for ai, row in _TABLE["link"].items()}
_KEY_WORDS = {ai: ai for ai in _KEYS} | {row["word"]: ai for ai, row in _TABLE["link"].items()}
_QUALIFIERS = {ai: _of_set(row["value"]) for ai, row in _TABLE["qualifier"].items()}
_QUALIFIER_WORDS = {ai: ai for ai in _QUALIFIERS} | {
    row["word"]: ai for ai, row in _TABLE["qualifier"].items()
}


# Links that stay as they are, and URNs whose tail needs no encoding: most of what documents hold, and each only a
# shorter way to what `_converted` gives.
_CANONICAL = re.compile(
    rf"{re.escape(_ROOT)}(?:01/[0-9]{{14}}(?:/(?:10|21|235)/[0-9A-Za-z_.-]{{1,20}})?"
    r"|00/[0-9]{18}|417/[0-9]{13}|414/[0-9]{13}(?:/254/[0-9A-Za-z_.-]{1,20})?)"
)
_GTIN = re.compile(
    r"urn:epc:(?:id:sgtin|(class:lgtin)):([0-9]{6,12})\.([0-9])([0-9]*)\.([0-9A-Za-z_.-]{1,20})"
)
_GTIN_DIGITS = 13


def constrained_link(text: str) -> str:
    """The constrained canonical link of an EPC URN or Digital Link; any other text as it is."""
    found = _GTIN.fullmatch(text)
    if found is not None:
        is_lot, prefix, lead, rest, tail = found.groups()
        digits = f"{lead}{prefix}{rest}"
        if len(digits) == _GTIN_DIGITS:
            return f"{_ROOT}01/{digits}{check_digit(digits)}/{'10' if is_lot else '21'}/{tail}"
    if _CANONICAL.fullmatch(text):
        return text
    return _CONVERTED[text]


def _converted(text: str) -> str:
    if text.startswith("urn:epc:"):
        return _of_urn(text) or text
    if text.startswith(("https://", "http://")):
        return _of_link(text) or text
    return text


_CONVERTED = Remembered(_converted, 32_768)


def _of_urn(text: str) -> str | None:
    space, _, rest = text[8:].partition(":")
    name, _, body = rest.partition(":")
    if space == "idpat":
        scheme, body, last = _SCHEMES.get(f"id:{name}"), body[:-2], body[-2:]
        return _key_of(scheme, body, None) if scheme and scheme.pattern and last == ".*" else None
    scheme = _SCHEMES.get(f"{space}:{name}")
    if scheme is None or scheme.tail is None:
        return _key_of(scheme, body, None) if scheme else None
    body, tail = _split(scheme, body)
    return None if tail is None else _key_of(scheme, body, tail)


def _split(scheme: _Scheme, body: str) -> tuple[str, str | None]:
    """Prefix and reference, and the decoded tail; None for a tail that is missing or does not fit."""
    count = 4 if scheme.shape == "pieces" else 2
    parts = body.split(".", count)
    tail = _decoded(parts[count]) if len(parts) > count else None
    if tail is None or scheme.tail is None or not scheme.tail(tail):
        return body, None
    return ".".join(parts[:count]), tail


def _key_of(scheme: _Scheme, body: str, tail: str | None) -> str | None:
    value = _value(scheme, body.split("."))
    if value is None:
        return None
    if tail is None or tail == scheme.none:
        return f"{_ROOT}{scheme.key}/{value}"
    if scheme.qualifier:
        return f"{_ROOT}{scheme.key}/{value}/{scheme.qualifier}/{_encoded(tail)}"
    return f"{_ROOT}{scheme.key}/{value}{_encoded(tail)}"


def _value(scheme: _Scheme, parts: list[str]) -> str | None:
    if len(parts) < 2 or not _PREFIX.fullmatch(parts[0]):
        return None
    if scheme.shape == "alpha":
        return _alpha(scheme, ".".join(parts[1:]), parts[0])
    prefix, reference = parts[0], parts[1]
    if len(parts) != (4 if scheme.shape == "pieces" else 2) or len(prefix) + len(reference) != scheme.length:
        return None
    if not (prefix + reference).isdecimal() or not reference.isascii():
        return None
    if scheme.shape == "digits":
        digits = scheme.lead + prefix + reference
        return digits + check_digit(digits)
    if not reference:
        return None
    digits = reference[0] + prefix + reference[1:]
    pieces = "".join(parts[2:])
    if scheme.shape == "pieces" and not re.fullmatch("[0-9]{4}", pieces):
        return None
    return digits + check_digit(digits) + pieces


def _alpha(scheme: _Scheme, component: str, prefix: str) -> str | None:
    reference = _decoded(component)
    if reference is None or scheme.reference is None or not scheme.reference(reference):
        return None
    return prefix + _encoded(reference)


def _of_link(text: str) -> str | None:
    path = text.partition("://")[2]
    for mark in "?#":
        path = path.partition(mark)[0]
    parts = path.removesuffix("/").split("/")[1:][-_MOST_PARTS:]
    for start in range(len(parts) - 1):
        if parts[start] in _KEY_WORDS and (len(parts) - start) % 2 == 0:
            found = _key_in(parts[start:])
            if found is not None:
                return found
    return None


def _key_in(parts: list[str]) -> str | None:
    ai = _KEY_WORDS[parts[0]]
    key, value = _KEYS[ai], _decoded(parts[1])
    if value is None or not key.fits(value):
        return None
    qualifiers: dict[str, str] = {}
    for at in range(2, len(parts), 2):
        name, inner = _QUALIFIER_WORDS.get(parts[at]), _decoded(parts[at + 1])
        if name not in key.qualifiers or name in qualifiers or inner is None or not _QUALIFIERS[name](inner):
            return None
        qualifiers[name] = inner
    finest = next((name for name in key.kept if name in qualifiers), None)
    head = f"{_ROOT}{ai}/{_encoded(value.rjust(key.length, '0'))}"
    return head if finest is None else f"{head}/{finest}/{_encoded(qualifiers[finest])}"


def _decoded(component: str) -> str | None:
    if "%" not in component:
        return component
    return None if _BAD_ESCAPE.search(component) else unquote(component, errors="replace")


def _encoded(value: str) -> str:
    return value if value.isalnum() and value.isascii() else quote(value, safe=_BARE)
