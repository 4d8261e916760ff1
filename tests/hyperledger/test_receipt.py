"""A native receipt proves what k organisations' peers signed that they read, and nothing else verifies."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincode import keys
from ledger.canonical import canonical, parse_json
from ledger.checkpoint import Checkpoint
from ledger.ed25519 import SigningKey
from ledger.errors import InvalidInput, VerificationError
from ledger.hyperledger.receipt import (
    MAX_ENDORSEMENTS,
    MAX_RECEIPT_BYTES,
    Endorsement,
    UnverifiedReceipt,
    VerifiedReceipt,
    parse_receipt,
    verify_receipt,
)
from ledger.hyperledger.roots import MAX_ISSUERS, ChannelRoots, parse_roots, roots_text
from ledger.note import ED25519, VerifierKey
from ledger.shape import base64_bytes, base64_text
from tests.hyperledger.receipts import (
    BLOCK,
    KEY,
    LOG,
    MSPS,
    ORIGIN,
    ROOT,
    SIZE,
    TRANSACTION,
    VKEY,
    Endorser,
    Scene,
    lifecycle,
    namespace,
    record,
)

DAY_S = 86_400
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PARTS = ("channelHeader", "signatureHeader", "invocation", "response")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def roots(scene: Scene) -> ChannelRoots:
    return scene.roots()


@pytest.fixture(scope="module")
def good(scene: Scene) -> bytes:
    return scene.receipt()


def _verify(data: bytes, roots: ChannelRoots) -> VerifiedReceipt:
    return verify_receipt(parse_receipt(data), roots, [VKEY])


def _refusal(data: bytes, roots: ChannelRoots) -> tuple[str, str]:
    """Place and rule of a refusal at step 10."""
    with pytest.raises(VerificationError) as refused:
        _verify(data, roots)
    assert refused.value.step == 10
    cause = refused.value.__cause__
    return refused.value.place, cause.rule if isinstance(cause, InvalidInput) else ""


def test_a_receipt_says_who_read_which_checkpoint_and_what_wrote_it(good: bytes, roots: ChannelRoots) -> None:
    verified = _verify(good, roots)
    assert verified.organisations == MSPS
    assert (verified.block, verified.transaction) == (BLOCK, TRANSACTION)
    assert (verified.channel, verified.chaincode, verified.version) == ("loomark", "loomark", "1")
    anchored = verified.anchored
    assert (anchored.origin, anchored.size, anchored.root, anchored.msp) == (ORIGIN, SIZE, ROOT, "Org1MSP")


def test_the_first_transaction_of_a_block_is_a_version_as_well(scene: Scene, roots: ChannelRoots) -> None:
    verified = _verify(scene.receipt(namespaces=[namespace(version=(BLOCK, 0))]), roots)
    assert (verified.block, verified.transaction) == (BLOCK, 0)


@given(name=st.text("!%/.-0aZ~", min_size=1, max_size=40), size=st.integers(1, 2**53 - 1))
@settings(max_examples=30)
def test_the_key_that_was_read_is_the_one_that_the_chaincode_writes(
    scene: Scene, roots: ChannelRoots, name: str, size: int
) -> None:
    data = scene.receipt(
        args=[b"checkpoints:at", name.encode(), b"%d" % size],
        namespaces=[namespace(keys=[keys.checkpoint(name, size)])],
        record=canonical(record(size, origin=name)),
    )
    vkey = VerifierKey(name, ED25519, LOG.public_bytes)
    anchored = verify_receipt(parse_receipt(data), roots, [vkey]).anchored
    assert (anchored.origin, anchored.size) == (name, size)


WRONG_READS: list[tuple[str, dict[str, Any], str, str]] = [
    ("channel", {"channel": "other"}, "/channelHeader", "wrong-channel"),
    ("no channel", {"channel": ""}, "/channelHeader", "wrong-channel"),
    (
        "chaincode",
        {"named": "o", "called": "o", "ran": "o", "namespaces": [namespace("o")]},
        "/channelHeader",
        "wrong-channel",
    ),
    ("chaincode of the header", {"named": "other"}, "/channelHeader", "bad-receipt"),
    ("chaincode that was called", {"called": "other"}, "/channelHeader", "bad-receipt"),
    ("chaincode that ran", {"ran": "other"}, "/response", "wrong-chaincode"),
    ("kind of header", {"kind": 1}, "/channelHeader", "bad-receipt"),
    ("transaction id", {"tx_id": "00" * 32}, "/channelHeader", "bad-receipt"),
    ("nonce of another transaction", {"nonce": b"", "tx_id": "00" * 32}, "/channelHeader", "bad-receipt"),
    ("time", {"at_s": 253_402_300_800}, "/channelHeader", "bad-time"),
    ("time before all time", {"at_s": -1}, "/channelHeader", "bad-time"),
    ("function", {"args": [b"checkpoints:latest", ORIGIN.encode()]}, "/channelHeader", "wrong-call"),
    ("function of as many words", {"args": [b"f", ORIGIN.encode(), b"1000"]}, "/channelHeader", "wrong-call"),
    ("no arguments", {"args": []}, "/channelHeader", "wrong-call"),
    (
        "size in another spelling",
        {"args": [b"checkpoints:at", b"o", b"01000"]},
        "/channelHeader",
        "wrong-call",
    ),
    (
        "size that is none",
        {"args": [b"checkpoints:at", b"o", "\u0661".encode()]},
        "/channelHeader",
        "wrong-call",
    ),
    ("size 0", {"args": [b"checkpoints:at", b"o", b"0"]}, "/channelHeader", "out-of-range"),
    ("origin that is no text", {"args": [b"checkpoints:at", b"\xff", b"1"]}, "/channelHeader", "wrong-call"),
    ("another size asked", {"args": [b"checkpoints:at", ORIGIN.encode(), b"999"]}, "/response", "wrong-read"),
    ("another origin asked", {"args": [b"checkpoints:at", b"other", b"1000"]}, "/response", "wrong-read"),
    ("proposal", {"proposal_hash": b"\0" * 32}, "/response", "wrong-proposal"),
    ("status", {"status": 404}, "/response", "wrong-answer"),
    ("event", {"event": b"event"}, "/response", "bad-protobuf"),
    ("key", {"namespaces": [namespace(keys=[KEY[:-1] + "1"])]}, "/response", "wrong-read"),
    ("no version", {"namespaces": [namespace(version=None)]}, "/response", "wrong-read"),
    ("version of no block", {"namespaces": [namespace(version=(0, 0))]}, "/response", "wrong-read"),
    ("version too large", {"namespaces": [namespace(version=(2**64 - 1, 0))]}, "/response", "wrong-read"),
    ("no read", {"namespaces": [namespace(keys=[])]}, "/response", "wrong-read"),
    ("two reads", {"namespaces": [namespace(keys=[KEY, KEY])]}, "/response", "wrong-read"),
    ("reads of the lifecycle alone", {"namespaces": [lifecycle()]}, "/response", "wrong-read"),
    ("another's state", {"namespaces": [namespace("other")]}, "/response", "wrong-read"),
    ("two chaincodes", {"namespaces": [namespace(), namespace("other")]}, "/response", "wrong-read"),
    ("one twice", {"namespaces": [namespace(), namespace()]}, "/response", "wrong-read"),
    ("lifecycle twice", {"namespaces": [lifecycle(), lifecycle(), namespace()]}, "/response", "wrong-read"),
    (
        "a write",
        {"namespaces": [namespace(writes=[kv_rwset_pb2.KVWrite(key=KEY, value=b"x")])]},
        "/response",
        "bad-protobuf",
    ),
    (
        "a range",
        {"namespaces": [namespace(range_queries_info=[kv_rwset_pb2.RangeQueryInfo(start_key="a")])]},
        "/response",
        "bad-protobuf",
    ),
    (
        "private data",
        {
            "namespaces": [
                rwset_pb2.NsReadWriteSet(
                    namespace="loomark",
                    rwset=namespace().rwset,
                    collection_hashed_rwset=[rwset_pb2.CollectionHashedReadWriteSet(collection_name="c")],
                )
            ]
        },
        "/response",
        "bad-protobuf",
    ),
    ("record of another size", {"record": canonical(record(999))}, "/response", "bad-shape"),
    ("record of another origin", {"record": canonical(record(origin="other"))}, "/response", "bad-shape"),
    ("record with more", {"record": canonical(record(more=1))}, "/response", "bad-shape"),
    ("record that is no JSON", {"record": b"{"}, "/response", "not-json"),
    (
        "another log's key",
        {"record": canonical(record(key=SigningKey(b"\x08" * 32)))},
        "/response",
        "unsigned-note",
    ),
]


@pytest.mark.parametrize(
    ("changed", "place", "rule"), [pytest.param(*each[1:], id=each[0]) for each in WRONG_READS]
)
def test_what_peers_signed_of_something_else_is_refused(
    scene: Scene, roots: ChannelRoots, changed: dict[str, Any], place: str, rule: str
) -> None:
    assert _refusal(scene.receipt(**changed), roots) == (place, rule)


def test_a_receipt_of_a_log_that_the_policy_does_not_name_is_refused(
    good: bytes, roots: ChannelRoots
) -> None:
    other = VerifierKey("other.example", ED25519, LOG.public_bytes)
    for logs in ([], [other]):
        with pytest.raises(VerificationError) as refused:
            verify_receipt(parse_receipt(good), roots, logs)
        assert (refused.value.step, refused.value.place) == (10, "/response")


def test_a_receipt_belongs_to_the_checkpoint_that_is_to_be_proved(good: bytes, roots: ChannelRoots) -> None:
    own = Checkpoint(ORIGIN, SIZE, ROOT)
    assert verify_receipt(parse_receipt(good), roots, [VKEY], own).anchored.root == ROOT
    for other in (replace(own, root=b"\0" * 32), replace(own, size=SIZE + 1), replace(own, origin="o")):
        with pytest.raises(VerificationError) as refused:
            verify_receipt(parse_receipt(good), roots, [VKEY], other)
        assert (refused.value.step, refused.value.place) == (10, "/response")


def test_fewer_organisations_than_pinned_are_refused(scene: Scene, roots: ChannelRoots) -> None:
    assert _refusal(scene.receipt(endorsers=scene.peers[:2]), roots) == ("/endorsements", "no-quorum")
    assert _verify(scene.receipt(endorsers=scene.peers[:2]), scene.roots(2)).organisations == MSPS[:2]


def test_an_organisation_counts_once(scene: Scene) -> None:
    one = scene.peers[0]
    for twice in ((one, one), (one, scene.peer(0))):
        assert _refusal(scene.receipt(endorsers=twice), scene.roots(2)) == (
            "/endorsements/1",
            "same-organisation",
        )


def test_one_key_counts_once_under_whatever_names_it_signs(scene: Scene) -> None:
    own, other = (scene.authorities[msp].pem.decode() for msp in MSPS[:2])
    shared = parse_roots(
        scene.roots_text().replace(other, other + own, 1).replace("quorum = 3", "quorum = 2")
    )
    one = scene.peers[0]
    twice = (one, Endorser(MSPS[1], one.certificate, one.sign))
    assert _refusal(scene.receipt(endorsers=twice), shared) == ("/endorsements/1", "same-key")
    assert _verify(scene.receipt(endorsers=(one, scene.peers[1])), shared).organisations == MSPS[:2]


def test_an_organisation_that_is_not_pinned_is_left_out(scene: Scene) -> None:
    pinned = scene.roots(2, MSPS[:2])
    assert _verify(scene.receipt(), pinned).organisations == MSPS[:2]
    assert _refusal(scene.receipt(endorsers=scene.peers[1:]), pinned) == ("/endorsements", "no-quorum")


def _by(scene: Scene, instead: Endorser) -> bytes:
    return scene.receipt(endorsers=(instead, *scene.peers[1:]))


@pytest.mark.parametrize("unit", ["client", "admin", "orderer", "other"])
def test_only_peers_speak_for_an_organisation(scene: Scene, roots: ChannelRoots, unit: str) -> None:
    assert _refusal(_by(scene, scene.peer(0, unit)), roots) == ("/endorsements/0", "not-a-peer")


def test_a_certificate_of_another_authority_is_refused(scene: Scene, roots: ChannelRoots) -> None:
    assert _refusal(_by(scene, scene.peer(0, authority=1)), roots) == ("/endorsements/0", "unknown-issuer")
    # The same name and unit, of an authority that calls itself by the pinned one's name.
    stranger = Scene().peers[0]
    assert _refusal(_by(scene, stranger), roots) == ("/endorsements/0", "unknown-issuer")


def test_an_authority_does_not_speak_for_its_peers(scene: Scene, roots: ChannelRoots) -> None:
    one = replace(scene.peers[0], certificate=scene.authorities[MSPS[0]].pem)
    assert _refusal(_by(scene, one), roots) == ("/endorsements/0", "not-a-peer")


def test_a_certificate_is_judged_at_the_time_of_the_proposal(scene: Scene, roots: ChannelRoots) -> None:
    ended = scene.peer(0, days=-2)
    at = {"endorsers": (ended, *scene.peers[1:])}
    assert _refusal(scene.receipt(**at), roots) == ("/endorsements/0", "expired")
    assert _verify(scene.receipt(**at, at_s=time.time() - 10 * DAY_S), roots).organisations == MSPS
    assert _refusal(scene.receipt(at_s=time.time() - 40 * DAY_S), roots) == ("/endorsements/0", "expired")


def test_a_signature_with_high_s_is_refused(scene: Scene, roots: ChannelRoots) -> None:
    one = scene.peers[0]

    def high(message: bytes) -> bytes:
        r, s = decode_dss_signature(one.sign(message))
        return encode_dss_signature(r, P256_ORDER - s)

    assert _refusal(_by(scene, replace(one, sign=high)), roots) == ("/endorsements/0", "signature")


@pytest.mark.parametrize(
    "sign",
    [lambda _: b"", lambda _: b"\0" * 64, lambda _: bytes.fromhex("3006020100020100"), lambda _: b"\x30"],
)
def test_a_signature_that_is_none_is_refused(
    scene: Scene, roots: ChannelRoots, sign: Callable[[bytes], bytes]
) -> None:
    for number in range(3):
        endorsers = list(scene.peers)
        endorsers[number] = replace(endorsers[number], sign=sign)
        place, rule = _refusal(scene.receipt(endorsers=tuple(endorsers)), roots)
        assert place.startswith(f"/endorsements/{number}")
        assert rule in ("signature", "bad-shape")


def test_a_signature_over_another_response_is_refused(scene: Scene, roots: ChannelRoots) -> None:
    other = parse_receipt(scene.receipt(nonce=b"m" * 24))

    def swap(receipt: UnverifiedReceipt) -> UnverifiedReceipt:
        return replace(receipt, endorsements=(other.endorsements[0], *receipt.endorsements[1:]))

    assert _refusal(scene.receipt(edit=swap), roots) == ("/endorsements/0", "signature")


def test_a_signature_under_another_organisations_name_is_refused(scene: Scene, roots: ChannelRoots) -> None:
    one, two, three = scene.peers
    lent = replace(one, msp=two.msp)
    assert _refusal(scene.receipt(endorsers=(one, lent, three)), roots) == (
        "/endorsements/1",
        "unknown-issuer",
    )


def test_a_certificate_with_a_key_of_another_kind_is_refused(scene: Scene, roots: ChannelRoots) -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    issued = scene.authorities[MSPS[0]].issue("peer0", "peer", key)
    one = Endorser(MSPS[0], issued.pem, lambda message: scene.peers[0].sign(message))
    assert _refusal(_by(scene, one), roots) == ("/endorsements/0", "bad-certificate")


@pytest.mark.parametrize(
    "certificate", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_certificate_that_is_none_is_refused(scene: Scene, roots: ChannelRoots, certificate: bytes) -> None:
    one = replace(scene.peers[0], certificate=certificate)
    assert _refusal(_by(scene, one), roots) == ("/endorsements/0", "bad-certificate")


def test_two_certificates_of_one_endorser_are_refused(scene: Scene, roots: ChannelRoots) -> None:
    one = replace(scene.peers[0], certificate=scene.peers[0].certificate * 2)
    assert _refusal(_by(scene, one), roots) == ("/endorsements/0", "bad-certificate")


def test_every_flipped_byte_is_noticed(good: bytes, roots: ChannelRoots, seed: int) -> None:
    """Where each organisation is needed, not one bit of a receipt may be another."""
    chosen = random.Random(seed)
    for at in range(len(good)):
        flipped = bytearray(good)
        flipped[at] ^= 1 << chosen.randrange(8)
        with pytest.raises(VerificationError):
            _verify(bytes(flipped), roots)


def test_every_flipped_byte_of_a_part_is_noticed(good: bytes, roots: ChannelRoots, seed: int) -> None:
    chosen, value = random.Random(seed), parse_json(good)
    places: list[tuple[dict[str, Any], str]] = [(value, name) for name in PARTS]
    places += [(each, name) for each in value["endorsements"] for name in ("endorser", "signature")]
    for held, name in places:
        true = base64_bytes(held[name], name)
        for at in range(len(true)):
            flipped = bytearray(true)
            flipped[at] ^= 1 << chosen.randrange(8)
            held[name] = base64_text(bytes(flipped))
            with pytest.raises(VerificationError):
                _verify(canonical(value), roots)
        held[name] = base64_text(true)
    assert _verify(canonical(value), roots).organisations == MSPS


def test_bytes_cannot_move_from_one_part_to_the_next(scene: Scene, roots: ChannelRoots) -> None:
    """Peers hash the parts one after the other without lengths; a channel's name could hide in another part."""
    hidden = b"\x22\x05other"

    def later(receipt: UnverifiedReceipt) -> UnverifiedReceipt:
        return replace(receipt, signature_header=hidden + receipt.signature_header)

    def earlier(receipt: UnverifiedReceipt) -> UnverifiedReceipt:
        moved = receipt.signature_header[:4]
        return replace(
            receipt,
            channel_header=receipt.channel_header + moved,
            signature_header=receipt.signature_header[4:],
        )

    assert _refusal(scene.receipt(edit=later), roots) == ("/channelHeader", "bad-protobuf")
    assert _refusal(scene.receipt(edit=earlier), roots) == ("/channelHeader", "bad-protobuf")


def _with(good: bytes, **members: Any) -> bytes:
    return canonical({**parse_json(good), **members})


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"hyperledgerReceipt": "loomark/hyperledger-receipt/v2"}, ""),
        ({"more": 1}, ""),
        ({"response": "AA"}, "/response"),
        ({"response": "AB=="}, "/response"),
        ({"response": ""}, "/response"),
        ({"response": 1}, "/response"),
        ({"channelHeader": None}, "/channelHeader"),
        ({"endorsements": []}, "/endorsements"),
        ({"endorsements": {}}, "/endorsements"),
        ({"endorsements": [{"endorser": "AA=="}]}, "/endorsements/0"),
        ({"endorsements": [{"endorser": "AA==", "signature": "AA==", "more": 1}]}, "/endorsements/0"),
        (
            {"endorsements": [{"endorser": base64_text(bytes(20_000)), "signature": "AA=="}]},
            "/endorsements/0",
        ),
        ({"endorsements": [{"endorser": "AA==", "signature": base64_text(bytes(300))}]}, "/endorsements/0"),
        (
            {"endorsements": [{"endorser": "AA==", "signature": "AA=="}] * (MAX_ENDORSEMENTS + 1)},
            "/endorsements",
        ),
    ],
)
def test_a_file_of_another_form_is_refused(
    good: bytes, roots: ChannelRoots, members: dict[str, Any], place: str
) -> None:
    assert _refusal(_with(good, **members), roots)[0] == place


def test_an_oversize_file_is_refused_unread(roots: ChannelRoots) -> None:
    assert _refusal(b" " * (MAX_RECEIPT_BYTES + 1), roots) == ("", "")


@given(data=st.binary(max_size=400))
def test_bytes_that_are_no_receipt_are_refused(roots: ChannelRoots, data: bytes) -> None:
    _refusal(data, roots)


@given(
    name=st.sampled_from(PARTS),
    cut=st.integers(0, 400),
    inserted=st.binary(max_size=24),
    dropped=st.integers(0, 24),
)
@settings(max_examples=300)
def test_nothing_else_leaks_from_changed_parts(
    good: bytes, roots: ChannelRoots, name: str, cut: int, inserted: bytes, dropped: int
) -> None:
    value = parse_json(good)
    true = base64_bytes(value[name], name)
    changed = true[:cut] + inserted + true[cut + dropped :]
    if changed != true:
        _refusal(_with(good, **{name: base64_text(changed)}), roots)


@given(cut=st.integers(0, 700), inserted=st.binary(max_size=24), dropped=st.integers(0, 24))
@settings(max_examples=300)
def test_nothing_else_leaks_from_what_peers_really_signed(
    scene: Scene, roots: ChannelRoots, cut: int, inserted: bytes, dropped: int
) -> None:
    """A changed set of reads with every signature over it: whatever does not fail says the same."""
    own = namespace().rwset
    changed = own[:cut] + inserted + own[cut + dropped :]
    data = scene.receipt(namespaces=[rwset_pb2.NsReadWriteSet(namespace="loomark", rwset=changed)])
    try:
        verified = _verify(data, roots)
    except VerificationError:
        return
    read = kv_rwset_pb2.KVRWSet.FromString(changed)
    version = read.reads[0].version
    assert [each.key for each in read.reads] == [KEY]
    assert (verified.block, verified.transaction) == (version.block_num, version.tx_num)


