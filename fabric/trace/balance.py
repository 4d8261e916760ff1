"""How much of a lot was made, is where, was used and cannot be found, per unit (design: meaning, section 3).

Amounts are exact: decimals are added without rounding, and only within one unit. What is missing and what is
too much are two numbers that are never netted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Final, TypeAlias

from ontology import read_table

from .reach import Node
from .source import MovementRow, StockRow

_DAY_US: Final = 24 * 3600 * 1_000_000
OVERDUE_US: Final = int(read_table("handover.toml")["pairing"]["unaccounted_after_days"]) * _DAY_US
"""A dispatch not received after this long is unaccounted for."""

ZERO: Final = Decimal(0)
# Wide enough for any two numbers a record can hold: JSON numbers reach from 1e-324 to 1e308.
_EXACT: Final = Context(prec=1400, Emin=-999_999, Emax=999_999)

Key: TypeAlias = tuple[Node, str | None]


@dataclass(slots=True)
class Place:
    """One place's part of a balance; `counted` is None where nobody counted."""

    place: str
    made: Decimal
    received: Decimal
    dispatched: Decimal
    used: Decimal
    sold: Decimal
    destroyed: Decimal
    counted: Decimal | None
    on_hand: Decimal


@dataclass(slots=True)
class Balance:
    """The amounts of one lot in one unit, as docs/spec/trace.md names them."""

    made: Decimal = ZERO
    on_hand: Decimal = ZERO
    in_transit: Decimal = ZERO
    used: Decimal = ZERO
    sold: Decimal = ZERO
    destroyed: Decimal = ZERO
    outside: Decimal = ZERO
    unaccounted: Decimal = ZERO
    surplus: Decimal = ZERO
    without_quantity: int = 0
    open_handovers: int = 0
    places: list[Place] = field(default_factory=list)


class _Numbers:
    """Reads decimal texts; equal texts are one object, because a large answer repeats few numbers."""

    def __init__(self) -> None:
        self._known: dict[str, Decimal] = {"0": ZERO}

    def __call__(self, text: str) -> Decimal:
        number = self._known.get(text)
        if number is None:
            number = self._known[text] = Decimal(text)
        return number


def balances(
    stock: Iterable[StockRow], movements: Iterable[MovementRow], time_us: int | None
) -> dict[Key, Balance]:
    """A balance for each node and unit that has a row. `time_us` is the time at which ages are measured.

    Without a time nothing is overdue yet: what was dispatched stays in transit.
    """
    found: dict[Key, Balance] = {}
    number = _Numbers()
    for row in stock:
        key = (row[0], row[2])
        balance = found.get(key)
        if balance is None:
            balance = found[key] = Balance()
        _add_stock(balance, row, number)
    overdue = None if time_us is None else time_us - OVERDUE_US
    for node, unit, sent, got, state, dispatched_us in movements:
        balance = found.get((node, unit))
        if balance is None:
            balance = found[node, unit] = Balance()
        late = overdue is not None and dispatched_us is not None and dispatched_us < overdue
        _add_movement(balance, sent and number(sent), got and number(got), state, late)
    return found


def _add_stock(balance: Balance, row: StockRow, number: _Numbers) -> None:
    place, counted = row[1], row[9]
    made, received, dispatched, used, sold, destroyed = map(number, row[3:9])
    on_hand, short, surplus = number(row[10]), number(row[11]), number(row[12])
    if on_hand < ZERO:
        surplus = _EXACT.subtract(surplus, on_hand)
        on_hand = ZERO
    seen = None if counted is None else number(counted)
    balance.places.append(Place(place, made, received, dispatched, used, sold, destroyed, seen, on_hand))
    add = _EXACT.add
    if made:
        balance.made = add(balance.made, made)
    if on_hand:
        balance.on_hand = add(balance.on_hand, on_hand)
    if used:
        balance.used = add(balance.used, used)
    if sold:
        balance.sold = add(balance.sold, sold)
    if destroyed:
        balance.destroyed = add(balance.destroyed, destroyed)
    if short:
        balance.unaccounted = add(balance.unaccounted, short)
    if surplus:
        balance.surplus = add(balance.surplus, surplus)
    balance.without_quantity += row[13]


def _add_movement(
    balance: Balance, sent: Decimal | str | None, got: Decimal | str | None, state: str, late: bool
) -> None:
    if state == "received":
        if isinstance(sent, Decimal) and isinstance(got, Decimal) and sent != got:
            difference = _EXACT.subtract(sent, got)
            if difference > ZERO:
                balance.unaccounted = _EXACT.add(balance.unaccounted, difference)
            else:
                balance.surplus = _EXACT.subtract(balance.surplus, difference)
        return
    if state in {"open", "ambiguous"}:
        balance.open_handovers += 1
    if not isinstance(sent, Decimal):
        return
    if state == "outside":
        balance.outside = _EXACT.add(balance.outside, sent)
    elif state in {"open", "ambiguous"} and late:
        balance.unaccounted = _EXACT.add(balance.unaccounted, sent)
    elif state in {"open", "ambiguous"}:
        balance.in_transit = _EXACT.add(balance.in_transit, sent)


def decimal_text(number: Decimal) -> str:
    """An exact decimal without exponent and without trailing zeros: `1E+2` is `100`, `12.50` is `12.5`."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


__all__ = ["OVERDUE_US", "Balance", "Place", "balances", "decimal_text"]
