from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.bundle import parse_bundle
from ledger.canonical import canonical
from ledger.capture import capture_commitment
from ledger.ed25519 import key_id, possession_line
from ledger.errors import LoomarkError, VerificationError
from ledger.note import ED25519, VerifierKey, parse_note
from ledger.policy import parse_policy, policy_text
from ledger.shape import time_text
from ledger.statement import envelope_of
from ledger.verify import STEPS, verify

from .consortium import START_MS, Captured, Consortium, key_of
from .proofs import Prover
from .scene import EVENT, Bundle, bundle, bundle_bytes, scene
from .strategies import values


def fails(value: Bundle, step: int, place: str, threshold: int = 2) -> str:
    """Check that a bundle fails at exactly this step and place, and give the message."""
    consortium = scene()[0]
    with pytest.raises(VerificationError) as caught:
        verify(parse_bundle(canonical(value)), consortium.policy(threshold))
    assert (caught.value.step, caught.value.place) == (step, place), caught.value
    assert str(caught.value).startswith(f"step {step} at {place or '/'}: ")
    return caught.value.message


def flipped(text: str) -> str:
    """Hex with its first character changed."""
    return ("0" if text[0] != "0" else "1") + text[1:]


def test_a_whole_record_verifies_and_says_what_is_proved() -> None:
    consortium, own, _ = scene()
    verified = verify(parse_bundle(bundle_bytes(True, None)), consortium.policy())
    assert (verified.record, verified.member, verified.index) == (EVENT, "farm", own.index)
    assert (verified.custody, verified.position, verified.count) == ("member", 1, 3)
    assert verified.commitment == own.commitments()[1]
    assert not verified.unwitnessed
    assert verified.not_before_s is not None
    assert verified.not_after_s is not None
    assert verified.not_before_s < verified.not_after_s
    assert [one.number for one in verified.steps] == list(range(1, 11))
    assert all(one.ok and one.detail and one.name == STEPS[one.number] for one in verified.steps)


def test_a_partial_record_verifies_and_hides_the_rest() -> None:
    data = bundle_bytes(False, ("/epcList/1",))
    assert b"urn:a" not in data
    verified = verify(parse_bundle(data), scene()[0].policy())
    assert verified.record["epcList"] == ["urn:b"]
    assert "/readPoint" in verified.opened.hidden
    assert verified.not_before_s is None


def test_custody_follows_from_the_key_record() -> None:
    consortium, _, custody = scene()
    prover = Prover(consortium)
    prover.add(custody, 1)
    verified = verify(parse_bundle(prover.builder.to_bytes()), consortium.policy())
    assert (verified.custody, verified.member, verified.key.party) == ("service", "shop", "operator")


def test_without_a_quorum_the_verdict_says_unwitnessed() -> None:
    consortium = scene()[0]
    verified = verify(parse_bundle(bundle_bytes(True, None)), consortium.policy(0))
    assert verified.unwitnessed
    assert (verified.not_before_s, verified.not_after_s) == (None, None)
    assert "operator alone" in verified.steps[8].detail


def test_time_lies_between_the_seen_and_the_quorum_cosignatures() -> None:
    consortium, own, _ = scene()
    verified = verify(parse_bundle(bundle_bytes(True, None)), consortium.policy(3))
    seen = envelope_of(json.loads(own.envelope)).statement.seen[0]
    first = parse_note(consortium.archive[seen]).signatures[1]
    last = parse_note(consortium.archive[verified.tree_size]).signatures[3]
    assert verified.not_before_s == int.from_bytes(first.blob[:8], "big")
    assert verified.not_after_s == int.from_bytes(last.blob[:8], "big")