@given(cut=st.integers(0, 900), inserted=st.binary(max_size=8), dropped=st.integers(0, 8))
@settings(max_examples=300)
def test_nothing_else_leaks_from_changed_certificates(
    scene: Scene, roots: ChannelRoots, cut: int, inserted: bytes, dropped: int
) -> None:
    one = scene.peers[0]
    changed = one.certificate[:cut] + inserted + one.certificate[cut + dropped :]
    try:
        found = roots.check_peer(one.msp, changed, time.time_ns() // 1_000_000)
    except InvalidInput:
        return
    assert found == roots.check_peer(one.msp, one.certificate, time.time_ns() // 1_000_000)


def test_pinned_roots_are_written_as_they_are_read(scene: Scene, roots: ChannelRoots) -> None:
    assert parse_roots(roots_text(roots)) == roots
    assert parse_roots(scene.roots_text()) == roots


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "",
        lambda text: "[[[",
        lambda text: text.replace("quorum = 3", ""),
        lambda text: text.replace("quorum = 3", "quorum = 4"),
        lambda text: text.replace("quorum = 3", "quorum = 0"),
        lambda text: text.replace("quorum = 3", "quorum = true"),
        lambda text: text.replace("quorum = 3", f"quorum = {'3' * 5_000}"),
        lambda text: text.replace("quorum = 3", "quorum = 3\nmore = 1"),
        lambda text: text.replace('channel = "loomark"', 'channel = ""'),
        lambda text: text.replace('channel = "loomark"', "channel = 1"),
        lambda text: text.replace('channel = "loomark"', 'channel = "a\\"b"'),
        lambda text: text.replace("Org2MSP =", '"Org 2" ='),
        lambda text: text.replace("BEGIN CERTIFICATE", "BEGIN KEY"),
        lambda text: text.partition("[organisations]")[0] + "organisations = 1",
        lambda text: text.partition("[organisations]")[0] + "[organisations]\n",
        lambda text: text.partition("[organisations]")[0] + "[organisations]\nOrg1MSP = 1\n",
    ],
)
def test_pinned_roots_that_say_something_else_are_refused(scene: Scene, edit: Callable[[str], str]) -> None:
    text = edit(scene.roots_text())
    assert text != scene.roots_text()
    with pytest.raises(InvalidInput) as refused:
        parse_roots(text)
    assert refused.value.rule == "bad-roots"


