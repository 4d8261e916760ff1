"""Answers that nobody sent on purpose: parsers of the protocol end in one error, or in a value."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import proposal_pb2, transaction_pb2
from google.protobuf import any_pb2
from hypothesis import given
from hypothesis import strategies as st

from ledger.hyperledger import wire
from ledger.hyperledger.errors import BadAnswer, PeerMessage
from ledger.hyperledger.identity import X509Identity
from tests.hyperledger.double.authority import Authority
from tests.hyperledger.double.network import DoubleNetwork

CREDENTIALS = Authority("ca").issue("user", "client", ec.generate_private_key(ec.SECP256R1()))
IDENTITY = X509Identity(
    "Org1MSP", CREDENTIALS.pem, CREDENTIALS.certificate.not_valid_after_utc, CREDENTIALS.key
)
PROPOSAL = wire.propose(IDENTITY, "loomark", "loomark", [b"f", b"a"], b"n" * 24, wire.Moment(1))
READERS: dict[str, Callable[[bytes], Any]] = {
    "evaluated": wire.evaluated,
    "endorsed": lambda data: wire.endorsed(data, PROPOSAL),
    "submitted": wire.submitted,
    "commit status": wire.commit_status,
    "events": lambda data: wire.events(data, "loomark"),
    "block": lambda data: wire.delivered(data, "block"),
    "transaction": wire.envelope_tx,
}


@pytest.mark.parametrize("name", READERS)
@given(data=st.binary(max_size=200))
def test_any_bytes_end_in_a_value_or_in_a_bad_answer(name: str, data: bytes) -> None:
    try:
        READERS[name](data)
    except (BadAnswer, wire.CallFailed):
        return


@given(data=st.binary(max_size=200))
def test_any_bytes_for_the_details_of_an_error_are_passed_over(data: bytes) -> None:
    assert all(isinstance(each, PeerMessage) for each in wire.error_details(data))


def _packed(address: str, message: str) -> bytes:
    held = any_pb2.Any()
    held.Pack(gateway_pb2.ErrorDetail(address=address, msp_id="Org2MSP", message=message))
    data: bytes = held.SerializeToString()
    size = len(data)
    return b"\x1a" + (bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])) + data


def test_details_name_each_peer_in_one_line_of_bounded_length() -> None:
    data = b"\x08\x0a\x12\x03abc" + _packed("a:1", "no\n\x1b[31mway") + _packed("b:2", "x" * 5_000)
    first, second = wire.error_details(data)
    assert str(first) == "a:1 (Org2MSP): no  [31mway"
    assert len(second.message) == 601
    for cut in range(len(data)):
        assert len(wire.error_details(data[:cut])) <= 1


def test_details_of_another_kind_are_passed_over() -> None:
    held = any_pb2.Any(type_url="type.googleapis.com/other", value=b"\xff").SerializeToString()
    assert wire.error_details(b"\x1a" + bytes([len(held)]) + held + _packed("a:1", "no")) == [
        PeerMessage("a:1", "Org2MSP", "no")
    ]


def test_codes_have_their_names_and_unknown_ones_their_number() -> None:
    assert [wire.code_name(code) for code in (0, 10, 11, 9, 254, 99)] == [
        "VALID", "ENDORSEMENT_POLICY_FAILURE", "MVCC_READ_CONFLICT", "DUPLICATE_TXID", "NOT_VALIDATED", "CODE_99",
    ]  # fmt: skip


def test_two_proposals_of_the_same_call_are_two_transactions() -> None:
    other = wire.propose(IDENTITY, "loomark", "loomark", [b"f", b"a"], b"m" * 24, wire.Moment(1))
    assert other.tx_id != PROPOSAL.tx_id
    assert other.digest != PROPOSAL.digest


def test_a_read_names_whose_peer_may_answer_it() -> None:
    asked = gateway_pb2.EvaluateRequest.FromString(wire.evaluate_request(PROPOSAL, "Org1MSP"))
    assert [*asked.target_organizations] == ["Org1MSP"]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[wire.Proposal, bytes]]:
    """A proposal, and a peer's true answer to the request to endorse it."""
    network = DoubleNetwork(tmp_path_factory.mktemp("double"))
    profile = network.profile()
    arguments = [b"organisations:list"]
    now = wire.Moment(time.time_ns())
    proposal = wire.propose(
        profile.load_identity(), profile.channel, profile.chaincode, arguments, b"n" * 24, now
    )
    line = wire.Line(profile.peer, None)
    yield proposal, line.ask(wire.ENDORSE, wire.endorse_request(proposal, []), 60)
    line.close()
    network.close()


def test_a_true_answer_is_taken(answered: tuple[wire.Proposal, bytes]) -> None:
    proposal, data = answered
    endorsed = wire.endorsed(data, proposal)
    assert (endorsed.tx_id, endorsed.result) == (proposal.tx_id, b"[]")


@given(data=st.data())
def test_whatever_is_changed_in_an_answer_only_the_proposed_call_is_ever_signed(
    answered: tuple[wire.Proposal, bytes], data: st.DataObject
) -> None:
    proposal, answer = answered
    changed = bytearray(answer)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        endorsed = wire.endorsed(bytes(changed), proposal)
    except BadAnswer:
        return
    payload = common_pb2.Payload.FromString(endorsed.payload)
    assert payload.header.channel_header == proposal.channel_header
    assert payload.header.signature_header == proposal.signature_header
    [action] = transaction_pb2.Transaction.FromString(payload.data).actions
    called = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
    visible = proposal_pb2.ChaincodeProposalPayload.FromString(called.chaincode_proposal_payload)
    assert visible.input == proposal.invocation


def test_an_answer_to_another_proposal_is_refused(answered: tuple[wire.Proposal, bytes]) -> None:
    with pytest.raises(BadAnswer, match="got another one"):
        wire.endorsed(answered[1], PROPOSAL)
