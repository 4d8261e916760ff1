"""Canonical bytes: RFC 8785 (JCS) over I-JSON, and the strict parser that guards its door.

The parser refuses what parsers disagree on in silence (design/evidence.md, "Canonical bytes"), so that two
honest readers of accepted bytes always hold the same value. The writer has a fast path that is used only
when its bytes are provably the ones RFC 8785 asks for; everything else goes through :mod:`rfc8785`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, NoReturn, TypeAlias

import rfc8785

from .errors import InvalidInput, TooLarge
from .json_text import faults

try:
    import orjson
except ImportError:  # The base install has no orjson; the bytes are the same without it, only slower.
    orjson = None  # type: ignore[assignment, unused-ignore]

_HAS_ORJSON: bool = orjson is not None

JSON: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list of JSON, dict from str to JSON."""

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 64

# A longer token has more digits than any double can need; cut here, before quadratic conversions.
_MAX_NUMBER_CHARS = 1_100

# Numbers whose spelling may differ from JCS: a trailing ".0", an exponent, or sixteen and more digits. They are
# looked for in compact bytes in which every digit and sign is "0" and every end of a value is ","; most records
# have no number at all. What looks like one inside a string is harmless: it only sends the value down the slow path.
_SHAPE = bytes.maketrans(b"123456789+-l[]}", b"000000000000,,,")
_EXPONENT = re.compile(rb"e0{1,4},")
_LONG = (b'":' + b"0" * 16, b"," + b"0" * 16)
_WHOLE_FRACTION = re.compile(rb"\.0[,\]}]")
_WHITESPACE = b" \t\r\n"
_ASTRAL = re.compile(rb"[\xf0-\xf4]")


def parse_json(data: bytes, *, max_depth: int = MAX_DEPTH) -> JSON:
    """The value of one strict I-JSON text in UTF-8, without byte order mark.

    Raises :class:`InvalidInput` with a rule of ``not-json``, ``not-utf8``, ``duplicate-member``,
    ``lone-surrogate``, ``jcs-number`` or ``too-deep``; where a value is at fault, and not the syntax, its findings
    name the place. The outermost value has depth 1.
    """
    value = _parse_fast(data)
    if value is not None and not is_deeper(value, max_depth):
        return value
    try:
        return _parse_slowly(data, max_depth)
    except InvalidInput as error:
        raise _placed(error, data, max_depth) from None


def _placed(error: InvalidInput, data: bytes, max_depth: int) -> InvalidInput:
    """The refusal of a text with its places; a text is walked again only when it is refused."""
    if error.rule == "not-json":
        return error
    found = faults(data.decode("utf-8", "surrogateescape"), max_depth, _check_number)
    if not found:
        return error
    first = found[0]
    more = "" if len(found) == 1 else f" (and {len(found) - 1} more)"
    message = f"{first.pointer or '/'}: expected {first.expected}, got {first.got}{more}"
    return (TooLarge if first.rule == "too-deep" else InvalidInput)(message, found, first.rule)


def _check_number(token: str) -> None:
    if token.lstrip("-").isdecimal():
        _integer(token)
    else:
        _fraction(token)


def _parse_slowly(data: bytes, max_depth: int) -> JSON:
    try:
        text = data.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"expected UTF-8, got byte {error.start} that is not", rule="not-utf8") from None
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"expected JSON: {error.msg} at line {error.lineno}, column {error.colno}", rule="not-json"
        ) from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    if is_deeper(value, max_depth):
        raise _too_deep(max_depth)
    if b"\\ud" in data or b"\\uD" in data:
        _check_surrogates(value)
    return value


def _parse_fast(data: bytes) -> JSON | None:
    """The object or array of a text that the strict parser would accept but for its depth; None in doubt.

    A value that is written again as the same text has lost no member of it, and has every number as it stood.
    """
    if not _HAS_ORJSON:
        return None
    try:
        value = orjson.loads(data)
        written = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    if written != data and written.translate(None, _WHITESPACE) != data.translate(None, _WHITESPACE):
        return None
    is_sure = type(value) in (dict, list) and not _has_doubtful_numbers(written.translate(_SHAPE))
    return value if is_sure else None


def _has_doubtful_numbers(shape: bytes) -> bool:
    """Whether a number has an exponent or sixteen digits, by the shape of compact JSON; may say so wrongly."""
    return _LONG[0] in shape or _LONG[1] in shape or _EXPONENT.search(shape) is not None


def canonical(value: JSON) -> bytes:
    """The RFC 8785 bytes of a JSON value.

    Raises :class:`InvalidInput` for what JCS cannot hold (rules ``jcs-number``, ``lone-surrogate``,
    ``too-deep``, ``not-json``).
    """
    fast = _dump(value)
    if fast is None or not (type(value) is str or is_certain(value, fast)):
        return canonical_slowly(value)
    return fast


def is_certain(value: JSON, fast: bytes) -> bool:
    """Whether a fast writer's bytes of a value are the canonical ones beyond doubt.

    It may be asked once of a whole whose bytes were put together from those of its parts.
    """
    kind = type(value)
    if kind is int or kind is float:
        return kind is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER
    shape = fast.translate(_SHAPE)
    # Numbers and nulls end in what is "0" in the shape; strings end in their quotation mark.
    if b"0," in shape:
        if _has_doubtful_numbers(shape) or _WHOLE_FRACTION.search(fast) is not None:
            return False
        try:
            if b"null" in fast and _holds_non_finite(value):
                return False
        except RecursionError:
            return False
    return fast.isascii() or _ASTRAL.search(fast) is None


