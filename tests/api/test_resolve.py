"""GS1 Digital Links of the node: where each leads, in which form, and that nothing hidden shows."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import segno
from starlette.routing import Route

from api.app import _ROUTES
from api.routes import resolve
from api.routes.resolve import CONTEXT, HTML, LINKSET, SVG, VOCABULARY, preferred
from api.settings import load_settings
from fabric.epcis.gs1 import KEYS
from ledger.errors import InvalidInput

from .door import Door

ROOT = "https://id.gs1.org"
LOT = "/01/09506000134352/10/L%2F1"
SERIAL = "/01/09506000134352/21/S1"
PLACE = "/414/9506000123455"
UNKNOWN = "/01/09506000134352/10/NONE"
TITLE = "{http://www.w3.org/2000/svg}title"


@pytest.fixture(scope="module")
def known(door: Door) -> Door:
    """A node where the farm made a lot, a serial and a place that nobody else is told of."""
    event = door.sim.event(
        epcList=["urn:epc:id:sgtin:9506000.013435.S1"],
        quantityList=[{"epcClass": ROOT + LOT, "quantity": 3}],
        readPoint={"id": ROOT + PLACE},
    )
    door.captured(door.sim.document([event]))
    return door


def thing(path: str) -> str:
    """The address of a thing behind `/things/` and `/api/things/`."""
    return quote(ROOT + path, safe="")


@pytest.mark.parametrize(
    "accept", ["*/*", "text/html", "text/html,application/xhtml+xml,*/*;q=0.8", "application/pdf"]
)
@pytest.mark.parametrize("path", [LOT, SERIAL, PLACE, "/01/09506000134352", "/01/9506000134352/10/L%2F1/"])
def test_a_link_leads_to_the_page_of_its_thing(known: Door, path: str, accept: str) -> None:
    answer = known.get(path, accept=accept)
    assert answer.status_code == 307, answer.text
    canonical = path.rstrip("/").replace("/9506000134352/10", "/09506000134352/10")
    assert answer.headers["location"] == f"http://127.0.0.1/things/{thing(canonical)}"
    assert f'rel="linkset"; type="{LINKSET}"' in answer.headers["link"]
    assert "Accept" in answer.headers["vary"]
    if accept.startswith("text/html"):
        page = known.get(answer.headers["location"].removeprefix("http://127.0.0.1"), accept=accept)
        assert page.status_code == 200


@pytest.mark.parametrize(
    "accept", ["application/ld+json", "application/json;q=0.9, text/html;q=0.1", "text/turtle"]
)
def test_linked_data_is_where_it_always_is(known: Door, accept: str) -> None:
    answer = known.get(SERIAL, accept=accept)
    assert (answer.status_code, answer.headers["location"]) == (
        307,
        f"http://127.0.0.1/api/things/{thing(SERIAL)}",
    )


def linkset(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == LINKSET
    assert CONTEXT in answer.headers["link"]
    body = json.loads(answer.content)
    assert list(body) == ["linkset"]
    (links,) = body["linkset"]
    assert {relation for relation in links if relation != "anchor"} == {
        name for name in links if name.startswith(VOCABULARY)
    }
    for relation, targets in links.items():
        for target in targets if relation != "anchor" else ():
            assert {"href", "title", "type"} <= target.keys()
            assert target["href"].startswith("http://127.0.0.1/")
            assert all(type(tag) is str for tag in target.get("hreflang", []))
    found: dict[str, Any] = links
    return found


@pytest.mark.parametrize(
    ("path", "types", "question"),
    [
        (SERIAL, {"defaultLink", "pip", "traceability", "epcis"}, "MATCH_anyEPC"),
        (LOT, {"defaultLink", "pip", "traceability", "epcis"}, "MATCH_anyEPCClass"),
        ("/01/09506000134352", {"defaultLink", "pip", "epcis"}, "MATCH_anyEPCClass"),
        (PLACE, {"defaultLink", "locationInfo", "epcis"}, "EQ_bizLocation"),
    ],
)
def test_a_linkset_has_every_link_of_a_thing(known: Door, path: str, types: set[str], question: str) -> None:
    links = linkset(known.get(path, accept=LINKSET))
    assert links["anchor"] == f"http://127.0.0.1{path}"
    assert {name.removeprefix(VOCABULARY) for name in links if name != "anchor"} == types
    assert links[VOCABULARY + "epcis"][0]["href"] == f"http://127.0.0.1/epcis/events?{question}={thing(path)}"
    assert linkset(known.get(f"{path}?linkType=linkset", accept="text/html")) == links
    assert linkset(known.get(f"{path}?linkType=all")) == links


def test_every_link_of_a_linkset_answers(known: Door) -> None:
    links = linkset(known.get(SERIAL, accept=LINKSET))
    for relation, targets in links.items():
        for target in targets if relation != "anchor" else ():
            path = target["href"].removeprefix("http://127.0.0.1")
            answer = known.get(path, accept=target["type"])
            # Without a projector there is no graph yet, which is told as a matter of time.
            assert answer.status_code == (503 if path.startswith("/api/things/") else 200), (
                path,
                answer.text,
            )


@pytest.mark.parametrize("prefix", ["gs1:", "", VOCABULARY, "https://gs1.org/voc/", "http://gs1.org/voc/"])
def test_a_link_type_chooses_one_link(known: Door, prefix: str) -> None:
    page = known.get(f"{LOT}?linkType={quote(prefix + 'traceability', safe='')}", accept=HTML)
    assert (page.status_code, page.headers["location"]) == (307, f"http://127.0.0.1/trace?thing={thing(LOT)}")
    data = known.get(f"{LOT}?linkType={quote(prefix + 'traceability', safe='')}", accept="application/json")
    assert data.headers["location"].startswith("http://127.0.0.1/api/trace?")


def test_a_link_type_that_a_thing_has_not_is_refused_by_name(known: Door) -> None:
    body = known.refused(known.get(f"{PLACE}?linkType=gs1:pip"), 404, "unknown-link-type")
    assert "locationInfo" in body["detail"]


@pytest.mark.parametrize("tail", ["", "?linkType=linkset", "?linkType=gs1:epcis", "?linkType=gs1:none"])
@pytest.mark.parametrize("accept", ["*/*", "application/ld+json", LINKSET])
@pytest.mark.parametrize("member", ["shop", "packer", "operator"])
def test_a_hidden_thing_is_answered_like_an_unknown_one(
    known: Door, member: str, accept: str, tail: str
) -> None:
    with known.unchanged():
        hidden, unknown = (known.get(path + tail, member, accept=accept) for path in (LOT, UNKNOWN))
    assert hidden.content == unknown.content
    assert hidden.status_code == unknown.status_code == 404
    known.refused(hidden, 404, "unknown-thing")
    assert hidden.headers.keys() == unknown.headers.keys()


@pytest.mark.parametrize("path", [LOT, UNKNOWN, "/00/106141412345678908"])
def test_a_scanner_without_a_session_is_sent_to_the_login_whatever_exists(known: Door, path: str) -> None:
    for accept in ("*/*", "text/html"):
        first = known.get(path, None, accept=accept)
        assert (first.status_code, first.headers["location"]) == (
            307,
            f"http://127.0.0.1/things/{thing(path)}",
        )
        page = known.get(first.headers["location"].removeprefix("http://127.0.0.1"), None, accept="text/html")
        assert page.status_code == 303
        assert page.headers["location"].startswith("/login?to=")


@pytest.mark.parametrize("accept", ["application/ld+json", LINKSET, SVG])
@pytest.mark.parametrize("path", [LOT, UNKNOWN])
def test_anything_but_the_way_to_the_login_needs_to_know_who_asks(
    known: Door, path: str, accept: str
) -> None:
    known.refused(known.get(path, None, accept=accept), 401, "unauthenticated")


def test_a_wrong_api_key_is_refused_and_not_sent_on(known: Door) -> None:
    answer = known.http.get(LOT, headers={"Authorization": "Bearer wrong"})
    known.refused(answer, 401, "unauthenticated")


def drawn(link: str) -> bytes:
    drawing = io.BytesIO()
    segno.make_qr(link, error="m").save(drawing, kind="svg", scale=8, xmldecl=False, title=link)
    return drawing.getvalue()


@pytest.mark.parametrize(
    ("path", "link"),
    [
        (LOT + "/qr.svg", "http://127.0.0.1" + LOT),
        (LOT + "/qr.svg?domain=gs1", ROOT + LOT),
        (
            "/01/9506000134352/qr.svg?17=261231&linkType=gs1:pip",
            "http://127.0.0.1/01/09506000134352?17=261231",
        ),
        ("/01/09506000134352/21/S1/10/L%2f1/qr.svg", "http://127.0.0.1/01/09506000134352/10/L%2F1/21/S1"),
        ("/01/09506000134352/21/qr.svg/qr.svg", "http://127.0.0.1/01/09506000134352/21/qr.svg"),
        (UNKNOWN + "/qr.svg", "http://127.0.0.1" + UNKNOWN),
    ],
)
def test_a_qr_code_says_the_canonical_link_on_the_domain_that_was_asked_for(
    known: Door, path: str, link: str
) -> None:
    answer = known.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, SVG)
    assert ElementTree.fromstring(answer.content).findtext(TITLE) == link
    assert answer.content == drawn(link)
    if "?" not in path:
        assert (
            known.get(path.removesuffix("/qr.svg"), accept="image/avif,image/svg+xml,*/*;q=0.5").content
            == answer.content
        )


def test_qr_svg_at_the_place_of_a_value_is_a_value(known: Door) -> None:
    known.refused(known.get("/01/09506000134352/21/qr.svg"), 404, "unknown-thing")


def test_a_link_that_fits_no_qr_code_is_too_large(known: Door) -> None:
    attributes = (
        "&".join(f"{ai}={'x' * 90}" for ai in range(91, 100))
        + "&"
        + "&".join(
            f"{ai}={'y' * 70}"
            for ai in (
                "4302",
                "4303",
                "4304",
                "4305",
                "4306",
                "4312",
                "4313",
                "4314",
                "4315",
                "4316",
                "8110",
                "8112",
                "7257",
            )
        )
    )
    known.refused(
        known.get(
            f"{LOT}/qr.svg?{attributes}&{'&'.join(f'{ai}={chr(122) * 28}' for ai in range(240, 242))}&8009={'%2F' * 50}&7256={'%2F' * 90}"
        ),
        413,
        "too-long-for-qr",
    )


@pytest.mark.parametrize(
    ("path", "rule", "says"),
    [
        ("/01/09506000134353/10/L", "bad-check-digit", "09506000134352"),
        ("/01/", "bad-identifier", "GTIN"),
        ("/01/qr.svg", "bad-identifier", "GTIN"),
        ("/01/09506000134352/10", "bad-identifier", "key in the path"),
        ("/01/09506000134352/99/X", "bad-identifier", "key in the path"),
        ("/01/09506000134352/00/106141412345678908", "bad-identifier", "GTIN"),
        ("/01/09506000134352/10/%zz", "bad-identifier", "percent"),
        ("/01/09506000134352/10/%C3%A9", "bad-identifier", "(10)"),
        ("/%30%31/09506000134352", "bad-identifier", "key in the path"),
        ("/01/09506000134352?17=1", "bad-identifier", "(17)"),
        ("/8013/1987654Ad4X4bL5ttr2310c2L", "bad-check-digit", "2K"),
    ],
)
@pytest.mark.parametrize("member", ["farm", None])
def test_what_is_no_link_is_refused_and_says_what_would_be_one(
    known: Door, path: str, rule: str, says: str, member: str | None
) -> None:
    with known.unchanged():
        body = known.refused(known.get(path, member), 400, rule)
    assert says in body["detail"]


def module_of(route: Route) -> str:
    return str(route.endpoint.__module__)


def test_every_key_resolves_and_no_other_address_begins_with_one(known: Door) -> None:
    routes = [route for module in _ROUTES for route in module.router.routes if isinstance(route, Route)]
    firsts = {route.path.split("/")[1] for route in routes if module_of(route) != "api.routes.resolve"}
    assert {"api", "epcis", "things"} <= firsts
    assert not firsts & set(KEYS)
    for ai, key in KEYS.items():
        answer = known.get(f"/{ai}/{'0' * (key.digits or 30)}{'1' * 40}")
        known.refused(answer, 400, "bad-identifier")
    for path in ("/02/09506000134352", "/gtin/09506000134352", "/1/2"):
        assert known.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/.well-known/gs1resolver"])
def test_anybody_learns_what_the_resolver_can_do(known: Door, path: str) -> None:
    answer = known.get(path, None)
    assert answer.status_code == 200
    body = answer.json()
    assert body["resolverRoot"] == "http://127.0.0.1"
    assert body["supportedPrimaryKeys"] == list(KEYS)
    assert body["supportedLinkTypes"] == [{"namespace": VOCABULARY, "prefix": "gs1:"}]
    assert body["linkTypeDefaultCanBeLinkset"] is False


def test_the_operator_says_where_labels_lead(tmp_path: Path) -> None:
    with Door(tmp_path / "node", resolver_root="https://id.example.com/") as door:
        door.admit("farm")
        event = door.sim.event(epcList=[ROOT + SERIAL])
        door.captured(door.sim.document([event]))
        links = json.loads(door.get(SERIAL, accept=LINKSET).content)["linkset"][0]
        assert links["anchor"] == "https://id.example.com" + SERIAL
        assert door.get(SERIAL).headers["location"] == f"https://id.example.com/things/{thing(SERIAL)}"
        assert door.get(SERIAL + "/qr.svg").content == drawn("https://id.example.com" + SERIAL)
        assert door.get("/.well-known/gs1resolver", None).json()["resolverRoot"] == "https://id.example.com"


@pytest.mark.parametrize(
    "text", ["id.example.com", "ftp://id.example.com", "https://id.example.com/path", "https://a b"]
)
def test_an_address_that_is_none_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="resolver_root"):
        load_settings(tmp_path, {"resolver_root": text}, {})


def test_a_hostile_host_is_not_repeated(known: Door) -> None:
    headers = known.headers("farm", host='evil"><script>', accept=LINKSET)
    body = known.http.get(SERIAL, headers=headers)
    assert "evil" not in body.text
    assert json.loads(body.content)["linkset"][0]["anchor"] == SERIAL


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, HTML),
        ("", HTML),
        ("*/*", HTML),
        ("image/*", SVG),
        ("text/*;q=0.2, application/*", "application/ld+json"),
        ("text/html;q=0, */*;q=0.1", "application/ld+json"),
        (f"{LINKSET}, text/html", HTML),
        (f"{LINKSET}, text/html;q=0.9", LINKSET),
        ("application/json; q=1.0;x=y, */*; q=0.5", "application/json"),
        (";q=x,,", HTML),
    ],
)
def test_the_form_that_is_preferred_most_is_given(accept: str | None, form: str) -> None:
    assert preferred(accept) == form


def test_the_pattern_of_the_first_segment_is_exactly_the_keys() -> None:
    (pattern,) = [
        route.path_regex
        for route in resolve.router.routes
        if isinstance(route, Route) and route.path.startswith("/{ai")
    ]
    numbers = (f"{number:0{width}}" for width in (1, 2, 3, 4) for number in range(10**width))
    assert {ai for ai in numbers if re.fullmatch(pattern, f"/{ai}/x")} == set(KEYS)
