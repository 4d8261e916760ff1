"""How much of a lot was made, is where, was used and cannot be found, per unit (design: meaning, section 3).

Amounts are exact: decimals are added without rounding, and only within one unit. What is missing and what is
too much are two numbers that are never netted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

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

    def weigh(
        self, stock: Sequence[StockRow], legs: Sequence[LegRow]
    ) -> Iterator[tuple[str | None, Balance]]:
        """The balance of one lot in each unit that one of its rows has."""
        units = {row[1] for row in stock}
        units.update([leg[5] for leg in legs])
        if len(units) == 1:
            yield units.pop(), self._balance(stock, legs)
            return
        for unit in units:
            own = [row for row in stock if row[1] == unit]
            yield unit, self._balance(own, [leg for leg in legs if leg[5] == unit])

    def _balance(self, stock: Sequence[StockRow], legs: Sequence[LegRow]) -> Balance:
        number, add = self._number, EXACT.add
        made = on_hand = used = sold = destroyed = short = surplus = ZERO
        unknown = 0
        for _, _, put, _, _, took, bought, gone, _, left, below, above, without in stock:
            unknown += without
            if put != "0":
                made = add(made, number[put])
            if left != "0":
                on_hand = add(on_hand, number[left])
            if took != "0":
                used = add(used, number[took])
            if bought != "0":
                sold = add(sold, number[bought])
            if gone != "0":
                destroyed = add(destroyed, number[gone])
            if below != "0":
                short = add(short, number[below])
            if above != "0":
                surplus = add(surplus, number[above])
        moving = self._moving(legs)
        return Balance(
            made,
            on_hand,
            moving.in_transit,
            used,
            sold,
            destroyed,
            moving.outside,
            add(short, moving.unaccounted) if short else moving.unaccounted,
            add(surplus, moving.surplus) if surplus else moving.surplus,
            unknown,
            moving.open_handovers,
        )

    def _moving(self, legs: Sequence[LegRow]) -> Balance:
        """What legs alone contribute."""
        found = _NOTHING
        for leg in legs:
            state, sent, got = leg[8], leg[6], leg[7]
            if state == "received":
                if sent != got and sent is not None and got is not None:
                    found = self._apart(found, self._number[sent], self._number[got])
            elif state in _OPEN and leg[3] is not None:
                found = self._open(found, leg, ZERO if sent is None else self._number[sent])
        return found

    def _apart(self, found: Balance, sent: Decimal, got: Decimal) -> Balance:
        if sent > got:
            short = EXACT.subtract(sent, got)
            return found._replace(unaccounted=EXACT.add(found.unaccounted, short))
        return found._replace(surplus=EXACT.add(found.surplus, EXACT.subtract(got, sent)))

    def _open(self, found: Balance, leg: LegRow, sent: Decimal) -> Balance:
        if self._leaves(leg):
            return found._replace(outside=EXACT.add(found.outside, sent))
        found = found._replace(open_handovers=found.open_handovers + 1)
        if self._overdue_us is not None and leg[3] < self._overdue_us:
            return found._replace(unaccounted=EXACT.add(found.unaccounted, sent))
        return found._replace(in_transit=EXACT.add(found.in_transit, sent))


_NOTHING: Final = Balance()

__all__ = ["OVERDUE_US", "Balance", "Scales"]
