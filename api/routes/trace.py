"""`/api/trace` and `/api/search`: what a thing became, what it came from, and what a typed text may mean."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from api.answers import meant, view
from api.services import Services
from fabric.epcis.times import parse_time
from fabric.trace import Budget, Direction, Options, Question, trace
from fabric.trace.search import resolve
from ledger.errors import InvalidInput

from .asking import Reading, Serving

router = APIRouter(prefix="/api", tags=["trace"])

MAX_TEXT = 2_048
Text = Annotated[str, Query(max_length=MAX_TEXT)]
OptionalText = Annotated[str | None, Query(max_length=MAX_TEXT)]


@router.get("/trace", summary="Trace a thing", response_class=Response)
def get_trace(
    serving: Serving,
    reading: Reading,
    thing: Annotated[
        str, Query(max_length=MAX_TEXT, description="Any name of a lot, serial, carrier or document.")
    ],
    direction: Direction = Direction.FORWARD,
    at: Annotated[
        str | None, Query(description="For a carrier: the instant that chooses its filling.")
    ] = None,
    size: Annotated[int | None, Query(description="Answer as known at this tree size.")] = None,
    making_place: OptionalText = None,
    kill_step: Annotated[
        str | None, Query(max_length=MAX_TEXT, description="Stop at this business step, as one that kills.")
    ] = None,
    exposed: Annotated[
        int | None, Query(description="Also list what shared a carrier or place, within hours.")
    ] = None,
) -> Response:
    """A `loomark/trace/v1` document: affected things with holders, carriers, events, quantities, contradictions,
    where and why the trace stopped, and what is hidden from the caller.
    """
    options = Options(making_place, kill_step, exposed)
    with view(serving.node, reading, size) as seen:
        asked = Question(meant(thing, seen), direction, instant_us(at), options, budget(serving))
        # All of it is made while the view is open, so that what is refused is refused before the answer begins.
        found = list(trace(asked, seen.source).as_chunks(orjson.dumps))
    length = str(sum(map(len, found)))
    return StreamingResponse(
        _drained(found), media_type="application/json", headers={"Content-Length": length}
    )


async def _drained(pieces: list[bytes]) -> AsyncIterator[bytes]:
    """The pieces in turn, each let go once it was sent: a whole trace may have hundreds of megabytes."""
    pieces.reverse()
    while pieces:
        yield pieces.pop()


@router.get("/search", summary="What a text may mean", response_class=Response)
def search(serving: Serving, reading: Reading, q: Text) -> Response:
    """What a typed text may mean: `thing` (the one it names, or null), `candidates` that it names, and `near`, names
    that only look alike. Fields: docs/spec/trace.md, "Search".
    """
    with view(serving.node, reading) as seen:
        found = resolve(q, seen.catalogue, seen.source).as_json()
    return Response(orjson.dumps(found), media_type="application/json")


def budget(serving: Services) -> Budget:
    """How far one trace may go on this node."""
    settings = serving.settings
    return Budget(settings.trace_budget_nodes, settings.trace_budget_s, time.monotonic)


def instant_us(at: str | None) -> int | None:
    """An RFC 3339 instant in microseconds; raises InvalidInput."""
    if at is None:
        return None
    parsed = parse_time(at)
    if parsed is None:
        raise InvalidInput(f"at: expected an instant with an offset, got {at[:40]}", rule="bad-time")
    return parsed[0]
