"""A log whose publication waits for cosigners: what is stored, what is shown, what a restart finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, checkpoint_of
from ledger.ed25519 import SigningKey
from ledger.errors import NotFound, Unavailable
from ledger.log.database import move_head
from ledger.log.fsck import check_log
from ledger.log.guard import ReadOnly, ReadOnlyLog
from ledger.log.publish import CHECKPOINT_FILE, Publisher, QuorumMissing
from ledger.log.reader import LogReader
from ledger.log.recover import open_sequencer
from ledger.log.sequencer import Sequencer
from ledger.log.tiles import TileStore
from ledger.note import COSIGNATURE, ED25519, SignatureLine, VerifierKey, cosign, parse_note
from ledger.tile import Tile, split_entries

from .node import ORIGIN, Node, capture, key_of, states


class Scripted:
    """A cosigner that is there, missing and required, missing and not required, or sees a fork."""

    def __init__(self) -> None:
        self.says = "there"
        self.asked = 0
        self.key: SigningKey = key_of("witness")
        self.during: Callable[[], None] = lambda: None

    def cosign(self, note: bytes, tiles: TileStore) -> Sequence[SignatureLine]:
        self.asked += 1
        self.during()
        if self.says == "required":
            raise QuorumMissing("nobody there")
        if self.says == "fork":
            raise ReadOnlyLog(ReadOnly("witness one", "the head is behind: size 3 after 9"))
        have = [line for line in parse_note(note).signatures if line.name == "witness"]
        if have or self.says == "missing":
            return have
        return [cosign(parse_note(note).text, "witness", self.key, 1_790_000_000 + self.asked)]

    def is_lacking(self, note: bytes) -> bool:
        return not any(line.name == "witness" for line in parse_note(note).signatures)


class Witnessed(Node):
    """A node's log with one scripted cosigner."""

    def __init__(self, folder: Path) -> None:
        self.cosigner = Scripted()
        super().__init__(folder)

    def start(self) -> Sequencer:
        self.publisher = Publisher(
            self.folder / "log", self.folder / "high-water", key_of("log"), cosigners=[self.cosigner]
        )
        self.sequencer = open_sequencer(self.engine, self.publisher, self.clock)
        return self.sequencer

    def signers(self) -> list[str]:
        return [line.name for line in parse_note(self.checkpoint()).signatures]

    def size(self) -> int:
        return checkpoint_of(parse_note(self.checkpoint())).size

    def check(self) -> None:
        key = VerifierKey(ORIGIN, ED25519, key_of("log").public_bytes)
        report = check_log(self.reader(), self.folder / "log", key, high_water=self.folder / "high-water")
        assert report.faults == ()


@pytest.fixture
def log(tmp_path: Path) -> Witnessed:
    made = Witnessed(tmp_path)
    made.found("farm")
    return made


def test_a_head_without_its_quorum_is_committed_and_not_published(log: Witnessed) -> None:
    before = log.checkpoint()
    log.cosigner.says = "required"
    with pytest.raises(QuorumMissing):
        log.sequence(capture(1))
    assert log.checkpoint() == before
    assert states(log) == ["sequenced"] * 3
    # What comes meanwhile stays staged: one head waits, not a chain of heads that nobody cosigned.
    for number in (2, 3):
        with pytest.raises(QuorumMissing):
            log.sequence(capture(number))
    assert states(log)[-2:] == ["staged", "staged"]
    assert log.checkpoint() == before
    assert log.sequencer.read_only is None


def test_the_waiting_head_is_published_first_and_alone(log: Witnessed) -> None:
    log.cosigner.says = "required"
    for number in (1, 2):
        with pytest.raises(QuorumMissing):
            log.sequence(capture(number))
    head, log.cosigner.says = log.sequencer.head, "there"
    first = log.sequencer.sequence()
    assert first is not None
    assert first.checkpoint == head
    assert states(log)[-1] == "staged"
    second = log.sequencer.sequence()
    assert second is not None
    assert states(log) == ["sequenced"] * 4
    assert log.signers() == [ORIGIN, "witness"]
    assert log.sequencer.sequence() is None
    log.check()


@pytest.mark.parametrize("says", ["required", "there"])
def test_a_restart_while_a_head_waits_loses_nothing_and_starts(log: Witnessed, says: str) -> None:
    before = log.checkpoint()
    log.cosigner.says = "required"
    for number in (1, 2):
        with pytest.raises(QuorumMissing):
            log.sequence(capture(number))
    head, log.cosigner.says = log.sequencer.head, says
    log.restart()
    assert log.sequencer.head == head
    assert log.sequencer.published is not None
    if says == "required":
        assert log.checkpoint() == before
        assert log.sequencer.published.note == before
        log.cosigner.says = "there"
        assert log.sequencer.sequence() is not None
    assert log.size() == head.size
    assert log.sequencer.sequence() is not None
    assert states(log) == ["sequenced"] * 4
    log.check()


