"""Pages call things by names that people can read aloud, and links lead back to exactly the thing."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from api.pages.text import name, thing_url, when, words

LOT = "https://id.gs1.org/01/09506000134352/10/AB%2F1"


@pytest.mark.parametrize(
    ("iri", "expected"),
    [
        (LOT, "GTIN 09506000134352, lot AB/1"),
        ("https://id.gs1.org/00/106141411234567897", "SSCC 106141411234567897"),
        ("https://id.gs1.org/414/9506000134352/254/dock-2", "GLN 9506000134352, extension dock-2"),
        ("urn:loomark:thing:farm:lot:7", "urn:loomark:thing:farm:lot:7"),
        (None, ""),
    ],
)
def test_a_thing_is_called_by_its_key(iri: str | None, expected: str) -> None:
    assert name(iri, {}) == expected


def test_a_label_of_the_class_stands_before_the_lot() -> None:
    assert name(LOT, {"https://id.gs1.org/01/09506000134352": "Romaine hearts"}) == "Romaine hearts, lot AB/1"


def test_times_and_words_are_plain() -> None:
    assert when("2026-03-04T05:06:07.123Z") == "2026-03-04 05:06 UTC"
    assert words("https://ref.gs1.org/cbv/BizStep-in_transit") == "BizStep in transit"
    assert words("use-before-receipt") == "use before receipt"


def test_a_link_to_a_thing_is_one_segment_that_decodes_to_it() -> None:
    path = thing_url(LOT)
    assert path.count("/") == 2
    assert unquote(path.removeprefix("/things/")) == LOT
