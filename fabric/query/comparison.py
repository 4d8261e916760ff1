"""What is asked of a single value: tests that are values, each a total function of one JSON value.

A value is compared as what it is: a JSON number as the exact decimal it was written as, text as text, and text that
is a time or a number as such only where times or numbers are asked for.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, Protocol

from fabric.epcis.identifiers import Position, name_reader
from fabric.epcis.times import parse_time
from fabric.epcis.words import word_reader

from .units import Unit, units
from .values import decimal_of


class Op(StrEnum):
    """How a value is compared with the one asked for."""

    EQ = "EQ"
    GT = "GT"
    GE = "GE"
    LT = "LT"
    LE = "LE"

    @property
    def rounds_up(self) -> bool:
        """Whether a time asked for that is finer than microseconds counts as the next one."""
        return self in (Op.GE, Op.LT)


_COMPARE: Final[dict[Op, Callable[[Any, Any], bool]]] = {
    Op.EQ: operator.eq,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
    Op.LT: operator.lt,
    Op.LE: operator.le,
}


class Test(Protocol):
    """A test of one value of an event."""

    def __call__(self, value: Any) -> bool:
        """Whether the value is asked for. Never raises, whatever the value."""


def number_of(value: Any) -> Decimal | None:
    """The exact number that a JSON number was written as; None for anything else."""
    if type(value) is int:
        return Decimal(value)
    return Decimal(repr(value)) if type(value) is float else None


@dataclass(frozen=True, slots=True)
class OneOf:
    """Text that is one of several."""

    texts: frozenset[str]

    def __call__(self, value: Any) -> bool:
        """Whether the value is one of the texts."""
        return type(value) is str and value in self.texts


@dataclass(frozen=True, slots=True)
class OneWord:
    """A word of a field, in any spelling; `iris` are those asked for."""

    field: str
    iris: frozenset[str]

    def __call__(self, value: Any) -> bool:
        """Whether the value is a spelling of one of the words."""
        return type(value) is str and word_reader(self.field)(value) in self.iris


@dataclass(frozen=True, slots=True)
class OneThing:
    """A name of a thing, in any spelling; `iris` are the canonical ones asked for."""

    position: Position
    iris: frozenset[str]

    def __call__(self, value: Any) -> bool:
        """Whether the value names one of the things."""
        return type(value) is str and name_reader(self.position)(value)[0].iri in self.iris


@dataclass(frozen=True, slots=True)
class OneHex:
    """Hexadecimal digits, in either case; `texts` are in upper case."""

    texts: frozenset[str]

    def __call__(self, value: Any) -> bool:
        """Whether the value is one of the digit strings."""
        return type(value) is str and value.upper() in self.texts


@dataclass(frozen=True, slots=True)
class Truth:
    """True or false."""

    asked: bool

    def __call__(self, value: Any) -> bool:
        """Whether the value is this one."""
        return value is self.asked


@dataclass(frozen=True, slots=True)
class TimeTest:
    """A time, compared with one in microseconds."""

    op: Op
    time_us: int

    def __call__(self, value: Any) -> bool:
        """Whether the value is a time that compares so."""
        found = parse_time(value) if type(value) is str else None
        return found is not None and _COMPARE[self.op](found[0], self.time_us)


@dataclass(frozen=True, slots=True)
class NumberTest:
    """A JSON number, compared with one or, for equality, several."""

    op: Op
    numbers: frozenset[Decimal]

    def __call__(self, value: Any) -> bool:
        """Whether the value is a number that compares so with one of them."""
        number = number_of(value)
        return number is not None and self.holds(number)

    def holds(self, number: Decimal) -> bool:
        """Whether a number compares so with one of them."""
        return any(_COMPARE[self.op](number, asked) for asked in self.numbers)


@dataclass(frozen=True, slots=True)
class Equal:
    """An extension's value that equals one of several, each as text, number or time, whichever it can be."""

    texts: frozenset[str]
    numbers: frozenset[Decimal] = frozenset()
    times_us: frozenset[int] = frozenset()

    def __call__(self, value: Any) -> bool:
        """Whether the value is one of them: JSON numbers by value, times by instant, all else as text."""
        if type(value) is str:
            if value in self.texts:
                return True
            time = parse_time(value) if self.times_us else None
            return time is not None and time[0] in self.times_us
        if type(value) is bool:
            return ("true" if value else "false") in self.texts
        return number_of(value) in self.numbers


@dataclass(frozen=True, slots=True)
class Compared:
    """An extension's value compared with a number or a time; text counts where it writes one."""

    op: Op
    number: Decimal | None
    time_us: int | None

    def __call__(self, value: Any) -> bool:
        """Whether the value is of the type asked for and compares so."""
        if self.time_us is not None:
            found = parse_time(value) if type(value) is str else None
            return found is not None and _COMPARE[self.op](found[0], self.time_us)
        number = decimal_of(value) if type(value) is str else number_of(value)
        return number is not None and _COMPARE[self.op](number, self.number)


_Bound = Decimal | Fraction


@dataclass(frozen=True, slots=True)
class Measured:
    """An amount with a unit, compared with amounts in the unit `uom`; `difference` has no zero of its own.

    What was asked for is converted, once for each unit of its dimension, so a value is compared as it was sent.
    """

    op: Op
    uom: str
    numbers: frozenset[Decimal]
    difference: bool = False
    _bounds: dict[str, tuple[_Bound, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bounds: dict[str, tuple[_Bound, ...]] = {self.uom: tuple(self.numbers)}
        table = units()
        unit = table.get(self.uom)
        if unit is not None:
            for code, other in table.items():
                if other.dimension == unit.dimension and code != self.uom:
                    bounds[code] = tuple(self._in(number, unit, other) for number in self.numbers)
        object.__setattr__(self, "_bounds", bounds)

    def _in(self, number: Decimal, unit: Unit, other: Unit) -> _Bound:
        exact = Fraction(number)
        shift, back = (Fraction(0), Fraction(0)) if self.difference else (unit.shift, other.shift)
        return finite((exact + shift) * unit.factor / other.factor - back)

    def holds(self, number: Decimal, uom: Any) -> bool:
        """Whether an amount in a unit compares so; never where the units measure different things."""
        bounds = self._bounds.get(uom) if type(uom) is str else None
        if bounds is None:
            return False
        compare = _COMPARE[self.op]
        return any(compare(number if type(bound) is Decimal else Fraction(number), bound) for bound in bounds)


def finite(number: Fraction) -> _Bound:
    """The decimal that a fraction is exactly, which compares ten times as fast; the fraction where it is none."""
    below, digits = number.denominator, 0
    for prime in (2, 5):
        power = 0
        while below % prime == 0:
            below //= prime
            power += 1
        digits = max(digits, power)
    if below != 1:
        return number
    return Decimal((0 if number >= 0 else 1, _digits(abs(number) * 10**digits), -digits))


def _digits(whole: Fraction) -> tuple[int, ...]:
    return tuple(int(digit) for digit in str(whole.numerator))