# Step 1: strict parse, limits.


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda b: b.update(anchors=[]), ""),
        (lambda b: b.update(proof="loomark/proof/v2"), ""),
        (lambda b: b.pop("latest"), ""),
        (lambda b: b.update(checkpoint="x"), "/checkpoint"),
        (lambda b: b["last"].update(extra=1), "/last"),
        (lambda b: b["entries"][0].update(extra=1), "/entries/0"),
        (lambda b: b["entries"][0].update(salt="00"), "/entries/0"),
        (lambda b: b["entries"][0]["path"].__setitem__(0, b["entries"][0]["path"][0].upper()), "/entries/0"),
        (lambda b: b["entries"][0].update(path=["00" * 32] * 64), "/entries/0"),
        (lambda b: b["entries"][0]["envelope"].update(payload="e30="), "/entries/0"),
        (lambda b: b["entries"][0].update(index=1.5), "/entries/0"),
        (lambda b: b["entries"][0].update(seal=1), "/seals"),
        (lambda b: b["keys"].append(b["keys"][0]), "/keys"),
        (lambda b: b["latest"].append(b["latest"][0]), "/latest"),
        (lambda b: b["records"].append(b["records"][0]), "/records"),
        (lambda b: b["records"].clear(), "/records"),
        (lambda b: b["keys"][0]["record"][2].update(key="AAAA"), "/keys/0"),
        (lambda b: b["seals"][0]["seal"].update(roots={"things": "x"}), "/seals/0"),
        (lambda b: b["records"][0].update(commitment=None), "/records/0"),
    ],
)
def test_step_1_refuses_another_shape(change: Callable[[Bundle], object], place: str) -> None:
    value = bundle()
    change(value)
    fails(value, 1, place)


def test_step_1_refuses_duplicate_names_depth_and_size() -> None:
    text = bundle_bytes(True, None)
    for data in (
        text.replace(b'"proof":', b'"proof":"x","proof":'),
        b"[" * 70 + b"]" * 70,
        b"\xff",
        b" " * (16 * 1024 * 1024 + 1),
    ):
        with pytest.raises(VerificationError) as caught:
            parse_bundle(data)
        assert (caught.value.step, caught.value.place) == (1, "")


def test_step_1_a_proof_is_of_one_record() -> None:
    consortium, own, _ = scene()
    prover = Prover(consortium)
    prover.add(own, 1)
    prover.add(own, 2)
    with pytest.raises(VerificationError) as caught:
        verify(parse_bundle(prover.builder.to_bytes()), consortium.policy())
    assert (caught.value.step, caught.value.place) == (1, "/records")


# Step 2: record or units -> record commitment.


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["record"].update(readPoint={"id": "urn:elsewhere"}),
        lambda d: d["record"]["epcList"].pop(),
        lambda d: d["record"].pop("ilmd"),
        lambda d: d["record"].update(added=1),
        lambda d: d.update(salt=flipped(d["salt"])),
    ],
)
def test_step_2_names_a_tampered_record(change: Callable[[Bundle], object]) -> None:
    value = bundle()
    change(value["records"][0]["disclosure"])
    assert "expected commitment" in fails(value, 2, "/records/0/disclosure")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["open"][1][1].update(hidden=[]),
        lambda d: d["hidden"].__setitem__(0, flipped(d["hidden"][0])),
        lambda d: d.update(open=d["open"][:-1]),
        lambda d: d.update(extra=1),
    ],
)
def test_step_2_names_a_tampered_partial_record(change: Callable[[Bundle], object]) -> None:
    value = bundle(pointers=("/epcList/1",))
    change(value["records"][0]["disclosure"])
    fails(value, 2, "/records/0/disclosure")


# Step 3: record commitment -> capture commitment.


def test_step_3_names_a_record_that_is_not_in_the_capture() -> None:
    consortium, _, custody = scene()
    value = bundle()
    other = Prover(consortium)
    other.add(custody, 1)
    stranger = other.builder.as_json()["records"][0]
    value["records"][0].update(disclosure=stranger["disclosure"], commitment=stranger["commitment"])
    fails(value, 3, "/records/0")


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b["records"][0].update(position=0),
        lambda b: b["records"][0].update(position=3),
        lambda b: b["records"][0]["path"].pop(),
        lambda b: b["records"][0]["path"].__setitem__(0, flipped(b["records"][0]["path"][0])),
        lambda b: b["entries"][0].update(count=4),
        lambda b: b["entries"][0].update(salt=flipped(b["entries"][0]["salt"])),
    ],
)
def test_step_3_names_a_tampered_position(change: Callable[[Bundle], object]) -> None:
    value = bundle()
    change(value)
    fails(value, 3, "/records/0")


# Step 4: envelope.


