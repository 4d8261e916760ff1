"""A node, asked asynchronously: the same methods, to be awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx2

from . import flows
from .calls import Flow, T, headers_of, unreachable
from .client import TIMEOUT_S
from .flows import Document
from .results import Job, Page
from .signing import Memory, Pinned, Signing, see


class AsyncClient:
    """One node over HTTP. Use as an asynchronous context manager, or await `close`. For one event loop.

    Every method raises the error tree of `ledger.errors`: a refusal becomes the matching leaf with its findings, an
    unreachable or overloaded node becomes Unavailable, after which the same call may be made again.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx2.AsyncClient(base_url=url, headers=headers_of(api_key), timeout=timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def capture(
        self,
        document: Document,
        *,
        signing: Signing | None = None,
        behaviour: str | None = None,
        keep_wrong_check_digits: bool = False,
    ) -> Job:
        """Capture a document or a single event; the job says where it stands, which `wait` waits for.

        With `signing` it is committed and signed here, under the member's own key; else the node signs in custody.
        `behaviour` is `rollback` (all or nothing, the default) or `proceed` (take what is good).
        The same document sent again is answered with its first job.
        """
        return await self.run(flows.capture(document, signing, behaviour, keep_wrong_check_digits))

    async def job(self, job: Job | str) -> Job:
        """What became of a capture by now."""
        return await self.run(flows.job(flows.address_of(job)))

    async def wait(self, job: Job | str, timeout_s: float = 60.0) -> Job:
        """A capture once it is in the log or refused; raises Unavailable when it is neither within the time."""
        return await self.run(flows.settled(flows.address_of(job), timeout_s))

    async def receipt(self, job: Job) -> bytes:
        """The proofs of all records of a capture that is in the log (`loomark/receipt/v1`), for `verify`."""
        return await self.run(flows.receipt(job))

    async def page(
        self, page: Page | None = None, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Page:
        """The first page that answers an EPCIS query, or the one after `page`; sequences are several values."""
        if page is None:
            return await self.run(flows.events(query, headers or {}))
        return await self.run(flows.following(page, headers or {}))

    async def events(
        self, headers: Mapping[str, str] | None = None, **query: Any
    ) -> AsyncIterator[Mapping[str, Any]]:
        """All events that answer an EPCIS query, page by page: each once, as of the first page.

        `query` has the parameters of the standard (`EQ_bizStep=["shipping"]`, `perPage=100`); `headers` those of GS1,
        such as `{"GS1-EPC-Format": "Always_EPC_URN"}`.
        """
        page = await self.page(None, headers, **query)
        while True:
            for one in page.events:
                yield one
            if page.next is None:
                return
            page = await self.page(page, headers)

    async def event(self, event_id: str, headers: Mapping[str, str] | None = None) -> Page:
        """The event of an ID, with the error declarations about it."""
        return await self.run(flows.event(event_id, headers or {}))

    async def trace(
        self, thing: str, direction: str = "forward", *, at: str | None = None, size: int | None = None
    ) -> dict[str, Any]:
        """What became of a thing (`forward`), or what it came from (`backward`, `both`): a `loomark/trace/v1` document.

        `at` chooses a carrier's filling, `size` asks as known at an earlier tree size.
        """
        return await self.run(flows.trace(thing, direction, at, size))

    async def proof(self, record: str, show: Sequence[str] = ()) -> bytes:
        """The proof of a record, by its name or event ID; with JSON pointers, of those parts alone."""
        return await self.run(flows.proof(record, show))

    async def name_query(self, name: str, query: Mapping[str, Any]) -> str:
        """Keep a query under a name; gives its address."""
        return await self.run(flows.name_query(name, query))

    async def subscribe(self, name: str, **subscription: Any) -> str:
        """Have what answers a named query sent (`dest`, `stream` or `schedule`, ...); gives the subscription's address."""
        return await self.run(flows.subscribe(name, subscription))

    async def delete(self, address: str) -> None:
        """Delete a named query or a subscription, by its address."""
        await self.run(flows.send("DELETE", address, None, "", None))

    async def see(self, memory: Memory) -> Pinned:
        """Verify the node's newest checkpoint against what `memory` holds, and remember it.

        Raises VerificationError where the log signed with another key, shrank or forked.
        """
        return await self.run(see(memory))

    async def get(self, path: str, **parameters: Any) -> httpx2.Response:
        """GET of any address of the node; parameters that are None are left out, sequences repeat."""
        return await self.run(flows.get(path, **parameters))

    async def get_json(self, path: str, **parameters: Any) -> Any:
        """The JSON of any address of the node."""
        return await self.run(flows.get_json(path, **parameters))

    async def post(
        self, path: str, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """POST to any address of the node."""
        return await self.run(flows.send("POST", path, body, media_type, headers))

    async def put(self, path: str, body: bytes) -> httpx2.Response:
        """PUT of JSON to any address of the node."""
        return await self.run(flows.send("PUT", path, body, "application/json", None))

    async def run(self, flow: Flow[T]) -> T:
        """Hold one conversation to its end."""
        try:
            call = next(flow)
            while True:
                try:
                    answer = await self._http.request(call.method, call.path, **call.arguments())
                except httpx2.HTTPError as error:
                    raise unreachable(self._http.base_url, error) from error
                call = flow.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
