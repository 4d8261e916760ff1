from __future__ import annotations

from collections.abc import Iterable

import pytest

from fabric.epcis.event import Role
from fabric.lineage import Fact
from fabric.trace import Coverage
from fabric.trace.catalogue import SqlCatalogue
from fabric.trace.search import LIMIT, Resolution, product_of, resolve

from .store import SHOWN, Store
from .story import GTIN, Story, holder_of, lot, place, serial, sscc

OTHER = "https://id.gs1.org/01/09506000134369"


def find(story: Story, text: str, hidden: Iterable[Fact] | None = None) -> Resolution:
    store = Store(story.facts, holder_of)
    source = store.source(Coverage(1, None), hidden)
    classes = None if hidden is None else {SHOWN}
    return resolve(text, SqlCatalogue(store.connection, holder_of, classes=classes), source)


def lots() -> Story:
    story = Story()
    story.make((lot("L-007"), 10), at="farm")
    story.make((f"{OTHER}/10/L-007", 10), at="field")
    story.make((lot("l7"), 10), at="farm")
    return story


@pytest.mark.parametrize(
    "text",
    [lot("L-007"), "(01)09506000134352(10)L-007", "https://shop.example/gtin/9506000134352/lot/L-007?x=1"],
)
def test_every_name_of_a_thing_finds_that_thing(text: str) -> None:
    assert find(lots(), text).thing == lot("L-007")


def test_a_bare_code_offers_candidates_with_product_origin_and_place() -> None:
    found = find(lots(), "L-007")
    assert found.thing is None
    assert [(one.thing, one.kind, one.product, one.origins, one.place) for one in found.candidates] == [
        (lot("L-007"), "lot", GTIN, (place("farm"),), place("farm")),
        (f"{OTHER}/10/L-007", "lot", OTHER, (place("field"),), place("field")),
    ]


def test_near_names_are_suggested_and_never_meant() -> None:
    found = find(lots(), "L7")
    assert (found.thing, found.candidates) == (None, ())
    assert [one.thing for one in found.near] == [lot("l7")]
    assert [one.thing for one in find(lots(), "l-007").near] == [lot("L-007"), f"{OTHER}/10/L-007"]


def test_a_serial_and_a_carrier_are_found_by_their_codes() -> None:
    story = Story()
    story.pack(sscc(1), serial("S1"))
    assert find(story, "S1").thing == serial("S1")
    assert find(story, sscc(1).rpartition("/")[2]).thing == sscc(1)
    assert find(story, f"(00){sscc(1).rpartition('/')[2]}").thing == sscc(1)


def test_a_document_is_found_by_its_number() -> None:
    story = Story()
    document = "urn:epcglobal:cbv:bt:9506000134352:PO-17"
    objects = [(Role.OBJECT, lot("A")), (Role.MENTION, document)]
    story.tell("ObjectEvent", "OBSERVE", "shipping", "packer", objects, to="shop", documents=[document])
    found = find(story, "PO-17")
    assert (found.thing, found.candidates[0].kind) == (document, "document")


@pytest.mark.parametrize(
    "text", ["", "   ", "nothing", "%", "_", "!", "(01)", "https://", "'; --", "\x00", "é"]
)
def test_a_text_that_means_nothing_has_no_candidates(text: str) -> None:
    assert find(lots(), text) == Resolution(None, (), ())


def test_hidden_things_are_neither_meant_nor_suggested() -> None:
    story = lots()
    for text in ("L-007", "L7", lot("L-007"), "(01)09506000134352(10)L-007"):
        hidden = find(story, text, hidden=story.facts)
        assert hidden == Resolution(None, (), ())
    one = find(story, "L-007", hidden=story.facts[1:])
    assert (one.thing, one.near) == (lot("L-007"), ())


def test_hidden_matches_push_no_visible_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fabric.trace.catalogue._STRETCH", 7)
    story = Story()
    products = [f"https://id.gs1.org/01/{number:013}{_check(number)}" for number in range(1000, 1060)]
    for product in products:
        story.make((f"{product}/10/SAME", 1), at="farm")
    one = find(story, "SAME", hidden=story.facts[:-1])
    assert one.thing == f"{products[-1]}/10/SAME"
    several = find(story, "SAME", hidden=story.facts[::2])
    assert [each.thing for each in several.candidates] == [f"{product}/10/SAME" for product in products[1::2]]
    assert len(find(story, "SAME").candidates) == LIMIT


def _check(number: int) -> int:
    digits = f"{number:013}"
    return -sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits)) % 10


def test_the_product_of_a_thing_is_its_class() -> None:
    assert product_of(serial("S1")) == product_of(lot("A")) == GTIN
    assert product_of(sscc(1)) is None


