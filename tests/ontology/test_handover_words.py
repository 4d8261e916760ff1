"""The hand-over words are words of the standard."""

from __future__ import annotations

from ontology import read_table
from ontology.jsonld import word_iris


def test_hand_over_words_are_words_of_the_standard() -> None:
    table, steps = read_table("handover.toml"), word_iris("cbv/words.toml", "bizStep")
    for part in ("dispatch", "receipt", "end", "takes_back"):
        assert set(table[part]["steps"]) <= set(steps)
    assert set(table["pairing"]["documents"]) <= set(word_iris("cbv/words.toml", "bizTransactionType"))
    assert not set(table["dispatch"]["steps"]) & set(table["receipt"]["steps"])
