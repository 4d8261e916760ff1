from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from fabric.report import html as rendering
from fabric.report import verify_report

from .conftest import Demonstration

POLICY = "log example\nquorum none\n"


class Seen(HTMLParser):
    """The text and the attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "style")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_file_needs_nothing_from_anywhere(demo: Demonstration, report: Any) -> None:
    page = rendering.file(verify_report(report, demo.policy), POLICY)
    seen = Seen(page)
    assert not {"script", "link", "img", "iframe", "object"} & set(seen.tags)
    assert all(address.startswith("#") for address in seen.addresses)
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_tells_what_an_auditor_asks(demo: Demonstration, report: Any) -> None:
    verified = verify_report(report, demo.policy)
    text = " ".join(" ".join(Seen(rendering.body(verified, POLICY)).text).split())
    for word in verified.words:
        assert word in text
    for step in verified.as_json()["steps"]:
        assert step["detail"] in text
    for event in report["answer"]["events"]:
        assert event["record"] in text
    for record in verified.records:
        assert f"{record.index}.{record.position}" in text
    names = rendering.names_of(verified)
    for gap in (gap for lot in report["fsma204"] for gap in lot["gaps"]):
        why = " ".join(names.get(word, word) for word in gap["why"].split())
        assert why in text
        assert "://" not in why, "a place is told by its name"
    assert "loomark verify report.json --policy policy.txt" in text
    assert "Coastal Packing" in text


def test_a_gap_is_shown_with_its_section_and_record(demo: Demonstration) -> None:
    spring = next(gap["lot"] for gap in demo.truth["gaps"] if gap["cte"] == "receiving")
    value = demo.report(spring, "backward")
    verified = verify_report(value, demo.policy)
    text = " ".join(Seen(rendering.body(verified, POLICY)).text)
    assert "1.1345(a)(8)" in text
    assert "no business transaction" in text


def test_a_reader_of_a_part_is_given_no_clear_over_the_rest(demo: Demonstration, report: Any) -> None:
    verified = verify_report(report, demo.policy)
    assert "may not see" not in rendering.body(verified, POLICY)
    sections = {"answer": {**verified.answer, "hidden": "1-9"}, "fsma204": []}
    part = replace(verified, report=replace(verified.report, value={**verified.report.value, **sections}))
    page = rendering.body(part, POLICY)
    text = " ".join(" ".join(Seen(page).text).split())
    assert "No gap was found in the records of 0 lots, in the records that this reader may see." in text
    assert text.index("records that this reader may not see") < text.index("What is proved")


def test_units_are_written_as_people_write_them(demo: Demonstration, report: Any) -> None:
    assert any(row["unit"] == "KGM" for row in report["answer"]["quantities"])
    page = rendering.body(verify_report(report, demo.policy), POLICY)
    assert ">kg<" in page
    assert ">KGM<" not in page


def test_hostile_names_stay_text(demo: Demonstration, report: Any) -> None:
    verified = verify_report(report, demo.policy)
    for records in verified.dossier.claims.values():
        for record in records:
            assert record.claim is not None
    iri = next(iter(verified.dossier.claims))
    claim = verified.dossier.claims[iri][-1].claim
    assert claim is not None
    claim.attributes["name"] = "<script>alert(1)</script>"  # type: ignore[index]
    page = rendering.file(verified, POLICY)
    assert "<script>" not in page
    assert re.search(r"&lt;script&gt;alert", page)
