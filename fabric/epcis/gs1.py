"""GS1 identification keys: check digits, value formats, and the one canonical IRI of each key.

The facts are `ontology/gs1/keys.toml` and `meaning.toml`; every spelling (URN, link, element string) ends in `thing_of_key`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from ontology import read_table

from .remembered import Remembered
from .thing import BadIdentifier, Kind, Thing
from .value_format import SET_82, read_format

ROOT = "https://id.gs1.org/"

Qualifiers = Sequence[tuple[str, str]]
"""(application identifier, decoded value) pairs."""

_SET_32 = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the key table, ready for use."""

    ai: str
    name: str
    digits: int
    padded_from: tuple[int, ...]
    leading_zero: bool
    pieces: bool
    check: str | None
    tail: Callable[[str], object] | None
    tail_text: str
    tail_required: bool
    sequences: tuple[tuple[str, ...], ...]
    kind: Kind
    kind_with_tail: Kind | None
    kind_with: dict[str, Kind]
    kind_with_one: dict[str, Kind]


@dataclass(frozen=True, slots=True)
class Qualifier:
    """One qualifier of a key; `none` is the value that stands for its absence."""

    matches: Callable[[str], object]
    text: str
    none: str | None


def check_digit(digits: str) -> str:
    """The mod-10 check digit that follows a run of decimal digits (GS1 General Specifications, 7.9)."""
    return _DIGITS[digits]


def _mod10(digits: str) -> str:
    codes = digits.encode("ascii")
    odd, even = codes[-1::-2], codes[-2::-2]
    total = 3 * (sum(odd) - 48 * len(odd)) + sum(even) - 48 * len(even)
    return str(-total % 10)


_DIGITS = Remembered(_mod10, 8_192)


def check_pair(model: str) -> str:
    """The two check characters of a Global Model Number, without them `model`."""
    weighted = zip(reversed(model), _PRIMES, strict=False)
    total = sum(SET_82.index(character) * prime for character, prime in weighted) % 1021
    return _SET_32[total >> 5] + _SET_32[total & 31]


def is_decimal(text: str) -> bool:
    """Whether a text is one or more ASCII digits."""
    return text.isdecimal() and text.isascii()


def thing_of_key(ai: str, value: str, qualifiers: Qualifiers = ()) -> Thing:
    """The thing that a key with its qualifiers names; values are decoded. Raises BadIdentifier."""
    key = KEYS[ai]
    value = normal_value(ai, value)
    if not qualifiers:
        has_tail = key.kind_with_tail is not None and len(value) > key.digits
        return Thing(f"{ROOT}{ai}/{encode(value)}", _kind(key, has_tail, ()))
    if len(qualifiers) == 1:
        name, text = qualifiers[0]
        kind = key.kind_with_one.get(name)
        if kind is not None and text != QUALIFIERS[name].none and QUALIFIERS[name].matches(text):
            return Thing(f"{ROOT}{ai}/{encode(value)}/{name}/{encode(text)}", kind)
    ordered = _ordered(key, qualifiers)
    head = f"{ROOT}{ai}/{encode(value)}"
    names = [name for name, _ in ordered]
    if "10" in names and "21" in names:
        lot = head + "".join(f"/{name}/{encode(text)}" for name, text in ordered if name != "21")
        rest = "".join(f"/{name}/{encode(text)}" for name, text in ordered if name != "10")
        return Thing(head + rest, Kind.SERIAL, lot)
    tail = "".join(f"/{name}/{encode(text)}" for name, text in ordered)
    has_tail = key.kind_with_tail is not None and len(value) > key.digits
    return Thing(head + tail, _kind(key, has_tail, names))


def normal_value(ai: str, value: str) -> str:
    """A key's value in full length, with format and check digit verified. Raises BadIdentifier."""
    return _VALUES[ai][value]


def _normal_value(key: Key, value: str) -> str:
    if len(value) in key.padded_from and is_decimal(value):
        value = value.rjust(key.digits, "0")
    head, tail = value[: key.digits], value[key.digits :]
    if key.digits and not (len(head) == key.digits and is_decimal(head)):
        raise _malformed(key, value)
    if key.leading_zero and head[0] != "0":
        raise _malformed(key, value)
    if key.check == "mod10" and head[-1] != check_digit(head[:-1]):
        raise _wrong_digit(key, value, head)
    _check_tail(key, value, tail)
    return value


def _check_tail(key: Key, value: str, tail: str) -> None:
    if key.pieces:
        if not (len(tail) == 4 and is_decimal(tail) and "00" < tail[:2] <= tail[2:]):
            raise _malformed(key, value)
        return
    if not tail:
        if key.tail_required:
            raise _malformed(key, value)
        return
    if key.tail is None or not key.tail(tail):
        raise _malformed(key, value)
    if key.check == "gmn":
        _check_model(key, value)


def _check_model(key: Key, value: str) -> None:
    if len(value) < 3:
        raise _malformed(key, value)
    right = check_pair(value[:-2])
    if value[-2:] != right:
        raise BadIdentifier("bad-check-digit", f"check characters {right} ({value[:-2]}{right})", value)


def _ordered(key: Key, qualifiers: Qualifiers) -> list[tuple[str, str]]:
    names = [name for name, _ in qualifiers]
    for sequence in key.sequences:
        if all(name in sequence for name in names) and len(set(names)) == len(names):
            break
    else:
        raise BadIdentifier(
            "bad-identifier", f"qualifiers that belong together on a {key.name}", "/".join(names)
        )
    for name, value in qualifiers:
        if not QUALIFIERS[name].matches(value):
            raise BadIdentifier("bad-identifier", f"{QUALIFIERS[name].text} in ({name})", value)
    kept = [(name, value) for name, value in qualifiers if value != QUALIFIERS[name].none]
    return kept if len(kept) < 2 else sorted(kept, key=lambda pair: sequence.index(pair[0]))


def _kind(key: Key, has_tail: bool, names: Sequence[str]) -> Kind:
    for name in names:
        if name in key.kind_with:
            return key.kind_with[name]
    if has_tail and key.kind_with_tail is not None:
        return key.kind_with_tail
    return key.kind


def encode(value: str) -> str:
    """A value as a path segment: only unreserved characters bare, hex digits in upper case."""
    return value if value.isalnum() and value.isascii() else quote(value, safe="")


def _malformed(key: Key, value: str) -> BadIdentifier:
    parts = [f"{key.digits} digits"] if key.digits else []
    parts += ["piece and total"] if key.pieces else []
    parts += [key.tail_text if key.tail_required else f"optionally {key.tail_text}"] if key.tail_text else []
    return BadIdentifier("bad-identifier", f"a {key.name} ({key.ai}) of {' and '.join(parts)}", value)


def _wrong_digit(key: Key, value: str, head: str) -> BadIdentifier:
    right = check_digit(head[:-1])
    whole = head[:-1] + right + value[key.digits :]
    return BadIdentifier("bad-check-digit", f"check digit {right} in {key.name} {whole}", value)


def _read_key(ai: str, row: dict[str, Any], meaning: dict[str, Any]) -> Key:
    tail = read_format("{}..{}".format(*row["tail"])) if "tail" in row else None
    with_tail = meaning.get("kind_with_tail")
    kind = Kind(meaning["kind"])
    kind_with = {name: Kind(other) for name, other in meaning.get("kind_with", {}).items()}
    sequences = tuple(tuple(sequence) for sequence in row.get("qualifiers", ()))
    return Key(
        ai=ai,
        name=meaning["name"],
        digits=row.get("digits", 0),
        padded_from=tuple(meaning.get("padded_from", ())),
        leading_zero=row.get("leading_zero", False),
        pieces=row.get("pieces", False),
        check=row.get("check"),
        tail=tail.matches if tail else None,
        tail_text=tail.text if tail else "",
        tail_required=row.get("tail_required", False),
        sequences=sequences,
        kind=kind,
        kind_with_tail=Kind(with_tail) if with_tail else None,
        kind_with=kind_with,
        kind_with_one={name: kind_with.get(name, kind) for sequence in sequences for name in sequence},
    )


def _read_qualifier(row: dict[str, Any], meaning: dict[str, Any]) -> Qualifier:
    matches, text, _ = read_format(row["format"])
    if row.get("no_leading_zero"):
        bare = matches

        def matches(value: str) -> object:
            return bare(value) and not (value[0] == "0" and value != "0")

    return Qualifier(matches, text, meaning.get("none"))


_TABLE = read_table("gs1/keys.toml")
_MEANING = read_table("gs1/meaning.toml")

KEYS: dict[str, Key] = {ai: _read_key(ai, row, _MEANING["key"][ai]) for ai, row in _TABLE["key"].items()}
"""The primary keys by application identifier."""

QUALIFIERS: dict[str, Qualifier] = {
    ai: _read_qualifier(row, _MEANING["qualifier"][ai]) for ai, row in _TABLE["qualifier"].items()
}
"""The qualifiers by application identifier."""

KEY_WORDS: dict[str, str] = {ai: ai for ai in KEYS} | {row["word"]: ai for ai, row in _MEANING["key"].items()}
"""What a link may write for a primary key, and its application identifier."""

QUALIFIER_WORDS: dict[str, str] = {ai: ai for ai in QUALIFIERS} | {
    row["word"]: ai for ai, row in _MEANING["qualifier"].items()
}
"""What a link may write for a qualifier, and its application identifier."""

_VALUES = {ai: Remembered(partial(_normal_value, key), 8_192) for ai, key in KEYS.items()}
