"""`/epcis/events`: questions of the EPCIS query language in an address, and single events by their IDs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from api.problems import NotAcceptable
from api.routes.asking import Reading, Serving
from api.services import Services
from fabric.epcis.query_document import Shown, json_query_document
from fabric.epcis.representation import EpcFormat, Translator, Untranslatable, as_sent
from fabric.epcis.xml_writer import xml_query_document
from fabric.epcis.xml_writer_text import NoXMLForm
from fabric.query import Query, from_pairs
from fabric.query.errors import QueryTooLarge
from fabric.query.run import Cursor, Events, Found
from fabric.visibility.reader import Reader
from ledger.errors import Finding, NotFound

from .addresses import event_id_in
from .negotiation import Negotiated, Negotiating, answer
from .paging import PageAsked, Paging
from .working import answered

router = APIRouter(prefix="/epcis", tags=["epcis events"])

AT_ONCE: Final = 100
LARGE_PAGE_BYTES: Final = 8 * 1024 * 1024
"""A page that has so much after any :data:`AT_ONCE` of its events ends there."""

LIST: Final = "/epcisBody/queryResults/resultsBody/eventList"
"""Where the events stand in a query document."""


@router.get("/events", summary="Events that match a query", response_class=Response)
async def events(
    request: Request, serving: Serving, reading: Reading, asked: Negotiating, page: Paging
) -> Response:
    """An EPCISQueryDocument of the events that the caller sees and that match all parameters: docs/spec/query.md.

    What is captured while somebody pages is on none of its pages; `Link` leads to the next one.
    """
    return await answer_query(request, serving, reading, asked, page, lambda _: url_query(page, asked))


@router.get("/events/{eventID:path}", summary="One event by its ID", response_class=Response)
async def event(request: Request, serving: Serving, reading: Reading, asked: Negotiating) -> Response:
    """An EPCISQueryDocument of the event and of the error declarations that carry its ID, in the order of the log."""
    name = event_id_in(request, "/epcis/events/")
    most = serving.settings.page_limit

    def work(events: Events) -> bytes:
        found = all_with_id(events, reading, name, most)
        if not found:
            raise NotFound("there is no event of this ID", rule="unknown-event")
        return document(found, asked, serving.node.translator, None)

    return answer(asked, await answered(request, serving, work))


def url_query(page: PageAsked, asked: Negotiated) -> Query:
    """The question of an address's parameters. Raises QueryParameter."""
    return from_pairs(page.pairs, asked.extensions)


async def answer_query(
    request: Request,
    serving: Services,
    reader: Reader,
    asked: Negotiated,
    page: PageAsked,
    query: Callable[[Events], Query],
    query_name: str | None = None,
) -> Response:
    """The page of a question's answer, as a document with the headers that lead on.

    `query` makes the question in the thread that answers it, and may look into the store for that.
    """

    def work(events: Events) -> tuple[bytes, Mapping[str, Any] | None]:
        cursor = None if page.state is None else Cursor.from_json(page.state)
        found, cursor = walk(events, reader, query(events), page.per_page, cursor)
        return document(
            found, asked, serving.node.translator, query_name
        ), None if cursor is None else cursor.as_json()

    body, following = await answered(request, serving, work)
    return answer(asked, body, headers=page.next_page(following))


def walk(
    events: Events, reader: Reader, query: Query, per_page: int, cursor: Cursor | None
) -> tuple[list[Found], Cursor | None]:
    """The next events of a walk, and where it goes on: at most `per_page`, and fewer where they are very large."""
    found: list[Found] = []
    size_bytes = 0
    while True:
        wanted = min(per_page - len(found), AT_ONCE)
        page = events.page(reader, query, per_page=wanted, cursor=cursor)
        found += page.events
        cursor = page.cursor
        if cursor is None or len(found) == per_page or len(page.events) < wanted:
            return found, cursor
        size_bytes += sum(len(orjson.dumps(one.value)) for one in page.events)
        if size_bytes >= LARGE_PAGE_BYTES:
            return found, cursor


def all_with_id(events: Events, reader: Reader, name: str, most: int) -> list[Found]:
    """Every event of an ID that the reader sees. Raises QueryTooLarge for more than `most`."""
    found: list[Found] = []
    cursor: Cursor | None = None
    while True:
        page = events.by_event_id(reader, name, per_page=most, cursor=cursor)
        found += page.events
        cursor = page.cursor
        if cursor is None:
            return found
        if len(found) >= most:
            raise QueryTooLarge(f"expected at most {most} events of one ID, got more: ask with EQ_eventID")


def document(found: Sequence[Found], asked: Negotiated, names: Translator, query_name: str | None) -> bytes:
    """A query document of events in the forms that were asked for; `names` translates what they name.

    Raises NotAcceptable, pointing into that document, where an event has no such form.
    """
    shown = [_shown(one, asked.epc_format, names, index) for index, one in enumerate(found)]
    created = instant(datetime.now(UTC))
    if not asked.is_xml:
        return json_query_document(shown, created=created, query_name=query_name)
    try:
        return xml_query_document(shown, created=created, query_name=query_name, cbv=asked.cbv_format.value)
    except NoXMLForm as error:
        finding = Finding(None, error.pointer, error.rule, error.expected, error.got)
        raise NotAcceptable(f"header Accept: {error.message}", (finding,), error.rule) from None


def instant(time: datetime) -> str:
    """A time in UTC as documents and headers carry it, to the millisecond."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def _shown(found: Found, form: EpcFormat, names: Translator, index: int) -> Shown:
    sent, context = as_sent(found.value)
    try:
        event = names.event(sent, form)
    except Untranslatable as error:
        pointer = f"{LIST}/{index}{error.pointer}"
        finding = Finding(None, pointer, error.rule, error.expected, error.got)
        message = f"header GS1-EPC-Format: {pointer}: expected {error.expected}, got {error.got}"
        raise NotAcceptable(message, (finding,), error.rule) from None
    seconds, rest_us = divmod(found.record_time_us, 1_000_000)
    recorded = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_us)
    return Shown({**event, "recordTime": instant(recorded)}, context)
