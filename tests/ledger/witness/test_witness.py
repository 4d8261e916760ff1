from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.checkpoint import checkpoint_of
from ledger.errors import InvalidInput, Unavailable
from ledger.note import (
    COSIGNATURE,
    Note,
    SignatureLine,
    VerifierKey,
    parse_note,
    parse_signature_lines,
    parse_vkey,
    verify_note,
)
from ledger.witness.decision import LastSeen
from ledger.witness.exchange import Answer, origin_hash
from ledger.witness.store import MAX_CONFLICTS, Turn, WitnessStore
from ledger.witness.witness import Witness

from .logs import ORIGIN, MemoryLog, key_of

LOG = MemoryLog()
NAME = "witness.example/one"
TIME_S = 1_790_000_000


@contextmanager
def opened(folder: Path, time_s: int = TIME_S) -> Iterator[Witness]:
    store = WitnessStore(folder / "witness.db")
    try:
        yield Witness(store, NAME, key_of("witness"), {ORIGIN: [LOG.vkey]}, clock=lambda: time_s)
    finally:
        store.close()


def size_of(witness: Witness) -> int:
    note = witness.checkpoint(origin_hash(ORIGIN))
    return 0 if note is None else checkpoint_of(parse_note(note)).size


def test_the_answer_is_its_own_line_alone_with_a_time(tmp_path: Path) -> None:
    others = [SignatureLine("witness.example/two", b"\1\2\3\4", bytes(72))]
    with opened(tmp_path) as witness:
        answer = witness.add_checkpoint(LOG.request(0, 4, others))
        assert answer.status == 200
        lines = parse_signature_lines(answer.body)
        key = parse_vkey(witness.vkey)
        assert [(line.name, line.key_id) for line in lines] == [(NAME, key.key_id)]
        signed = verify_note(Note(LOG.head(4).text(), lines), [key])
        assert [one.time_s for one in signed] == [TIME_S]


def test_a_broken_clock_never_gives_a_cosignature_without_time(tmp_path: Path) -> None:
    with opened(tmp_path, time_s=0) as witness:
        lines = parse_signature_lines(witness.add_checkpoint(LOG.request(0, 4)).body)
        assert verify_note(Note(LOG.head(4).text(), lines), [parse_vkey(witness.vkey)])[0].time_s == 1


def test_the_monitoring_path_shows_the_latest_with_both_signatures(tmp_path: Path) -> None:
    with opened(tmp_path) as witness:
        assert witness.checkpoint(origin_hash(ORIGIN)) is None
        witness.add_checkpoint(LOG.request(0, 4))
        witness.add_checkpoint(LOG.request(4, 9))
        note = parse_note(witness.checkpoint(origin_hash(ORIGIN)) or b"")
        assert checkpoint_of(note) == LOG.head(9)
        assert len(verify_note(note, [LOG.vkey, parse_vkey(witness.vkey)])) == 2
        assert witness.checkpoint(origin_hash("unknown.example/log")) is None
        assert witness.checkpoint("nonsense") is None


def test_a_forged_line_in_its_own_name_poisons_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as witness:
        key = VerifierKey(NAME, COSIGNATURE, key_of("witness").public_bytes)
        forged = SignatureLine(NAME, key.key_id, bytes(7) + b"\1" + bytes(64))
        answer = witness.add_checkpoint(LOG.request(0, 4, [forged]))
        assert answer.status == 200
        shown = parse_note(witness.checkpoint(origin_hash(ORIGIN)) or b"")
        assert len(shown.signatures) == 2
        assert len(verify_note(shown, [LOG.vkey, key])) == 2
        assert witness.add_checkpoint(LOG.request(4, 6)).status == 200


def test_what_was_cosigned_is_known_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
    with opened(tmp_path) as witness:
        assert witness.add_checkpoint(LOG.request(0, 9)).body == b"4\n"
        assert witness.add_checkpoint(MemoryLog("other").request(4, 9)).status == 422
        assert size_of(witness) == 4
        assert witness.add_checkpoint(LOG.request(4, 9)).status == 200


