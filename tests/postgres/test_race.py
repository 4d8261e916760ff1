"""Eight writers stage with slow commits while sequencers come and go: no index twice, no staged row lost.

Rows are numbered when they are written and seen when they are committed, in another order: whoever claimed by the
highest number it saw would pass over the slow ones.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from ledger.errors import Unavailable
from ledger.log import schema
from ledger.log.database import create_log, entries, read_head
from ledger.log.engine import writer_engine
from ledger.log.follow import Follower
from ledger.log.lock import SequencerLock
from ledger.log.plan import Plan, Sequenced
from ledger.log.publish import Publisher
from ledger.log.recover import open_sequencer
from ledger.log.stage import stage
from tests.ledger.log.node import ORIGIN, START_MS, admission, capture, charter, key_of

from .fixtures import Postgres

WRITERS = 8
EACH = 25


class Race:
    """One log on PostgreSQL, writers that stage, and sequencers that take turns at it."""

    def __init__(self, folder: Path, url: str, seed: int) -> None:
        self.folder, self.url, self.seed = folder, url, seed
        self.engine: Engine = writer_engine(url)
        self.done = threading.Event()
        self.errors: list[BaseException] = []
        self.staged: list[int] = []
        self.turns = [0, 0]
        with self.engine.begin() as connection:
            create_log(connection, ORIGIN)
            for envelope in (charter(), admission("farm")):
                stage(connection, envelope, origin=ORIGIN, now_ms=START_MS)

    def write(self, number: int) -> None:
        """Stage one after the other, each in a transaction that takes its time; some are staged by two at once."""
        chance = random.Random(self.seed + number)
        engine = writer_engine(self.url)
        try:
            for turn in range(EACH):
                name = f"{number // 2} shared {turn}" if turn % 5 == 0 else f"{number} {turn}"
                with engine.begin() as connection:
                    row = stage(connection, capture(name), origin=ORIGIN, now_ms=START_MS)
                    time.sleep(chance.choice((0, 0, 0.002, 0.03)))
                self.staged.append(row)
        except BaseException as error:
            self.errors.append(error)
        finally:
            engine.dispose()

    def sequence(self, number: int) -> None:
        """Take the lock, sequence a few batches, lose it, and begin again, until nothing more comes."""
        lock, engine = SequencerLock(self.url), writer_engine(self.url)
        chance = random.Random(self.seed - number)
        try:
            while not (self.done.is_set() and min(self.turns) and self._nothing_waits(engine)):
                if lock.try_take():
                    self.turns[number] += 1
                    # Whoever lost the lock in the middle of a transaction may commit it after this turn began.
                    with suppress(Unavailable):
                        self._turn(number, engine, lock, chance)
                    lock.release()
                time.sleep(0.005)
        except BaseException as error:
            self.errors.append(error)
        finally:
            lock.release()
            engine.dispose()

    def _turn(self, number: int, engine: Engine, lock: SequencerLock, chance: random.Random) -> None:
        # Each in a folder of its own, which follows what the other published before it goes on.
        folder = self.folder / str(number)
        publisher = Publisher(folder / "log", folder / "high-water", key_of("log"))
        Follower(engine, publisher, ORIGIN).advance()
        sequencer = open_sequencer(engine, publisher, lambda: START_MS)
        if sequencer.read_only is not None:
            # The first note was archived after this node looked: it follows first, and has its turn later.
            assert not (folder / "high-water").exists()
            return
        for _ in range(chance.randint(1, 4)):
            if chance.random() < 0.3:
                # The lock is lost while a batch is being written: the other sequencer may move the head first.
                self._sequence_while_losing(sequencer, lock)
                return
            sequencer.sequence(limit=chance.choice((1, 7, 64)))
            time.sleep(0.005)

    def _sequence_while_losing(self, sequencer: object, lock: SequencerLock) -> None:
        def lose(_connection: object, _sequenced: object) -> None:
            lock.release()
            time.sleep(0.05)

        sequencer.sequence(lose)  # type: ignore[attr-defined]

    def _nothing_waits(self, engine: Engine) -> bool:
        with engine.connect() as connection:
            return not connection.execute(select(schema.statement.c.id).where(schema.is_waiting)).all()


def test_no_index_twice_and_no_staged_row_lost(tmp_path: Path, postgres: Postgres, seed: int) -> None:
    race = Race(tmp_path, postgres(), seed)
    sequencers = [threading.Thread(target=race.sequence, args=(number,)) for number in range(2)]
    writers = [threading.Thread(target=race.write, args=(number,)) for number in range(WRITERS)]
    for thread in (*sequencers, *writers):
        thread.start()
    for thread in writers:
        thread.join(120)
    race.done.set()
    for thread in sequencers:
        thread.join(120)
    assert race.errors == []
    assert len(race.staged) == WRITERS * EACH
    shared = WRITERS // 2 * len(range(0, EACH, 5))
    table = schema.statement
    with race.engine.connect() as connection:
        rows = connection.execute(select(table.c.id, table.c.state, table.c.idx).order_by(table.c.id)).all()
        head = read_head(connection)
        found = list(entries(connection, 0, head.size))
    race.engine.dispose()
    assert {row.state for row in rows} == {schema.SEQUENCED}
    assert len(rows) == 2 + WRITERS * EACH - shared
    assert set(race.staged) <= {row.id for row in rows}
    indices = [row.idx for row in rows]
    assert len(set(indices)) == len(indices)
    assert [entry.index for entry in found] == list(range(head.size))
    assert len({entry.data for entry in found}) == len(found)


def test_the_same_statement_staged_by_two_at_once_is_one_row(postgres: Postgres) -> None:
    url = postgres()
    one, other = writer_engine(url), writer_engine(url)
    with one.begin() as connection:
        create_log(connection, ORIGIN)
    rows: list[int] = []
    with one.connect() as first:
        transaction = first.begin()
        rows.append(stage(first, capture("x"), origin=ORIGIN, now_ms=START_MS))

        def second() -> None:
            with other.begin() as connection:
                rows.append(stage(connection, capture("x"), origin=ORIGIN, now_ms=START_MS))

        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        transaction.commit()
        thread.join(30)
    with one.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM statement").scalar_one() == 1
    assert len(set(rows)) == 1
    one.dispose()
    other.dispose()


@pytest.mark.parametrize("stored", [False, True])
def test_a_head_that_another_moved_first_is_not_moved_again(
    tmp_path: Path, postgres: Postgres, stored: bool
) -> None:
    """Two sequencers at once, as when a lock was lost unnoticed: one transaction wins, the other leaves nothing."""
    url = postgres()
    engine = writer_engine(url)
    with engine.begin() as connection:
        create_log(connection, ORIGIN)
        for envelope in (charter(), admission("farm")):
            stage(connection, envelope, origin=ORIGIN, now_ms=START_MS)
    folders = [tmp_path / name for name in ("one", "other")]
    publishers = [Publisher(folder / "log", folder / "high-water", key_of("log")) for folder in folders]
    first = open_sequencer(engine, publishers[0], lambda: START_MS)
    second = open_sequencer(engine, publishers[1], lambda: START_MS)
    taken: list[Sequenced] = []
    assert first.sequence() is not None
    if stored:
        with engine.begin() as connection:
            stage(connection, capture("more"), origin=ORIGIN, now_ms=START_MS)
        with pytest.raises(Unavailable):
            second.sequence(lambda _connection, done: taken.extend(done))
    else:
        assert second.sequence(lambda _connection, done: taken.extend(done)) is None
    assert taken == []
    with engine.connect() as connection:
        assert read_head(connection) == first.head
    assert not (folders[1] / "log" / "checkpoint").exists()
    engine.dispose()


def test_who_was_overtaken_refuses_nothing_by_a_registry_of_before(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = writer_engine(postgres())
    with engine.begin() as connection:
        create_log(connection, ORIGIN)
        stage(connection, charter(), origin=ORIGIN, now_ms=START_MS)
    publisher = Publisher(tmp_path / "log", tmp_path / "high-water", key_of("log"))
    first = open_sequencer(engine, publisher, lambda: START_MS)
    assert first.sequence() is not None
    second = open_sequencer(engine, publisher, lambda: START_MS)
    with engine.begin() as connection:
        stage(connection, capture("by nobody yet"), origin=ORIGIN, now_ms=START_MS)
    decide = second._decide

    def overtaken(limit: int) -> Plan | None:
        decided = decide(limit)
        with engine.begin() as connection:
            stage(connection, admission("farm"), origin=ORIGIN, now_ms=START_MS)
        assert first.sequence() is not None
        return decided

    monkeypatch.setattr(second, "_decide", overtaken)
    with pytest.raises(Unavailable, match="moved by somebody else"):
        second.sequence()
    engine.dispose()
