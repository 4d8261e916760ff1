"""Hearing out a caller who is answered before everything it sends has arrived.

A connection that is closed on unread bytes is reset by the system, and the reset may overtake the answer: the
caller would learn nothing of why. So the answer goes out whole, what still comes is read and dropped for a while,
and the connection is closed then (RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CLOSE = (b"connection", b"close")


class HeardOut:
    """ASGI middleware that drops at most `limit_bytes` of a body, in at most `timeout_s`, after an early answer.

    It stands outermost, so that nothing counts the time spent here as time to answer.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        is_complete = False

        async def heard() -> Message:
            nonlocal is_complete
            message = await receive()
            is_complete = is_complete or not message.get("more_body", False)
            return message

        async def send_and_hear_out(message: Message) -> None:
            if is_complete:
                await send(message)
            elif message["type"] == "http.response.start":
                # Whoever waits for "100 Continue" sends no body now, and would begin its next request instead.
                others = [pair for pair in message["headers"] if pair[0].lower() != _CLOSE[0]]
                await send({**message, "headers": [*others, _CLOSE]})
            elif message.get("more_body", False):
                await send(message)
            else:
                await send({**message, "more_body": True})
                await self._drop(receive)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, heard, send_and_hear_out)

    async def _drop(self, receive: Receive) -> None:
        left = self._limit_bytes
        try:
            async with asyncio.timeout(self._timeout_s):
                while left > 0:
                    message = await receive()
                    if not message.get("more_body", False):
                        return
                    left -= len(message.get("body", b""))
        except TimeoutError:
            return


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""
