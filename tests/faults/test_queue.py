"""The writer's queue is bounded by what waits in it, so that the next submission is answered in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy.engine import Connection

from fabric.capture.writer import QueueFull, Ticket

from .served import document
from .test_fork_guard import EPCIS, Folder, folder

__all__ = ["folder"]


@pytest.fixture
def held(folder: Folder) -> Iterator[threading.Event]:
    """The writer works on something until it is let go."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        begun.set()
        assert go_on.wait(60)

    assert folder.node is not None
    folder.node._writer.submit(hold)
    assert begun.wait(20)
    yield go_on
    go_on.set()


def send(folder: Folder, events: int) -> Ticket:
    assert folder.node is not None
    prepared = folder.node.capture.prepare(document(folder.chance, events), EPCIS).result()
    return folder.node.capture.store("farm", prepared)


def test_records_fill_the_queue_and_leave_it_again(
    folder: Folder, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabric.capture.writer.MOST_QUEUED", 30)
    # One submission alone may be larger than what may wait: nobody waits behind nobody.
    waiting = [send(folder, 40)]
    for _ in range(3):
        with pytest.raises(QueueFull):
            send(folder, 1)
    assert folder.node is not None
    assert folder.node._writer.queued == 1
    held.set()
    for ticket in waiting:
        ticket.settled.result(30)
    waiting = [send(folder, 1) for _ in range(3)]
    for ticket in waiting:
        assert ticket.stored.result(30).member == "farm"
        ticket.settled.result(30)
    assert folder.node._writer._queued_records == 0


def test_what_waits_behind_a_read_only_log_is_answered(folder: Folder, held: threading.Event) -> None:
    tickets = [send(folder, 1) for _ in range(3)]
    folder.witness("witness.example", 9_000)
    held.set()
    for ticket in tickets:
        with pytest.raises(Exception, match=r"read-only|send it again"):
            ticket.stored.result(30)
        with pytest.raises(Exception, match=r"read-only|send it again"):
            ticket.settled.result(30)
    assert folder.node is not None
    assert folder.node._writer._queued_records == 0
