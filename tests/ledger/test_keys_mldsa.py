"""ML-DSA-44 cosignatures (type 0x06): what they sign, what refuses them, and that a policy counts them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import mldsa
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import InvalidInput
from ledger.mldsa import MlDsaKey
from ledger.note import (
    COSIGNATURE,
    ED25519,
    ML_DSA_COSIGNATURE,
    Note,
    SignatureLine,
    VerifierKey,
    cosign_ml_dsa,
    parse_note,
    parse_vkey,
    verify_note,
)
from ledger.policy import parse_policy, policy_text

from .consortium import key_of, seeded

pytestmark = pytest.mark.skipif(
    not mldsa.is_available(), reason="this installation's `cryptography` has no ML-DSA-44"
)

POINT = Checkpoint("loomark.example/test", 7, seeded("root"))
LOG = VerifierKey(POINT.origin, ED25519, key_of("log").public_bytes)
NAME = "witness.example/pq"


def key(name: str = "pq witness") -> MlDsaKey:
    return MlDsaKey(seeded(name))


def vkey() -> VerifierKey:
    return VerifierKey(NAME, ML_DSA_COSIGNATURE, key().public_bytes)


def signed(*lines: SignatureLine) -> Note:
    return parse_note(sign_checkpoint(POINT, key_of("log"), lines))


def test_a_cosignature_signs_the_subtree_from_entry_0_under_both_names() -> None:
    line = cosign_ml_dsa(POINT.text(), NAME, key(), 1_700_000_000)
    assert line.key_id == vkey().key_id
    assert int.from_bytes(line.blob[:8], "big") == 1_700_000_000
    expected = (
        b"subtree/v1\n\0"
        + bytes([len(NAME)])
        + NAME.encode()
        + (1_700_000_000).to_bytes(8, "big")
        + bytes([len(POINT.origin)])
        + POINT.origin.encode()
        + (0).to_bytes(8, "big")
        + (7).to_bytes(8, "big")
        + POINT.root
    )
    assert len(line.blob) == 8 + 2_420
    assert mldsa.verify(key().public_bytes, expected, line.blob[8:])
    assert not mldsa.verify(key().public_bytes, expected[:-1] + bytes([expected[-1] ^ 1]), line.blob[8:])


def test_a_vkey_of_type_6_is_read_back_and_counts_in_a_policy() -> None:
    text = vkey().text()
    assert parse_vkey(text) == vkey()
    policy = parse_policy(policy_text(LOG, {"pq": vkey()}, 1))
    note = signed(cosign_ml_dsa(POINT.text(), NAME, key(), 42))
    assert policy.quorum_time_s(verify_note(note, policy.keys)) == 42
    assert policy.quorum_time_s(verify_note(signed(), policy.keys)) is None


def test_a_log_line_of_type_6_is_refused() -> None:
    log = VerifierKey(POINT.origin, ML_DSA_COSIGNATURE, key().public_bytes)
    with pytest.raises(InvalidInput, match="expected a vkey of type 0x01, got 0x06"):
        parse_policy(f"log {log.text()}\nquorum none\n")


@pytest.mark.parametrize("change", ["time", "signature", "other head", "other key", "no time", "short"])
def test_a_cosignature_that_does_not_hold_refuses_the_whole_note(change: str) -> None:
    line = cosign_ml_dsa(POINT.text(), NAME, key(), 42)
    signature = line.blob[8:]
    blob = {
        "time": (43).to_bytes(8, "big") + signature,
        "signature": line.blob[:8] + bytes([signature[0] ^ 1]) + signature[1:],
        "other head": cosign_ml_dsa(Checkpoint(POINT.origin, 8, POINT.root).text(), NAME, key(), 42).blob,
        "other key": cosign_ml_dsa(POINT.text(), NAME, key("another"), 42).blob,
        "no time": bytes(8) + signature,
        "short": line.blob[:-1],
    }[change]
    with pytest.raises(InvalidInput) as caught:
        verify_note(signed(SignatureLine(NAME, vkey().key_id, blob)), [LOG, vkey()])
    assert caught.value.rule == "note-signature"
    # Who does not know the cosigner ignores its line, whatever it holds.
    assert len(verify_note(signed(SignatureLine(NAME, vkey().key_id, blob)), [LOG])) == 1


def test_the_cosigners_name_is_signed_too() -> None:
    other = VerifierKey("another.example", ML_DSA_COSIGNATURE, key().public_bytes)
    blob = cosign_ml_dsa(POINT.text(), NAME, key(), 42).blob
    with pytest.raises(InvalidInput) as caught:
        verify_note(signed(SignatureLine(other.name, other.key_id, blob)), [LOG, other])
    assert caught.value.rule == "note-signature"


def test_extension_lines_cannot_be_cosigned_because_the_signature_would_not_cover_them() -> None:
    with pytest.raises(InvalidInput) as caught:
        cosign_ml_dsa(POINT.text() + "extension\n", NAME, key(), 42)
    assert caught.value.rule == "bad-checkpoint"


def test_a_key_of_the_wrong_size_for_its_type_is_refused() -> None:
    for kind, public in ((ML_DSA_COSIGNATURE, bytes(32)), (COSIGNATURE, key().public_bytes), (7, bytes(32))):
        with pytest.raises(InvalidInput) as caught:
            parse_vkey(VerifierKey(NAME, kind, public).text())
        assert caught.value.rule == "bad-vkey"


def test_without_the_library_a_policy_with_such_a_witness_is_refused_plainly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = policy_text(LOG, {"pq": vkey()}, 1)
    monkeypatch.setattr(mldsa, "is_available", lambda: False)
    with pytest.raises(InvalidInput, match="ML-DSA-44"):
        parse_policy(text)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=2_600), st.binary(max_size=1_400))
def test_verifying_any_bytes_is_false_and_raises_nothing(signature: bytes, public: bytes) -> None:
    assert not mldsa.verify(key().public_bytes, b"message", signature)
    assert not mldsa.verify(public, b"message", bytes(mldsa.SIGNATURE_SIZE_BYTES))


def test_a_key_never_shows_its_seed() -> None:
    assert key().seed_bytes().hex() not in repr(key())
