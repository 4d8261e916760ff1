"""How long an address may be: longer ones are refused before anything reads their parameters.

The parser of HTTP breaks at addresses of 64 KiB, and collects what comes before; so no more of an address is kept than the
parser can take (:class:`ShortAddresses`), and what is longer than this node reads is answered by :class:`UriLimit`.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.problems import AsAnswer, UriTooLong, refusal_of

LONGEST_PARSED: Final = 65_000
"""Bytes of an address that the parser can take. A limit of the node's own is below."""


class ShortAddresses(HttpToolsProtocol):
    """The server's protocol, which forgets of an address what is beyond :data:`LONGEST_PARSED`."""

    def on_url(self, url: bytes) -> None:
        """Take a part of the address from the parser."""
        super().on_url(url[: max(0, LONGEST_PARSED - len(self.url))])


class UriLimit:
    """ASGI middleware that answers 414 to an address whose path and query have more than `limit_bytes` as sent."""

    def __init__(self, app: ASGIApp, limit_bytes: int, as_answer: AsAnswer) -> None:
        self._app = app
        self._limit_bytes = min(limit_bytes, LONGEST_PARSED - 1)
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