def test_words_that_pages_print_before_names_may_be_typed() -> None:
    story = Story()
    story.make((lot("NORTH-1027"), 10), at="farm")
    story.make((f"{OTHER}/10/NORTH-1027", 10), at="field")
    story.pack(sscc(1), serial("S1"))
    digits = GTIN.rpartition("/")[2]
    for text in (f"GTIN {digits}, lot NORTH-1027", f"gtin {digits[1:]} batch NORTH-1027"):
        assert find(story, text).thing == lot("NORTH-1027"), text
    for text in ("lot NORTH-1027", "Batch no. NORTH-1027", "Romaine lettuce, bulk bins, lot NORTH-1027"):
        assert len(find(story, text).candidates) == 2, text
    assert find(story, "serial S1").thing == serial("S1")
    assert find(story, f"SSCC {sscc(1).rpartition('/')[2]}").thing == sscc(1)


def test_a_bare_gtin_lists_the_lots_of_its_product() -> None:
    story = lots()
    for text in (GTIN, GTIN.rpartition("/")[2], f"GTIN {GTIN.rpartition('/')[2]}"):
        found = find(story, text)
        assert found.thing is None
        assert [one.thing for one in found.candidates] == [lot("L-007"), lot("l7")]
        assert find(story, text, hidden=story.facts) == Resolution(None, (), ())
    assert [one.thing for one in find(story, GTIN, hidden=story.facts[1:]).candidates] == [lot("L-007")]


def test_the_end_of_a_code_suggests_what_ends_so() -> None:
    story = Story()
    story.make((lot("NORTH-1027"), 10), at="farm")
    story.make((lot("SOUTH-1027"), 10), at="farm")
    story.make((lot("SOUTH-1028"), 10), at="farm")
    found = find(story, "1027")
    assert (found.thing, found.candidates) == (None, ())
    assert [one.thing for one in found.near] == [lot("NORTH-1027"), lot("SOUTH-1027")]
    assert find(story, "1027", hidden=story.facts) == Resolution(None, (), ())


@pytest.mark.parametrize(
    "text", ["N0RTH-1027", "NORTH", "north-10", "NORTH-102", "NORTHH-1027", "NRTH-1027", "lot N0RTH-1027"]
)
def test_what_begins_alike_or_is_one_edit_away_is_suggested(text: str) -> None:
    story = Story()
    story.make((lot("NORTH-1027"), 10), at="farm")
    story.make((lot("SOUTH-1027"), 10), at="farm")
    found = find(story, text)
    assert (found.thing, found.candidates) == (None, ())
    assert [one.thing for one in found.near] == [lot("NORTH-1027")]
    assert find(story, text, hidden=story.facts) == Resolution(None, (), ())
    assert find(story, text, hidden=story.facts[1:]) == found


@pytest.mark.parametrize("text", ["NO", "N0RTH-1028", "%ORTH-1027%", "_____-1027", "ORTH", "!"])
def test_what_is_further_away_is_not_suggested(text: str) -> None:
    story = Story()
    story.make((lot("NORTH-1027"), 10), at="farm")
    assert find(story, text) == Resolution(None, (), ())


def test_a_wrong_check_digit_is_told_where_the_right_one_names_something() -> None:
    story = lots()
    digits = GTIN.rpartition("/")[2]
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    whole = find(story, f"(01){wrong}(10)L-007")
    assert (whole.thing, whole.candidates, whole.corrected) == (None, (), f"(01){digits}(10)L-007")
    assert [one.thing for one in whole.near] == [lot("L-007")]
    bare = find(story, wrong)
    assert (bare.corrected, [one.thing for one in bare.near]) == (digits, [lot("L-007"), lot("l7")])
    for text in (f"(01){wrong}(10)L-007", wrong):
        assert find(story, text, hidden=story.facts) == Resolution(None, (), ())


def test_documents_of_one_number_are_told_apart() -> None:
    story = Story()
    for issuer, buyer, name in (("packer", "shop", "A"), ("farm", "packer", "B")):
        document = f"urn:epcglobal:cbv:bt:{issuer}:ASN-1"
        objects = [(Role.OBJECT, lot(name)), (Role.MENTION, document)]
        story.tell("ObjectEvent", "OBSERVE", "shipping", issuer, objects, to=buyer, documents=[document])
    found = find(story, "ASN-1").candidates
    told = [(one.about.issuer, one.about.things) for one in found if one.about is not None]
    assert sorted(told) == [("farm", (lot("B"),)), ("packer", (lot("A"),))]
    assert all(one.about is not None and one.about.time and one.about.source for one in found)
    assert find(story, "ASN-1", hidden=story.facts) == Resolution(None, (), ())
    only = find(story, "ASN-1", hidden=story.facts[1:])
    assert only.thing == "urn:epcglobal:cbv:bt:packer:ASN-1"


def test_a_copied_iri_is_no_slip_of_the_hand() -> None:
    story = lots()
    assert find(story, lot("L-0077")) == Resolution(None, (), ())
    assert [one.thing for one in find(story, "L-0077").near] == [lot("L-007"), f"{OTHER}/10/L-007"]
