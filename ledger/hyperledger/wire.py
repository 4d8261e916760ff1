"""The messages of Hyperledger Fabric and the gRPC that carries them: the one module that imports either.

It makes requests (bytes) of values, and values of answers (bytes), and decides nothing. What comes back is believed in
nothing: an answer that does not parse, or does not belong to what was asked, is a :class:`BadAnswer`. Clock and nonce come
in through arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    events_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError

from .channel import RawEvent
from .connection import Peer, Tls
from .errors import BadAnswer, PeerMessage
from .identity import Identity

EVALUATE: Final = "/gateway.Gateway/Evaluate"
ENDORSE: Final = "/gateway.Gateway/Endorse"
SUBMIT: Final = "/gateway.Gateway/Submit"
COMMIT_STATUS: Final = "/gateway.Gateway/CommitStatus"
CHAINCODE_EVENTS: Final = "/gateway.Gateway/ChaincodeEvents"
DELIVER: Final = "/protos.Deliver/Deliver"
DELIVER_FILTERED: Final = "/protos.Deliver/DeliverFiltered"

# An orderer's default for one block is 10 MiB of transactions; a gateway's answers are far smaller.
MOST_ANSWER_BYTES: Final = 32 << 20
_MOST_WORDS: Final = 600
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MOST_ANSWER_BYTES),
    # Proxies of the environment are not for a peer that is named in a profile.
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A peer cuts off who pings it more often than once a minute.
    ("grpc.keepalive_time_ms", 90_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


class CallFailed(Exception):
    """A call ended with a status of gRPC other than OK; ``code`` is the status's name. Never leaves this package."""

    def __init__(self, code: str, message: str, details: Sequence[PeerMessage] = ()) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.details = tuple(details)


@dataclass(frozen=True, slots=True)
class Moment:
    """A proposal's time, UTC: nanoseconds since 1970-01-01."""

    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A signed proposal, and the parts of it that an answer must repeat."""

    tx_id: str
    channel: str
    signed: bytes
    channel_header: bytes
    signature_header: bytes
    invocation: bytes

    @property
    def digest(self) -> bytes:
        """What endorsers sign as the hash of the proposal."""
        visible = proposal_pb2.ChaincodeProposalPayload(input=self.invocation).SerializeToString()
        return hashlib.sha256(self.channel_header + self.signature_header + visible).digest()


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A transaction that peers endorsed and nobody ordered.

    ``payload`` (common.Payload) is what its proposer signs; ``result`` is what the chaincode answered.
    """

    tx_id: str
    payload: bytes
    result: bytes
    signed_proposal: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a peer says became of a transaction: its block, and its validation code's name."""

    block: int
    code: str


def creator(identity: Identity) -> bytes:
    """An identity as the protocol writes it (msp.SerializedIdentity)."""
    serialized = identities_pb2.SerializedIdentity(mspid=identity.msp, id_bytes=identity.certificate)
    return bytes(serialized.SerializeToString())


def transaction_id(nonce: bytes, serialized_creator: bytes) -> str:
    """Hex SHA-256 of nonce and creator, which makes a transaction its proposer's own."""
    return hashlib.sha256(nonce + serialized_creator).hexdigest()


def propose(
    identity: Identity, channel: str, chaincode: str, args: Sequence[bytes], nonce: bytes, at: Moment
) -> Proposal:
    """A signed proposal to call ``chaincode`` with ``args``; the first is the function's name."""
    by = creator(identity)
    tx_id = transaction_id(nonce, by)
    called = chaincode_pb2.ChaincodeID(name=chaincode)
    header = _channel_header(common_pb2.HeaderType.ENDORSER_TRANSACTION, channel, at)
    header.tx_id = tx_id
    header.extension = proposal_pb2.ChaincodeHeaderExtension(chaincode_id=called).SerializeToString()
    signature_header = common_pb2.SignatureHeader(creator=by, nonce=nonce).SerializeToString()
    spec = chaincode_pb2.ChaincodeSpec(chaincode_id=called, input=chaincode_pb2.ChaincodeInput(args=[*args]))
    invocation = chaincode_pb2.ChaincodeInvocationSpec(chaincode_spec=spec).SerializeToString()
    channel_header = header.SerializeToString()
    proposal = proposal_pb2.Proposal(
        header=_header(channel_header, signature_header),
        payload=proposal_pb2.ChaincodeProposalPayload(input=invocation).SerializeToString(),
    ).SerializeToString()
    signed = proposal_pb2.SignedProposal(proposal_bytes=proposal, signature=identity.sign(proposal))
    return Proposal(tx_id, channel, signed.SerializeToString(), channel_header, signature_header, invocation)


