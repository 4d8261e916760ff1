"""Reports under policies with witnesses: the same evidence, judged by whoever cosigned its checkpoint."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from fabric.report import html as rendering
from fabric.report import verify_report
from ledger.ed25519 import SigningKey
from ledger.errors import VerificationError
from ledger.note import COSIGNATURE, ED25519, Note, VerifierKey, cosign, parse_note
from ledger.policy import Policy, parse_policy

from .conftest import Demonstration

NAMES = ("one", "two", "three")
TIME_S = 1_800_000_000
STRANGER = VerifierKey("loomark.example/stranger", ED25519, SigningKey(bytes(32)).public_bytes).text()


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
    ("rules", "words"),
    [
        ("group g 2 one two three\nquorum g", "g 2 of 3"),
        ("group h any one two\ngroup g all h three\nquorum g", "g 2 of 2"),
    ],
)
def test_a_report_under_a_quorum_is_no_longer_the_operators_word_alone(
    demo: Demonstration, rules: str, words: str
) -> None:
    verdict = verify_report(cosigned(demo, "one", "three"), policy(demo, rules)).as_json()
    assert verdict["unwitnessed"] is False
    assert verdict["notAfter"] == "2027-01-15T08:01:00Z"
    assert not [word for word in verdict["operatorsWord"] if word.startswith("unwitnessed")]
    assert [step["detail"] for step in verdict["steps"] if step["number"] == 9] == [
        "signed by the log, cosigned by one at 2027-01-15T08:00:00Z, three at 2027-01-15T08:01:00Z:"
        f" quorum {words} met"
    ]
    assert verdict["cosigners"] == {"one": "2027-01-15T08:00:00Z", "three": "2027-01-15T08:01:00Z"}


def test_a_report_without_its_quorum_is_refused_at_step_9(demo: Demonstration) -> None:
    for names in ((), ("one",), ("two",)):
        with pytest.raises(VerificationError) as caught:
            verify_report(cosigned(demo, *names), policy(demo, "group g 2 one two three\nquorum g"))
        assert (caught.value.step, caught.value.place) == (9, "/evidence/checkpoint")


def test_without_a_quorum_asked_the_same_report_says_unwitnessed(demo: Demonstration) -> None:
    verdict = verify_report(cosigned(demo, "one", "two"), policy(demo, "quorum none")).as_json()
    assert verdict["unwitnessed"] is True
    assert verdict["notAfter"] is None


def test_a_report_without_its_quorum_is_shown_as_not_verified(demo: Demonstration) -> None:
    wanted = policy(demo, "group g 2 one two three\nquorum g")
    verified = verify_report(cosigned(demo, "two"), wanted, shows_unwitnessed=True)
    verdict = verified.as_json()
    assert (verdict["verified"], verdict["unwitnessed"], verdict["notAfter"]) == (False, True, None)
    assert [step["number"] for step in verdict["steps"] if not step["ok"]] == [9]
    text = " ".join(rendering.file(verified, wanted.text()).split())
    banner = text.index("Not verified: unwitnessed, the quorum is missing.")
    assert banner < text.index("What is proved")
    assert "expected cosignatures that make the quorum g 2 of 3, got two" in text[banner:]
    assert "Every proof in this report was verified" not in text


def test_showing_a_report_without_its_quorum_forgives_nothing_else(demo: Demonstration) -> None:
    wanted = policy(demo, "group g 2 one two three\nquorum g")
    value = cosigned(demo, "two")
    stranger = parse_policy(wanted.text().replace(demo.policy.logs[0].text(), STRANGER))
    for changed, under in (
        ({**value, "answer": {**value["answer"], "affected": []}}, wanted),
        (value, stranger),
        (_falsely_cosigned(value), wanted),
    ):
        with pytest.raises(VerificationError):
            verify_report(changed, under, shows_unwitnessed=True)


def test_with_its_quorum_nothing_is_missing(demo: Demonstration) -> None:
    wanted = policy(demo, "group g 2 one two three\nquorum g")
    verified = verify_report(cosigned(demo, "one", "two"), wanted, shows_unwitnessed=True)
    assert (verified.as_json()["verified"], verified.missing_quorum) == (True, None)
    assert "quorum is missing" not in rendering.file(verified, wanted.text())


def _falsely_cosigned(value: Any) -> Any:
    """The same report with another byte in the cosignature of its checkpoint."""
    evidence = dict(value["evidence"])
    head, _, line = evidence["checkpoint"].rstrip("\n").rpartition(" ")
    evidence["checkpoint"] = f"{head} {line[:-8]}{'AAAA' if line[-8:-4] != 'AAAA' else 'BBBB'}{line[-4:]}\n"
    return {**value, "evidence": evidence}
