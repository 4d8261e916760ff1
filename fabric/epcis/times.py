"""Times and offsets of EPCIS: strict reading of xsd:dateTimeStamp and of eventTimeZoneOffset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from .remembered import Remembered

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST = 14 * 60
# The calendar has years 1 to 9999; a local time in them may still be an instant outside of them in UTC.
_FIRST = -62_135_596_800_000_000
_LAST = 253_402_300_799_999_999


def parse_time(text: str) -> tuple[int, int | None] | None:
    """Microseconds since 1970 UTC, and the offset written in minutes (None for Z); None if it is no time.

    The form is ``YYYY-MM-DDThh:mm:ss[.fff…](Z|±hh:mm)``. Digits beyond microseconds are dropped. An instant
    outside the years 1 to 9999 in UTC is no time: nothing could write it back.
    """
    return _TIMES[text]


def _parsed_time(text: str) -> tuple[int, int | None] | None:
    if not _has_form(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    offset = moment.utcoffset()
    if offset is None:
        return None
    minutes = offset.days * 1440 + offset.seconds // 60
    if not -_MOST <= minutes <= _MOST:
        return None
    since = moment - _EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not is_in_calendar(micros):
        return None
    return micros, None if text[-1] == "Z" else minutes


_TIMES = Remembered(_parsed_time, 16_384)


def is_in_calendar(micros: int) -> bool:
    """Whether microseconds since 1970, UTC or local, fall into the years 1 to 9999."""
    return _FIRST <= micros <= _LAST


def _has_form(text: str) -> bool:
    # fromisoformat also reads week dates, missing separators and missing offsets; these are not EPCIS.
    if len(text) < 20 or text[4] != "-" or text[7] != "-" or text[10] != "T" or not text.isascii():
        return False
    if text[13] != ":" or text[16] != ":":
        return False
    end = len(text) - (1 if text[-1] == "Z" else 6)
    if end != len(text) - 1 and (text[end] not in "+-" or text[-3] != ":"):
        return False
    return end == 19 or (text[19] == "." and end > 20 and text[20:end].isdecimal())


def parse_offset(text: str) -> int | None:
    """Minutes of an offset ``±hh:mm`` up to 14:00; None if it is no offset."""
    return _OFFSETS[text]


def _parsed_offset(text: str) -> int | None:
    if len(text) != 6 or text[0] not in "+-" or text[3] != ":":
        return None
    hours, minutes = text[1:3], text[4:6]
    if not ((hours + minutes).isdecimal() and text.isascii() and int(minutes) < 60):
        return None
    total = int(hours) * 60 + int(minutes)
    if total > _MOST:
        return None
    return -total if text[0] == "-" else total


_OFFSETS = Remembered(_parsed_offset, 4_096)


def time_of(micros: int) -> datetime:
    """The aware UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)
