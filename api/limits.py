"""Limits at the door: how large a body may be, how many events it may have, and how long it may take to arrive."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.problems import UnsupportedMediaType
from fabric.epcis.outline import excess_of_events
from ledger.errors import Finding, InvalidInput, TooLarge

_EVENT_TIME = b"eventTime"
_COUNTED_BYTES = 8 * 1024 * 1024
"""Of a longer part the events are counted where it is read, beside this process and not in it."""


async def read_body(
    request: Request, limit_bytes: int, timeout_s: float, most_events: int | None = None
) -> bytes:
    """The whole body of `request`, at most `limit_bytes`, and of an EPCIS document at most `most_events`.

    Raises TooLarge as soon as the announced or received size, or the number of events in what was received, passes
    the limit, so that no more than the limit is ever held; InvalidInput (rule `body-timeout`) when the body has not arrived after `timeout_s`, or
    (rule `body-cut`) when the caller went away, who will not hear of it.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise _too_large(limit_bytes, announced)
    try:
        async with asyncio.timeout(timeout_s):
            return await _collect(request, limit_bytes, most_events)
    except ClientDisconnect as error:
        raise InvalidInput(
            "expected the whole body, got a part and the end of the connection", rule="body-cut"
        ) from error
    except TimeoutError as error:
        raise InvalidInput(f"the body did not arrive within {timeout_s:g} s", rule="body-timeout") from error


async def _collect(request: Request, limit_bytes: int, most_events: int | None) -> bytes:
    parts: list[bytes] = []
    size, named, rest = 0, 0, b""
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise _too_large(limit_bytes, f"more than {limit_bytes}")
        parts.append(part)
        if most_events is None:
            continue
        named += (rest + part).count(_EVENT_TIME)
        # What a name may begin with at the end of one part is looked at again before the next.
        rest = (rest + part)[1 - len(_EVENT_TIME) :]
        if named > most_events:
            place = None
            if size <= _COUNTED_BYTES:
                place = await asyncio.to_thread(excess_of_events, b"".join(parts), most_events)
            if place is not None:
                expected = f"{most_events} events in a capture at most"
                finding = Finding(None, place, "too-many-events", expected, "more")
                raise TooLarge(f"{place}: expected {expected}, got more", [finding], finding.rule)
            # Something else has the name as well; whoever reads the document will count what it has.
            most_events = None
    return b"".join(parts)


def _too_large(limit_bytes: int, got: str) -> TooLarge:
    return TooLarge(f"the body may have at most {limit_bytes} bytes, got {got}", rule="body-too-large")


def media_type(request: Request, accepted: tuple[str, ...]) -> str:
    """The media type of the request's body, lower case and without parameters, if it is an accepted one.

    Raises UnsupportedMediaType otherwise, and for a charset other than UTF-8.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    charset = parameters.lower().replace(" ", "").partition("charset=")[2].strip('"').partition(";")[0]
    if kind not in accepted:
        raise UnsupportedMediaType(f"expected content type {' or '.join(accepted)}, got {kind or 'none'!r}")
    if charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType(f"expected charset utf-8, got {charset!r}")
    return kind
