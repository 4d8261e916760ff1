"""What a client says to a node, without saying how: a flow gives calls, is sent answers, and returns what it found.

The synchronous and the asynchronous client run the same flows; what they add is the waiting.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

import httpx2

from ledger.errors import (
    Conflict,
    Erased,
    Finding,
    Forbidden,
    InvalidInput,
    NotFound,
    TooLarge,
    Unavailable,
)

T = TypeVar("T")

_ERRORS: Mapping[int, type[InvalidInput]] = {
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Erased,
    413: TooLarge,
}
_MEMBERS = ("record", "pointer", "rule", "expected", "got")
_KEY = re.compile(r"[!-~]+\Z")


@dataclass(frozen=True, slots=True)
class Call:
    """One request: parameters that are None are left out, sequences repeat."""

    method: str
    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def arguments(self) -> dict[str, Any]:
        """As both clients of the HTTP library take them."""
        given = {name: value for name, value in self.parameters.items() if value is not None}
        # An address that a node gave has its parameters already; an empty mapping would take them away.
        parameters = {"params": given} if given else {}
        return {**parameters, "headers": dict(self.headers), "content": self.body}


Flow: TypeAlias = Generator[Call, httpx2.Response, T]
"""A conversation with a node that ends in a result."""


def headers_of(api_key: str | None) -> dict[str, str]:
    """What says who asks. Raises InvalidInput where a key has signs that no key has."""
    if not api_key:
        return {}
    if not _KEY.match(api_key):
        raise InvalidInput("expected an API key as it was printed, got other signs", rule="bad-api-key")
    return {"Authorization": f"Bearer {api_key}"}


def segment(name: str) -> str:
    """A name, such as an IRI, as one percent-encoded path segment."""
    return quote(name, safe="")


def accepted(answer: httpx2.Response) -> httpx2.Response:
    """The answer itself, or what it refuses as the matching error, with its findings."""
    if answer.status_code < 400:
        return answer
    problem = _problem(answer)
    rule = str(problem.get("rule") or f"http-{answer.status_code}")
    detail = str(problem.get("detail") or f"the node answered {answer.status_code}")
    if answer.status_code >= 500:
        raise Unavailable(f"{detail} [{rule}]")
    raise _ERRORS.get(answer.status_code, InvalidInput)(detail, _findings(problem), rule)


class NoAnswer(Unavailable):
    """Nobody answered at all, or not in time."""


def unreachable(base_url: object, error: Exception) -> NoAnswer:
    """The error for a request that an HTTP library gave up."""
    return NoAnswer(f"no answer from {base_url} ({error}); is the node up?")


def _problem(answer: httpx2.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _findings(problem: Mapping[str, Any]) -> Sequence[Finding]:
    return [Finding(**{name: item.get(name) for name in _MEMBERS}) for item in problem.get("findings", [])]
