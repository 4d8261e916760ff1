"""Strict readers of arguments, and of the values that earlier transactions wrote.

What a reader refuses as an argument is the caller's error; the same in a stored value is :class:`BrokenState`.
"""

from __future__ import annotations

import re

from ledger import shape
from ledger.canonical import JSON, canonical, parse_json
from ledger.errors import InvalidInput, NotFound, TooLarge

from .refusal import BrokenState
from .stub import Stub

MAX_NAME_BYTES = 255
MAX_DIGITS_BYTES = 16
_MSP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_ORIGIN = re.compile(r"[!\"$-*,-~]{1,255}\Z")
_DIGITS = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")


def utf8(raw: bytes, where: str, maximum_bytes: int) -> str:
    """An argument as text; raises :class:`InvalidInput` (``not-utf8``) and :class:`TooLarge`."""
    if len(raw) > maximum_bytes:
        raise TooLarge(f"{where}: expected at most {maximum_bytes} bytes, got {len(raw)}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{where}: expected UTF-8, got other bytes", rule="not-utf8") from None


def msp_id(text: str) -> str:
    """An MSP id: letters, digits, dot, hyphen and underscore."""
    if not _MSP.match(text):
        raise InvalidInput("expected an MSP id of at most 128 letters, digits, '.', '-', '_'", rule="bad-msp")
    return text


def origin(text: str) -> str:
    """A log's origin: 1 to 255 printable ASCII characters without space and plus sign, as a key's name is.

    Nor with a number sign, which begins a comment in a policy: nobody could verify what such a log signed.
    """
    if not _ORIGIN.match(text):
        raise InvalidInput("expected an origin of printable ASCII without space, '+', '#'", rule="bad-origin")
    return text


def size(raw: bytes, where: str, minimum: int = 0, maximum: int = shape.MAX_TREE_SIZE) -> int:
    """A decimal number in its one spelling."""
    text = utf8(raw, where, MAX_DIGITS_BYTES)
    if not _DIGITS.match(text):
        raise InvalidInput(f"{where}: expected a decimal number", rule="bad-number")
    return shape.count(int(text), where, minimum, maximum)


def stored(stub: Stub, key: str) -> dict[str, JSON] | None:
    """The object under a key, None where there is nothing."""
    raw = stub.get_state(key)
    return None if raw is None else parsed(raw)


def found(stub: Stub, key: str, rule: str, expected: str) -> dict[str, JSON]:
    """The object under a key; raises :class:`NotFound` with this rule and what was expected."""
    value = stored(stub, key)
    if value is None:
        raise NotFound(f"expected {expected}, got another name", rule=rule)
    return value


def parsed(raw: bytes) -> dict[str, JSON]:
    """The object in bytes of the state: whatever lies there is one, so a ``null`` is never taken for nothing."""
    try:
        value = parse_json(raw)
    except InvalidInput:
        raise BrokenState("a value in the state is not JSON") from None
    if type(value) is not dict:
        raise BrokenState("a value in the state is no object")
    return value


def store(stub: Stub, key: str, value: JSON) -> None:
    """Write a JSON value in its canonical bytes."""
    stub.put_state(key, canonical(value))
