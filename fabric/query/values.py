"""Values of parameters as they were given, in a URL or in a query object, read into what a condition compares.

Both spellings of a question read to equal values: a list is cut at ``|`` in a URL and is an array in JSON; a number
is its exact decimal either way.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fabric.epcis.times import parse_time

from .errors import QueryParameter, QueryTooComplex, refused, too_complex

MOST_VALUES: Final = 2_000
"""Values of one parameter; a question with more is too complex."""

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_LONGEST_NUMBER: Final = 400
_LARGEST_EXPONENT: Final = 400
_TOO_LARGE: Final = 10**400
_LARGEST_COUNT: Final = 2**63 - 1
_FLAGS: Final = {"": True, "true": True, "1": True, "false": False, "0": False}
_PIPE: Final = re.compile("%7c", re.IGNORECASE)
_A_TIME: Final = "a time with its zone, such as 2026-01-31T23:59:59.000+01:00"


class Item(NamedTuple):
    """One value: text, or what JSON has beside text. `inside` is its pointer in the parameter."""

    value: str | Decimal | bool
    inside: str


class Given(ABC):
    """A parameter as it was given. Every reader raises QueryParameter, with the parameter's pointer."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    @abstractmethod
    def items(self) -> list[Item]:
        """The values of a parameter that takes several; never none, and none of them empty."""

    @abstractmethod
    def single(self) -> Item:
        """The value of a parameter that takes one."""

    @abstractmethod
    def flag(self) -> bool:
        """Whether something is asked to exist; no value says yes."""

    @abstractmethod
    def several(self) -> list[Item]:
        """The values of a parameter that takes one or several, of any type."""

    def meant(self, text: str) -> tuple[str, ...]:
        """The texts that a value may mean, itself among them."""
        return (text,)

    def bad(self, rule: str, expected: str, got: object, inside: str = "") -> QueryParameter:
        """The refusal of this parameter."""
        return refused(self.name, rule, expected, got, inside)

    def texts(self) -> Iterator[tuple[str, str]]:
        """The values, which are texts, and the pointer of each."""
        for value, inside in self.items():
            if not isinstance(value, str):
                raise self.bad("wrong-type", "text", value, inside)
            yield value, inside

    def text(self) -> str:
        """The one value, a text."""
        value = self.single().value
        if not isinstance(value, str):
            raise self.bad("wrong-type", "text", value)
        return value

    def number(self) -> Decimal:
        """The one value, a number."""
        return self._number(self.single())

    def numbers(self) -> frozenset[Decimal]:
        """The values, which are numbers."""
        return frozenset(self._number(item) for item in self.several())

    def _number(self, item: Item) -> Decimal:
        value = item.value
        found = value if isinstance(value, Decimal) else None
        if isinstance(value, str):
            found = decimal_of(value)
        if found is None:
            raise self.bad("bad-number", "a number such as 12.5", value, item.inside)
        return found

    def time(self, up: bool) -> int:
        """The one value, a time, in microseconds; finer digits count as the next one `up`, else as none."""
        found = bound_of(self.text(), up)
        if found is None:
            raise self.bad("bad-time", _A_TIME, self._hinted())
        return found

    def _hinted(self) -> str:
        # The commonest fault: a plus sign that was not percent-encoded arrives as a space.
        text = self.text()
        return f"{text} (a plus sign in a URL is written %2B)" if " " in text else text

    def number_or_time(self, up: bool) -> tuple[Decimal | None, int | None]:
        """The one value, a number or else a time in microseconds."""
        value = self.single().value
        number = value if isinstance(value, Decimal) else None
        if isinstance(value, str):
            number = decimal_of(value)
            time = None if number is not None else bound_of(value, up)
            if number is None and time is None:
                raise self.bad("bad-value", f"a number, or {_A_TIME}", self._hinted())
            return number, time
        if number is None:
            raise self.bad("bad-value", f"a number, or {_A_TIME}", value)
        return number, None

    def count(self, least: int) -> int:
        """The one value, a whole number."""
        value = self.single().value
        text = value if isinstance(value, str) else plain(value) if isinstance(value, Decimal) else ""
        whole = int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else -1
        if not least <= whole <= _LARGEST_COUNT:
            raise self.bad("bad-count", f"a whole number of at least {least}", value)
        return whole

    def truth(self) -> bool:
        """The one value, true or false."""
        value = self.single().value
        found = value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value))
        if found is None or isinstance(value, Decimal):
            raise self.bad("bad-boolean", "true or false", value)
        return found


