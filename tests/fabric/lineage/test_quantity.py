from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.lineage.quantity import EXACT, convert, dimension_of, exact_text, units


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        ("1", "KGM", "GRM", "1000"),
        ("1", "LBR", "KGM", "0.45359237"),
        ("2", "DZN", None, "24"),
        ("5", None, "EA", "5"),
        ("1", "MTQ", "LTR", "1000"),
        ("1", "XYZ", "XYZ", "1"),
        ("1", "KGM", "LTR", None),
        ("1", "XYZ", "KGM", None),
        # A kilogram is no finite decimal of pounds.
        ("1", "KGM", "LBR", None),
    ],
)
def test_amounts_convert_exactly_or_not_at_all(
    value: str, unit: str | None, to: str | None, expected: str | None
) -> None:
    assert convert(Decimal(value), unit, to) == (None if expected is None else Decimal(expected))


def test_an_unlisted_unit_measures_only_itself() -> None:
    assert dimension_of("XYZ") != dimension_of("XYY")


def test_every_dimension_has_a_unit_of_factor_one() -> None:
    table = units()
    assert {unit.dimension for unit in table.values()} == {
        unit.dimension for unit in table.values() if unit.factor == 1
    }


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_the_text_of_an_amount_is_exact_and_plain(number: Decimal) -> None:
    text = exact_text(number)
    assert Decimal(text) == number
    assert "E" not in text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_equal_amounts_have_one_text(number: Decimal) -> None:
    assert exact_text(number) == exact_text(EXACT.multiply(number, Decimal("1.00")))
