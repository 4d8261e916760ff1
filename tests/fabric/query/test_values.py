"""Numbers and times as parameters write them: exact, whatever digits they have."""

from __future__ import annotations

import operator
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis.times import parse_time
from fabric.query.comparison import Compared, Op, TimeTest
from fabric.query.values import bound_of, decimal_of, instant_of, plain

_SECOND_US = 1_767_225_600_000_000
_DIGITS = st.text("0123456789", min_size=1, max_size=9)
_OPS = {
    Op.EQ: operator.eq,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
    Op.LT: operator.lt,
    Op.LE: operator.le,
}


def _at(digits: str) -> str:
    return f"2026-01-01T00:00:00.{digits}Z"


@given(_DIGITS, _DIGITS, st.sampled_from([Op.GT, Op.GE, Op.LT, Op.LE]))
def test_a_bound_finer_than_microseconds_divides_stored_times_where_it_stands(
    asked: str, sent: str, op: Op
) -> None:
    stored = parse_time(_at(sent))
    bound = bound_of(_at(asked), op.rounds_up)
    assert stored is not None
    assert bound is not None
    exact = Fraction(int(asked.ljust(9, "0")), 1000)
    assert TimeTest(op, bound)(_at(sent)) is _OPS[op](stored[0] - _SECOND_US, exact)


@given(_DIGITS)
def test_an_instant_is_one_only_in_whole_microseconds(digits: str) -> None:
    found = instant_of(_at(digits))
    fine = digits.ljust(9, "0")
    assert found == (_SECOND_US + int(fine[:6]) if fine[6:] == "000" else None)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**300), max_value=10**300))
def test_a_number_is_read_back_from_its_plain_text(number: Decimal) -> None:
    text = plain(number)
    assert decimal_of(text) == (number if len(text) <= 400 else None)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.decimals(-1000, 1000, places=3))
def test_a_json_number_compares_as_the_decimal_it_was_written_as(sent: int | float, asked: Decimal) -> None:
    for op, compare in _OPS.items():
        assert Compared(op, asked, None)(sent) is compare(Decimal(repr(sent)), asked)


@given(st.text() | st.none() | st.booleans() | st.lists(st.integers()))
def test_what_is_no_number_compares_with_none(value: object) -> None:
    number = decimal_of(value) if isinstance(value, str) else None
    assert Compared(Op.GE, Decimal(-(10**390)), None)(value) is (number is not None)
    assert Compared(Op.LT, None, 0)("yesterday") is False


def test_numbers_beyond_what_records_hold_are_none() -> None:
    assert decimal_of("1e400") == Decimal("1e400")
    assert decimal_of("1e401") is None
    assert decimal_of("0e9999") == 0
    assert decimal_of("1e99999") is None
    assert decimal_of("1_000") is None
    assert decimal_of("") is None
