"""Pages for people: what a recall lead sees, how it is reached, and what a reader may not see.

Everything is asked of the application as a browser asks it; `tests/e2e/test_browser.py` looks at it in one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from api.answers import view
from api.headers import CONTENT_SECURITY_POLICY
from api.pages.things import events_naming, names_as_sent, things_of_class

from .consortium_pages import Site, demo_site, thing_path, trace_path

PLACE = "https://id.gs1.org/414/9525004000012"
SSCC = "https://id.gs1.org/00/095250040000000081"
PRODUCT = "https://id.gs1.org/01/19525003000102"
GARDEN = "https://id.gs1.org/01/19525003000126/10/GARDEN-0903"
DOCUMENT = "urn:epcglobal:cbv:bt:9525004000005:ASN-10"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    site, lot = demo_site(tmp_path_factory.mktemp("site"))
    yield site, lot
    site.close()


@pytest.fixture(scope="module")
def site(demo: tuple[Site, str]) -> Site:
    return demo[0]


@pytest.fixture(scope="module")
def lot(demo: tuple[Site, str]) -> str:
    return demo[1]


@pytest.fixture(scope="module")
def paths(lot: str) -> dict[str, str]:
    """Every kind of page, by name."""
    return {
        "home": "/",
        "candidates": "/search?q=0903",
        "nothing": "/search?q=nothing-has-this-name",
        "lot": thing_path(lot),
        "forward": trace_path(lot),
        "backward": trace_path(lot, "backward"),
        "both": trace_path(lot, "both"),
        "place": thing_path(PLACE),
        "carrier": thing_path(SSCC),
        "carrier trace": trace_path(SSCC),
        "class": thing_path(PRODUCT),
        "document": thing_path(DOCUMENT),
        "docs": "/docs",
    }


def test_every_page_can_be_found_around_in_without_seeing_it(site: Site, paths: dict[str, str]) -> None:
    for name, path in paths.items():
        page = site.page(path)
        assert page.one("html").attributes["lang"] == "en", name
        assert page.all("title")[0].text.endswith("· Loomark"), name
        assert page.one("h1").text, name
        assert len(page.all("main", "footer")) == 2, name
        names = [nav.attributes["aria-label"] for nav in page.all("nav")]
        assert len(set(names)) == len(names), "each has a name of its own"
        levels = [int(one.tag[1]) for one in page.all("h1", "h2", "h3")]
        assert levels[0] == 1, name
        assert set(levels) <= {1, 2}, name
        ids = [one.attributes["id"] for one in page.root.walk() if "id" in one.attributes]
        assert len(ids) == len(set(ids)), name
        for inner in (link.removeprefix("#") for link in page.links() if link.startswith("#")):
            assert inner in ids, (name, inner)


def test_every_input_has_a_label_and_every_table_has_headings(site: Site, paths: dict[str, str]) -> None:
    for name, path in {**paths, "login": "/login"}.items():
        page = site.page(path, None if name == "login" else "recall")
        labelled = {one.attributes["for"] for one in page.all("label")}
        for field in page.all("input", "select"):
            if field.attributes.get("type") != "hidden" and "hidden" not in field.attributes:
                assert field.attributes.get("id") in labelled, (name, field)
        for table in page.all("table"):
            headings = [one for one in table.walk() if one.tag == "th"]
            assert headings, name
            assert all(one.attributes.get("scope") in ("col", "row", "rowgroup") for one in headings), name
        for one in page.all("a", "button"):
            assert one.text or one.attributes.get("aria-label"), (name, one)


def test_no_page_has_a_script_a_style_of_its_own_or_anything_from_elsewhere(
    site: Site, paths: dict[str, str]
) -> None:
    for name, path in paths.items():
        answer = site.get(path)
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        for element in site.page(path).root.walk():
            assert element.tag not in ("script", "style", "iframe", "object", "img"), name
            assert "style" not in element.attributes, (name, element)
            assert not any(attribute.startswith("on") for attribute in element.attributes), (name, element)
            for attribute in ("src", "href", "action"):
                target = element.attributes.get(attribute, "/")
                assert target.startswith(("/", "#", "tel:", "data:,")), (name, target)
                assert not target.startswith("//"), (name, target)


def test_who_has_not_logged_in_is_sent_to_the_form_and_then_on(site: Site, lot: str) -> None:
    answer = site.get(trace_path(lot), None)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?to=" + quote(trace_path(lot), safe="")
    form = site.page(answer.headers["location"], None)
    fields = {one.attributes["name"]: one.attributes.get("value", "") for one in form.all("input")}
    assert fields["to"] == trace_path(lot)


def test_a_text_that_names_one_thing_leads_straight_to_its_page(site: Site, lot: str) -> None:
    gtin, code = lot.split("/")[4], lot.split("/")[6]
    for text in (lot, code, f"(01){gtin}(10){code}", f"  {code}  "):
        answer = site.get("/search?q=" + quote(text, safe=""))
        assert (answer.status_code, answer.headers.get("location")) == (303, thing_path(lot)), text


def test_a_name_that_only_looks_alike_is_offered_and_not_opened(site: Site, lot: str) -> None:
    page = site.page("/search?q=" + lot.rsplit("/", 1)[1].lower())
    assert "Nothing that you may see has this name" in page.text
    assert thing_path(lot) in page.links()


def test_an_encoded_address_a_raw_one_and_another_spelling_show_one_thing(site: Site, lot: str) -> None:
    page = site.page(thing_path(lot))
    assert site.page("/things/" + lot).text == page.text
    elsewhere = lot.replace("https://id.gs1.org", "https://farm.example/x") + "?utm=1"
    assert site.page("/things/" + elsewhere).text == page.text
    assert site.page(thing_path(elsewhere)).text == page.text


def test_a_page_leads_to_the_code_of_a_link_and_of_nothing_else(site: Site, lot: str) -> None:
    for thing in (lot, PLACE, SSCC, PRODUCT):
        code = thing.removeprefix("https://id.gs1.org") + "/qr.svg"
        assert code in site.page(thing_path(thing)).links()
        assert site.get(code).headers["content-type"] == "image/svg+xml"
    assert not any("qr.svg" in one for one in site.page(thing_path(DOCUMENT)).links())


def test_the_trace_page_says_what_the_answer_says(site: Site, lot: str) -> None:
    headers = {"Authorization": f"Bearer {site.keys['recall']}"}
    for direction in ("forward", "backward"):
        asked = f"/api{trace_path(lot, direction)}"
        answer = json.loads(site.client(None).get(asked, headers=headers).content)
        page = site.page(trace_path(lot, direction))
        things = {one["thing"] for one in answer["affected"]}
        assert {thing_path(one) for one in things} <= set(page.links())
        boxes = [one for one in page.all("g") if "box" in one.attributes.get("class", "")]
        assert len(boxes) == len(answer["affected"])
        short = [row for row in answer["quantities"] if row["unaccounted"] != "0"]
        held = {
            place["place"]
            for row in answer["quantities"]
            for place in row["places"]
            if place["on_hand"] != "0"
        }
        tiles = [one.text.split()[0] for one in page.of_class("tiles").walk() if one.tag == "b"]
        assert tiles[:2] == [str(len(things)), str(len(held))]
        assert tiles[3] == str(len(short))


def test_no_clear_is_given_over_records_that_the_reader_may_not_see(site: Site, lot: str) -> None:
    clear = ("is on record", "was received", "unaccounted for")
    told = 0
    for member in ("farm", "packer", "processor", "distributor", "retailer", "recall"):
        for path in (
            trace_path(lot),
            trace_path(GARDEN),
            trace_path(lot, "backward"),
            trace_path(GARDEN, "backward"),
        ):
            if site.get(path, member).status_code != 200:
                continue
            page = site.page(path, member)
            limited = "records that you may not see" in page.text
            said = [one.text for one in page.all("p") if any(part in one.text for part in clear)]
            assert all(("in the records you may see" in text) == limited for text in said), (member, said)
            tiles = [one.text for one in page.of_class("tiles").walk() if one.tag == "b"]
            assert all(("visible" in text) == limited for text in tiles), (member, tiles)
            told += limited and len(said)
    assert told > 3, "somebody who sees a part is told so beside each absence"


def test_a_lot_with_stock_at_several_places_is_drawn_at_no_one_of_them(site: Site) -> None:
    page = site.page(trace_path(GARDEN))
    held = {one.text for one in page.section("held").walk() if one.tag == "th"}
    (asked,) = [one for one in page.all("g") if "asked" in one.attributes["class"]]
    assert len(held) > 3
    assert "stock at 4 places" in asked.text
    headings = [one.text for one in page.section("affected").walk() if one.tag == "th"]
    assert "Last event at" in headings
    assert "Holder" not in headings


def test_what_a_trace_is_as_of_stands_at_its_top(site: Site, lot: str) -> None:
    text = site.page(trace_path(lot)).text
    assert text.index("As of tree size") < text.index("affected things") < text.index("Who holds it now")


def test_many_events_are_folded_and_all_there(site: Site, lot: str) -> None:
    page = site.page(trace_path(lot))
    (folded,) = page.all("details")
    rows = [one for one in folded.walk() if one.tag == "tr"]
    assert f"Show the {len(rows) - 1} events" in folded.text
    assert len(rows) > 31
    assert "details::details-content" in site.get("/static/loomark.css").text.partition("@media print")[2]


def test_sales_to_consumers_are_told_at_the_top_and_by_place(site: Site, lot: str) -> None:
    page = site.page(trace_path(lot))
    headers = {"Authorization": f"Bearer {site.keys['recall']}"}
    answer = json.loads(site.client(None).get(f"/api{trace_path(lot)}", headers=headers).content)
    sold = {
        (row["thing"], place["place"])
        for row in answer["quantities"]
        for place in row["places"]
        if place["sold"] != "0"
    }
    assert (
        f"{len({thing for thing, _ in sold})} lots or serials sold to consumers"
        in page.of_class("tiles").text
    )
    assert len([one for one in page.section("sold").walk() if one.tag == "tr"]) == len(sold) + 1
    assert any(link.endswith("#fsma204") for link in page.links())


def test_what_a_process_did_with_a_lot_is_told_by_its_role(site: Site, lot: str) -> None:
    assert "used in commissioning" in site.page(thing_path(lot)).text
    assert "made, commissioning" in site.page(thing_path(GARDEN)).text


def test_what_a_count_missed_is_dated_by_the_count(site: Site) -> None:
    page = site.page(trace_path(GARDEN))
    (row,) = [
        one.text for one in page.section("missing").walk() if one.tag == "tr" and "below the book" in one.text
    ]
    assert "2026-" in row
    assert "not dated" not in row


def test_the_flow_leads_from_sources_to_products(site: Site, lot: str) -> None:
    page = site.page(trace_path(lot))
    (asked,) = [one for one in page.all("g") if "asked" in one.attributes["class"]]
    left = min(int(one.attributes["x"]) for one in page.all("rect"))
    assert next(one for one in asked.walk() if one.tag == "rect").attributes["x"] == str(left)
    assert (
        len([one for one in page.all("path") if "arrow" in one.attributes["class"]])
        >= len(page.all("rect")) - 1
    )


def test_a_carrier_shows_what_is_in_it_and_nothing_else_that_became_of_its_lots(site: Site) -> None:
    page = site.page(thing_path(SSCC))
    headings = [one.text for one in page.all("h2")]
    assert "What is in it" in headings
    assert "Unaccounted" not in headings
    assert "in transit" in page.text


def test_a_place_is_called_by_its_master_data_and_told_whose_it_is(site: Site) -> None:
    page = site.page(thing_path(PLACE))
    assert "Northgate depot East" in page.one("h1").text
    assert "Northgate Distribution" in page.one("dl").text


def test_a_reader_of_one_company_sees_its_own_part_and_is_told_that_there_is_more(
    site: Site, lot: str
) -> None:
    whole = site.page(trace_path(lot))
    hearts = next(link for link in whole.links() if "HEARTS-A" in link and link.startswith("/things/"))
    part = site.page("/trace?thing=" + hearts.removeprefix("/things/"), "processor")
    assert "records that you may not see" in part.text
    assert "North Field" in whole.text
    assert "North Field" not in part.text
    assert "Marlow" not in part.text, "what the depot sold on is not the kitchen's to see"


def test_what_a_hand_over_does_not_show_of_a_creation_names_nothing(site: Site, lot: str) -> None:
    sent = site.sim.rows(
        "SELECT t.iri, r.commitment FROM line l JOIN thing t ON t.id = l.thing JOIN event e ON e.record = l.record"
        " JOIN record r ON r.id = e.record WHERE l.role = 'input' AND e.partial IS NOT NULL AND t.iri = ?",
        lot,
    )
    assert sent, "the packer's records show the kitchen what they made, and not from what"
    with view(site.sim.node, site.reader("processor")) as seen:
        assert seen.classes is not None
        assert events_naming(seen.connection, lot, seen.classes) == []
        assert names_as_sent(seen.connection, lot, seen.classes) == []
        assert things_of_class(seen.connection, lot.split("/10/")[0], seen.classes) == []
    with view(site.sim.node, site.reader("recall")) as seen:
        assert events_naming(seen.connection, lot, seen.classes)


def test_what_is_hidden_is_answered_like_what_nobody_named(site: Site, lot: str) -> None:
    unknown = lot.rsplit("/", 1)[0] + "/NOBODY-NAMED-IT"
    for path in (thing_path, trace_path):
        hidden, missing = site.get(path(lot), "retailer"), site.get(path(unknown), "retailer")
        assert (hidden.status_code, missing.status_code) == (404, 404)
        assert hidden.content == missing.content
    assert site.get("/search?q=" + quote(lot, safe=""), "retailer").text.replace(lot, "X") == site.get(
        "/search?q=" + quote(unknown, safe=""), "retailer"
    ).text.replace(unknown, "X")


def test_the_operator_sees_no_thing(site: Site, lot: str) -> None:
    key = site.sim.node.new_operator_key
    assert key is not None
    site.keys["operator"] = key
    assert site.get(thing_path(lot), "operator").status_code == 404
    assert site.get("/", "operator").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/trace?thing=x&direction=sideways", 400),
        ("/trace?thing=" + quote(PLACE, safe=""), 400),
        ("/trace?thing=" + quote(SSCC, safe="") + "&at=yesterday", 400),
        ("/trace?thing=" + quote(SSCC, safe="") + "&at=1999-01-01T00:00", 404),
        ("/things/nothing", 404),
    ],
)
def test_what_cannot_be_answered_is_a_page_that_says_why(site: Site, path: str, status: int) -> None:
    page = site.page(path, status=status)
    assert [one for one in page.root.walk() if one.attributes.get("role") == "alert"]


def test_a_program_that_wants_linked_data_is_sent_to_it(site: Site, lot: str) -> None:
    answer = site.client("recall").get(thing_path(lot), headers={"accept": "text/turtle"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/api" + thing_path(lot))


def test_a_carrier_is_traced_in_the_use_that_is_asked_for(site: Site) -> None:
    page = site.page(thing_path(SSCC))
    (use,) = [one for one in page.links() if "&at=" in one and "forward" in one]
    then = site.page(use)
    assert then.section("affected").text == site.page(trace_path(SSCC)).section("affected").text
    typed = use.partition("&at=")[2].replace("T", " ").replace("%3A", ":").removesuffix("Z")
    assert (
        site.page(f"{trace_path(SSCC)}&at={quote(typed)}").section("affected").text
        == then.section("affected").text
    )
    assert [one.attributes["value"] for one in then.all("input") if one.attributes.get("name") == "at"] != [
        ""
    ]


@pytest.mark.parametrize(
    "name",
    ["", "%00", "..", "%2e%2e/x", "a" * 5000, "%ff", "%ED%A0%80", "urn:", "https://[", "%", "%0d%0ax:y"],
)
@pytest.mark.parametrize("before", ["/things/", "/search?q=", "/trace?thing=", "/trace?at=x&thing="])
def test_a_strange_name_is_answered_and_fails_nothing(site: Site, before: str, name: str) -> None:
    answer = site.get(before + name)
    assert answer.status_code in (200, 303, 400, 404)
    assert answer.headers.get("location", "/").startswith("/")
    assert "x" not in answer.headers


def test_documents_of_one_number_are_told_apart(site: Site) -> None:
    page = site.page("/search?q=ASN-1")
    rows = [one.text for one in page.one("tbody").walk() if one.tag == "tr"]
    assert len(rows) == len(set(rows)) > 2
    assert any("Northgate Distribution" in row and "Northgate depot East to" in row for row in rows)
    assert all("lot " in row or "SSCC" in row for row in rows)


def test_what_was_printed_or_mistyped_is_found_or_suggested(site: Site, lot: str) -> None:
    gtin = lot.split("/")[-3]
    for typed in (
        f"GTIN {gtin}, lot NORTH-0826",
        "lot NORTH-0826",
        "Romaine lettuce, bulk bins, lot NORTH-0826",
    ):
        answer = site.get(f"/search?q={quote(typed)}")
        assert (answer.status_code, answer.headers["location"]) == (303, thing_path(lot)), typed
    for typed in ("N0RTH-0826", "NORTH"):
        page = site.page(f"/search?q={typed}")
        assert thing_path(lot) in page.links(), typed
        assert thing_path(lot) not in site.page(f"/search?q={typed}", "retailer").links(), typed
    wrong = gtin[:-1] + str((int(gtin[-1]) + 1) % 10)
    page = site.page(f"/search?q={wrong}")
    assert f"Did you mean {gtin} ?" in page.text
    assert "Did you mean" not in site.page(f"/search?q={wrong}", "retailer").text


def test_products_and_places_are_found_by_the_names_that_the_reader_sees(site: Site, lot: str) -> None:
    assert thing_path(PLACE) in site.page("/search?q=northgate%20DEPOT").links()
    field = site.page("/search?q=North%20Field")
    assert "North Field" in field.one("main").text
    hidden = site.page("/search?q=North%20Field", "retailer")
    unknown = site.page("/search?q=North%20Foeld", "retailer")
    assert hidden.text.replace("North Field", "X") == unknown.text.replace("North Foeld", "X")
    assert any("/01/" in link.replace("%2F", "/") for link in site.page("/search?q=romaine").links())


def test_the_start_page_leads_to_a_search_and_lists_what_the_caller_captured(site: Site) -> None:
    assert site.get("/?q=a%20b").headers["location"] == "/search?q=a+b"
    (row,) = [one for one in site.page("/", "farm").section("captures").walk() if one.tag == "tr"][1:]
    assert "sequenced" in row.text
    (link,) = [one.attributes["href"] for one in row.walk() if one.tag == "a"]
    assert site.get(link, "farm").status_code == 200
    assert "captures" not in [one.attributes.get("id") for one in site.page("/", "recall").all("h2")]


def test_the_calls_are_told_with_what_they_refuse(site: Site) -> None:
    rows = [one.text for one in site.page("/docs").all("tr")]
    (trace,) = [row for row in rows if row.startswith("GET /api /trace")]
    assert "401" in trace
    assert "404" in trace
