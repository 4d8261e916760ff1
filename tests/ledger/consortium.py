"""A consortium in memory: operator, members, keys, log and witnesses, all from fixed seeds.

It writes its log through :class:`ledger.replay.Replay`, so every test that uses it also checks the replay. Randomness
and time are counters: the same calls give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ledger import merkle
from ledger.capture import capture_commitment
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.commitment import record_commitment
from ledger.ed25519 import SigningKey, key_id, possession_line
from ledger.note import COSIGNATURE, ED25519, VerifierKey, cosign
from ledger.policy import Policy, parse_policy, policy_text
from ledger.registry import Registry
from ledger.replay import Replay
from ledger.seal import seal_bytes
from ledger.shape import time_text
from ledger.statement import DEFAULT_SIGNATURES, Statement, parse_envelope, payload_bytes, sign_statement

ORIGIN = "loomark.example/test"
START_MS = 1_767_225_600_000


def seeded(name: str) -> bytes:
    """32 bytes that only depend on a name."""
    return sha256(name.encode()).digest()


def key_of(name: str) -> SigningKey:
    """The signing key of a name."""
    return SigningKey(seeded(f"key {name}"))


@dataclass(frozen=True)
class Captured:
    """One capture in the log: what its holder keeps beside it."""

    index: int
    envelope: bytes
    salt: bytes
    records: tuple[Mapping[str, Any], ...]
    record_salts: tuple[bytes, ...]

    def commitments(self) -> list[bytes]:
        return [record_commitment(r, s) for r, s in zip(self.records, self.record_salts, strict=True)]


@dataclass
class Consortium:
    """A running log with its members; every statement is sequenced at once, seals as the rules ask."""

    origin: str = ORIGIN
    entries: list[bytes] = field(default_factory=list)
    replay: Replay = field(init=False)
    clock_ms: int = START_MS
    drawn: int = 0
    archive: dict[int, bytes] = field(default_factory=dict)
    witness_count: int = 3

    def __post_init__(self) -> None:
        self.replay = Replay(self.origin)
        self.log_key = key_of("log")
        self.operator = key_of("operator")
        self.witnesses = [key_of(f"witness {number}") for number in range(self.witness_count)]

    @classmethod
    def founded(cls, *members: str, **options: Any) -> Consortium:
        """A consortium with a charter and these members, each with a key of its own."""
        one = cls(**options)
        one.state("charter", one.charter_body(), by="operator")
        one.publish()
        for name in members:
            one.admit(name)
        one.publish()
        return one

    @property
    def registry(self) -> Registry:
        return self.replay.registry

    def charter_body(self) -> dict[str, Any]:
        return {
            "name": "The Operator",
            "vkey": self.log_vkey().text(),
            "operatorKeys": [possession_line(self.operator)],
            "signatures": DEFAULT_SIGNATURES,
            "bundles": "members",
        }

    def admit(self, name: str, **body: Any) -> int:
        body.setdefault("publicKey", possession_line(key_of(name)))
        return self.state("member", {"subject": name, "name": name.title(), **body}, by="operator")

    def admit_without_key(self, name: str, until_ms: int) -> int:
        delegation = {"service": possession_line(key_of(f"service {name}")), "until": time_text(until_ms)}
        return self.state(
            "member", {"subject": name, "name": name.title(), "delegation": delegation}, by="operator"
        )

    def draw(self) -> bytes:
        self.drawn += 1
        return seeded(f"draw {self.drawn}")

    def envelope(
        self,
        kind: str,
        body: Mapping[str, Any],
        by: str,
        *,
        keys: Sequence[SigningKey] | None = None,
        seen: tuple[int, bytes] | None = None,
        log: str | None = None,
        statement_id: str | None = None,
    ) -> bytes:
        keys = keys or [key_of(by)]
        if seen is None:
            seen = (0, merkle.EMPTY_ROOT) if kind == "charter" else self.last_seen()
        statement = Statement(
            kind,
            log or self.origin,
            by,
            key_id(keys[0].public_bytes),
            statement_id or self.draw()[:16].hex(),
            time_text(self.clock_ms),
            seen,
            body,
        )
        return sign_statement(payload_bytes(statement), keys)

    def last_seen(self) -> tuple[int, bytes]:
        if not self.archive:
            return 0, merkle.EMPTY_ROOT
        size = max(self.archive)
        return size, merkle.root(self.hashes(size))

    def state(self, kind: str, body: Mapping[str, Any], by: str, **options: Any) -> int:
        """Sequence a statement and give its index; whether it is void is in ``replay.void``."""
        return self.sequence(self.envelope(kind, body, by, **options))

    def sequence(self, envelope: bytes) -> int:
        index = self.replay.size
        if not parse_envelope(envelope).statement.is_registry:
            self.registry.authorise(parse_envelope(envelope), self.clock_ms)
        self._append(envelope)
        if parse_envelope(envelope).statement.is_registry:
            self.seal()
        return index

    def capture(self, by: str, records: Sequence[Mapping[str, Any]], **options: Any) -> Captured:
        salts = tuple([self.draw() for _ in records])
        salt = self.draw()
        commitments = [record_commitment(r, s) for r, s in zip(records, salts, strict=True)]
        body = {"commitment": capture_commitment(salt, commitments).hex()}
        envelope = self.envelope("capture", body, by, **options)
        return Captured(self.sequence(envelope), envelope, salt, tuple(records), salts)

    def seal(self) -> None:
        self.clock_ms += 1_000
        self._append(seal_bytes(self.replay.next_seal(time_text(self.clock_ms))))

    def publish(self) -> bytes:
        """End the batch with a seal where one is due; sign, cosign and keep the checkpoint."""
        if not self.entries or self.replay.seals[-1].index != self.replay.size - 1:
            self.seal()
        self.archive[self.replay.size] = self.checkpoint(self.replay.size)
        return self.archive[self.replay.size]

    def checkpoint(self, size: int) -> bytes:
        point = Checkpoint(self.origin, size, merkle.root(self.hashes(size)))
        time_s = self.clock_ms // 1_000
        lines = [
            cosign(point.text(), vkey.name, key, time_s + number)
            for number, (vkey, key) in enumerate(zip(self.witness_vkeys(), self.witnesses, strict=True))
        ]
        return sign_checkpoint(point, self.log_key, lines)

    def hashes(self, size: int | None = None) -> list[bytes]:
        return [merkle.leaf_hash(entry) for entry in self.entries[:size]]

    def log_vkey(self) -> VerifierKey:
        return VerifierKey(self.origin, ED25519, self.log_key.public_bytes)

    def witness_vkeys(self) -> list[VerifierKey]:
        keys = enumerate(self.witnesses)
        return [VerifierKey(f"witness-{n}.example", COSIGNATURE, key.public_bytes) for n, key in keys]

    def policy(self, threshold: int = 2) -> Policy:
        named = {f"w{number}": vkey for number, vkey in enumerate(self.witness_vkeys())}
        return parse_policy(policy_text(self.log_vkey(), named if threshold else {}, threshold))

    def _append(self, entry: bytes) -> None:
        self.replay.take(entry)
        self.entries.append(entry)
