"""A peer's side of the chaincode stream: one transaction is run against one state, and what it read and wrote is kept."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, proposal_pb2, proposal_response_pb2

from .checks import CheckedProposal

Version = tuple[int, int]
State = Mapping[str, tuple[bytes, Version]]
Message = chaincode_shim_pb2.ChaincodeMessage
Kind = Message.Type
PAGE = 3
LIFECYCLE_KEY = "namespaces/fields/{}/Sequence"
LIFECYCLE_VERSION = (1, 0)
WAIT_S = 60


@dataclass
class Simulated:
    """A response, its event's bytes, and the read-write set."""

    response: Any
    event: bytes
    results: bytes


@dataclass
class _Run:
    """One transaction while it is run."""

    state: State
    reads: dict[str, Version | None] = field(default_factory=dict)
    ranges: list[tuple[str, str, list[tuple[str, Version]], bool]] = field(default_factory=list)
    writes: dict[str, bytes | None] = field(default_factory=dict)
    open_ranges: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    inbox: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)

    def read(self, key: str) -> bytes:
        value = self.state.get(key)
        self.reads[key] = value[1] if value else None
        return value[0] if value else b""

    def results(self, chaincode: str) -> bytes:
        own = kv_rwset_pb2.KVRWSet(
            reads=[_read(key, version) for key, version in sorted(self.reads.items())],
            writes=[
                kv_rwset_pb2.KVWrite(key=key, is_delete=value is None, value=value or b"")
                for key, value in sorted(self.writes.items())
            ],
            range_queries_info=[_range(*each) for each in self.ranges],
        )
        lifecycle = kv_rwset_pb2.KVRWSet(reads=[_read(LIFECYCLE_KEY.format(chaincode), LIFECYCLE_VERSION)])
        named = sorted({"_lifecycle": lifecycle, chaincode: own}.items())
        return bytes(
            rwset_pb2.TxReadWriteSet(
                ns_rwset=[
                    rwset_pb2.NsReadWriteSet(namespace=name, rwset=each.SerializeToString())
                    for name, each in named
                ]
            ).SerializeToString()
        )


class ChaincodeStream:
    """The one stream of a peer to its chaincode's server."""

    def __init__(self, port: int, package_id: str) -> None:
        self._package_id = package_id
        self._out: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._runs: dict[tuple[str, str], _Run] = {}
        self._ready = threading.Event()
        self._closed = False
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)])
        connect = self._channel.stream_stream("/protos.Chaincode/Connect")
        self._call = connect(self._outgoing(), wait_for_ready=True)
        threading.Thread(target=self._receive, name="double-chaincode", daemon=True).start()

    def run(self, proposal: CheckedProposal, state: State) -> Simulated:
        """Run a proposal; the state is as it was when this began, whatever is committed meanwhile."""
        if not self._ready.wait(WAIT_S):
            raise RuntimeError("the chaincode does not register")
        run, key = _Run(state), (proposal.channel, proposal.tx_id)
        self._runs[key] = run
        if self._closed:
            run.inbox.put(None)
        try:
            args = chaincode_pb2.ChaincodeInput(args=proposal.args).SerializeToString()
            signed = proposal_pb2.SignedProposal.FromString(proposal.signed)
            self._out.put(
                Message(
                    type=Kind.TRANSACTION,
                    payload=args,
                    txid=proposal.tx_id,
                    channel_id=proposal.channel,
                    proposal=signed,
                )
            )
            return self._serve(run, proposal)
        finally:
            del self._runs[key]

    def close(self) -> None:
        self._out.put(None)
        self._closed = True
        for run in [*self._runs.values()]:
            run.inbox.put(None)
        self._call.cancel()
        self._channel.close()

    def _outgoing(self) -> Iterator[bytes]:
        while (message := self._out.get()) is not None:
            yield message.SerializeToString()

    def _receive(self) -> None:
        try:
            for data in self._call:
                self._take(Message.FromString(data))
        except grpc.RpcError:
            pass

    def _take(self, message: Any) -> None:
        if message.type == Kind.REGISTER:
            registered = chaincode_pb2.ChaincodeID.FromString(message.payload)
            assert registered.name == self._package_id
            self._out.put(Message(type=Kind.REGISTERED))
            self._out.put(Message(type=Kind.READY))
            self._ready.set()
            return
        run = self._runs.get((message.channel_id, message.txid))
        if run is not None:
            run.inbox.put(message)

    def _serve(self, run: _Run, proposal: CheckedProposal) -> Simulated:
        while True:
            message = run.inbox.get(timeout=WAIT_S)
            if message is None:
                raise RuntimeError("the stream to the chaincode was closed")
            if message.type == Kind.COMPLETED:
                response = proposal_response_pb2.Response.FromString(message.payload)
                return Simulated(response, _event(message, proposal), run.results(proposal.chaincode))
            answer = _answered(run, message)
            self._out.put(
                Message(type=Kind.RESPONSE, payload=answer, txid=message.txid, channel_id=message.channel_id)
            )


