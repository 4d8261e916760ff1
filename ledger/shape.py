"""Strict readers for the spelling of our own formats: members, hex, base64, sizes, times.

Each reader takes the value and ``where``, the name used in the message, and raises :class:`InvalidInput` with
rule ``bad-shape`` (members, types), ``bad-hex``, ``bad-base64``, ``bad-time`` or ``out-of-range``. Another
spelling of the same value is refused: evidence has one spelling.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from .errors import InvalidInput
from .merkle import HASH_SIZE_BYTES, MAX_PATH_HASHES

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")
_NAME = re.compile(r"[a-z0-9-]{1,64}\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_TREE_SIZE = 2**53 - 1


def members(
    value: Any, where: str, required: frozenset[str], optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """``value`` as an object that has every required member and none beyond the optional ones."""
    if type(value) is not dict:
        raise InvalidInput(f"{where}: expected an object", rule="bad-shape")
    names = value.keys()
    if names == required:
        return value
    missing = required - names
    if missing:
        raise InvalidInput(f"{where}: expected member {min(missing)!r}, got none", rule="bad-shape")
    unknown = names - required - optional
    if unknown:
        raise InvalidInput(f"{where}: unknown member {min(unknown)[:80]!r}", rule="bad-shape")
    return value


def array(value: Any, where: str, minimum: int = 0, maximum: int = 65_536) -> list[Any]:
    """``value`` as an array of ``minimum`` to ``maximum`` items."""
    if type(value) is not list or not minimum <= len(value) <= maximum:
        raise InvalidInput(f"{where}: expected an array of {minimum} to {maximum} items", rule="bad-shape")
    return value


def text(value: Any, where: str, maximum: int = 4_096) -> str:
    """``value`` as a string of 1 to ``maximum`` characters."""
    if type(value) is not str or not 1 <= len(value) <= maximum:
        raise InvalidInput(f"{where}: expected text of 1 to {maximum} characters", rule="bad-shape")
    return value


def member_name(value: Any, where: str) -> str:
    """``value`` as a member id, ``[a-z0-9-]{1,64}``."""
    if type(value) is not str or not _NAME.match(value):
        raise InvalidInput(f"{where}: expected [a-z0-9-]{{1,64}}", rule="bad-shape")
    return value


def choice(value: Any, where: str, allowed: frozenset[str]) -> str:
    """``value`` as one of the allowed words."""
    if type(value) is not str or value not in allowed:
        raise InvalidInput(f"{where}: expected one of {', '.join(sorted(allowed))}", rule="bad-shape")
    return value


def count(value: Any, where: str, minimum: int = 0, maximum: int = MAX_TREE_SIZE) -> int:
    """``value`` as an integer from ``minimum`` to ``maximum``; neither a boolean nor a fraction."""
    if type(value) is not int or not minimum <= value <= maximum:
        raise InvalidInput(f"{where}: expected an integer from {minimum} to {maximum}", rule="out-of-range")
    return value


def hex_bytes(value: Any, where: str, size: int = HASH_SIZE_BYTES) -> bytes:
    """The bytes of exactly ``2 * size`` lower-case hex characters."""
    if type(value) is str and len(value) == 2 * size:
        raw = _from_hex(value)
        if raw is not None:
            return raw
    raise InvalidInput(f"{where}: expected {2 * size} lower-case hex characters", rule="bad-hex")


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
    raise InvalidInput(f"{where}: expected hashes of 64 lower-case hex characters", rule="bad-hex")


def base64_bytes(value: Any, where: str, size: int | None = None) -> bytes:
    """The bytes of RFC 4648 section 4 base64 in its one padded spelling; ``size`` bytes when given."""
    if type(value) is not str:
        raise InvalidInput(f"{where}: expected base64 text", rule="bad-base64")
    try:
        raw = b64decode(value, validate=True)
    except (Base64Error, ValueError):
        raise InvalidInput(f"{where}: expected padded base64", rule="bad-base64") from None
    if b64encode(raw).decode() != value:
        raise InvalidInput(f"{where}: expected the canonical base64 spelling", rule="bad-base64")
    if size is not None and len(raw) != size:
        raise InvalidInput(f"{where}: expected {size} bytes in base64, got {len(raw)}", rule="bad-base64")
    return raw


def base64_text(raw: bytes) -> str:
    """The padded base64 spelling of ``raw``."""
    return b64encode(raw).decode("ascii")


def time_ms(value: Any, where: str) -> int:
    """Milliseconds since 1970 of ``YYYY-MM-DDThh:mm:ss.sssZ``, a time that exists."""
    if type(value) is not str or not _TIME.match(value):
        raise InvalidInput(f"{where}: expected YYYY-MM-DDThh:mm:ss.sssZ", rule="bad-time")
    try:
        moment = datetime.fromisoformat(value[:-1] + "+00:00")
    except ValueError:
        raise InvalidInput(f"{where}: expected a time that exists", rule="bad-time") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def time_text(milliseconds: int) -> str:
    """The one spelling of a time given in milliseconds since 1970."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def tree_head(value: Any, where: str) -> tuple[int, bytes]:
    """A ``[size, hex root]`` pair."""
    pair = array(value, where, 2, 2)
    return count(pair[0], where), hex_bytes(pair[1], where)
