"""How much of a lot was made, is where, was used and cannot be found, per unit (design: meaning, section 3).

Amounts are exact: decimals are added without rounding, and only within one unit. What is missing and what is
too much are two numbers that are never netted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from fabric.lineage.quantity import EXACT, ZERO
from ontology import read_table

from .source import LegRow, StockRow

_DAY_US: Final = 24 * 3600 * 1_000_000
OVERDUE_US: Final = int(read_table("handover.toml")["pairing"]["unaccounted_after_days"]) * _DAY_US
"""A dispatch not received after this long is unaccounted for."""

_OPEN: Final = frozenset({"open", "ambiguous"})


class Balance(NamedTuple):
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


Weights: TypeAlias = tuple[
    Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, int, int
]
"""A balance as a plain tuple of its fields."""


class _Moving(NamedTuple):
    """What legs alone contribute to a balance."""

    in_transit: Decimal
    outside: Decimal
    unaccounted: Decimal
    surplus: Decimal
    open_handovers: int


class _Numbers(dict[str, Decimal]):
    """Reads decimal texts; equal texts are one object, because a large answer repeats few numbers."""

    def __missing__(self, text: str) -> Decimal:
        number = self[text] = Decimal(text)
        return number


class Scales:
    """Weighs lots one after the other. `time_us` is the time at which ages are measured.

    Without a time nothing is overdue yet: what was dispatched stays in transit. `leaves` tells whether an open
    leg leads out of the ledger.
    """

    def __init__(self, time_us: int | None, leaves: Callable[[LegRow], bool]) -> None:
        self._overdue_us = None if time_us is None else time_us - OVERDUE_US
        self._leaves = leaves
        self._number = _Numbers()

    def weigh(self, stock: Sequence[StockRow], legs: Sequence[LegRow]) -> list[tuple[str | None, Weights]]:
        """The balance of one lot in each unit that one of its rows has."""
        unit = stock[0][1] if stock else legs[0][5] if legs else None
        for row in stock:
            if row[1] != unit:
                return self._split(stock, legs)
        for leg in legs:
            if leg[5] != unit:
                return self._split(stock, legs)
        return [(unit, self._balance(stock, legs))] if stock or legs else []

    def _split(self, stock: Sequence[StockRow], legs: Sequence[LegRow]) -> list[tuple[str | None, Weights]]:
        found = []
        for unit in {row[1] for row in stock} | {leg[5] for leg in legs}:
            own = [row for row in stock if row[1] == unit]
            found.append((unit, self._balance(own, [leg for leg in legs if leg[5] == unit])))
        return found

    def _balance(self, stock: Sequence[StockRow], legs: Sequence[LegRow]) -> Weights:
        number, add = self._number, EXACT.add
        made = on_hand = used = sold = destroyed = short = surplus = ZERO
        unknown = 0
        for _, _, put, _, _, took, bought, gone, _, left, below, above, without in stock:
            unknown += without
            if put != "0":
                made = add(made, number[put]) if made else number[put]
            if left != "0":
                on_hand = add(on_hand, number[left]) if on_hand else number[left]
            if took != "0":
                used = add(used, number[took]) if used else number[took]
            if bought != "0":
                sold = add(sold, number[bought]) if sold else number[bought]
            if gone != "0":
                destroyed = add(destroyed, number[gone]) if destroyed else number[gone]
            if below != "0":
                short = add(short, number[below]) if short else number[below]
            if above != "0":
                surplus = add(surplus, number[above]) if surplus else number[above]
        moving = _NOTHING
        for leg in legs:
            state = leg[8]
            if state == "received":
                if leg[6] != leg[7] and leg[6] is not None and leg[7] is not None:
                    moving = self._apart(moving, number[leg[6]], number[leg[7]])
            elif state in _OPEN and leg[3] is not None:
                moving = self._open(moving, leg, ZERO if leg[6] is None else number[leg[6]])
        if moving is _NOTHING:
            return made, on_hand, ZERO, used, sold, destroyed, ZERO, short, surplus, unknown, 0
        transit, outside, missing, extra, waiting = moving
        missing, extra = add(missing, short), add(extra, surplus)
        return made, on_hand, transit, used, sold, destroyed, outside, missing, extra, unknown, waiting

    def _apart(self, moving: _Moving, sent: Decimal, got: Decimal) -> _Moving:
        if sent > got:
            return moving._replace(unaccounted=EXACT.add(moving.unaccounted, EXACT.subtract(sent, got)))
        return moving._replace(surplus=EXACT.add(moving.surplus, EXACT.subtract(got, sent)))

    def _open(self, moving: _Moving, leg: LegRow, sent: Decimal) -> _Moving:
        if self._leaves(leg):
            return moving._replace(outside=EXACT.add(moving.outside, sent))
        count = moving.open_handovers + 1
        if self._overdue_us is not None and leg[3] < self._overdue_us:
            return moving._replace(unaccounted=EXACT.add(moving.unaccounted, sent), open_handovers=count)
        return moving._replace(in_transit=EXACT.add(moving.in_transit, sent), open_handovers=count)


_NOTHING: Final = _Moving(ZERO, ZERO, ZERO, ZERO, 0)

__all__ = ["OVERDUE_US", "Balance", "Scales", "Weights"]
