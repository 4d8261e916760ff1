"""The peer's side of the chaincode stream, over real gRPC: by itself it answers from a state, or it leaves that to a test."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, proposal_pb2, proposal_response_pb2

from chaincode import Creator, Response, Stub
from chaincode.shim import ChaincodeServer

PACKAGE_ID = "loomark_1:" + "ab" * 32
DEADLINE_S = 60
NOW_S = 1_800_000_000
Message = chaincode_shim_pb2.ChaincodeMessage


def proposal(
    channel: str, tx_id: str, creator: Creator | bytes = b"", *, seconds: int = NOW_S, nanos: int = 0
) -> bytes:
    """A proposal's bytes with the headers that a chaincode reads; raw bytes as creator stand as they are."""
    if isinstance(creator, Creator):
        identity = identities_pb2.SerializedIdentity(mspid=creator.msp, id_bytes=creator.certificate)
        creator = identity.SerializeToString()
    about = common_pb2.ChannelHeader(type=3, channel_id=channel, tx_id=tx_id)
    about.timestamp.seconds, about.timestamp.nanos = seconds, nanos
    signature = common_pb2.SignatureHeader(creator=creator, nonce=b"nonce")
    header = common_pb2.Header(
        channel_header=about.SerializeToString(), signature_header=signature.SerializeToString()
    )
    return bytes(proposal_pb2.Proposal(header=header.SerializeToString()).SerializeToString())


def payload(*args: bytes) -> bytes:
    """The payload of a TRANSACTION with these arguments."""
    return bytes(chaincode_pb2.ChaincodeInput(args=args).SerializeToString())