def evaluate_request(proposal: Proposal, organisation: str) -> bytes:
    """The request to run a proposal on one peer of an organisation (MSP id) without a trace.

    Where the asked peer cannot answer, its gateway would otherwise ask any organisation's peer and not say so.
    """
    return bytes(
        gateway_pb2.EvaluateRequest(
            transaction_id=proposal.tx_id,
            channel_id=proposal.channel,
            proposed_transaction=_signed(proposal),
            target_organizations=[organisation],
        ).SerializeToString()
    )


def evaluated(data: bytes) -> tuple[int, str, bytes]:
    """Status, message and payload of an answer to :func:`evaluate_request`."""
    response = _parsed(gateway_pb2.EvaluateResponse, data).result
    return response.status, _words(response.message), response.payload


def endorse_request(proposal: Proposal, organisations: Sequence[str]) -> bytes:
    """The request to have a proposal endorsed, by exactly ``organisations`` (MSP ids) where there are any."""
    return bytes(
        gateway_pb2.EndorseRequest(
            transaction_id=proposal.tx_id,
            channel_id=proposal.channel,
            proposed_transaction=_signed(proposal),
            endorsing_organizations=[*organisations],
        ).SerializeToString()
    )


def endorsed(data: bytes, proposal: Proposal) -> Endorsed:
    """The transaction in an answer to :func:`endorse_request`, checked to be the one that was proposed.

    Its proposer is about to sign it: a peer that put in another call, another creator or another result's hash must not
    get that signature.
    """
    envelope = _parsed(gateway_pb2.EndorseResponse, data).prepared_transaction
    payload = _parsed(common_pb2.Payload, envelope.payload)
    actions = _parsed(transaction_pb2.Transaction, payload.data).actions
    if len(actions) != 1:
        raise BadAnswer(f"expected a transaction with one action, got {len(actions)}")
    action = _parsed(transaction_pb2.ChaincodeActionPayload, actions[0].payload)
    visible = _parsed(proposal_pb2.ChaincodeProposalPayload, action.chaincode_proposal_payload)
    said = _parsed(proposal_response_pb2.ProposalResponsePayload, action.action.proposal_response_payload)
    same = (
        payload.header.channel_header == proposal.channel_header
        and payload.header.signature_header == proposal.signature_header
        and actions[0].header == proposal.signature_header
        and visible.input == proposal.invocation
        and said.proposal_hash == proposal.digest
    )
    if not same or not action.action.endorsements:
        raise BadAnswer("expected the proposed transaction with endorsements, got another one")
    result = _parsed(proposal_pb2.ChaincodeAction, said.extension).response.payload
    return Endorsed(proposal.tx_id, envelope.payload, result, proposal.signed)


def submit_request(channel: str, transaction: Endorsed, signature: bytes) -> bytes:
    """The request to have an endorsed transaction ordered; the signature is over its payload."""
    envelope = common_pb2.Envelope(payload=transaction.payload, signature=signature)
    return bytes(
        gateway_pb2.SubmitRequest(
            transaction_id=transaction.tx_id, channel_id=channel, prepared_transaction=envelope
        ).SerializeToString()
    )


def submitted(data: bytes) -> None:
    """Check an answer to :func:`submit_request`, which says nothing."""
    _parsed(gateway_pb2.SubmitResponse, data)


def commit_status_request(identity: Identity, channel: str, tx_id: str) -> bytes:
    """The signed request for what became of a transaction; a peer answers once it knows."""
    request = gateway_pb2.CommitStatusRequest(
        transaction_id=tx_id, channel_id=channel, identity=creator(identity)
    ).SerializeToString()
    signed = gateway_pb2.SignedCommitStatusRequest(request=request, signature=identity.sign(request))
    return bytes(signed.SerializeToString())


def commit_status(data: bytes) -> Outcome:
    """The answer to :func:`commit_status_request`."""
    answer = _parsed(gateway_pb2.CommitStatusResponse, data)
    # An empty answer reads as VALID in block 0; that block is the channel's configuration and holds no other transaction.
    if answer.block_number == 0:
        raise BadAnswer("expected a commit status with a block, got none")
    return Outcome(answer.block_number, code_name(answer.result))


