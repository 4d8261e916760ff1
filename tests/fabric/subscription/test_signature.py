"""Signatures of deliveries: who has the token knows them, and nothing that was signed can be changed."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.subscription.signature import is_signed, signature

NOW = 1_790_000_000


def test_it_is_the_mac_of_time_delivery_and_body() -> None:
    expected = hmac.new(b"t\xc3\xb6ken", b'1790000000.name.{"a":1}', hashlib.sha256).hexdigest()
    assert signature("töken", "name", b'{"a":1}', NOW) == f"t=1790000000,v1={expected}"


@given(st.text(min_size=1).filter(lambda text: text.isprintable()), st.binary(), st.integers(-300, 300))
def test_what_was_signed_is_known_within_the_tolerance(token: str, body: bytes, late_s: int) -> None:
    made = signature(token, "name", body, NOW)
    assert is_signed(made, token, "name", body, NOW + late_s)
    assert not is_signed(made, token, "name", body + b" ", NOW)
    assert not is_signed(made, token, "other", body, NOW)
    assert not is_signed(made, token + "x", "name", body, NOW)
    assert not is_signed(made, token, "name", body, NOW + 301)
    assert not is_signed(made, token, "name", body, NOW - 301)


@pytest.mark.parametrize("value", ["", "t=1", "v1=00", "t=1790000000,v1=", "t=x,v1=" + "0" * 64, "0" * 64])
def test_another_text_is_no_signature(value: str) -> None:
    assert not is_signed(value, "token", "name", b"", NOW)


def test_another_time_than_was_signed_is_known() -> None:
    made = signature("token", "name", b"body", NOW)
    later = made.replace("t=1790000000", "t=1790000001")
    assert later != made
    assert not is_signed(later, "token", "name", b"body", NOW)