class Peer:
    """One stream to a chaincode server.

    ``answers`` gives the peer's own answers to questions from ``state``; a test that wants to answer itself turns it off
    and takes the questions from ``inbox``. A range comes in pages of ``page`` entries.
    """

    def __init__(
        self, port: int, *, answers: bool = True, greets: bool = True, page: int = 2, credentials: Any = None
    ) -> None:
        address = f"localhost:{port}" if credentials else f"127.0.0.1:{port}"
        options = (("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0))
        self._channel = (
            grpc.secure_channel(address, credentials, options)
            if credentials
            else grpc.insecure_channel(address, options)
        )
        self.state: dict[str, bytes] = {}
        self.asked: dict[str, list[int]] = defaultdict(list)
        self.writes: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.error: grpc.RpcError | None = None
        self.ended = threading.Event()
        self._answers, self._greets, self._page = answers, greets, page
        self._cursors: dict[str, list[tuple[str, bytes]]] = {}
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        connect = self._channel.stream_stream("/protos.Chaincode/Connect")
        self._stream = connect(iter(self._outgoing.get, None))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Break the stream off, as a peer that dies does."""
        self._stream.cancel()
        self._outgoing.put(None)
        self._channel.close()
        self._reader.join(DEADLINE_S)

    def finish(self) -> None:
        """End the sending half in order."""
        self._outgoing.put(None)

    def send_raw(self, raw: bytes) -> None:
        """Send bytes, whatever they are."""
        self._outgoing.put(raw)

    def send(self, kind: int, about: Any = None, **fields: Any) -> None:
        """Send a message; ``about`` is one whose channel and transaction it belongs to."""
        if about is not None:
            fields = {"channel_id": about.channel_id, "txid": about.txid, **fields}
        self.send_raw(Message(type=kind, **fields).SerializeToString())

    def begin(
        self, tx_id: str, *args: bytes, creator: Creator | bytes = b"", channel: str = "loomark"
    ) -> None:
        """Send a TRANSACTION."""
        message = Message(type=Message.TRANSACTION, channel_id=channel, txid=tx_id, payload=payload(*args))
        message.proposal.proposal_bytes = proposal(channel, tx_id, creator)
        self.send_raw(message.SerializeToString())

    def next(self) -> Any:
        """The next message that is the test's to see."""
        return self.inbox.get(timeout=DEADLINE_S)

    def completed(self, tx_id: str | None = None) -> tuple[Any, Any]:
        """The next COMPLETED as its response and itself; it must be the next message."""
        message = self.next()
        assert message.type == Message.COMPLETED, message
        assert tx_id in (None, message.txid)
        return proposal_response_pb2.Response.FromString(message.payload), message

    def invoke(self, tx_id: str, *args: bytes, creator: Creator | bytes = b"") -> Any:
        """Run one transaction and commit what it wrote if it was accepted; gives its response."""
        self.begin(tx_id, *args, creator=creator)
        response, _ = self.completed(tx_id)
        if response.status < 400:
            self.state.update(self.writes[tx_id])
        return response

    def _read(self) -> None:
        try:
            for raw in self._stream:
                self._take(Message.FromString(raw))
        except grpc.RpcError as error:
            self.error = error
        finally:
            self.ended.set()

    def _take(self, message: Any) -> None:
        if message.type == Message.REGISTER and self._greets:
            self.send(Message.REGISTERED)
            self.send(Message.READY)
        self.asked[message.txid].append(message.type)
        answer = self._answer(message) if self._answers else None
        if answer is None:
            self.inbox.put(message)
        else:
            self.send(Message.RESPONSE, message, payload=answer)

    def _answer(self, message: Any) -> bytes | None:
        raw = message.payload
        match message.type:
            case Message.GET_STATE:
                return self.state.get(chaincode_shim_pb2.GetState.FromString(raw).key, b"")
            case Message.PUT_STATE:
                put = chaincode_shim_pb2.PutState.FromString(raw)
                self.writes[message.txid].append((put.key, put.value))
                return b""
            case Message.GET_STATE_BY_RANGE:
                return self._opened(message.txid, chaincode_shim_pb2.GetStateByRange.FromString(raw))
            case Message.QUERY_STATE_NEXT:
                return self._paged(chaincode_shim_pb2.QueryStateNext.FromString(raw).id)
            case Message.QUERY_STATE_CLOSE:
                del self._cursors[chaincode_shim_pb2.QueryStateClose.FromString(raw).id]
                return b""
        return None

    def _opened(self, tx_id: str, asked: Any) -> bytes:
        found = [(key, self.state[key]) for key in sorted(self.state) if asked.startKey <= key < asked.endKey]
        size = chaincode_shim_pb2.QueryMetadata.FromString(asked.metadata).pageSize
        if size:
            return page_bytes(found[:size], False, tx_id)
        self._cursors[tx_id] = found
        return self._paged(tx_id)

    def _paged(self, query: str) -> bytes:
        left = self._cursors.pop(query)
        if len(left) > self._page:
            self._cursors[query] = left[self._page :]
        return page_bytes(left[: self._page], query in self._cursors, query)


def page_bytes(entries: list[tuple[str, bytes]], has_more: bool, query: str) -> bytes:
    """The payload of a RESPONSE to a range."""
    results = [
        chaincode_shim_pb2.QueryResultBytes(
            resultBytes=kv_query_result_pb2.KV(namespace="loomark", key=key, value=value).SerializeToString()
        )
        for key, value in entries
    ]
    return bytes(
        chaincode_shim_pb2.QueryResponse(results=results, has_more=has_more, id=query).SerializeToString()
    )


@contextmanager
def serving(handler: Callable[[Stub], Response], transaction_s: float = 60.0) -> Iterator[int]:
    """A chaincode server with this handler; gives its port."""
    server = ChaincodeServer(PACKAGE_ID, handler, transaction_s=transaction_s)
    port = server.start()
    try:
        yield port
    finally:
        server.stop(0)


@contextmanager
def connected(
    handler: Callable[[Stub], Response], transaction_s: float = 60.0, **options: Any
) -> Iterator[Peer]:
    """A peer on a server with this handler, which has registered."""
    with serving(handler, transaction_s) as port, Peer(port, **options) as peer:
        assert peer.next().type == Message.REGISTER
        yield peer


def echo(stub: Stub) -> Response:
    """Answer with the first argument."""
    return Response(200, stub.args[0])


def one_value(stub: Stub) -> Response:
    """Answer with the state under the first argument."""
    return Response(200, stub.get_state(stub.args[0].decode()) or b"nothing")
