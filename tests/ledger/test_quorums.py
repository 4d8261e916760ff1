"""Quorums of k of n witnesses and of groups of groups, as proofs are verified under them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bundle import parse_bundle
from ledger.canonical import canonical
from ledger.checkpoint import parse_checkpoint, sign_checkpoint
from ledger.errors import VerificationError
from ledger.note import COSIGNATURE, SignatureLine, VerifierKey, cosign, parse_note
from ledger.policy import Policy, parse_policy
from ledger.verify import VerifiedBundle, verify

from .consortium import key_of
from .scene import bundle, scene

NAMES = ("a", "b", "c", "d", "e")
TIME_S = 1_790_000_000
TWO_OF_THREE = "group g 2 a b c\nquorum g"
NESTED = """
group public any a b
group members 2 c d e
group both all public members
quorum both
"""


def vkey(name: str) -> VerifierKey:
    return VerifierKey(f"{name}.example", COSIGNATURE, key_of(f"quorum {name}").public_bytes)


def policy(rules: str) -> Policy:
    lines = [f"log {scene()[0].log_vkey().text()}"]
    lines += [f"witness {name} {vkey(name).text()} https://{name}.example/" for name in NAMES]
    return parse_policy("\n".join([*lines, rules]))


def signed(times: Mapping[str, int], *more: SignatureLine) -> bytes:
    """A proof whose checkpoint these witnesses cosigned at these seconds after a common start."""
    value = bundle(seen=False)
    head = parse_checkpoint(parse_note(value["checkpoint"].encode()).text)
    lines = [
        cosign(head.text(), vkey(name).name, key_of(f"quorum {name}"), TIME_S + after)
        for name, after in times.items()
    ]
    value["checkpoint"] = sign_checkpoint(head, key_of("log"), [*lines, *more]).decode()
    return canonical(value)


def verified(times: Mapping[str, int], rules: str, *more: SignatureLine) -> VerifiedBundle:
    return verify(parse_bundle(signed(times, *more)), policy(rules))


def refused(times: Mapping[str, int], rules: str, *more: SignatureLine) -> str:
    with pytest.raises(VerificationError) as caught:
        verified(times, rules, *more)
    assert (caught.value.step, caught.value.place) == (9, "/checkpoint")
    return caught.value.message


@pytest.mark.parametrize("pair", [("a", "b"), ("a", "c"), ("b", "c")])
def test_any_two_of_three_are_enough(pair: tuple[str, str]) -> None:
    proof = verified({pair[0]: 5, pair[1]: 9}, TWO_OF_THREE)
    assert (proof.unwitnessed, proof.not_after_s) == (False, TIME_S + 9)


@pytest.mark.parametrize("names", ["", "a", "c", "d", "de"])
def test_fewer_or_others_are_not(names: str) -> None:
    assert "quorum" in refused(dict.fromkeys(names, 5), TWO_OF_THREE)


def test_the_last_needed_cosignature_bounds_the_time_and_a_late_one_does_not() -> None:
    assert verified({"a": 5, "b": 9, "c": 9_000}, TWO_OF_THREE).not_after_s == TIME_S + 9
    assert verified({"c": 9_000, "b": 9, "a": 5}, TWO_OF_THREE).not_after_s == TIME_S + 9


def test_one_witness_that_dates_back_moves_nothing() -> None:
    proof = verified({"a": -1_000_000_000, "b": 7, "c": 9}, TWO_OF_THREE)
    assert proof.not_after_s == TIME_S + 7


def test_a_verdict_names_who_cosigned_and_when_and_the_rule_that_it_meets() -> None:
    proof = verified({"c": 9, "a": 5}, TWO_OF_THREE)
    assert [(one.name, one.time_s - TIME_S) for one in proof.cosigners] == [("a", 5), ("c", 9)]
    assert proof.steps[8].detail == (
        "signed by the log, cosigned by a at 2026-09-21T14:13:25Z, c at 2026-09-21T14:13:29Z: quorum g 2 of 3 met"
    )
    assert verified({"d": 1}, "quorum d").steps[8].detail.endswith(": quorum d met")


def test_a_witness_that_states_a_time_past_every_calendar_is_named_all_the_same() -> None:
    proof = verified({"a": 5, "b": 9, "c": 2**62}, TWO_OF_THREE)
    assert proof.not_after_s == TIME_S + 9
    assert f"c at {TIME_S + 2**62} s after 1970: quorum g 2 of 3 met" in proof.steps[8].detail


def test_one_witness_that_lies_about_another_tree_spoils_the_note() -> None:
    other = cosign("elsewhere.example\n3\nAAAA\n", vkey("c").name, key_of("quorum c"), TIME_S)
    assert "valid signature by c.example" in refused({"a": 5, "b": 9}, TWO_OF_THREE, other)


def test_an_unknown_witness_counts_for_nothing() -> None:
    head = parse_note(bundle(seen=False)["checkpoint"].encode()).text
    stranger = cosign(head, "stranger.example", key_of("stranger"), TIME_S)
    assert "quorum" in refused({"a": 5}, TWO_OF_THREE, stranger)
    assert verified({"a": 5, "b": 9}, TWO_OF_THREE, stranger).not_after_s == TIME_S + 9


def test_one_signature_twice_is_not_two() -> None:
    head = parse_note(bundle(seen=False)["checkpoint"].encode()).text
    again = cosign(head, vkey("a").name, key_of("quorum a"), TIME_S + 1)
    assert "one signature" in refused({"a": 5}, TWO_OF_THREE, again)


@pytest.mark.parametrize("names", ["acd", "bce", "abde", "abcde"])
def test_groups_of_groups_each_have_their_say(names: str) -> None:
    assert not verified(dict.fromkeys(names, 5), NESTED).unwitnessed


@pytest.mark.parametrize("names", ["cde", "abc", "ab", "ae"])
def test_a_group_that_is_missing_cannot_be_made_up_for(names: str) -> None:
    assert "quorum" in refused(dict.fromkeys(names, 5), NESTED)


def test_the_time_of_groups_is_that_of_the_group_that_came_last() -> None:
    assert verified({"a": 100, "b": 50, "c": 1, "d": 2, "e": 3}, NESTED).not_after_s == TIME_S + 50
    assert verified({"a": 1, "c": 1, "d": 70, "e": 60}, NESTED).not_after_s == TIME_S + 60


@given(st.sets(st.sampled_from(NAMES)), st.sampled_from([TWO_OF_THREE, NESTED, "quorum d"]))
def test_more_cosigners_never_unmake_a_quorum(names: set[str], rules: str) -> None:
    made = policy(rules)
    if made.satisfied_by(names):
        assert all(made.satisfied_by(names | {one}) for one in NAMES)


@given(st.sampled_from([TWO_OF_THREE, NESTED, "quorum d", "quorum none", "group g any a\nquorum g"]))
def test_a_policy_is_written_as_it_is_read(rules: str) -> None:
    made = policy(rules)
    again = parse_policy(made.text())
    assert again == made
    assert again.urls["a"] == "https://a.example/"
    assert json.dumps(made.text()) == json.dumps(again.text())
