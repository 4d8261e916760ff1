"""The token of a page goes on with one walk of one reader, until it expires, and with nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis.identifiers import LONGEST_BYTES
from fabric.query.errors import PageToken
from fabric.query.tokens import MAX_LENGTH, accept, issue, read, sign
from fabric.visibility.reader import Reader

SECRET, OTHER = b"s" * 32, b"t" * 32
FARM, SHOP = Reader("farm", frozenset({"farm"})), Reader("shop", frozenset({"shop", "farm"}))
PLACE = {"s": 12, "k": [1, 2], "l": None, "v": None}
QUESTION, EXPIRES = b"EQ_bizStep=shipping", 10_000


def token(**changes: Any) -> str:
    told: dict[str, Any] = {
        "secret": SECRET,
        "reader": FARM,
        "question": QUESTION,
        "place": PLACE,
        "expires_ms": EXPIRES,
    }
    return issue(**(told | changes))


def place_of(text: str, **changes: Any) -> Any:
    told: dict[str, Any] = {
        "secret": SECRET,
        "token": text,
        "reader": FARM,
        "question": QUESTION,
        "now_ms": EXPIRES - 1,
    }
    return accept(**(told | changes))


def test_a_token_gives_back_where_the_walk_stands() -> None:
    assert place_of(token()) == PLACE
    widened = Reader("farm", frozenset({"farm", "shop"}))
    assert place_of(token(), reader=widened) == PLACE


@pytest.mark.parametrize("letter", ["a", "é", "語", "\U0001f34e"])
def test_the_longest_name_that_an_event_may_have_makes_a_token(letter: str) -> None:
    prefix = "urn:example:"
    name = prefix + letter * ((LONGEST_BYTES - len(prefix)) // len(letter.encode()))
    place = {"s": [41, name]}
    assert place_of(token(place=place)) == place


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"reader": SHOP}, "page-token"),
        ({"reader": Reader(None, frozenset(), all=True)}, "page-token"),
        ({"question": b"EQ_bizStep=receiving"}, "page-token"),
        ({"secret": OTHER}, "page-token"),
        ({"now_ms": EXPIRES}, "page-token-expired"),
    ],
)
def test_a_token_is_no_good_for_anybody_and_anything_else(changes: dict[str, Any], rule: str) -> None:
    text = token()
    with pytest.raises(PageToken) as refused:
        place_of(text, **changes)
    assert refused.value.rule == rule
    assert place_of(text) == PLACE


@given(at=st.integers(0, 10_000), to=st.characters())
def test_a_changed_token_is_refused(at: int, to: str) -> None:
    text = token()
    at %= len(text)
    changed = text[:at] + to + text[at + 1 :]
    if changed != text:
        with pytest.raises(PageToken):
            place_of(changed)
    with pytest.raises(PageToken):
        place_of(text[:at])


@given(text=st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: raw.decode("latin-1")))
def test_what_was_never_given_out_is_refused(text: str) -> None:
    with pytest.raises(PageToken):
        place_of(text)


def test_a_token_of_any_length_is_refused_and_says_nothing_of_what_it_holds() -> None:
    with pytest.raises(PageToken):
        read(SECRET, "A" * (MAX_LENGTH + 1))
    with pytest.raises(PageToken):
        place_of(sign(SECRET, {"of": "another sort"}))
    assert token() != token()
    assert not any(part in token() for part in ("farm", "shipping"))
    with pytest.raises(PageToken) as one:
        place_of(token(), reader=SHOP)
    with pytest.raises(PageToken) as other:
        place_of("nothing")
    assert str(one.value) == str(other.value)