def test_step_4_names_a_false_signature() -> None:
    value = bundle()
    signature = value["entries"][0]["envelope"]["signatures"][0]
    signature["sig"] = ("A" if signature["sig"][0] != "A" else "B") + signature["sig"][1:]
    assert "valid signature" in fails(value, 4, "/entries/0/envelope")


def test_step_4_names_the_key_of_somebody_else() -> None:
    consortium = scene()[0]
    value = bundle()
    value["keys"][0]["record"] = consortium.registry.record(key_id(key_of("packer").public_bytes)).as_json()
    fails(value, 4, "/entries/0/envelope")


def test_step_4_names_a_statement_for_another_log() -> None:
    consortium, own, _ = scene()
    value = bundle(seen=False)
    body = {"commitment": envelope_of(json.loads(own.envelope)).statement.body["commitment"]}
    envelope = consortium.envelope("capture", body, "farm", log="elsewhere.example")
    value["entries"][0]["envelope"] = json.loads(envelope)
    assert "elsewhere.example" in fails(value, 4, "/entries/0/envelope")


# Step 5: the entry in the checkpoint, and what was seen.


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.update(index=e["index"] + 1),
        lambda e: e.update(index=10**6),
        lambda e: e["path"].pop(),
        lambda e: e["path"].append("00" * 32),
        lambda e: e["path"].__setitem__(0, flipped(e["path"][0])),
    ],
)
def test_step_5_names_an_entry_that_is_not_in_the_log(change: Callable[[Bundle], object]) -> None:
    value = bundle()
    change(value["entries"][0])
    fails(value, 5, "/entries/0/path")


def test_step_5_names_a_statement_that_was_never_logged() -> None:
    consortium, own, _ = scene()
    value = bundle(seen=False)
    body = {"commitment": envelope_of(json.loads(own.envelope)).statement.body["commitment"]}
    value["entries"][0]["envelope"] = json.loads(consortium.envelope("capture", body, "farm"))
    fails(value, 5, "/entries/0/path")


def test_step_5_names_what_was_seen_in_another_log() -> None:
    value = bundle()
    value["entries"][0]["seen"]["path"].pop()
    fails(value, 5, "/entries/0/seen")


def test_step_5_refuses_the_note_of_another_checkpoint_as_seen() -> None:
    consortium = scene()[0]
    value = bundle()
    value["entries"][0]["seen"]["checkpoint"] = consortium.archive[min(consortium.archive)].decode()
    fails(value, 5, "/entries/0/seen")


def test_step_5_without_enough_cosignatures_gives_no_lower_bound() -> None:
    consortium = scene()[0]
    value = bundle()
    note = value["entries"][0]["seen"]["checkpoint"]
    value["entries"][0]["seen"]["checkpoint"] = "".join(note.splitlines(keepends=True)[:6])
    verified = verify(parse_bundle(canonical(value)), consortium.policy(2))
    assert verified.not_before_s is None
    assert verified.not_after_s is not None


def test_step_5_refuses_a_false_cosignature_under_what_was_seen() -> None:
    value = bundle()
    lines = value["entries"][0]["seen"]["checkpoint"].splitlines(keepends=True)
    lines[-1] = lines[-1].replace(lines[-1][-10:-3], "AAAAAAA")
    value["entries"][0]["seen"]["checkpoint"] = "".join(lines)
    fails(value, 5, "/entries/0/seen")


# Step 6: the seal.


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["path"].pop(),
        lambda s: s.update(index=s["index"] + 1),
        lambda s: s["seal"].update(time="2030-01-01T00:00:00.000Z"),
        lambda s: s["seal"].update(after=[*s["seal"]["before"][:1], "00" * 32]),
        lambda s: s["seal"].update(log="elsewhere.example"),
    ],
)
def test_step_6_names_a_tampered_seal(change: Callable[[Bundle], object]) -> None:
    value = bundle()
    change(value["seals"][0])
    fails(value, 6, "/seals/0")


def test_step_6_names_a_seal_that_does_not_cover_the_entry() -> None:
    prover = Prover(scene()[0])
    value = bundle()
    earlier = prover.seals[0]
    value["seals"][0] = {
        "index": earlier.index,
        "seal": json.loads(prover.consortium.entries[earlier.index]),
        "path": [one.hex() for one in prover.tree.path(earlier.index)],
    }
    assert "expected a seal over entry" in fails(value, 6, "/seals/0")


