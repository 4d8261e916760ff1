"""A log and its witnesses over HTTP, as a monitor reads them: nothing they answer is trusted, and all of it is bounded."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Self

import httpx2

from ledger.errors import Forbidden, InvalidInput, NotFound, TooLarge, Unavailable
from ledger.merkle import HASH_SIZE_BYTES
from ledger.monitor.source import MAX_BUNDLE_BYTES, MAX_CHECKPOINT_BYTES
from ledger.tile import TILE_WIDTH, Tile, bundle_entries, split_entries
from ledger.witness.exchange import checkpoint_path

SILENCE_S: Final = 20.0
ANSWER_S: Final = 120.0
"""The longest silence, and the longest an answer may take in all: a trickle of bytes must end too."""


def log_prefix(url: str) -> str:
    """The address under which the log lies: a node's has it below `/log`."""
    stripped = url.rstrip("/")
    return stripped if stripped.endswith("/log") else f"{stripped}/log"


class _Reader:
    """GET with a limit on bytes and time; no redirect is followed and no encoding is undone."""

    def __init__(self, headers: dict[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._http = httpx2.Client(
            headers={"Accept-Encoding": "identity", **headers}, timeout=SILENCE_S, follow_redirects=False
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def get(self, url: str, limit: int) -> bytes:
        """The body of GET `url`; raises Unavailable, TooLarge, NotFound, Forbidden, InvalidInput."""
        try:
            with self._http.stream("GET", url) as response:
                _check_status(response)
                return self._body(response, limit)
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            # A host that is no name in DNS is found out where it is looked up, as an error of the encoding.
            raise Unavailable(f"no answer from {url} ({type(error).__name__}: {error})") from error

    def _body(self, response: httpx2.Response, limit: int) -> bytes:
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise InvalidInput("expected bytes as they are, got an encoding", rule="encoded")
        deadline, found = self._clock() + ANSWER_S, bytearray()
        for part in response.iter_raw():
            found += part
            if len(found) > limit:
                raise TooLarge(f"expected at most {limit} bytes, got more", rule="answer-too-large")
            if self._clock() > deadline:
                raise Unavailable(f"expected an answer within {ANSWER_S:.0f} s, got a part of one")
        return bytes(found)


class HttpLog:
    """:class:`ledger.monitor.LogSource` over HTTP. Use as a context manager."""

    def __init__(self, prefix: str, api_key: str | None = None) -> None:
        self._prefix = prefix
        self._reader = _Reader({"Authorization": f"Bearer {api_key}"} if api_key else {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def checkpoint(self) -> bytes:
        """GET `checkpoint`."""
        return self._reader.get(f"{self._prefix}/checkpoint", MAX_CHECKPOINT_BYTES)

    def tile(self, tile: Tile) -> bytes:
        """GET `tile/…`, and where a partial one is gone the beginning of the full one (C2SP tlog-tiles)."""
        try:
            return self._tile(tile)
        except NotFound:
            if tile.width == TILE_WIDTH:
                raise
            return _beginning(self._tile(Tile(tile.level, tile.index)), tile)

    def _tile(self, tile: Tile) -> bytes:
        limit = MAX_BUNDLE_BYTES if tile.level == "entries" else TILE_WIDTH * HASH_SIZE_BYTES
        return self._reader.get(f"{self._prefix}/tile/{tile.path}", limit)


class HttpWitness:
    """:class:`ledger.monitor.WitnessSource` over HTTP: the monitoring path of a C2SP tlog-witness."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.rstrip("/")
        self._reader = _Reader({})

    def close(self) -> None:
        """Close its connections."""
        self._reader.close()

    def checkpoint(self, origin: str) -> bytes:
        """GET the log's own checkpoint path below the monitoring prefix."""
        return self._reader.get(f"{self._prefix}/{checkpoint_path(origin)}", MAX_CHECKPOINT_BYTES)


def _beginning(data: bytes, tile: Tile) -> bytes:
    if tile.level == "entries":
        return bundle_entries(split_entries(data)[: tile.width])
    return data[: tile.width * HASH_SIZE_BYTES]


def _check_status(response: httpx2.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    message = f"expected {response.url} with status 200, got {status}"
    if status in (401, 403):
        raise Forbidden(message, rule="unauthenticated" if status == 401 else "forbidden")
    if status in (404, 410):
        raise NotFound(message, rule="not-shown")
    if status >= 500 or status == 429:
        raise Unavailable(message)
    raise InvalidInput(message, rule=f"http-{status}")
