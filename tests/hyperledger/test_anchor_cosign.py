"""What an organisation cosigns: only what its own peer has and what grew from all it cosigned before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger import merkle
from ledger.checkpoint import Checkpoint, checkpoint_of, sign_checkpoint
from ledger.errors import InvalidInput, Unavailable
from ledger.hyperledger.anchor.cosigner import MOST_LOOKS, Cosigner, NotRegistered
from ledger.hyperledger.anchor.status import Status, reasons
from ledger.hyperledger.channel import Anchored, ChannelEvent
from ledger.hyperledger.errors import ChaincodeRefused, IdentityRefused, NetworkAway, PeerMessage
from ledger.misbehaviour import parse_misbehaviour, verify_misbehaviour
from ledger.note import COSIGNATURE, VerifierKey, parse_note, verify_note
from ledger.policy import parse_policy, policy_text
from tests.chaincode.memory import seeded

from .anchoring import Member, MemoryChannel, event_of, members

COSIGN = "checkpoints:cosign"


def checkpoints(channel: MemoryChannel) -> list[ChannelEvent]:
    return [event_of(raw) for raw in channel.events if raw.name == "checkpoint"]


def pair(tmp_path: Path) -> tuple[MemoryChannel, Member, Member]:
    channel, (one, two) = members(tmp_path, "Org1MSP", "Org2MSP")
    return channel, one, two


def cosigned(member: Member, origin: str) -> tuple[int, bytes]:
    with member.store.turn() as turn:
        last = turn.seen(origin)
    return last.size, last.root


def test_each_accepted_checkpoint_is_cosigned_by_its_own_organisation_and_by_another(tmp_path: Path) -> None:
    channel, one, two = pair(tmp_path)
    for count in (2, 3, 260):
        one.grow(count)
    one.submit()
    one.watch()
    two.watch()
    for size in (2, 5, 265):
        lines = one.channel.cosignatures(one.origin, size)
        assert sorted(lines) == ["Org1MSP", "Org2MSP"]
        record = one.channel.at(one.origin, size)
        assert record is not None
        note = parse_note(record.note + b"".join(lines.values()))
        keys = [VerifierKey(m.msp, COSIGNATURE, m.cosigner_key.public_bytes) for m in (one, two)]
        assert [found.key.name for found in verify_note(note, keys)] == ["Org1MSP", "Org2MSP"]
    assert cosigned(two, one.origin) == (265, one.log.root(265))
    two.watch()
    assert channel.valid(COSIGN) == 6


def test_the_line_is_durable_before_it_is_sent_and_the_same_line_is_sent_again(tmp_path: Path) -> None:
    channel, one, two = pair(tmp_path)
    one.grow(4)
    one.submit()
    two.cosigner.require_registered()
    two.take(checkpoints(channel)[0])
    with two.store.turn() as turn:
        (made,) = turn.unsent()
    channel.away = True
    with pytest.raises(NetworkAway):
        two.cosigner.send()
    two.die()
    two.clock.now_s += 1000
    two.open()
    channel.away = False
    two.watch()
    assert two.channel.cosignatures(one.origin, 4) == {"Org2MSP": made.line}
    with two.store.turn() as turn:
        assert turn.unsent() == []


def test_a_line_that_is_there_already_counts_as_sent(tmp_path: Path) -> None:
    channel, one, two = pair(tmp_path)
    one.grow(4)
    one.submit()
    lost = [True]

    def fault(step: str, place: str) -> None:
        if (step, place) == (COSIGN, "after") and lost.pop():
            raise NetworkAway("no answer")

    two.gateway.fault = fault
    with pytest.raises(NetworkAway):
        two.watch()
    two.gateway.fault = lambda step, place: None
    two.watch()
    assert channel.valid(COSIGN) == 1
    with two.store.turn() as turn:
        assert turn.unsent() == []


@pytest.mark.parametrize(("status", "rule"), [(409, "already-cosigned"), (400, "bad-note"), (422, "fork")])
def test_another_organisations_refusal_takes_no_line_from_those_that_wait(
    tmp_path: Path, status: int, rule: str
) -> None:
    _, one, two = pair(tmp_path)
    one.grow(4)
    one.submit()

    def lie(step: str, place: str) -> None:
        if (step, place) == (COSIGN, "before"):
            raise ChaincodeRefused(status, rule, "no", [PeerMessage("peer1:7051", "Org1MSP", "no")])

    two.gateway.fault = lie
    with pytest.raises(ChaincodeRefused, match=rule):
        two.watch()
    with two.store.turn() as turn:
        assert turn.unsent_count() == 1
    two.gateway.fault = lambda step, place: None
    two.watch()
    assert one.lines(4) == ["Org2MSP"]
    with two.store.turn() as turn:
        assert turn.unsent() == []


def test_a_line_that_the_own_peer_can_never_take_is_let_go_of(tmp_path: Path) -> None:
    _, one, two = pair(tmp_path)
    one.grow(4)
    one.submit()

    def refuse(step: str, place: str) -> None:
        if (step, place) == (COSIGN, "before"):
            raise ChaincodeRefused(400, "bad-note", "no", [PeerMessage("peer2:7051", "Org2MSP", "no")])

    two.gateway.fault = refuse
    two.watch()
    with two.store.turn() as turn:
        assert turn.unsent() == []


def test_a_log_that_grows_without_end_does_not_keep_the_lines_of_others_waiting(tmp_path: Path) -> None:
    channel, (one, two, three) = members(tmp_path, "Org1MSP", "Org2MSP", "Org3MSP")
    for _ in range(40):
        two.grow(1)
    two.submit()
    one.grow(3)
    one.submit()
    three.cosigner.require_registered()
    for event in checkpoints(channel):
        three.take(event)
    with three.store.turn() as turn:
        first = turn.unsent(4)
        assert [(line.origin, line.size) for line in first] == [
            (two.origin, 1),
            (one.origin, 3),
            (two.origin, 2),
            (two.origin, 3),
        ]
        assert turn.unsent_count() == 41
    three.watch()
    assert one.lines(3) == two.lines(40) == ["Org3MSP"]


def test_an_event_of_a_block_beyond_all_that_can_be_kept_ends_no_anchor(tmp_path: Path) -> None:
    channel, one, two = pair(tmp_path)
    one.grow(4)
    one.submit()
    two.cosigner.require_registered()
    with pytest.raises(Unavailable, match="cannot be kept"):
        two.take(replace(checkpoints(channel)[0], block=2**64 - 1))
    with two.store.turn() as turn:
        assert turn.position() is None
    two.watch()
    assert one.lines(4) == ["Org2MSP"]


def test_events_missed_while_away_are_dealt_with_in_order(tmp_path: Path) -> None:
    _, one, two = pair(tmp_path)
    one.grow(2)
    one.submit()
    two.watch()
    for count in (1, 1, 1):
        one.grow(count)
    one.submit()
    two.watch()
    assert [one.lines(size) for size in (2, 3, 4, 5)] == [["Org2MSP"]] * 4


def test_records_between_the_last_cosigned_and_the_announced_one_are_verified_too(tmp_path: Path) -> None:
    channel, one, two = pair(tmp_path)
    for count in (2, 1, 1, 1):
        one.grow(count)
    one.submit()
    two.cosigner.require_registered()
    two.take(checkpoints(channel)[-1])
    assert cosigned(two, one.origin) == (5, one.log.root(5))
    with two.store.turn() as turn:
        assert [line.size for line in turn.unsent()] == [2, 3, 4, 5]


def test_nothing_is_cosigned_before_the_own_key_is_registered(tmp_path: Path) -> None:
    channel, (one,) = members(tmp_path, "Org1MSP")
    late = Member(channel, "Org2MSP", tmp_path / "late")
    one.grow(3)
    one.submit()
    with pytest.raises(NotRegistered):
        late.watch()
    late.register(cosigner=seeded("another key"))
    with pytest.raises(NotRegistered, match="another key"):
        late.watch()
    assert cosigned(late, one.origin)[0] == 0
    late.register()
    late.watch()
    assert one.lines(3) == ["Org2MSP"]


class Lying:
    """A channel whose answers to `at` and `history` are changed on the way: a peer, or a chaincode, that lies."""

    def __init__(self, member: Member, lie: Any) -> None:
        self._channel = member.channel
        self._lie = lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def at(self, origin: str, size: int) -> Anchored | None:
        found = self._channel.at(origin, size)
        return None if found is None else self._lie(found)

    def history(self, origin: str, after: int = 0, limit: int = 100) -> list[Anchored]:
        found = [self._lie(one) for one in self._channel.history(origin, after, limit)]
        return [one for one in found if one is not None]


def forked(one: Member, size: int) -> tuple[bytes, bytes]:
    """Another tree that the log's key signed: root and note."""
    root = merkle.root([merkle.leaf_hash(b"forked %d" % index) for index in range(size)])
    return root, sign_checkpoint(Checkpoint(one.origin, size, root), one.log.key)


