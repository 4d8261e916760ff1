"""The messages of the chaincode stream as plain values; the one module here that knows the protocol buffers.

Readers raise :class:`WireError` for bytes that are not what they should be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, chaincode_shim_pb2, proposal_pb2
from fabric_protos.peer import proposal_response_pb2 as responses
from google.protobuf.message import DecodeError

from .stub import Creator, Response

SERVICE = "protos.Chaincode"
METHOD = "Connect"

_TYPES = chaincode_shim_pb2.ChaincodeMessage
REGISTER: int = _TYPES.REGISTER
REGISTERED: int = _TYPES.REGISTERED
INIT: int = _TYPES.INIT
READY: int = _TYPES.READY
TRANSACTION: int = _TYPES.TRANSACTION
COMPLETED: int = _TYPES.COMPLETED
ERROR: int = _TYPES.ERROR
GET_STATE: int = _TYPES.GET_STATE
PUT_STATE: int = _TYPES.PUT_STATE
RESPONSE: int = _TYPES.RESPONSE
GET_STATE_BY_RANGE: int = _TYPES.GET_STATE_BY_RANGE
QUERY_STATE_NEXT: int = _TYPES.QUERY_STATE_NEXT
QUERY_STATE_CLOSE: int = _TYPES.QUERY_STATE_CLOSE
KEEPALIVE: int = _TYPES.KEEPALIVE


class WireError(Exception):
    """Bytes from the peer are not the message they should be."""


@dataclass(frozen=True, slots=True)
class Event:
    """A chaincode event; the peer adds the chaincode's name and the transaction's id."""

    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the stream; ``proposal`` is the signed proposal's inner bytes, empty where there is none."""

    kind: int
    channel: str = ""
    tx_id: str = ""
    payload: bytes = b""
    proposal: bytes = b""
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the headers of a proposal say: the channel and transaction it is for, who signed it, the client's time."""

    channel: str
    tx_id: str
    creator: Creator
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a range: its keys and values, and the name under which the peer keeps the rest, if there is one."""

    entries: tuple[tuple[str, bytes], ...]
    has_more: bool
    query: str


def parse_message(raw: bytes) -> Message:
    """The message of bytes on the stream; its kind may be one that is not known here."""
    read = chaincode_shim_pb2.ChaincodeMessage()
    _parse(read, raw)
    event = read.chaincode_event
    return Message(
        read.type,
        read.channel_id,
        read.txid,
        read.payload,
        read.proposal.proposal_bytes,
        Event(event.event_name, event.payload) if read.HasField("chaincode_event") else None,
    )


def message_bytes(message: Message) -> bytes:
    """The bytes of a message."""
    written = chaincode_shim_pb2.ChaincodeMessage(
        type=message.kind, channel_id=message.channel, txid=message.tx_id, payload=message.payload
    )
    if message.proposal:
        written.proposal.proposal_bytes = message.proposal
    if message.event is not None:
        event = chaincode_event_pb2.ChaincodeEvent(
            event_name=message.event.name, payload=message.event.payload
        )
        written.chaincode_event.CopyFrom(event)
    return _bytes(written)


def registration(chaincode_id: str) -> bytes:
    """The payload of REGISTER: the package id that the peer was told."""
    return _bytes(chaincode_pb2.ChaincodeID(name=chaincode_id))


def parse_input(payload: bytes) -> tuple[bytes, ...]:
    """The arguments in the payload of TRANSACTION."""
    read = chaincode_pb2.ChaincodeInput()
    _parse(read, payload)
    return tuple(read.args)


def parse_proposal(raw: bytes) -> Proposal:
    """The headers of a proposal."""
    proposal, header = proposal_pb2.Proposal(), common_pb2.Header()
    channel, signature = common_pb2.ChannelHeader(), common_pb2.SignatureHeader()
    identity = identities_pb2.SerializedIdentity()
    _parse(proposal, raw)
    _parse(header, proposal.header)
    _parse(channel, header.channel_header)
    _parse(signature, header.signature_header)
    _parse(identity, signature.creator)
    time_ms = channel.timestamp.seconds * 1000 + channel.timestamp.nanos // 1_000_000
    return Proposal(channel.channel_id, channel.tx_id, Creator(identity.mspid, identity.id_bytes), time_ms)


def response_bytes(response: Response) -> bytes:
    """The payload of COMPLETED."""
    return _bytes(
        responses.Response(status=response.status, message=response.message, payload=response.payload)
    )


def parse_response(payload: bytes) -> Response:
    """The response in the payload of COMPLETED."""
    read = responses.Response()
    _parse(read, payload)
    return Response(read.status, read.payload, read.message)


def get_state(key: str) -> bytes:
    """The payload of GET_STATE."""
    return _bytes(chaincode_shim_pb2.GetState(key=key))


def put_state(key: str, value: bytes) -> bytes:
    """The payload of PUT_STATE."""
    return _bytes(chaincode_shim_pb2.PutState(key=key, value=value))


def get_range(start: str, end: str, page_size: int) -> bytes:
    """The payload of GET_STATE_BY_RANGE; a page size of 0 asks for the whole range."""
    metadata = _bytes(chaincode_shim_pb2.QueryMetadata(pageSize=page_size)) if page_size else b""
    return _bytes(chaincode_shim_pb2.GetStateByRange(startKey=start, endKey=end, metadata=metadata))


def query_next(query: str) -> bytes:
    """The payload of QUERY_STATE_NEXT."""
    return _bytes(chaincode_shim_pb2.QueryStateNext(id=query))


def query_close(query: str) -> bytes:
    """The payload of QUERY_STATE_CLOSE."""
    return _bytes(chaincode_shim_pb2.QueryStateClose(id=query))


def parse_page(payload: bytes) -> Page:
    """The part of a range in a RESPONSE."""
    read = chaincode_shim_pb2.QueryResponse()
    _parse(read, payload)
    return Page(tuple(_entries(one.resultBytes for one in read.results)), read.has_more, read.id)


def _entries(results: Iterable[bytes]) -> Iterable[tuple[str, bytes]]:
    for raw in results:
        entry = kv_query_result_pb2.KV()
        _parse(entry, raw)
        yield entry.key, entry.value


def _parse(message: object, raw: bytes) -> None:
    try:
        message.ParseFromString(raw)  # type: ignore[attr-defined]
    except DecodeError:
        raise WireError(f"expected a {type(message).__name__}, got other bytes") from None


def _bytes(message: object) -> bytes:
    return bytes(message.SerializeToString())  # type: ignore[attr-defined]