# Step 7: the key in force.


@pytest.mark.parametrize(
    "change",
    [
        lambda k: k["record"][2].update(state="retired"),
        lambda k: k["record"][2].update(member="packer"),
        lambda k: k["record"][2].update(roles=["auditor", "member"]),
        lambda k: k["record"][2].update(since=0),
        lambda k: k["path"].pop(),
        lambda k: k.update(position=k["position"] + 1),
    ],
)
def test_step_7_names_a_tampered_key_record(change: Callable[[Bundle], object]) -> None:
    value = bundle()
    change(value["keys"][0])
    fails(value, 7, "/keys/0")


def forced(consortium: Consortium, member: str, key: str) -> Bundle:
    """A capture that the log sequenced although it should not have, as a bundle."""
    record_salt, salt = consortium.draw(), consortium.draw()
    captured = Captured(consortium.replay.size, b"", salt, (EVENT,), (record_salt,))
    body = {"commitment": capture_commitment(salt, captured.commitments()).hex()}
    envelope = consortium.envelope("capture", body, member, keys=[key_of(key)])
    consortium._append(envelope)
    consortium.publish()
    prover = Prover(consortium)
    prover.add(Captured(captured.index, envelope, salt, captured.records, captured.record_salts))
    value: Bundle = json.loads(prover.builder.to_bytes())
    return value


def failure(consortium: Consortium, value: Bundle) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        verify(parse_bundle(canonical(value)), consortium.policy())
    return caught.value


def test_step_7_catches_a_retired_key_that_the_operator_let_pass() -> None:
    consortium = Consortium.founded("farm")
    body = {"action": "rotate", "publicKey": possession_line(key_of("farm 2"))}
    consortium.state("key", body, by="farm")
    error = failure(consortium, forced(consortium, "farm", "farm"))
    assert (error.step, error.place) == (7, "/keys/0")
    assert "retired" in error.message


def test_step_7_catches_another_members_name() -> None:
    consortium = Consortium.founded("farm", "packer")
    error = failure(consortium, forced(consortium, "farm", "packer"))
    assert (error.step, error.place) == (7, "/keys/0")
    assert "expected a key of farm, got one of packer" in error.message


def test_step_7_catches_an_operator_key_that_captures() -> None:
    consortium = Consortium.founded("farm")
    error = failure(consortium, forced(consortium, "operator", "operator"))
    assert (error.step, error.place) == (7, "/keys/0")


def test_step_7_catches_a_delegation_that_had_ended() -> None:
    consortium = Consortium.founded()
    consortium.admit_without_key("shop", START_MS + 5_000)
    consortium.clock_ms = START_MS + 5_000
    error = failure(consortium, forced(consortium, "shop", "service shop"))
    assert (error.step, error.place) == (7, "/keys/0")
    assert time_text(START_MS + 5_000) in error.message


def test_step_7_catches_a_member_without_the_role() -> None:
    consortium = Consortium.founded()
    consortium.admit("shop", roles=["auditor"])
    error = failure(consortium, forced(consortium, "shop", "shop"))
    assert (error.step, error.place) == (7, "/keys/0")


# Step 8: not disputed.


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda b: b["last"]["path"].pop(), "/last"),
        (lambda b: b["last"]["seal"].update(time="2030-01-01T00:00:00.000Z"), "/last"),
        (lambda b: b["latest"][0]["record"][2].update(disputedFrom=10**6), "/latest/0"),
        (lambda b: b["latest"][0]["path"].pop(), "/latest/0"),
    ],
)
def test_step_8_names_a_tampered_last_seal_or_record(change: Callable[[Bundle], object], place: str) -> None:
    value = bundle()
    change(value)
    fails(value, 8, place)


def test_step_8_wants_the_latest_record_of_the_same_key() -> None:
    consortium, _, custody = scene()
    prover = Prover(consortium)
    prover.add(custody, 1)
    value = bundle()
    value["latest"] = json.loads(prover.builder.to_bytes())["latest"]
    assert "another's" in fails(value, 8, "/latest/0")


