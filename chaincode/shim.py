"""Chaincode-as-a-service: the peer dials this server and simulates its transactions over one stream.

What holds on a stream, in Hyperledger Fabric's chaincode protocol:

- We send REGISTER with the package id, the peer answers REGISTERED, then READY. From then on it sends TRANSACTION
  (or INIT, which we answer with 200: there is nothing to set up), any number of them before the first is answered.
- While a transaction runs, its handler asks (GET_STATE, PUT_STATE, GET_STATE_BY_RANGE, QUERY_STATE_NEXT,
  QUERY_STATE_CLOSE) and the peer answers each with RESPONSE or ERROR. Question and answer find each other by channel and
  transaction id, so a transaction has one question open at a time; an answer nobody asked for is dropped.
- A transaction is answered once, with COMPLETED: the response, and the event when the response is below 400. A handler
  that raises is answered 500 at once, one that is late is answered 500 at its deadline, and what it does later is dropped.
- gRPC allows one writer on a stream. The generator that gRPC takes messages from is that writer, fed by a queue; one
  thread reads; each transaction has a thread of its own, as handlers are synchronous and mostly wait.
- A stream that breaks, or brings bytes that are no message, ends its transactions: they learn it at their next question.
  The peer has forgotten them by then. It dials again by itself, and other streams know nothing of it.

Nothing here knows a contract: a handler is a ``Callable[[Stub], Response]``, so that an official package can take this
module's place.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any

import grpc

from . import wire
from .stub import INTERNAL_ERROR, OK, Creator, Handler, Response
from .wire import Message

MAX_STREAMS = 64
MAX_TRANSACTIONS = 2_500
TRANSACTION_S = 25.0
_TICK_S = 0.5
_MAX_MESSAGE_BYTES = 100 * 1024 * 1024
_OPTIONS = (
    # A second process on the same port would take half of the peers in silence.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # Peers ping a stream that is silent for hours; that is no offence.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)

_log = logging.getLogger(__name__)


class ShimError(Exception):
    """The peer did not give what a handler asked for."""


class TransactionEnded(ShimError):
    """The stream broke, or the transaction was answered: nothing more can be asked or written in it."""


class PeerRefused(ShimError):
    """The peer answered ERROR, or something that is no answer to the question."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files' contents: the server's key and certificate, and the roots that clients' certificates must lead to."""

    key: bytes
    certificate: bytes
    client_roots: bytes | None = None

    def credentials(self) -> Any:
        """The server's credentials; with ``client_roots`` every client must show a certificate."""
        pairs = [(self.key, self.certificate)]
        return grpc.ssl_server_credentials(pairs, self.client_roots, self.client_roots is not None)


class ChaincodeServer:
    """The server that peers dial; :meth:`start` binds it, :meth:`stop` ends every stream."""

    def __init__(
        self,
        chaincode_id: str,
        handler: Handler,
        *,
        address: str = "127.0.0.1:0",
        tls: Tls | None = None,
        transaction_s: float = TRANSACTION_S,
    ) -> None:
        self._chaincode_id = chaincode_id
        self._handler = handler
        self._transaction_s = transaction_s
        self._lock = threading.Lock()
        self._streams: set[_Stream] = set()
        self._server = grpc.server(ThreadPoolExecutor(MAX_STREAMS, "chaincode-stream"), options=_OPTIONS)
        connect = grpc.stream_stream_rpc_method_handler(self._connect)
        service = grpc.method_handlers_generic_handler(wire.SERVICE, {wire.METHOD: connect})
        self._server.add_generic_rpc_handlers((service,))
        if tls is None:
            self.port = int(self._server.add_insecure_port(address))
        else:
            self.port = int(self._server.add_secure_port(address, tls.credentials()))

    def start(self) -> int:
        """Serve from now on; gives the port."""
        self._server.start()
        return self.port

    def stop(self, grace_s: float = 2.0) -> None:
        """Take no more streams and transactions, end each stream once its open transactions are answered, and wait.

        What is still open after ``grace_s`` seconds is cut off.
        """
        is_stopped = self._server.stop(grace_s)
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.finish()
        is_stopped.wait()

    def _connect(self, incoming: Iterator[bytes], context: Any) -> Iterator[bytes]:
        stream = _Stream(self._chaincode_id, self._handler, self._transaction_s)
        with self._lock:
            self._streams.add(stream)
        if not context.add_callback(lambda: self._end(stream)):
            self._end(stream)
        return stream.messages(incoming)

    def _end(self, stream: _Stream) -> None:
        stream.close()
        with self._lock:
            self._streams.discard(stream)


