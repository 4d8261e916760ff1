from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from errno import ENOSPC
from pathlib import Path
from stat import S_ISREG
from typing import Any

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import Forbidden, InvalidInput, Unavailable
from ledger.misbehaviour import INCONSISTENT, SPLIT_VIEW, parse_misbehaviour, verify_misbehaviour
from ledger.monitor.archive import Archive
from ledger.monitor.follow import Monitor, Report, open_monitor
from ledger.note import cosign, note_bytes, parse_note
from ledger.policy import Policy, parse_policy, policy_text
from ledger.tile import Tile

from ..consortium import ORIGIN, START_MS, Consortium, key_of
from .hostile import BREAKING, ShownLog, broken, capture, consortium, hostile_notes, seal, signed_note


def policy_of(one: Consortium, threshold: int = 0) -> Policy:
    named = {f"w{number}": vkey for number, vkey in enumerate(one.witness_vkeys())}
    return parse_policy(policy_text(one.log_vkey(), named, threshold))


class Followed:
    """A monitor on a folder over a log that the test writes."""

    def __init__(self, folder: Path, one: Consortium, entries: list[bytes] | None = None) -> None:
        self.folder = folder
        self.one = one
        self.policy = policy_of(one)
        self.log = ShownLog(one.origin, list(one.entries if entries is None else entries))
        self.monitor = self._open()

    def _open(self) -> Monitor:
        return open_monitor(self.folder, self.policy, self.one.origin, lambda: START_MS)

    def look(self, **witnesses: Any) -> Report:
        return self.monitor.look(self.log, witnesses)

    def restart(self) -> None:
        self.monitor.close()
        self.monitor = self._open()

    def grow(self, captures: int = 1) -> None:
        """The sound log goes on; the shown one follows it."""
        for _ in range(captures):
            self.one.capture("farm", [{"@context": [], "type": "T"}])
        self.one.publish()
        self.log.entries = list(self.one.entries)


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    found = Followed(tmp_path / "monitor", consortium())
    yield found
    found.monitor.close()


def rules(report: Report) -> list[str]:
    return [one.rule for one in report.suspicions]


def test_a_sound_log_is_followed_as_it_grows_and_through_restarts(followed: Followed) -> None:
    for step in range(6):
        report = followed.look()
        assert (report.size, report.entries) == (len(followed.one.entries),) * 2
        assert (rules(report), report.evidence, report.limits) == ([], [], [])
        assert report.heads == step + 1
        if step % 2:
            followed.restart()
        followed.grow(captures=1 + 30 * step)
    kept = dict(followed.monitor.archive.heads())
    assert all(
        parse_note(followed.monitor.archive.note(size, root)).text == Checkpoint(ORIGIN, size, root).text()
        for size, root in kept.items()
    )


