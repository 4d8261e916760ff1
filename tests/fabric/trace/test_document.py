from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fabric.trace import Direction, Options, Trace
from fabric.trace import document as trace_document
from fabric.trace.document import offset_text, time_text

from .story import DAY_US, Story, lot, sscc

SPEC = Path(__file__).resolve().parents[3] / "docs" / "spec" / "trace.md"


def example() -> Trace:
    """Half of a lot goes into a product; the other half is packed, dispatched and never received."""
    story = Story()
    story.make((lot("A1"), 10, "KGM"), at="packer")
    story.turn([(lot("A1"), 5, "KGM")], [(lot("B1"), "4.5", "KGM")])
    story.pack(sscc(1), (lot("A1"), 5, "KGM"))
    story.ship(sscc(1), documents=["urn:epcglobal:cbv:bt:9506000134352:D1"])
    return story.ask(lot("A1"), Direction.FORWARD, later_us=15 * DAY_US)


def specified() -> dict[str, Any]:
    found = re.search(r"```json\n(.*?)```", SPEC.read_text(), re.DOTALL)
    assert found is not None
    value: dict[str, Any] = json.loads(found[1])
    return value


def test_the_example_of_the_specification_is_what_the_code_answers() -> None:
    assert json.loads(json.dumps(example().as_json())) == specified()


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@pytest.mark.parametrize("rows_at_once", [1, 2, 500])
def test_the_pieces_of_a_document_are_the_bytes_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(trace_document, "_ROWS_AT_ONCE", rows_at_once)
    for options in (Options(), Options(exposed_h=24)):
        story = Story()
        story.make((lot("A1"), 10, "KGM"), at="packer")
        story.turn([(lot("A1"), 5, "KGM")], [(lot("B1"), "4.5", "KGM"), (lot("C1"), "1", "KGM")])
        story.pack(sscc(1), (lot("A1"), 5, "KGM"))
        story.ship(sscc(1))
        whole = story.ask(lot("A1"), Direction.BOTH, options=options)
        pieces = list(whole.as_chunks(compact))
        assert b"".join(pieces) == compact(whole.as_json())


def test_rows_that_begin_alike_are_ordered_by_what_follows() -> None:
    rows: list[dict[str, object]] = [
        {"a": "x", "b": 2, "c": None},
        {"a": None, "b": 9, "c": "q"},
        {"a": "x", "b": 2, "c": ""},
        {"a": "w", "b": 5, "c": None},
        {"a": "x", "b": None, "c": "z"},
    ]
    assert list(trace_document._sorted(rows)) == [rows[1], rows[3], rows[4], rows[0], rows[2]]


def test_every_field_of_the_document_is_explained() -> None:
    text = SPEC.read_text().split("```json")[0]
    names: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            names.update(value)
            for part in value.values():
                collect(part)
        elif isinstance(value, list):
            for part in value:
                collect(part)

    collect(specified())
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def test_lists_are_sorted_by_what_they_show_first() -> None:
    rows = specified()["events"]
    assert [row["record"] for row in rows] == sorted(row["record"] for row in rows)


def test_times_are_utc_with_the_fraction_that_was_sent() -> None:
    assert time_text(0) == "1970-01-01T00:00:00Z"
    assert time_text(1) == "1970-01-01T00:00:00.000001Z"
    assert time_text(-1) == "1969-12-31T23:59:59.999999Z"
    assert time_text(None) is None


def test_offsets_are_written_as_epcis_writes_them() -> None:
    assert [offset_text(minutes) for minutes in (0, 120, -90, 345)] == [
        "+00:00",
        "+02:00",
        "-01:30",
        "+05:45",
    ]
