"""Single values as the event hash ID writes them: times, numbers, words and text (CBV 2.0, 8.9).

Each function takes a JSON value and gives its text, empty for a value that is left out; what cannot be written
raises `Unwritable`, and nothing is ever changed in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ontology import read_table

from .event_hash_names import constrained_link
from .remembered import Remembered
from .words import words_of

_TABLE = read_table("cbv/event_hash.toml")
_CURIES: dict[str, str] = _TABLE["curies"]
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_INTEGER = re.compile(r"-?[1-9][0-9]*")
_OFFSETS = {
    f"{sign}{minutes // 60:02}:{minutes % 60:02}": timedelta(minutes=minutes if sign == "+" else -minutes)
    for sign in "+-"
    for minutes in range(14 * 60 + 1)
}
# A number with more digits than any double has is written by nobody; unfolding its exponent could fill the memory.
_MOST_PLACES = 400
_LEAST_ROUNDED = 2**53


class Unwritable(Exception):
    """A value without a text. `path` grows outwards as the fields around it let it pass."""

    def __init__(self, rule: str, expected: str, got: object) -> None:
        super().__init__(rule)
        self.rule = rule
        self.expected = expected
        self.got = got
        self.path: list[str | int] = []


Write = Callable[[Any], str]


def time_text(text: str) -> str:
    """A time in UTC with three decimals, the third rounded up by a fourth of 5 to 9."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise Unwritable("bad-time", "a time such as 2026-01-31T23:59:59.000+01:00", text)
    local, fraction, sign, hours, minutes = found.groups()
    try:
        moment = datetime.fromisoformat(local)
        if fraction:
            digits = f"{fraction}000"
            moment += timedelta(milliseconds=int(digits[:3]) + (digits[3] >= "5"))
        if sign:
            moment -= _OFFSETS[f"{sign}{hours}:{minutes}"]
    except (KeyError, ValueError, OverflowError):
        raise Unwritable("bad-time", "a time in the years 1 to 9999 UTC", text) from None
    return f"{moment.isoformat(timespec='milliseconds')}Z"


_TIMES = Remembered(time_text, 4_096)


def write_time(value: Any) -> str:
    """The text of a time field."""
    if type(value) is not str:
        raise Unwritable("wrong-type", "a time as text", value)
    text = value.strip()
    return _TIMES[text] if text else ""


def number_text(value: int | float | str) -> str:
    """A number in plain decimal digits without exponent and trailing zeros, exactly.

    A float stands for the shortest decimal that reads as it, which is what its JSON text says.
    """
    if type(value) is int and -_LEAST_ROUNDED <= value <= _LEAST_ROUNDED:
        return str(value)
    decimal = Decimal(repr(value) if type(value) is float else value)
    if (
        not decimal.is_finite()
        or abs(decimal.adjusted()) > _MOST_PLACES
        or len(decimal.as_tuple().digits) > _MOST_PLACES
    ):
        raise Unwritable("bad-number", f"a number of {_MOST_PLACES} decimal places at most", value)
    text = format(decimal, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def write_number(value: Any) -> str:
    """The text of a number field; a number as text counts as the number."""
    if type(value) is int or type(value) is float:
        return number_text(value)
    text = value.strip() if type(value) is str else ""
    if _NUMBER.fullmatch(text):
        return number_text(text)
    if type(value) is str and not text:
        return ""
    raise Unwritable("wrong-type", "a number", value)


def write_text(value: Any) -> str:
    """The text of any other value: trimmed, compact IRIs of the standard written out, GS1 keys as links.

    Text stays text: nothing that looks like a number is read as one.
    """
    if type(value) is str:
        # Most values are words or codes, and end here.
        return _normal(value) if ":" in value else value.strip()
    if value is None:
        return ""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int or type(value) is float:
        return number_text(value)
    raise Unwritable("wrong-type", "text, a number, true or false", value)


def _urns() -> dict[str, str]:
    words = read_table("cbv/words.toml")
    lists = [row for row in words.values() if isinstance(row, dict) and "urn" in row]
    return {row["urn"]: words["base"] + row["prefix"] for row in lists}


_STARTS = {**_urns(), **_CURIES}


def _normal(text: str) -> str:
    text = text.strip()
    if text.startswith(_NAMES):
        return constrained_link(text)
    found = _START.match(text)
    return _STARTS[found.group()] + text[found.end() :] if found else text


_NAMES = ("urn:epc:", "https://", "http://")
_START = re.compile("|".join(map(re.escape, _STARTS)))


def word_writer(field: str) -> Write:
    """The writer of a field that may hold a bare word of the standard's list."""
    words = words_of(field)

    def write(value: Any) -> str:
        if type(value) is not str:
            raise Unwritable("wrong-type", f"a {field} as text", value)
        return words.get(value) or words.get(value.strip()) or _normal(value)

    return write


def write_string_value(value: Any) -> str:
    """The text of `stringValue`: text, but for one published hash.

    An integer of 24 digits passed through a binary double before it was hashed there. So an integer that a
    double cannot hold is written as the nearest one that it can; every other text stays as it is.
    """
    text = write_text(value)
    if len(text) < 16 or not _INTEGER.fullmatch(text) or len(text) > 300:
        return text
    return str(int(float(text))) if abs(int(text)) > _LEAST_ROUNDED else text
