"""Walks a JSON text and keeps the place: where in it each name and value stands.

Slower than any parser, so it is only asked about a text that :func:`ledger.canonical.parse_json` has refused::

    faults(b'{"a":{"b":1,"b":2}}'.decode(), 64, check_number)[0].pointer  # "/a/b"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import islice
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Final, NamedTuple

from .errors import Finding, InvalidInput

MOST_FAULTS: Final = 100
MOST_TOKENS: Final = 2_000_000
"""Names and values that are looked at: more than a capture of the most records has, and a few seconds' work."""

_LONGEST_POINTER: Final = 2_000
_SHOWN: Final = 80
_SPACES = frozenset(" \t\r\n")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERAL = re.compile(r"true|false|null")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Kind(Enum):
    """What stands at a place."""

    NAME = "name"
    OBJECT = "object"
    ARRAY = "array"
    STRING = "string"
    NUMBER = "number"
    LITERAL = "literal"


class Token(NamedTuple):
    """A name or value at `path`, which changes as the walk goes on; a container comes when it opens.

    `text` is a string as decoded, a number or literal as written, else empty; `raw` is a string as written.
    """

    kind: Kind
    path: list[str | int]
    text: str
    raw: str = ""


def walk(text: str) -> Iterator[Token]:
    """Each name and value of a JSON text in its order; ends early where the text is no JSON."""
    path: list[str | int] = []
    at = _skip(text, 0)
    while True:
        opens = text[at : at + 1]
        if opens in ("{", "["):
            yield Token(Kind.OBJECT if opens == "{" else Kind.ARRAY, path, "")
            at = _skip(text, at + 1)
            if text[at : at + 1] != ("}" if opens == "{" else "]"):
                path.append("" if opens == "{" else 0)
                if opens == "{":
                    named = _name(text, at, path)
                    if named is None:
                        return
                    yield named[0]
                    at = named[1]
                continue
            at += 1
        else:
            scalar = _scalar(text, at, path)
            if scalar is None:
                return
            yield scalar[0]
            at = scalar[1]
        # A value ended at `at`: close what ends with it, then go on to the next member or item.
        while path and text[(at := _skip(text, at)) : at + 1] == ("}" if type(path[-1]) is str else "]"):
            path.pop()
            at += 1
        if not path or text[at : at + 1] != ",":
            return
        at = _skip(text, at + 1)
        last = path[-1]
        if isinstance(last, int):
            path[-1] = last + 1
            continue
        named = _name(text, at, path)
        if named is None:
            return
        yield named[0]
        at = named[1]


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACES:
        at += 1
    return at


def _name(text: str, at: int, path: list[str | int]) -> tuple[Token, int] | None:
    """The member name at `at`, put into the path, and where its value begins."""
    found = _scalar(text, at, path)
    if found is None or found[0].kind is not Kind.STRING:
        return None
    token, after = found
    path[-1] = token.text
    after = _skip(text, after)
    if text[after : after + 1] != ":":
        return None
    return token._replace(kind=Kind.NAME), _skip(text, after + 1)


def _scalar(text: str, at: int, path: list[str | int]) -> tuple[Token, int] | None:
    if text[at : at + 1] == '"':
        try:
            value, end = scanstring(text, at + 1, True)
        except JSONDecodeError:
            return None
        return Token(Kind.STRING, path, value, text[at:end]), end
    for kind, pattern in ((Kind.NUMBER, _NUMBER), (Kind.LITERAL, _LITERAL)):
        found = pattern.match(text, at)
        if found is not None:
            return Token(kind, path, found[0]), found.end()
    return None


def faults(text: str, max_depth: int, check_number: Callable[[str], object]) -> list[Finding]:
    """What makes a text of JSON syntax no strict I-JSON, in its order, at most a hundred; nothing beyond what is too deep.

    `check_number` raises InvalidInput for a token that is refused. Bytes that are not UTF-8 must stand in `text`
    as Python's ``surrogateescape`` leaves them. Every finding's record is None.
    """
    found: list[Finding] = []
    names: list[set[str]] = []
    for token in islice(walk(text), MOST_TOKENS):
        depth = len(token.path)
        if token.kind is Kind.NAME:
            found.extend(_name_faults(token, names[depth - 1]))
        elif depth == max_depth:
            found.append(_fault(token.path, "too-deep", f"JSON of depth {max_depth} at most", "more"))
            break
        elif token.kind is Kind.STRING:
            found.extend(_string_faults(token, token.path))
        elif token.kind is Kind.NUMBER:
            found.extend(_number_faults(token, check_number))
        if token.kind in (Kind.OBJECT, Kind.ARRAY):
            names[depth:] = [set()]
        if len(found) >= MOST_FAULTS:
            break
    return found[:MOST_FAULTS]


def _name_faults(token: Token, seen: set[str]) -> list[Finding]:
    if wrong := _string_faults(token, token.path[:-1]):
        return wrong
    if token.text in seen:
        return [_fault(token.path, "duplicate-member", "each member name once", f"{token.text!r} twice")]
    seen.add(token.text)
    return []


def _string_faults(token: Token, path: list[str | int]) -> list[Finding]:
    if _SURROGATE.search(token.text) is None:
        return []
    shown = ascii(token.text)
    if _SURROGATE.search(token.raw) is not None:
        return [_fault(path, "not-utf8", "UTF-8", shown)]
    return [_fault(path, "lone-surrogate", "Unicode text", f"a lone surrogate in {shown}")]


def _number_faults(token: Token, check_number: Callable[[str], object]) -> list[Finding]:
    try:
        check_number(token.text)
    except InvalidInput as error:
        expected, _, got = error.message.partition(", got ")
        return [_fault(token.path, error.rule, expected.removeprefix("expected "), got)]
    return []


def _fault(path: list[str | int], rule: str, expected: str, got: str) -> Finding:
    return Finding(None, pointer_of(path), rule, expected, got[:_SHOWN])


def pointer_of(path: list[str | int]) -> str:
    """The RFC 6901 pointer of a path, cut before the member that would make it longer than anybody reads."""
    pointer = ""
    for part in path:
        longer = f"{pointer}/{str(part).replace('~', '~0').replace('/', '~1')}"
        if len(longer) > _LONGEST_POINTER:
            break
        pointer = longer
    return pointer
