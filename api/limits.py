"""Limits at the door: how large a body may be and how long it may take to arrive."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.problems import UnsupportedMediaType
from ledger.errors import InvalidInput, TooLarge


async def read_body(request: Request, limit_bytes: int, timeout_s: float) -> bytes:
    """The whole body of `request`, at most `limit_bytes`.

    Raises TooLarge as soon as the announced or received size passes the limit, so that no more than the limit
    is ever held; InvalidInput (rule `body-timeout`) when the body has not arrived after `timeout_s`, or
    (rule `body-cut`) when the caller went away, who will not hear of it.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise _too_large(limit_bytes, announced)
    try:
        async with asyncio.timeout(timeout_s):
            return await _collect(request, limit_bytes)
    except ClientDisconnect as error:
        raise InvalidInput(
            "expected the whole body, got a part and the end of the connection", rule="body-cut"
        ) from error
    except TimeoutError as error:
        raise InvalidInput(f"the body did not arrive within {timeout_s:g} s", rule="body-timeout") from error


async def _collect(request: Request, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit_bytes:
            raise _too_large(limit_bytes, f"more than {limit_bytes}")
        parts.append(part)
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
