"""The vectors of native receipts are what the code gives, and it reads them as a stranger would."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.backends.openssl.backend import backend

from ledger.canonical import canonical
from ledger.errors import VerificationError
from ledger.hyperledger.receipt import parse_receipt, verify_receipt
from ledger.hyperledger.roots import parse_roots
from ledger.note import parse_vkey
from tests.hyperledger.receipt_vectors import FILE, file_bytes


@pytest.fixture(scope="module")
def vector() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(FILE.read_bytes())
    return value


def test_the_vectors_are_regenerated_byte_for_byte() -> None:
    if not backend.ecdsa_deterministic_supported():
        pytest.skip("this OpenSSL does not sign by RFC 6979")
    assert FILE.read_bytes() == file_bytes()


def test_receipts_of_the_vectors_verify(vector: dict[str, Any]) -> None:
    roots, logs = parse_roots(vector["roots"]), [parse_vkey(text) for text in vector["logs"]]
    for one in vector["receipts"]:
        verified = verify_receipt(parse_receipt(canonical(one["receipt"])), roots, logs)
        assert list(verified.organisations) == one["organisations"]
        assert (verified.block, verified.transaction) == (one["block"], one["transaction"])


def test_receipts_to_refuse_are_refused_at_their_place(vector: dict[str, Any]) -> None:
    roots, logs = parse_roots(vector["roots"]), [parse_vkey(text) for text in vector["logs"]]
    for one in vector["refused"]:
        with pytest.raises(VerificationError) as refused:
            verify_receipt(parse_receipt(canonical(one["receipt"])), roots, logs)
        assert (refused.value.step, refused.value.place) == (10, one["place"]), one["name"]
