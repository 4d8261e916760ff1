"""Names that members send are text on every page, whatever they hold; many rows stay a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from api.pages.overview import MAX_ROWS

from .consortium_pages import Site, thing_path, trace_path

GLN, OTHER = "9506000134352", "9506000134369"
PLACE = f"https://id.gs1.org/414/{GLN}"
PRODUCT = "https://id.gs1.org/01/09506000134352"
EVIL = "<script>alert(1)</script>"
QUOTES = "\"'><img src=x onerror=alert(2)>{{7*7}}"
LOT = f"{PRODUCT}/10/" + quote("\"'><svg/onload=x>", safe="")
DOCUMENT = "https://example.org/po/" + quote("<b>1</b>", safe="")
PRIVATE = "https://example.org/x?a=<script>&b=1".replace("<", "%3C").replace(">", "%3E")
MANY = 230


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("hostile"))
    site.admit("farm", [PLACE, f"https://id.gs1.org/417/{GLN}"], title=f"Farm {EVIL}")
    site.admit("recall")
    site.grant("recall", "recall")
    _capture(site)
    yield site
    site.close()


def _capture(site: Site) -> None:
    def quantity(iri: str, amount: int) -> dict[str, Any]:
        return {"epcClass": iri, "quantity": amount, "uom": "KGM"}

    at: dict[str, Any] = {"readPoint": {"id": PLACE}, "bizLocation": {"id": PLACE}}
    outputs = [quantity(f"{PRODUCT}/10/OUT-{number:03}", 1) for number in range(MANY)]
    events = [
        site.sim.event(
            action="ADD",
            bizStep="commissioning",
            quantityList=[quantity(LOT, 300), quantity(PRIVATE, 1)],
            bizTransactionList=[{"type": "po", "bizTransaction": DOCUMENT}],
            **at,
        ),
        site.sim.event(
            "TransformationEvent", inputQuantityList=[quantity(LOT, 240)], outputQuantityList=outputs, **at
        ),
    ]
    for source, target in (("LOOP-1", "LOOP-2"), ("LOOP-2", "LOOP-1")):
        into, out = quantity(f"{PRODUCT}/10/{source}", 5), quantity(f"{PRODUCT}/10/{target}", 5)
        events.append(
            site.sim.event("TransformationEvent", inputQuantityList=[into], outputQuantityList=[out], **at)
        )
    names = [("cbvmda:name", EVIL), ("cbvmda:streetAddressOne", QUOTES), ("gs1:telephone", 'x" onclick="y')]
    place = {"id": PLACE, "attributes": [{"id": key, "attribute": value} for key, value in names]}
    product = {"id": PRODUCT, "attributes": [{"id": "cbvmda:descriptionShort", "attribute": QUOTES}]}
    vocabulary = [
        {"type": "urn:epcglobal:epcis:vtype:Location", "vocabularyElementList": [place]},
        {"type": "urn:epcglobal:epcis:vtype:EPCClass", "vocabularyElementList": [product]},
    ]
    header = {"epcisMasterData": {"vocabularyList": vocabulary}}
    job = site.sim.capture("farm", events, epcisHeader=header)
    assert job.capture is not None


@pytest.mark.parametrize(
    "path",
    [
        thing_path(LOT),
        trace_path(LOT),
        thing_path(PLACE),
        thing_path(PRODUCT),
        thing_path(DOCUMENT),
        thing_path(PRIVATE),
        "/search?q=" + quote("OUT-00", safe=""),
        "/search?q=" + quote(EVIL, safe=""),
    ],
)
def test_markup_in_names_stays_text(site: Site, path: str) -> None:
    answer = site.get(path)
    shown = answer.headers["location"] if answer.status_code == 303 else path
    assert "<script" not in site.get(shown).text
    assert "<img" not in site.get(shown).text
    for element in site.page(shown).root.walk():
        assert element.tag not in ("script", "img"), element
        assert not any(attribute.startswith("on") for attribute in element.attributes), element
        assert element.attributes.get("href", "/").startswith(("/", "#", "tel:", "data:,")), element


def test_hostile_names_are_shown_as_they_were_sent(site: Site) -> None:
    place = site.page(thing_path(PLACE))
    assert EVIL in place.one("h1").text
    assert QUOTES in place.text
    assert "\"'><svg/onload=x>" in site.page(thing_path(LOT)).one("h1").text


def test_a_trace_of_many_things_is_grouped_limited_and_says_so(site: Site) -> None:
    page = site.page(trace_path(LOT))
    boxes = [one for one in page.all("g") if "group" in one.attributes.get("class", "")]
    assert len(boxes) == 2
    assert any(f"{MANY} things" in box.text for box in boxes)
    assert f"The {MAX_ROWS} nearest of {MANY + 1}" in page.text
    rows = [one for one in page.section("affected").walk() if one.tag == "tr"]
    assert len(rows) == MAX_ROWS + 1
    assert any(link.startswith("/api/trace?") for link in page.links())


def test_the_tiles_count_what_the_rows_leave_out(site: Site) -> None:
    page = site.page(trace_path(LOT))
    tiles = [one.text for one in page.of_class("tiles").walk() if one.tag == "b"]
    assert tiles[0] == str(MANY + 1)
    assert "231 lots and serials at 1 places are too many to show here" in page.text


def test_goods_that_go_round_in_a_loop_are_drawn_and_the_page_ends(site: Site) -> None:
    page = site.page(trace_path(f"{PRODUCT}/10/LOOP-1"))
    assert len([one for one in page.all("g") if "box" in one.attributes.get("class", "")]) == 2
    assert len([one for one in page.all("path") if "arrow" in one.attributes["class"]]) == 2
