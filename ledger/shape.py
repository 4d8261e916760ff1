"""Strict readers for the spelling of our own formats: members, hex, base64, sizes, times.

Each reader takes the value and ``where``, the name used in the message, and raises :class:`InvalidInput` with
rule ``bad-shape`` (members, types), ``bad-hex``, ``bad-base64``, ``bad-time`` or ``out-of-range``. Another
spelling of the same value is refused: evidence has one spelling.

The last part of ``where`` is the name under which the value stands in its object, so it is the error's pointer;
whoever reads an object inside another puts the outer pointer before it with :class:`Within`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, cast

from .errors import InvalidInput
from .merkle import HASH_SIZE_BYTES, MAX_PATH_HASHES

# Hour 24 is left to no library: from Python 3.14 on it is read as the next day, and two readers would disagree.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")
_NAME = re.compile(r"[a-z0-9-]{1,64}\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000_S = 253_402_300_800
MAX_TREE_SIZE = 2**53 - 1


class Within:
    """``with Within("/envelope"):`` puts that pointer before those of what is refused inside.

    With ``whole`` it takes their place: for text whose inside no pointer of the outer document reaches.
    """

    def __init__(self, pointer: str, *, whole: bool = False) -> None:
        self._pointer = pointer
        self._whole = whole

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, InvalidInput):
            error.pointer = self._placed(error.pointer)
            error.findings = tuple(
                [replace(one, pointer=self._placed(one.pointer)) for one in error.findings]
            )

    def _placed(self, pointer: str) -> str:
        return self._pointer if self._whole else self._pointer + pointer


def members(
    value: Any, where: str, required: frozenset[str], optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """``value`` as an object that has every required member and none beyond the optional ones."""
    if type(value) is not dict:
        raise InvalidInput(f"{where}: expected an object, got {_sort_of(value)}", rule="bad-shape")
    names = value.keys()
    if names == required:
        return value
    missing = required - names
    if missing:
        raise InvalidInput(f"{where}: expected member {min(missing)!r}, got none", rule="bad-shape")
    unknown = names - required - optional
    if unknown:
        name = min(unknown)
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        raise InvalidInput(f"{where}: unknown member {name[:80]!r}", rule="bad-shape", pointer=pointer)
    return value


def array(value: Any, where: str, minimum: int = 0, maximum: int = 65_536) -> list[Any]:
    """``value`` as an array of ``minimum`` to ``maximum`` items."""
    if type(value) is not list or not minimum <= len(value) <= maximum:
        raise _refused(where, f"expected an array of {minimum} to {maximum} items", value, "bad-shape")
    return value


def text(value: Any, where: str, maximum: int = 4_096) -> str:
    """``value`` as a string of 1 to ``maximum`` characters."""
    if type(value) is not str or not 1 <= len(value) <= maximum:
        raise _refused(where, f"expected text of 1 to {maximum} characters", value, "bad-shape")
    return value


def member_name(value: Any, where: str) -> str:
    """``value`` as a member id, ``[a-z0-9-]{1,64}``."""
    if type(value) is not str or not _NAME.match(value):
        raise _refused(where, "expected [a-z0-9-]{1,64}", value, "bad-shape")
    return value


def choice(value: Any, where: str, allowed: frozenset[str]) -> str:
    """``value`` as one of the allowed words."""
    if type(value) is not str or value not in allowed:
        raise _refused(where, f"expected one of {', '.join(sorted(allowed))}", value, "bad-shape")
    return value


def count(value: Any, where: str, minimum: int = 0, maximum: int = MAX_TREE_SIZE) -> int:
    """``value`` as an integer from ``minimum`` to ``maximum``; neither a boolean nor a fraction."""
    if type(value) is not int or not minimum <= value <= maximum:
        raise _refused(where, f"expected an integer from {minimum} to {maximum}", value, "out-of-range")
    return value


def hex_bytes(value: Any, where: str, size: int = HASH_SIZE_BYTES) -> bytes:
    """The bytes of exactly ``2 * size`` lower-case hex characters."""
    if type(value) is str and len(value) == 2 * size:
        raw = _from_hex(value)
        if raw is not None:
            return raw
    raise _refused(where, f"expected {2 * size} lower-case hex characters", value, "bad-hex")


def _from_hex(text: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    # fromhex also takes capitals and spaces; evidence has one spelling.
    return raw if raw.hex() == text else None


def hex_text(value: Any, where: str, size: int = HASH_SIZE_BYTES) -> str:
    """``value`` as exactly ``2 * size`` lower-case hex characters."""
    hex_bytes(value, where, size)
    return cast(str, value)


def hash_path(value: Any, where: str) -> tuple[bytes, ...]:
    """A Merkle path: at most 63 hashes in hex."""
    path = array(value, where, 0, MAX_PATH_HASHES)
    if all(type(one) is str and len(one) == 2 * HASH_SIZE_BYTES for one in path):
        raw = _from_hex("".join(path))
        if raw is not None:
            return tuple([raw[at : at + HASH_SIZE_BYTES] for at in range(0, len(raw), HASH_SIZE_BYTES)])
    raise _refused(where, "expected hashes of 64 lower-case hex characters", value, "bad-hex")


def base64_bytes(value: Any, where: str, size: int | None = None) -> bytes:
    """The bytes of RFC 4648 section 4 base64 in its one padded spelling; ``size`` bytes when given."""
    if type(value) is not str:
        raise _refused(where, "expected base64 text", value, "bad-base64")
    try:
        raw = b64decode(value, validate=True)
    except (Base64Error, ValueError):
        raise _refused(where, "expected padded base64", value, "bad-base64") from None
    if b64encode(raw).decode() != value:
        raise _refused(where, "expected the canonical base64 spelling", value, "bad-base64")
    if size is not None and len(raw) != size:
        raise _refused(where, f"expected {size} bytes in base64", value, "bad-base64")
    return raw


def base64_text(raw: bytes) -> str:
    """The padded base64 spelling of ``raw``."""
    return b64encode(raw).decode("ascii")


def time_ms(value: Any, where: str) -> int:
    """Milliseconds since 1970 of ``YYYY-MM-DDThh:mm:ss.sssZ``, a time that exists."""
    if type(value) is not str or not _TIME.match(value):
        raise _refused(where, "expected YYYY-MM-DDThh:mm:ss.sssZ", value, "bad-time")
    try:
        moment = datetime.fromisoformat(value[:-1] + "+00:00")
    except ValueError:
        raise _refused(where, "expected a time that exists", value, "bad-time") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def time_text(milliseconds: int) -> str:
    """The one spelling of a time given in milliseconds since 1970."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def second_text(seconds: int) -> str:
    """``YYYY-MM-DDThh:mm:ssZ`` of a time in seconds since 1970, which a cosigner states: past the year 9999 in words."""
    if seconds >= _YEAR_10000_S:
        return f"{seconds} s after 1970"
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:-6] + "Z"


def tree_head(value: Any, where: str) -> tuple[int, bytes]:
    """A ``[size, hex root]`` pair."""
    pair = array(value, where, 2, 2)
    return count(pair[0], where), hex_bytes(pair[1], where)


def _refused(where: str, expected: str, value: Any, rule: str) -> InvalidInput:
    pointer = "/" + where.rpartition(".")[2]
    return InvalidInput(f"{where}: {expected}, got {_sort_of(value)}", rule=rule, pointer=pointer)


def _sort_of(value: Any) -> str:
    """What a message says that it got: never the value, which may be secret or large."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"text of {len(value)} characters"
        case list():
            return f"an array of {len(value)}"
        case dict():
            return f"an object of {len(value)} members"
    return "a number"
