"""The organisations' quorum under an own checkpoint: the file that shows it, and the policy that it verifies under."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint
from ledger.errors import InvalidInput
from ledger.hyperledger.anchor import store
from ledger.hyperledger.anchor.quorum import (
    POLICY_FILE,
    TooFew,
    complete_note,
    counted,
    joined_policy,
    organisations_policy,
    valid_lines,
)
from ledger.hyperledger.channel import Organisation
from ledger.hyperledger.connection import Anchoring
from ledger.note import COSIGNATURE, MAX_SIGNATURES, Note, VerifierKey, cosign, parse_note, sign
from ledger.policy import parse_policy
from ledger.verify import Verifier
from tests.chaincode.memory import seeded

from .anchoring import Member, members

MSPS = ("Org1MSP", "Org2MSP", "Org3MSP")


def vkey(msp: str) -> VerifierKey:
    return VerifierKey(msp, COSIGNATURE, seeded(f"cosigner {msp}").public_bytes)


def organisation(msp: str) -> Organisation:
    return Organisation(msp, {}, vkey(msp).text())


def verified(member: Member, policy: str) -> list[str]:
    """Who signed what is in `log/anchored`, by an offline verifier under a policy."""
    found = member.anchored()
    assert found is not None
    head = Verifier(parse_policy(policy)).checkpoint(found[1], member.origin)
    assert not head.unwitnessed
    return [one.key.name for one in head.signatures]


def test_two_organisations_make_a_quorum_of_two_and_one_does_not(tmp_path: Path) -> None:
    _, (one, two) = members(tmp_path, *MSPS[:2], anchoring=Anchoring(quorum=2))
    one.grow(5)
    one.submit()
    one.watch()
    assert one.lines(5) == ["Org1MSP"]
    assert one.anchored() is None
    two.watch()
    one.watch()
    found = one.anchored()
    assert found is not None
    assert found[0] == Checkpoint(one.origin, 5, one.log.root(5))
    assert verified(one, one.policy()) == [one.origin, "Org1MSP", "Org2MSP"]


def test_checkpoints_that_never_get_their_quorum_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_WAITING", 3, raising=False)
    _, (one, two) = members(tmp_path, *MSPS[:2], anchoring=Anchoring(quorum=2))
    for _ in range(8):
        one.grow(1)
        one.submit()
        one.watch()
    with one.store.turn() as turn:
        assert [kept.size for kept in turn.waiting(100)] == [8, 7, 6]
    two.watch()
    one.watch()
    found = one.anchored()
    assert found is not None
    assert found[0].size == 8


def test_a_verifier_refuses_a_quorum_of_k_when_k_less_one_cosigned(tmp_path: Path) -> None:
    _, (one, two, _) = members(tmp_path, *MSPS, anchoring=Anchoring(quorum=2))
    one.grow(5)
    one.submit()
    one.watch()
    two.watch()
    one.watch()
    assert verified(one, one.policy()) == [one.origin, "Org1MSP", "Org2MSP"]
    strict = one.policy().replace("group orgs 2 ", "group orgs 3 ")
    with pytest.raises(InvalidInput) as refused:
        verified(one, strict)
    assert refused.value.rule == "no-quorum"


def test_a_line_that_comes_later_is_added_and_the_file_never_shrinks(tmp_path: Path) -> None:
    _, (one, two, three) = members(tmp_path, *MSPS)
    one.grow(5)
    one.submit()
    for member in (one, two, one):
        member.watch()
    assert verified(one, one.policy()) == [one.origin, "Org1MSP", "Org2MSP"]
    three.watch()
    one.watch()
    assert verified(one, one.policy()) == [one.origin, "Org1MSP", "Org2MSP", "Org3MSP"]
    before = one.anchored()
    one.grow(2)
    one.submit()
    one.watch()
    assert one.anchored() == before
    two.watch()
    one.watch()
    after = one.anchored()
    assert after is not None
    assert after[0].size == 7
    one.collector.gather_at(5)
    assert one.anchored() == after


def test_an_own_line_that_does_not_count_leaves_the_quorum_to_the_others(tmp_path: Path) -> None:
    anchoring = Anchoring(quorum=1, count_own=False)
    _, (one, two) = members(tmp_path, *MSPS[:2], anchoring=anchoring)
    one.grow(5)
    one.submit()
    one.watch()
    assert (one.lines(5), one.anchored()) == (["Org1MSP"], None)
    two.watch()
    one.watch()
    policy = one.policy()
    assert "witness Org1MSP" not in policy
    assert verified(one, policy) == [one.origin, "Org2MSP"]


def test_the_quorum_is_found_again_by_a_collector_that_missed_every_event(tmp_path: Path) -> None:
    _, (one, two) = members(tmp_path, *MSPS[:2])
    for count in (5, 1, 1):
        one.grow(count)
    one.submit()
    one.cosigner.require_registered()
    two.watch()
    one.watch()
    with one.store.turn() as turn:
        assert [kept.size for kept in turn.waiting(99)] == [7]
    (tmp_path / "Org1MSP" / "log" / "anchored").unlink()
    one.die()
    one.open()
    one.collector.learn()
    assert one.collector.gather()
    assert one.collector.size == 7
    assert not one.collector.gather()


def test_lines_by_nobody_or_that_do_not_hold_are_left_out() -> None:
    text = Checkpoint("log.example/x", 5, bytes(32)).text()
    good = cosign(text, "Org1MSP", seeded("cosigner Org1MSP"), 7)
    other = cosign(text.replace("5", "6"), "Org2MSP", seeded("cosigner Org2MSP"), 7)
    plain = sign(text, "Org3MSP", seeded("cosigner Org3MSP"))
    lines = {
        "Org1MSP": good.text().encode(),
        "Org2MSP": other.text().encode(),
        "Org3MSP": plain.text().encode(),
        "Nobody": good.text().encode(),
    }
    keys = {msp: vkey(msp) for msp in MSPS}
    assert valid_lines(text, lines, keys) == {"Org1MSP": good}
    for broken in (b"", b"garbage", good.text().encode() * 2, b"\xff\xfe", good.text().encode()[:-1]):
        assert valid_lines(text, {"Org1MSP": broken}, keys) == {}


def test_a_note_takes_no_more_lines_than_a_verifier_and_those_that_count_first() -> None:
    text = Checkpoint("log.example/x", 5, bytes(32)).text()
    lines = {f"Org{n:02d}": cosign(text, f"Org{n:02d}", seeded(f"{n}"), 7) for n in range(40)}
    note = Note(text, (sign(text, "log.example/x", seeded("log")),))
    full = complete_note(note, lines, {"Org38": 1, "Org39": 1})
    assert len(parse_note(full.data()).signatures) == MAX_SIGNATURES
    assert [one.name for one in full.signatures[:4]] == ["log.example/x", "Org38", "Org39", "Org00"]


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_without_a_number_the_quorum_is_more_than_half(count: int, needed: int) -> None:
    found = [organisation(f"Org{n}MSP") for n in range(count)]
    assert counted(found, "Org0MSP", Anchoring())[1] == needed


def test_the_policy_names_each_organisation_by_its_msp_id(tmp_path: Path) -> None:
    text = organisations_policy([organisation(msp) for msp in MSPS], "Org1MSP", Anchoring(quorum=2))
    assert text is not None
    assert text.splitlines() == [
        *[f"witness {msp} {vkey(msp).text()}" for msp in MSPS],
        "group orgs 2 Org1MSP Org2MSP Org3MSP",
        "quorum orgs",
    ]


def test_there_is_no_policy_while_fewer_are_registered_than_it_needs(tmp_path: Path) -> None:
    assert organisations_policy([organisation("Org1MSP")], "Org1MSP", Anchoring(quorum=2)) is None
    _, (one,) = members(tmp_path, "Org1MSP", anchoring=Anchoring(quorum=2))
    with pytest.raises(TooFew, match="expected 2 organisations"):
        one.watch()
    assert not (tmp_path / "Org1MSP" / "hyperledger" / POLICY_FILE).exists()


@pytest.mark.parametrize("name", ["Org3#MSP", "Org1MSP", "Org3MSP#"])
def test_a_key_of_another_name_than_its_msp_id_neither_counts_nor_breaks_the_policy(name: str) -> None:
    odd = VerifierKey(name, COSIGNATURE, seeded("odd").public_bytes)
    found = [*map(organisation, MSPS[:2]), Organisation("Org3MSP", {}, odd.text())]
    text = organisations_policy(found, "Org1MSP", Anchoring(quorum=2))
    assert text == organisations_policy(found[:2], "Org1MSP", Anchoring(quorum=2))


def test_an_organisation_that_registers_a_witness_key_of_the_node_breaks_no_policy() -> None:
    log = VerifierKey("log.example/x", 1, seeded("log").public_bytes)
    copied = VerifierKey("Org3MSP", COSIGNATURE, seeded("witness").public_bytes)
    found = [*map(organisation, MSPS[:2]), Organisation("Org3MSP", {}, copied.text())]
    witness = VerifierKey("w.example/1", COSIGNATURE, seeded("witness").public_bytes)
    asked = parse_policy(f"log {log.text()}\nwitness w {witness.text()}\nquorum w\n")
    orgs = organisations_policy(found, "Org1MSP", Anchoring(quorum=2))
    assert orgs is not None
    policy = parse_policy(joined_policy([log], orgs, asked))
    assert policy.groups["orgs"].members == ("Org1MSP", "Org2MSP")
    assert policy.satisfied_by(["Org1MSP", "Org2MSP", "w"])
    assert not policy.satisfied_by(["Org1MSP", "w"])
    strict = organisations_policy(found, "Org1MSP", Anchoring(quorum=3))
    assert strict is not None
    with pytest.raises(TooFew):
        joined_policy([log], strict, asked)


def test_a_quorum_of_witnesses_is_asked_for_besides() -> None:
    orgs = organisations_policy([organisation(msp) for msp in MSPS[:2]], "Org1MSP", Anchoring(quorum=2))
    assert orgs is not None
    log = VerifierKey("log.example/x", 1, seeded("log").public_bytes)
    witness = VerifierKey("w.example/1", COSIGNATURE, seeded("witness").public_bytes)
    plain = parse_policy(joined_policy([log], orgs, None))
    assert plain.quorum == "orgs"
    listed = parse_policy(f"log {log.text()}\nwitness w {witness.text()}\nquorum none\n")
    assert parse_policy(joined_policy([log], orgs, listed)).quorum == "orgs"
    asked = parse_policy(f"log {log.text()}\nwitness w {witness.text()} http://w.example\nquorum w\n")
    both = parse_policy(joined_policy([log], orgs, asked))
    assert not both.satisfied_by(["Org1MSP", "Org2MSP"])
    assert not both.satisfied_by(["Org1MSP", "w"])
    assert both.satisfied_by(["Org1MSP", "Org2MSP", "w"])
    assert both.urls == {"w": "http://w.example"}
