"""Schedules: which times match, and which values are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.query.errors import SubscriptionControls
from fabric.subscription.schedule import FIELDS, parse_schedule

FRIDAY = datetime(2026, 1, 30, 12, 34, 56, 789_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"hour": "1", "minute": "5"}, "2026-01-31T01:05:00"),
        ({"hour": "1"}, "2026-01-31T01:00:00"),
        ({"second": "57"}, "2026-01-30T12:34:57"),
        ({"second": "0/30"}, "2026-01-30T12:35:00"),
        ({"second": "56"}, "2026-01-30T12:35:56"),
        ({"minute": "5,35,[40-42]"}, "2026-01-30T12:35:00"),
        ({"minute": "[40-42]"}, "2026-01-30T12:40:00"),
        ({"dayOfWeek": "1"}, "2026-02-02T00:00:00"),
        ({"dayOfWeek": "5"}, "2026-02-06T00:00:00"),
        ({"dayOfMonth": "31"}, "2026-01-31T00:00:00"),
        ({"dayOfMonth": "31", "month": "2,3"}, "2026-03-31T00:00:00"),
        ({"dayOfMonth": "29", "month": "2"}, "2028-02-29T00:00:00"),
        ({"dayOfMonth": "29", "month": "2", "dayOfWeek": "7"}, "2032-02-29T00:00:00"),
        ({"month": "1", "hour": "12"}, "2026-01-31T12:00:00"),
        ({"month": "1", "second": "59"}, "2026-01-30T12:34:59"),
        ({"hour": 23, "minute": 59, "second": 59}, "2026-01-30T23:59:59"),
    ],
)
def test_the_next_time_is_the_first_that_matches_every_field(fields: dict[str, Any], expected: str) -> None:
    found = parse_schedule(fields).next_after(FRIDAY)
    assert found is not None
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "0 1 * * *",
        None,
        {"second": "60"},
        {"minute": "-1"},
        {"hour": "24"},
        {"dayOfMonth": "0"},
        {"dayOfMonth": "32"},
        {"month": "13"},
        {"dayOfWeek": "0"},
        {"dayOfWeek": "8"},
        {"hour": "*"},
        {"hour": "1-5"},
        {"hour": "[5-1]"},
        {"hour": "[1-24]"},
        {"hour": "1,,2"},
        {"hour": "1,"},
        {"hour": ""},
        {"hour": "one"},
        {"hour": "٣"},
        {"hour": True},
        {"hour": 1.5},
        {"hour": ["1"]},
        {"second": "0/0"},
        {"second": "70/5"},
        {"second": "0," * 200 + "0"},
        {"year": "2026"},
        {"dayOfMonth": "30", "month": "2"},
        {"dayOfMonth": "31", "month": "4,6,9,11"},
    ],
)
def test_a_schedule_of_another_form_or_that_never_comes_is_refused(value: Any) -> None:
    with pytest.raises(SubscriptionControls) as caught:
        parse_schedule(value)
    assert caught.value.rule == "bad-schedule"
    assert caught.value.pointer.startswith("/schedule")


def _texts(name: str) -> st.SearchStrategy[str]:
    least, greatest = FIELDS[name]
    numbers = st.lists(st.integers(least, greatest).map(str), min_size=1, max_size=4)
    return numbers.map(",".join)


@given(
    st.fixed_dictionaries({}, optional={name: _texts(name) for name in FIELDS}).filter(bool),
    st.integers(0, 40 * 366 * 86_400).map(lambda one: FRIDAY + timedelta(seconds=one)),
)
def test_no_time_between_matches(fields: dict[str, str], start: datetime) -> None:
    """The time found matches, and of the seconds and days before it none does."""
    try:
        schedule = parse_schedule(fields)
    except SubscriptionControls:
        assert {"dayOfMonth", "month"} <= fields.keys()
        return
    found = schedule.next_after(start)
    assert found is not None
    assert found > start
    assert _matches(fields, found)
    moments = [start.replace(microsecond=0) + timedelta(seconds=one) for one in range(1, 400)]
    days = [found - timedelta(days=one) for one in range(1, 40)]
    assert not any(_matches(fields, one) for one in (*moments, *days) if start < one < found)


def _matches(fields: dict[str, str], time: datetime) -> bool:
    values = {
        "second": time.second,
        "minute": time.minute,
        "hour": time.hour,
        "dayOfMonth": time.day,
        "month": time.month,
        "dayOfWeek": time.isoweekday(),
    }
    is_finer = True
    for name, value in values.items():
        if name in fields:
            is_finer = False
            if value not in {int(one) for one in fields[name].split(",")}:
                return False
        elif name in ("dayOfMonth", "month", "dayOfWeek"):
            is_finer = False
        elif is_finer and value != 0:
            return False
    return True