def lies(one: Member) -> dict[str, Any]:
    root, note = forked(one, 7)
    stranger = seeded("stranger")
    return {
        "a proof that does not hold": (
            lambda r: replace(r, proof=(bytes(32), *r.proof[1:])),
            "not-consistent",
        ),
        "no proof": (lambda r: replace(r, proof=()), "not-consistent"),
        "another start": (lambda r: replace(r, start=3), "not-consistent"),
        "as if it were the first": (lambda r: replace(r, start=0, proof=()), "not-consistent"),
        "a tree that does not extend": (lambda r: replace(r, root=root, note=note), "wrong-root"),
        "the note of another tree": (lambda r: replace(r, note=note), "wrong-note"),
        "no signature by the log": (
            lambda r: replace(r, note=sign_checkpoint(checkpoint_of(parse_note(r.note)), stranger)),
            "unsigned-note",
        ),
        "no record": (lambda _: None, "no-such-checkpoint"),
    }


LIES = [
    "a proof that does not hold",
    "no proof",
    "another start",
    "as if it were the first",
    "a tree that does not extend",
    "the note of another tree",
    "no signature by the log",
    "no record",
]


@pytest.mark.parametrize("told", LIES)
def test_what_does_not_prove_its_growth_is_not_cosigned_whatever_the_peer_says(
    tmp_path: Path, told: str
) -> None:
    _, one, two = pair(tmp_path)
    one.grow(5)
    one.submit()
    two.watch()
    one.grow(2)
    one.submit()
    lie, rule = lies(one)[told]
    honest = two.cosigner
    two.cosigner = Cosigner(
        two.store,
        Lying(two, lie),
        two.msp,
        two.cosigner_key,
        clock_s=lambda: 1,
        evidence=tmp_path / "evidence",
    )
    for _ in range(MOST_LOOKS - 1 if told == "no record" else 0):
        with pytest.raises(Unavailable):
            two.watch()
    two.watch()
    assert cosigned(two, one.origin) == (5, one.log.root(5))
    assert one.lines(7) == []
    with two.store.turn() as turn:
        (refusal,) = turn.refusals()
        assert turn.unsent() == []
    assert (refusal.origin, refusal.size, refusal.rule) == (one.origin, 7, rule)
    refusals = [{"origin": one.origin, "size": 7, "rule": rule, "reason": "x"}]
    told_people = reasons(Status(refusals=refusals), 0)
    assert told_people == [f"not cosigned: {one.origin} at size 7: {rule}: x"]
    # A peer that tells the truth again is believed again, with the record in between.
    two.cosigner = honest
    one.grow(1)
    one.submit()
    two.watch()
    assert (one.lines(7), one.lines(8)) == (["Org2MSP"], ["Org2MSP"])
    with two.store.turn() as turn:
        assert turn.refusals() == []


