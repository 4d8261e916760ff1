"""The orderer and the ledger that all peers of the double share: batches, blocks, validation, versions."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf.message import DecodeError

from .checks import Membership, Refused, require_header, require_tx_id
from .simulation import State, Version

Code = transaction_pb2.TxValidationCode
MOST_TRANSACTIONS = 10


@dataclass(frozen=True)
class Entry:
    """A transaction in a block: its envelope, id, code, and its event where it is valid and has one."""

    envelope: bytes
    tx_id: str
    code: int
    event: Any = None


@dataclass(frozen=True)
class Sealed:
    """A block with what became of its transactions."""

    block: Any
    entries: tuple[Entry, ...]


@dataclass
class _Parsed:
    tx_id: str
    chaincode: str
    own: Any
    event: Any


@dataclass
class SharedLedger:
    """One channel. ``changed`` is told of each block; ``conflicts`` makes so many transactions void by a read conflict."""

    channel: str
    membership: Membership
    batch_s: float = 0.01
    conflicts: int = 0
    orderer_away: bool = False
    sealed: list[Sealed] = field(default_factory=list)
    state: State = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    # While this is set nothing is cut into blocks: transactions wait at the orderer.
    held: bool = False
    _waiting: list[bytes] = field(default_factory=list)
    _closed: bool = False

    def __post_init__(self) -> None:
        # The channel's configuration, and the one transaction that the chaincode's definition stands for.
        for _ in range(2):
            self._seal([Entry(self._configuration(), "", Code.VALID)])
        self._thread = threading.Thread(target=self._cut, name="double-orderer", daemon=True)
        self._thread.start()

    def order(self, envelope: bytes) -> None:
        """Take a transaction; it is in a block soon."""
        with self.changed:
            self._waiting.append(envelope)
            self.changed.notify_all()

    def find(self, tx_id: str) -> tuple[int, Entry] | None:
        """The block's number and the first entry of a transaction."""
        for sealed in self.sealed:
            for entry in sealed.entries:
                if tx_id and entry.tx_id == tx_id:
                    return sealed.block.header.number, entry
        return None

    def close(self) -> None:
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        self._thread.join()

    def _cut(self) -> None:
        while True:
            with self.changed:
                while not self._closed and (self.held or not self._waiting):
                    self.changed.wait(1)
                if self._closed:
                    return
            time.sleep(self.batch_s)
            with self.changed:
                batch, self._waiting = self._waiting[:MOST_TRANSACTIONS], self._waiting[MOST_TRANSACTIONS:]
                self._commit(batch)
                self.changed.notify_all()

    def _commit(self, batch: list[bytes]) -> None:
        number, state = len(self.sealed), dict(self.state)
        entries: list[Entry] = []
        for place, envelope in enumerate(batch):
            code, parsed = self._validated(envelope, state, [entry.tx_id for entry in entries])
            if code == Code.VALID and parsed is not None:
                _write(state, parsed.own, (number, place))
            event = parsed.event if parsed is not None and code == Code.VALID else None
            entries.append(Entry(envelope, parsed.tx_id if parsed else "", code, event))
        self.state = state
        self._seal(entries)

    def _validated(self, envelope: bytes, state: State, batch_ids: list[str]) -> tuple[int, _Parsed | None]:
        try:
            parsed, code = self._parsed(envelope)
        except (DecodeError, Refused, IndexError):
            return Code.BAD_PAYLOAD, None
        if code != Code.VALID:
            return code, parsed
        if self.find(parsed.tx_id) is not None or parsed.tx_id in batch_ids:
            return Code.DUPLICATE_TXID, parsed
        if self.conflicts:
            self.conflicts -= 1
            return Code.MVCC_READ_CONFLICT, parsed
        return _read_code(parsed.own, state), parsed

    def _parsed(self, data: bytes) -> tuple[_Parsed, int]:
        envelope = common_pb2.Envelope.FromString(data)
        payload = common_pb2.Payload.FromString(envelope.payload)
        channel_header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        signature_header = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
        require_header(channel_header, signature_header, common_pb2.HeaderType.ENDORSER_TRANSACTION)
        require_tx_id(channel_header, signature_header)
        action = transaction_pb2.Transaction.FromString(payload.data).actions[0]
        endorsed = transaction_pb2.ChaincodeActionPayload.FromString(action.payload).action
        said = proposal_response_pb2.ProposalResponsePayload.FromString(endorsed.proposal_response_payload)
        result = proposal_pb2.ChaincodeAction.FromString(said.extension)
        event = chaincode_event_pb2.ChaincodeEvent.FromString(result.events) if result.events else None
        parsed = _Parsed(channel_header.tx_id, result.chaincode_id.name, _own_set(result), event)
        creator = self.membership.member(signature_header.creator, self.channel)
        if not creator.has_signed(envelope.payload, envelope.signature):
            return parsed, Code.BAD_CREATOR_SIGNATURE
        if not self._is_endorsed(endorsed):
            return parsed, Code.ENDORSEMENT_POLICY_FAILURE
        return parsed, Code.VALID

    def _is_endorsed(self, endorsed: Any) -> bool:
        """Whether peers of more than half of the organisations signed."""
        by = set()
        for each in endorsed.endorsements:
            try:
                member = self.membership.member(each.endorser, self.channel)
            except Refused:
                continue
            signed = endorsed.proposal_response_payload + each.endorser
            if member.unit == "peer" and member.has_signed(signed, each.signature):
                by.add(member.msp)
        return len(by) * 2 > len(self.membership.authorities)

    def _seal(self, entries: list[Entry]) -> None:
        data = [entry.envelope for entry in entries]
        header = common_pb2.BlockHeader(
            number=len(self.sealed),
            previous_hash=_header_hash(self.sealed[-1].block.header) if self.sealed else b"",
            data_hash=hashlib.sha256(b"".join(data)).digest(),
        )
        metadata = common_pb2.BlockMetadata(
            metadata=[b"", b"", bytes(entry.code for entry in entries), b"", b""]
        )
        block = common_pb2.Block(header=header, data=common_pb2.BlockData(data=data), metadata=metadata)
        self.sealed.append(Sealed(block, tuple(entries)))

    def _configuration(self) -> bytes:
        header = common_pb2.ChannelHeader(type=common_pb2.HeaderType.CONFIG, channel_id=self.channel)
        payload = common_pb2.Payload(header=common_pb2.Header(channel_header=header.SerializeToString()))
        return bytes(common_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString())


