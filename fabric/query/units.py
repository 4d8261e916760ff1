"""Measured values in any unit of one dimension, compared exactly (UN/ECE Recommendation 20, `ontology/units.toml`).

A value in its base unit is ``(value + shift) * factor``; factors are fractions, so nothing is rounded: what a sensor
recorded in degrees Fahrenheit is found by a question in kelvin to the last digit. A unit that is not in the table
measures only itself.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, Final, NamedTuple

from ontology import read_table

_NOTHING: Final = Fraction(0)


class Unit(NamedTuple):
    """A unit's dimension, and how its values become those of the dimension's base unit."""

    dimension: str
    factor: Fraction
    shift: Fraction


@cache
def units() -> dict[str, Unit]:
    """Every unit that can be converted, by its code: those of goods, and those that sensors measure in."""
    table = read_table("units.toml")
    found: dict[str, Unit] = {}
    for dimension, codes in [*table.items(), *table["sensor"].items()]:
        if dimension == "sensor":
            continue
        for code, row in codes.items():
            if code in found:
                raise ValueError(f"units.toml: expected each code once, got {code} twice")
            found[code] = _unit(dimension, row)
    return found


def _unit(dimension: str, row: Any) -> Unit:
    if isinstance(row, str):
        return Unit(dimension, _fraction(row), _NOTHING)
    return Unit(dimension, _fraction(row["factor"]), _fraction(row["shift"]))


def _fraction(text: str) -> Fraction:
    above, _, below = text.partition("/")
    return Fraction(above) / Fraction(below or "1")


def convert(
    value: Decimal | Fraction | int, unit: str, to: str, *, difference: bool = False
) -> Fraction | None:
    """A value in another unit, exactly; None where the two measure different things.

    A `difference` of two values, such as a standard deviation, has no zero of its own: only the factors count.
    """
    exact = value if isinstance(value, Fraction) else Fraction(value)
    if unit == to:
        return exact
    table = units()
    one, other = table.get(unit), table.get(to)
    if one is None or other is None or one.dimension != other.dimension:
        return None
    if difference:
        return exact * one.factor / other.factor
    return (exact + one.shift) * one.factor / other.factor - other.shift


__all__ = ["Unit", "convert", "units"]
