"""What peers check of signatures, ids, times and endorsements: the double refuses what a real network refuses."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ledger.canonical import canonical
from ledger.hyperledger import wire
from ledger.hyperledger.connection import load_tls
from ledger.hyperledger.errors import IdentityRefused, Invalidated
from ledger.hyperledger.gateway import Gateway, Patience
from ledger.hyperledger.identity import Identity
from tests.hyperledger.consortium import ONE, TWO, Consortium

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
LIST = "organisations:list"
GIVES_UP = Patience(away_s=1)


@dataclass
class Changed:
    """An identity whose signatures are changed after they were made."""

    inner: Identity
    change: Callable[[bytes], bytes]

    @property
    def msp(self) -> str:
        return self.inner.msp

    @property
    def certificate(self) -> bytes:
        return self.inner.certificate

    def sign(self, message: bytes) -> bytes:
        return self.change(self.inner.sign(message))


def _high_s(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, ORDER - s)


def _flipped(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r ^ 1, s)


def _gateway(
    consortium: Consortium,
    identity: Callable[[Identity], Identity] = lambda identity: identity,
    now_ns: Callable[[], int] = time.time_ns,
) -> Gateway:
    profile = consortium.profiles(ONE, False)
    made = Gateway(
        profile.peer, identity(profile.load_identity()), profile.channel, profile.chaincode,
        patience=GIVES_UP, now_ns=now_ns,
    )  # fmt: skip
    consortium.opened.append(made)
    return made


@pytest.mark.parametrize("change", [_high_s, _flipped], ids=["high s", "wrong"])
def test_a_signature_in_another_form_is_refused(
    consortium: Consortium, change: Callable[[bytes], bytes]
) -> None:
    gateway = _gateway(consortium, lambda identity: Changed(identity, change))
    with pytest.raises(IdentityRefused, match="access denied"):
        gateway.evaluate(LIST, [])
    with pytest.raises(IdentityRefused):
        gateway.endorse(LIST, [])
    with pytest.raises(IdentityRefused):
        gateway.outcome("0" * 64)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_proposal_of_another_time_is_refused(consortium: Consortium, minutes: int) -> None:
    gateway = _gateway(consortium, now_ns=lambda: time.time_ns() + minutes * 60_000_000_000)
    with pytest.raises(IdentityRefused, match="incorrect timestamp"):
        gateway.evaluate(LIST, [])


def test_a_proposal_within_the_time_is_taken(consortium: Consortium) -> None:
    gateway = _gateway(consortium, now_ns=lambda: time.time_ns() - 14 * 60_000_000_000)
    assert gateway.evaluate(LIST, []).startswith(b"[")


def test_a_transaction_id_is_the_hash_of_nonce_and_creator(consortium: Consortium) -> None:
    profile = consortium.profiles(ONE, False)
    identity, nonce = profile.load_identity(), b"n" * 24
    moment = wire.Moment(time.time_ns())
    proposal = wire.propose(identity, profile.channel, profile.chaincode, [LIST.encode()], nonce, moment)
    assert proposal.tx_id == hashlib.sha256(nonce + wire.creator(identity)).hexdigest()


def test_one_organisation_alone_endorses_nothing_valid(consortium: Consortium) -> None:
    [log] = consortium.logs()
    channel, gateway = consortium.channel(), consortium.gateway()
    alone = gateway.endorse("checkpoints:submit", [log.note(2), canonical([])], [ONE])
    with pytest.raises(Invalidated) as void:
        gateway.commit(alone)
    assert void.value.code == "ENDORSEMENT_POLICY_FAILURE"
    assert channel.latest(log.origin) is None
    both = gateway.endorse("checkpoints:submit", [log.note(2), canonical([])], [ONE, TWO])
    assert gateway.commit(both).code == "VALID"
    assert channel.latest(log.origin) == (2, log.root(2))


def test_a_transaction_signed_by_nobody_has_no_effect(consortium: Consortium) -> None:
    [log] = consortium.logs()
    channel, gateway = consortium.channel(), consortium.gateway()
    profile = consortium.profiles(ONE, False)
    endorsed = gateway.endorse("checkpoints:submit", [log.note(2), canonical([])])
    request = wire.submit_request(profile.channel, endorsed, profile.load_identity().sign(b"another"))
    line = wire.Line(profile.peer, load_tls(profile.peer))
    # The orderer of a real network looks at the signature itself; the double's leaves that to the peers.
    with contextlib.suppress(wire.CallFailed):
        line.ask(wire.SUBMIT, request, 30)
    line.close()
    other = consortium.logs()[0]
    channel.submit(other.note(1), [])
    assert channel.latest(log.origin) is None


def test_a_submitted_copy_of_a_transaction_changes_nothing(consortium: Consortium) -> None:
    [log] = consortium.logs()
    channel, gateway = consortium.channel(), consortium.gateway()
    endorsed = gateway.endorse("checkpoints:submit", [log.note(2), canonical([])])
    first = gateway.commit(endorsed)
    gateway.submit(endorsed)
    channel.submit(log.note(3), log.proof(2, 3))
    assert gateway.outcome(endorsed.tx_id) == first
    assert [each.size for each in channel.history(log.origin)] == [2, 3]
