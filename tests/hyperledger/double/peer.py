"""One organisation's peer: gateway and deliver services over gRPC, with the checks and the words of a peer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
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

from ledger.hyperledger.identity import Identity
from ledger.hyperledger.wire import creator

from .checks import CheckedProposal, Refused, checked_proposal, require_header
from .faults import Faults
from .ledger import SharedLedger
from .simulation import ChaincodeStream, Simulated

GATEWAY = "gateway.Gateway"
DELIVER = "protos.Deliver"
SLOW_S = 600


@dataclass
class Endorsement:
    """What one peer answers to a proposal: its words where it refuses."""

    payload: bytes = b""
    endorsement: Any = None
    refusal: str = ""
    result: Any = None


@dataclass
class DoublePeer:
    """A peer. `start` and `stop` may follow each other; the port stays."""

    msp: str
    identity: Identity
    ledger: SharedLedger
    chaincode: str
    stream: ChaincodeStream
    others: list[DoublePeer] = field(default_factory=list)
    credentials: Any = None
    binding: bytes = b""
    faults: Faults = field(default_factory=Faults)
    port: int = 0
    _server: Any = None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def is_up(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(48, f"double-{self.msp}"), options=[("grpc.so_reuseport", 0)]
        )
        unary = {"Evaluate": self.evaluate, "Endorse": self.endorse, "Submit": self.submit}
        unary["CommitStatus"] = self.commit_status
        gateway = {
            name: grpc.unary_unary_rpc_method_handler(self._faulty(name, answer))
            for name, answer in unary.items()
        }
        gateway["ChaincodeEvents"] = grpc.unary_stream_rpc_method_handler(self.events)
        deliver = {
            "Deliver": grpc.stream_stream_rpc_method_handler(self.deliver),
            "DeliverFiltered": grpc.stream_stream_rpc_method_handler(self.deliver_filtered),
        }
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(GATEWAY, gateway),
                grpc.method_handlers_generic_handler(DELIVER, deliver),
            )
        )
        address = f"127.0.0.1:{self.port}"
        if self.credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, self.credentials)
        self._server.start()

    def stop(self) -> None:
        server, self._server = self._server, None
        self.faults.woken.set()
        if server is not None:
            server.stop(0).wait()

    def evaluate(self, data: bytes, context: Any) -> bytes:
        said = self.run(_parsed(gateway_pb2.EvaluateRequest, data, context).proposed_transaction)
        if said.refusal:
            code = "UNKNOWN" if said.refusal.startswith("chaincode response") else "FAILED_PRECONDITION"
            message = f"evaluate call to endorser returned error: {said.refusal}"
            abort(context, code, message, [(self, said.refusal)])
        return bytes(gateway_pb2.EvaluateResponse(result=said.result).SerializeToString())

    def endorse(self, data: bytes, context: Any) -> bytes:
        request = _parsed(gateway_pb2.EndorseRequest, data, context)
        first = self.run(request.proposed_transaction)
        if first.refusal:
            abort(
                context,
                "ABORTED",
                "failed to endorse transaction, see attached details",
                [(self, first.refusal)],
            )
        found = [first.endorsement]
        for other in self._endorsers(request.endorsing_organizations, context):
            said = other.run(request.proposed_transaction)
            words = said.refusal or (
                "" if said.payload == first.payload else "ProposalResponsePayloads do not match"
            )
            if words:
                abort(
                    context, "ABORTED", "failed to collect enough transaction endorsements", [(other, words)]
                )
            found.append(said.endorsement)
        signed = request.proposed_transaction
        if self.faults.swaps:
            proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
            proposal.payload = proposal_pb2.ChaincodeProposalPayload(
                input=b"another call"
            ).SerializeToString()
            signed.proposal_bytes = proposal.SerializeToString()
        envelope = common_pb2.Envelope(payload=_transaction(signed, first.payload, found))
        return bytes(gateway_pb2.EndorseResponse(prepared_transaction=envelope).SerializeToString())

    def submit(self, data: bytes, context: Any) -> bytes:
        request = _parsed(gateway_pb2.SubmitRequest, data, context)
        if self.ledger.orderer_away:
            abort(context, "UNAVAILABLE", "no orderers could successfully process transaction", [])
        if not request.prepared_transaction.signature:
            abort(context, "INVALID_ARGUMENT", "prepared transaction must be signed", [])
        self.ledger.order(request.prepared_transaction.SerializeToString())
        return b""

    def commit_status(self, data: bytes, context: Any) -> bytes:
        signed = _parsed(gateway_pb2.SignedCommitStatusRequest, data, context)
        request = _parsed(gateway_pb2.CommitStatusRequest, signed.request, context)
        self._require_reader(request.identity, signed, request.channel_id, context)
        while context.is_active():
            with self.ledger.changed:
                found = self.ledger.find(request.transaction_id)
                if found is None:
                    self.ledger.changed.wait(0.2)
                    continue
            number, entry = found
            code = entry.code if self.faults.lie is None else self.faults.lie
            return bytes(
                gateway_pb2.CommitStatusResponse(result=code, block_number=number).SerializeToString()
            )
        return b""

    def events(self, data: bytes, context: Any) -> Iterator[bytes]:
        self._before("ChaincodeEvents", context)
        signed = _parsed(gateway_pb2.SignedChaincodeEventsRequest, data, context)
        request = _parsed(gateway_pb2.ChaincodeEventsRequest, signed.request, context)
        self._require_reader(request.identity, signed, request.channel_id, context)
        cut = self.faults.cut()
        for sent, message in enumerate(self._event_messages(request, context)):
            if cut is not None and sent >= cut:
                abort(context, "UNAVAILABLE", "the stream was cut", [])
            yield self.faults.garbage.get("ChaincodeEvents", message)

    def deliver(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        return self._deliver(requests, context, lambda sealed: events_pb2.DeliverResponse(block=sealed.block))

    def deliver_filtered(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        def filtered(sealed: Any) -> Any:
            block = events_pb2.FilteredBlock(
                channel_id=self.ledger.channel,
                number=sealed.block.header.number,
                filtered_transactions=[
                    events_pb2.FilteredTransaction(txid=entry.tx_id, tx_validation_code=entry.code)
                    for entry in sealed.entries
                ],
            )
            return events_pb2.DeliverResponse(filtered_block=block)

        return self._deliver(requests, context, filtered)

    def run(self, signed: Any) -> Endorsement:
        """What this peer, as an endorser, answers to a proposal."""
        try:
            proposal = checked_proposal(signed, self.ledger.membership, self.ledger.channel)
        except Refused as refused:
            return Endorsement(refusal=f"error validating proposal: {refused}")
        if self.ledger.find(proposal.tx_id) is not None:
            return Endorsement(refusal=f"duplicate transaction found [{proposal.tx_id}]")
        if proposal.chaincode != self.chaincode:
            return Endorsement(
                refusal=f"make sure the chaincode {proposal.chaincode} has been successfully defined"
            )
        done = self.stream.run(proposal, self.ledger.state)
        if not 200 <= done.response.status < 400:
            return Endorsement(refusal=f"chaincode response {done.response.status}, {done.response.message}")
        return self._endorsed(proposal, done)

    def _endorsed(self, proposal: CheckedProposal, done: Simulated) -> Endorsement:
        action = proposal_pb2.ChaincodeAction(
            results=done.results,
            events=done.event,
            response=done.response,
            chaincode_id=chaincode_pb2.ChaincodeID(name=self.chaincode, version="1.0"),
        )
        payload = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=proposal.digest, extension=action.SerializeToString()
        ).SerializeToString()
        by = creator(self.identity)
        endorsement = proposal_response_pb2.Endorsement(
            endorser=by, signature=self.identity.sign(payload + by)
        )
        return Endorsement(payload, endorsement, "", done.response)

    def _endorsers(self, wanted: list[str], context: Any) -> list[DoublePeer]:
        """The other peers to ask: those wanted, or as many that answer as more than half of all needs."""
        up = [other for other in self.others if other.is_up]
        if wanted:
            chosen = [other for other in up if other.msp in wanted]
            if len({*wanted} - {self.msp}) != len(chosen):
                abort(context, "UNAVAILABLE", "failed to find any endorsing peers for org(s)", [])
            return chosen
        needed = (len(self.others) + 1) // 2
        if len(up) < needed:
            message = "no combination of peers can be derived which satisfy the endorsement policy"
            abort(context, "FAILED_PRECONDITION", message, [])
        return up[:needed]

    def _event_messages(self, request: Any, context: Any) -> Iterator[bytes]:
        number, passed = request.start_position.specified.number, not request.after_transaction_id
        if not passed and (found := self.ledger.find(request.after_transaction_id)) is not None:
            number = found[0]
        if self.faults.replays:
            number, passed = 0, True
        for sealed in self._sealed_from(number, context):
            events = []
            for entry in sealed.entries:
                if passed and entry.event is not None and entry.event.chaincode_id == request.chaincode_id:
                    events.append(entry.event)
                passed = passed or entry.tx_id == request.after_transaction_id
            if events:
                yield gateway_pb2.ChaincodeEventsResponse(
                    events=events, block_number=sealed.block.header.number
                ).SerializeToString()

    def _sealed_from(self, number: int, context: Any) -> Iterator[Any]:
        while context.is_active():
            with self.ledger.changed:
                if number >= len(self.ledger.sealed):
                    self.ledger.changed.wait(0.2)
                    continue
                sealed = self.ledger.sealed[number]
            yield sealed
            number += 1

    def _deliver(self, requests: Iterator[bytes], context: Any, response: Any) -> Iterator[bytes]:
        self._before("Deliver", context)
        envelope = common_pb2.Envelope.FromString(next(requests))
        payload = common_pb2.Payload.FromString(envelope.payload)
        status = self._deliver_status(envelope, payload)
        if status != common_pb2.Status.SUCCESS:
            yield events_pb2.DeliverResponse(status=status).SerializeToString()
            return
        seek = ab_pb2.SeekInfo.FromString(payload.data)
        for sealed in self._sealed_from(seek.start.specified.number, context):
            yield self.faults.garbage.get("Deliver", response(sealed).SerializeToString())
            if sealed.block.header.number >= seek.stop.specified.number:
                break
        yield events_pb2.DeliverResponse(status=common_pb2.Status.SUCCESS).SerializeToString()

    def _deliver_status(self, envelope: Any, payload: Any) -> int:
        channel_header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        signature_header = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
        if channel_header.channel_id != self.ledger.channel:
            return int(common_pb2.Status.NOT_FOUND)
        try:
            require_header(channel_header, signature_header, common_pb2.HeaderType.DELIVER_SEEK_INFO)
            member = self.ledger.membership.member(signature_header.creator, self.ledger.channel)
        except Refused:
            return int(common_pb2.Status.FORBIDDEN)
        is_signed = member.has_signed(envelope.payload, envelope.signature)
        if not is_signed or channel_header.tls_cert_hash != self.binding:
            return int(common_pb2.Status.FORBIDDEN)
        return int(common_pb2.Status.SUCCESS)

    def _require_reader(self, identity: bytes, signed: Any, channel: str, context: Any) -> None:
        try:
            member = self.ledger.membership.member(identity, channel)
        except Refused as refused:
            abort(context, "PERMISSION_DENIED", str(refused), [])
        if channel != self.ledger.channel or not member.has_signed(signed.request, signed.signature):
            abort(context, "PERMISSION_DENIED", "signature set did not satisfy policy", [])

    def _faulty(self, name: str, answer: Any) -> Any:
        def handler(data: bytes, context: Any) -> bytes:
            self._before(name, context)
            said = answer(data, context)
            failure = self.faults.failure(name, after=True)
            if failure is not None:
                abort(context, failure.code, failure.message, [])
            return bytes(self.faults.garbage.get(name, said))

        return handler

    def _before(self, name: str, context: Any) -> None:
        self.faults.calls.append(name)
        end = time.monotonic() + SLOW_S
        while name in self.faults.slow and context.is_active() and time.monotonic() < end:
            if self.faults.woken.wait(0.1):
                break
        if not context.is_active():
            abort(context, "CANCELLED", "nobody waits for it any more", [])
        failure = self.faults.failure(name, after=False)
        if failure is not None:
            abort(context, failure.code, failure.message, [(self, failure.message)])


def abort(context: Any, code: str, message: str, details: list[tuple[DoublePeer, str]]) -> None:
    """End a call with a status, and what single peers said as a gateway attaches it."""
    packed = b""
    for peer, words in details:
        held = any_pb2.Any()
        held.Pack(gateway_pb2.ErrorDetail(address=peer.endpoint, msp_id=peer.msp, message=words))
        packed += _field(3, held.SerializeToString())
    status = grpc.StatusCode[code]
    if details:
        said = b"\x08" + _varint(status.value[0]) + _field(2, message.encode()) + packed
        context.set_trailing_metadata((("grpc-status-details-bin", said),))
    context.abort(status, message)


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _parsed(kind: Any, data: bytes, context: Any) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        return abort(context, "INVALID_ARGUMENT", str(error), [])


def _transaction(signed: Any, payload: bytes, endorsements: list[Any]) -> bytes:
    proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    header = common_pb2.Header.FromString(proposal.header)
    visible = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
    action = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=proposal_pb2.ChaincodeProposalPayload(
            input=visible.input
        ).SerializeToString(),
        action=transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=payload, endorsements=endorsements
        ),
    )
    transaction = transaction_pb2.Transaction(
        actions=[
            transaction_pb2.TransactionAction(
                header=header.signature_header, payload=action.SerializeToString()
            )
        ]
    )
    return bytes(common_pb2.Payload(header=header, data=transaction.SerializeToString()).SerializeToString())
