"""HTTP to somebody who is not trusted: no redirects, answers of bounded size, one deadline for the whole exchange."""

from __future__ import annotations

import time
from typing import Final, Protocol

import httpx2

from ..errors import InvalidInput, Unavailable
from ..witness.exchange import TEXT_TYPE, Answer

MAX_ANSWER_BYTES: Final = 262_144


class Address(Protocol):
    """Where one witness is asked. Safe to share by threads; each call is one exchange.

    Raises Unavailable when it cannot be reached, TimeoutError when it takes too long, InvalidInput for an answer that is
    larger than any it may give.
    """

    def post(self, path: str, body: bytes) -> Answer:
        """What it answers to a POST of `body`."""

    def get(self, path: str) -> Answer:
        """What it answers to a GET."""

    def close(self) -> None:
        """Let go of open connections."""


class HttpAddress:
    """An `Address` below an `http` or `https` URL. A redirect is an answer like any other, and is not followed."""

    def __init__(self, url: str, timeout_s: float, api_key: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidInput(f"expected an http or https address, got {url}", rule="bad-url")
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        headers = {"User-Agent": "loomark", "Accept-Encoding": "identity"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        # Proxies and credentials of the environment are not for somebody who is named in a policy.
        self._http = httpx2.Client(
            headers=headers, timeout=timeout_s, follow_redirects=False, trust_env=False
        )

    def post(self, path: str, body: bytes) -> Answer:
        """POST `body`."""
        return self._exchange("POST", path, body, MAX_ANSWER_BYTES)

    def get(self, path: str, limit_bytes: int = MAX_ANSWER_BYTES) -> Answer:
        """GET at most `limit_bytes`."""
        return self._exchange("GET", path, None, limit_bytes)

    def close(self) -> None:
        """Let go of open connections."""
        self._http.close()

    def _exchange(self, method: str, path: str, body: bytes | None, limit_bytes: int) -> Answer:
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._http.stream(method, f"{self._url}/{path}", content=body) as response:
                data = _bounded(response, limit_bytes, deadline)
                return Answer(response.status_code, data, response.headers.get("content-type", TEXT_TYPE))
        except httpx2.TimeoutException as error:
            raise TimeoutError(f"no answer from {self._url} in time") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, RuntimeError) as error:
            # RuntimeError: the client was closed while a thread that nobody waits for any more was still asking.
            raise Unavailable(f"no answer from {self._url} ({error})") from error


def _bounded(response: httpx2.Response, limit_bytes: int, deadline: float) -> bytes:
    parts, size = [], 0
    for part in response.iter_raw():
        size += len(part)
        if size > limit_bytes:
            raise InvalidInput(f"expected an answer of at most {limit_bytes} bytes", rule="answer-too-large")
        if time.monotonic() > deadline:
            raise TimeoutError("the answer did not end in time")
        parts.append(part)
    return b"".join(parts)
