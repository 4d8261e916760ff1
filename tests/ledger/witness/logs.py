"""A log in memory for tests of witnesses: leaf hashes, signed checkpoints of any size, requests with right or wrong proofs."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey
from ledger.note import ED25519, SignatureLine, VerifierKey
from ledger.witness.exchange import request_bytes

ORIGIN = "log.example/witnessed"


def key_of(name: str) -> SigningKey:
    return SigningKey(sha256(f"witness test {name}".encode()).digest())


class MemoryLog:
    """A log whose leaf `i` hashes `name` and `i`: two names are two histories."""

    def __init__(self, name: str = "main", origin: str = ORIGIN, key: SigningKey | None = None) -> None:
        self.origin = origin
        self.key = key or key_of("log")
        self._name = name

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.origin, ED25519, self.key.public_bytes)

    def leaves(self, size: int) -> list[bytes]:
        return [merkle.leaf_hash(f"{self._name} {index}".encode()) for index in range(size)]

    def head(self, size: int) -> Checkpoint:
        return Checkpoint(self.origin, size, merkle.root(self.leaves(size)))

    def note(self, size: int, lines: Sequence[SignatureLine] = ()) -> bytes:
        return sign_checkpoint(self.head(size), self.key, lines)

    def proof(self, old: int, size: int) -> list[bytes]:
        return merkle.consistency_path(self.leaves(size), old) if 0 < old < size else []

    def request(self, old: int, size: int, lines: Sequence[SignatureLine] = ()) -> bytes:
        return request_bytes(old, self.proof(old, size), self.note(size, lines))
