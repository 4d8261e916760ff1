"""A channel in memory: the stub contracts run on in tests, its commits, and organisations with logs and keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chaincode import Creator, Response, dispatch
from ledger import merkle
from ledger.canonical import canonical, parse_json
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey
from ledger.note import COSIGNATURE, ED25519, VerifierKey, cosign, parse_note
from ledger.shape import base64_text

NOW_MS = 1_800_000_000_000


@dataclass
class MemoryStub:
    """One simulated transaction: it reads the committed state, and keeps what it read and wrote in order."""

    state: dict[str, bytes]
    args: Sequence[bytes]
    creator: Creator
    timestamp_ms: int = NOW_MS
    channel: str = "loomark"
    tx_id: str = "00" * 32
    reads: list[str] = field(default_factory=list)
    writes: list[tuple[str, bytes]] = field(default_factory=list)
    event: tuple[str, bytes] | None = None
    paged: bool = False

    def get_state(self, key: str) -> bytes | None:
        self.reads.append(key)
        return self.state.get(key)

    def put_state(self, key: str, value: bytes) -> None:
        assert key
        assert value
        assert not self.paged, "a peer refuses writes after a query by pages"
        self.writes.append((key, value))

    def get_state_by_range(self, start: str, end: str, page_size: int = 0) -> Iterator[tuple[str, bytes]]:
        self.paged |= bool(page_size)
        found = [
            key for key in sorted(self.state, key=str.encode) if start.encode() <= key.encode() < end.encode()
        ]
        for key in found[: page_size or None]:
            self.reads.append(key)
            yield key, self.state[key]

    def set_event(self, name: str, payload: bytes) -> None:
        self.event = (name, payload)


@dataclass
class MemoryChannel:
    """The committed state of a channel; every peer's simulation, in one."""

    state: dict[str, bytes] = field(default_factory=dict)
    handler: Callable[[Any], Response] = dispatch

    def simulate(
        self, creator: Creator, *args: bytes, timestamp_ms: int = NOW_MS
    ) -> tuple[Response, MemoryStub]:
        """The response to a proposal, and what it would do."""
        stub = MemoryStub(dict(self.state), args, creator, timestamp_ms)
        return self.handler(stub), stub

    def invoke(self, creator: Creator, *args: bytes, timestamp_ms: int = NOW_MS) -> Any:
        """Commit a transaction that is accepted; gives its JSON result."""
        response, stub = self.simulate(creator, *args, timestamp_ms=timestamp_ms)
        assert response.status == 200, response.message
        self.state.update(stub.writes)
        return parse_json(response.payload)

    def refused(self, creator: Creator, *args: bytes, timestamp_ms: int = NOW_MS) -> tuple[int, str]:
        """Status and rule of a refusal, which wrote nothing and told nobody."""
        before = dict(self.state)
        response, stub = self.simulate(creator, *args, timestamp_ms=timestamp_ms)
        assert stub.writes == []
        assert stub.event is None
        assert self.state == before
        assert response.payload == b""
        rule, colon, reason = response.message.partition(": ")
        assert colon
        assert reason
        assert is_documented(response.status, rule)
        return response.status, rule


@cache
def _rows() -> dict[int, str]:
    page = (Path(__file__).resolve().parents[2] / "docs" / "spec" / "chaincode.md").read_text()
    rows = re.findall(r"^\| ([45][0-9]{2}) \| (.*) \|$", page, re.MULTILINE)
    return {int(status): rules for status, rules in rows}


def is_documented(status: int, rule: str) -> bool:
    """Whether the page lists this rule under this status."""
    return f"`{rule}`" in _rows().get(status, "")


@cache
def certificate(msp: str, *units: str) -> bytes:
    """A self-signed certificate in PEM with these organisational units."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, f"user@{msp}")]
    names += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name(names))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


class Log:
    """A log with made-up leaves: its signed checkpoints and consistency proofs at any size up to ``entries``."""

    def __init__(self, origin: str, key: SigningKey, entries: int = 64, salt: str = "") -> None:
        self.origin = origin
        self.key = key
        self.leaves = [merkle.leaf_hash(f"{origin}/{salt}/{index}".encode()) for index in range(entries)]

    @property
    def vkey(self) -> str:
        return VerifierKey(self.origin, ED25519, self.key.public_bytes).text()

    def root(self, size: int) -> bytes:
        return merkle.root(self.leaves[:size])

    def note(self, size: int, key: SigningKey | None = None) -> bytes:
        return sign_checkpoint(Checkpoint(self.origin, size, self.root(size)), key or self.key)

    def proof(self, old: int, size: int) -> bytes:
        path = merkle.consistency_path(self.leaves[:size], old) if old else []
        return canonical([base64_text(one) for one in path])


def seeded(text: str) -> SigningKey:
    """A signing key that is the same in every run."""
    return SigningKey(sha256(text.encode()).digest())


@dataclass
class Organisation:
    """An organisation of the channel, with a log, a cosigner key, an administrator and a user."""

    msp: str
    log: Log
    cosigner: SigningKey

    @classmethod
    def named(cls, msp: str) -> Organisation:
        origin = f"log.example/{msp.lower()}"
        return cls(msp, Log(origin, seeded(f"log {msp}")), seeded(f"cosigner {msp}"))

    @property
    def admin(self) -> Creator:
        return Creator(self.msp, certificate(self.msp, "admin"))

    @property
    def user(self) -> Creator:
        return Creator(self.msp, certificate(self.msp, "client"))

    @property
    def cosigner_vkey(self) -> str:
        return VerifierKey(self.msp, COSIGNATURE, self.cosigner.public_bytes).text()

    def registration(self) -> dict[str, Any]:
        return {"origins": {self.log.origin: [self.log.vkey]}, "cosigner": self.cosigner_vkey}

    def line(self, note: bytes, time_s: int = 1_800_000_000) -> bytes:
        return cosign(parse_note(note).text, self.msp, self.cosigner, time_s).text().encode()


def register(channel: MemoryChannel, organisation: Organisation) -> Any:
    """Register an organisation as its administrator."""
    return channel.invoke(
        organisation.admin, b"organisations:register", canonical(organisation.registration())
    )


def submit(channel: MemoryChannel, organisation: Organisation, old: int, size: int) -> Any:
    """Anchor the organisation's log at a size."""
    log = organisation.log
    return channel.invoke(organisation.user, b"checkpoints:submit", log.note(size), log.proof(old, size))


def two_organisations() -> tuple[MemoryChannel, Organisation, Organisation]:
    """A channel on which two organisations are registered."""
    channel, first, second = MemoryChannel(), Organisation.named("Org1MSP"), Organisation.named("Org2MSP")
    register(channel, first)
    register(channel, second)
    return channel, first, second
