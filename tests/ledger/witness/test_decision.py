from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import InvalidInput
from ledger.merkle import EMPTY_ROOT
from ledger.note import COSIGNATURE, ED25519, SignatureLine, VerifierKey, cosign, note_bytes, parse_vkey, sign
from ledger.witness.decision import Accepted, LastSeen, Refused, Signed, authenticate, decide
from ledger.witness.exchange import (
    MAX_REQUEST_BYTES,
    SIZE_TYPE,
    Answer,
    parse_request,
    parse_size,
    request_bytes,
)

from .logs import ORIGIN, MemoryLog, key_of

LOG = MemoryLog()
TRUSTED = {ORIGIN: [LOG.vkey]}


def answer(body: bytes, last: LastSeen) -> Answer | Accepted:
    signed = authenticate(body, TRUSTED)
    decided = decide(signed, last) if isinstance(signed, Signed) else signed
    return decided if isinstance(decided, Accepted) else decided.answer


def status(body: bytes, last: LastSeen) -> int:
    got = answer(body, last)
    return 200 if isinstance(got, Accepted) else got.status


def seen(log: MemoryLog, size: int) -> LastSeen:
    return LastSeen(size, log.head(size).root)


def test_the_witness_conversation_gets_todays_status_codes(shared_data: Path) -> None:
    path = shared_data / "tlog" / "vectors" / "witness_conversation.json"
    conversation = json.loads(path.read_text())
    trusted = {conversation["log_origin"]: [parse_vkey(conversation["log_vkey"])]}
    last, got = LastSeen(), []
    for step in conversation["steps"]:
        signed = authenticate(step["request_body"].encode(), trusted)
        decided = decide(signed, last) if isinstance(signed, Signed) else signed
        if isinstance(decided, Accepted):
            last = LastSeen(decided.checkpoint.size, decided.checkpoint.root)
        got.append(200 if isinstance(decided, Accepted) else decided.answer.status)
        if got[-1] == 409 and isinstance(decided, Refused):
            assert decided.answer.body == f"{last.size}\n".encode()
    assert got == [step["status_spec_2026_07"] for step in conversation["steps"]]
    assert last.size == 5


def test_growth_is_accepted_from_nothing_and_from_any_size() -> None:
    for old in range(9):
        for size in range(old, 18):
            last = seen(LOG, old) if old else LastSeen()
            assert status(LOG.request(old, size), last) == 200, (old, size)


def test_the_same_checkpoint_is_cosigned_again() -> None:
    assert status(LOG.request(7, 7), seen(LOG, 7)) == 200


def test_a_wrong_last_size_is_answered_with_the_right_one() -> None:
    got = answer(LOG.request(3, 9), seen(LOG, 5))
    assert got == Answer(409, b"5\n", SIZE_TYPE)


def test_a_replayed_old_checkpoint_is_a_conflict() -> None:
    assert status(LOG.request(3, 5), seen(LOG, 9)) == 409
    assert status(LOG.request(5, 5), seen(LOG, 9)) == 409


def test_an_old_size_beyond_the_checkpoint_is_malformed_even_where_it_is_the_last_one() -> None:
    assert status(request_bytes(9, [], LOG.note(5)), seen(LOG, 9)) == 400


def test_another_history_is_refused_at_any_size() -> None:
    other = MemoryLog("other")
    assert status(other.request(5, 9), seen(LOG, 5)) == 422
    same_size = authenticate(other.request(5, 5), TRUSTED)
    assert isinstance(same_size, Signed)
    refused = decide(same_size, seen(LOG, 5))
    assert isinstance(refused, Refused)
    assert (refused.answer.status, refused.forks) == (422, True)


def test_two_roots_of_one_size_are_a_fork_whatever_old_size_was_sent() -> None:
    signed = authenticate(MemoryLog("other").request(0, 5), TRUSTED)
    assert isinstance(signed, Signed)
    refused = decide(signed, seen(LOG, 5))
    assert isinstance(refused, Refused)
    assert (refused.answer.status, refused.forks) == (409, True)


def test_a_wrong_proof_of_a_good_tree_is_no_fork() -> None:
    signed = authenticate(request_bytes(5, [bytes(32)], LOG.note(9)), TRUSTED)
    assert isinstance(signed, Signed)
    refused = decide(signed, seen(LOG, 5))
    assert isinstance(refused, Refused)
    assert (refused.answer.status, refused.forks) == (422, False)


