"""Endorsed reads of an anchored checkpoint, made with the protocol's own messages: true ones, and any other.

scene = Scene()
data = scene.receipt()                                  # three organisations' peers read it
data = scene.receipt(args=[b"checkpoints:latest"])      # ... and signed this instead
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2

from ledger.canonical import canonical
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey
from ledger.hyperledger.identity import X509Identity
from ledger.hyperledger.receipt import Endorsement, UnverifiedReceipt, receipt_bytes
from ledger.hyperledger.roots import ChannelRoots, parse_roots
from ledger.note import ED25519, VerifierKey
from tests.hyperledger.double.authority import Authority, Credentials, Key

MSPS = ("Org1MSP", "Org2MSP", "Org3MSP")
ORIGIN, SIZE = "log.example/100%/a", 1_000
BLOCK, TRANSACTION = 7, 3
KEY = "checkpoint/log.example%2F100%25%2Fa/0000000000001000"
LOG = SigningKey(b"\x07" * 32)
VKEY = VerifierKey(ORIGIN, ED25519, LOG.public_bytes)
ROOT = hashlib.sha256(b"tree").digest()

Signer = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Endorser:
    """Who signs a response: under which name, with which certificate, and how."""

    msp: str
    certificate: bytes
    sign: Signer

    @property
    def identity(self) -> bytes:
        named = identities_pb2.SerializedIdentity(mspid=self.msp, id_bytes=self.certificate)
        return bytes(named.SerializeToString())


def endorser(msp: str, credentials: Credentials) -> Endorser:
    """One that signs as peers do."""
    own = X509Identity(msp, credentials.pem, credentials.certificate.not_valid_after_utc, credentials.key)
    return Endorser(msp, credentials.pem, own.sign)


@dataclass(frozen=True)
class Read:
    """All that an endorsed read says; `data` signs and writes it."""

    endorsers: tuple[Endorser, ...]
    channel: str = "loomark"
    named: str = "loomark"
    called: str = "loomark"
    ran: str = "loomark"
    kind: int = common_pb2.HeaderType.ENDORSER_TRANSACTION
    args: Sequence[bytes] = (b"checkpoints:at", ORIGIN.encode(), b"%d" % SIZE)
    at_s: float = field(default_factory=time.time)
    nonce: bytes = b"n" * 24
    tx_id: str | None = None
    status: int = 200
    event: bytes = b""
    record: bytes = b""
    namespaces: Sequence[Any] = ()
    proposal_hash: bytes | None = None
    edit: Callable[[UnverifiedReceipt], UnverifiedReceipt] = lambda receipt: receipt

    def data(self) -> bytes:
        channel_header, signature_header = self._headers()
        invocation = self._invocation()
        visible = proposal_pb2.ChaincodeProposalPayload(input=invocation).SerializeToString()
        digest = hashlib.sha256(channel_header + signature_header + visible).digest()
        response = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=self.proposal_hash or digest, extension=self._action()
        ).SerializeToString()
        signed = [Endorsement(each.identity, each.sign(response + each.identity)) for each in self.endorsers]
        made = UnverifiedReceipt(channel_header, signature_header, invocation, response, tuple(signed))
        return receipt_bytes(self.edit(made))

    def _headers(self) -> tuple[bytes, bytes]:
        creator = b"the client that asked"
        header = common_pb2.ChannelHeader(type=self.kind, channel_id=self.channel)
        header.timestamp.seconds = int(self.at_s)
        header.tx_id = hashlib.sha256(self.nonce + creator).hexdigest() if self.tx_id is None else self.tx_id
        header.extension = proposal_pb2.ChaincodeHeaderExtension(
            chaincode_id=chaincode_pb2.ChaincodeID(name=self.named)
        ).SerializeToString()
        signer = common_pb2.SignatureHeader(creator=creator, nonce=self.nonce)
        return header.SerializeToString(), signer.SerializeToString()

    def _invocation(self) -> bytes:
        spec = chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name=self.called),
            input=chaincode_pb2.ChaincodeInput(args=[*self.args]),
        )
        return bytes(chaincode_pb2.ChaincodeInvocationSpec(chaincode_spec=spec).SerializeToString())

    def _action(self) -> bytes:
        sets = rwset_pb2.TxReadWriteSet(ns_rwset=[*(self.namespaces or (lifecycle(), namespace()))])
        return bytes(
            proposal_pb2.ChaincodeAction(
                results=sets.SerializeToString(),
                events=self.event,
                response=proposal_response_pb2.Response(
                    status=self.status, payload=self.record or canonical(record())
                ),
                chaincode_id=chaincode_pb2.ChaincodeID(name=self.ran, version="1"),
            ).SerializeToString()
        )


class Scene:
    """A channel of three organisations whose peers have keys of three kinds, and what a verifier pins of it."""

    def __init__(self) -> None:
        self.authorities = {msp: Authority(f"ca.{msp}") for msp in MSPS}
        keys: tuple[Key, ...] = (
            ec.generate_private_key(ec.SECP256R1()),
            ec.generate_private_key(ec.SECP384R1()),
            ed25519.Ed25519PrivateKey.generate(),
        )
        self.peers = tuple(
            [
                endorser(msp, self.authorities[msp].issue(f"peer0.{msp}", "peer", key))
                for msp, key in zip(MSPS, keys, strict=True)
            ]
        )

    def roots(self, quorum: int = 3, msps: Sequence[str] = MSPS, **changed: str) -> ChannelRoots:
        return parse_roots(self.roots_text(quorum, msps, **changed))

    def roots_text(self, quorum: int = 3, msps: Sequence[str] = MSPS, **changed: str) -> str:
        named = {"channel": "loomark", "chaincode": "loomark", **changed}
        lines = [f'{key} = "{value}"' for key, value in named.items()]
        pinned = [f"{msp} = '''\n{self.authorities[msp].pem.decode()}'''" for msp in msps]
        return "\n".join([*lines, f"quorum = {quorum}", "[organisations]", *pinned]) + "\n"

    def receipt(self, **changed: Any) -> bytes:
        return replace(Read(self.peers), **changed).data()

    def peer(
        self, number: int, unit: str = "peer", *, days: float = 7, authority: int | None = None
    ) -> Endorser:
        """Another member of an organisation, whose certificate may be of another's authority."""
        msp = MSPS[number]
        issuer = self.authorities[MSPS[number if authority is None else authority]]
        return endorser(msp, issuer.issue(f"other.{msp}", unit, days=days))


def record(size: int = SIZE, key: SigningKey = LOG, origin: str = ORIGIN, **changed: Any) -> dict[str, Any]:
    """What the chaincode keeps of a checkpoint."""
    note = sign_checkpoint(Checkpoint(origin, size, ROOT), key).decode()
    return {"from": 0, "msp": "Org1MSP", "note": note, "proof": [], **changed}


def namespace(
    name: str = "loomark",
    keys: Sequence[str] = (KEY,),
    version: tuple[int, int] | None = (BLOCK, TRANSACTION),
    **more: Any,
) -> Any:
    """The reads in one chaincode's state, and whatever else."""
    at = None if version is None else kv_rwset_pb2.Version(block_num=version[0], tx_num=version[1])
    reads = [kv_rwset_pb2.KVRead(key=key, version=at) for key in keys]
    read_set = kv_rwset_pb2.KVRWSet(reads=reads, **more)
    return rwset_pb2.NsReadWriteSet(namespace=name, rwset=read_set.SerializeToString())


def lifecycle() -> Any:
    """What a peer reads by itself: the definition of the chaincode."""
    return namespace("_lifecycle", ("namespaces/fields/loomark/Sequence",), (2, 0))
