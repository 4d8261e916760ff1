"""Several nodes on one database: exactly one sequences, all store and answer, and any takes over.

Nodes here are two in one process, each with a folder of its own and the same keys; `test_takeover` has processes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fabric.capture.keyring import Keyring
from fabric.capture.node import DATABASE, Node, open_node
from fabric.capture.pool import InlinePreparer
from fabric.store.jobs import Job
from ledger.errors import InvalidInput, Unavailable
from ledger.log.lock import OnlyTurn, SequencerLock
from ledger.log.publish import Publisher
from ledger.log.recover import open_sequencer
from tests.simulator import EPCIS, Simulator

from .fixtures import Postgres

WITHIN_S = 30.0


class Pair(Simulator):
    """A simulator whose node has a second one beside it, joined while the first sequences."""

    def __init__(self, folder: Path, database: str) -> None:
        self._chosen = database
        super().__init__(folder / "one")
        self.admit("farm", parties=["9506000134352"])
        self.admit("shop")
        self.other = self.join(folder / "other")

    def join(self, folder: Path) -> Node:
        """One more node with the same keys."""
        shutil.copytree(self.folder / "keys", folder / "keys")
        settings = self._settings(folder)
        return open_node(settings, clock=self._clock, preparer=InlinePreparer())

    def _settings(self, folder: Path | None = None) -> Any:
        from dataclasses import replace

        return replace(super()._settings(), data=folder or self.folder, database=self._chosen)

    def send(self, node: Node, lot: str, member: str = "farm") -> Any:
        """Capture one event about a lot at a node; its ticket."""
        self.tick()
        body = self.document([self.event(epcList=[f"urn:epc:id:sgtin:9506000.013435.{lot}"])])
        return node.capture.store(member, node.capture.prepare(body, EPCIS).result())

    def settled(self, node: Node, ticket: Any, member: str = "farm") -> Job:
        """The job of a ticket, once it is settled."""
        job: Job = ticket.stored.result(WITHIN_S)
        ticket.settled.result(WITHIN_S)
        return node.capture.job(job.id, member)


def until(said: Callable[[], object]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + WITHIN_S
    while not said():
        assert time.monotonic() < deadline, "expected it within the time, and it did not happen"
        time.sleep(0.01)


@pytest.fixture
def pair(tmp_path: Path, postgres: Postgres) -> Iterator[Pair]:
    found = Pair(tmp_path, postgres())
    yield found
    found.other.close()
    found.node.close()


def test_one_sequences_the_other_stores_and_both_show_the_same(pair: Pair) -> None:
    states = [node.state() for node in (pair.node, pair.other)]
    assert [state["sequencing"] for state in states] == [True, False]
    assert [state["writable"] for state in states] == [True, True]
    jobs = [pair.settled(node, pair.send(node, lot)) for node, lot in ((pair.other, "1"), (pair.node, "2"))]
    assert [job.state for job in jobs] == ["sequenced", "sequenced"]
    assert jobs[0].index != jobs[1].index
    until(lambda: pair.other.log.size == pair.node.log.size)
    assert pair.other.log.published() == pair.node.log.published()
    assert [pair.other.log.entry(i) for i in range(pair.other.log.size)] == [
        pair.node.log.entry(i) for i in range(pair.node.log.size)
    ]
    for node in (pair.node, pair.other):
        for job in jobs:
            name = pair.names(job)[-1]
            assert pair.verify(node.prover.bundle_for(name, node.reader("farm"))).index == job.index
    until(lambda: pair.other.state()["sequencer"] is not None)
    assert pair.other.state()["sequencer"].startswith("loomark ")


def test_a_settled_capture_is_shown_where_it_was_sent(pair: Pair) -> None:
    job = pair.settled(pair.other, pair.send(pair.other, "1"))
    assert job.index is not None
    assert pair.other.log.size > job.index
    assert pair.other.log.entry(job.index)


def test_a_node_that_stops_hands_over_at_once(pair: Pair) -> None:
    pair.settled(pair.node, pair.send(pair.node, "1"))
    size = pair.node.log.size
    pair.node.close()
    until(lambda: pair.other.state()["sequencing"])
    job = pair.settled(pair.other, pair.send(pair.other, "2"))
    assert job.state == "sequenced"
    assert pair.other.log.consistency_path(size)
    # And back: the one that was away follows first, and takes over with what it missed.
    pair.node = pair._open()
    assert pair.node.state()["sequencing"] is False
    until(lambda: pair.node.log.size == pair.other.log.size)
    pair.other.close()
    until(lambda: pair.node.state()["sequencing"])
    assert pair.settled(pair.node, pair.send(pair.node, "3")).state == "sequenced"
    assert pair.node.log.consistency_path(size)


def test_a_lost_lock_connection_ends_the_turn_before_anything_is_signed(
    pair: Pair, postgres: Postgres
) -> None:
    pair.settled(pair.node, pair.send(pair.node, "1"))
    signed = pair.node.log.published()
    _end_lock_connections(postgres, pair)
    until(lambda: pair.node.state()["sequencing"] != pair.other.state()["sequencing"])
    jobs = [pair.settled(node, pair.send(node, lot)) for node, lot in ((pair.node, "2"), (pair.other, "3"))]
    assert {job.state for job in jobs} == {"sequenced"}
    until(lambda: pair.node.log.size == pair.other.log.size)
    assert pair.node.log.published() == pair.other.log.published()
    assert pair.node.log.consistency_path(signed.checkpoint.size)
    assert [pair.node.state()["writable"], pair.other.state()["writable"]] == [True, True]


def _end_lock_connections(postgres: Postgres, pair: Pair) -> None:
    name = pair._chosen.rpartition("/")[2]
    postgres.server.run(
        "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid"
        f" WHERE l.locktype = 'advisory' AND a.datname = '{name}'"
    )


def test_what_another_node_interned_is_known_after_a_take_over(pair: Pair) -> None:
    """Numbers of things and classes that one node gave are not given again by the next."""
    pair.settled(pair.node, pair.send(pair.node, "1"))
    pair.node.close()
    until(lambda: pair.other.state()["sequencing"])
    for lot in ("1", "2", "3"):
        assert pair.settled(pair.other, pair.send(pair.other, lot, "shop"), "shop").state == "sequenced"
    pair.node = pair._open()
    pair.other.close()
    until(lambda: pair.node.state()["sequencing"])
    for lot in ("3", "4"):
        assert pair.settled(pair.node, pair.send(pair.node, lot)).state == "sequenced"
    before = pair.projections()
    pair.rebuild()
    assert pair.projections() == before


def test_a_node_whose_head_was_moved_opens_the_log_anew_and_goes_on(pair: Pair, tmp_path: Path) -> None:
    """Whoever held the lock before lost it in the middle of a transaction, and that was committed."""
    settings = pair._settings()
    keys = Keyring(settings.data / "keys").load_log_keys()
    publisher = Publisher(tmp_path / "log", pair.folder / "high-water", keys)
    shutil.copytree(pair.folder / "log", tmp_path / "log")
    earlier = open_sequencer(pair.node._engine, publisher, pair._clock)
    pair.other.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair.node._writer, "sequence", lambda: None)
        ticket = pair.send(pair.node, "1")
        ticket.settled.result(WITHIN_S)
        earlier.sequence()
    jobs = [pair.settled(pair.node, pair.send(pair.node, lot)) for lot in ("2", "3")]
    assert [job.state for job in jobs] == ["sequenced", "sequenced"]
    assert pair.node.state()["sequencing"] is True
    assert pair.node.log.consistency_path(earlier.head.size)


def test_a_node_that_dies_between_commit_and_publication_is_published_by_the_next(pair: Pair) -> None:
    def dies(*_: object) -> None:
        raise RuntimeError("killed")

    turns: Any = pair.node._sequencer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns._inner._publisher, "publish", dies)
        ticket = pair.send(pair.node, "1")
        job = ticket.stored.result(WITHIN_S)
        with pytest.raises(Unavailable):
            ticket.settled.result(WITHIN_S)
        committed = turns.head.size
        assert pair.node.log.size < committed
        assert pair.node.state()["writable"] is False
        # The process ends here, and its lock with it.
        turns.close()
    until(lambda: pair.other.log.size == committed)
    assert pair.other.capture.job(job.id, "farm").state == "sequenced"
    assert pair.settled(pair.other, pair.send(pair.other, "2")).state == "sequenced"


def test_duplicates_are_found_across_nodes(pair: Pair) -> None:
    event = pair.event(epcList=["urn:epc:id:sgtin:9506000.013435.1"])
    first = pair.node.capture.capture("farm", pair.document([event]), EPCIS, settled=True)
    again = pair.other.capture.capture("farm", pair.document([event], id="urn:x:2"), EPCIS, settled=True)
    assert (first.state, again.state) == ("sequenced", "duplicate")
    changed = event | {"disposition": "damaged"}
    with pytest.raises(InvalidInput) as refusal:
        pair.other.capture.capture("farm", pair.document([changed]), EPCIS)
    assert refusal.value.rule == "event-id-conflict"


def test_a_node_with_another_log_key_does_not_join(pair: Pair, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    shutil.copytree(pair.folder / "keys", stranger / "keys")
    (stranger / "keys" / "log.key").unlink()
    before = pair.counts()
    with pytest.raises((InvalidInput, Unavailable)):
        open_node(pair._settings(stranger), clock=pair._clock, preparer=InlinePreparer())
    assert pair.counts() == before
    assert not (stranger / "log" / "checkpoint").exists()
    assert pair.settled(pair.node, pair.send(pair.node, "1")).state == "sequenced"


def test_a_node_that_knows_of_a_head_that_the_database_lacks_takes_no_turn(
    pair: Pair, postgres: Postgres
) -> None:
    """A replica that lost commits was promoted: the node that saw them refuses, and the other one too."""
    pair.settled(pair.node, pair.send(pair.node, "1"))
    until(lambda: pair.other.log.size == pair.node.log.size)
    size = pair.node.log.size
    pair.node.close()
    pair.other.close()
    old = postgres.server.new_database(pair._chosen)
    pair.node = pair._open()
    pair.settled(pair.node, pair.send(pair.node, "2"))
    pair.node.close()
    pair._chosen = old
    postgres.given.append(old)
    postgres.unlike.add(old)
    pair.node = pair._open()
    state = pair.node.state()
    assert (state["writable"], state["readOnly"], state["sequencing"]) == (False, True, False)
    assert "read-only" in state["reason"]
    # The other one saw nothing of what was lost: as far as it knows the log is whole, so witnesses have to tell.
    pair.other = open_node(
        pair._settings(pair.folder.parent / "other"), clock=pair._clock, preparer=InlinePreparer()
    )
    assert pair.other.state()["sequencing"] is True
    assert pair.other.log.size == size


def test_work_that_must_be_alone_waits_for_no_node(pair: Pair) -> None:
    with pytest.raises(Unavailable, match="stop all nodes"):
        OnlyTurn(pair._chosen).acquire()
    assert pair.node.state()["sequencing"] is True


def test_a_lock_is_held_once_and_until_its_connection_ends(postgres: Postgres) -> None:
    url = postgres()
    one, other = SequencerLock(url), SequencerLock(url)
    assert (one.try_take(), other.try_take()) == (True, False)
    assert (one.is_held(), other.is_held()) == (True, False)
    assert other.holder() == one.holder()
    one.release()
    assert (one.is_held(), other.try_take()) == (False, True)
    other.release()
    with suppress(Unavailable):
        assert one.holder() is None
    one.release()


def test_nothing_is_kept_in_the_folder_but_what_is_served(pair: Pair) -> None:
    assert not (pair.folder / DATABASE).exists()
