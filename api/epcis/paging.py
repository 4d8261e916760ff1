"""Pages of the EPCIS interface: `perPage`, `nextPageToken`, the `Link` to the next page and when it expires.

A token is sealed, says where its walk stands, and belongs to one reader, one address and one question. A route
declares :data:`Paging`, goes on from `state`, and adds the headers of `next_page` to its answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request, Response

from api.routes.asking import Reading, Serving
from fabric.query import tokens
from fabric.query.errors import PageToken, refused
from fabric.visibility.reader import Reader
from ledger.errors import NotFound

from .negotiation import base_headers

router = APIRouter(prefix="/epcis", tags=["epcis discovery"])

PER_PAGE: Final = 30
"""How many a page has where nobody says."""
PARAMETERS: Final = ("perPage", "nextPageToken")
MOST_ENDED: Final = 65_536
_COUNT: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._\[\]:-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class PageAsked:
    """Which page a request asks for: at most `per_page`, from `state` on where a token was sent, else from the start.

    `pairs` are the other parameters as sent, in order; `state` is what `next_page` was given.
    """

    per_page: int
    state: Any
    pairs: tuple[tuple[str, str], ...]
    _address: str
    _issue: Callable[[Any], tuple[str, str]]

    def next_page(self, state: Any) -> dict[str, str]:
        """The headers that lead to the page after this one, where `state` is any JSON; None: there is none."""
        if state is None:
            return {}
        token, expires = self._issue(state)
        query = urlencode([*self.pairs, ("perPage", str(self.per_page)), ("nextPageToken", token)])
        return {"Link": f'<{self._address}?{query}>; rel="next"', "GS1-Next-Page-Token-Expires": expires}


class PageTokens:
    """Issues and accepts tokens with one secret of the node; `clock` gives seconds since 1970.

    A token that was given back is not accepted again by this process; all others end by time.
    """

    def __init__(self, secret: bytes, life_s: int, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._life_s = life_s
        self._clock = clock
        self._ended: dict[str, int] = {}

    def issue(self, reader: Reader, question: bytes, state: Any) -> tuple[str, str]:
        """A token and when it expires (RFC 3339)."""
        ends_s = int(self._clock()) + self._life_s
        token = tokens.issue(self._secret, reader, question, {"s": state}, ends_s * 1000)
        return token, datetime.fromtimestamp(ends_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def accept(self, token: str, reader: Reader, question: bytes) -> Any:
        """The state of a token. Raises PageToken: forged, expired, given back, another reader's or question's."""
        place = tokens.accept(self._secret, token, reader, question, self._now_ms())
        if _digest(token) in self._ended:
            raise PageToken(
                "expected a token that has not expired, got an old one", rule="page-token-expired"
            )
        return place["s"]

    def end(self, token: str, reader: Reader) -> None:
        """Accept a token no more, if it was not over. Raises NotFound for what is no token of this reader."""
        try:
            found = tokens.read(self._secret, token)
        except PageToken:
            found = {}
        if found.get("r") != tokens.reader_name(reader):
            raise NotFound("there is no such token", rule="page-token")
        now_ms = self._now_ms()
        # What is over by time needs no remembering; of too many the first to be over go.
        live = sorted((ends, one) for one, ends in self._ended.items() if ends > now_ms)
        self._ended = {one: ends for ends, one in live[-MOST_ENDED + 1 :]} | {_digest(token): found["x"]}

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def page_asked(
    request: Request,
    serving: Serving,
    reading: Reading,
    per_page: Annotated[
        str | None,
        Query(alias="perPage", description="How many a page has at most; 30 where nothing is said."),
    ] = None,
    token: Annotated[
        str | None, Query(alias="nextPageToken", description="From the `Link` of the page before.")
    ] = None,
) -> PageAsked:
    """The page that `request` asks for. Raises QueryParameter, and PageToken for a token that leads nowhere."""
    sent = request.query_params.multi_items()
    for name in PARAMETERS:
        if len(request.query_params.getlist(name)) > 1:
            raise refused(name, "repeated-parameter", "one value", "several")
    pairs = tuple(pair for pair in sent if pair[0] not in PARAMETERS)
    question = json.dumps([request.url.path, sorted(pairs)]).encode()
    size = _per_page(per_page, serving.settings.page_limit)
    issued = serving.page_tokens
    try:
        state = None if token is None else issued.accept(token, reading, question)
    except PageToken as error:
        error.pointer = "/nextPageToken"
        raise
    return PageAsked(
        size, state, pairs, address_of(request), lambda one: issued.issue(reading, question, one)
    )


Paging = Annotated[PageAsked, Depends(page_asked)]


@router.delete(
    "/nextPageToken/{token}", status_code=204, summary="Give a page's token back", response_class=Response
)
def end_token(token: str, serving: Serving, reading: Reading) -> Response:
    """The token leads to no page any more. 404 for what is no token of the caller."""
    serving.page_tokens.end(token, reading)
    return Response(status_code=204, headers=base_headers())


def address_of(request: Request) -> str:
    """The address without its query: absolute, because clients follow it as it is, where the host is one."""
    path = request.scope.get("raw_path") or request.url.path.encode()
    text = quote(path.partition(b"?")[0], safe="/%:;=@&+$,!~*'()")
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}{text}" if _HOST.fullmatch(host) else text


def _per_page(text: str | None, limit: int) -> int:
    if text is None:
        return min(PER_PAGE, limit)
    if not _COUNT.fullmatch(text) or int(text) < 1:
        raise refused("perPage", "bad-value", "a whole number from 1", text)
    return min(int(text), limit)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