def test_a_refusal_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
        before = witness.checkpoint(origin_hash(ORIGIN))
        for body in (b"", LOG.request(3, 9), MemoryLog("other").request(4, 9), LOG.request(0, 2)):
            assert witness.add_checkpoint(body).status != 200
        assert witness.checkpoint(origin_hash(ORIGIN)) == before
        assert dict(witness.counts) == {200: 1, 400: 1, 409: 2, 422: 1}


def test_a_race_of_two_submitters_has_one_winner(tmp_path: Path) -> None:
    with opened(tmp_path) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
        ways = [
            LOG.request(4, 8),
            MemoryLog("other").request(0, 8),
            *[LOG.request(4, 5 + n) for n in range(6)],
        ]
        answers: list[Answer] = []
        start = threading.Barrier(len(ways))

        def submit(body: bytes) -> None:
            start.wait()
            answers.append(witness.add_checkpoint(body))

        threads = [threading.Thread(target=submit, args=(body,)) for body in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(one.status for one in answers) == [200] + [409] * (len(ways) - 1)
        assert {one.body for one in answers if one.status == 409} <= {
            b"4\n",
            f"{size_of(witness)}\n".encode(),
        }


def test_two_roots_of_one_size_are_kept_as_a_proof(tmp_path: Path) -> None:
    with opened(tmp_path) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
        for fork in range(MAX_CONFLICTS + 5):
            assert witness.add_checkpoint(MemoryLog(f"fork {fork}").request(4, 4)).status == 422
        pairs = witness.conflicts(ORIGIN)
        assert witness.forks == MAX_CONFLICTS + 5
        assert len(pairs) == MAX_CONFLICTS
        for seen, other in pairs:
            heads = [checkpoint_of(parse_note(note)) for note in (seen, other)]
            assert heads[0].size == heads[1].size
            assert heads[0].root != heads[1].root
            for note in (seen, other):
                assert verify_note(parse_note(note), [LOG.vkey])


class _Broken(Turn):
    def keep(self, origin: str, seen: LastSeen, note: bytes, time_s: int) -> None:
        super().keep(origin, seen, note, time_s)
        raise sqlite3.OperationalError("disk I/O error")


def test_what_cannot_be_kept_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
        with monkeypatch.context() as patched:
            patched.setattr("ledger.witness.store.Turn", _Broken)
            answer = witness.add_checkpoint(LOG.request(4, 9))
        assert answer.status == 503
        assert b"witness.example" not in answer.body
        assert size_of(witness) == 4
        assert witness.add_checkpoint(LOG.request(4, 9)).status == 200


def test_a_second_witness_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as witness:
        witness.add_checkpoint(LOG.request(0, 4))
        with pytest.raises(Unavailable, match="another witness"):
            WitnessStore(tmp_path / "witness.db")
    with opened(tmp_path) as witness:
        assert size_of(witness) == 4


class _Replayer:
    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.asked: list[int] = []

    def check(self, note: Note, size: int) -> None:
        self.asked.append(size)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("entry 3 is a false seal", rule="false-seal"), 422),
        (Unavailable("read 2 of 4 entries"), 503),
        (None, 200),
    ],
)
def test_a_replaying_witness_cosigns_only_what_it_checked(
    tmp_path: Path, error: Exception | None, status: int
) -> None:
    store, replayer = WitnessStore(tmp_path / "witness.db"), _Replayer(error)
    trusted = {ORIGIN: [LOG.vkey]}
    witness = Witness(store, NAME, key_of("replay"), trusted, replayers={ORIGIN: replayer})
    answer = witness.add_checkpoint(LOG.request(0, 4))
    assert answer.status == status
    assert replayer.asked == [4]
    assert (witness.checkpoint(origin_hash(ORIGIN)) is None) == (status != 200)
    if status == 422:
        assert b"false-seal" in answer.body
    # What would be refused anyway is not looked into.
    witness.add_checkpoint(LOG.request(9, 12))
    assert replayer.asked == [4]
    store.close()
