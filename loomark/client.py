"""A node, asked synchronously."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx2

from . import flows
from .calls import Flow, T, headers_of, unreachable
from .flows import Document
from .results import Job, Page
from .signing import Memory, Pinned, Signing, see

TIMEOUT_S = 120.0


class Client:
    """One node over HTTP. Use as a context manager, or call `close`. Safe to share by threads.

    Every method raises the error tree of `ledger.errors`: a refusal becomes the matching leaf with its findings, an
    unreachable or overloaded node becomes Unavailable, after which the same call may be made again.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx2.Client(base_url=url, headers=headers_of(api_key), timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def capture(
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
        return self.run(flows.capture(document, signing, behaviour, keep_wrong_check_digits))

    def job(self, job: Job | str) -> Job:
        """What became of a capture by now."""
        return self.run(flows.job(flows.address_of(job)))

    def wait(self, job: Job | str, timeout_s: float = 60.0) -> Job:
        """A capture once it is in the log or refused; raises Unavailable when it is neither within the time."""
        return self.run(flows.settled(flows.address_of(job), timeout_s))

    def receipt(self, job: Job) -> bytes:
        """The proofs of all records of a capture that is in the log (`loomark/receipt/v1`), for `verify`."""
        return self.run(flows.receipt(job))

    def page(self, page: Page | None = None, headers: Mapping[str, str] | None = None, **query: Any) -> Page:
        """The first page that answers an EPCIS query, or the one after `page`; sequences are several values."""
        if page is None:
            return self.run(flows.events(query, headers or {}))
        return self.run(flows.following(page, headers or {}))

    def events(self, headers: Mapping[str, str] | None = None, **query: Any) -> Iterator[Mapping[str, Any]]:
        """All events that answer an EPCIS query, page by page: each once, as of the first page.

        `query` has the parameters of the standard (`EQ_bizStep=["shipping"]`, `perPage=100`); `headers` those of GS1,
        such as `{"GS1-EPC-Format": "Always_EPC_URN"}`.
        """
        page = self.page(None, headers, **query)
        yield from page.events
        while page.next is not None:
            page = self.page(page, headers)
            yield from page.events

    def event(self, event_id: str, headers: Mapping[str, str] | None = None) -> Page:
        """The event of an ID, with the error declarations about it."""
        return self.run(flows.event(event_id, headers or {}))

    def trace(
        self, thing: str, direction: str = "forward", *, at: str | None = None, size: int | None = None
    ) -> dict[str, Any]:
        """What became of a thing (`forward`), or what it came from (`backward`, `both`): a `loomark/trace/v1` document.

        `at` chooses a carrier's filling, `size` asks as known at an earlier tree size.
        """
        return self.run(flows.trace(thing, direction, at, size))

    def proof(self, record: str, show: Sequence[str] = ()) -> bytes:
        """The proof of a record, by its name or event ID; with JSON pointers, of those parts alone."""
        return self.run(flows.proof(record, show))

    def name_query(self, name: str, query: Mapping[str, Any]) -> str:
        """Keep a query under a name; gives its address."""
        return self.run(flows.name_query(name, query))

    def subscribe(self, name: str, **subscription: Any) -> str:
        """Have what answers a named query sent (`dest`, `stream` or `schedule`, ...); gives the subscription's address."""
        return self.run(flows.subscribe(name, subscription))

    def delete(self, address: str) -> None:
        """Delete a named query or a subscription, by its address."""
        self.run(flows.send("DELETE", address, None, "", None))

    def see(self, memory: Memory) -> Pinned:
        """Verify the node's newest checkpoint against what `memory` holds, and remember it.

        Raises VerificationError where the log signed with another key, shrank or forked.
        """
        return self.run(see(memory))

    def get(self, path: str, **parameters: Any) -> httpx2.Response:
        """GET of any address of the node; parameters that are None are left out, sequences repeat."""
        return self.run(flows.get(path, **parameters))

    def get_json(self, path: str, **parameters: Any) -> Any:
        """The JSON of any address of the node."""
        return self.run(flows.get_json(path, **parameters))

    def post(
        self, path: str, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """POST to any address of the node."""
        return self.run(flows.send("POST", path, body, media_type, headers))

    def put(self, path: str, body: bytes) -> httpx2.Response:
        """PUT of JSON to any address of the node."""
        return self.run(flows.send("PUT", path, body, "application/json", None))

    def run(self, flow: Flow[T]) -> T:
        """Hold one conversation to its end."""
        try:
            call = next(flow)
            while True:
                try:
                    answer = self._http.request(call.method, call.path, **call.arguments())
                except httpx2.HTTPError as error:
                    raise unreachable(self._http.base_url, error) from error
                call = flow.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