def test_only_authorities_are_pinned(scene: Scene) -> None:
    own = scene.authorities[MSPS[0]].pem.decode()
    text = scene.roots_text()
    for pem in (scene.peers[0].certificate.decode(), own * (MAX_ISSUERS + 1)):
        with pytest.raises(InvalidInput) as refused:
            parse_roots(text.replace(own, pem))
        assert refused.value.rule == "bad-roots"


def test_an_organisation_may_have_several_authorities(scene: Scene) -> None:
    own, other = (scene.authorities[msp].pem.decode() for msp in MSPS[:2])
    both = parse_roots(scene.roots_text().replace(own, own + other, 1))
    assert _verify(_by(scene, scene.peer(0, authority=1)), both).organisations == MSPS


def test_to_verify_needs_neither_grpc_nor_the_protocols_messages() -> None:
    script = (
        "import sys, ledger.hyperledger.receipt, ledger.hyperledger.config_block, api.cli.verify;"
        "print([name for name in ('grpc', 'google.protobuf', 'fabric_protos') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_endorsements_may_stand_in_any_order(scene: Scene, roots: ChannelRoots) -> None:
    def turned(receipt: UnverifiedReceipt) -> UnverifiedReceipt:
        last: tuple[Endorsement, ...] = receipt.endorsements[::-1]
        return replace(receipt, endorsements=last)

    assert _verify(scene.receipt(edit=turned), roots).organisations == MSPS
