"""What a peer checks of signatures, identities, transaction ids and times."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2
from google.protobuf.message import DecodeError

from .authority import Authority

# SEC 2; written here again so that client and double cannot be wrong together.
HALF_ORDERS = {
    "secp256r1": 0x7FFFFFFF800000007FFFFFFFFFFFFFFFDE737D56D38BCF4279DCE5617E3192A8,
    "secp384r1": 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFE3B1A6C0FA1B96EFAC0D06D9245853BD76760CB5666294B9,
}
TIME_WINDOW_S = 15 * 60


class Refused(Exception):
    """A peer refuses a request; the words are those of a peer."""


@dataclass(frozen=True)
class Member:
    """Somebody whose certificate an organisation of the channel issued."""

    msp: str
    certificate: x509.Certificate

    @property
    def unit(self) -> str:
        [unit] = self.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        return str(unit.value)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        key = self.certificate.public_key()
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, message)
                return True
            if not isinstance(key, ec.EllipticCurvePublicKey):
                return False
            key.verify(signature, message, ec.ECDSA(SHA256()))
            return 0 < decode_dss_signature(signature)[1] <= HALF_ORDERS[key.curve.name]
        except (InvalidSignature, ValueError):
            return False


@dataclass
class Membership:
    """The channel's organisations: authorities by MSP id, and the serial numbers that they revoked."""

    authorities: dict[str, Authority]
    revoked: set[int] = field(default_factory=set)

    def member(self, serialized: bytes, channel: str) -> Member:
        """The member of a serialized identity; raises :class:`Refused`."""
        try:
            identity = identities_pb2.SerializedIdentity.FromString(serialized)
            certificate = x509.load_pem_x509_certificate(identity.id_bytes)
        except (DecodeError, ValueError):
            raise Refused(
                f"access denied: channel [{channel}] creator org unknown, creator is malformed"
            ) from None
        authority = self.authorities.get(identity.mspid)
        if authority is None:
            raise Refused(f"access denied: channel [{channel}] creator org unknown, creator is malformed")
        if certificate.not_valid_after_utc.timestamp() < time.time():
            raise Refused("proposal client identity expired")
        if not authority.has_signed(certificate) or certificate.serial_number in self.revoked:
            raise Refused(f"access denied: channel [{channel}] creator org [{identity.mspid}]")
        return Member(identity.mspid, certificate)


@dataclass(frozen=True)
class CheckedProposal:
    """A proposal that a peer would run."""

    channel: str
    chaincode: str
    tx_id: str
    args: tuple[bytes, ...]
    member: Member
    channel_header: bytes
    signature_header: bytes
    input: bytes
    signed: bytes

    @property
    def digest(self) -> bytes:
        visible = proposal_pb2.ChaincodeProposalPayload(input=self.input).SerializeToString()
        return hashlib.sha256(self.channel_header + self.signature_header + visible).digest()


def checked_proposal(signed: Any, membership: Membership, channel: str) -> CheckedProposal:
    """A signed proposal with all its headers in order; raises :class:`Refused`."""
    try:
        proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
        header = common_pb2.Header.FromString(proposal.header)
        channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
        signature_header = common_pb2.SignatureHeader.FromString(header.signature_header)
        extension = proposal_pb2.ChaincodeHeaderExtension.FromString(channel_header.extension)
        visible = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
        spec = chaincode_pb2.ChaincodeInvocationSpec.FromString(visible.input).chaincode_spec
    except DecodeError as error:
        raise Refused(f"error unmarshalling: {error}") from None
    if channel_header.channel_id != channel:
        raise Refused(f"channel '{channel_header.channel_id}' not found")
    require_header(channel_header, signature_header, common_pb2.HeaderType.ENDORSER_TRANSACTION)
    require_tx_id(channel_header, signature_header)
    if not extension.chaincode_id.name or extension.chaincode_id.name != spec.chaincode_id.name:
        raise Refused("ChaincodeHeaderExtension.ChaincodeId.Name is empty")
    member = membership.member(signature_header.creator, channel)
    if not member.has_signed(signed.proposal_bytes, signed.signature):
        raise Refused(f"access denied: channel [{channel}] creator org [{member.msp}]")
    return CheckedProposal(
        channel,
        spec.chaincode_id.name,
        channel_header.tx_id,
        tuple(spec.input.args),
        member,
        header.channel_header,
        header.signature_header,
        visible.input,
        signed.SerializeToString(),
    )


def require_header(channel_header: Any, signature_header: Any, kind: int) -> None:
    """Raise :class:`Refused` for another kind, an epoch, no nonce, or a time far from now."""
    if channel_header.type != kind or channel_header.epoch or len(signature_header.nonce) < 24:
        raise Refused("invalid header")
    said = channel_header.timestamp.seconds + channel_header.timestamp.nanos / 1e9
    if abs(said - time.time()) > TIME_WINDOW_S:
        raise Refused(f"request unauthorized due to incorrect timestamp {said}")


def require_tx_id(channel_header: Any, signature_header: Any) -> None:
    expected = hashlib.sha256(signature_header.nonce + signature_header.creator).hexdigest()
    if channel_header.tx_id != expected:
        raise Refused(f"incorrectly computed txid '{channel_header.tx_id}' -- expected '{expected}'")
