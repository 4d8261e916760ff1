"""Which checkpoints are anchored, and that each of them is, once, in order, whatever comes in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Unavailable
from ledger.hyperledger.anchor.store import AnchorStore
from ledger.hyperledger.anchor.submit import ForkOnChannel, Selector, Step
from ledger.hyperledger.connection import Anchoring
from ledger.hyperledger.errors import ChaincodeRefused, NetworkAway, OutcomeUnknown, PeerMessage

from .anchoring import Member, members, size_of

SUBMIT = "checkpoints:submit"


def chosen(pace: Anchoring, published: list[tuple[float, int]]) -> list[int]:
    selector = Selector(pace, 0)
    return [size for now_s, size in published if selector.see(size, now_s)]


def test_each_nth_checkpoint_is_chosen() -> None:
    published = [(0.0, size) for size in range(1, 13)]
    assert chosen(Anchoring(every=1, seconds=100), published) == list(range(1, 13))
    assert chosen(Anchoring(every=3, seconds=100), published) == [3, 6, 9, 12]


def test_the_newest_checkpoint_is_chosen_t_seconds_after_one_was_left_out() -> None:
    looks = [(0.0, 4), (1.0, 7), (4.9, 7), (5.0, 7), (5.1, 7), (60.0, 7), (61.0, 9), (65.9, 9), (66.0, 9)]
    assert chosen(Anchoring(every=100, seconds=5), looks) == [7, 9]


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 5), st.integers(1, 9))
def test_no_checkpoint_waits_longer_than_the_pace_says(grown: list[int], every: int, seconds: int) -> None:
    selector, size, last, since = Selector(Anchoring(every, seconds), 0), 0, 0, 0
    for second, more in enumerate(grown):
        if more and size == last:
            since = second
        size += more
        if selector.see(size, float(second)):
            assert size > last
            last = size
        assert size == last or second - since < seconds


def test_every_checkpoint_reaches_the_channel_in_order_with_its_proof(tmp_path: Path) -> None:
    channel, (one, _) = members(tmp_path, "Org1MSP", "Org2MSP")
    sizes = [size_of(one.grow(count)) for count in (3, 1, 300, 7)]
    assert one.submit() == [Step.SETTLED] * 4
    found = one.channel.history(one.origin)
    assert [(each.start, each.size) for each in found] == list(zip([0, *sizes], sizes, strict=False))
    assert [each.root for each in found] == [one.log.root(size) for size in sizes]
    assert channel.valid(SUBMIT) == 4


def test_a_backlog_drains_in_order_after_the_network_was_away(tmp_path: Path) -> None:
    channel, (one, _) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(2)
    one.submit()
    channel.away = True
    sizes = [size_of(one.grow(count)) for count in (2, 3, 4, 5)]
    for _ in range(3):
        with pytest.raises(NetworkAway):
            one.submitter.step()
    with one.store.turn() as turn:
        assert (turn.backlog(), turn.on_channel()[0]) == (4, 2)
    one.die()
    one.open()
    channel.away = False
    one.submit()
    assert [each.size for each in one.channel.history(one.origin)] == [2, *sizes]
    with one.store.turn() as turn:
        assert (turn.backlog(), turn.on_channel()[0]) == (0, sizes[-1])


def test_a_restart_takes_no_checkpoint_twice_and_none_back(tmp_path: Path) -> None:
    _, (one, _) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(2)
    one.die()
    one.open()
    one.submitter.look()
    with one.store.turn() as turn:
        assert turn.backlog() == 1
    one.submit()
    one.submitter.look()
    with one.store.turn() as turn:
        assert turn.backlog() == 0


def test_a_read_conflict_is_read_and_proved_anew(tmp_path: Path) -> None:
    channel, (one, _) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(3)
    one.submit()
    note = one.grow(4)
    rival = Member(channel, "Org1MSP", tmp_path / "rival")
    rival.grow(3)
    rival.grow(2)
    with rival.store.turn() as turn:
        oldest = turn.oldest()
        assert oldest is not None
        turn.settle(oldest, 0)
    # A second process of this log is first, with a checkpoint in between, after this one was simulated.
    channel.race = rival.submit
    assert one.submit() == [Step.AGAIN, Step.SETTLED]
    assert channel.transactions[-2:] == [(SUBMIT, "MVCC_READ_CONFLICT"), (SUBMIT, "VALID")]
    assert [(each.start, each.size) for each in one.channel.history(one.origin)] == [(0, 3), (3, 5), (5, 7)]
    assert one.channel.history(one.origin)[-1].root == one.log.root(size_of(note))


def test_already_anchored_counts_as_done(tmp_path: Path) -> None:
    channel, (one, _) = members(tmp_path, "Org1MSP", "Org2MSP")
    note = one.grow(3)

    def lost(step: str, place: str) -> None:
        if (step, place) == (SUBMIT, "after"):
            raise OutcomeUnknown("no answer", "00")

    one.gateway.fault = lost
    with pytest.raises(OutcomeUnknown):
        one.submitter.step()
    one.gateway.fault = lambda step, place: None
    assert one.submit() == [Step.SETTLED]
    assert channel.valid(SUBMIT) == 1
    # Where the chaincode is the first to say so, between what was read and what is submitted.
    one.grow(2)
    reads = 0

    def behind(step: str, place: str) -> None:
        nonlocal reads
        if (step, place) == ("checkpoints:latest", "before") and not reads:
            reads = 1
            twin = Member(channel, "Org1MSP", tmp_path / "twin")
            twin.log.grow(3)
            twin.grow(2)
            saved = dict(channel.state)
            twin.submit()
            after, channel.state = channel.state, saved
            channel.race = lambda: None
            one.gateway.fault = lambda _step, _place: channel.state.update(after)

    one.gateway.fault = behind
    assert one.submit()[-1] is Step.SETTLED
    assert channel.valid(SUBMIT) == 2
    assert one.channel.latest(one.origin) == (5, one.log.root(5))
    assert size_of(note) == 3


def test_another_organisations_word_that_a_checkpoint_is_anchored_takes_none_out_of_the_backlog(
    tmp_path: Path,
) -> None:
    channel, (one, _) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(3)

    def lie(step: str, place: str) -> None:
        if (step, place) == (SUBMIT, "before"):
            said = [PeerMessage("peer2:7051", "Org2MSP", "chaincode response 409, already-anchored: it is")]
            raise ChaincodeRefused(409, "already-anchored", "it is", said)

    one.gateway.fault = lie
    with pytest.raises(ChaincodeRefused, match="already-anchored"):
        one.submitter.step()
    with one.store.turn() as turn:
        assert (turn.backlog(), turn.on_channel()) == (1, (0, 0))
    assert one.channel.latest(one.origin) is None
    one.gateway.fault = lambda step, place: None
    assert one.submit() == [Step.SETTLED]
    assert one.channel.latest(one.origin) == (3, one.log.root(3))
    assert channel.valid(SUBMIT) == 1


def test_a_fork_is_refused_by_the_chaincode_with_its_reason_and_nothing_follows(tmp_path: Path) -> None:
    channel, (one, _) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(5)
    one.submit()
    forked = Member(channel, "Org1MSP", tmp_path / "forked", history="other")
    forked.grow(5)
    with pytest.raises(ChaincodeRefused) as refused:
        forked.submitter.step()
    assert (refused.value.status, refused.value.rule) == (422, "fork")
    longer = Member(channel, "Org1MSP", tmp_path / "longer", history="other")
    longer.grow(9)
    longer.grow(1)
    for _ in range(2):
        with pytest.raises(ChaincodeRefused) as refused:
            longer.submitter.step()
        assert (refused.value.status, refused.value.rule) == (422, "consistency")
    with longer.store.turn() as turn:
        assert (turn.backlog(), turn.on_channel()[0]) == (2, 0)
    assert one.channel.latest(one.origin) == (5, one.log.root(5))


def test_a_folder_behind_what_was_anchored_says_so(tmp_path: Path) -> None:
    channel, (one, _) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(9)
    one.submit()
    behind = Member(channel, "Org1MSP", tmp_path / "behind")
    behind.grow(5)
    with pytest.raises(ForkOnChannel) as found:
        behind.submitter.step()
    assert found.value.rule == "behind-channel"
    behind.log.grow(7)
    assert behind.submit() == [Step.SETTLED]
    other = Member(channel, "Org1MSP", tmp_path / "other", history="other")
    other.grow(5)
    other.log.grow(7)
    with pytest.raises(ForkOnChannel) as found:
        other.submitter.step()
    assert found.value.rule == "fork-on-channel"
    assert channel.valid(SUBMIT) == 1


def test_an_unregistered_log_waits_for_its_registration(tmp_path: Path) -> None:
    channel, (one,) = members(tmp_path, "Org1MSP")
    late = Member(channel, "Org2MSP", tmp_path / "late")
    late.grow(4)
    with pytest.raises(ChaincodeRefused) as refused:
        late.submitter.step()
    assert (refused.value.status, refused.value.rule) == (404, "unknown-origin")
    late.register()
    assert late.submit() == [Step.SETTLED]
    assert one.channel.latest(late.origin) == (4, late.log.root(4))


def test_a_second_anchor_on_one_folder_is_refused(tmp_path: Path) -> None:
    _, (one,) = members(tmp_path, "Org1MSP")
    with pytest.raises(Unavailable, match="another anchor"):
        AnchorStore(tmp_path / "Org1MSP" / "hyperledger" / "anchor.db")
    one.die()
    AnchorStore(tmp_path / "Org1MSP" / "hyperledger" / "anchor.db").close()
