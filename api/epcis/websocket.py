"""`/epcis/queries/{name}/events` with `Upgrade: websocket`: a subscription that lasts as long as its connection.

Each message is an EPCISQueryDocument of events that are new, match, and may be seen by the caller when they are sent.
Nothing is kept of a connection: who opens another one says from which record time on it wants events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from sqlalchemy.exc import OperationalError

from api.problems import TooMany, Unauthenticated, refusal_of
from api.services import Services, services
from fabric.capture.intake import now_ms
from fabric.epcis.representation import EpcFormat
from fabric.query import Query
from fabric.query.errors import SubscriptionControls, refused
from fabric.query.run import Found
from fabric.store.credentials import OPERATOR, Principal
from fabric.subscription.progress import END_OF_CAPTURE, MOST_EVENTS, Place
from fabric.subscription.queries import NamedQuery
from fabric.subscription.report import report
from fabric.subscription.schedule import FIELDS
from fabric.subscription.service import first_run_ms, require_unlimited
from fabric.subscription.wanted import Controls, controls_of
from ledger.errors import Forbidden, LoomarkError
from ledger.shape import time_text

from .negotiation import JSON, JSON_LD, Negotiated, negotiate
from .problems import answer_refusal
from .queries import QueryName, query_of

router = APIRouter(prefix="/epcis")

SEND_S: Final = 30.0
"""How long a message may wait for a receiver that does not read."""

LOOK_S: Final = 0.2
CHECK_S: Final = 2.0
"""How often a connection without news is looked at: whether its query is still there, and its caller still known."""

SLOW: Final = 1013
ENDED: Final = 1008
TROUBLE: Final = 1011

_HEADERS: Final = {
    f"gs1-query-{name.lower()}": name for name in ("stream", "reportIfEmpty", "initialRecordTime", *FIELDS)
}
_T = TypeVar("_T")


@router.websocket("/queries/{queryName}/events")
async def subscribe(websocket: WebSocket, name: QueryName) -> None:
    """Refuses with the problem that a GET would have, or accepts and reports until one side has enough."""
    serving = services(websocket)  # type: ignore[arg-type]  # both have the application, which is all that is asked for
    try:
        feed = await run_sync(lambda: _feed(websocket, serving, name))
    except (LoomarkError, OperationalError) as error:
        await _deny(websocket, error)
        return
    sockets = serving.subscribing.sockets
    try:
        sockets.enter(feed.caller.member)
    except TooMany as error:
        await _deny(websocket, error)
        return
    try:
        await feed.run()
    finally:
        sockets.leave(feed.caller.member)


async def _deny(websocket: WebSocket, error: Exception) -> None:
    known = error if isinstance(error, LoomarkError) else LoomarkError("the database does not answer")
    request = Request({**websocket.scope, "type": "http", "method": "GET"})
    await websocket.send_denial_response(answer_refusal(request, refusal_of(known)))


def _feed(websocket: WebSocket, serving: Services, name: str) -> Feed:
    caller = _caller(websocket, serving)
    asked = negotiate(_told(websocket), (JSON, JSON_LD))
    controls = controls_of(_controls(websocket))
    service = serving.subscribing.service
    named = service.query(caller.member, name)
    require_unlimited(named)
    place = service.place_before(controls.initial_ms)
    return Feed(websocket, serving, caller, asked, controls, named, query_of(named), place)


def _caller(websocket: WebSocket, serving: Services) -> Principal:
    """Who asks: by API key, or by a session that began on a page of this node."""
    authenticator = serving.authenticator
    if "authorization" in websocket.headers:
        caller = authenticator.caller(websocket)  # type: ignore[arg-type]  # with a key it reads headers alone
    else:
        found = authenticator.session_caller(websocket)  # type: ignore[arg-type]
        if found is None:
            raise Unauthenticated("expected the header 'Authorization: Bearer <API key>', or a session")
        # A browser sends the cookie along wherever the page comes from that opens the connection.
        if urlsplit(websocket.headers.get("origin", "")).netloc != websocket.headers.get("host"):
            raise Forbidden("the connection was not opened by a page of this node", rule="csrf")
        caller = found
    if caller.role == OPERATOR:
        raise Forbidden("expected a member's API key, got the operator's", rule="not-a-member")
    return caller


def _told(websocket: WebSocket) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, value in websocket.headers.items():
        found.setdefault(name.lower(), []).append(value)
    return {name: ", ".join(values) for name, values in found.items()}


def _controls(websocket: WebSocket) -> Mapping[str, str]:
    """Parameters of the query string and headers `GS1-Query-…`, which say the same. Raises QueryParameter, SubscriptionControls."""
    found: dict[str, str] = {}
    for name, value in websocket.query_params.multi_items():
        if name not in _HEADERS.values():
            raise refused(name, "unknown-parameter", " or ".join(_HEADERS.values()), value)
        if found.setdefault(name, value) != value:
            raise refused(name, "repeated-parameter", "one value", "several")
    for header, name in _HEADERS.items():
        sent = websocket.headers.get(header)
        if sent is not None and found.setdefault(name, sent.strip()) != sent.strip():
            raise SubscriptionControls(
                f"{name}: expected one value, got two: in the address and in a header",
                rule="contradictory-controls",
                pointer=f"/{name}",
            )
    return found


class Feed:
    """One connection: what it asked for, and how far it has come."""

    def __init__(
        self,
        websocket: WebSocket,
        serving: Services,
        caller: Principal,
        asked: Negotiated,
        controls: Controls,
        named: NamedQuery,
        query: Query,
        place: Place,
    ) -> None:
        self.caller = caller
        self._websocket = websocket
        self._serving = serving
        self._asked = asked
        self._controls = controls
        self._named = named
        self._query = query
        self._place = place
        self._begun_ms = now_ms()
        self._due_ms = first_run_ms(controls, self._begun_ms)

    async def run(self) -> None:
        """Accept, and report until the client goes away, does not read, or may not ask any more."""
        initial_ms = self._begun_ms if self._controls.initial_ms is None else self._controls.initial_ms
        more = {"GS1-Query-Min-Record-Time": time_text(initial_ms)}
        headers = [
            (name.encode(), value.encode()) for name, value in {**self._asked.headers(), **more}.items()
        ]
        await self._websocket.accept(headers=headers)
        reporting = asyncio.ensure_future(self._report())
        listening = asyncio.ensure_future(self._listen())
        try:
            await asyncio.wait({reporting, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reporting, listening):
                task.cancel()
            await asyncio.gather(reporting, listening, return_exceptions=True)

    async def _listen(self) -> None:
        """Hear when the client leaves; what it says has no meaning here."""
        while (await self._websocket.receive())["type"] != "websocket.disconnect":
            pass

    async def _report(self) -> None:
        try:
            while await self._in_thread(self._may_go_on):
                await self._wait()
                await self._run()
            await self._close(ENDED, "the subscription has ended")
        except TimeoutError:
            await self._close(SLOW, "the client does not read")
        except (WebSocketDisconnect, RuntimeError):
            return
        except (LoomarkError, OperationalError):
            await self._close(TROUBLE, "the node cannot go on with this; open another connection")

    async def _wait(self) -> None:
        """Wait for news or for the time of the schedule; at most so long that what has ended is noticed."""
        clock = asyncio.get_running_loop().time
        until = clock() + CHECK_S
        while clock() < until:
            if self._due_ms is not None:
                left_s = (self._due_ms - now_ms()) / 1000
                if left_s <= 0:
                    return
                await asyncio.sleep(min(left_s, CHECK_S))
            elif (self._serving.node.published_size - 1, END_OF_CAPTURE) > self._place:
                return
            else:
                await asyncio.sleep(LOOK_S)

    async def _run(self) -> None:
        """Report what is new, in messages of limited size."""
        if self._due_ms is not None and now_ms() < self._due_ms:
            return
        size, is_empty = self._serving.node.published_size, True
        while True:
            found, place = await self._in_thread(lambda: self._after(size))
            if found:
                await self._send(found)
                is_empty = False
            self._place = place
            if place >= (size - 1, END_OF_CAPTURE):
                break
            if not await self._in_thread(self._may_go_on):
                return
        if self._due_ms is not None:
            if is_empty and self._controls.report_if_empty:
                await self._send([])
            self._due_ms = first_run_ms(self._controls, now_ms())

    def _after(self, size: int) -> tuple[list[Found], Place]:
        reader = self._serving.node.reader(self.caller.member)
        events = self._serving.subscribing.events()
        page = events.since(reader, self._query, after=self._place, limit=MOST_EVENTS, below=size)
        begins_ms = self._controls.initial_ms or 0
        begins_ms = begins_ms if begins_ms > self._begun_ms else 0
        found = [one for one in page.events if one.record_time_us >= begins_ms * 1000]
        if page.cursor is None or page.cursor.key is None:
            return found, (size - 1, END_OF_CAPTURE)
        return found, page.cursor.key

    async def _send(self, found: Sequence[Found]) -> None:
        body = report(
            found,
            query_name=self._named.name,
            subscription_id=None,
            epc_format=EpcFormat(self._asked.epc_format.value),
            names=self._serving.node.translator,
            now_ms=now_ms(),
        )
        async with asyncio.timeout(SEND_S):
            await self._websocket.send_text(body.decode())
        self._serving.subscribing.sockets.sent += 1

    def _may_go_on(self) -> bool:
        known = self._serving.node.capture.by_id(self.caller.credential)
        return known == self.caller and self._serving.subscribing.service.is_there(self._named)

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._websocket.close(code, reason)
        except (TimeoutError, RuntimeError):
            return

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await run_sync(work, limiter=self._serving.subscribing.sockets.threads)