@pytest.mark.parametrize(("since", "holds"), [(-1, False), (0, False), (1, True)])
def test_step_8_disputes_entries_from_the_named_index_on(since: int, holds: bool) -> None:
    consortium = Consortium.founded("farm")
    captured = consortium.capture("farm", [EVENT])
    consortium.capture("farm", [EVENT])
    body = {
        "action": "revoke",
        "target": key_id(key_of("farm").public_bytes),
        "since": captured.index + since,
    }
    consortium.state("key", body, by="operator")
    consortium.publish()
    prover = Prover(consortium)
    prover.add(captured)
    value: Bundle = json.loads(prover.builder.to_bytes())
    if holds:
        verified = verify(parse_bundle(canonical(value)), consortium.policy())
        assert verified.disputed_from == captured.index + 1
    else:
        error = failure(consortium, value)
        assert (error.step, error.place) == (8, "/latest/0")


# Step 9: log signature and quorum.


def test_step_9_names_a_checkpoint_that_the_log_did_not_sign() -> None:
    value = bundle(seen=False)
    lines = value["checkpoint"].splitlines(keepends=True)
    value["checkpoint"] = "".join([*lines[:4], *lines[5:]])
    assert "log's own signature" in fails(value, 9, "/checkpoint")


def test_step_9_names_a_quorum_that_is_not_made() -> None:
    value = bundle(seen=False)
    value["checkpoint"] = "".join(value["checkpoint"].splitlines(keepends=True)[:6])
    assert "quorum" in fails(value, 9, "/checkpoint")
    verify(parse_bundle(canonical(value)), scene()[0].policy(1))


def test_step_9_names_a_false_signature_of_a_known_key() -> None:
    for number in (4, 5, 6, 7):
        value = bundle(seen=False)
        lines = value["checkpoint"].splitlines(keepends=True)
        at = len(lines[number]) - 20
        changed = "A" if lines[number][at] != "A" else "B"
        lines[number] = lines[number][:at] + changed + lines[number][at + 1 :]
        value["checkpoint"] = "".join(lines)
        assert "valid signature" in fails(value, 9, "/checkpoint")


def test_step_9_knows_only_logs_of_the_policy() -> None:
    other = parse_policy(policy_text(Consortium(origin="elsewhere.example").log_vkey()))
    for seen in (False, True):
        with pytest.raises(VerificationError) as caught:
            verify(parse_bundle(bundle_bytes(seen, None)), other)
        assert (caught.value.step, caught.value.place) == (9, "/checkpoint")


def test_step_9_names_another_log_of_the_same_name() -> None:
    origin = scene()[0].log_vkey().name
    other = parse_policy(policy_text(VerifierKey(origin, ED25519, key_of("another log").public_bytes)))
    for seen in (False, True):
        with pytest.raises(VerificationError) as caught:
            verify(parse_bundle(bundle_bytes(seen, None)), other)
        assert (caught.value.step, caught.value.place) == (9, "/checkpoint")


# All steps.


@settings(max_examples=300)
@given(st.data())
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    text = bundle_bytes(False, data.draw(st.sampled_from([None, ("/epcList/1",)])))
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != text[at]))
    changed = text[:at] + bytes([byte]) + text[at + 1 :]
    with pytest.raises(VerificationError) as caught:
        verify(parse_bundle(changed), scene()[0].policy(3))
    assert 1 <= caught.value.step <= 9


@given(st.data(), values)
def test_anything_in_any_place_raises_only_verification_errors(data: st.DataObject, value: Any) -> None:
    tampered: Any = bundle()
    place: Any = tampered
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        place = inner
    before = copy.deepcopy(place[key])
    place[key] = value
    if canonical(value) == canonical(before):
        return
    try:
        verify(parse_bundle(canonical(tampered)), scene()[0].policy(3))
    except VerificationError:
        return
    # Only the note of what was seen may go: it is evidence for the lower bound and for nothing else.
    assert place is tampered["entries"][0].get("seen")
    assert value is None


@given(st.binary(max_size=100) | values.map(canonical))
def test_parsing_anything_raises_only_errors_of_ours(data: bytes) -> None:
    with pytest.raises(LoomarkError):
        parse_bundle(data)
