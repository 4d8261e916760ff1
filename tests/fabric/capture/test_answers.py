"""Whatever is queued is answered, however the writer ends."""

from __future__ import annotations

import faulthandler
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from random import Random
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from fabric.capture.writer import QueueFull, Ticket
from ledger.errors import InvalidInput, Unavailable
from tests.simulator import Simulator

STUCK_S = 60.0


@pytest.fixture(autouse=True)
def tracebacks_when_stuck() -> Iterator[None]:
    faulthandler.dump_traceback_later(STUCK_S, exit=False)
    yield
    faulthandler.cancel_dump_traceback_later()


def _work(random: Random) -> Callable[[Connection], Any]:
    kind = random.randrange(4)

    def run(connection: Connection) -> int:
        connection.exec_driver_sql("SELECT 1 FROM job")
        if kind == 1:
            raise InvalidInput("expected better", rule="bad-shape")
        if kind == 2:
            raise KeyError("a mistake of ours")
        if kind == 3:
            time.sleep(0.0005)
        return kind

    return run


def _submit_many(sim: Simulator, seed: int, tickets: list[Ticket], stop: threading.Event) -> None:
    random = Random(seed)
    while not stop.is_set():
        try:
            tickets.append(sim.node._writer.submit(_work(random)))
        except QueueFull:
            time.sleep(0.001)
        except Unavailable:
            return


def _hammer(sim: Simulator, seed: int, end: Callable[[], None]) -> list[Ticket]:
    lists: list[list[Ticket]] = [[] for _ in range(6)]
    stop = threading.Event()
    threads = [
        threading.Thread(target=_submit_many, args=(sim, seed + number, tickets, stop))
        for number, tickets in enumerate(lists)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    end()
    stop.set()
    for thread in threads:
        thread.join(STUCK_S)
    assert not any(thread.is_alive() for thread in threads)
    return [ticket for tickets in lists for ticket in tickets]


def _require_answers(tickets: list[Ticket]) -> None:
    futures = [future for ticket in tickets for future in (ticket.stored, ticket.settled)]
    assert len(futures) > 20
    assert not wait(futures, STUCK_S).not_done


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_work_of_many_threads_is_answered_when_the_writer_is_told_to_stop(sim: Simulator, seed: int) -> None:
    _require_answers(_hammer(sim, seed, sim.node._writer.stop))


def test_work_of_many_threads_is_answered_when_the_writer_fails(sim: Simulator) -> None:
    writer = sim.node._writer

    def broken() -> None:
        raise OSError("no space left")

    def fail() -> None:
        writer.sequence = broken  # type: ignore[method-assign]

    tickets = _hammer(sim, 4, fail)
    _require_answers(tickets)
    assert isinstance(writer.failure, OSError)
    lost = [ticket for ticket in tickets if isinstance(ticket.settled.exception(0), Unavailable)]
    assert lost


def test_what_is_queued_behind_the_order_to_stop_is_answered(sim: Simulator) -> None:
    writer, gate = sim.node._writer, threading.Event()
    first = writer.submit(lambda connection: gate.wait(STUCK_S))
    writer._queue.put(None)
    behind = writer.submit(lambda connection: 1)
    gate.set()
    assert first.stored.result(STUCK_S)
    with pytest.raises(Unavailable):
        behind.stored.result(STUCK_S)
    late = writer.submit(lambda connection: 1)
    with pytest.raises(Unavailable):
        late.stored.result(STUCK_S)