class _Stream:
    """One peer's stream: its open transactions, and the queue of what is to be sent."""

    def __init__(self, chaincode_id: str, handler: Handler, transaction_s: float) -> None:
        self._chaincode_id = chaincode_id
        self._handler = handler
        self._transaction_s = transaction_s
        self._outgoing: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], _Transaction] = {}
        self._is_ready = False
        self._is_finishing = False
        self._is_closed = False

    def messages(self, incoming: Iterator[bytes]) -> Iterator[bytes]:
        """What is sent, in order; ends with the stream."""
        threading.Thread(target=self._read, args=(incoming,), name="chaincode-reader", daemon=True).start()
        yield wire.message_bytes(Message(wire.REGISTER, payload=wire.registration(self._chaincode_id)))
        next_look = monotonic() + _TICK_S
        while True:
            with contextlib.suppress(queue.Empty):
                message = self._outgoing.get(timeout=_TICK_S)
                if message is None:
                    return
                yield wire.message_bytes(message)
            if monotonic() >= next_look:
                self._end_late()
                next_look = monotonic() + _TICK_S

    def close(self) -> None:
        """End the stream and its transactions; may be called again."""
        with self._lock:
            self._is_closed = True
            ended = list(self._open.values())
            self._open.clear()
        for transaction in ended:
            transaction.end()
        self._outgoing.put(None)

    def finish(self) -> None:
        """Take no more transactions, and end the stream when those that are open are answered."""
        with self._lock:
            self._is_finishing = True
            is_done = not self._open
        if is_done:
            self._outgoing.put(None)

    def ask(self, transaction: _Transaction, kind: int, payload: bytes) -> None:
        """Send a question of an open transaction; raises :class:`TransactionEnded`."""
        with self._lock:
            if self._open.get(transaction.key) is not transaction:
                raise TransactionEnded("expected an open transaction, got one that has ended")
        self._outgoing.put(Message(kind, transaction.channel, transaction.tx_id, payload))

    def _read(self, incoming: Iterator[bytes]) -> None:
        try:
            for raw in incoming:
                self._take(wire.parse_message(raw))
        except grpc.RpcError:
            _log.info("a peer's stream broke")
        except wire.WireError as error:
            _log.error("a peer's stream is ended: %s", error)
        finally:
            self.close()

    def _take(self, message: Message) -> None:
        match message.kind:
            case wire.REGISTERED:
                _log.info("registered as %s", self._chaincode_id)
            case wire.READY:
                self._is_ready = True
            case wire.KEEPALIVE:
                self._outgoing.put(message)
            case wire.TRANSACTION | wire.INIT:
                self._begin(message)
            case wire.RESPONSE | wire.ERROR:
                self._deliver(message)
            case _:
                _log.warning("a message of type %d is not expected from a peer", message.kind)

    def _begin(self, message: Message) -> None:
        if not self._is_ready:
            text = b"expected READY before a transaction"
            self._outgoing.put(Message(wire.ERROR, message.channel, message.tx_id, text))
            return
        if message.kind == wire.INIT:
            self._complete(message, Response(OK))
            return
        transaction = self._parsed(message)
        if transaction is None:
            return
        with self._lock:
            if self._is_closed or transaction.key in self._open:
                # A second one of the same id could not be told from the first, by us or by the peer.
                _log.warning("transaction %r is open already, or its stream has ended", message.tx_id)
                return
            is_full = self._is_finishing or len(self._open) >= MAX_TRANSACTIONS
            if not is_full:
                self._open[transaction.key] = transaction
        if is_full:
            self._complete(
                message, Response(503, message="busy: too many transactions are open, or it stops")
            )
            return
        threading.Thread(target=self._run, args=(transaction,), name="transaction", daemon=True).start()

    def _parsed(self, message: Message) -> _Transaction | None:
        """The transaction of a message; None when it was refused."""
        try:
            args = wire.parse_input(message.payload)
            proposal = wire.parse_proposal(message.proposal)
            # Called by another chaincode across channels, the creator's MSP would be one of that channel's.
            if (proposal.channel, proposal.tx_id) != (message.channel, message.tx_id):
                raise wire.WireError("expected a proposal of this channel and transaction, got another")
        except wire.WireError as error:
            self._complete(message, Response(400, message=f"bad-proposal: {error}"))
            return None
        return _Transaction(self, args, proposal, monotonic() + self._transaction_s)

    def _run(self, transaction: _Transaction) -> None:
        try:
            response = self._handler(transaction)
        except Exception:
            _log.exception("transaction %r failed", transaction.tx_id)
            response = Response(INTERNAL_ERROR, message="internal-error: the chaincode failed")
        self._finish(transaction, response)

    def _finish(self, transaction: _Transaction, response: Response) -> None:
        with self._lock:
            if self._open.get(transaction.key) is not transaction:
                return
            del self._open[transaction.key]
            is_last = self._is_finishing and not self._open
        transaction.end()
        event = transaction.event if response.status < 400 else None
        self._complete(Message(wire.COMPLETED, transaction.channel, transaction.tx_id), response, event)
        if is_last:
            self._outgoing.put(None)

    def _complete(self, about: Message, response: Response, event: wire.Event | None = None) -> None:
        payload = wire.response_bytes(response)
        self._outgoing.put(Message(wire.COMPLETED, about.channel, about.tx_id, payload, event=event))

    def _deliver(self, message: Message) -> None:
        with self._lock:
            transaction = self._open.get((message.channel, message.tx_id))
        if transaction is None or not transaction.deliver(message):
            _log.warning("an answer for transaction %r was not asked for", message.tx_id)

    def _end_late(self) -> None:
        now = monotonic()
        with self._lock:
            late = [one for one in self._open.values() if one.deadline <= now]
        for transaction in late:
            _log.error("transaction %r is not done in time", transaction.tx_id)
            self._finish(transaction, Response(INTERNAL_ERROR, message="too-slow: not done in time"))


