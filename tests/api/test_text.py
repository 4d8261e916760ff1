"""Pages call things by names that people can read aloud, and links lead back to exactly the thing."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from api.pages.text import (
    amount,
    code,
    member,
    member_labels,
    name,
    product_of,
    spaced,
    thing_url,
    trace_url,
    unit,
    when,
    words,
)

PRODUCT = "https://id.gs1.org/01/09506000134352"
LOT = f"{PRODUCT}/10/AB%2F1"


@pytest.mark.parametrize(
    ("iri", "expected"),
    [
        (LOT, "GTIN 09506000134352, lot AB/1"),
        ("https://id.gs1.org/00/106141411234567897", "SSCC 106141411234567897"),
        ("https://id.gs1.org/414/9506000134352/254/dock-2", "GLN 9506000134352, extension dock-2"),
        ("urn:loomark:thing:farm:lot:7", "urn:loomark:thing:farm:lot:7"),
        ("urn:epcglobal:cbv:bt:9506000134352:PO%207", "PO 7"),
        ("https://ref.gs1.org/cbv/BTT-po", "BTT-po"),
        (None, ""),
    ],
)
def test_a_thing_is_called_by_its_key(iri: str | None, expected: str) -> None:
    assert name(iri, {}) == expected


def test_a_label_of_the_class_stands_before_the_lot() -> None:
    assert name(LOT, {PRODUCT: "Romaine hearts"}) == "Romaine hearts, lot AB/1"


def test_a_label_of_its_own_goes_before_everything() -> None:
    assert name(LOT, {PRODUCT: "Romaine hearts", LOT: "The bad one"}) == "The bad one"


def test_what_tells_a_lot_from_others_is_its_code() -> None:
    assert code(LOT) == "lot AB/1"
    assert code(f"{PRODUCT}/10/7/21/9") == "lot 7, serial 9"
    assert code("https://id.gs1.org/00/106141411234567897") == "SSCC 106141411234567897"
    assert product_of(LOT) == PRODUCT
    assert product_of(PRODUCT) is None
    assert product_of("urn:x:y") is None


def test_a_member_has_the_name_it_was_admitted_under() -> None:
    labels = member_labels({"farm": "Green Valley Farm"})
    assert member("farm", labels) == "Green Valley Farm"
    assert member("unknown", labels) == "unknown"
    assert member(None, labels) == ""
    assert name("farm", labels) == "farm"


def test_times_and_words_are_plain() -> None:
    assert when("2026-03-04T05:06:07.123Z") == "2026-03-04 05:06 UTC"
    assert when(None) == ""
    assert words("https://ref.gs1.org/cbv/BizStep-in_transit") == "in transit"
    assert words("use-before-receipt") == "use before receipt"
    assert spaced("streetAddressOne") == "street address one"


def test_an_unknown_amount_is_never_zero_or_empty() -> None:
    assert amount(None, "KGM") == "amount not stated"
    assert amount("12.5", "KGM") == "12.5 kg"
    assert amount("3", None) == "3 items"
    assert unit("XYZ") == "XYZ"


def test_a_link_to_a_thing_is_one_segment_that_decodes_to_it() -> None:
    path = thing_url(LOT)
    assert path.count("/") == 2
    assert unquote(path.removeprefix("/things/")) == LOT
    assert trace_url("urn:x?a&b#c", "both") == "/trace?thing=urn%3Ax%3Fa%26b%23c&direction=both"