def code_name(code: int) -> str:
    """The protocol's name of a validation code; ``CODE_n`` for one that it does not know."""
    try:
        return str(transaction_pb2.TxValidationCode.Name(code))
    except ValueError:
        return f"CODE_{code}"


def events_request(
    identity: Identity, channel: str, chaincode: str, first_block: int, after_tx_id: str
) -> bytes:
    """The signed request for chaincode events from a block on; after a transaction in it where one is named."""
    request = gateway_pb2.ChaincodeEventsRequest(
        channel_id=channel,
        chaincode_id=chaincode,
        identity=creator(identity),
        start_position=_position(first_block),
        after_transaction_id=after_tx_id,
    ).SerializeToString()
    signed = gateway_pb2.SignedChaincodeEventsRequest(request=request, signature=identity.sign(request))
    return bytes(signed.SerializeToString())


def events(data: bytes, chaincode: str) -> list[RawEvent]:
    """The events in one answer to :func:`events_request`, all of one block."""
    answer = _parsed(gateway_pb2.ChaincodeEventsResponse, data)
    # A peer passes over blocks without events: an answer that has none is another message that happens to parse.
    if not answer.events:
        raise BadAnswer("expected events of a block, got none")
    found = []
    for event in answer.events:
        if event.chaincode_id != chaincode or not _is_tx_id(event.tx_id) or answer.block_number == 0:
            raise BadAnswer("expected events of the chaincode that was asked for, got others")
        found.append(RawEvent(event.event_name, answer.block_number, event.tx_id, event.payload))
    return found


def seek_request(
    identity: Identity, channel: str, first: int, last: int | None, binding: bytes, nonce: bytes, at: Moment
) -> bytes:
    """The signed request for blocks ``first`` to ``last``, as they come where ``last`` is None.

    ``binding`` is :attr:`Tls.binding`: a peer with mutual TLS refuses a request made for another connection.
    """
    header = _channel_header(common_pb2.HeaderType.DELIVER_SEEK_INFO, channel, at)
    header.tls_cert_hash = binding
    signature_header = common_pb2.SignatureHeader(creator=creator(identity), nonce=nonce)
    seek = ab_pb2.SeekInfo(
        start=_position(first),
        stop=_position(2**64 - 1 if last is None else last),
        behavior=ab_pb2.SeekInfo.SeekBehavior.BLOCK_UNTIL_READY,
    )
    payload = common_pb2.Payload(
        header=common_pb2.Header(
            channel_header=header.SerializeToString(), signature_header=signature_header.SerializeToString()
        ),
        data=seek.SerializeToString(),
    ).SerializeToString()
    envelope = common_pb2.Envelope(payload=payload, signature=identity.sign(payload))
    return bytes(envelope.SerializeToString())


def delivered(data: bytes, kind: str) -> Any:
    """The message in one answer to :func:`seek_request`; None for the status that ends them.

    ``kind`` is ``block`` or ``filtered_block``. Raises :class:`CallFailed` with the status's name where it is no success.
    """
    answer = _parsed(events_pb2.DeliverResponse, data)
    which = answer.WhichOneof("Type")
    if which == "status":
        if answer.status != common_pb2.Status.SUCCESS:
            name = _status_name(answer.status)
            raise CallFailed("PERMISSION_DENIED" if name == "FORBIDDEN" else name, f"blocks refused: {name}")
        return None
    if which != kind:
        raise BadAnswer(f"expected a {kind}, got {which}")
    return getattr(answer, kind)


def envelope_tx(data: bytes) -> tuple[str, int, str]:
    """Channel, header type and transaction id of a transaction in a block."""
    payload = _parsed(common_pb2.Payload, _parsed(common_pb2.Envelope, data).payload)
    header = _parsed(common_pb2.ChannelHeader, payload.header.channel_header)
    return header.channel_id, header.type, header.tx_id


class Listening(Protocol):
    """A stream of answers. Iterating raises :class:`CallFailed`; `cancel` ends it from any thread."""

    def __iter__(self) -> Iterator[bytes]:
        """One answer after the other."""

    def cancel(self) -> None:
        """End the stream."""


