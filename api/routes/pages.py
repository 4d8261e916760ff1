"""The pages of a person with a browser: search, a thing, its trace. They read what the API reads.

Lists on a page are limited; the JSON that each page links to is whole.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.answers import View, canonical, view
from api.pages.labels import Labels, load_labels, things_called
from api.pages.thing_page import thing_values
from api.pages.trace_page import trace_values
from fabric.epcis.digital_link import parse_link
from fabric.epcis.gs1 import ROOT
from fabric.epcis.thing import BadIdentifier
from fabric.store.credentials import OPERATOR
from fabric.trace import Direction, Options, Question, trace
from fabric.trace.search import Candidate, resolve
from ledger.errors import InvalidInput, NotFound
from ledger.shape import time_text

from .addresses import thing_in
from .asking import Calling, Reading, Serving
from .shown import html
from .things import JSON_LD, TURTLE
from .trace import MAX_TEXT, budget, instant_us

router = APIRouter(include_in_schema=False)

_TYPED: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?Z?\Z")
RECENT: Final = 10
"""So many of the caller's captures stand on the start page."""

Text = Annotated[str, Query(max_length=MAX_TEXT)]


@router.get("/")
def home(request: Request, serving: Serving, calling: Calling, reading: Reading, q: Text = "") -> Response:
    """Where a search begins, with what the caller captured last."""
    if q.strip():
        return RedirectResponse(f"/search?{urlencode({'q': q})}", status_code=303)
    jobs = [] if calling.role == OPERATOR else serving.node.capture.jobs(calling.member, RECENT)
    captures = [{**asdict(job), "time": time_text(job.created_ms)} for job in jobs]
    values = {"q": "", "found": [], "near": [], "named": [], "corrected": None, "captures": captures}
    return html(request, serving, "search.html", values)


@router.get("/search")
def search(request: Request, serving: Serving, reading: Reading, q: Text = "") -> Response:
    """What a text may mean; one that names one thing leads straight to its page."""
    text = q.strip()
    if not text:
        return RedirectResponse("/", status_code=303)
    with view(serving.node, reading) as seen:
        found = resolve(text, seen.catalogue, seen.source)
        if found.thing is not None:
            return RedirectResponse("/things/" + quote(found.thing, safe=""), status_code=303)
        candidates = (*found.candidates, *found.near)
        labels = _labels(seen, [name for one in candidates for name in _names(one)])
        named = things_called(
            seen.connection, text, seen.holder_of, seen.coverage.time_us or 0, seen.classes, reading
        )
        values: dict[str, Any] = {"q": q, "named": named, "captures": [], "size": seen.coverage.size}
        values |= {"found": found.candidates, "near": found.near, "corrected": found.corrected}
    return html(request, serving, "search.html", values, labels=labels.names)


@router.get("/things/{iri:path}")
def thing_page(request: Request, serving: Serving, reading: Reading) -> Response:
    """Everything about one thing. A program that asks for linked data is sent to where that is."""
    iri = thing_in(request, "/things/")
    accept = request.headers.get("accept", "")
    if "text/html" not in accept and (JSON_LD in accept or TURTLE in accept):
        return RedirectResponse("/api/things/" + quote(iri, safe=""), status_code=303)
    with view(serving.node, reading) as seen:
        values, names = thing_values(seen, iri, reading)
    values |= _links(iri) | {"graph_size": serving.graph.size, "qr_url": _qr_url(iri)}
    return html(request, serving, "thing.html", values, labels=names)


@router.get("/trace")
def trace_page(
    request: Request,
    serving: Serving,
    reading: Reading,
    thing: Text = "",
    direction: str = Direction.FORWARD.value,
    at: str = "",
) -> Response:
    """What became of a thing, or what it came from: who holds it, what moves, what is missing."""
    if not thing.strip():
        return RedirectResponse("/", status_code=303)
    asked = Question(
        canonical(thing.strip()), _direction(direction), _instant(at), Options(), budget(serving)
    )
    with view(serving.node, reading) as seen:
        if seen.catalogue.find(asked.thing) is None:
            return _meant(seen, thing, asked)
        found = trace(asked, seen.source)
        values, names = trace_values(found, seen)
    values |= _links(asked.thing, asked.direction, at) | {"at": at}
    return html(request, serving, "trace.html", values, labels=names)


def _meant(seen: View, text: str, asked: Question) -> Response:
    """Go on with what a typed text means: one thing, or a choice. Raises NotFound where it means nothing."""
    found = resolve(text.strip(), seen.catalogue, seen.source)
    if found.thing is not None:
        query = urlencode({"thing": found.thing, "direction": asked.direction.value})
        return RedirectResponse(f"/trace?{query}", status_code=303)
    if found.candidates or found.near:
        return RedirectResponse(f"/search?{urlencode({'q': text})}", status_code=303)
    raise NotFound("no record that you may see names this thing", rule="unknown-thing")


def _links(iri: str, direction: Direction = Direction.BOTH, at: str = "") -> dict[str, str]:
    asked = {"thing": iri, "direction": direction.value} | ({"at": _with_offset(at)} if at else {})
    return {
        "json_url": f"/api/trace?{urlencode(asked)}",
        "report_url": f"/report?{urlencode(asked)}",
        "graph_url": "/api/things/" + quote(iri, safe=""),
    }


def _qr_url(iri: str) -> str:
    """Where the node draws the link of a thing, or nothing where its name is none that the node resolves."""
    try:
        thing = parse_link(iri)
    except BadIdentifier:
        # A name with a wrong check digit that was kept as it is.
        return ""
    return "" if thing is None else f"/{thing.iri.removeprefix(ROOT)}/qr.svg"


def _direction(text: str) -> Direction:
    try:
        return Direction(text)
    except ValueError as error:
        expected = ", ".join(Direction)
        raise InvalidInput(
            f"direction: expected {expected}, got {text[:40]}", rule="bad-parameter"
        ) from error


def _instant(at: str) -> int | None:
    return instant_us(_with_offset(at)) if at else None


def _with_offset(at: str) -> str:
    """An instant as people type it is UTC, as everything on the pages."""
    match = _TYPED.match(at.strip())
    return f"{match[1]}T{match[2]}{match[3] or ':00'}Z" if match else at.strip()


def _names(one: Candidate) -> list[str | None]:
    told = () if one.about is None else (one.about.source, one.about.target)
    return [one.thing, one.product, one.place, *one.origins, *told]


def _labels(seen: View, iris: list[str | None]) -> Labels:
    return load_labels(seen.connection, iris, seen.holder_of, seen.coverage.time_us or 0, seen.classes)
