"""Bundles of many records: what they share stands in them once and is verified once."""

from __future__ import annotations

import json

import pytest

from ledger import ed25519
from ledger.bundle import bundle_of, parse_bundle
from ledger.canonical import canonical
from ledger.errors import VerificationError
from ledger.verify import VerifiedBundle, Verifier, verify_all

from .consortium import Consortium
from .proofs import Prover
from .scene import EVENT, HEADER, bundle, bundle_bytes, scene


def report(records: int = 40) -> tuple[Consortium, bytes]:
    consortium = Consortium.founded("farm", "packer")
    captures = [
        consortium.capture(("farm", "packer")[n % 2], [HEADER, {**EVENT, "n": n}]) for n in range(records)
    ]
    consortium.publish()
    prover = Prover(consortium)
    for captured in captures:
        prover.add(captured, 1)
    return consortium, prover.builder.to_bytes()


def test_a_report_carries_shared_parts_once_and_verifies_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    consortium, data = report()
    value = json.loads(data)
    assert [len(value[name]) for name in ("seals", "keys", "latest", "entries", "records")] == [
        1,
        2,
        2,
        40,
        40,
    ]
    verified = verify_all(parse_bundle(data), consortium.policy())
    assert [one.record["n"] for one in verified] == list(range(40))
    calls: list[bytes] = []

    def counted(public: bytes, message: bytes, signature: bytes) -> bool:
        calls.append(public)
        return real(public, message, signature)

    real = ed25519.verify
    monkeypatch.setattr(ed25519, "verify", counted)
    verifier = Verifier(consortium.policy())
    for _ in range(3):
        verifier.verify_all(parse_bundle(data))
    # One signature by the log and each of three witnesses, once; each capture's own in every run.
    assert len(calls) == 4 + 3 * 40


def test_one_tampered_record_of_a_report_is_named_and_the_others_hold() -> None:
    consortium, data = report()
    value = json.loads(data)
    value["records"][7]["disclosure"]["record"]["n"] = 8
    parsed = bundle_of(value, "/evidence/2")
    with pytest.raises(VerificationError) as caught:
        verify_all(parsed, consortium.policy())
    assert (caught.value.step, caught.value.place) == (2, "/evidence/2/records/7/disclosure")
    results = list(Verifier(consortium.policy()).verify_each(parsed))
    assert [isinstance(one, VerifiedBundle) for one in results] == [n != 7 for n in range(40)]


def test_a_verifier_remembers_nothing_of_a_checkpoint_that_failed() -> None:
    value = bundle(seen=False)
    value["checkpoint"] = "".join(value["checkpoint"].splitlines(keepends=True)[:6])
    verifier = Verifier(scene()[0].policy())
    for _ in range(2):
        with pytest.raises(VerificationError):
            verifier.verify(parse_bundle(canonical(value)))
    verifier.verify(parse_bundle(bundle_bytes(False, None)))