def _own_set(result: Any) -> Any:
    for each in rwset_pb2.TxReadWriteSet.FromString(result.results).ns_rwset:
        if each.namespace == result.chaincode_id.name:
            return kv_rwset_pb2.KVRWSet.FromString(each.rwset)
    raise Refused("no read-write set")


def _version(read: Any) -> Version | None:
    return (read.version.block_num, read.version.tx_num) if read.HasField("version") else None


def _read_code(own: Any, state: State) -> int:
    for read in own.reads:
        now = state.get(read.key)
        if (now[1] if now else None) != _version(read):
            return int(Code.MVCC_READ_CONFLICT)
    for each in own.range_queries_info:
        keys = [key for key in sorted(state) if each.start_key <= key < each.end_key]
        found = [(key, state[key][1]) for key in keys]
        before = [(read.key, _version(read)) for read in each.raw_reads.kv_reads]
        if found[: len(before)] != before or (each.itr_exhausted and len(found) != len(before)):
            return int(Code.PHANTOM_READ_CONFLICT)
    return int(Code.VALID)


def _write(state: dict[str, tuple[bytes, Version]], own: Any, version: Version) -> None:
    for write in own.writes:
        if write.is_delete:
            state.pop(write.key, None)
        else:
            state[write.key] = (write.value, version)


def _header_hash(header: Any) -> bytes:
    """SHA-256 of DER SEQUENCE { INTEGER number, OCTET STRING previous, OCTET STRING data }; all are short."""
    number = header.number.to_bytes(9, "big").lstrip(b"\0") or b"\0"
    number = b"\0" + number if number[0] & 0x80 else number
    items = b"".join(
        bytes([tag, len(content)]) + content
        for tag, content in ((2, number), (4, header.previous_hash), (4, header.data_hash))
    )
    return hashlib.sha256(bytes([0x30, len(items)]) + items).digest()
