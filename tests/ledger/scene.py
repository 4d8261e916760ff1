"""One small scene for the tests of the verifier: a capture by a member's own key, one in custody, and bundles of them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from .consortium import START_MS, Captured, Consortium, key_of
from .proofs import Prover

EVENT: dict[str, Any] = {
    "@context": [{"url": "https://example.org/epcis", "sha256": None}],
    "type": "ObjectEvent",
    "epcList": ["urn:a", "urn:b", "urn:c"],
    "readPoint": {"id": "urn:place"},
    "ilmd": {"lot": "A1", "weight": 5.25},
}
HEADER: dict[str, Any] = {
    "@context": [],
    "type": None,
    "document": {},
    "source": {"sha256": "00" * 32, "mediaType": "x"},
}
Bundle = dict[str, Any]


@cache
def scene() -> tuple[Consortium, Captured, Captured]:
    """A consortium, a capture by a member's own key after a published checkpoint, and one in custody."""
    consortium = Consortium.founded("farm", "packer")
    consortium.admit_without_key("shop", START_MS + 10**9)
    consortium.publish()
    own = consortium.capture("farm", [HEADER, EVENT, {**EVENT, "type": "AggregationEvent"}])
    custody = consortium.capture("shop", [HEADER, EVENT], keys=[key_of("service shop")])
    consortium.publish()
    for _ in range(5):
        consortium.capture("packer", [HEADER])
    consortium.publish()
    return consortium, own, custody


@cache
def bundle_bytes(seen: bool, pointers: tuple[str, ...] | None) -> bytes:
    consortium, own, _ = scene()
    prover = Prover(consortium)
    prover.add(own, 1, pointers, seen=seen)
    return prover.builder.to_bytes()


def bundle(seen: bool = True, pointers: tuple[str, ...] | None = None) -> Bundle:
    value: Bundle = json.loads(bundle_bytes(seen, pointers))
    return value
