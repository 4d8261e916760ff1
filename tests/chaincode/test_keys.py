"""Keys of the state: no two names share one, and a range holds the keys it is named for and no other."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from chaincode import keys
from chaincode.refusal import MAX_MESSAGE_CHARS, Contradiction, refused
from ledger.errors import InvalidInput

NAMES = st.text(st.sampled_from("a/%25F0~0!"), min_size=1, max_size=12)
SIZES = st.integers(1, 2**53 - 1)


def _is_inside(key: str, bounds: tuple[str, str]) -> bool:
    return bounds[0].encode() <= key.encode() < bounds[1].encode()


@given(NAMES)
@example("%2F")
@example("%25/")
def test_the_last_part_of_a_key_is_read_as_it_was_given(name: str) -> None:
    assert keys.last_part(keys.latest(name)) == name


@given(NAMES, NAMES, SIZES, SIZES)
@example("a", "a/0000000000000001", 1, 2)
@example("a/b", "a%2Fb", 1, 1)
def test_names_and_sizes_that_differ_have_keys_that_differ(one: str, other: str, size: int, at: int) -> None:
    is_same = (one, size) == (other, at)
    assert (keys.checkpoint(one, size) == keys.checkpoint(other, at)) == is_same
    assert (keys.cosignature(one, size, "m") == keys.cosignature(other, at, "m")) == is_same
    assert (keys.latest(one) == keys.latest(other)) == (one == other)


@given(NAMES, NAMES, SIZES, SIZES)
@example("a", "a/0000000000000001", 1, 2)
@example("a", "a0", 1, 2)
def test_a_range_holds_the_checkpoints_of_one_origin_after_a_size(
    one: str, other: str, after: int, at: int
) -> None:
    assert _is_inside(keys.checkpoint(other, at), keys.checkpoints_after(one, after)) == (
        one == other and at > after
    )
    assert not _is_inside(keys.latest(other), keys.checkpoints_after(one, after))


@given(NAMES, NAMES, SIZES, SIZES, NAMES)
@example("a", "a/0000000000000001", 1, 1, "m")
def test_a_range_holds_the_cosignatures_of_one_checkpoint(
    one: str, other: str, size: int, at: int, msp: str
) -> None:
    is_inside = _is_inside(keys.cosignature(other, at, msp), keys.cosignatures(one, size))
    assert is_inside == ((one, size) == (other, at))


@given(NAMES)
def test_the_range_of_organisations_holds_every_msp(msp: str) -> None:
    assert _is_inside(keys.organisation(msp), keys.organisations())
    assert not _is_inside(keys.origin(msp), keys.organisations())


@given(st.text(max_size=2_000))
@example("a\nFORGED line\r\x1b[2J\u202e\ud800")
def test_a_refusals_message_is_one_line_that_can_be_sent(reason: str) -> None:
    response = refused(Contradiction(reason, rule="consistency"))
    assert response.status == 422
    assert response.message.isprintable()
    assert len(response.message) <= MAX_MESSAGE_CHARS
    assert response.message.startswith("consistency: ")
    response.message.encode()


def test_an_error_without_a_status_of_its_own_is_400() -> None:
    assert refused(InvalidInput("x", rule="bad-shape")).status == 400