def _holds_non_finite(value: JSON) -> bool:
    # orjson writes NaN and the infinities as null, where they must be refused.
    if type(value) is dict:
        return any(_holds_non_finite(item) for item in value.values())
    if type(value) is list or type(value) is tuple:
        return any(_holds_non_finite(item) for item in value)
    return type(value) is float and not isfinite(value)


def canonical_slowly(value: JSON) -> bytes:
    """The same bytes as :func:`canonical`, always by the reference implementation."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.IntegerDomainError, rfc8785.FloatDomainError):
        raise InvalidInput(
            "expected a number that JCS can hold, got one it cannot", rule="jcs-number"
        ) from None
    except UnicodeEncodeError:
        raise _lone_surrogate() from None
    except rfc8785.CanonicalizationError as error:
        rule = "lone-surrogate" if "UTF-8" in str(error) else "not-json"
        raise InvalidInput("expected a JSON value, got one that has no canonical form", rule=rule) from None
    except RecursionError:
        raise InvalidInput("expected shallow JSON, got nesting without end", rule="too-deep") from None


def jcs_order(names: Sequence[str] | Mapping[str, JSON]) -> list[str]:
    """Member names in the order of RFC 8785 section 3.2.3 (UTF-16 code units)."""
    ordered = sorted(names)
    joined = "".join(ordered)
    if joined.isascii() or max(joined) <= "\uffff":
        return ordered
    return sorted(names, key=_utf16_units)


def _utf16_units(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _dump(value: JSON) -> bytes | None:
    try:
        return write_fast(value)
    except WRITE_ERRORS:
        return None


def _write_with_json(value: JSON) -> bytes:
    return _ENCODER.encode(value).encode("utf-8")


def _write_with_orjson(value: JSON) -> bytes:
    if type(value) is str:
        return encode_basestring(value).encode("utf-8")
    # A copy, because orjson's own bytes are cut from a large piece of memory, which keeping many small ones splits.
    return b"%b" % orjson.dumps(value, option=_ORJSON_OPTIONS)


def _unique_members(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidInput(
            f"expected each member name once, got {_first_duplicate(pairs)!r} twice", rule="duplicate-member"
        )
    return members


def _first_duplicate(pairs: list[tuple[str, JSON]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name[:80]
        seen.add(name)
    return ""


def _integer(token: str) -> int:
    if len(token) > 17:
        raise _unsafe_number(token)
    value = int(token)
    if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return value
    raise _unsafe_number(token)


def _fraction(token: str) -> float:
    if len(token) > _MAX_NUMBER_CHARS:
        raise _unsafe_number(token)
    value = float(token)
    magnitude = abs(value)
    # JCS writes doubles from 2^53 up to 1e21 as bare digits, which other parsers read as integers.
    if MAX_SAFE_INTEGER < magnitude < 1e21 or magnitude == float("inf"):
        raise _unsafe_number(token)
    if repr(value) != token and not _same_decimal(token, value):
        raise _unsafe_number(token)
    return value


def _same_decimal(token: str, value: float) -> bool:
    if value == 0:
        return not re.sub("[eE].*", "", token).strip("-0.")
    try:
        return Decimal(token) == Decimal(repr(value))
    except InvalidOperation:
        return False


def _unsafe_number(token: str) -> InvalidInput:
    return InvalidInput(
        f"expected a number that a double holds exactly as written, got {token[:40]}", rule="jcs-number"
    )


def _constant(token: str) -> NoReturn:
    raise InvalidInput(f"expected JSON, got {token}", rule="not-json")


def is_deeper(value: JSON, limit: int) -> bool:
    """Whether a value has more levels than ``limit``; the outermost value is level 1, and scalars count."""
    level: list[JSON] = [value]
    depth = 1
    while level:
        if depth > limit:
            return True
        inner: list[JSON] = []
        for item in level:
            if type(item) is dict:
                inner.extend(item.values())
            elif type(item) is list:
                inner.extend(item)
        level = inner
        depth += 1
    return False


def _too_deep(max_depth: int) -> TooLarge:
    return TooLarge(f"expected JSON of depth {max_depth} at most, got more", rule="too-deep")


def _check_surrogates(value: JSON) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _lone_surrogate() from None


def _lone_surrogate() -> InvalidInput:
    return InvalidInput("expected Unicode text, got a lone surrogate", rule="lone-surrogate")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
WRITE_ERRORS = (ValueError, TypeError, RecursionError)
"""What :data:`write_fast` raises for a value that it cannot write; JCS may be able to."""

write_fast: Callable[[JSON], bytes] = _write_with_json
"""Writes compact sorted JSON, which is canonical where :func:`is_certain` says so. Raises WRITE_ERRORS."""

if orjson is not None:
    write_fast = _write_with_orjson
    _ORJSON_OPTIONS = (
        orjson.OPT_SORT_KEYS
        | orjson.OPT_STRICT_INTEGER
        | orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )
