"""The conversations of the client, each as a flow: what is asked, in which order, and what is made of the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from ledger.errors import Unavailable
from ledger.submission import MEDIA_TYPE as SUBMISSION

from .calls import Call, Flow, accepted, segment
from .results import Job, Page, job_of, page_of
from .signing import Signing, see, signed_submission

WAIT_S: Final = 30
"""How long one question for a job lets the node wait before it answers."""

Document = bytes | Mapping[str, Any]
"""An EPCIS document or a single event: the bytes to send, JSON or XML, or JSON as a value."""


def address_of(job: Job | str) -> str:
    """Where a node tells of a job, by the job or its ID."""
    return job.address if isinstance(job, Job) else f"/epcis/capture/{segment(job)}"


def capture(
    document: Document, signing: Signing | None, behaviour: str | None, keep_wrong_check_digits: bool
) -> Flow[Job]:
    """Post a document, signed here where somebody signs, else in the node's custody."""
    from fabric.epcis.document import media_type_of

    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    parameters = {"check-digits": "keep" if keep_wrong_check_digits else None}
    headers = {} if behaviour is None else {"GS1-Capture-Error-Behaviour": behaviour}
    if signing is None:
        media_type = media_type_of(body)
    else:
        member = str((yield from get_json("/api/members"))["self"])
        pinned = yield from see(signing.memory)
        body = signed_submission(body, member, signing.signer, pinned, keep_wrong_check_digits)
        media_type = SUBMISSION
    headers |= {"Content-Type": media_type}
    answer = accepted((yield Call("POST", "/epcis/capture", parameters, headers, body)))
    return job_of(answer.json())


def job(address: str, wait_s: int = 0) -> Flow[Job]:
    """What became of a capture; with a wait, once it is settled or that time has passed."""
    headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
    answer = accepted((yield Call("GET", address, headers=headers)))
    return job_of(answer.json())


def settled(address: str, timeout_s: float) -> Flow[Job]:
    """A job once its state is final. Raises Unavailable when it is not within a time."""
    left = timeout_s
    while True:
        wait_s = max(1, min(WAIT_S, int(left)))
        found = yield from job(address, wait_s)
        left -= wait_s
        if found.is_settled:
            return found
        if left <= 0:
            raise Unavailable(f"capture {found.id} was not settled within {timeout_s:g} s; ask again")


def receipt(found: Job) -> Flow[bytes]:
    """The proofs of all records of a capture."""
    return (yield from get(f"{found.address}/receipt")).content


def events(parameters: Mapping[str, Any], headers: Mapping[str, str]) -> Flow[Page]:
    """The first page of what answers a query."""
    asked = {name: _text(value) for name, value in parameters.items()}
    return _page(accepted((yield Call("GET", "/epcis/events", asked, _json(headers)))))


def following(page: Page, headers: Mapping[str, str]) -> Flow[Page]:
    """The page after one that has a next."""
    assert page.next is not None
    return _page(accepted((yield Call("GET", page.next, headers=_json(headers)))))


def event(event_id: str, headers: Mapping[str, str]) -> Flow[Page]:
    """The event of an ID, with the error declarations about it."""
    return _page(accepted((yield Call("GET", f"/epcis/events/{segment(event_id)}", headers=_json(headers)))))


def get(path: str, **parameters: Any) -> Flow[httpx2.Response]:
    """GET of any address; parameters that are None are left out, sequences repeat."""
    return accepted((yield Call("GET", path, parameters)))


def get_json(path: str, **parameters: Any) -> Flow[Any]:
    """The JSON of any address."""
    return (yield from get(path, **parameters)).json()


def send(
    method: str, path: str, body: bytes | None, media_type: str, headers: Mapping[str, str] | None
) -> Flow[httpx2.Response]:
    """Any other request."""
    given = {"Content-Type": media_type, **(headers or {})} if body is not None else dict(headers or {})
    return accepted((yield Call(method, path, headers=given, body=body)))


def trace(thing: str, direction: str, at: str | None, size: int | None) -> Flow[dict[str, Any]]:
    """What became of a thing, or what it came from."""
    return (yield from get_json("/api/trace", thing=thing, direction=direction, at=at, size=size))  # type: ignore[no-any-return]


def proof(record: str, show: Sequence[str]) -> Flow[bytes]:
    """The proof of one record, whole or of some parts."""
    return (yield from get(f"/api/records/{segment(record)}/proof", show=list(show) or None)).content


def name_query(name: str, query: Mapping[str, Any]) -> Flow[str]:
    """Keep a query under a name; gives its address."""
    body = json.dumps({"name": name, "query": query}).encode()
    answer = yield from send("POST", "/epcis/queries", body, "application/json", None)
    return str(answer.headers["location"])


def subscribe(name: str, subscription: Mapping[str, Any]) -> Flow[str]:
    """Have what answers a named query sent; gives the subscription's address."""
    body = json.dumps(subscription).encode()
    path = f"/epcis/queries/{segment(name)}/subscriptions"
    answer = yield from send("POST", path, body, "application/json", None)
    return str(answer.headers["location"])


def _json(headers: Mapping[str, str]) -> dict[str, str]:
    return {"Accept": "application/ld+json", **headers}


def _text(value: Any) -> Any:
    """A parameter as the binding takes it: several values are one text, joined by bars."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return "|".join(str(one) for one in value)
    return value


def _page(answer: httpx2.Response) -> Page:
    link = answer.links.get("next", {}).get("url")
    if link is None:
        return page_of(answer.json(), None)
    # The key goes to the node that was named, whatever host an answer calls the next page's.
    place = urlsplit(link)
    return page_of(answer.json(), f"{place.path}?{place.query}")
