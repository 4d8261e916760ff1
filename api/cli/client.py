"""A node as commands see it: one HTTP client whose refusals are Loomark's own errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx2
import typer

from ledger.errors import Conflict, Finding, Forbidden, InvalidInput, NotFound, TooLarge, Unavailable

_TIMEOUT_S = 120.0
_KEY_WANTED = "this needs an API key; set LOOMARK_API_KEY, or name a file that holds it with --api-key-file"
_KEY_UNKNOWN = (
    "the node does not know this API key; check LOOMARK_API_KEY or --api-key-file. A key from `member api-key` or"
    " `make run` takes the place of earlier ones"
)
_ERRORS: dict[int, type[InvalidInput]] = {403: Forbidden, 404: NotFound, 409: Conflict, 413: TooLarge}

Url = Annotated[str, typer.Option("--url", envvar="LOOMARK_URL", help="Address of the node.")]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option("--api-key-file", help="File that holds your API key; or set LOOMARK_API_KEY."),
]
DEFAULT_URL = "http://127.0.0.1:8080"


class Node:
    """One node over HTTP. Use as a context manager.

    Every call raises the error tree of `ledger.errors`: a problem document becomes the matching leaf with its
    findings, an unreachable or overloaded node becomes Unavailable.
    """

    def __init__(self, url: str, api_key: str | None, timeout_s: float = _TIMEOUT_S) -> None:
        self._has_key = bool(api_key)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout_s)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **parameters: Any) -> httpx2.Response:
        """GET `path`; parameters that are None are left out, lists repeat."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._send("GET", path, params=given)

    def get_json(self, path: str, **parameters: Any) -> Any:
        """The JSON body of GET `path`."""
        return self.get(path, **parameters).json()

    def post(
        self, path: str, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """POST `body` to `path`."""
        return self._send("POST", path, content=body, headers={"Content-Type": media_type, **(headers or {})})

    def put(self, path: str, body: bytes) -> httpx2.Response:
        """PUT JSON to `path`."""
        return self._send("PUT", path, content=body, headers={"Content-Type": "application/json"})

    def wait_for_capture(self, location: str, wait_s: int = 60) -> dict[str, Any]:
        """The state of a capture job once it is sequenced or refused."""
        response = self._send("GET", location, headers={"Prefer": f"wait={wait_s}"})
        job: dict[str, Any] = response.json()
        return job

    def _send(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx2.HTTPError as error:
            raise Unavailable(
                f"no answer from {self._http.base_url} ({error}); is the node up?"
                " LOOMARK_URL or --url says where it is"
            ) from error
        if response.status_code == 401:
            raise InvalidInput(_KEY_UNKNOWN if self._has_key else _KEY_WANTED, rule="unauthenticated")
        if response.status_code >= 400:
            raise _error_of(response)
        return response


def segment(name: str) -> str:
    """A name, such as an IRI, as one percent-encoded path segment."""
    return quote(name, safe="")


def api_key(file: Path | None) -> str | None:
    """The API key from `file`, else from LOOMARK_API_KEY, else None."""
    if file is None:
        return _checked(os.environ.get("LOOMARK_API_KEY", "").strip(), "LOOMARK_API_KEY") or None
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInput(
            f"cannot read the API key file {file}: {error.strerror}", rule="bad-file"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"expected an API key in {file}, got something else", rule="bad-api-key"
        ) from error
    if not text:
        raise InvalidInput(f"expected an API key in {file}, got an empty file", rule="bad-api-key")
    return _checked(text, str(file))


def _checked(key: str, source: str) -> str:
    if not all("!" <= sign <= "~" for sign in key):
        raise InvalidInput(
            f"the API key in {source} has signs that no key has; copy it again as it was printed",
            rule="bad-api-key",
        )
    return key


def connect(url: str, key_file: Path | None) -> Node:
    """A client for the node at `url` with the caller's API key."""
    return Node(url, api_key(key_file))


def _error_of(response: httpx2.Response) -> InvalidInput | Unavailable:
    problem = _problem(response)
    rule = str(problem.get("rule") or f"http-{response.status_code}")
    detail = str(problem.get("detail") or f"the node answered {response.status_code}")
    if response.status_code >= 500:
        return Unavailable(f"{detail} [{rule}]")
    kind = _ERRORS.get(response.status_code, InvalidInput)
    return kind(detail, _findings(problem), rule)


def _problem(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _findings(problem: Mapping[str, Any]) -> list[Finding]:
    names = ("record", "pointer", "rule", "expected", "got")
    return [Finding(**{name: item.get(name) for name in names}) for item in problem.get("findings", [])]
