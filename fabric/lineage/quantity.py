"""Exact amounts: one text per number, and the units that measure the same thing (UN/ECE Recommendation 20)."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import cache
from typing import Final, NamedTuple

from ontology import read_table

# Wide enough for any two numbers a record can hold: JSON numbers reach from 1e-324 to 1e308.
EXACT: Final = Context(prec=1400, Emin=-999_999, Emax=999_999)
ZERO: Final = Decimal(0)


class Unit(NamedTuple):
    """A unit's dimension and how many of the dimension's base unit it is, exactly."""

    dimension: str
    factor: Decimal


@cache
def units() -> dict[str | None, Unit]:
    """Units by Rec 20 code; None is the item that a class is counted in."""
    found: dict[str | None, Unit] = {}
    for dimension, codes in read_table("units.toml").items():
        if dimension == "sensor":
            # What sensors measure is no amount of goods: counting it in would change how amounts were added before.
            continue
        for code, factor in codes.items():
            found[code] = Unit(dimension, Decimal(factor))
    found[None] = Unit("count", Decimal(1))
    return found


def dimension_of(unit: str | None) -> str:
    """What a unit measures; a unit that is not in the table measures only itself."""
    known = units().get(unit)
    return f"unit {unit}" if known is None else known.dimension


def convert(value: Decimal, unit: str | None, to: str | None) -> Decimal | None:
    """An amount in another unit, exactly; None where the two measure different things or no finite decimal fits."""
    if unit == to:
        return value
    table = units()
    one, other = table.get(unit), table.get(to)
    if one is None or other is None or one.dimension != other.dimension:
        return None
    product = EXACT.multiply(value, one.factor)
    quotient = EXACT.divide(product, other.factor)
    return quotient if EXACT.multiply(quotient, other.factor) == product else None


def exact_text(number: Decimal) -> str:
    """An exact decimal without exponent and without trailing zeros: `1E+2` is `100`, `12.50` is `12.5`."""
    if not number:
        return "0"
    text = str(number)
    if "E" in text:
        text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