def test_only_what_is_new_is_fetched(followed: Followed) -> None:
    followed.grow(captures=600)
    followed.look()
    followed.grow(captures=3)
    followed.log.asked.clear()
    followed.look()
    bundles = [tile for tile in followed.log.asked if tile.level == "entries"]
    assert [tile.index for tile in bundles] == [(len(followed.log.entries) - 1) // 256]
    followed.log.asked.clear()
    assert followed.look().size == len(followed.log.entries)
    assert followed.log.asked == []


@pytest.mark.parametrize("name", BREAKING)
def test_a_broken_rule_becomes_a_file_that_proves_it(tmp_path: Path, name: str) -> None:
    one, entries = broken(name)
    followed = Followed(tmp_path, one, entries)
    report = followed.look()
    [(path, found)] = report.evidence
    assert (found.kind, found.rule) == BREAKING[name][:2]
    again = verify_misbehaviour(parse_misbehaviour(path.read_bytes()), followed.policy)
    assert again == found
    assert report.size == report.entries == len(entries)
    before = path.stat().st_mtime_ns
    followed.restart()
    assert followed.look().evidence == report.evidence
    assert path.stat().st_mtime_ns == before
    followed.monitor.close()


def test_a_rule_broken_after_sound_growth_is_found_at_its_index(followed: Followed) -> None:
    followed.look()
    index = len(followed.log.entries)
    followed.log.entries += [capture(followed.one, keys=[key_of("stranger")]), seal(followed.one)]
    [(path, found)] = followed.look().evidence
    assert found.at == (index,)
    assert path.name == f"void-statement-{index}.json"


def fork(one: Consortium, at: int, length: int) -> list[bytes]:
    return [*one.entries[:at], *[b"other %d" % number for number in range(length)]]


def test_another_root_at_the_same_size_is_a_split_view(followed: Followed) -> None:
    size = followed.look().size
    followed.log.shown = signed_note(ORIGIN, fork(followed.one, size - 1, 1))
    report = followed.look()
    [(_, found)] = report.evidence
    assert (found.kind, found.sizes) == (SPLIT_VIEW, (size, size))
    assert (report.size, report.entries) == (size, size)
    followed.log.shown = None
    followed.grow()
    assert followed.look().size == len(followed.log.entries)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_larger_tree_that_forgot_what_was_signed_is_inconsistent_growth(
    followed: Followed, restarted: bool
) -> None:
    size = followed.look().size
    if restarted:
        followed.restart()
    sound = list(followed.log.entries)
    followed.log.entries = fork(followed.one, size - 3, 400)
    report = followed.look()
    [(path, found)] = report.evidence
    assert (found.kind, found.sizes) == (INCONSISTENT, (size, size + 397))
    assert len(path.read_bytes()) < 8_000
    assert (report.size, report.entries) == (size, size)
    assert list(followed.monitor.archive.entries()) == sound


def test_an_older_tree_that_never_was_is_inconsistent_growth(followed: Followed) -> None:
    size = followed.look().size
    followed.log.shown = signed_note(ORIGIN, fork(followed.one, 3, 2))
    report = followed.look()
    [(_, found)] = report.evidence
    assert (found.kind, found.sizes) == (INCONSISTENT, (5, size))
    assert rules(report) == ["stale"]


def test_a_future_head_is_held_against_the_log_when_it_gets_there(followed: Followed) -> None:
    size = followed.look().size
    followed.log.shown = signed_note(ORIGIN, fork(followed.one, size, 3))
    report = followed.look()
    assert (report.evidence, report.size) == ([], size)
    assert "ahead" in rules(report)
    followed.log.shown = None
    followed.grow(captures=5)
    [(_, found)] = followed.look().evidence
    assert (found.kind, found.sizes[0]) == (INCONSISTENT, size + 3)


def test_without_entries_growth_is_still_checked_by_tiles(followed: Followed) -> None:
    class Closed(ShownLog):
        def tile(self, tile: Tile) -> bytes:
            if tile.level == "entries":
                raise Forbidden("entry bundles are for members", rule="unauthenticated")
            return super().tile(tile)

    followed.log = Closed(ORIGIN, list(followed.one.entries))
    report = followed.look()
    assert (report.size, report.entries, rules(report)) == (len(followed.log.entries), 0, [])
    assert len(report.limits) == 1
    size = report.size
    followed.grow(captures=300)
    assert followed.look().size == len(followed.log.entries)
    followed.log.entries = fork(followed.one, size - 1, 900)
    [(_, found)] = followed.look().evidence
    assert found.kind == INCONSISTENT


class Watching:
    """A witness that shows one note."""

    def __init__(self, note: bytes | Exception) -> None:
        self.note = note

    def checkpoint(self, origin: str) -> bytes:
        assert origin == ORIGIN
        if isinstance(self.note, Exception):
            raise self.note
        return self.note


def cosigned(entries: list[bytes], by: str = "witness 0") -> bytes:
    note = parse_note(signed_note(ORIGIN, entries))
    return note_bytes(
        note.text, [*note.signatures, cosign(note.text, "witness-0.example", key_of(by), START_MS // 1000)]
    )


def test_what_a_witness_was_shown_is_compared_with_what_the_log_shows(followed: Followed) -> None:
    sound = Watching(cosigned(followed.log.entries))
    policy = policy_of(followed.one, 1)
    followed.monitor.close()
    monitor = open_monitor(followed.folder, policy, ORIGIN, lambda: START_MS)
    followed.monitor = monitor
    report = followed.look(w0=sound)
    assert [one for one in report.suspicions if one.source != "log"] == []
    report = followed.look(w0=Watching(cosigned(fork(followed.one, 5, len(followed.log.entries) - 5))))
    [(_, found)] = report.evidence
    assert found.kind == SPLIT_VIEW
    assert found.cosigners == (("w0",), ("w0",))


def test_a_witness_that_is_ahead_is_a_suspicion_until_the_log_shows_it(followed: Followed) -> None:
    one = followed.one
    followed.monitor.close()
    followed.monitor = open_monitor(followed.folder, policy_of(one, 1), ORIGIN, lambda: START_MS)
    shown = list(one.entries)
    followed.grow()
    ahead = Watching(cosigned(followed.log.entries))
    followed.log.entries, later = shown, followed.log.entries
    report = followed.look(w0=ahead)
    assert "ahead" in rules(report)
    assert report.size == len(shown)
    followed.log.entries = later
    report = followed.look(w0=ahead)
    assert (report.size, report.evidence) == (len(later), [])
    assert "ahead" not in rules(report)


@pytest.mark.parametrize(
    ("note", "rule"),
    [
        (Unavailable("no answer"), "no-answer"),
        (cosigned([b"1", b"2"], by="nobody"), "unsigned-note"),
        (cosigned([b"1", b"2"])[:-10] + b"AAAAAAAA=\n", "note-signature"),
        (signed_note(ORIGIN, [b"1", b"2"]), "unsigned-note"),
    ],
)
def test_a_witness_that_answers_rubbish_changes_nothing(
    followed: Followed, note: bytes | Exception, rule: str
) -> None:
    followed.monitor.close()
    followed.monitor = open_monitor(followed.folder, policy_of(followed.one, 1), ORIGIN, lambda: START_MS)
    report = followed.look(w0=Watching(note))
    assert [one.rule for one in report.suspicions if one.source == "witness w0"] == [rule]
    assert (report.size, report.heads) == (len(followed.log.entries), 1)


def test_a_log_without_its_quorum_is_a_suspicion(followed: Followed) -> None:
    followed.monitor.close()
    followed.monitor = open_monitor(followed.folder, policy_of(followed.one, 2), ORIGIN, lambda: START_MS)
    assert rules(followed.look()) == ["no-quorum"]
    followed.log.shown = followed.one.archive[len(followed.one.entries)]
    assert rules(followed.look()) == []


@pytest.mark.parametrize("name", hostile_notes())
def test_a_checkpoint_that_the_log_did_not_sign_as_one_changes_nothing(followed: Followed, name: str) -> None:
    followed.look()
    followed.grow()
    followed.log.shown, rule = hostile_notes()[name]
    before = sorted(path.read_bytes() for path in followed.folder.glob("*") if path.is_file())
    report = followed.look()
    assert rules(report) == [rule]
    assert report.evidence == []
    assert sorted(path.read_bytes() for path in followed.folder.glob("*") if path.is_file()) == before
    followed.log.shown = None
    report = followed.look()
    assert (report.size, rules(report)) == (len(followed.log.entries), [])


def test_a_boundless_future_size_is_asked_for_a_few_tiles_only(followed: Followed) -> None:
    size = followed.look().size
    followed.log.shown = sign_checkpoint(Checkpoint(ORIGIN, 2**53 - 1, bytes(32)), key_of("log"))
    followed.log.asked.clear()
    report = followed.look()
    assert (report.size, report.evidence) == (size, [])
    assert len(followed.log.asked) <= 8
    assert "ahead" in rules(report)


def test_an_old_checkpoint_shown_again_is_stale_and_no_evidence(followed: Followed) -> None:
    old = followed.log.note()
    followed.look()
    followed.grow()
    size = followed.look().size
    followed.log.shown = old
    report = followed.look()
    assert (rules(report), report.evidence, report.size) == (["stale"], [], size)


def _truncated(data: bytes) -> bytes:
    return data[:-1]


BAD_TILES: dict[str, tuple[Callable[[bytes], bytes], str, str]] = {
    "a short hash tile": (_truncated, "hash", "bad-tile"),
    "a hash tile too wide": (lambda data: data + bytes(32), "hash", "bad-tile"),
    "no bytes": (lambda data: b"", "hash", "bad-tile"),
    "a changed hash": (lambda data: bytes(32) + data[32:], "hash", "tiles-differ"),
    "a cut bundle": (_truncated, "entries", "bad-tile"),
    "a bundle with one entry more": (lambda data: data + b"\x00\x00", "entries", "bad-tile"),
    "a changed entry": (lambda data: data[:-1] + b"?", "entries", "entries-differ"),
}


@pytest.mark.parametrize("name", BAD_TILES)
def test_tiles_that_nobody_signed_are_suspicion_and_not_kept(followed: Followed, name: str) -> None:
    change, which, rule = BAD_TILES[name]
    size = followed.look().size
    followed.grow(captures=4)
    sound = followed.log

    class Changed(ShownLog):
        def tile(self, tile: Tile) -> bytes:
            data = super().tile(tile)
            return change(data) if (tile.level == "entries") == (which == "entries") else data

    followed.log = Changed(ORIGIN, sound.entries)
    report = followed.look()
    assert rule in rules(report)
    assert (report.evidence, report.entries) == ([], size)
    followed.restart()
    followed.log = sound
    report = followed.look()
    assert (report.size, report.entries, rules(report)) == ((len(sound.entries),) * 2 + ([],))


def test_a_log_that_withholds_is_suspected_and_nothing_more(followed: Followed) -> None:
    size = followed.look().size
    followed.grow()
    followed.log.hides_entries = True
    report = followed.look()
    assert (rules(report), report.evidence, report.entries) == (["no-answer"], [], size)
    followed.log.withheld = True
    assert rules(followed.look()) == ["no-answer"]
    followed.log.withheld = followed.log.hides_entries = False
    assert followed.look().entries == len(followed.log.entries)


def test_more_entries_than_a_look_may_take_are_left_and_said(tmp_path: Path) -> None:
    one = consortium()
    monitor = open_monitor(tmp_path, policy_of(one), ORIGIN, lambda: START_MS, max_growth_bytes=1_000)
    report = monitor.look(ShownLog(ORIGIN, list(one.entries)))
    assert (rules(report), report.size, report.entries) == (["too-much"], len(one.entries), 0)
    monitor.close()


def test_a_member_that_saw_another_tree_is_a_suspicion(followed: Followed) -> None:
    followed.look()
    one = followed.one
    followed.log.entries += [capture(one, seen=(4, bytes(32))), seal(one)]
    report = followed.look()
    assert (rules(report), report.evidence) == (["wrong-seen"], [])


def test_a_folder_has_one_monitor_at_a_time_and_one_log(followed: Followed) -> None:
    followed.look()
    with pytest.raises(Unavailable):
        open_monitor(followed.folder, followed.policy, ORIGIN, lambda: START_MS)
    followed.monitor.close()
    other = Consortium.founded("farm", origin="another.example")
    with pytest.raises(InvalidInput) as caught:
        open_monitor(followed.folder, policy_of(other), other.origin, lambda: START_MS)
    assert caught.value.rule == "wrong-log"
    followed.monitor = open_monitor(followed.folder, followed.policy, ORIGIN, lambda: START_MS)
    assert followed.look().entries == len(followed.log.entries)


def _unsettled(folder: Path) -> None:
    with (folder / "entries").open("ab") as file:
        file.write(b"\x00\x05left")
    with (folder / "heads").open("ab") as file:
        file.write(b'{"note": "cut o')


def test_what_a_crash_left_half_written_is_cut_off(followed: Followed) -> None:
    followed.look()
    followed.monitor.close()
    before = [(followed.folder / name).read_bytes() for name in ("entries", "heads")]
    _unsettled(followed.folder)
    followed.monitor = open_monitor(followed.folder, followed.policy, ORIGIN, lambda: START_MS)
    assert [(followed.folder / name).read_bytes() for name in ("entries", "heads")] == before
    followed.grow()
    assert followed.look().entries == len(followed.log.entries)


@pytest.mark.parametrize("name", ["entries", "heads", "state.json"])
def test_a_changed_folder_is_refused_not_believed(followed: Followed, name: str) -> None:
    followed.look()
    followed.monitor.close()
    path = followed.folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        open_monitor(followed.folder, followed.policy, ORIGIN, lambda: START_MS)
    assert caught.value.rule in ("bad-archive", "wrong-log")
    path.write_bytes(b"")
    if name != "heads":
        with pytest.raises(InvalidInput):
            open_monitor(followed.folder, followed.policy, ORIGIN, lambda: START_MS)


@pytest.mark.parametrize("call", range(1, 7))
@pytest.mark.parametrize("stored", [False, True])
def test_a_full_disk_stops_a_look_and_spoils_nothing(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, call: int, stored: bool
) -> None:
    """Each force to disk of a look fails once, with and without its bytes having got there."""
    followed.look()
    followed.grow(captures=3)
    real, calls = os.fsync, iter(range(1, 100))

    def failing(descriptor: int) -> None:
        if next(calls) == call:
            if not stored and S_ISREG(os.fstat(descriptor).st_mode):
                os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - 40))
            raise OSError(ENOSPC, "no space")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("ledger.monitor.archive.os.fsync", failing)
        with pytest.raises(OSError, match="no space"):
            followed.look()
    if call % 2:
        followed.restart()
    report = followed.look()
    assert (report.entries, rules(report), report.evidence) == (len(followed.log.entries), [], [])
    followed.restart()
    followed.grow()
    assert followed.look().entries == len(followed.log.entries)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("kind", ["split-view", "inconsistent-growth", "duplicate-id"])
def test_evidence_that_a_full_disk_stopped_is_written_later(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, kind: str, restarted: bool
) -> None:
    size = followed.look().size
    sound = followed.log.entries
    if kind == "split-view":
        followed.log.shown = signed_note(ORIGIN, fork(followed.one, size - 1, 1))
    elif kind == "inconsistent-growth":
        followed.log.entries = fork(followed.one, size - 3, 20)
    else:
        same = "ab" * 16
        twice = [capture(followed.one, statement_id=same) for _ in range(2)]
        followed.log.entries = [*sound, *twice, seal(followed.one)]

    def full(archive: Archive, name: str, data: bytes) -> Path:
        raise OSError(ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "accuse", full)
        with pytest.raises(OSError, match="no space"):
            followed.look()
    if restarted:
        followed.restart()
    [(path, found)] = followed.look().evidence
    assert found.kind == kind
    assert path.exists()


def test_what_would_take_too_much_to_show_is_said_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.monitor.evidence.MAX_SHOWN_BYTES", 100)
    one, entries = broken("a stranger's key")
    followed = Followed(tmp_path, one, entries)
    report = followed.look()
    assert (rules(report), report.evidence) == (["no-evidence"], [])
    assert "a rule" in report.suspicions[0].message
    followed.monitor.close()


def test_a_flood_of_faults_is_bounded_and_counted(tmp_path: Path) -> None:
    one = consortium()
    same = [capture(one, statement_id="ab" * 16) for _ in range(200)]
    followed = Followed(tmp_path, one, [*one.entries, *same, seal(one)])
    report = followed.look()
    assert len(report.evidence) == 64
    assert any("135 further" in limit for limit in report.limits)
    followed.monitor.close()
