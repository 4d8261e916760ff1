from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.trace.balance import OVERDUE_US, Balance, balances, decimal_text
from fabric.trace.source import MovementRow, StockRow

NOW = 100 * OVERDUE_US


def stock(
    place: str = "P",
    unit: str | None = "KGM",
    *,
    made: str = "0",
    received: str = "0",
    dispatched: str = "0",
    used: str = "0",
    counted: str | None = None,
    on_hand: str = "0",
    short: str = "0",
    surplus: str = "0",
    without: int = 0,
) -> StockRow:
    return (
        "L",
        place,
        unit,
        made,
        received,
        dispatched,
        used,
        "0",
        "0",
        counted,
        on_hand,
        short,
        surplus,
        without,
    )


def leg(
    state: str, sent: str | None, got: str | None = None, *, age_us: int = 0, unit: str = "KGM"
) -> MovementRow:
    return "L", unit, sent, got, state, NOW - age_us


def balance(*rows: StockRow, legs: tuple[MovementRow, ...] = (), unit: str = "KGM") -> Balance:
    return balances(rows, legs, NOW)["L", unit]


def test_made_and_on_hand_are_added_over_places() -> None:
    found = balance(stock("P", made="10.5", on_hand="4"), stock("Q", received="6.5", on_hand="6.5"))
    assert (found.made, found.on_hand) == (Decimal("10.5"), Decimal("10.5"))
    assert [place.place for place in found.places] == ["P", "Q"]


def test_units_are_never_added() -> None:
    found = balances(
        [stock(unit="KGM", made="1"), stock(unit="LBR", made="2"), stock(unit=None, made="3")], [], NOW
    )
    assert {key[1]: one.made for key, one in found.items()} == {"KGM": 1, "LBR": 2, None: 3}


def test_a_dispatch_is_in_transit_for_fourteen_days_and_unaccounted_after_them() -> None:
    on_the_way = balance(legs=(leg("open", "5", age_us=OVERDUE_US),))
    assert (on_the_way.in_transit, on_the_way.unaccounted) == (5, 0)
    missing = balance(legs=(leg("open", "5", age_us=OVERDUE_US + 1),))
    assert (missing.in_transit, missing.unaccounted) == (0, 5)
    assert on_the_way.open_handovers == missing.open_handovers == 1


def test_without_a_seal_nothing_is_overdue() -> None:
    assert balances([], [leg("open", "5", age_us=50 * OVERDUE_US)], None)["L", "KGM"].in_transit == 5


def test_a_short_receipt_is_unaccounted_and_a_long_one_surplus_and_they_are_not_netted() -> None:
    found = balance(legs=(leg("received", "10", "8"), leg("received", "10", "13")))
    assert (found.unaccounted, found.surplus) == (2, 3)
    assert found.open_handovers == 0


def test_book_stock_above_a_count_is_unaccounted_and_a_count_above_the_book_is_surplus() -> None:
    found = balance(
        stock("P", counted="7", on_hand="7", short="3"), stock("Q", counted="5", on_hand="5", surplus="1")
    )
    assert (found.unaccounted, found.surplus, found.on_hand) == (3, 1, 12)


def test_out_above_in_is_surplus_and_never_a_negative_stock() -> None:
    found = balance(stock("P", made="2", used="5", on_hand="-3"), stock("Q", on_hand="3"))
    assert (found.on_hand, found.surplus, found.used) == (3, 3, 5)


def test_what_left_the_ledger_is_neither_in_transit_nor_unaccounted() -> None:
    found = balance(legs=(leg("outside", "5", age_us=2 * OVERDUE_US),))
    assert (found.outside, found.in_transit, found.unaccounted, found.open_handovers) == (5, 0, 0, 0)


def test_an_ambiguous_dispatch_counts_as_not_received() -> None:
    found = balance(legs=(leg("ambiguous", "5"),))
    assert (found.in_transit, found.open_handovers) == (5, 1)


def test_a_voided_dispatch_counts_for_nothing() -> None:
    assert balance(legs=(leg("voided", "5"),)) == Balance()


def test_a_leg_without_quantity_is_open_and_adds_nothing() -> None:
    found = balance(stock(without=2), legs=(leg("open", None),))
    assert (found.open_handovers, found.in_transit, found.without_quantity) == (1, 0, 2)


@pytest.mark.parametrize(
    ("number", "text"),
    [("1E+2", "100"), ("12.50", "12.5"), ("0.0", "0"), ("-0", "0"), ("100", "100"), ("1e-7", "0.0000001")],
)
def test_amounts_are_written_without_exponent_and_trailing_zeros(number: str, text: str) -> None:
    assert decimal_text(Decimal(number)) == text


@given(st.lists(st.decimals(min_value=0, max_value=Decimal("1e30"), places=9), min_size=1, max_size=8))
def test_sums_are_exact(amounts: list[Decimal]) -> None:
    found = balance(*(stock(made=decimal_text(amount)) for amount in amounts))
    assert Fraction(found.made) == sum(Fraction(amount) for amount in amounts)
