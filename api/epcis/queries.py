"""`/epcis/queries`: named queries, each in the names of the member that made it, and what they answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request, Response

from api.limits import media_type, read_body
from api.routes.asking import Reading, Serving, Submitting
from api.services import Services
from fabric.query import Query, from_json
from fabric.query.errors import refused
from fabric.subscription.queries import NamedQuery
from ledger.canonical import parse_json

from .events import answer_query
from .negotiation import JSON, JSON_LD, Negotiated, Negotiating, answer, base_headers, negotiate, told
from .paging import PageAsked, Paging

router = APIRouter(prefix="/epcis", tags=["epcis queries"])

LIMIT_BYTES = 256 * 1024
"""The largest body of a query or a subscription."""

_T = TypeVar("_T")


def negotiated_json(request: Request) -> Negotiated:
    """What `request` asks for, where the answer is no document of events. Raises BadHeader, NotAcceptable."""
    return negotiate(told(request), (JSON, JSON_LD))


NegotiatingJson = Annotated[Negotiated, Depends(negotiated_json)]
QueryName = Annotated[str, Path(alias="queryName", description="The name of a query of the caller's.")]


@router.post("/queries", status_code=201, summary="Name a query", response_class=Response)
async def create(request: Request, serving: Serving, member: Submitting, asked: NegotiatingJson) -> Response:
    """Takes `{name, query}`; the query is of the EPCIS query language in JSON (docs/spec/query.md).

    A name belongs to the member: another's is not known here. `Location` is the query's address. 409 for a name that
    is taken.
    """
    body = await read_json(request, serving)
    service = serving.subscribing.service
    found = await asyncio.to_thread(service.make_query, member, body, asked.extensions)
    return answer(asked, _json(query_json(found)), 201, {"Location": query_path(found.name)})


@router.get("/queries", summary="The caller's named queries", response_class=Response)
def all_queries(serving: Serving, member: Submitting, asked: NegotiatingJson, page: Paging) -> Response:
    """Names and definitions, in the order of their names; `Link` leads to the next page."""
    refuse_parameters(page)
    found = serving.subscribing.service.queries(member, page.state, page.per_page + 1)
    shown, following = cut(found, page, lambda one: one.name)
    return answer(asked, _json([query_json(one) for one in shown]), headers=following)


@router.get("/queries/{queryName}", summary="A named query's definition", response_class=Response)
def one_query(name: QueryName, serving: Serving, member: Submitting, asked: NegotiatingJson) -> Response:
    """The definition as it was sent."""
    return answer(asked, _json(query_json(serving.subscribing.service.query(member, name))))


@router.delete("/queries/{queryName}", status_code=204, summary="Drop a named query", response_class=Response)
def drop(name: QueryName, serving: Serving, member: Submitting) -> Response:
    """The query is gone, and so are its subscriptions; its websockets are closed."""
    serving.subscribing.service.drop_query(member, name)
    return Response(status_code=204, headers=base_headers())


@router.get(
    "/queries/{queryName}/events", summary="Events that a named query asks for", response_class=Response
)
async def events(
    request: Request,
    name: QueryName,
    serving: Serving,
    member: Submitting,
    reading: Reading,
    asked: Negotiating,
    page: Paging,
) -> Response:
    """An EPCISQueryDocument of the events that match the query and that the caller sees now; `Link` leads on.

    With `Upgrade: websocket` it is a subscription (docs/spec/subscriptions.md).
    """
    refuse_parameters(page)
    named = await asyncio.to_thread(serving.subscribing.service.query, member, name)
    return await answer_query(
        request, serving, reading, asked, page, lambda _: query_of(named), query_name=named.name
    )


def query_of(named: NamedQuery) -> Query:
    """The question that a named query asks."""
    return from_json(named.value, named.extensions)


async def read_json(request: Request, serving: Services) -> Any:
    """A small JSON body. Raises UnsupportedMediaType, TooLarge, InvalidInput `not-json`."""
    media_type(request, (JSON, JSON_LD))
    return parse_json(await read_body(request, LIMIT_BYTES, serving.settings.request_timeout_s))


def refuse_parameters(page: PageAsked) -> None:
    """Refuse parameters other than those of paging: what is asked stands in the query. Raises QueryParameter."""
    for name, value in page.pairs:
        expected = "perPage or nextPageToken"
        if name == "stream":
            expected += " (a stream is a websocket, asked for with Upgrade: websocket)"
        raise refused(name, "unknown-parameter", expected, value)


def cut(found: list[_T], page: PageAsked, name_of: Callable[[_T], str]) -> tuple[list[_T], Mapping[str, str]]:
    """The first `perPage` of what was found, and the headers that lead on where there was one more."""
    shown = found[: page.per_page]
    return shown, page.next_page(name_of(shown[-1]) if len(found) > len(shown) else None)


def query_path(name: str) -> str:
    """The address of a named query."""
    return f"/epcis/queries/{quote(name, safe='')}"


def query_json(one: NamedQuery) -> dict[str, Any]:
    """A named query as it is told."""
    return {"name": one.name, "query": one.value}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
