"""GS1 Digital Links of this node: `/01/{gtin}/10/{lot}` and every other key leads to what the node knows of it.

The addresses begin with the application identifier of a key, so a label that carries this node's name resolves here.
`Accept` and `linkType` choose: the page of the thing (307), its linked data (307), all links as a linkset (RFC 9264),
or the link itself as a QR code. A thing of which the caller may see nothing is answered like one that nobody named.
Whoever is not logged in is sent to the page, and from there to the login, for any well-formed link: that says
nothing about what exists. docs/spec/identifiers.md, "Resolution".
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import quote, unquote, urlencode

import orjson
import segno
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from segno.encoder import DataOverflowError
from starlette.convertors import StringConvertor, register_url_convertor

from api.answers import View, view
from api.pages.labels import load_labels
from api.pages.things import things_of_class
from api.problems import Unauthenticated
from api.services import Services
from fabric.epcis.digital_link import link_attributes, parse_link
from fabric.epcis.gs1 import KEYS, ROOT, encode, normal_value
from fabric.epcis.thing import BadIdentifier, Kind, Thing
from fabric.visibility.reader import Reader
from ledger.errors import NotFound, TooLarge

from .asking import Serving, reader
from .things import JSON_LD, TURTLE

router = APIRouter(tags=["things"])

LINKSET: Final = "application/linkset+json"
HTML: Final = "text/html"
SVG: Final = "image/svg+xml"
VOCABULARY: Final = "https://ref.gs1.org/voc/"
CONTEXT: Final = "https://ref.gs1.org/standards/resolver/linkset-context"
MAX_TEXT: Final = 200

Links: TypeAlias = dict[str, list[dict[str, Any]]]

_OFFERED: Final = (HTML, JSON_LD, "application/json", TURTLE, LINKSET, SVG)
_PREFIXES: Final = ("gs1:", VOCABULARY, "https://gs1.org/voc/", "http://gs1.org/voc/")
_WHOLE_SET: Final = frozenset({"all", "linkset"})
_QR: Final = "qr.svg"
_HOST: Final = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,300}")
_QUALITY: Final = re.compile(r"q=([01](?:\.[0-9]{0,3})?)\Z")
# Which question of the EPCIS interface is about a thing of a kind.
_QUESTIONS: Final = {
    Kind.SERIAL: "MATCH_anyEPC",
    Kind.LOT: "MATCH_anyEPCClass",
    Kind.CLASS: "MATCH_anyEPCClass",
    Kind.PLACE: "EQ_bizLocation",
}
_TRACED: Final = (Kind.SERIAL, Kind.LOT)


class _KeyConvertor(StringConvertor):
    """The first segment of a Digital Link: the application identifier of a primary key."""

    regex = "|".join(KEYS)


register_url_convertor("gs1key", _KeyConvertor())


@router.get("/.well-known/gs1resolver", summary="What this resolver can do")
def describe(request: Request, serving: Serving) -> dict[str, Any]:
    """The description of a GS1-conformant resolver, for anybody: its root, the keys and the link types it has."""
    return {
        "name": serving.node.origin,
        "resolverRoot": _root(request, serving) or "/",
        "supportedPrimaryKeys": list(KEYS),
        "supportedLinkTypes": [{"namespace": VOCABULARY, "prefix": "gs1:"}],
        "linkTypeDefaultCanBeLinkset": False,
    }


@router.get(
    "/{ai:gs1key}/{path:path}",
    summary="Resolve a GS1 Digital Link",
    status_code=307,
    response_class=Response,
    responses={
        200: {"description": "All links, or the link as a QR code", "content": {LINKSET: {}, SVG: {}}},
        307: {"description": "Where what was asked for is"},
    },
)
def resolve(
    ai: Annotated[str, Path(pattern=f"^({_KeyConvertor.regex})$")],
    path: str,
    request: Request,
    serving: Serving,
    link_type: Annotated[str | None, Query(alias="linkType", max_length=MAX_TEXT)] = None,
    domain: Annotated[str | None, Query(max_length=MAX_TEXT)] = None,
) -> Response:
    """Answers by `Accept`: the page of the thing by default, JSON-LD or Turtle, a linkset, or, as `image/svg+xml`
    or with `/qr.svg` at the end, a QR code of the link on this node's domain (`domain=gs1`: on id.gs1.org).

    `linkType` chooses one link (`gs1:defaultLink`, `gs1:pip`, `gs1:locationInfo`, `gs1:traceability`, `gs1:epcis`)
    or all of them (`linkset`, `all`). 404 for a thing of which the caller may see nothing, as for an unknown one.
    """
    link, is_drawn = _link_in(request)
    thing = _thing(ai, link)
    attributes = link_attributes(f"?{request.url.query}")
    form = (
        SVG if is_drawn else LINKSET if link_type in _WHOLE_SET else preferred(request.headers.get("accept"))
    )
    asking = _asking(request, serving, form)
    if form == SVG:
        return _drawn(_own_link(thing, ROOT[:-1] if domain == "gs1" else _root(request, serving), attributes))
    if asking is not None:
        with view(serving.node, asking) as seen:
            _see(seen, thing, asking)
    links = links_of(thing, _root(request, serving))
    if form == LINKSET:
        return _linkset(thing, links, _root(request, serving))
    return _redirect(request, _chosen(links, link_type, form))


def preferred(accept: str | None) -> str:
    """The offered form that an `Accept` header prefers, the earlier of equals; the page where it wants none of them."""
    best, form = 0.0, HTML
    wanted = [_range(item) for item in (accept or "*/*").lower().split(",")]
    for offered in _OFFERED:
        # The most exact range that matches decides (RFC 9110, 12.5.1).
        matching = [one for one in wanted if one[0] in (offered, offered.partition("/")[0] + "/*", "*/*")]
        quality = max(matching, key=lambda one: (one[0] != "*/*", "*" not in one[0]), default=("", 0.0))[1]
        if quality > best:
            best, form = quality, offered
    return form


def _range(item: str) -> tuple[str, float]:
    kind, *parameters = (part.strip() for part in item.split(";"))
    match = next((match for each in parameters if (match := _QUALITY.match(each))), None)
    return kind, float(match[1]) if match else 1.0


def links_of(thing: Thing, root: str) -> Links:
    """The links of a thing by the name of their type, the default first; addresses begin with `root`."""
    iri = quote(thing.iri, safe="")
    page = {"href": f"{root}/things/{iri}", "title": "What is known of it", "type": HTML, "hreflang": ["en"]}
    data = {
        "href": f"{root}/api/things/{iri}",
        "title": "What is known of it, as linked data",
        "type": JSON_LD,
    }
    links: Links = {"defaultLink": [page, data]}
    if thing.kind is Kind.PLACE:
        links["locationInfo"] = [page, data]
    elif thing.kind in (Kind.SERIAL, Kind.LOT, Kind.CLASS):
        links["pip"] = [page, data]
    if thing.kind in _TRACED:
        course = {"href": f"{root}/trace?thing={iri}", "title": "Where it came from and went", "type": HTML}
        answer = {
            "href": f"{root}/api/trace?thing={iri}&direction=both",
            "title": "The same, as an answer with proof",
        }
        links["traceability"] = [{**course, "hreflang": ["en"]}, {**answer, "type": "application/json"}]
    question = _QUESTIONS.get(thing.kind)
    if question is not None:
        href = f"{root}/epcis/events?{question}={iri}"
        links["epcis"] = [{"href": href, "title": "Its events", "type": JSON_LD}]
    return links


def _link_in(request: Request) -> tuple[str, bool]:
    """The link on GS1's domain that an address says, and whether its QR code is asked for.

    A link has names and values in pairs, so a `qr.svg` that is left over at the end is no value.
    """
    raw: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    parts = raw.decode("ascii", "replace").partition("?")[0].strip("/").split("/")
    is_drawn = len(parts) % 2 == 1 and parts[-1] == _QR
    return ROOT + "/".join(parts[:-1] if is_drawn else parts), is_drawn


def _thing(ai: str, link: str) -> Thing:
    """The thing a link names by the key it begins with. Raises BadIdentifier."""
    written = link[len(ROOT) :].partition("/")[2].partition("/")[0]
    value = normal_value(ai, unquote(written, errors="replace"))
    thing = parse_link(link)
    start = f"{ROOT}{ai}/{encode(value)}"
    if thing is None or not (thing.iri == start or thing.iri.startswith(f"{start}/")):
        raise BadIdentifier("bad-identifier", f"qualifiers that belong together on a {KEYS[ai].name}", link)
    return thing


def _asking(request: Request, serving: Services, form: str) -> Reader | None:
    """Who asks; None for somebody who is not known and asks for a page, which will ask them to log in."""
    try:
        return reader(serving.authenticator.caller(request), serving)
    except Unauthenticated:
        if form != HTML or "authorization" in request.headers:
            raise
        return None


def _see(seen: View, thing: Thing, asking: Reader) -> None:
    """Return where the reader may see anything of a thing, as the thing's page decides it; else raise NotFound."""
    if next(iter(seen.catalogue.named([thing.iri])), None) is not None:
        return
    if thing.kind is Kind.CLASS and things_of_class(seen.connection, thing.iri, seen.classes):
        return
    time_us = seen.coverage.time_us or 0
    claims = load_labels(seen.connection, [thing.iri], seen.holder_of, time_us, seen.classes, asking)
    if not claims.attributes.get(thing.iri):
        raise NotFound("no record that you may see names this thing", rule="unknown-thing")


