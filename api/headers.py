"""Headers that every response carries, and answers that are headers alone."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import FAILURE, AsAnswer

# Nothing is loaded from elsewhere and no script runs at all; forms go to this node only.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NO_STORE = (b"cache-control", b"no-store")


class SecurityHeaders:
    """ASGI middleware that adds the security headers, and `no-store` where a response says nothing on caching.

    Answers depend on who asks, so no shared cache may keep them unless the address says so (log tiles do).
    """

    def __init__(self, app: ASGIApp, as_answer: AsAnswer) -> None:
        self._app = app
        self._as_answer = as_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name.lower() for name, _ in message["headers"]}
                extra = [pair for pair in (*_HEADERS, _NO_STORE) if pair[0] not in present]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            # Answered here, because what the framework answers on its own has passed these headers by.
            if not started:
                await self._as_answer(Request(scope), FAILURE)(scope, receive, send_with_headers)
            raise


class HeadersAlone:
    """ASGI middleware that answers HEAD as GET without the body, wherever GET is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)