def _answered(run: _Run, message: Any) -> bytes:
    shim = chaincode_shim_pb2
    match message.type:
        case Kind.GET_STATE:
            return run.read(shim.GetState.FromString(message.payload).key)
        case Kind.PUT_STATE:
            put = shim.PutState.FromString(message.payload)
            run.writes[put.key] = put.value
        case Kind.DEL_STATE:
            run.writes[shim.DelState.FromString(message.payload).key] = None
        case Kind.GET_STATE_BY_RANGE:
            return _begin_range(run, shim.GetStateByRange.FromString(message.payload))
        case Kind.QUERY_STATE_NEXT:
            return _page(run, shim.QueryStateNext.FromString(message.payload).id)
        case Kind.QUERY_STATE_CLOSE:
            run.open_ranges.pop(shim.QueryStateClose.FromString(message.payload).id)
        case kind:
            raise RuntimeError(f"the double does not know {kind}")
    return b""


def _begin_range(run: _Run, asked: Any) -> bytes:
    found = [key for key in sorted(run.state) if asked.startKey <= key < asked.endKey]
    size = chaincode_shim_pb2.QueryMetadata.FromString(asked.metadata).pageSize
    if size:
        found = found[:size]
    run.ranges.append((asked.startKey, asked.endKey, [(key, run.state[key][1]) for key in found], not size))
    name = f"range-{len(run.ranges)}"
    run.open_ranges[name] = [(key, run.state[key][0]) for key in found]
    return _page(run, name)


def _page(run: _Run, name: str) -> bytes:
    left = run.open_ranges[name]
    shown, run.open_ranges[name] = left[:PAGE], left[PAGE:]
    results = [
        chaincode_shim_pb2.QueryResultBytes(
            resultBytes=kv_query_result_pb2.KV(key=key, value=value).SerializeToString()
        )
        for key, value in shown
    ]
    has_more = bool(run.open_ranges[name])
    if not has_more:
        del run.open_ranges[name]
    return bytes(
        chaincode_shim_pb2.QueryResponse(results=results, has_more=has_more, id=name).SerializeToString()
    )


def _event(message: Any, proposal: CheckedProposal) -> bytes:
    if not message.HasField("chaincode_event"):
        return b""
    event = message.chaincode_event
    event.chaincode_id, event.tx_id = proposal.chaincode, proposal.tx_id
    return bytes(event.SerializeToString())


def _read(key: str, version: Version | None) -> Any:
    if version is None:
        return kv_rwset_pb2.KVRead(key=key)
    return kv_rwset_pb2.KVRead(key=key, version=kv_rwset_pb2.Version(block_num=version[0], tx_num=version[1]))


def _range(start: str, end: str, found: list[tuple[str, Version]], exhausted: bool) -> Any:
    return kv_rwset_pb2.RangeQueryInfo(
        start_key=start,
        end_key=end,
        itr_exhausted=exhausted,
        raw_reads=kv_rwset_pb2.QueryReads(kv_reads=[_read(key, version) for key, version in found]),
    )
