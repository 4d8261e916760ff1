"""The server under test, as a client sees it: requests, answers, page walks, captures that are waited for."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin

import httpx2

from .documents import Document, Event

JSON = "application/json"
PATIENCE_S = 60.0
Pairs = Iterable[tuple[str, str]] | Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """Where the server is: the URL below which `/events` lies, and the keys of up to two clients."""

    url: str
    key: str | None = None
    second_key: str | None = None
    name: str = ""


def part(text: str) -> str:
    """`text` as one segment of a path: every character encoded that is not plain."""
    return quote(text, safe="")


class Server:
    """One client's view of the server."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/")
        self.key = key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx2.Client(headers=headers, timeout=PATIENCE_S)

    def close(self) -> None:
        """Let go of the connections."""
        self.http.close()

    def absolute(self, reference: str) -> str:
        """A Location or Link of an answer: absolute, or relative to the URL it came from (RFC 3986)."""
        return urljoin(self.url + "/", reference)

    def ask(
        self, method: str, path: str, query: Pairs = (), headers: Mapping[str, str] | None = None, **body: Any
    ) -> httpx2.Response:
        """One request; `path` is below the base URL unless it is a whole URL."""
        url = path if "://" in path else self.url + path
        pairs = list(query.items() if isinstance(query, Mapping) else query)
        if pairs:
            url += "?" + "&".join(f"{part(name)}={part(value)}" for name, value in pairs)
        return self.http.request(method, url, headers=dict(headers or {}), **body)

    def get(self, path: str, query: Pairs = (), **headers: str) -> httpx2.Response:
        """A GET; header names are written with `_` for `-`."""
        return self.ask("GET", path, query, _named(headers))

    def post(self, path: str, value: Any, **headers: str) -> httpx2.Response:
        """A POST of a JSON value."""
        return self.post_bytes(path, json.dumps(value).encode(), JSON, **headers)

    def post_bytes(self, path: str, data: bytes, media_type: str, **headers: str) -> httpx2.Response:
        """A POST of bytes of a media type."""
        return self.ask("POST", path, (), {"Content-Type": media_type, **_named(headers)}, content=data)

    def job(self, location: str) -> dict[str, Any]:
        """The capture job at `location` once it does not run any more."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.ask("GET", self.absolute(location), (), {"Prefer": "wait=5"})
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            if not found["running"]:
                return found
            assert time.monotonic() < deadline, f"the capture job still runs after {PATIENCE_S} s: {found}"
            time.sleep(0.1)

    def finish(self, answer: httpx2.Response) -> dict[str, Any]:
        """The finished job of an accepted capture."""
        assert answer.status_code == 202, f"expected 202, got {answer.status_code}: {answer.text[:2000]}"
        return self.job(answer.headers["location"])

    def capture(self, document: Document, **headers: str) -> dict[str, Any]:
        """Capture a document whole; returns its finished job."""
        job = self.finish(self.post("/capture", document, **headers))
        assert job["success"] is True, job
        return job

    def events(self, query: Pairs = (), path: str = "/events", **headers: str) -> list[Event]:
        """All events that a query finds, over all its pages."""
        found: list[Event] = []
        answer = self.get(path, query, **headers)
        while True:
            found += event_list(answer)
            following = next_link(answer)
            if following is None:
                return found
            assert len(found) < 100_000, "a page walk that does not end"
            answer = self.ask("GET", self.absolute(following), (), _named(headers))

    def at(self, place: str, *more: tuple[str, str], **headers: str) -> list[Event]:
        """The events at a business location that further parameters find."""
        return self.events([("EQ_bizLocation", place), *more], **headers)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def event_list(answer: httpx2.Response) -> list[Event]:
    """The events of a JSON EPCISQueryDocument."""
    assert answer.status_code == 200, f"expected 200, got {answer.status_code}: {answer.text[:2000]}"
    body = answer.json()
    assert body["type"] == "EPCISQueryDocument", body
    found: list[Event] = body["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return found


def next_link(answer: httpx2.Response) -> str | None:
    """The target of the Link with `rel="next"`, if there is one (RFC 8288)."""
    for value in answer.headers.get_list("link"):
        for target, parameters in re.findall(r"<([^>]*)>([^<]*)", value):
            if re.search(r';\s*rel="?([^";]*\s)?next(\s[^";]*)?"?\s*(;|,|$)', parameters):
                return str(target)
    return None


def refused(answer: httpx2.Response, status: int, *names: str) -> dict[str, Any]:
    """The problem of a refusal: `status`, a problem body (RFC 7807), and one of the exception names."""
    assert answer.status_code == status, f"expected {status}, got {answer.status_code}: {answer.text[:2000]}"
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in ("application/problem+json", JSON), media_type
    body: dict[str, Any] = answer.json()
    assert body["type"] in [f"epcisException:{name}" for name in names], body
    assert isinstance(body["title"], str)
    assert body["title"]
    assert body.get("status", status) == status, body
    return body


def ids(events: Iterable[Event]) -> list[str]:
    """Their event IDs, sorted."""
    return sorted(str(event.get("eventID")) for event in events)