def test_before_the_first_checkpoint_a_missing_quorum_leaves_nothing_published(tmp_path: Path) -> None:
    log = Witnessed(tmp_path)
    log.cosigner.says = "required"
    with pytest.raises(QuorumMissing):
        log.found()
    log.restart()
    assert log.sequencer.published is None
    assert not (tmp_path / "log" / CHECKPOINT_FILE).exists()
    log.cosigner.says = "there"
    published = log.sequencer.sequence()
    assert published is not None
    assert published.checkpoint.size == 2


def test_what_was_published_without_cosignatures_is_completed_later(log: Witnessed) -> None:
    log.cosigner.says = "missing"
    log.sequence(capture(1))
    assert (log.signers(), log.sequencer.is_lacking) == ([ORIGIN], True)
    before = log.checkpoint()
    assert log.sequencer.complete() is None
    assert log.checkpoint() == before
    size, log.cosigner.says = log.size(), "there"
    assert log.sequencer.complete() is not None
    assert (log.signers(), log.size()) == ([ORIGIN, "witness"], size)
    assert [log.sequencer.is_lacking] == [False]
    assert log.sequencer.complete() is None
    # The archive has the note as it was completed: proofs of `seen` carry cosignatures.
    log.sequence(capture(2))
    archived = LogReader(log.reader(), log.folder / "log").checkpoint_note(size)
    assert [line.name for line in parse_note(archived).signatures] == [ORIGIN, "witness"]


@pytest.mark.parametrize("says", ["missing", "there"])
def test_a_restart_takes_no_cosignature_back(log: Witnessed, says: str) -> None:
    before = log.checkpoint()
    assert log.signers() == [ORIGIN, "witness"]
    log.cosigner.says = says
    log.restart()
    assert log.checkpoint() == before


def test_a_start_without_any_cosigner_takes_no_cosignature_back(log: Witnessed) -> None:
    before = log.checkpoint()
    Node.start(log)
    assert log.checkpoint() == before


def test_the_sign_of_a_fork_stops_the_log_before_anything_is_published(log: Witnessed) -> None:
    before = log.checkpoint()
    log.cosigner.says = "fork"
    with pytest.raises(ReadOnlyLog):
        log.sequence(capture(1))
    assert log.checkpoint() == before
    assert log.sequencer.read_only == ReadOnly("witness one", "the head is behind: size 3 after 9")
    log.cosigner.says = "there"
    with pytest.raises(ReadOnlyLog):
        log.sequence(capture(2))
    assert log.checkpoint() == before


def test_a_node_that_was_overtaken_while_it_asked_is_not_taken_for_a_fork(log: Witnessed) -> None:
    log.cosigner.says = "fork"

    def overtake() -> None:
        with log.engine.begin() as connection:
            head = log.sequencer.head
            assert move_head(connection, head, Checkpoint(ORIGIN, head.size + 2, bytes(32)))

    log.cosigner.during = overtake
    before = log.checkpoint()
    with pytest.raises(Unavailable, match="moved by somebody else"):
        log.sequence(capture(1))
    assert log.sequencer.read_only is None
    assert log.checkpoint() == before
    with pytest.raises(Unavailable, match="comparison of heads"):
        log.sequencer.sequence()


def test_a_cosigner_can_read_the_entries_that_it_is_asked_about(log: Witnessed) -> None:
    reader = LogReader(log.reader(), log.folder / "log")
    read: list[bytes] = []

    def look() -> None:
        head = log.sequencer.head
        assert head.size > reader.size
        bundle = reader.tile(Tile("entries", 0, head.size))
        hashes = reader.tile(Tile(0, 0, head.size))
        assert bundle is not None
        assert hashes is not None
        assert len(hashes) == 32 * head.size
        assert reader.tile(Tile("entries", 0, head.size + 1)) is None
        with pytest.raises(NotFound):
            reader.entry(head.size - 1)
        read.extend(split_entries(bundle))

    log.cosigner.during = look
    log.sequence(capture(1))
    assert read == log.entries()


def test_before_the_first_checkpoint_a_cosigner_reads_ahead_too(tmp_path: Path) -> None:
    log = Witnessed(tmp_path)
    reader = LogReader(log.reader(), tmp_path / "log")
    got: list[bytes | None] = []
    log.cosigner.during = lambda: got.append(reader.tile(Tile("entries", 0, 2)))
    log.found()
    assert got[0] is not None
    assert len(split_entries(got[0])) == 2
    assert reader.tile(Tile("entries", 0, 3)) is None


def test_nothing_is_committed_or_served_in_an_empty_log(tmp_path: Path) -> None:
    log = Witnessed(tmp_path)
    reader = LogReader(log.reader(), tmp_path / "log")
    assert reader.tile(Tile("entries", 0, 1)) is None
    assert reader.tile(Tile(0, 0, 1)) is None
    with pytest.raises(Unavailable):
        reader.published()


def test_a_cosignature_has_the_kind_that_policies_take(log: Witnessed) -> None:
    line = parse_note(log.checkpoint()).signatures[1]
    key = VerifierKey("witness", COSIGNATURE, log.cosigner.key.public_bytes)
    assert line.key_id == key.key_id
