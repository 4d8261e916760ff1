"""Questions answered in a thread: for so long at most, and only while somebody waits for the answer."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TypeVar

from anyio.to_thread import run_sync
from fastapi import Request

from api.services import Services
from fabric.query.run import Budget, Events
from fabric.visibility.holders import Holders
from ledger.errors import LoomarkError, Unavailable

_Answer = TypeVar("_Answer")


class CallerGone(Unavailable):
    """Whoever asked has closed the connection; nobody hears this."""

    rule = "caller-gone"


class Waiting:
    """Whether somebody still waits, as a clock that questions are timed by: when nobody does, all time is over."""

    def __init__(self) -> None:
        self._gone = threading.Event()

    def end(self) -> None:
        """Nobody waits for the answer any more."""
        self._gone.set()

    @property
    def is_over(self) -> bool:
        """Whether nobody waits."""
        return self._gone.is_set()

    def clock(self) -> float:
        """Seconds that never go back."""
        return math.inf if self._gone.is_set() else time.monotonic()


async def answered(request: Request, serving: Services, work: Callable[[Events], _Answer]) -> _Answer:
    """The result of `work` with the node's events, in a thread; stopped soon after the caller has gone.

    Raises what `work` raises, and CallerGone.
    """
    waiting = Waiting()
    events = events_of(serving, waiting.clock)

    def begin() -> _Answer:
        if waiting.is_over:
            raise CallerGone("the caller closed the connection")
        return work(events)

    working = asyncio.ensure_future(run_sync(begin, limiter=serving.questions))
    listening = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            waiting.end()
        try:
            # Never left behind: what it does it does with the node's connections.
            return await asyncio.shield(working)
        except LoomarkError:
            if waiting.is_over:
                raise CallerGone("the caller closed the connection") from None
            raise
    finally:
        waiting.end()
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


def events_of(serving: Services, clock: Callable[[], float] = time.monotonic) -> Events:
    """The node's events as questions see them, timed by `clock`."""
    settings = serving.settings
    budget = Budget(settings.query_budget_s, settings.query_budget_events)

    @cache
    def holders() -> Holders:
        # Only what asks about places needs them.
        return Holders(serving.node.registry.identifiers)

    def holder_of(iri: str, time_us: int) -> str | None:
        return holders().member_of(iri, time_us)

    return Events(serving.node.reading, holder_of, budget=budget, clock=clock)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
