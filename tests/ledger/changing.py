"""A consortium in memory whose log changes its key, and what it hands to verifiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ledger import merkle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.key_change import UnverifiedChange, evidence_bytes
from ledger.log_key import announce, signing_keys
from ledger.note import ED25519, VerifierKey, parse_note
from ledger.policy import policy_text
from ledger.shape import time_text
from ledger.statement import parse_envelope

from .consortium import ORIGIN, START_MS, Captured, Consortium, key_of
from .proofs import Prover

UNTIL_MS = START_MS + 3_600_000
UNTIL = time_text(UNTIL_MS)


def vkey(name: str, kind: int = ED25519, origin: str = ORIGIN) -> VerifierKey:
    return VerifierKey(origin, kind, key_of(name).public_bytes)


def note(old: str = "log", new: str = "log 2", until: str = UNTIL, origin: str = ORIGIN) -> str:
    return announce(origin, key_of(old), key_of(new), until)


def body(announcement: str) -> dict[str, Any]:
    return {"action": "log", "announcement": announcement}


def policy(*names: str, witnesses: int = 0, one: Consortium | None = None) -> str:
    named = {f"w{n}": each for n, each in enumerate(one.witness_vkeys())} if one and witnesses else {}
    return policy_text([vkey(name) for name in names], named, witnesses)


RECORD: dict[str, Any] = {"@context": [], "type": "T", "a": 1}


@dataclass
class Changing(Consortium):
    """Checkpoints are signed by whoever the entries name."""

    changes: list[UnverifiedChange] = field(default_factory=list)

    def change(self, old: str, new: str, until: str = UNTIL) -> int:
        index = self.state("key", body(note(old, new, until)), by="operator")
        assert index not in self.replay.void, self.replay.void
        published = self.publish()
        path = merkle.inclusion_path(self.hashes(), index)
        envelope = parse_envelope(self.entries[index])
        self.changes.append(UnverifiedChange(envelope, index, tuple(path), published))
        return index

    def checkpoint(self, size: int) -> bytes:
        lines = parse_note(super().checkpoint(size)).signatures[1:]
        keys = {key_of(name).public_bytes: key_of(name) for name in ("log", "log 2", "log 3")}
        last = next(one for one in reversed(self.replay.seals) if one.index < size)
        names = signing_keys(self.registry.log_keys, last.seal.time_ms)
        point = Checkpoint(self.origin, size, merkle.root(self.hashes(size)))
        return sign_checkpoint(point, [keys[one.public] for one in names], lines)

    def signers(self, published: bytes) -> list[str]:
        known = {vkey(name).key_id: name for name in ("log", "log 2", "log 3")}
        return [known[line.key_id] for line in parse_note(published).signatures if line.name == ORIGIN]

    def evidence(self) -> bytes:
        return evidence_bytes(self.changes)

    def proof(self) -> bytes:
        captured = self.capture("farm", [RECORD])
        self.publish()
        return proof_of(self, captured)


def proof_of(one: Consortium, captured: Captured) -> bytes:
    prover = Prover(one)
    prover.add(captured)
    return prover.builder.to_bytes()
