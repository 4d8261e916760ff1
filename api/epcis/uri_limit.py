"""How long an address may be: longer ones are refused before anything reads their parameters."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import AsAnswer, UriTooLong, refusal_of


class UriLimit:
    """ASGI middleware that answers 414 to an address whose path and query have more than `limit_bytes` as sent."""

    def __init__(self, app: ASGIApp, limit_bytes: int, as_answer: AsAnswer) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._as_answer = as_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        size_bytes = _size_bytes(scope)
        if size_bytes <= self._limit_bytes:
            await self._app(scope, receive, send)
            return
        refusal = refusal_of(
            UriTooLong(f"expected an address of at most {self._limit_bytes} bytes, got {size_bytes}")
        )
        await self._as_answer(Request(scope), refusal)(scope, receive, send)


def _size_bytes(scope: Scope) -> int:
    if scope["type"] != "http":
        return 0
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    return len(path) + (len(query) + 1 if query else 0)