class _Transaction:
    """The stub of one transaction, over its stream; ``deadline`` is a monotonic time."""

    def __init__(
        self, stream: _Stream, args: Sequence[bytes], proposal: wire.Proposal, deadline: float
    ) -> None:
        self.args = args
        self.channel = proposal.channel
        self.tx_id = proposal.tx_id
        self.timestamp_ms = proposal.timestamp_ms
        self.creator: Creator = proposal.creator
        self.key = (proposal.channel, proposal.tx_id)
        self.deadline = deadline
        self.event: wire.Event | None = None
        self._stream = stream
        self._answers: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_asking = False

    def get_state(self, key: str) -> bytes | None:
        return self._ask(wire.GET_STATE, wire.get_state(key)) or None

    def put_state(self, key: str, value: bytes) -> None:
        if not key or not value:
            raise ValueError("expected a key and a value, got an empty one")
        self._ask(wire.PUT_STATE, wire.put_state(key, value))

    def get_state_by_range(self, start: str, end: str, page_size: int = 0) -> Iterator[tuple[str, bytes]]:
        page = self._page(wire.GET_STATE_BY_RANGE, wire.get_range(start, end, page_size))
        count, unread = 0, page.query if page.has_more else None
        try:
            while True:
                for entry in page.entries:
                    yield entry
                    count += 1
                    if count == page_size:
                        return
                if unread is None:
                    return
                # A query that the peer fails to go on with is closed there.
                query, unread = unread, None
                page = self._page(wire.QUERY_STATE_NEXT, wire.query_next(query))
                unread = page.query if page.has_more else None
        finally:
            if unread is not None:
                self._ask(wire.QUERY_STATE_CLOSE, wire.query_close(unread))

    def set_event(self, name: str, payload: bytes) -> None:
        if not name:
            raise ValueError("expected an event's name, got none")
        self.event = wire.Event(name, payload)

    def deliver(self, message: Message) -> bool:
        """Hand the peer's answer to the question; False when none is open."""
        with self._lock:
            if not self._is_asking:
                return False
            self._is_asking = False
        self._answers.put(message)
        return True

    def end(self) -> None:
        """Let a handler that waits go on, to learn that the transaction has ended."""
        self._answers.put(None)

    def _page(self, kind: int, payload: bytes) -> wire.Page:
        try:
            return wire.parse_page(self._ask(kind, payload))
        except wire.WireError as error:
            raise PeerRefused(str(error)) from None

    def _ask(self, kind: int, payload: bytes) -> bytes:
        with self._lock:
            self._is_asking = True
        self._stream.ask(self, kind, payload)
        answer = self._answers.get()
        if answer is None:
            raise TransactionEnded("expected an answer of the peer, got the end of the transaction")
        if answer.kind != wire.RESPONSE:
            raise PeerRefused(f"the peer refused: {answer.payload[:200].decode('utf-8', 'replace')}")
        return answer.payload
