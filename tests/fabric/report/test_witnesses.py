"""Reports under policies with witnesses: the same evidence, judged by whoever cosigned its checkpoint."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from fabric.report import verify_report
from ledger.ed25519 import SigningKey
from ledger.errors import VerificationError
from ledger.note import COSIGNATURE, Note, VerifierKey, cosign, parse_note
from ledger.policy import Policy, parse_policy

from .conftest import Demonstration

NAMES = ("one", "two", "three")
TIME_S = 1_800_000_000


def key_of(name: str) -> SigningKey:
    return SigningKey(sha256(f"report witness {name}".encode()).digest())


def policy(demo: Demonstration, rules: str) -> Policy:
    lines = [f"log {demo.policy.logs[0].text()}"]
    for name in NAMES:
        lines.append(f"witness {name} {VerifierKey(name, COSIGNATURE, key_of(name).public_bytes).text()}")
    return parse_policy("\n".join([*lines, rules]))


def cosigned(demo: Demonstration, *names: str) -> Any:
    """A report under a checkpoint that these witnesses cosigned, a minute apart."""
    path = demo.sim.folder / "log" / "checkpoint"
    published = path.read_bytes()
    note = parse_note(published)
    lines = [cosign(note.text, name, key_of(name), TIME_S + 60 * at) for at, name in enumerate(names)]
    path.write_bytes(Note(note.text, (*note.signatures, *lines)).data())
    try:
        return demo.report(demo.lot)
    finally:
        path.write_bytes(published)


@pytest.mark.parametrize(
    "rules", ["group g 2 one two three\nquorum g", "group h any one two\ngroup g all h three\nquorum g"]
)
def test_a_report_under_a_quorum_is_no_longer_the_operators_word_alone(
    demo: Demonstration, rules: str
) -> None:
    verdict = verify_report(cosigned(demo, "one", "three"), policy(demo, rules)).as_json()
    assert verdict["unwitnessed"] is False
    assert verdict["notAfter"] == "2027-01-15T08:01:00Z"
    assert not [word for word in verdict["operatorsWord"] if word.startswith("unwitnessed")]
    assert [step["detail"] for step in verdict["steps"] if step["number"] == 9] == [
        "signed by the log and the quorum"
    ]


def test_a_report_without_its_quorum_is_refused_at_step_9(demo: Demonstration) -> None:
    for names in ((), ("one",), ("two",)):
        with pytest.raises(VerificationError) as caught:
            verify_report(cosigned(demo, *names), policy(demo, "group g 2 one two three\nquorum g"))
        assert (caught.value.step, caught.value.place) == (9, "/evidence/checkpoint")


def test_without_a_quorum_asked_the_same_report_says_unwitnessed(demo: Demonstration) -> None:
    verdict = verify_report(cosigned(demo, "one", "two"), policy(demo, "quorum none")).as_json()
    assert verdict["unwitnessed"] is True
    assert verdict["notAfter"] is None
