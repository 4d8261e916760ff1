"""Captures that are stored and not yet settled, so that who waits for one is woken instead of asking again."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

_POLL_S: Final = 0.05


class Pending:
    """Futures of unsettled work by job id; used from the event loop only."""

    def __init__(self) -> None:
        self._futures: dict[str, Future[None]] = {}

    def add(self, job_id: str, settled: Future[None]) -> None:
        """Remember a job until it is settled."""
        if settled.done():
            return
        loop = asyncio.get_running_loop()
        self._futures[job_id] = settled

        def forget(_: Future[None]) -> None:
            # The writer drains after the loop has ended; nobody waits any more then.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._futures.pop, job_id, None)

        settled.add_done_callback(forget)

    async def wait(self, job_id: str, longest_s: float) -> None:
        """Return when the job is settled or time is over; a job of an earlier run is only waited for a moment."""
        settled = self._futures.get(job_id)
        if settled is None:
            await asyncio.sleep(min(_POLL_S, longest_s))
            return
        # Waiting must not cancel the writer's own future when this request gives up.
        await asyncio.wait([asyncio.wrap_future(_follower(settled))], timeout=longest_s)


def _follower(settled: Future[None]) -> Future[None]:
    follower: Future[None] = Future()

    def tell(_: Future[None]) -> None:
        if follower.set_running_or_notify_cancel():
            follower.set_result(None)

    settled.add_done_callback(tell)
    return follower