def _chosen(links: Links, link_type: str | None, form: str) -> str:
    """The address of a link of the type that was asked for, in the form that is preferred, if there is one."""
    name = link_type or "defaultLink"
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    several = links.get(name)
    if several is None:
        raise NotFound(
            f"expected a link type of {', '.join(links)}, got {name[:80]}", rule="unknown-link-type"
        )
    of_page = [link for link in several if (link["type"] == HTML) == (form == HTML)]
    return str((of_page or several)[0]["href"])


def _linkset(thing: Thing, links: Links, root: str) -> Response:
    found = {VOCABULARY + name: several for name, several in links.items()}
    body = {"linkset": [{"anchor": _own_link(thing, root, {}), **found}]}
    context = f'<{CONTEXT}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    return Response(orjson.dumps(body), media_type=LINKSET, headers={"Link": context, "Vary": _VARY})


def _redirect(request: Request, href: str) -> Response:
    # All links are at the same address, with a parameter.
    whole = f'<{quote(request.url.path)}?linkType=linkset>; rel="linkset"; type="{LINKSET}"'
    return RedirectResponse(href, status_code=307, headers={"Link": whole, "Vary": _VARY})


def _own_link(thing: Thing, root: str, attributes: Mapping[str, str]) -> str:
    """The canonical link below a root, with the lot that was named beside a serial, and with data attributes."""
    link = thing.iri if thing.lot_of is None else f"{thing.lot_of}/21/{thing.iri.rpartition('/')[2]}"
    query = f"?{urlencode(attributes, quote_via=quote, safe='')}" if attributes else ""
    return f"{root}/{link[len(ROOT) :]}{query}"


def _drawn(link: str) -> Response:
    try:
        code = segno.make_qr(link, error="m")
    except DataOverflowError:
        raise TooLarge(f"a link of {len(link)} characters fits no QR code", rule="too-long-for-qr") from None
    drawing = io.BytesIO()
    code.save(drawing, kind="svg", scale=8, xmldecl=False, title=link)
    return Response(drawing.getvalue(), media_type=SVG, headers={"Vary": _VARY})


def _root(request: Request, serving: Services) -> str:
    """Where this node is reached: as the operator says, else as the request did."""
    if serving.settings.resolver_root is not None:
        return serving.settings.resolver_root.rstrip("/")
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if _HOST.fullmatch(host) else ""


_VARY: Final = "Accept, Authorization, Cookie"