def test_from_the_empty_tree_only_an_empty_proof_is_taken() -> None:
    assert status(request_bytes(0, [bytes(32)], LOG.note(9)), LastSeen()) == 422
    assert status(request_bytes(0, [], LOG.note(9)), LastSeen()) == 200


def test_a_proof_where_nothing_grew_is_refused() -> None:
    assert status(request_bytes(9, [bytes(32)], LOG.note(9)), seen(LOG, 9)) == 422


def test_the_empty_tree_has_one_root() -> None:
    def empty(root: bytes) -> bytes:
        return request_bytes(0, [], sign_checkpoint(Checkpoint(ORIGIN, 0, root), LOG.key))

    assert status(empty(EMPTY_ROOT), LastSeen()) == 200
    assert status(empty(bytes(32)), LastSeen()) == 422
    assert status(empty(EMPTY_ROOT), seen(LOG, 3)) == 409


def test_an_unknown_origin_is_not_found_whoever_signed() -> None:
    stranger = MemoryLog(origin="elsewhere.example/log")
    assert status(stranger.request(0, 3), LastSeen()) == 404


def test_a_checkpoint_of_one_origin_signed_by_the_key_of_another_is_forbidden() -> None:
    note = note_bytes(LOG.head(3).text(), [sign(LOG.head(3).text(), "other.example/log", key_of("other"))])
    assert status(request_bytes(0, [], note), LastSeen()) == 403


def test_a_signature_that_does_not_hold_is_forbidden() -> None:
    other = key_of("other")
    forged = SignatureLine(ORIGIN, LOG.vkey.key_id, other.sign(LOG.head(3).text().encode()))
    assert status(request_bytes(0, [], note_bytes(LOG.head(3).text(), [forged])), LastSeen()) == 403
    both = note_bytes(LOG.head(3).text(), [sign(LOG.head(3).text(), ORIGIN, LOG.key), forged])
    assert status(request_bytes(0, [], both), LastSeen()) == 403


def test_several_keys_of_one_origin_are_each_enough() -> None:
    second = MemoryLog(key=key_of("second"))
    trusted = {ORIGIN: [LOG.vkey, second.vkey]}
    for log in (LOG, second):
        signed = authenticate(log.request(0, 3), trusted)
        assert isinstance(signed, Signed)
        assert isinstance(decide(signed, LastSeen()), Accepted)


def test_lines_by_others_are_left_behind() -> None:
    witness = VerifierKey("witness.example/one", COSIGNATURE, key_of("witness").public_bytes)
    forged = SignatureLine(witness.name, witness.key_id, bytes(72))
    crowd = [cosign(LOG.head(3).text(), f"witness.example/{n}", key_of(f"{n}"), 5) for n in range(20)]
    signed = authenticate(LOG.request(0, 3, [forged, *crowd]), TRUSTED)
    assert isinstance(signed, Signed)
    assert [(line.name, line.key_id) for line in signed.note.signatures] == [(ORIGIN, LOG.vkey.key_id)]


def _text(lines: str) -> bytes:
    text = f"{ORIGIN}\n{lines}"
    return request_bytes(0, [], note_bytes(text, [sign(text, ORIGIN, LOG.key)]))