class InUrl(Given):
    """A parameter of a query string, decoded."""

    value: str

    def items(self) -> list[Item]:
        """The texts between bars."""
        texts = self.value.split("|") if self.value else []
        if len(texts) > MOST_VALUES:
            raise _too_many(self.name, len(texts))
        if not texts or not all(texts):
            raise self.bad("empty-value", "a value, or several with | between them", self.value or "nothing")
        places = [f"/{index}" for index in range(len(texts))] if len(texts) > 1 else [""]
        return [Item(text, place) for text, place in zip(texts, places, strict=True)]

    several = items

    def meant(self, text: str) -> tuple[str, ...]:
        """A bar within a text is written ``%7C`` once more, which may also be what the text itself has."""
        other = _PIPE.sub("|", text)
        return (text,) if other == text else (text, other)

    def single(self) -> Item:
        """The text."""
        if not self.value:
            raise self.bad("empty-value", "a value", "nothing")
        return Item(self.value, "")

    def flag(self) -> bool:
        """Nothing, true or 1; false or 0."""
        found = _FLAGS.get(self.value)
        if found is None:
            raise self.bad("bad-boolean", "no value, true or false", self.value)
        return found


class InJson(Given):
    """A member of a query object."""

    def items(self) -> list[Item]:
        """The items of an array."""
        if not isinstance(self.value, list):
            raise self.bad("wrong-type", "a list of values", self.value)
        if len(self.value) > MOST_VALUES:
            raise _too_many(self.name, len(self.value))
        if not self.value:
            raise self.bad("empty-value", "a list with a value", self.value)
        return [self._item(value, f"/{index}") for index, value in enumerate(self.value)]

    def several(self) -> list[Item]:
        """The items of an array, or the value itself."""
        return self.items() if isinstance(self.value, list) else [self.single()]

    def single(self) -> Item:
        """The value, which is no container."""
        return self._item(self.value, "")

    def _item(self, value: Any, inside: str) -> Item:
        if isinstance(value, bool):
            return Item(value, inside)
        if isinstance(value, int | float):
            if not abs(value) < _TOO_LARGE:
                raise self.bad("bad-number", "a number of 400 digits at most", "a larger one", inside)
            return Item(Decimal(repr(value)), inside)
        if not isinstance(value, str):
            raise self.bad("wrong-type", "text or a number", value, inside)
        if not value:
            raise self.bad("empty-value", "a value", "nothing", inside)
        return Item(value, inside)

    def flag(self) -> bool:
        """Null, true or 1; false or 0."""
        if self.value is None or self.value is True or self.value is False:
            return self.value is not False
        if type(self.value) is int and self.value in (0, 1):
            return self.value == 1
        raise self.bad("bad-boolean", "null, true or false", self.value)


def _too_many(name: str, count: int) -> QueryTooComplex:
    return too_complex(name, "too-many-values", f"{MOST_VALUES} values at most", count)


def decimal_of(text: str) -> Decimal | None:
    """The exact number that a text writes; None if it writes none, or one beyond all that records can hold."""
    if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
        return None
    number = Decimal(text)
    return number if not number or abs(number.adjusted()) <= _LARGEST_EXPONENT else None


def plain(number: Decimal) -> str:
    """A number as a text of its own, without exponent and trailing zeros."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if not number else text


def bound_of(text: str, up: bool) -> int | None:
    """A time as a bound of stored ones, which are whole microseconds; None if it is no time.

    Digits finer than that count as the next microsecond `up`, which is right for "from" and "before", or else as
    none, which is right for "after" and "until".
    """
    found = parse_time(text)
    if found is None:
        return None
    return found[0] + 1 if up and _is_finer(text) else found[0]


def instant_of(text: str) -> int | None:
    """A time in microseconds; None if it is no time, or is finer than microseconds."""
    found = parse_time(text)
    return None if found is None or _is_finer(text) else found[0]


def _is_finer(text: str) -> bool:
    return text[19] == "." and bool(text[26 : -1 if text[-1] == "Z" else -6].strip("0"))
