"""The reference event and bundle of the speed budgets: 900 bytes and 15 units in a log of 10,000,000 entries, 3 witnesses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from ledger import merkle
from ledger.bundle import Included, ProofParts
from ledger.capture import capture_commitment
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.commitment import record_commitment
from ledger.disclosure import disclose
from ledger.note import cosign
from ledger.policy import Policy
from ledger.seal import Seal, seal_bytes
from ledger.shape import time_text
from ledger.statement import parse_envelope

from .consortium import START_MS, Consortium, key_of, seeded

LOG_SIZE = 10_000_000
CAPTURE_RECORDS = 1_001

EVENT: dict[str, Any] = {
    "@context": [
        {"url": "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", "sha256": "ab" * 32}
    ],
    "type": "ObjectEvent",
    "eventID": "urn:uuid:7a7e4f5e-6a4c-4a59-9d1b-2f7f0c1f2a55",
    "eventTime": "2026-03-04T10:11:12.000+01:00",
    "eventTimeZoneOffset": "+01:00",
    "action": "OBSERVE",
    "bizStep": "shipping",
    "disposition": "in_transit",
    "epcList": ["urn:epc:id:sscc:4012345.0123456789", "https://id.gs1.org/01/04012345123456/21/S1"],
    "quantityList": [
        {"epcClass": "urn:epc:class:lgtin:4012345.012345.LOT-1", "quantity": 125.5, "uom": "KGM"}
    ],
    "bizTransactionList": [{"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000009:PO-1"}],
    "readPoint": {"id": "urn:epc:id:sgln:4012345.00001.0"},
    "sourceList": [{"type": "possessing_party", "source": "urn:epc:id:pgln:4012345.00000"}],
    "destinationList": [{"type": "possessing_party", "destination": "urn:epc:id:pgln:4012346.00000"}],
}
"""About 900 bytes in canonical form and 15 units: 14 members, of which one is a group of two elements."""


class SparseTree:
    """A tree of which only some leaves are given; all other subtrees have made-up heads."""

    def __init__(self, size: int, leaves: Mapping[int, bytes]) -> None:
        self.size = size
        self.leaves = leaves
        self._known: dict[tuple[int, int], bytes] = {}

    def reader(self, level: int, index: int) -> bytes:
        if not any(at >> level == index for at in self.leaves):
            return sha256(b"%d %d" % (level, index)).digest()
        if level == 0:
            return self.leaves[index]
        if (level, index) not in self._known:
            left, right = self.reader(level - 1, 2 * index), self.reader(level - 1, 2 * index + 1)
            self._known[level, index] = merkle.node_hash(left, right)
        return self._known[level, index]

    def root(self) -> bytes:
        return merkle.root_from(self.reader, self.size)

    def path(self, index: int) -> list[bytes]:
        return merkle.inclusion_path_from(self.reader, index, self.size)


@cache
def reference() -> tuple[ProofParts, Policy]:
    """The parts of the reference bundle, and the policy under which it verifies: three of three witnesses."""
    consortium = Consortium.founded(*[f"member-{number}" for number in range(50)])
    registry = consortium.registry
    record_salt, salt = seeded("reference record"), seeded("reference capture")
    commitments = [seeded(f"record {number}") for number in range(CAPTURE_RECORDS)]
    commitments[500] = record_commitment(EVENT, record_salt)
    body = {"commitment": capture_commitment(salt, commitments).hex()}
    envelope = consortium.envelope("capture", body, "member-7")
    index, seal_index = 6_543_210, 6_543_215
    seal = Seal(consortium.origin, index - 5, time_text(START_MS), registry.head(), registry.head())
    last = Seal(
        consortium.origin, LOG_SIZE - 9, time_text(START_MS + 1_000), registry.head(), registry.head()
    )
    leaves = {index: envelope, seal_index: seal_bytes(seal), LOG_SIZE - 1: seal_bytes(last)}
    tree = SparseTree(LOG_SIZE, {at: merkle.leaf_hash(data) for at, data in leaves.items()})
    point = Checkpoint(consortium.origin, LOG_SIZE, tree.root())
    cosigners = zip(consortium.witness_vkeys(), consortium.witnesses, strict=True)
    lines = [cosign(point.text(), vkey.name, key, START_MS // 1_000) for vkey, key in cosigners]
    keyid = parse_envelope(envelope).statement.key
    key = Included(*registry.path(keyid))
    parts = ProofParts(
        checkpoint=sign_checkpoint(point, key_of("log"), lines),
        last_seal=seal_bytes(last),
        last_path=tree.path(LOG_SIZE - 1),
        seal=seal,
        seal_at=Included(seal_index, tree.path(seal_index)),
        key=registry.record(keyid),
        key_at=key,
        latest=registry.record(keyid),
        latest_at=key,
        envelope=envelope,
        entry_at=Included(index, tree.path(index)),
        salt=salt,
        count=CAPTURE_RECORDS,
        record_at=Included(500, merkle.inclusion_path(commitments, 500)),
        commitment=commitments[500],
        disclosure=disclose(EVENT, record_salt),
    )
    return parts, consortium.policy(3)
