"""Memories of what was worked out: bounded in number and in length, and never a second answer."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis import read_document, read_untrusted_event, record_hash
from fabric.epcis.contexts import as_entries
from fabric.epcis.identifiers import LONGEST_BYTES, Position, name_reader
from fabric.epcis.remembered import LONGEST, Remembered
from fabric.epcis.representation import EpcFormat, translate
from fabric.epcis.times import parse_offset, parse_time
from fabric.epcis.words import word_iri
from ledger.commitment import record_commitment
from ledger.errors import InvalidInput

from .documents import document, event, raw


class Asked:
    """Gives a text back and notes that it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str) -> str:
        self.texts.append(text)
        return text.upper()


def test_a_text_is_worked_out_once() -> None:
    asked = Asked()
    memory = Remembered(asked, 8)
    assert [memory["a"], memory["a"], memory["b"], memory["a"]] == ["A", "A", "B", "A"]
    assert asked.texts == ["a", "b"]


def test_a_long_text_is_worked_out_each_time_and_not_kept() -> None:
    asked = Asked()
    memory = Remembered(asked, 8)
    for length in (LONGEST, LONGEST + 1):
        assert memory["x" * length] == memory["x" * length] == "X" * length
    assert [len(text) for text in asked.texts] == [LONGEST, LONGEST + 1, LONGEST + 1]
    assert memory.kept() == 1


@given(texts=st.lists(st.text("abcdefghij", max_size=2), max_size=200), most=st.integers(1, 12))
def test_no_more_than_the_bound_are_kept_and_every_answer_is_right(texts: list[str], most: int) -> None:
    memory = Remembered(str.upper, most)
    for text in texts:
        assert memory[text] == text.upper()
        assert memory.kept() <= max(2, most)


def test_what_is_asked_for_again_outlives_what_is_not() -> None:
    asked = Asked()
    memory = Remembered(asked, 16)
    for number in range(100):
        assert memory["often"] == "OFTEN"
        assert memory[str(number)] == str(number)
    assert asked.texts.count("often") == 1


def test_an_error_is_raised_each_time_and_nothing_is_kept() -> None:
    def refuse(text: str) -> str:
        raise ValueError(text)

    memory = Remembered(refuse, 8)
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            memory["x"]
    assert memory.kept() == 0


def grown(work: Callable[[str], object]) -> int:
    """Bytes that eight different texts of a tenth of a megabyte leave behind in memories."""
    work(f"{'x' * 1_000}0")
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(8):
            work(f"{'x' * 100_000}{number}")
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def in_every_position(text: str) -> None:
    for position in Position:
        read = name_reader(position)
        for name in (f"urn:example:{text}", f"https://a.example/01/09506000134352/21/{text}"):
            problem = read(name)[1]
            assert (problem is None) == (len(name) <= LONGEST_BYTES)
        assert read(f"urn:epc:id:sgtin:{text}")[1] is not None
        assert read(f"urn:epc:id:giai:9506000.{text}")[1] is not None


def in_either_form(text: str) -> None:
    for form in EpcFormat:
        for name in (f"urn:epc:id:gid:{text}", f"https://a.example/{text}"):
            assert translate({"epcList": [name]}, form) == {"epcList": [name]}


def in_a_document(text: str) -> None:
    """A document that has the text wherever one may have any length, and one that is refused for where it has it."""
    named = event(
        bizStep=f"urn:step:{text}",
        disposition=f"urn:disp:{text}",
        epcList=[f"urn:epc:{text}"],
        readPoint={"id": f"https://place.example/{text}"},
        bizTransactionList=[{"type": f"urn:type:{text}", "bizTransaction": f"urn:doc:{text}"}],
    )
    with suppress(InvalidInput):
        read_document(raw(document(named)), "application/json")
    one = event()
    one[f"ex:{text}"] = {f"ex:in{text}": text}
    one["few:list"] = list(range(2_000))
    whole = document(one)
    whole["@context"] = [
        *as_entries(whole["@context"]),
        {"ex": f"https://ex.example/{text}#", "few": "https://few.example/"},
    ]
    read = read_document(raw(whole), "application/json")
    for record in read.events:
        read_untrusted_event(record.committed)
        assert record_commitment(record.committed, bytes(32))
        assert record_hash(record.committed) is not None


def at_a_time(text: str) -> None:
    assert parse_time(f"2026-01-01T00:00:00.{'1' * len(text)}Z") is not None
    assert parse_offset(text) is None


@pytest.mark.parametrize(
    "work",
    [
        in_every_position,
        in_either_form,
        in_a_document,
        at_a_time,
        lambda text: word_iri("bizStep", f"urn:x:{text}"),
    ],
)
def test_long_texts_leave_nothing_behind(work: Callable[[str], object]) -> None:
    # Any one of them alone has a tenth of a megabyte.
    assert grown(work) < 80_000