def test_a_peer_that_has_the_record_a_moment_later_is_asked_again(tmp_path: Path) -> None:
    _, one, two = pair(tmp_path)
    one.grow(5)
    one.submit()
    # An organisation may have several peers, and another one of them answers than the one that told of the event.
    missing = [True, True]
    lying = Lying(two, lambda record: None if missing and missing.pop() else record)
    two.cosigner = Cosigner(
        two.store, lying, two.msp, two.cosigner_key, clock_s=lambda: 1, evidence=tmp_path / "evidence"
    )
    for _ in range(2):
        with pytest.raises(Unavailable, match="not yet"):
            two.watch()
    two.watch()
    assert one.lines(5) == ["Org2MSP"]
    with two.store.turn() as turn:
        assert turn.refusals() == []


def test_a_forked_event_with_its_record_is_not_cosigned(tmp_path: Path) -> None:
    channel, one, two = pair(tmp_path)
    one.grow(5)
    one.submit()
    two.watch()
    root, note = forked(one, 9)
    event = ChannelEvent("checkpoint", 99, "99", {"origin": one.origin, "size": 9, "root": root.hex()})
    record = Anchored(one.origin, 9, root, "Org1MSP", 5, note, (bytes(32),))
    lying = Lying(two, None)
    lying.at = lambda origin, size: record  # type: ignore[method-assign]
    two.cosigner = Cosigner(
        two.store, lying, two.msp, two.cosigner_key, clock_s=lambda: 1, evidence=tmp_path / "evidence"
    )
    two.cosigner.require_registered()
    two.take(event)
    assert cosigned(two, one.origin) == (5, one.log.root(5))
    with two.store.turn() as turn:
        assert [one.rule for one in turn.refusals()] == ["not-consistent"]
        assert turn.unsent() == []
    assert channel.valid(COSIGN) == 1


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"origin": 7, "size": 7, "root": "00" * 32},
        {"origin": "log.example/org1msp", "size": "7", "root": "00" * 32},
        {"origin": "log.example/org1msp", "size": True, "root": "00" * 32},
        {"origin": "log.example/org1msp", "size": 0, "root": "00" * 32},
        {"origin": "log.example/org1msp", "size": 2**60, "root": "00" * 32},
        {"origin": "log.example/org1msp", "size": 7, "root": "zz"},
        {"origin": "log.example/org1msp", "size": 7},
    ],
)
def test_an_event_that_names_no_checkpoint_is_passed_over(tmp_path: Path, payload: dict[str, Any]) -> None:
    channel, one, two = pair(tmp_path)
    two.cosigner.require_registered()
    two.take(ChannelEvent("checkpoint", 7, "aa", payload))
    with two.store.turn() as turn:
        assert (turn.position(), turn.unsent()) == ((7, "aa"), [])
    one.grow(7)
    one.submit()
    event = checkpoints(channel)[0]
    two.take(replace(event, block=8))
    assert cosigned(two, one.origin) == (7, one.log.root(7))


