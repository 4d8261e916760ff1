"""`/api/things/{iri}`: what the knowledge graph says of a thing, as far as its reader may see it."""

from __future__ import annotations

import re
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response

from fabric.graph import Description, to_jsonld, to_turtle
from fabric.visibility.classes import visible_classes
from fabric.visibility.sight import named_visibly

from .addresses import thing_in
from .asking import Reading, Serving

router = APIRouter(prefix="/api", tags=["things"])

JSON_LD: Final = "application/ld+json"
TURTLE: Final = "text/turtle"
SIZE_HEADER: Final = "Loomark-Tree-Size"
_QUALITY: Final = re.compile(r"q=([01](?:\.[0-9]{0,3})?)\Z")
_FORMS: Final = {
    JSON_LD: JSON_LD,
    "application/json": JSON_LD,
    "application/*": JSON_LD,
    "*/*": JSON_LD,
    TURTLE: TURTLE,
    "text/*": TURTLE,
}


@router.get(
    "/things/{iri:path}",
    summary="What the graph says of a thing",
    response_class=Response,
    responses={
        200: {"content": {JSON_LD: {}, TURTLE: {}}, "headers": {SIZE_HEADER: {"schema": {"type": "integer"}}}}
    },
)
def get_thing(iri: str, request: Request, serving: Serving, reading: Reading) -> Response:
    """The visible records that name it, master data, and hand-overs, as JSON-LD or, where `Accept` prefers it,
    Turtle. `iri` is percent-encoded once as one segment; a raw IRI is accepted too.

    The header `Loomark-Tree-Size`, and `coveredSize` in the body, tell up to which tree size of the log the graph
    had followed. A thing of which the caller may see nothing is answered like one that nobody ever named.
    """
    thing = thing_in(request, "/api/things/")
    with serving.node.reading.connect() as connection:
        classes = None if reading.all else visible_classes(connection, reading)
        is_named = bool(named_visibly(connection, classes, [thing]))
    found = serving.graph.describe(thing, reading, is_named=is_named)
    form = chosen_form(request.headers.get("accept", ""))
    headers = {SIZE_HEADER: str(found.size), "Vary": "Accept"}
    return Response(rendered(found, form), media_type=form, headers=headers)


def rendered(found: Description, form: str) -> bytes:
    """A description in a media type."""
    return to_turtle(found) if form == TURTLE else orjson.dumps(to_jsonld(found))


def chosen_form(accept: str) -> str:
    """The media type that an `Accept` header prefers of those there are; JSON-LD where it asks for none of them."""
    best, form = 0.0, JSON_LD
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        match = next((match for each in parameters if (match := _QUALITY.match(each))), None)
        quality = float(match[1]) if match else 1.0
        if kind in _FORMS and quality > best:
            best, form = quality, _FORMS[kind]
    return form
