"""Measured values in every unit: exact, reversible, and the same however the question names the unit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.lineage import quantity
from fabric.query.comparison import Measured, Op, finite
from fabric.query.units import Unit, convert, units
from ontology import read_table

from .candidates import an_event, candidate, finds

_CODES = sorted(units())
_NUMBERS = st.decimals(-(10**9), 10**9, allow_nan=False, places=6)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[str, str]:
    """Two units of one dimension."""
    one = draw(st.sampled_from(_CODES))
    return one, draw(
        st.sampled_from([code for code in _CODES if units()[code].dimension == units()[one].dimension])
    )


@given(_NUMBERS, _pairs(), st.booleans())
def test_a_value_converts_there_and_back_exactly(
    value: Decimal, pair: tuple[str, str], difference: bool
) -> None:
    there = convert(value, *pair, difference=difference)
    assert there is not None
    assert convert(there, pair[1], pair[0], difference=difference) == value


@given(_NUMBERS, _NUMBERS, _pairs())
def test_order_is_the_same_in_every_unit(one: Decimal, other: Decimal, pair: tuple[str, str]) -> None:
    first, second = convert(one, *pair), convert(other, *pair)
    assert first is not None
    assert second is not None
    assert (first < second) == (one < other)


@given(_NUMBERS, _NUMBERS, _pairs(), st.sampled_from(list(Op)), st.booleans())
def test_a_comparison_is_that_of_both_values_in_the_base_unit(
    asked: Decimal, sent: Decimal, pair: tuple[str, str], op: Op, difference: bool
) -> None:
    uom, sent_uom = pair
    here, there = units()[uom], units()[sent_uom]
    left = (Fraction(sent) + (0 if difference else there.shift)) * there.factor
    right = (Fraction(asked) + (0 if difference else here.shift)) * here.factor
    expected = {
        "EQ": left == right,
        "GT": left > right,
        "GE": left >= right,
        "LT": left < right,
        "LE": left <= right,
    }[op]
    assert Measured(op, uom, frozenset({asked}), difference).holds(sent, sent_uom) is expected


@given(st.fractions())
def test_a_fraction_becomes_a_decimal_only_where_it_is_one(number: Fraction) -> None:
    found = finite(number)
    assert Fraction(found) == number
    if isinstance(found, Fraction):
        assert Fraction(str(Decimal(number.numerator) / Decimal(number.denominator))) != number


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        ("26", "CEL", "KEL", "299.15"),
        ("299.15", "KEL", "CEL", "26"),
        ("-40", "FAH", "CEL", "-40"),
        ("212", "FAH", "KEL", "373.15"),
        ("491.67", "A48", "CEL", "0"),
        ("1", "BAR", "HPA", None),
        ("1", "BAR", "A97", "1000"),
        ("760", "UA", "ATM", "1"),
        ("36", "KMH", "MTS", "10"),
        ("1", "KWH", "3B", "3.6"),
        ("90", "RPM", "RPS", "1.5"),
        ("60", "D61", "DD", "1"),
        ("12", "A93", "GL", "0.012"),
        ("1", "C35", "C36", "1000"),
        ("1", "P71", "P72", "1000"),
        ("1", "LBR", "GRM", "453.59237"),
        ("1", "LTR", "DMA", "0.000001"),
        # No fraction is the ratio of a radian and a degree, and a torque is no energy.
        ("1", "C81", "DD", None),
        ("1", "NU", "JOU", None),
        ("1", "XYZ", "XYZ", "1"),
        ("1", "XYZ", "XYY", None),
    ],
)
def test_known_conversions(value: str, unit: str, to: str, expected: str | None) -> None:
    assert convert(Decimal(value), unit, to) == (None if expected is None else Fraction(expected))


def test_a_difference_of_temperatures_has_no_zero_of_its_own() -> None:
    assert convert(Decimal(9), "FAH", "KEL", difference=True) == 5
    assert convert(Decimal(1), "CEL", "KEL", difference=True) == 1


def test_every_dimension_has_a_base_unit_and_each_code_one_dimension() -> None:
    bases = {unit.dimension for unit in units().values() if unit.factor == 1 and unit.shift == 0}
    assert bases == {unit.dimension for unit in units().values()}
    table = read_table("units.toml")
    rows = [codes for name, codes in table.items() if name != "sensor"] + list(table["sensor"].values())
    assert sum(map(len, rows)) == len(units())


def test_units_of_goods_are_what_they_were_before_sensors_had_any() -> None:
    goods = {code: unit for code, unit in quantity.units().items() if code is not None}
    assert {unit.dimension for unit in goods.values()} == {"mass", "volume", "count", "length", "area"}
    assert "CEL" not in goods
    for code, unit in goods.items():
        assert units()[code] == Unit(unit.dimension, Fraction(unit.factor), Fraction(0))


def _measuring(**report: object) -> dict[str, object]:
    return an_event(sensorElementList=[{"sensorReport": [{"type": "Temperature", **report}]}])


@pytest.mark.parametrize(
    ("parameter", "value", "found"),
    [
        ("EQ_value_CEL", "26", True),
        ("EQ_value_KEL", "299.15", True),
        ("EQ_value_FAH", "78.8", True),
        ("EQ_value_FAH", "78.80001|12|78.8", True),
        ("EQ_value_KEL", "299.1500001", False),
        ("GE_value_KEL", "299.15", True),
        ("GT_value_KEL", "299.15", False),
        ("LT_value_KEL", "299.15", False),
        ("LE_value_FAH", "78.8", True),
        ("GT_value_A48", "538.469999", True),
        ("GT_value_MTR", "0", False),
        ("GT_value_XYZ", "0", False),
        ("EQ_minValue_KEL", "298.15", True),
        ("LT_maxValue_KEL", "300.15", False),
        ("GE_meanValue_KEL", "299.0", True),
        ("EQ_percValue_KEL", "299.65", True),
        # One and a half degrees of spread are as many kelvin, and no more.
        ("EQ_sDev_KEL", "1.5", True),
        ("EQ_sDev_FAH", "2.7", True),
        ("GT_sDev_KEL", "1.5", False),
    ],
)
def test_a_question_in_one_unit_finds_what_was_recorded_in_another(
    parameter: str, value: str, found: bool
) -> None:
    event = _measuring(
        value=26.0, minValue=25, maxValue=27, meanValue=26, percValue=26.5, percRank=50, sDev=1.5, uom="CEL"
    )
    assert finds(candidate(event), **{parameter: value}) is found


def test_a_value_without_a_unit_is_found_by_none() -> None:
    assert not finds(candidate(_measuring(value=26)), GE_value_CEL="-300")


def test_tenths_are_tenths() -> None:
    event = candidate(_measuring(value=0.1, uom="CEL"))
    assert finds(event, EQ_value_CEL="0.1")
    assert finds(event, EQ_value_KEL="273.25")
    assert not finds(event, GT_value_CEL="0.1")
    assert not finds(event, EQ_value_CEL="0.1000000000000000055511151231257827")


def _amounts(*rows: tuple[float, str | None]) -> dict[str, object]:
    lists = [
        {"epcClass": f"urn:epc:class:lgtin:4012345.012345.{index}", "quantity": amount}
        | ({"uom": uom} if uom else {})
        for index, (amount, uom) in enumerate(rows)
    ]
    return an_event(quantityList=lists)


@pytest.mark.parametrize(
    ("parameter", "value", "found"),
    [
        ("EQ_quantity", "2.5", True),
        ("EQ_quantity", "1|2.50", True),
        ("GT_quantity", "200", False),
        ("GE_quantity", "200", True),
        ("EQ_quantity_GRM", "2500", True),
        ("LE_quantity_LBR", "5.5", False),
        ("EQ_quantity_KGM", "200", False),
        ("EQ_quantity_C62", "200", True),
        ("EQ_quantity_GRO", "200", False),
        ("LT_quantity_DZN", "17", True),
        ("GE_quantity_CEL", "-300", False),
    ],
)
def test_quantities_as_they_stand_or_in_a_unit(parameter: str, value: str, found: bool) -> None:
    assert finds(candidate(_amounts((2.5, "KGM"), (200, None))), **{parameter: value}) is found
