from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from fabric.lineage.quantity import exact_text
from fabric.trace.balance import OVERDUE_US, Balance, Scales
from fabric.trace.source import LegRow, StockRow

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
    return [
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
    ]


def leg(state: str, sent: str | None, got: str | None = None, *, age_us: int = 0, to: str = "Q") -> LegRow:
    return [None, "P", to, NOW - age_us, None, "KGM", sent, got, state, True, False, [], [1], []]


def weigh(stock: list[StockRow], legs: list[LegRow], now: int | None = NOW) -> dict[str | None, Balance]:
    scales = Scales(now, lambda leg: leg[2] == "abroad")
    return {unit: Balance(*weights) for unit, weights in scales.weigh(stock, legs)}


def balance(*rows: StockRow, legs: tuple[LegRow, ...] = ()) -> Balance:
    return weigh(list(rows), list(legs))["KGM"]


def numbers(*values: object) -> list[str]:
    """Amounts as texts, so that a claim reads in one line."""
    return [exact_text(value) if isinstance(value, Decimal) else str(value) for value in values]


def test_made_and_on_hand_are_added_over_places() -> None:
    found = balance(stock("P", made="10.5", on_hand="4"), stock("Q", received="6.5", on_hand="6.5"))
    assert (found.made, found.on_hand) == (Decimal("10.5"), Decimal("10.5"))


def test_units_are_never_added() -> None:
    found = weigh([stock(unit="KGM", made="1"), stock(unit="LBR", made="2"), stock(unit=None, made="3")], [])
    assert {unit: one.made for unit, one in found.items()} == {"KGM": 1, "LBR": 2, None: 3}


def test_a_dispatch_is_in_transit_for_fourteen_days_and_unaccounted_after_them() -> None:
    on_the_way = balance(legs=(leg("open", "5", age_us=OVERDUE_US),))
    assert numbers(on_the_way.in_transit, on_the_way.unaccounted) == ["5", "0"]
    missing = balance(legs=(leg("open", "5", age_us=OVERDUE_US + 1),))
    assert numbers(missing.in_transit, missing.unaccounted) == ["0", "5"]
    assert on_the_way.open_handovers == missing.open_handovers == 1


def test_without_a_seal_nothing_is_overdue() -> None:
    assert weigh([], [leg("open", "5", age_us=50 * OVERDUE_US)], None)["KGM"].in_transit == 5


def test_a_short_receipt_is_unaccounted_and_a_long_one_surplus_and_they_are_not_netted() -> None:
    found = balance(legs=(leg("received", "10", "8"), leg("received", "10", "13")))
    assert numbers(found.unaccounted, found.surplus) == ["2", "3"]
    assert found.open_handovers == 0


def test_book_stock_above_a_count_is_unaccounted_and_a_count_above_the_book_is_surplus() -> None:
    found = balance(
        stock("P", counted="7", on_hand="7", short="3"), stock("Q", counted="5", on_hand="5", surplus="1")
    )
    assert numbers(found.unaccounted, found.surplus, found.on_hand) == ["3", "1", "12"]


def test_out_above_in_at_one_place_is_not_netted_with_stock_at_another() -> None:
    found = balance(stock("P", made="2", used="5", surplus="3"), stock("Q", on_hand="3"))
    assert numbers(found.on_hand, found.surplus, found.used) == ["3", "3", "5"]


def test_what_left_the_ledger_is_neither_in_transit_nor_unaccounted() -> None:
    found = balance(legs=(leg("open", "5", age_us=2 * OVERDUE_US, to="abroad"),))
    assert numbers(found.outside, found.in_transit, found.unaccounted, found.open_handovers) == [
        "5",
        "0",
        "0",
        "0",
    ]


def test_an_ambiguous_dispatch_counts_as_not_received() -> None:
    found = balance(legs=(leg("ambiguous", "5"),))
    assert numbers(found.in_transit, found.open_handovers) == ["5", "1"]


def test_a_voided_dispatch_counts_for_nothing() -> None:
    assert balance(legs=(leg("voided", "5"), leg("unmatched", None, "5"))) == Balance()


def test_a_leg_without_quantity_is_open_and_adds_nothing() -> None:
    found = balance(stock(without=2), legs=(leg("open", None),))
    assert numbers(found.open_handovers, found.in_transit, found.without_quantity) == ["1", "0", "2"]


@given(st.lists(st.decimals(min_value=0, max_value=Decimal("1e30"), places=9), min_size=1, max_size=8))
def test_sums_are_exact(amounts: list[Decimal]) -> None:
    found = balance(*(stock(made=exact_text(amount)) for amount in amounts))
    assert Fraction(found.made) == sum(Fraction(amount) for amount in amounts)
