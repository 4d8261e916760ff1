"""What the channel accepts of a log: its own signed checkpoints, each of which extends the one before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode import Creator
from ledger import merkle
from ledger.canonical import canonical, parse_json
from ledger.checkpoint import Checkpoint, checkpoint_of, sign_checkpoint
from ledger.ed25519 import SigningKey
from ledger.note import SignatureLine, cosign, note_bytes, parse_note, sign
from ledger.shape import base64_bytes, base64_text
from tests.chaincode.memory import (
    Log,
    MemoryChannel,
    Organisation,
    certificate,
    seeded,
    submit,
    two_organisations,
)

SUBMIT, COSIGN = b"checkpoints:submit", b"checkpoints:cosign"


def anchored(*sizes: int) -> tuple[MemoryChannel, Organisation, Organisation]:
    """Two organisations, the first with checkpoints at these sizes."""
    channel, first, second = two_organisations()
    for old, size in zip((0, *sizes), sizes, strict=False):
        submit(channel, first, old, size)
    return channel, first, second


def origin_of(organisation: Organisation) -> bytes:
    return organisation.log.origin.encode()


def test_the_first_checkpoint_becomes_the_latest_with_its_record_and_event() -> None:
    channel, first, _ = two_organisations()
    note = first.log.note(7)
    response, stub = channel.simulate(first.user, SUBMIT, note, b"[]")
    told = {"origin": first.log.origin, "size": 7, "root": first.log.root(7).hex(), "msp": "Org1MSP"}
    assert (response.status, parse_json(response.payload)) == (200, told)
    assert stub.event == ("checkpoint", canonical(told))
    record = {"from": 0, "msp": "Org1MSP", "note": note.decode(), "proof": []}
    assert stub.writes == [
        ("checkpoint/log.example%2Forg1msp/0000000000000007", canonical(record)),
        ("latest/log.example%2Forg1msp", canonical({"size": 7, "root": told["root"]})),
    ]
    assert "latest/log.example%2Forg1msp" in stub.reads


def test_a_checkpoint_that_extends_the_latest_is_accepted_with_its_proof() -> None:
    channel, first, _ = anchored(7, 20)
    record = channel.invoke(first.user, b"checkpoints:at", origin_of(first), b"20")
    assert record["from"] == 7
    assert canonical(record["proof"]) == first.log.proof(7, 20)
    assert channel.invoke(first.user, b"checkpoints:latest", origin_of(first))["size"] == 20


@given(st.lists(st.integers(1, 64), min_size=1, max_size=6, unique=True).map(sorted))
def test_any_growing_sequence_of_sizes_is_accepted_and_kept_in_order(sizes: list[int]) -> None:
    channel, first, second = anchored(*sizes)
    found = channel.invoke(second.user, b"checkpoints:history", origin_of(first), b"0", b"100")
    assert [(one["from"], one["size"]) for one in found] == list(zip([0, *sizes], sizes, strict=False))


def _expected(last: tuple[int, bool] | None, old: int, size: int, is_fork: bool, has_proof: bool) -> int:
    """The status of a submission with a proof from `old`, by what a log is: one line that grows."""
    if last is None:
        return 422 if has_proof else 200
    if size == last[0]:
        return 409 if is_fork == last[1] else 422
    if size < last[0]:
        return 409
    return 200 if (old, is_fork) == last else 422


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12), st.booleans()), max_size=12))
def test_of_any_submissions_those_of_one_growing_tree_are_accepted(
    steps: list[tuple[int, int, bool]],
) -> None:
    channel, first, _ = two_organisations()
    trees = {False: first.log, True: Log(first.log.origin, first.log.key, salt="other")}
    last: tuple[int, bool] | None = None
    for old, size, is_fork in steps:
        tree = trees[is_fork]
        note, proof = tree.note(size), tree.proof(min(old, size), size)
        status = _expected(last, old, size, is_fork, proof != b"[]")
        response, stub = channel.simulate(first.user, SUBMIT, note, proof)
        assert response.status == status, response
        if status == 200:
            channel.state.update(stub.writes)
            last = (size, is_fork)
        else:
            assert stub.writes == []
    _require_one_line(channel, first)


def _require_one_line(channel: MemoryChannel, owner: Organisation) -> None:
    """Each record of the history extends the one before by its own proof, and the last one is the latest."""
    records = channel.invoke(owner.user, b"checkpoints:history", origin_of(owner), b"0", b"100")
    heads = [checkpoint_of(parse_note(record["note"].encode())) for record in records]
    assert [head.size for head in heads] == [record["size"] for record in records]
    for before, head, record in zip(heads, heads[1:], records[1:], strict=False):
        path = [base64_bytes(one, "proof", 32) for one in record["proof"]]
        assert record["from"] == before.size
        assert merkle.is_consistent(before.size, head.size, path, before.root, head.root)
    if heads:
        latest = channel.invoke(owner.user, b"checkpoints:latest", origin_of(owner))
        assert latest == {"size": heads[-1].size, "root": heads[-1].root.hex()}


def test_history_goes_on_after_a_size_and_ends_at_the_limit() -> None:
    channel, first, _ = anchored(2, 3, 10, 11, 64)

    def sizes(after: bytes, limit: bytes) -> list[int]:
        found = channel.invoke(first.user, b"checkpoints:history", origin_of(first), after, limit)
        return [one["size"] for one in found]

    assert sizes(b"0", b"2") == [2, 3]
    assert sizes(b"3", b"2") == [10, 11]
    assert sizes(b"10", b"100") == [11, 64]
    assert sizes(b"64", b"1") == []
    assert sizes(b"9007199254740991", b"1") == []


def test_at_reads_exactly_one_key() -> None:
    channel, first, second = anchored(7, 20)
    _, stub = channel.simulate(second.user, b"checkpoints:at", origin_of(first), b"7")
    assert stub.reads == ["checkpoint/log.example%2Forg1msp/0000000000000007"]


def test_only_the_logs_own_lines_are_kept() -> None:
    channel, first, second = two_organisations()
    text = parse_note(first.log.note(7)).text
    strangers = cosign(text, "witness.example", seeded("witness"), 1_800_000_000)
    forged = SignatureLine(second.msp, b"\x01\x02\x03\x04", bytes(64))
    own = sign(text, first.log.origin, first.log.key)
    channel.invoke(first.user, SUBMIT, note_bytes(text, [strangers, own, forged]), b"[]")
    record = channel.invoke(first.user, b"checkpoints:at", origin_of(first), b"7")
    assert record["note"].encode() == note_bytes(text, [own])


def test_both_keys_of_a_rotation_are_kept() -> None:
    channel, first, _ = two_organisations()
    new = seeded("rotated")
    wanted = first.registration()
    wanted["origins"][first.log.origin].append(Log(first.log.origin, new).vkey)
    channel.invoke(first.admin, b"organisations:register", canonical(wanted))
    text = parse_note(first.log.note(7)).text
    both = note_bytes(text, [sign(text, first.log.origin, key) for key in (new, first.log.key)])
    channel.invoke(first.user, SUBMIT, both, b"[]")
    assert channel.invoke(first.user, b"checkpoints:at", origin_of(first), b"7")["note"].encode() == both


def _refused_submission(note: bytes, proof: bytes, creator: Creator | None = None) -> tuple[int, str]:
    channel, first, _ = anchored(7, 20)
    return channel.refused(creator or first.user, SUBMIT, note, proof)


FIRST = Organisation.named("Org1MSP")
LOG = FIRST.log
FORK = Log(LOG.origin, LOG.key, salt="other")


@pytest.mark.parametrize(
    ("note", "proof", "status", "rule"),
    [
        (LOG.note(20), LOG.proof(7, 20), 409, "already-anchored"),
        (LOG.note(20), b"[]", 409, "already-anchored"),
        (LOG.note(7), b"[]", 409, "stale"),
        (LOG.note(19), LOG.proof(7, 19), 409, "stale"),
        (FORK.note(20), FORK.proof(7, 20), 422, "fork"),
        (FORK.note(30), FORK.proof(20, 30), 422, "consistency"),
        (FORK.note(30), LOG.proof(20, 30), 422, "consistency"),
        (LOG.note(30), FORK.proof(20, 30), 422, "consistency"),
        (LOG.note(30), b"[]", 422, "consistency"),
        (LOG.note(30), LOG.proof(7, 30), 422, "consistency"),
        (LOG.note(30), canonical([*parse_json(LOG.proof(20, 30)), base64_text(bytes(32))]), 422, "consistency"),
        (LOG.note(30), canonical([base64_text(bytes(32))] * 63), 422, "consistency"),
        (FORK.note(7), b"[]", 409, "stale"),
    ],
)  # fmt: skip
def test_what_does_not_extend_the_latest_is_refused(
    note: bytes, proof: bytes, status: int, rule: str
) -> None:
    assert _refused_submission(note, proof) == (status, rule)


def test_the_first_checkpoint_takes_no_proof() -> None:
    channel, first, _ = two_organisations()
    proof = canonical([base64_text(bytes(32))])
    assert channel.refused(first.user, SUBMIT, first.log.note(7), proof) == (422, "consistency")


def test_the_empty_tree_is_refused() -> None:
    channel, first, _ = two_organisations()
    empty = sign_checkpoint(Checkpoint(first.log.origin, 0, merkle.EMPTY_ROOT), first.log.key)
    assert channel.refused(first.user, SUBMIT, empty, b"[]") == (400, "empty-tree")


def test_an_unknown_origin_is_404_even_when_it_is_signed_well() -> None:
    stranger = Log("log.example/stranger", seeded("stranger"))
    assert _refused_submission(stranger.note(3), b"[]") == (404, "unknown-origin")


def test_only_the_owner_submits() -> None:
    channel, first, second = anchored(7)
    for creator in (second.user, second.admin, Creator("Org3MSP", b""), Creator("org1MSP", b"")):
        answer = channel.refused(creator, SUBMIT, first.log.note(20), first.log.proof(7, 20))
        assert answer == (403, "not-owner")


def _resigned(key: SigningKey, name: str = LOG.origin) -> bytes:
    text = parse_note(LOG.note(30)).text
    return note_bytes(text, [sign(text, name, key)])


def _tampered(note: bytes, old: bytes, new: bytes) -> bytes:
    assert old in note
    return note.replace(old, new)


def _broken_signature() -> bytes:
    note = parse_note(LOG.note(30))
    line = note.signatures[0]
    return note_bytes(note.text, [SignatureLine(line.name, line.key_id, bytes(64))])


@pytest.mark.parametrize(
    ("note", "rule"),
    [
        (_resigned(seeded("somebody")), "unsigned-note"),
        (_resigned(FIRST.cosigner), "unsigned-note"),
        (_resigned(LOG.key, "log.example/other"), "unsigned-note"),
        (_broken_signature(), "note-signature"),
        (_tampered(LOG.note(30), b"\n30\n", b"\n31\n"), "note-signature"),
        (LOG.note(30) + LOG.note(30).splitlines(keepends=True)[-1], "note-signature"),
    ],
)
def test_a_note_without_a_valid_signature_by_a_registered_key_is_refused(note: bytes, rule: str) -> None:
    assert _refused_submission(note, LOG.proof(20, 30)) == (403, rule)


def _text_note(*lines: str) -> bytes:
    text = "\n".join(lines) + "\n"
    return note_bytes(text, [sign(text, LOG.origin, LOG.key)])


ROOT = base64_text(LOG.root(30))


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n",
        b"\n\n",
        b"\xff\xfe",
        b"\x00" * 100,
        LOG.note(30)[:-1],
        LOG.note(30) + b"\n",
        LOG.note(30).replace(b"\n", b"\r\n"),
        LOG.note(30).replace("\u2014".encode(), b"-"),
        b"\xef\xbb\xbf" + LOG.note(30),
        _text_note(LOG.origin, "30"),
        _text_note(LOG.origin, "30", ROOT, "extension"),
        _text_note(LOG.origin, "030", ROOT),
        _text_note(LOG.origin, "-1", ROOT),
        _text_note(LOG.origin, "3e1", ROOT),
        _text_note(LOG.origin, "\u0663", ROOT),
        _text_note(LOG.origin, "9007199254740992", ROOT),
        _text_note(LOG.origin, "9" * 4000, ROOT),
        _text_note(LOG.origin, "30", ROOT[:-4]),
        _text_note(LOG.origin, "30", ROOT.rstrip("=")),
        _text_note(LOG.origin, "30", base64_text(bytes(33))),
        _text_note("", "30", ROOT),
        _text_note("log.example/\u00e4", "30", ROOT),
        _text_note("log example", "30", ROOT),
        _text_note("a" * 256, "30", ROOT),
    ],
)
def test_a_note_of_another_form_is_400(note: bytes) -> None:
    status, _ = _refused_submission(note, LOG.proof(20, 30))
    assert status == 400


def test_the_largest_size_is_read_and_refused_for_its_proof() -> None:
    note = _text_note(LOG.origin, "9007199254740991", ROOT)
    assert _refused_submission(note, LOG.proof(20, 30)) == (422, "consistency")


@pytest.mark.parametrize(
    ("note", "proof"),
    [
        (LOG.note(30) + b"x" * 131_072, b"[]"),
        (LOG.note(30) + LOG.note(30).splitlines(keepends=True)[-1] * 32, b"[]"),
        (LOG.note(30), b"[]" + b" " * 4_096),
    ],
)
def test_a_note_or_proof_that_is_too_large_is_413(note: bytes, proof: bytes) -> None:
    assert _refused_submission(note, proof)[0] == 413


@pytest.mark.parametrize(
    "proof",
    [
        b"",
        b"null",
        b"{}",
        b'"AAAA"',
        b"[",
        b"[1]",
        b"[null]",
        b'["AAAA"]',
        b'["x"]',
        b"\xff",
        canonical([base64_text(bytes(33))]),
        canonical([base64_text(bytes(32)).rstrip("=")]),
        canonical([base64_text(bytes(32)) + "\n"]),
        canonical([bytes(32).hex()]),
        canonical([base64_text(bytes(32))] * 64),
        b"[9007199254740993]",
        b"[" + b"9" * 4_000 + b"]",
    ],
)
def test_a_proof_of_another_form_is_400(proof: bytes) -> None:
    assert _refused_submission(LOG.note(30), proof)[0] == 400


READS = [
    (b"checkpoints:latest", ()),
    (b"checkpoints:at", (b"7",)),
    (b"checkpoints:cosignatures", (b"7",)),
    (b"checkpoints:history", (b"0", b"1")),
]


@pytest.mark.parametrize(("function", "more"), READS)
@pytest.mark.parametrize("origin", [b"", b"\xff", b"a b", b"a+b", b"a\x00b", "\u00e4".encode(), b"a\n"])
def test_a_question_about_no_possible_origin_is_400(function: bytes, more: Any, origin: bytes) -> None:
    channel, first, _ = anchored(7)
    assert channel.refused(first.user, function, origin, *more)[0] == 400


@pytest.mark.parametrize(
    ("number", "status"),
    [(b"", 400), (b"x", 400), (b"-1", 400), (b"+1", 400), (b"07", 400), (b"7.0", 400), (b" 7", 400), (b"7\n", 400),
     ("\u0667".encode(), 400), (b"\xff", 400), (b"0", 400), (b"9007199254740992", 400), (b"9" * 17, 413), (b"8", 404)],
)  # fmt: skip
def test_a_size_that_is_no_number_or_has_no_checkpoint_is_refused(number: bytes, status: int) -> None:
    channel, first, _ = anchored(7)
    assert channel.refused(first.user, b"checkpoints:at", origin_of(first), number)[0] == status
    line = first.line(first.log.note(7))
    assert channel.refused(first.user, COSIGN, origin_of(first), number, line)[0] == status


@pytest.mark.parametrize("limit", [b"0", b"101", b"-1", b"x", b""])
def test_a_limit_outside_1_to_100_is_400(limit: bytes) -> None:
    channel, first, _ = anchored(7)
    assert channel.refused(first.user, b"checkpoints:history", origin_of(first), b"0", limit)[0] == 400


def test_cosignatures_of_the_registered_organisations_are_kept_by_msp() -> None:
    channel, first, second = anchored(7)
    note = first.log.note(7)
    for organisation in (second, first):
        told = channel.invoke(organisation.user, COSIGN, origin_of(first), b"7", organisation.line(note))
        assert told == {"origin": first.log.origin, "size": 7, "msp": organisation.msp}
    found = channel.invoke(second.user, b"checkpoints:cosignatures", origin_of(first), b"7")
    assert found == {one.msp: one.line(note).decode() for one in (first, second)}


def test_a_cosignature_is_told_by_an_event() -> None:
    channel, first, second = anchored(7)
    _, stub = channel.simulate(second.user, COSIGN, origin_of(first), b"7", second.line(first.log.note(7)))
    told = {"origin": first.log.origin, "size": 7, "msp": "Org2MSP"}
    assert stub.event == ("cosignature", canonical(told))
    assert [key for key, _ in stub.writes] == ["cosignature/log.example%2Forg1msp/0000000000000007/Org2MSP"]


def test_an_organisation_cosigns_a_checkpoint_once() -> None:
    channel, first, second = anchored(7)
    note = first.log.note(7)
    channel.invoke(second.user, COSIGN, origin_of(first), b"7", second.line(note))
    for line in (second.line(note), second.line(note, 1_900_000_000)):
        answer = channel.refused(second.user, COSIGN, origin_of(first), b"7", line)
        assert answer == (409, "already-cosigned")


def test_a_checkpoint_without_cosignatures_has_none() -> None:
    channel, first, _ = anchored(7)
    assert channel.invoke(first.user, b"checkpoints:cosignatures", origin_of(first), b"7") == {}


def test_a_caller_of_no_registered_organisation_cosigns_nothing() -> None:
    channel, first, second = anchored(7)
    creator = Creator("Org3MSP", certificate("Org3MSP", "admin"))
    answer = channel.refused(creator, COSIGN, origin_of(first), b"7", second.line(first.log.note(7)))
    assert answer == (403, "not-registered")


def _line(organisation: Organisation, note: bytes, key: SigningKey, name: str | None = None) -> bytes:
    return cosign(parse_note(note).text, name or organisation.msp, key, 1_800_000_000).text().encode()


SECOND = Organisation.named("Org2MSP")
OWN = SECOND.line(LOG.note(7))


@pytest.mark.parametrize(
    ("line", "status", "rule"),
    [
        (FIRST.line(LOG.note(7)), 403, "unsigned-note"),
        (SECOND.line(LOG.note(20)), 403, "note-signature"),
        (SECOND.line(FORK.note(7)), 403, "note-signature"),
        (_line(SECOND, LOG.note(7), seeded("x")), 403, "unsigned-note"),
        (_line(SECOND, LOG.note(7), SECOND.cosigner, "Org9MSP"), 403, "unsigned-note"),
        (sign(parse_note(LOG.note(7)).text, "Org2MSP", SECOND.cosigner).text().encode(), 403, "unsigned-note"),
        (LOG.note(7).splitlines(keepends=True)[-1], 403, "unsigned-note"),
        (SECOND.line(LOG.note(7), 0), 403, "note-signature"),
        (SECOND.line(LOG.note(7), 2**63), 403, "note-signature"),
        (b"", 400, "bad-note"),
        (OWN[:-1], 400, "bad-note"),
        (OWN + OWN, 400, "bad-note"),
        (OWN + b"\n", 400, "bad-note"),
        (b"x\n\n" + OWN, 400, "bad-note"),
        (OWN.replace(b" Org2MSP", b"  Org2MSP"), 400, "bad-note"),
        (b"\xff", 400, "bad-note"),
        (OWN[:-10] + b"\n", 400, "bad-base64"),
        (OWN + b"x" * 1_024, 413, "too-large"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_the_organisations_cosignature_is_refused(
    line: bytes, status: int, rule: str
) -> None:
    channel, first, second = anchored(7, 20)
    assert channel.refused(second.user, COSIGN, origin_of(first), b"7", line) == (status, rule)


def test_a_line_by_a_cosigner_key_that_was_changed_is_refused() -> None:
    channel, first, second = anchored(7)
    old = second.line(first.log.note(7))
    second.cosigner = seeded("new cosigner")
    channel.invoke(second.admin, b"organisations:register", canonical(second.registration()))
    assert channel.refused(second.user, COSIGN, origin_of(first), b"7", old) == (403, "unsigned-note")


@pytest.mark.parametrize("value", [b"{", b"[]", b"{}", b'{"size":"7","root":""}', b"null", b"\xff"])
def test_a_broken_state_is_500_at_once_and_is_not_shown(value: bytes) -> None:
    channel, first, _ = anchored(7)
    channel.state["latest/log.example%2Forg1msp"] = value
    response, stub = channel.simulate(first.user, SUBMIT, first.log.note(20), first.log.proof(7, 20))
    assert (response.status, response.payload) == (500, b"")
    assert response.message == "internal-error: the chaincode failed"
    assert stub.writes == []
