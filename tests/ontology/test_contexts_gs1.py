"""Our tables of keys and hand-over words agree with the sources they were written from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ontology import read_table
from ontology.jsonld import word_iris


@pytest.fixture(scope="module")
def dictionary(shared_data: Path) -> dict[str, str]:
    """Specification and attributes of each application identifier, from the syntax dictionary of GS1."""
    text = (shared_data / "gs1" / "gs1-syntax-dictionary.txt").read_text(encoding="utf-8")
    found = {}
    for line in text.splitlines():
        match = re.match(r"([0-9]{2,4})(?:-([0-9]{2,4}))?\s+(.*?)(?:\s+#.*)?$", line)
        if match:
            found[match[1]] = match[3]
    return found


def keys() -> dict[str, Any]:
    return read_table("gs1/keys.toml")["key"]  # type: ignore[no-any-return]


def test_our_keys_and_their_qualifiers_are_the_dictionarys(dictionary: dict[str, str]) -> None:
    primary = {ai: line for ai, line in dictionary.items() if "dlpkey" in line}
    assert set(primary) == set(keys())
    for ai, line in primary.items():
        given = re.search(r"dlpkey=(\S+)", line)
        sequences = [part.split(",") for part in given[1].split("|")] if given else []
        assert keys()[ai].get("qualifiers", []) == sequences, ai


def test_our_value_formats_are_the_dictionarys(dictionary: dict[str, str]) -> None:
    for ai, row in keys().items():
        line = dictionary[ai]
        numbers = re.findall(r"(?<![.\d\[])N(\d+)", line)
        digits = sum(int(number) for number in numbers) - (4 if row.get("pieces") else 0)
        tail = re.search(r"([XYN])\.\.(\d+)", line)
        assert row.get("digits", 0) == digits, ai
        assert row.get("tail") == ([tail[1], int(tail[2])] if tail else None), ai
        assert ("csum" in line) == ("check" in row), ai


def test_our_qualifier_formats_are_the_dictionarys(dictionary: dict[str, str]) -> None:
    for ai, row in read_table("gs1/keys.toml")["qualifier"].items():
        found = re.search(r"([XYN])\.\.(\d+)", dictionary[ai])
        assert row["value"] == ([found[1], int(found[2])] if found else ["X", 4]), ai


def test_fixed_elements_are_those_without_separator(dictionary: dict[str, str]) -> None:
    fixed = read_table("gs1/elements.toml")["fixed"]
    for ai, line in dictionary.items():
        assert ("*" in line.split()[0]) == (ai[:2] in fixed), ai


def test_identifier_lengths_follow_from_the_first_two_digits(dictionary: dict[str, str]) -> None:
    lengths = read_table("gs1/elements.toml")["ai_length"]
    by_start = {start: int(length) for length, starts in lengths.items() for start in starts}
    assert {ai: len(ai) for ai in dictionary} == {ai: by_start.get(ai[:2], 2) for ai in dictionary}


def test_hand_over_words_are_words_of_the_standard() -> None:
    table, steps = read_table("handover.toml"), word_iris("cbv/words.toml", "bizStep")
    for part in ("dispatch", "receipt", "end", "takes_back"):
        assert set(table[part]["steps"]) <= set(steps)
    assert set(table["pairing"]["documents"]) <= set(word_iris("cbv/words.toml", "bizTransactionType"))
    assert not set(table["dispatch"]["steps"]) & set(table["receipt"]["steps"])
