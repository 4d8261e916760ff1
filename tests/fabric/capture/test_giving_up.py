"""Who gives up waiting leaves the writer and the pool undisturbed."""

from __future__ import annotations

import asyncio

import pytest

from fabric.capture.pool import PreparePool
from fabric.capture.prepare import Limits
from fabric.capture.writer import Ticket
from tests.simulator import EPCIS, Simulator


def test_a_ticket_cannot_be_cancelled_by_who_waits_for_it() -> None:
    ticket = Ticket()
    assert not ticket.stored.cancel()
    assert not ticket.settled.cancel()


def test_a_request_that_times_out_does_not_upset_the_worker(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    body = sim.document([sim.event(epcList=["urn:epc:id:sgtin:9506000.013435.1"])])
    pool = PreparePool(Limits(), 1)
    try:
        futures = [pool.submit(body, EPCIS) for _ in range(3)]

        async def give_up() -> None:
            for future in futures:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await asyncio.wrap_future(future)

        asyncio.run(give_up())
        assert [len(future.result(30).records) for future in futures] == [2, 2, 2]
    finally:
        pool.close()
    assert caplog.records == []
