from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.errors import VerificationError
from ledger.policy import parse_policy, policy_text
from ledger.statement import parse_envelope
from ledger.tlog_proof import parse_tlog_proof, tlog_proof_bytes, verify_tlog_proof
from ledger.verify import Verifier

from .scene import scene


def proof(extra: bool = True) -> tuple[bytes, bytes]:
    """The proof of a capture and the entry it is of."""
    consortium, own, _ = scene()
    size = max(consortium.archive)
    path = merkle.inclusion_path(consortium.hashes(size), own.index)
    carried = own.envelope if extra else None
    return tlog_proof_bytes(own.index, path, consortium.archive[size], carried), own.envelope


def verifier(threshold: int = 2) -> Verifier:
    return Verifier(scene()[0].policy(threshold))


def failure(data: bytes, entry: bytes | None = None) -> int:
    with pytest.raises(VerificationError) as caught:
        verify_tlog_proof(parse_tlog_proof(data), proof()[1] if entry is None else entry, verifier())
    return caught.value.step


def test_proofs_of_another_log_verify_and_are_ours_byte_for_byte(shared_data: Path) -> None:
    vectors: dict[str, Any] = json.loads((shared_data / "tlog/vectors/log70k.json").read_bytes())
    log, witness = vectors["vkeys"]
    text = f"log {log}\nwitness w {witness}\nquorum w\n"
    checking = Verifier(parse_policy(text))
    assert len(vectors["proofs"]) == 7
    for one in vectors["proofs"]:
        data = one["tlog_proof"].encode()
        parsed = parse_tlog_proof(data)
        found = verify_tlog_proof(parsed, one["entry"].encode(), checking)
        assert (found.index, found.size, found.unwitnessed) == (one["index"], 70_000, False)
        assert tlog_proof_bytes(parsed.index, parsed.path, parsed.note.data(), parsed.extra) == data
        with pytest.raises(VerificationError):
            verify_tlog_proof(parsed, one["entry"].encode() + b"x", checking)


def test_a_proof_carries_its_statement_and_verifies_by_quorum() -> None:
    data, entry = proof()
    parsed = parse_tlog_proof(data)
    assert parsed.extra == entry
    found = verify_tlog_proof(parsed, parsed.extra, verifier())
    assert parse_envelope(found.entry).statement.type == "capture"
    assert found.not_after_s is not None
    assert found.not_after_s in {one.time_s for one in found.cosigners}
    bare, _ = proof(extra=False)
    assert parse_tlog_proof(bare).extra is None
    unwitnessed = verify_tlog_proof(parse_tlog_proof(bare), entry, verifier(0))
    assert unwitnessed.unwitnessed
    assert unwitnessed.not_after_s is None


def test_what_extra_says_is_not_taken_on_its_word() -> None:
    data, entry = proof()
    parsed = parse_tlog_proof(data)
    changed = tlog_proof_bytes(parsed.index, parsed.path, parsed.note.data(), entry + b" ")
    again = parse_tlog_proof(changed)
    assert again.extra is not None
    assert failure(changed, again.extra) == 5
    assert verify_tlog_proof(again, entry, verifier()).index == parsed.index


def test_another_place_path_or_entry_fails_at_step_5() -> None:
    data, entry = proof()
    parsed = parse_tlog_proof(data)
    note = parsed.note.data()
    assert failure(tlog_proof_bytes(parsed.index + 1, parsed.path, note)) == 5
    assert failure(tlog_proof_bytes(parsed.index, parsed.path[:-1], note)) == 5
    assert failure(tlog_proof_bytes(parsed.index, [*parsed.path, bytes(32)], note)) == 5
    assert failure(tlog_proof_bytes(2**53 - 1, parsed.path, note)) == 5
    assert failure(data, entry[:-1]) == 5


def test_a_checkpoint_without_signature_or_quorum_fails_at_step_9() -> None:
    data, _ = proof()
    lines = data.split(b"\n")
    unsigned = [line for line in lines if not line.startswith("\u2014 loomark".encode())]
    assert failure(b"\n".join(unsigned)) == 9
    single = [line for line in lines if b"witness-1" not in line and b"witness-2" not in line]
    assert failure(b"\n".join(single)) == 9
    other = parse_policy(policy_text(scene()[0].witness_vkeys()[0].__class__("x", 1, bytes(31) + b"\x01")))
    with pytest.raises(VerificationError) as caught:
        verify_tlog_proof(parse_tlog_proof(data), proof()[1], Verifier(other))
    assert caught.value.step == 9


def hostile() -> dict[str, bytes]:
    data, _ = proof()
    head, note = data.split(b"\n\n", 1)
    first, extra, index, *path = head.split(b"\n")
    join = b"\n".join
    return {
        "nothing": b"",
        "another version": data.replace(b"@v1", b"@v2", 1),
        "a space behind the version": join([first + b" ", extra, index, *path]) + b"\n\n" + note,
        "no blank line": join([head, note]),
        "no checkpoint": head + b"\n\n",
        "extra twice": join([first, extra, extra, index, *path]) + b"\n\n" + note,
        "extra behind the index": join([first, index, extra, *path]) + b"\n\n" + note,
        "extra that is no base64": join([first, b"extra ?", index, *path]) + b"\n\n" + note,
        "no index": join([first, extra, *path]) + b"\n\n" + note,
        "index with a zero before": join([first, extra, b"index 01", *path]) + b"\n\n" + note,
        "a negative index": join([first, extra, b"index -1", *path]) + b"\n\n" + note,
        "an index beyond 2^53": join([first, extra, b"index 9007199254740992", *path]) + b"\n\n" + note,
        "a short hash": join([first, extra, index, path[0][4:], *path[1:]]) + b"\n\n" + note,
        "base64 without padding": join([first, extra, index, path[0][:-1]]) + b"\n\n" + note,
        "base64 in another spelling": join([first, extra, index, path[0][:-2] + b"B="]) + b"\n\n" + note,
        "a carriage return": data.replace(b"\n", b"\r\n"),
        "64 hashes": join([first, extra, index, *[path[0]] * 64]) + b"\n\n" + note,
        "letters beyond ASCII": join([first, extra, index, "é".encode()]) + b"\n\n" + note,
        "an extension line": data.replace(b"\n\n", b"\n\nx\n", 1),
        "33 signature lines": data + data.rsplit(b"\n", 2)[-2].join([b"", b"\n"]) * 33,
        "too large": data + b"\n" * 1_048_576,
    }


@pytest.mark.parametrize("name", hostile())
def test_another_spelling_fails_at_step_1(name: str) -> None:
    with pytest.raises(VerificationError) as caught:
        parse_tlog_proof(hostile()[name])
    assert caught.value.step == 1


@given(st.data())
def test_a_changed_byte_is_refused_or_lies_outside_what_is_proved(data: st.DataObject) -> None:
    sound, entry = proof(extra=False)
    place = data.draw(st.integers(0, len(sound) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != sound[place]))
    changed = sound[:place] + bytes([byte]) + sound[place + 1 :]
    try:
        found = verify_tlog_proof(parse_tlog_proof(changed), entry, verifier())
    except VerificationError:
        return
    # Only a cosigner's line that the quorum does not need can change: it is then a line by nobody known.
    assert (found.index, found.entry) == (parse_tlog_proof(sound).index, entry)
    assert place >= sound.index(b"witness-0.example")
