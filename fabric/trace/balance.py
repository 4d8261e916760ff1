"""How much of a lot was made, is where, was used and cannot be found, per unit (design: meaning, section 3).

Amounts are exact: decimals are added without rounding, and only within one unit. What is missing and what is
too much are two numbers that are never netted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

from fabric.lineage.quantity import EXACT, ZERO
from ontology import read_table

from .reach import Node
from .source import LegRow, StockRow

_DAY_US: Final = 24 * 3600 * 1_000_000
OVERDUE_US: Final = int(read_table("handover.toml")["pairing"]["unaccounted_after_days"]) * _DAY_US
"""A dispatch not received after this long is unaccounted for."""

Key: TypeAlias = tuple[Node, str | None]

_OPEN: Final = frozenset({"open", "ambiguous"})


@dataclass(slots=True)
class Balance:
    """The amounts of one lot in one unit, as docs/spec/trace.md names them; `rows` are its places."""

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
    rows: list[StockRow] = field(default_factory=list)


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
    courses: Iterable[tuple[Node, Sequence[StockRow], Sequence[LegRow]]],
    time_us: int | None,
    leaves: Callable[[LegRow], bool],
) -> dict[Key, Balance]:
    """A balance for each node and unit that has a row. `time_us` is the time at which ages are measured.

    Without a time nothing is overdue yet: what was dispatched stays in transit. `leaves` tells whether an open
    leg leads out of the ledger.
    """
    found: dict[Key, Balance] = {}
    number = _Numbers()
    overdue = None if time_us is None else time_us - OVERDUE_US
    for node, stock, legs in courses:
        for row in stock:
            key = (node, row[1])
            balance = found.get(key)
            if balance is None:
                balance = found[key] = Balance()
            _add_stock(balance, row, number)
        for leg in legs:
            key = (node, leg[5])
            balance = found.get(key)
            if balance is None:
                balance = found[key] = Balance()
            if leg[8] == "received":
                _add_received(balance, leg, number)
            elif leg[8] in _OPEN and leg[3] is not None:
                late = overdue is not None and leg[3] < overdue
                _add_open(balance, leg, number, leaves=leaves(leg), late=late)
    return found


def _add_stock(balance: Balance, row: StockRow, number: _Numbers) -> None:
    balance.rows.append(row)
    balance.without_quantity += row[12]
    add = EXACT.add
    if row[2] != "0":
        balance.made = add(balance.made, number(row[2]))
    if row[9] != "0":
        balance.on_hand = add(balance.on_hand, number(row[9]))
    if row[5] != "0":
        balance.used = add(balance.used, number(row[5]))
    if row[6] != "0":
        balance.sold = add(balance.sold, number(row[6]))
    if row[7] != "0":
        balance.destroyed = add(balance.destroyed, number(row[7]))
    if row[10] != "0":
        balance.unaccounted = add(balance.unaccounted, number(row[10]))
    if row[11] != "0":
        balance.surplus = add(balance.surplus, number(row[11]))


def _add_received(balance: Balance, leg: LegRow, number: _Numbers) -> None:
    if leg[6] is None or leg[7] is None or leg[6] == leg[7]:
        return
    short = EXACT.subtract(number(leg[6]), number(leg[7]))
    if short > ZERO:
        balance.unaccounted = EXACT.add(balance.unaccounted, short)
    else:
        balance.surplus = EXACT.subtract(balance.surplus, short)


def _add_open(balance: Balance, leg: LegRow, number: _Numbers, *, leaves: bool, late: bool) -> None:
    sent = ZERO if leg[6] is None else number(leg[6])
    if leaves:
        balance.outside = EXACT.add(balance.outside, sent)
        return
    balance.open_handovers += 1
    if late:
        balance.unaccounted = EXACT.add(balance.unaccounted, sent)
    else:
        balance.in_transit = EXACT.add(balance.in_transit, sent)


__all__ = ["OVERDUE_US", "Balance", "balances"]