class Line:
    """A connection to one peer, made when it is first needed and again after it broke. Safe to share by threads."""

    def __init__(self, peer: Peer, tls: Tls | None) -> None:
        self._endpoint = peer.endpoint
        options: list[tuple[str, object]] = [*_OPTIONS]
        if tls is None:
            self._channel = grpc.insecure_channel(peer.endpoint, options)
            return
        if peer.server_name is not None:
            options.append(("grpc.ssl_target_name_override", peer.server_name))
        credentials = grpc.ssl_channel_credentials(tls.roots, tls.key, tls.certificate)
        self._channel = grpc.secure_channel(peer.endpoint, credentials, options)

    def ask(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """One answer to one request, as bytes; raises :class:`CallFailed`."""
        try:
            return bytes(self._channel.unary_unary(method)(request, timeout=timeout_s))
        except grpc.RpcError as error:
            raise self._failed(error) from None
        except ValueError as error:
            raise CallFailed("CANCELLED", f"the connection to {self._endpoint} was closed") from error

    def listen(self, method: str, request: bytes) -> Listening:
        """Answers to one request without end."""
        try:
            return _Stream(self, self._channel.unary_stream(method)(request))
        except ValueError as error:
            raise CallFailed("CANCELLED", f"the connection to {self._endpoint} was closed") from error

    def exchange(self, method: str, requests: Iterable[bytes]) -> Listening:
        """Answers to requests on a stream that goes both ways."""
        try:
            return _Stream(self, self._channel.stream_stream(method)(iter(requests)))
        except ValueError as error:
            raise CallFailed("CANCELLED", f"the connection to {self._endpoint} was closed") from error

    def close(self) -> None:
        """End the connection and every call on it."""
        self._channel.close()

    def _failed(self, error: Any) -> CallFailed:
        code, metadata = error.code(), error.trailing_metadata() or ()
        details = [
            each
            for key, value in metadata
            if key == "grpc-status-details-bin" and isinstance(value, bytes)
            for each in error_details(value)
        ]
        return CallFailed(
            code.name, f"{self._endpoint}: {code.name}: {_words(error.details() or '')}", details
        )


class _Stream:
    def __init__(self, line: Line, call: Any) -> None:
        self._line = line
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._call
        except grpc.RpcError as error:
            raise self._line._failed(error) from None

    def cancel(self) -> None:
        self._call.cancel()


def error_details(data: bytes) -> list[PeerMessage]:
    """What single peers said, from a google.rpc.Status; nothing where that cannot be read."""
    found = []
    try:
        # Field 3 of the status holds google.protobuf.Any; its other two fields say what the call's own status says.
        for packed in _repeated(data, 3):
            detail = gateway_pb2.ErrorDetail()
            if any_pb2.Any.FromString(packed).Unpack(detail):
                words = (detail.address, detail.msp_id, detail.message)
                found.append(PeerMessage(*map(_words, words)))
    except (DecodeError, ValueError):
        return []
    return found


def _repeated(data: bytes, wanted: int) -> Iterator[bytes]:
    """The length-delimited fields of a message with one number; raises ValueError where it is none."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        if tag & 7 == 0:
            _, place = _varint(data, place)
            continue
        if tag & 7 != 2:
            raise ValueError("no status")
        size, place = _varint(data, place)
        if place + size > len(data):
            raise ValueError("no status")
        if tag >> 3 == wanted:
            yield data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(data):
            break
        value |= (data[place] & 0x7F) << shift
        place += 1
        if not data[place - 1] & 0x80:
            return value, place
    raise ValueError("no varint")


def _parsed(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except (DecodeError, ValueError) as error:
        raise BadAnswer(f"expected a {kind.DESCRIPTOR.full_name}, got {len(data)} other bytes") from error


def _signed(proposal: Proposal) -> Any:
    return proposal_pb2.SignedProposal.FromString(proposal.signed)


def _channel_header(kind: int, channel: str, at: Moment) -> Any:
    header = common_pb2.ChannelHeader(type=kind, channel_id=channel)
    header.timestamp.seconds, header.timestamp.nanos = divmod(at.nanoseconds, 1_000_000_000)
    return header


def _header(channel_header: bytes, signature_header: bytes) -> bytes:
    header = common_pb2.Header(channel_header=channel_header, signature_header=signature_header)
    return bytes(header.SerializeToString())


def _position(block: int) -> Any:
    return ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=block))


def _is_tx_id(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _status_name(status: int) -> str:
    try:
        return str(common_pb2.Status.Name(status))
    except ValueError:
        return f"STATUS_{status}"


def _words(text: str) -> str:
    # A peer's words end up in logs and on terminals: one line, of bounded length, without control characters.
    shown = "".join(each if each.isprintable() else " " for each in text[: _MOST_WORDS + 1])
    return shown if len(shown) <= _MOST_WORDS else shown[:_MOST_WORDS] + "…"
