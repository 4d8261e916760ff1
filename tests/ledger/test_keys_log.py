"""Changes of the log's key: what announces one, what voids it, who signs when, and how verifiers follow offline."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.bundle import parse_bundle
from ledger.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey, key_id, possession_line
from ledger.errors import InvalidInput, TooLarge, VerificationError
from ledger.key_change import UnverifiedChange, evidence_bytes, extended_policy, parse_evidence
from ledger.log_key import (
    MAX_CHANGES,
    Announcement,
    LogKey,
    require_orderly,
    signing_keys,
    verify_announcement,
    with_change,
)
from ledger.note import COSIGNATURE, VerifierKey, cosign, note_bytes, parse_note, sign, verify_note
from ledger.policy import parse_policy
from ledger.registry import Registry
from ledger.shape import time_text
from ledger.statement import parse_envelope
from ledger.verify import Verifier, verify

from .changing import RECORD, UNTIL, UNTIL_MS, Changing, body, note, policy, proof_of, vkey
from .consortium import ORIGIN, key_of
from .vectors import FOLDER

# -- the announcement -------------------------------------------------------------------------------------


def test_an_announcement_is_a_note_that_both_keys_sign_and_no_checkpoint() -> None:
    found = verify_announcement(note())
    assert found == Announcement(vkey("log"), vkey("log 2"), UNTIL)
    parsed = parse_note(note().encode())
    assert parsed.text.split("\n")[:2] == ["loomark/log-key/v1", ORIGIN]
    for name in ("log", "log 2"):
        assert len(verify_note(parsed, [vkey(name)])) == 1
    with pytest.raises(InvalidInput):
        parse_checkpoint(parsed.text)


@pytest.mark.parametrize("origin", ["1", "42", "0", "loomark/log-key/v1", "AAAA"])
def test_under_no_origin_can_its_text_be_read_as_a_checkpoint(origin: str) -> None:
    with pytest.raises(InvalidInput):
        parse_checkpoint(parse_note(note(origin=origin).encode()).text)


def _signed_by(*names: str) -> str:
    text = Announcement(vkey("log"), vkey("log 2"), UNTIL).text()
    return note_bytes(text, [sign(text, ORIGIN, key_of(name)) for name in names]).decode()


@pytest.mark.parametrize(
    ("announcement", "rule"),
    [
        (_signed_by("log"), "bad-announcement"),
        (_signed_by("log 2"), "bad-announcement"),
        (_signed_by("log 2", "log"), "bad-announcement"),
        (_signed_by("log", "log 2", "operator"), "bad-announcement"),
        (_signed_by("log", "operator"), "bad-announcement"),
        (note().replace(UNTIL, time_text(UNTIL_MS + 1)), "note-signature"),
        (note().replace("log-key/v1", "log-key/v2"), "bad-announcement"),
        (note().replace(UNTIL, "2026-01-01T00:00:00Z"), "bad-time"),
        (note().replace(f"{UNTIL}\n", f"{UNTIL}\nmore\n"), "bad-announcement"),
        (note(new="log"), "key-in-use"),
        ("", "bad-note"),
        ("x\n\n", "bad-note"),
    ],
)
def test_anything_else_than_both_signatures_over_five_lines_is_refused(announcement: str, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        verify_announcement(announcement)
    assert caught.value.rule == rule


def test_a_cosigners_or_another_logs_key_is_no_log_key() -> None:
    for new in (vkey("log 2", COSIGNATURE), vkey("log 2", origin="another.example/log")):
        text = Announcement(vkey("log"), new, UNTIL).text()
        lines = [sign(text, ORIGIN, key_of("log")), sign(text, new.name, key_of("log 2"))]
        with pytest.raises(InvalidInput) as caught:
            verify_announcement(note_bytes(text, lines).decode())
        assert caught.value.rule == "bad-announcement"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(note()) - 1), st.characters(codec="utf-8"))
def test_no_changed_character_makes_another_announcement(at: int, sign_: str) -> None:
    changed = note()[:at] + sign_ + note()[at + 1 :]
    if changed == note():
        return
    with pytest.raises(InvalidInput):
        verify_announcement(changed)


# -- in the registry ---------------------------------------------------------------------------------------


def consortium(*members: str) -> Changing:
    found = Changing.founded(*(members or ("farm",)))
    assert isinstance(found, Changing)
    return found


def test_the_charter_names_the_first_key() -> None:
    assert consortium().registry.log_keys == (LogKey(vkey("log"), 0, None),)


def test_both_keys_sign_until_the_time_stated_and_then_the_new_one_alone() -> None:
    one = consortium()
    assert one.signers(one.publish()) == ["log"]
    index = one.change("log", "log 2")
    assert one.registry.log_keys == (LogKey(vkey("log"), 0, UNTIL), LogKey(vkey("log 2"), index, None))
    assert one.signers(one.changes[0].checkpoint) == ["log 2", "log"]
    one.clock_ms = UNTIL_MS - 1_001
    one.admit("packer")
    assert one.signers(one.publish()) == ["log 2", "log"]
    one.admit("shop")
    assert one.replay.seals[-1].seal.time_ms >= UNTIL_MS - 1
    one.admit("mill")
    assert one.signers(one.publish()) == ["log 2"]


def test_a_second_change_within_the_first_overlap_has_three_signers() -> None:
    one = consortium()
    one.change("log", "log 2")
    one.change("log 2", "log 3")
    assert one.signers(one.publish()) == ["log 3", "log 2", "log"]


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 60))
def test_the_newest_key_always_signs_and_no_key_after_its_end(ends: list[int], now: int) -> None:
    keys = [LogKey(vkey(f"k{n}"), n, time_text(end)) for n, end in enumerate(ends)]
    keys.append(LogKey(vkey("newest"), len(keys), None))
    found = signing_keys(keys, now)
    assert found[0] == vkey("newest")
    assert {one.public for one in found[1:]} == {
        key_of(f"k{n}").public_bytes for n, end in enumerate(ends) if now < end
    }


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("stranger", "log 2", "wrong-log-key"),
        ("log", "farm", "key-in-use"),
        ("log", "operator", "key-in-use"),
        ("log", "service shop", "key-in-use"),
    ],
)
def test_a_change_by_another_key_or_to_a_key_in_use_is_void(old: str, new: str, rule: str) -> None:
    one = consortium()
    one.admit_without_key("shop", UNTIL_MS)
    before = one.registry.log_keys
    index = one.state("key", body(note(old, new)), by="operator")
    assert one.replay.void[index].rule == rule
    assert one.registry.log_keys == before


def test_a_change_that_evidence_could_not_tell_is_void() -> None:
    one = consortium()
    one.change("log", "log 2")
    newest, older = one.registry.log_keys[-1], one.registry.log_keys[0]
    full = (*[replace(older, since=n) for n in range(MAX_CHANGES)], newest)
    change = verify_announcement(note("log 2", "log 3"))
    assert len(with_change(full[1:], change, 9)) == MAX_CHANGES + 1
    with pytest.raises(TooLarge, match=str(MAX_CHANGES)):
        with_change(full, change, 9)
    longest = evidence_bytes(one.changes * MAX_CHANGES)
    assert len(parse_evidence(longest)) == MAX_CHANGES
    with pytest.raises(InvalidInput, match="0 to 1024 items"):
        parse_evidence(evidence_bytes(one.changes * (MAX_CHANGES + 1)))


def test_only_the_operator_changes_the_logs_key() -> None:
    one = consortium()
    index = one.state("key", body(note()), by="farm")
    assert one.replay.void[index].rule == "wrong-use"
    assert one.registry.log_keys == (LogKey(vkey("log"), 0, None),)


def test_a_key_that_signed_the_log_is_never_taken_again_for_anything() -> None:
    one = consortium()
    one.change("log", "log 2")
    back = one.state("key", body(note("log 2", "log")), by="operator")
    assert one.replay.void[back].rule == "key-in-use"
    again = one.state("key", body(note("log", "log 3")), by="operator")
    assert one.replay.void[again].rule == "wrong-log-key"
    for name in ("log", "log 2"):
        admitted = one.admit(f"thief-{name[-1]}", publicKey=possession_line(key_of(name)))
        assert one.replay.void[admitted].rule == "key-in-use"
    assert [key.vkey for key in one.registry.log_keys] == [vkey("log"), vkey("log 2")]


def test_a_change_whose_first_checkpoint_the_old_key_would_not_sign_is_refused() -> None:
    one = consortium()
    statement = parse_envelope(one.envelope("key", body(note()), by="operator")).statement
    keys = one.registry.log_keys
    require_orderly(statement, keys, UNTIL_MS - 1)
    with pytest.raises(InvalidInput) as caught:
        require_orderly(statement, keys, UNTIL_MS)
    assert caught.value.rule == "bad-until"


def test_a_change_that_is_no_change_of_these_keys_leaves_them() -> None:
    with pytest.raises(InvalidInput):
        with_change((), verify_announcement(note()), 4)
    assert Registry().log_keys == ()


# -- verifiers follow offline ----------------------------------------------------------------------------------


def test_an_old_policy_verifies_to_the_end_of_the_overlap_and_then_fails_plainly() -> None:
    one = consortium()
    before = one.proof()
    one.change("log", "log 2")
    during = one.proof()
    one.clock_ms = UNTIL_MS
    after = one.proof()
    for proof in (before, during):
        verify(parse_bundle(proof), parse_policy(policy("log")))
    with pytest.raises(VerificationError, match="loomark policy --update") as caught:
        verify(parse_bundle(after), parse_policy(policy("log")))
    assert caught.value.step == 9
    # Either key of a policy of both is enough, for every proof; the new key alone for all that it signed.
    for proof in (before, during, after):
        verify(parse_bundle(proof), parse_policy(policy("log", "log 2")))
    for proof in (during, after):
        verify(parse_bundle(proof), parse_policy(policy("log 2")))


def test_the_evidence_extends_an_old_policy_and_keeps_its_text() -> None:
    one = consortium()
    one.change("log", "log 2")
    one.change("log 2", "log 3")
    old = "# our auditor's\n" + policy("log", witnesses=2, one=one)
    text, added = extended_policy(old, parse_evidence(one.evidence()))
    assert [found.new for found in added] == [vkey("log 2"), vkey("log 3")]
    assert list(parse_policy(text).logs) == [vkey("log"), vkey("log 2"), vkey("log 3")]
    assert [line for line in text.split("\n") if not line.startswith("log ")] == [
        line for line in old.split("\n") if not line.startswith("log ")
    ]
    assert extended_policy(text, parse_evidence(one.evidence())) == (text, ())
    # Who joined after the first change starts from the second key.
    text, added = extended_policy(policy("log 2"), parse_evidence(one.evidence()))
    assert [found.new for found in added] == [vkey("log 3")]


def test_evidence_of_another_log_adds_nothing() -> None:
    one = consortium()
    one.change("log", "log 2")
    other = f"log {vkey('elsewhere', origin='another.example/log').text()}\nquorum none\n"
    assert extended_policy(other, parse_evidence(one.evidence())) == (other, ())


def test_the_old_key_alone_cannot_lead_a_policy_with_witnesses_to_a_new_key() -> None:
    one = consortium()
    one.change("log", "log 2")
    thief = one.changes[0]
    unwitnessed = sign_checkpoint(
        Checkpoint(ORIGIN, one.replay.size, one.replay.tree.root()), [key_of("log 2"), key_of("log")]
    )
    forged = UnverifiedChange(thief.envelope, thief.index, thief.path, unwitnessed)
    old = policy("log", witnesses=2, one=one)
    with pytest.raises(InvalidInput) as caught:
        extended_policy(old, [forged])
    assert caught.value.rule == "no-quorum"
    # Without a quorum the policy trusts the log's key alone, and its word is enough.
    assert extended_policy(policy("log"), [forged])[1]


Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda one: one.update(index=one["index"] + 1), id="index"),
        pytest.param(lambda one: one["path"].pop(), id="path"),
        pytest.param(lambda one: one["path"].append("00" * 32), id="longer path"),
        pytest.param(
            lambda one: one.update(checkpoint=one["checkpoint"].replace("\n\n", "\nmore\n\n")), id="note"
        ),
        pytest.param(lambda one: one.update(checkpoint="x"), id="no note"),
        pytest.param(lambda one: one.update(checkpoint="\ud800\n\n"), id="surrogate"),
        pytest.param(lambda one: one.pop("path"), id="member"),
        pytest.param(lambda one: one.update(more=1), id="more"),
        pytest.param(lambda one: one["envelope"].update(payload=""), id="payload"),
    ],
)
def test_evidence_that_does_not_hold_is_refused(damage: Damage) -> None:
    one = consortium()
    one.change("log", "log 2")
    value = json.loads(one.evidence())
    damage(value["changes"][0])
    with pytest.raises(InvalidInput):
        extended_policy(policy("log"), parse_evidence(json.dumps(value).encode()))


def test_a_statement_that_changes_no_log_key_is_no_evidence() -> None:
    one = consortium()
    index = one.state("key", {"action": "rotate", "publicKey": possession_line(key_of("farm 2"))}, by="farm")
    published = one.publish()
    path = tuple(merkle.inclusion_path(one.hashes(), index))
    change = UnverifiedChange(parse_envelope(one.entries[index]), index, path, published)
    with pytest.raises(InvalidInput):
        extended_policy(policy("log"), [change])


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_evidence_or_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_evidence(data)


# -- cosigners -----------------------------------------------------------------------------------------------


def test_a_cosigner_goes_over_to_a_new_key_under_one_name_of_the_policy() -> None:
    """A group of either key stands for the cosigner while both sign, and for its old proofs after."""
    point = Checkpoint(ORIGIN, 9, bytes(32))
    old, new = (VerifierKey("w.example", COSIGNATURE, key_of(name).public_bytes) for name in ("w", "w 2"))
    text = (
        f"log {vkey('log').text()}\nwitness w-old {old.text()}\nwitness w-new {new.text()}\n"
        "group w any w-old w-new\nquorum w\n"
    )
    trusted = parse_policy(text)
    for signers in (["w"], ["w 2"], ["w", "w 2"]):
        lines = [cosign(point.text(), "w.example", key_of(name), 7) for name in signers]
        signed = parse_note(sign_checkpoint(point, key_of("log"), lines))
        assert trusted.quorum_time_s(verify_note(signed, trusted.keys)) == 7
    nobody = parse_note(sign_checkpoint(point, key_of("log")))
    assert trusted.quorum_time_s(verify_note(nobody, trusted.keys)) is None


def test_no_cosigner_has_the_logs_key_in_one_policy() -> None:
    twice = VerifierKey("w.example", COSIGNATURE, key_of("log").public_bytes)
    with pytest.raises(InvalidInput, match="twice"):
        parse_policy(f"log {vkey('log').text()}\nwitness w {twice.text()}\nquorum w\n")


# -- members --------------------------------------------------------------------------------------------------


def test_the_registry_says_by_which_statement_a_key_ended() -> None:
    one = consortium("farm", "packer")
    rotated = one.state(
        "key", {"action": "rotate", "publicKey": possession_line(key_of("farm 2"))}, by="farm"
    )
    old = key_id(key_of("farm").public_bytes)
    assert one.registry.ended == {old: rotated}
    # Revoked later, because it turns out to be compromised: it signed nothing since it was retired.
    revoked = one.state("key", {"action": "revoke", "target": old, "since": 3}, by="operator")
    assert one.registry.ended == {old: rotated}
    assert (one.registry.record(old).state, one.registry.record(old).by) == ("revoked", revoked)
    target = key_id(key_of("packer").public_bytes)
    ended = one.state("key", {"action": "revoke", "target": target}, by="operator")
    assert one.registry.ended[target] == ended


def test_the_disputed_range_of_a_key_shows_in_the_proof_before_it_and_fails_the_one_in_it() -> None:
    one = consortium()
    early = one.capture("farm", [RECORD])
    late = one.capture("farm", [RECORD])
    one.publish()
    target = key_id(key_of("farm").public_bytes)
    one.state("key", {"action": "revoke", "target": target, "since": late.index}, by="operator")
    one.publish()
    verified = verify(parse_bundle(proof_of(one, early)), parse_policy(policy("log")))
    assert (verified.disputed_from, verified.is_disputed) == (late.index, False)
    assert f"disputed from {late.index}" in verified.steps[7].detail
    with pytest.raises(VerificationError) as caught:
        verify(parse_bundle(proof_of(one, late)), parse_policy(policy("log")))
    assert caught.value.step == 8
    # A report shows such a record and says so, instead of leaving it out.
    shown = Verifier(parse_policy(policy("log")), shows_disputed=True).verify(
        parse_bundle(proof_of(one, late))
    )
    assert shown.is_disputed
    assert [step.number for step in shown.steps if not step.ok] == [8]
    assert [step.number for step in verified.steps if not step.ok] == []


def test_the_vectors_are_read_as_a_stranger_would() -> None:
    vector = json.loads((FOLDER / "log-key.json").read_bytes())
    first = {one["name"]: SigningKey(bytes.fromhex(one["seed"])) for one in vector["keys"]}["log"]
    changes = [verify_announcement(text) for text in vector["announcements"]]
    assert changes[0].old.public == first.public_bytes
    assert changes[0].new == changes[1].old
    text, added = extended_policy(vector["policy"]["old"], parse_evidence(vector["evidence"].encode()))
    assert (text, list(added)) == (vector["policy"]["extended"], changes)
    notes = [parse_note(one.encode()) for one in vector["checkpoints"]]
    keys = [changes[0].old, changes[0].new, changes[1].new]
    counts = [len(verify_note(one, keys)) for one in notes]
    assert (counts[0], counts[-2], counts[-1]) == (1, 3, 1), (
        "one key, three within both overlaps, the last alone"
    )
