"""Pages of the EPCIS interface: `perPage`, `nextPageToken`, the `Link` to the next page and when it expires.

A token is signed, says where its walk stands, and belongs to one reader, one address and one query.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from itsdangerous import BadSignature, URLSafeSerializer

from api.routes.asking import Calling, Serving
from ledger.errors import Finding, InvalidInput

PER_PAGE: Final = 30
"""How many a page has where nobody says."""
_PAGING: Final = ("perPage", "nextPageToken")
_COUNT: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._\[\]:-]+", re.ASCII)
_MAX_TOKEN: Final = 4096


class BadPage(InvalidInput):
    """A `perPage` that is no count, or a token that does not lead to a page."""

    default_rule = "page-token"


@dataclass(frozen=True, slots=True)
class PageAsked:
    """Which page a request asks for: at most `per_page`, from `state` on where a token was sent.

    `pairs` are the other parameters as sent, in order; `state` is what :meth:`next_page` was given.
    """

    per_page: int
    state: Any
    pairs: tuple[tuple[str, str], ...]
    _url: str
    _sign: Callable[[Any], tuple[str, str]]

    def next_page(self, state: Any) -> dict[str, str]:
        """The headers that lead to the page after this one, where `state` is any JSON; None: there is none."""
        if state is None:
            return {}
        token, expires = self._sign(state)
        query = urlencode([*self.pairs, ("perPage", str(self.per_page)), ("nextPageToken", token)])
        return {"Link": f'<{self._url}?{query}>; rel="next"', "GS1-Next-Page-Token-Expires": expires}


class PageTokens:
    """Signs and reads tokens with one secret of the node; `clock` gives seconds since 1970.

    A token that was given back is not taken again by this process; others end by time.
    """

    def __init__(self, secret: bytes, life_s: int, clock: Callable[[], float]) -> None:
        self._signer = URLSafeSerializer(hmac.digest(secret, b"loomark/page-token/v1", "sha256"))
        self._life_s = life_s
        self._clock = clock
        self._ended: dict[bytes, float] = {}

    def sign(self, scope: str, state: Any) -> tuple[str, str]:
        """A token for `scope`, and when it expires (RFC 3339)."""
        ends = int(self._clock()) + self._life_s
        token = str(self._signer.dumps({"scope": scope, "ends": ends, "state": state}))
        return token, datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def read(self, scope: str, token: str) -> Any:
        """The state of a token; raises BadPage for one that is forged, expired, given back, or of another scope."""
        value = self._value(token)
        if value["scope"] != scope:
            raise _bad_token("a token of this address, these parameters and this caller", "another's")
        return value["state"]

    def end(self, owner: str, token: str) -> None:
        """Take `token` from `owner`, its scope's first line, no more. Raises BadPage as :meth:`read` does."""
        value = self._value(token)
        if value["scope"].partition("\n")[0] != owner:
            raise _bad_token("a token of this caller", "another's")
        now = self._clock()
        self._ended = {one: ends for one, ends in self._ended.items() if ends > now}
        self._ended[_digest(token)] = value["ends"]

    def _value(self, token: str) -> Mapping[str, Any]:
        if len(token) > _MAX_TOKEN:
            raise _bad_token("a token of this node", "a longer text")
        try:
            value: Mapping[str, Any] = self._signer.loads(token)
        except BadSignature:
            raise _bad_token("a token of this node", "another text") from None
        if value["ends"] <= self._clock() or _digest(token) in self._ended:
            raise _bad_token("a token that has not expired", "one that has")
        return value


def page_asked(request: Request, serving: Serving, calling: Calling) -> PageAsked:
    """The page that `request` asks for; raises BadPage."""
    all_pairs = request.query_params.multi_items()
    pairs = tuple(pair for pair in all_pairs if pair[0] not in _PAGING)
    per_page = _per_page(_single(all_pairs, "perPage"), serving.settings.page_limit)
    token = _single(all_pairs, "nextPageToken")
    scope = _scope(owner_of(calling.member), request, pairs)
    tokens = serving.page_tokens
    state = None if token is None else tokens.read(scope, token)
    return PageAsked(per_page, state, pairs, _address(request), lambda one: tokens.sign(scope, one))


Paging = Annotated[PageAsked, Depends(page_asked)]


def owner_of(member: str) -> str:
    """Whose a token is; the operator's member is empty."""
    return member or "operator"


def _scope(owner: str, request: Request, pairs: tuple[tuple[str, str], ...]) -> str:
    about = json.dumps([request.url.path, sorted(pairs)]).encode()
    return f"{owner}\n{hashlib.sha256(about).hexdigest()}"


def _address(request: Request) -> str:
    """The address without its query: absolute, because clients follow it as it is, where the host is one."""
    path = quote(
        request.scope.get("raw_path", b"").partition(b"?")[0] or request.url.path, safe="/%:;=@&+$,!~*'()"
    )
    if _HOST.fullmatch(request.headers.get("host", "")):
        return f"{request.url.scheme}://{request.headers['host']}{path}"
    return path


def _per_page(text: str | None, limit: int) -> int:
    if text is None:
        return min(PER_PAGE, limit)
    if not _COUNT.fullmatch(text) or int(text) < 1:
        raise BadPage(
            f"expected a count from 1, got {text[:80]!r}", rule="bad-parameter", pointer="/query/perPage"
        )
    return min(int(text), limit)


def _single(pairs: list[tuple[str, str]], name: str) -> str | None:
    found = [value for key, value in pairs if key == name]
    if len(found) > 1:
        finding = Finding(None, f"/query/{name}", "bad-parameter", "one value", f"{len(found)}")
        raise BadPage(f"expected {name} once, got it {len(found)} times", [finding], "bad-parameter")
    return found[0] if found else None


def _bad_token(expected: str, got: str) -> BadPage:
    return BadPage(f"expected {expected}, got {got}", pointer="/query/nextPageToken")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
