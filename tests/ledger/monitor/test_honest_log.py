"""Whatever stands between a sound log and its monitor, the log is never accused and the monitor never led astray."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotFound, Unavailable
from ledger.misbehaviour import SPLIT_VIEW
from ledger.monitor.follow import Monitor, open_monitor
from ledger.note import VerifierKey
from ledger.policy import parse_policy, policy_text
from ledger.tile import Tile

from ..consortium import ORIGIN, START_MS, Consortium, key_of
from .hostile import ShownLog, consortium, signed_note


class Between(ShownLog):
    """Answers each request as the log does, or as somebody between would who has no key of the log."""

    def __init__(self, one: Consortium, chance: random.Random, honesty: float) -> None:
        super().__init__(one.origin, list(one.entries))
        self.one = one
        self.chance = chance
        self.honesty = honesty
        self.seen: list[bytes] = []

    def checkpoint(self) -> bytes:
        found = super().checkpoint()
        self.seen.append(found)
        return self._changed(found, self.seen)

    def tile(self, tile: Tile) -> bytes:
        found = super().tile(tile)
        return self._changed(found, [found, super().tile(Tile("entries", 0, 1))])

    def _changed(self, found: bytes, others: list[bytes]) -> bytes:
        if self.chance.random() < self.honesty:
            return found
        changes: list[Callable[[], bytes]] = [
            lambda: self.chance.choice(others),
            lambda: b"",
            lambda: found[: self.chance.randrange(len(found))],
            lambda: self.chance.randbytes(self.chance.randrange(1, 9_000)),
            lambda: found + found,
            self._refuse,
            self._flipped(found),
        ]
        return self.chance.choice(changes)()

    def _refuse(self) -> bytes:
        raise self.chance.choice([Unavailable("no answer"), NotFound("nothing", rule="not-shown")])

    def _flipped(self, found: bytes) -> Callable[[], bytes]:
        def flip() -> bytes:
            data = bytearray(found)
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
            return bytes(data)

        return flip


def opened(folder: Path, one: Consortium) -> Monitor:
    return open_monitor(folder, parse_policy(policy_text(one.log_vkey())), ORIGIN, lambda: START_MS)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.sampled_from(["grow", "look", "restart"]), max_size=12))
def test_no_answer_of_somebody_between_makes_a_sound_log_guilty(seed: int, steps: list[str]) -> None:
    chance = random.Random(seed)
    one = consortium()
    between = Between(one, chance, honesty=0.6)
    with TemporaryDirectory() as name:
        monitor = opened(Path(name), one)
        for step in [*steps, "look"]:
            if step == "grow":
                for _ in range(chance.randrange(1, 40)):
                    one.capture("farm", [{"@context": [], "type": "T"}])
                one.publish()
                between.entries = list(one.entries)
            elif step == "restart":
                monitor.close()
                monitor = opened(Path(name), one)
            else:
                report = monitor.look(between)
                assert report.evidence == []
                assert list(monitor.archive.entries()) == one.entries[: report.entries]
                assert report.entries <= report.size <= len(one.entries)
        between.honesty = 1
        report = monitor.look(between)
        assert (report.size, report.entries) == (len(one.entries), len(one.entries))
        assert (report.suspicions, report.evidence) == ([], [])
        monitor.close()


def test_a_log_that_changed_its_key_is_followed_under_both(tmp_path: Path) -> None:
    one = consortium()
    second = key_of("log 2")
    vkeys = [one.log_vkey(), VerifierKey(ORIGIN, one.log_vkey().kind, second.public_bytes)]
    policy = parse_policy(policy_text(vkeys))
    monitor = open_monitor(tmp_path, policy, ORIGIN, lambda: START_MS)
    log = ShownLog(ORIGIN, list(one.entries))
    assert monitor.look(log).size == len(one.entries)
    one.capture("farm", [{"@context": [], "type": "T"}])
    one.publish()
    log.entries = list(one.entries)
    log.shown = signed_note(ORIGIN, one.entries, second)
    report = monitor.look(log)
    assert (report.size, report.suspicions, report.evidence) == (len(one.entries), [], [])
    log.shown = signed_note(ORIGIN, [*one.entries[:-1], b"another"], one.log_key)
    [(_, found)] = monitor.look(log).evidence
    assert found.kind == SPLIT_VIEW
    monitor.close()
