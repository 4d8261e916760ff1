"""Rows and answers as the command line words them: pure functions, no node."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from api.cli.columns import columns, printable
from api.cli.trace_text import Names, iris, text

LOT = "https://id.gs1.org/01/09506000134352/10/A-VERY-LONG-LOT-CODE"
DOCK, SHOP = "https://packer.example/dock", "https://shop.example/dock"

WORDS = st.text(min_size=1, max_size=30)


@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1), width=st.none() | st.integers(1, 120))
def test_no_cell_is_cut_or_broken_at_any_width(rows: list[tuple[str, str, str]], width: int | None) -> None:
    lines = columns(("thing", "place", "state"), rows, width)
    told = "\n".join(lines)
    assert all(printable(cell).rstrip() in told for row in rows for cell in row)
    assert all(line.isprintable() for line in lines)


@given(rows=st.lists(st.tuples(WORDS, WORDS), min_size=1), width=st.integers(1, 120))
def test_rows_are_aligned_only_where_they_fit(rows: list[tuple[str, str]], width: int) -> None:
    lines = columns(("thing", "place"), rows, width)
    if lines[0].split() == ["thing", "place"] and len(lines) == len(rows) + 1:
        assert max(map(cell_len, lines)) <= width


def row(thing: str, place: str, on_hand: str, **more: Any) -> dict[str, Any]:
    """Quantities of one lot with stock at one place."""
    zero = dict.fromkeys(("made", "in_transit", "used", "sold", "destroyed", "outside"), "0")
    at = dict.fromkeys(("made", "received", "dispatched", "used", "sold", "destroyed"), "0")
    rest = {"unaccounted": "0", "surplus": "0", "without_quantity": 0, "open_handovers": 0}
    places = [at | {"place": place, "received": "9", "counted": None, "on_hand": on_hand}]
    return zero | rest | {"thing": thing, "unit": "KGM", "on_hand": on_hand, "places": places} | more


def answer(**more: Any) -> dict[str, Any]:
    """A trace whose lot had its last event at the dock, while its stock is at the shop."""
    holder = {
        "party": None,
        "member": "packer",
        "place": DOCK,
        "time": "2025-10-09T12:00:00Z",
        "state": "held",
    }
    item = {"thing": LOT, "kind": "lot", "level": 0, "strength": "stated", "never_received": []}
    return {
        "thing": LOT,
        "direction": "forward",
        "size": 5,
        "time": "2025-10-24T12:53:20Z",
        "affected": [item | {"holder": holder}],
        "quantities": [row(LOT, SHOP, "7")],
        "handovers": [],
        "contradictions": [],
        "stops": [],
        "hidden": "none",
    } | more


def section(lines: list[str], title: str) -> list[str]:
    """The lines under a title."""
    start = next(at for at, line in enumerate(lines) if line.startswith(title)) + 1
    return lines[start : lines.index("", start) if "" in lines[start:] else None]


def test_stock_is_told_where_it_is_and_not_where_the_last_event_was() -> None:
    names = Names({SHOP: "Harbour shop"}, {"shop": "Shops Ltd"}, {SHOP: "shop"}.get)
    lines = text(answer(), names)
    assert section(lines, "Who holds it now") == [
        "  Harbour shop (Shops Ltd)",
        "    7 kg of GTIN 09506000134352, lot A-VERY-LONG-LOT-CODE",
    ]
    assert any(DOCK in line for line in section(lines, "Affected"))


def test_a_dispatch_is_in_transit_for_fourteen_days_and_then_never_received() -> None:
    leg = {"things": [LOT], "carrier": None, "from": DOCK, "to": SHOP, "received": None, "documents": []}
    late = leg | {"dispatched": "2025-10-10T12:53:19Z", "state": "open"}
    recent = leg | {"dispatched": "2025-10-10T12:53:20Z", "state": "open"}
    lines = section(text(answer(handovers=[recent, late]), Names()), "In transit")
    assert [line.split(":")[0].strip() for line in lines if "sent" in line] == [
        "never received",
        "in transit",
    ]


def test_a_backward_trace_tells_first_what_went_into_the_thing_and_where_it_was_made() -> None:
    source = LOT.replace("/10/A-VERY-LONG-LOT-CODE", "/10/FIELD-7")
    made = row(source, DOCK, "0", made="600")
    made["places"][0]["made"] = "600"
    item = {"thing": source, "kind": "lot", "level": 1, "strength": "possible", "never_received": []}
    whole = answer()
    found = whole | {
        "direction": "backward",
        "affected": [item | {"holder": None}, *whole["affected"]],
        "quantities": [made, *whole["quantities"]],
    }
    names = Names({DOCK: "North dock"}, {"packer": "Packers"}, {DOCK: "packer"}.get)
    lines = text(found, names)
    assert lines[0].startswith("backward trace of ")
    assert ": 1 went into it; covers tree size 5" in lines[0]
    _, asked, went_in = section(lines, "What went into it")
    assert asked.split()[-1] == "0"
    assert [part.strip() for part in went_in.split("  ") if part.strip()] == [
        "GTIN 09506000134352, lot FIELD-7 (possible)",
        "1",
        "600 kg",
        "North dock (Packers)",
    ]
    assert not any(line.startswith("Affected") for line in lines)
    assert lines.index("What went into it") < lines.index("Who holds it now")
    assert DOCK in iris(found)


def test_what_is_missing_is_told_with_amount_and_surplus_apart() -> None:
    rows = [row(LOT, SHOP, "0", unaccounted="2.5", surplus="1")]
    lines = text(answer(quantities=rows), Names())
    assert section(lines, "Unaccounted") == ["  2.5 kg of GTIN 09506000134352, lot A-VERY-LONG-LOT-CODE"]
    assert section(lines, "Surplus") == ["  1 kg of GTIN 09506000134352, lot A-VERY-LONG-LOT-CODE"]


def test_where_records_are_hidden_an_empty_list_speaks_of_visible_records_only() -> None:
    whole = "\n".join(text(answer(quantities=[]) | {"affected": []}, Names()))
    assert "in the records you may see" not in whole
    hidden = text(answer(quantities=[], affected=[], hidden="1-9"), Names())
    for title in ("In transit", "Unaccounted"):
        assert section(hidden, title) == ["  nothing in the records you may see"]
    assert section(hidden, "Who holds it now") == ["  nobody in the records you may see"]


def test_a_lot_without_any_amount_is_held_where_its_last_event_was() -> None:
    lines = section(text(answer(quantities=[]), Names()), "Who holds it now")
    assert lines == [
        f"  {DOCK} (packer)",
        "    GTIN 09506000134352, lot A-VERY-LONG-LOT-CODE, amount not stated",
    ]


def test_a_hostile_name_moves_no_cursor() -> None:
    lines = text(answer(), Names({SHOP: "shop\x1b[2J\rpacker"}))
    assert all(line.isprintable() for line in lines)


def test_everything_that_is_shown_is_asked_for_by_name() -> None:
    assert {LOT, DOCK, SHOP} <= set(iris(answer()))


def test_a_trace_says_how_many_records_were_erased() -> None:
    told = text(answer(erased={"records": 2, "things": []}), Names())
    assert "erased: 2 records that named what is shown; what they said is unknown, amounts too" in told
    assert not [line for line in text(answer(), Names()) if "erased" in line]
