"""A death at every step of the anchor, before and after it took effect: nothing lost, nothing doubled, no second history."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.hyperledger.anchor.store import AnchorStore, Turn
from ledger.note import COSIGNATURE, VerifierKey, verify_note

from .anchoring import Member, MemoryChannel, members

GROWTH = (2, 3, 4)


class Death(BaseException):
    """The process ends here."""


class Counted:
    """Counts the steps of an anchor, and dies at one of them."""

    def __init__(self, at: int = -1) -> None:
        self.at = at
        self.count = 0

    def __call__(self, step: str, place: str) -> None:
        self.count += 1
        if self.count - 1 == self.at:
            raise Death(f"{step} {place}")


@contextmanager
def dying_commits(fault: Callable[[str, str], None]) -> Iterator[None]:
    """Every transaction of the store is a step with two places: before its commit, and after it."""
    whole = AnchorStore.turn

    @contextmanager
    def turn(self: AnchorStore) -> Iterator[Turn]:
        with whole(self) as found:
            yield found
            fault("commit", "before")
        fault("commit", "after")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AnchorStore, "turn", turn)
        yield


def work(one: Member, two: Member) -> None:
    """What the loops do until nothing is left: submit, cosign, collect."""
    one.submitter.look()
    one.submit()
    two.watch()
    one.watch()
    one.watch()


def run(tmp_path: Path, at: int) -> tuple[MemoryChannel, Member, Member, int]:
    """Grow, work and die at one step; then start both again, and go on."""
    channel, (one, two) = members(tmp_path, "Org1MSP", "Org2MSP")
    fault = Counted(at)
    one.gateway.fault = two.gateway.fault = fault
    died = False
    for count in GROWTH:
        one.log.grow(count)
        try:
            with dying_commits(fault):
                work(one, two)
        except Death:
            died = True
            for member in (one, two):
                member.die()
                member.clock.now_s += 60
                member.open()
    assert died == (at >= 0)
    steps = fault.count
    work(one, two)
    return channel, one, two, steps


def die_at_each(tmp_path: Path, start: int, every: int) -> None:
    *_, steps = run(tmp_path / "whole", -1)
    assert steps > 60
    for at in range(start % every, steps, every):
        channel, one, two, _ = run(tmp_path / str(at), at)
        check(channel, one, two)
        for member in (one, two):
            member.die()


def test_a_death_at_a_step_loses_nothing_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    die_at_each(tmp_path, seed, 17)


@pytest.mark.soak
def test_a_death_at_any_step_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    die_at_each(tmp_path, 0, 1)


def check(channel: MemoryChannel, one: Member, two: Member) -> None:
    sizes = [each.size for each in one.channel.history(one.origin)]
    # A death between two looks may cost the checkpoint that was replaced meanwhile, never the newest.
    assert sizes[-1] == sum(GROWTH)
    assert set(sizes) <= {2, 5, 9}
    done = Counter(function for function, code in channel.transactions if code == "VALID")
    assert done["checkpoints:submit"] == len(sizes)
    assert done["checkpoints:cosign"] == 2 * len(sizes)
    assert [one.lines(size) for size in sizes] == [["Org1MSP", "Org2MSP"]] * len(sizes)
    found = one.anchored()
    assert found is not None
    assert (found[0].size, found[0].root) == (9, one.log.root(9))
    keys = [VerifierKey(each.msp, COSIGNATURE, each.cosigner_key.public_bytes) for each in (one, two)]
    assert len(verify_note(found[1], keys)) == 2
    for member in (one, two):
        with member.store.turn() as turn:
            assert (turn.backlog(), turn.unsent(), turn.refusals()) == (0, [], [])
            assert turn.seen(one.origin).size == 9


def test_no_two_lines_for_one_tree_ever_leave(tmp_path: Path, seed: int) -> None:
    *_, steps = run(tmp_path / "whole", -1)
    for at in range(seed % 19, steps, 19):
        _, (one, two) = members(tmp_path / str(at), "Org1MSP", "Org2MSP")
        sent: dict[int, set[bytes]] = {}
        fault = Counted(at)
        two.gateway.fault = fault
        whole = two.gateway.transact

        def noted(
            function: str, args: list[bytes], whole: object = whole, sent: dict[int, set[bytes]] = sent
        ) -> object:
            sent.setdefault(int(args[1]), set()).add(args[2])
            return whole(function, args)  # type: ignore[operator]

        two.gateway.transact = noted  # type: ignore[method-assign, assignment]
        for count in GROWTH:
            one.grow(count)
            one.submit()
            try:
                with dying_commits(fault):
                    two.watch()
            except Death:
                two.die()
                two.clock.now_s += 60
                two.open()
        # What was to die has died, or would only have done so by now.
        fault.at = -1
        two.watch()
        assert {size: len(lines) for size, lines in sent.items()} == {2: 1, 5: 1, 9: 1}
        for member in (one, two):
            member.die()


def test_a_state_that_cannot_be_kept_lets_no_line_out(tmp_path: Path) -> None:
    channel, (one, two) = members(tmp_path, "Org1MSP", "Org2MSP")
    one.grow(3)
    one.submit()
    two.cosigner.require_registered()

    def full(step: str, place: str) -> None:
        if place == "before":
            raise sqlite3.OperationalError("database or disk is full")

    with dying_commits(full), pytest.raises(Exception, match="cannot be kept"):
        two.watch()
    assert channel.valid("checkpoints:cosign") == 0
    with two.store.turn() as turn:
        assert (turn.unsent(), turn.seen(one.origin).size) == ([], 0)
    two.watch()
    assert one.lines(3) == ["Org2MSP"]
