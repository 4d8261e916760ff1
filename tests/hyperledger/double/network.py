"""A whole network: organisations with their authorities, peers and chaincode servers, and profiles for their members."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.hashes import SHA256

from chaincode.dispatch import dispatch
from chaincode.shim import ChaincodeServer
from chaincode.stub import Response, Stub
from ledger.hyperledger.connection import Profile, load_profile
from ledger.hyperledger.identity import load_identity

from .authority import Authority, Credentials, write_msp, write_private
from .checks import Membership
from .ledger import SharedLedger
from .peer import DoublePeer
from .simulation import ChaincodeStream

CHANNEL = "loomark"
CHAINCODE = "loomark"
HOST = "peer0.{}.example"


@dataclass
class Member:
    """One organisation of the double: its authorities, its peer, its folder."""

    msp: str
    folder: Path
    authority: Authority
    tls: Authority
    peer: DoublePeer
    server: ChaincodeServer
    stream: ChaincodeStream
    issued: dict[str, Credentials] = field(default_factory=dict)


@dataclass
class DoubleNetwork:
    """N organisations on one channel. ``tls`` is ``none``, ``server`` or ``mutual``."""

    folder: Path
    organisations: int = 2
    tls: str = "none"
    handler: Callable[[Stub], Response] = dispatch
    members: dict[str, Member] = field(init=False)
    ledger: SharedLedger = field(init=False)

    def __post_init__(self) -> None:
        msps = [f"Org{number}MSP" for number in range(1, self.organisations + 1)]
        authorities = {msp: Authority(f"ca.{msp}") for msp in msps}
        self.membership = Membership(authorities)
        self.ledger = SharedLedger(CHANNEL, self.membership)
        self.members = {msp: self._member(msp, authority) for msp, authority in authorities.items()}
        for member in self.members.values():
            member.peer.others = [each.peer for each in self.members.values() if each is not member]
            member.peer.start()

    def profile(self, msp: str = "Org1MSP", user: str = "client") -> Profile:
        """A profile file of a member, read as a user's would be; ``admin`` is the name of the organisation's admin."""
        return load_profile(self.write_profile(msp, user))

    def write_profile(self, msp: str = "Org1MSP", user: str = "client", more: str = "") -> Path:
        """The profile of a member, whose identity is made when it is first asked for."""
        member = self.members[msp]
        if user not in member.issued:
            self.enrol(msp, user, member.authority.issue(user, "admin" if user == "admin" else "client"))
        lines = [f'channel = "{CHANNEL}"', f'chaincode = "{CHAINCODE}"', f'msp = "{msp}"']
        lines += [f'identity = "{user}/msp"', "", "[peer]", *self._peer_lines(member)]
        for other in self.members.values():
            if other is not member:
                lines += ["", "[[peers]]", f'msp = "{other.msp}"', *self._peer_lines(other)]
        path = member.folder / f"{user}.toml"
        path.write_text("\n".join(lines) + "\n" + more)
        return path

    def enrol(self, msp: str, user: str, credentials: Credentials) -> Path:
        """Give a user an MSP folder with these credentials."""
        member = self.members[msp]
        member.issued[user] = credentials
        return write_msp(member.folder / user / "msp", member.authority, credentials)

    def peer(self, msp: str) -> DoublePeer:
        return self.members[msp].peer

    def close(self) -> None:
        for member in self.members.values():
            member.peer.stop()
        for member in self.members.values():
            member.stream.close()
            member.server.stop(0)
        self.ledger.close()

    def _member(self, msp: str, authority: Authority) -> Member:
        folder = self.folder / msp
        host = HOST.format(msp.lower())
        tls = Authority(f"tlsca.{msp}")
        server = ChaincodeServer("double:1", self.handler)
        stream = ChaincodeStream(server.start(), "double:1")
        write_msp(folder / "peer" / "msp", authority, authority.issue(host, "peer"))
        (folder / "tls-ca.pem").write_bytes(tls.pem)
        peer = DoublePeer(msp, load_identity(folder / "peer" / "msp", msp), self.ledger, CHAINCODE, stream)
        if self.tls != "none":
            self._secure(peer, folder, tls, host)
        return Member(msp, folder, authority, tls, peer, server, stream)

    def _secure(self, peer: DoublePeer, folder: Path, tls: Authority, host: str) -> None:
        own = tls.issue(host, "peer", hosts=[host])
        is_mutual = self.tls == "mutual"
        if is_mutual:
            client = tls.issue("client", "client")
            (folder / "tls-client.pem").write_bytes(client.pem)
            write_private(folder / "tls-client-key.pem", client.key_pem)
            peer.binding = client.certificate.fingerprint(SHA256())
        roots = tls.pem if is_mutual else None
        peer.credentials = grpc.ssl_server_credentials([(own.key_pem, own.pem)], roots, is_mutual)

    def _peer_lines(self, member: Member) -> list[str]:
        lines = [f'endpoint = "{member.peer.endpoint}"']
        if self.tls != "none":
            lines.append(f'tls_roots = "{member.folder / "tls-ca.pem"}"')
            lines.append(f'server_name = "{HOST.format(member.msp.lower())}"')
        if self.tls == "mutual":
            lines.append(f'client_certificate = "{member.folder / "tls-client.pem"}"')
            lines.append(f'client_key = "{member.folder / "tls-client-key.pem"}"')
        return lines