def test_a_log_that_goes_over_to_another_key_is_cosigned_once_it_is_registered(tmp_path: Path) -> None:
    _, one, two = pair(tmp_path)
    one.grow(3)
    one.submit()
    two.watch()
    old, one.log.key = one.log.key, seeded("next log key")
    one.log = type(one.log)(tmp_path / "again", one.origin, one.log.key)
    one.own = type(one.own)(tmp_path / "again" / "log")
    one.register()
    one.log.grow(3)
    one.submitter._log = one.own
    one.log.grow(2)
    one.submitter.look()
    one.submit()
    two.watch()
    record = one.channel.at(one.origin, 5)
    assert record is not None
    with pytest.raises(InvalidInput):
        verify_note(parse_note(record.note), [VerifierKey(one.origin, 1, old.public_bytes)])
    assert one.lines(5) == ["Org2MSP"]


def test_a_line_under_a_key_that_was_replaced_is_let_go_of(tmp_path: Path) -> None:
    channel, one, two = pair(tmp_path)
    one.grow(3)
    one.submit()
    two.cosigner.require_registered()
    two.take(checkpoints(channel)[0])
    two.cosigner_key = seeded("the next cosigner")
    two.register()
    with pytest.raises(ChaincodeRefused) as refused:
        two.cosigner.send()
    assert refused.value.status == 403
    two.die()
    two.open()
    one.grow(1)
    one.submit()
    two.watch()
    assert (one.lines(3), one.lines(4)) == ([], ["Org2MSP"])
    with two.store.turn() as turn:
        assert turn.unsent() == []


def test_two_organisations_in_a_row_make_lines_with_their_own_names(tmp_path: Path) -> None:
    _, one, two = pair(tmp_path)
    one.grow(3)
    one.submit()
    one.watch()
    two.watch()
    names = {
        msp: parse_note(b"-\n\n" + line).signatures[0].name
        for msp, line in one.channel.cosignatures(one.origin, 3).items()
    }
    assert names == {"Org1MSP": "Org1MSP", "Org2MSP": "Org2MSP"}


def test_a_peer_that_refuses_the_own_identity_leaves_the_event_for_later(tmp_path: Path) -> None:
    channel, one, two = pair(tmp_path)
    one.grow(4)
    one.submit()
    two.cosigner.require_registered()

    def refuse(step: str, place: str) -> None:
        raise IdentityRefused("the certificate expired")

    two.gateway.fault = refuse
    with pytest.raises(IdentityRefused):
        two.take(checkpoints(channel)[0])
    with two.store.turn() as turn:
        assert (turn.position(), turn.refusals(), turn.unsent()) == (None, [], [])
    two.gateway.fault = lambda step, place: None
    two.watch()
    assert one.lines(4) == ["Org2MSP"]


def test_two_trees_of_one_size_that_the_log_signed_are_kept_as_evidence(tmp_path: Path) -> None:
    _, one, two = pair(tmp_path)
    one.grow(7)
    one.submit()
    two.watch()
    root, note = forked(one, 7)
    lying = Lying(two, lambda record: replace(record, root=root, note=note))
    evidence = tmp_path / "evidence"
    two.cosigner = Cosigner(two.store, lying, two.msp, two.cosigner_key, clock_s=lambda: 1, evidence=evidence)
    two.cosigner.require_registered()
    two.take(ChannelEvent("checkpoint", 99, "99", {"origin": one.origin, "size": 7, "root": root.hex()}))
    assert cosigned(two, one.origin) == (7, one.log.root(7))
    with two.store.turn() as turn:
        assert [refusal.rule for refusal in turn.refusals()] == ["fork"]
    (file,) = evidence.iterdir()
    policy = parse_policy(policy_text(one.log.vkey))
    assert verify_misbehaviour(parse_misbehaviour(file.read_bytes()), policy).kind == "split-view"
