"""When a scheduled subscription runs: the six fields of a query schedule, in UTC, as EPCIS 2.0 defines them.

Each field lists numbers and ranges, `"0,30"`, `"[1-5]"`; `"0/30"`, every 30th from 0, is taken as the standard's own
example writes it. A field that is left out matches any time where it is coarser than one that is given, and its lowest
value where it is finer than all of them: `{"hour": "1", "minute": "5"}` is once a day, at 01:05:00.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fabric.query.errors import SubscriptionControls

SECOND, MINUTE, HOUR = "second", "minute", "hour"
DAY_OF_MONTH, MONTH, DAY_OF_WEEK = "dayOfMonth", "month", "dayOfWeek"

FIELDS: Final[Mapping[str, tuple[int, int]]] = {
    SECOND: (0, 59),
    MINUTE: (0, 59),
    HOUR: (0, 23),
    DAY_OF_MONTH: (1, 31),
    MONTH: (1, 12),
    DAY_OF_WEEK: (1, 7),
}
"""The fields of a schedule, each with its least and greatest value; day 1 of a week is Monday."""

_LONGEST_TEXT: Final = 200
_ELEMENT: Final = re.compile(r"(?:(\d{1,2})(?:/(\d{1,2}))?|\[(\d{1,2})-(\d{1,2})\])\Z", re.ASCII)
_YEARS: Final = 41
"""29 February comes on each day of the week within forty years, also around a year such as 2100."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Sets of values that each field of a time in UTC has to be in."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next_after(self, time: datetime) -> datetime | None:
        """The first whole second after `time` that matches; None when none does within forty years."""
        start = time.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        day = start.replace(hour=0, minute=0, second=0)
        last = day.year + _YEARS
        while day.year < min(last, 9999):
            if day.month not in self.months:
                day = _next_month(day)
                continue
            if day.day in self.days and day.isoweekday() in self.weekdays:
                found = self._on_day(day, max(start, day))
                if found is not None:
                    return found
            day += timedelta(days=1)
        return None

    def _on_day(self, day: datetime, start: datetime) -> datetime | None:
        for hour in self.hours:
            for minute in self.minutes:
                if day.replace(hour=hour, minute=minute, second=59) < start:
                    continue
                for second in self.seconds:
                    found = day.replace(hour=hour, minute=minute, second=second)
                    if found >= start:
                        return found
        return None


def _next_month(day: datetime) -> datetime:
    if day.month == 12:
        return day.replace(year=day.year + 1, month=1, day=1)
    return day.replace(month=day.month + 1, day=1)


def parse_schedule(value: Any, pointer: str = "/schedule") -> Schedule:
    """The schedule of an object with some of the six fields.

    Raises SubscriptionControls `bad-schedule` for anything else, and for one that no time ever matches.
    """
    if not isinstance(value, Mapping) or not value:
        raise _bad("an object with at least one field", type(value).__name__, pointer)
    unknown = sorted(set(value) - set(FIELDS))
    if unknown:
        raise _bad(f"only the fields {', '.join(FIELDS)}", str(unknown[0])[:40], pointer)
    given = {name: _values(name, text, f"{pointer}/{name}") for name, text in value.items()}
    found = _schedule(given)
    if found.next_after(datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise _bad("a time that comes", "one that no calendar has", pointer)
    return found


def _schedule(given: Mapping[str, frozenset[int]]) -> Schedule:
    order = (SECOND, MINUTE, HOUR)
    finest = next((place for place, name in enumerate(order) if name in given), len(order))

    def of(name: str) -> frozenset[int]:
        least, greatest = FIELDS[name]
        if name in given:
            return given[name]
        if name in order and order.index(name) < finest:
            return frozenset({least})
        return frozenset(range(least, greatest + 1))

    times = [tuple(sorted(of(name))) for name in order]
    return Schedule(times[0], times[1], times[2], of(DAY_OF_MONTH), of(MONTH), of(DAY_OF_WEEK))


def _values(name: str, text: Any, pointer: str) -> frozenset[int]:
    least, greatest = FIELDS[name]
    # A number in place of its text is what most clients write first, and means nothing else.
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str) or not text or len(text) > _LONGEST_TEXT:
        raise _bad(_form(name), "another value", pointer)
    found: set[int] = set()
    for element in text.split(","):
        found.update(_element(element.strip(), name, pointer))
    if not all(least <= number <= greatest for number in found):
        raise _bad(_form(name), text[:40], pointer)
    return frozenset(found)


def _element(element: str, name: str, pointer: str) -> range:
    matched = _ELEMENT.match(element)
    if matched is None:
        raise _bad(_form(name), element[:40], pointer)
    number, step, first, last = (None if one is None else int(one) for one in matched.groups())
    if first is not None and last is not None:
        if first > last:
            raise _bad("a range from the less to the greater", element, pointer)
        return range(first, last + 1)
    assert number is not None
    if step is None:
        return range(number, number + 1)
    # The start is taken as it is, so that one out of range is refused and not passed over.
    return range(number, max(FIELDS[name][1], number) + 1, step or _refuse_step(element, pointer))


def _refuse_step(element: str, pointer: str) -> int:
    raise _bad("a step of 1 or more", element, pointer)


def _form(name: str) -> str:
    least, greatest = FIELDS[name]
    return f"numbers from {least} to {greatest} and ranges, as in '{least},[{least + 1}-{least + 3}]'"


def _bad(expected: str, got: str, pointer: str) -> SubscriptionControls:
    return SubscriptionControls(
        f"schedule: expected {expected}, got {got}", rule="bad-schedule", pointer=pointer
    )
