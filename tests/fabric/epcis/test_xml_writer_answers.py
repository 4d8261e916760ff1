"""Jobs, problems and collections in XML: as the standard's schema has them, what is ours after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from fabric.epcis.xml_writer_answers import (
    EPCIS,
    OWN,
    xml_capture_job,
    xml_collection,
    xml_problem,
)

PROBLEM: dict[str, Any] = {
    "findings": [
        {"record": 1, "pointer": "/a/0", "rule": "bad-time", "expected": "a <time>", "got": "\x00&"}
    ],
    "rule": "bad-time",
    "detail": "/a/0: expected a <time>, got \x00&",
    "status": 400,
    "title": "Bad time",
    "type": "epcisException:ValidationException",
}
JOB: dict[str, Any] = {
    "captureID": 'a"b',
    "createdAt": "2026-05-04T12:00:00.000Z",
    "running": False,
    "success": True,
    "captureErrorBehaviour": "rollback",
    "errors": [],
    "index": None,
    "state": "sequenced",
    "records": [{"record": "00ff", "position": 1, "eventID": None}, {"record": "01ff", "position": 2}],
}


@pytest.fixture(scope="module")
def schema(shared_data: Path) -> Any:
    etree = pytest.importorskip("lxml.etree")
    path = shared_data / "epcis" / "gs1" / "XSD" / "EPCglobal-epcis-2_0.xsd"
    return etree.XMLSchema(etree.parse(str(path)))


def assert_valid(schema: Any, data: bytes) -> None:
    etree = pytest.importorskip("lxml.etree")
    schema.assertValid(etree.fromstring(data))


def texts(root: Element) -> list[tuple[str, str | None]]:
    return [(child.tag, child.text) for child in root]


def test_a_problem_is_the_exception_of_the_schema_with_our_members_after_it(schema: Any) -> None:
    data = xml_problem(PROBLEM)
    assert_valid(schema, data)
    root = fromstring(data)
    assert root.tag == f"{{{EPCIS}}}EPCISException"
    assert texts(root)[:4] == [
        ("type", "epcisException:ValidationException"),
        ("title", "Bad time"),
        ("status", "400"),
        ("detail", "/a/0: expected a <time>, got \ufffd&"),
    ]
    (finding,) = root.findall(f"{{{OWN}}}findings")
    assert texts(finding)[-2:] == [("expected", "a <time>"), ("got", "\ufffd&")]
    assert root.findtext(f"{{{OWN}}}rule") == "bad-time"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"running": True},
        {"success": False, "finishedAt": "2026-05-04T12:00:01.000Z", "errors": [PROBLEM, PROBLEM]},
        {"success": False, "errorFile": "https://example.com/a?b&c"},
    ],
)
def test_a_job_is_that_of_the_schema(schema: Any, changes: dict[str, Any]) -> None:
    job = {**JOB, **changes}
    data = xml_capture_job(job)
    assert_valid(schema, data)
    root = fromstring(data)
    assert root.attrib == {
        "captureID": 'a"b',
        "running": str(job["running"]).lower(),
        "success": str(job["success"]).lower(),
    }
    assert root.findtext("captureErrorBehaviour") == "rollback"
    assert [one.findtext("status") for one in root.findall("errors/error")] == ["400"] * len(job["errors"])
    assert [one.findtext("record") for one in root.findall(f"{{{OWN}}}records")] == ["00ff", "01ff"]
    assert root.find(f"{{{OWN}}}index") is None


def test_a_collection_has_a_member_for_each_name() -> None:
    root = fromstring(xml_collection(["shipping", "https://example.com/?a&b", "\x01"]))
    assert root.tag == f"{{{EPCIS}}}Collection"
    assert texts(root) == [
        ("member", "shipping"),
        ("member", "https://example.com/?a&b"),
        ("member", "\ufffd"),
    ]


def test_a_member_whose_name_xml_has_not_is_named_by_an_attribute() -> None:
    root = fromstring(xml_problem({"title": "a", "a b": {"1": True}}))
    (member,) = root.findall(f"{{{OWN}}}member")
    assert (member.get("name"), member[0].get("name"), member[0].text) == ("a b", "1", "true")


def test_the_examples_of_the_standard_have_the_elements_that_are_written(
    shared_data: Path, schema: Any
) -> None:
    etree = pytest.importorskip("lxml.etree")
    seen = 0
    for path in sorted((shared_data / "epcis" / "gs1" / "XML" / "CaptureJob").glob("*.xml")):
        theirs = etree.parse(str(path)).getroot()
        ours = etree.fromstring(xml_capture_job({**JOB, "errors": [PROBLEM]}))
        assert ours.tag == theirs.tag
        assert set(ours.attrib) == set(theirs.attrib)
        order = ["captureErrorBehaviour", "createdAt", "finishedAt", "errors", "errorFile"]
        assert [one.tag for one in theirs] == [tag for tag in order if theirs.find(tag) is not None]
        seen += 1
    assert seen == 4