_ROOT = b64encode(LOG.head(3).root).decode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(_text(f"3\n{_ROOT}\nextension\n"), 400, id="extension line"),
        pytest.param(_text(f"03\n{_ROOT}\n"), 400, id="leading zero"),
        pytest.param(_text(f"-3\n{_ROOT}\n"), 400, id="negative size"),
        pytest.param(_text(f"{2**63}\n{_ROOT}\n"), 400, id="size beyond 2^63"),
        pytest.param(_text(f"{2**53}\n{_ROOT}\n"), 400, id="size of 2^53"),
        pytest.param(_text(f"3\n{_ROOT[:-2]}\n"), 400, id="short root"),
        pytest.param(_text(f"3\n{_ROOT[:-2]}{chr(ord(_ROOT[-2]) + 1)}=\n"), 400, id="non-canonical root"),
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"old 0\n\n", 404, id="no note"),
        pytest.param(b"old 0\n" + LOG.note(3), 400, id="no empty line"),
        pytest.param(b"old 00\n\n" + LOG.note(3), 400, id="old with leading zero"),
        pytest.param(b"old -1\n\n" + LOG.note(3), 400, id="negative old"),
        pytest.param(b"old 1 \n\n" + LOG.note(3), 400, id="space after old"),
        pytest.param(b"OLD 0\n\n" + LOG.note(3), 400, id="capitals"),
        pytest.param(b"old 0\r\n\r\n" + LOG.note(3), 400, id="carriage returns"),
        pytest.param("old 0\n\u00a0\n\n".encode() + LOG.note(3), 400, id="not ASCII"),
        pytest.param(request_bytes(1, [bytes(32)] * 64, LOG.note(3)), 400, id="64 hashes"),
        pytest.param(request_bytes(1, [bytes(31)], LOG.note(3)), 400, id="short hash"),
        pytest.param(b"old 1\n" + b"A" * 42 + b"B=\n\n" + LOG.note(3), 400, id="non-canonical hash"),
        pytest.param(b"old 1\n" + b"!" * 44 + b"\n\n" + LOG.note(3), 400, id="no base64"),
        pytest.param(b"old 0\n\n" + LOG.note(3)[:-1], 400, id="cut note"),
        pytest.param(b"old 0\n\n" + LOG.note(3) + b"\xff", 400, id="not UTF-8"),
        pytest.param(b"old 0\n\n" + LOG.note(3) + "— a AAAAAAA=\n".encode() * 10_000, 400, id="10,000 lines"),
        pytest.param(b"old 0\n\n" + LOG.note(3) + b"x" * MAX_REQUEST_BYTES, 400, id="oversized"),
        pytest.param(b"old 9\n\n" + LOG.note(3), 400, id="old beyond the checkpoint"),
        pytest.param(b"old 0\n\n" + LOG.note(3).replace(b"=\n", b"\n"), 403, id="unpadded signature"),
    ],
)
def test_what_is_malformed_is_refused_before_any_state_is_asked(body: bytes, expected: int) -> None:
    signed = authenticate(body, TRUSTED)
    assert isinstance(signed, Refused)
    assert signed.answer.status == expected
    assert not signed.forks


def test_sixteen_further_signatures_are_room_enough() -> None:
    crowd = [cosign(LOG.head(3).text(), f"witness.example/{n}", key_of(f"{n}"), 5) for n in range(31)]
    assert status(LOG.request(0, 3, crowd[:16]), LastSeen()) == 200
    assert status(LOG.request(0, 3, crowd), LastSeen()) == 200


@given(st.binary(max_size=400))
def test_any_bytes_get_an_answer(body: bytes) -> None:
    for prefix in (b"", b"old 0\n\n", b"old 0\n\n" + ORIGIN.encode() + b"\n"):
        signed = authenticate(prefix + body, TRUSTED)
        assert isinstance(signed, Refused)
        assert signed.answer.status in (400, 403, 404)


@given(st.data())
def test_a_changed_request_never_gets_another_checkpoint_cosigned(data: st.DataObject) -> None:
    body = bytearray(LOG.request(5, 9))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] = data.draw(st.integers(0, 255))
    got = answer(bytes(body), seen(LOG, 5))
    if isinstance(got, Accepted):
        assert got.checkpoint == LOG.head(9)


@given(st.integers(0, 2**53 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_request_is_read_back_as_it_was_built(old: int, proof: list[bytes]) -> None:
    request = parse_request(request_bytes(old, proof, LOG.note(3)))
    assert (request.old, list(request.proof), request.note) == (old, proof, LOG.note(3))
    assert request.origin == ORIGIN


@pytest.mark.parametrize(
    "body", [b"", b"x", b"-1\n", b"01\n", b"1\n\n", b"9" * 17, b"1 \n", b"\xff", b"1\x00"]
)
def test_a_size_has_one_spelling(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_size(body)


def test_the_keys_of_a_log_are_not_those_of_a_cosigner() -> None:
    # A trusted key is compared with its type: a cosignature by the same bytes is another key id.
    assert VerifierKey(ORIGIN, ED25519, LOG.key.public_bytes).key_id != (
        VerifierKey(ORIGIN, COSIGNATURE, LOG.key.public_bytes).key_id
    )
