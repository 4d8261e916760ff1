"""EPCIS XML through the door: the same records as in JSON, the bytes back, and hostile XML leaves nothing behind."""

from __future__ import annotations

import base64
import hashlib
import json
from itertools import chain, count, repeat
from typing import Any
from urllib.parse import quote

import pytest

from fabric.epcis.xml_document import CONTEXT, read_xml
from ledger.submission import MEDIA_TYPE as SUBMISSION
from tests.fabric.epcis.xml_documents import EVENT, around, with_inside

from .door import CAPTURE_LIMIT_BYTES, CAPTURE_LIMIT_EVENTS, Door

XML = "application/xml"
AT = "/EPCISDocument/EPCISBody/EventList/ObjectEvent"
EX = 'xmlns:ex="https://example.com/ns/"'
_numbers = count(1)


def fresh() -> str:
    """An event that no other test has captured."""
    number = next(_numbers)
    return EVENT.replace("013435.1<", f"013435.{number}0001<").replace("013435.2<", f"013435.{number}0002<")


def header_of(door: Door, job: dict[str, Any], member: str = "farm") -> dict[str, Any]:
    """The header record of a job."""
    name = job["records"][0]["record"]
    record: dict[str, Any] = door.get(f"/api/records/{name}", member).json()["value"]
    return record


@pytest.mark.parametrize("kind", ["application/xml", "text/xml", "Application/XML; charset=UTF-8"])
def test_an_xml_document_is_captured_and_its_bytes_are_given_back(door: Door, kind: str) -> None:
    data = around(fresh() + "\n" + fresh())
    job = door.captured(data, kind=kind)
    assert len(job["records"]) == 3
    plain = kind.partition(";")[0].lower()
    source = {"sha256": hashlib.sha256(data).hexdigest(), "mediaType": plain}
    assert header_of(door, job)["source"] == source
    document = door.get(f"/epcis/capture/{job['captureID']}/document")
    assert (document.content, document.headers["content-type"].partition(";")[0]) == (data, plain)


def test_an_event_posted_as_xml_and_as_json_is_one_record(door: Door) -> None:
    data = around(with_inside(f"<ex:note {EX}>said once</ex:note>", fresh()))
    as_json = json.dumps(read_xml(data).value).encode()
    first = door.captured(data, kind=XML)
    before = door.sim.counts()["record"]
    answer = door.post(as_json)
    job = door.get(answer.headers["location"], prefer="wait=20").json()
    assert job["state"] == "duplicate"
    name = first["records"][1]["record"]
    assert job["duplicates"] == [{"record": 1, "duplicateOf": f"urn:loomark:record:{name}"}]
    assert door.sim.counts()["record"] == before


@pytest.mark.parametrize("accept", [XML, "application/ld+json"])
def test_what_a_query_answers_is_the_captured_record_in_either_form(door: Door, accept: str) -> None:
    """Captured again, the answer is told to be a duplicate: it has the body of the record it came from."""
    number = next(_numbers)
    name = f"urn:example:event:{number}"
    value = {
        "@context": [CONTEXT, {"ex": "https://example.com/ns/"}],
        "type": "ObjectEvent",
        "eventID": name,
        "eventTime": "2026-05-04T10:11:12.345+02:00",
        "eventTimeZoneOffset": "+02:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "epcList": [f"urn:epc:id:sgtin:9506000.013435.{number}0009"],
        "certificationInfo": ["urn:example:a", "urn:example:b"],
        "quantityList": [{"epcClass": "urn:example:c", "quantity": 1e-7, "uom": "KGM"}],
        "ilmd": {"ex:n": 7, "ex:list": [True], "ex:deep": {"@id": "urn:a:b", "a b": None}},
    }
    first = door.captured(json.dumps(value).encode())
    path = f"/epcis/events/{quote(name, safe='')}"
    answer = door.get(path, accept=accept, gs1_epc_format="Never_Translates")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, accept)
    before = door.sim.counts()["record"]
    again = door.post(answer.content, kind=accept)
    job = door.get(again.headers["location"], prefer="wait=20").json()
    record = first["records"][1]["record"]
    assert job["duplicates"] == [{"record": 1, "duplicateOf": f"urn:loomark:record:{record}"}]
    assert door.sim.counts()["record"] == before


def test_an_event_that_xml_has_no_form_for_is_told_by_its_place_and_given_in_json(door: Door) -> None:
    number = next(_numbers)
    value = read_xml(around(fresh())).value["epcisBody"]["eventList"][0]
    context = {"@context": [CONTEXT, {"ex": "https://example.com/ns/"}]}
    name = f"urn:example:event:{number}"
    door.captured(json.dumps({**context, **value, "eventID": name, "ex:a": ["\x01"]}).encode())
    path = f"/epcis/events/{quote(name, safe='')}"
    with door.unchanged():
        found = door.finding(door.get(path, accept=f"{XML}, application/problem+json"), "no-xml-form", 406)
    assert found["pointer"] == "/epcisBody/queryResults/resultsBody/eventList/0/ex:a/0"
    assert found["got"] == "U+0001"
    assert door.get(path).status_code == 200


def test_the_same_xml_again_is_answered_by_its_first_job(door: Door) -> None:
    data = around(fresh())
    first = door.captured(data, kind=XML)
    with door.unchanged():
        again = door.post(data, kind="text/xml")
        assert again.json()["captureID"] == first["captureID"]


def test_a_single_xml_event_is_captured(door: Door) -> None:
    answer = door.post(fresh().encode(), kind=XML, path="/epcis/events")
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json"), answer.text
    assert answer.json()["type"] == "ObjectEvent"
    assert door.get(answer.headers["loomark-receipt"]).status_code == 200


def test_the_proof_of_an_xml_event_is_of_its_json_form(door: Door) -> None:
    data = around(fresh())
    job = door.captured(data, kind=XML)
    name = job["records"][1]["record"]
    record = door.get(f"/api/records/{name}").json()["value"]
    form = read_xml(data).value["epcisBody"]["eventList"][0]
    assert {key: value for key, value in record.items() if key != "@context"} == form
    door.sim.verify(door.get(f"/api/records/{name}/proof").content)


def test_a_signed_capture_may_be_around_xml(door: Door) -> None:
    data = around(fresh())
    job = door.captured(door.sim.submission("packer", [], document=data), "packer", SUBMISSION)
    assert (job["custody"], len(job["records"])) == ("member", 2)
    source = header_of(door, job, "packer")["source"]
    assert source == {"sha256": hashlib.sha256(data).hexdigest(), "mediaType": XML}
    document = door.get(f"/epcis/capture/{job['captureID']}/document", "packer")
    assert (document.content, document.headers["content-type"].partition(";")[0]) == (data, XML)


def test_a_signed_capture_around_other_xml_is_refused(door: Door) -> None:
    body = json.loads(door.sim.submission("packer", [], document=around(fresh())))
    body["document"] = base64.b64encode(around(fresh())).decode()
    with door.unchanged():
        door.refused(door.post(body, "packer", SUBMISSION), 400, "capture-commitment")
        body["document"] = base64.b64encode(around(fresh().replace("ADD", "PUT"))).decode()
        found = door.finding(door.post(body, "packer", SUBMISSION), "bad-action")
        assert (found["pointer"], found["line"]) == (f"{AT}[1]/action", 5)


def test_a_conflict_with_an_earlier_record_names_the_path(door: Door) -> None:
    named = fresh().replace("<epcList>", "<eventID>urn:example:conflict</eventID><epcList>")
    door.captured(around(named), kind=XML)
    with door.unchanged():
        answer = door.post(
            around(fresh() + named.replace("+02:00</eventTime>", "+03:00</eventTime>")), kind=XML
        )
        found = door.finding(answer, "event-id-conflict", 409)
        assert (found["record"], found["pointer"]) == (2, f"{AT}[2]/eventID")


def test_every_fault_of_a_document_is_told_by_record_path_and_line(door: Door) -> None:
    texts = [fresh().replace("ADD", "PUT").replace("<id>urn:epc", "<id>no name") for _ in range(3)]
    with door.unchanged():
        body = door.refused(door.post(around("\n".join(texts)), kind=XML), 400, "bad-action")
    found = [(one["record"], one["pointer"].removeprefix(AT), one["line"]) for one in body["findings"]]
    expected = [(n, f"[{n}]{path}", 8 * n - 8 + line) for n in (1, 2, 3) for path, line in (("/action", 5), ("/readPoint/id", 7))]  # fmt: skip
    assert found == expected
    assert "(line 5)" in body["detail"]


def laughs(kind: str) -> bytes:
    """A document whose entities would grow beyond all bounds, in width or in depth."""
    if kind == "quadratic":
        entities = f'<!ENTITY a "{"x" * 20_000}">'
        used = "&a;" * 10_000
    else:
        entities = '<!ENTITY a0 "lol">' + "".join(
            [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30)]
        )
        used = "&a29;"
    return around(EVENT.replace("ADD", used), prolog=f"<!DOCTYPE a [{entities}]>")


ATTRIBUTES = " ".join([f"a{n}=''" for n in range(20_000)])
NAMESPACES = " ".join([f"xmlns:n{n}='urn:{n}'" for n in range(8_000)])
HOSTILE = {
    "billion laughs": (laughs("billion"), "dtd"),
    "quadratic blow-up": (laughs("quadratic"), "dtd"),
    "laughs in UTF-16": (laughs("billion").decode().encode("utf-16"), "dtd"),
    "laughs behind comments": (b"<!-- " + b"x" * 100_000 + b" -->" + laughs("billion"), "dtd"),
    "external entity": (around(EVENT.replace("ADD", "&x;"), prolog="<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"), "dtd"),
    "entity of another host": (around(EVENT.replace("ADD", "&x;"), prolog="<!DOCTYPE a [<!ENTITY x SYSTEM 'http://127.0.0.1:1/'>]>"), "dtd"),
    "parameter entity": (around(EVENT, prolog="<!DOCTYPE a [<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;]>"), "dtd"),
    "external subset": (around(EVENT, prolog="<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/a.dtd'>"), "dtd"),
    "public identifier": (around(EVENT, prolog="<!DOCTYPE a PUBLIC '-//X//Y' 'http://127.0.0.1:1/a.dtd'>"), "dtd"),
    "attribute default": (around(EVENT, prolog="<!DOCTYPE a [<!ATTLIST action x CDATA 'y'>]>"), "dtd"),
    "undefined entity": (around(EVENT.replace("ADD", "&nbsp;")), "not-xml"),
    "undefined entity with a doctype": (around(EVENT.replace("ADD", "&nbsp;"), prolog="<!DOCTYPE a>"), "not-xml"),
    "invalid UTF-8": (around(EVENT).replace(b"ADD", b"AD\xff"), "not-utf8"),
    "overlong UTF-8": (around(EVENT).replace(b"ADD", b"AD\xc0\xbc"), "not-utf8"),
    "surrogate": (around(EVENT.replace("ADD", "&#xD800;")), "not-xml"),
    "null": (around(EVENT).replace(b"ADD", b"A\x00"), "not-xml"),
    "odd UTF-16": (around(EVENT).decode().encode("utf-16") + b"a", "encoding"),
    "lying declaration": (around(EVENT, prolog='<?xml version="1.0" encoding="utf-16"?>'), "encoding"),
    "UTF-7": (around(EVENT, prolog='<?xml version="1.0" encoding="utf-7"?>'), "encoding"),
    "XML 1.1": (around(EVENT, prolog='<?xml version="1.1"?>'), "xml-version"),
    "wrong namespace": (around(EVENT).replace(b"epcis:xsd:2", b"epcis:xsd:9"), "wrong-namespace"),
    "no namespace": (b"<EPCISDocument/>", "wrong-namespace"),
    "query namespace": (around(EVENT).replace(b"epcis:xsd:2", b"epcis-query:xsd:2"), "wrong-namespace"),
    "event of a foreign namespace": (around(f'<x:a xmlns:x="urn:x:y">{EVENT}</x:a>'), "wrong-namespace"),
    "mixed versions": (around(EVENT).replace(b'="2.0"', b'="1.2"'), "schema-version"),
    "mixed versions, the other way": (around(EVENT, version="1.2").replace(b'="1.2"', b'="2.0"'), "schema-version"),
    "comment in a value": (around(EVENT.replace("ADD", "A<!-- x -->DD")), "cut-value"),
    "instruction in a value": (around(EVENT.replace("ADD", "A<?x y?>DD")), "cut-value"),
    "two roots": (around(EVENT) * 2, "not-xml"),
    "cut": (around(EVENT)[:-20], "not-xml"),
    "unknown element": (around(EVENT.replace("<action>", "<mood>good</mood><action>")), "unknown-field"),
    "element of JSON's": (around("<a/>").replace(b"EventList>", b"eventList>"), "unknown-field"),
    "twice": (around(EVENT.replace("<action>", "<action>ADD</action><action>")), "duplicate-member"),
    "missing required": (around(EVENT.replace("<action>ADD</action>", "")), "missing-field"),
    "huge attribute": (around(EVENT.replace("<action>", f'<action a="{"x" * 200_000}">')), "unknown-attribute"),
    "many attributes": (around(EVENT.replace("<action>", f"<action {ATTRIBUTES}>")), "unknown-attribute"),
    "many namespaces": (around(with_inside(f"<a {NAMESPACES}/>")), "unknown-field"),
    "long name": (around(with_inside(f"<{'a' * 200_000}/>")), "unknown-field"),
    "JSON": (b'{"type": "EPCISDocument"}', "not-xml"),
    "nothing": (b"", "not-xml"),
    "HTML": (b"<!DOCTYPE html><html><body>not here</body></html>", "unknown-document-type"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_xml_is_refused_by_its_rule_and_leaves_nothing(door: Door, name: str) -> None:
    data, rule = HOSTILE[name]
    assert len(data) < CAPTURE_LIMIT_BYTES
    with door.unchanged():
        found = door.finding(door.post(data, kind=XML), rule)
        assert found["line"] >= 1
        assert len(json.dumps(found)) < 1_500


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"<ex:a {EX}>{'<a>' * 100}{'</a>' * 100}</ex:a>", "too-deep"),
        (f"<ex:a {EX}>{'<a>' * 30_000}", "too-deep"),
        (f"<ex:a {EX}>{'<a/><a>' * 28}{'</a>' * 28}</ex:a>", "too-deep"),
    ],
)
def test_xml_that_is_too_deep_is_refused(door: Door, text: str, rule: str) -> None:
    with door.unchanged():
        found = door.finding(door.post(around(with_inside(text, fresh())), kind=XML), rule, 413)
        assert (found["record"], found["pointer"][: len(AT) + 3]) == (1, f"{AT}[1]")


def test_more_xml_events_than_a_capture_may_have_are_refused(door: Door) -> None:
    texts = [fresh() for _ in range(CAPTURE_LIMIT_EVENTS + 1)]
    with door.unchanged():
        found = door.finding(door.post(around("".join(texts)), kind=XML), "too-many-events", 413)
        assert found["pointer"] == f"{AT}[{CAPTURE_LIMIT_EVENTS + 1}]"


def test_xml_over_the_limit_of_bytes_is_refused_unread(door: Door) -> None:
    with door.unchanged():
        door.refused(door.post(b"<" * (CAPTURE_LIMIT_BYTES + 1), kind=XML), 413, "body-too-large")


def test_a_hundred_megabytes_of_xml_are_refused_and_the_next_document_is_taken(door: Door) -> None:
    before, _, after = around("|").partition(b"|")
    # One event over and over, with a note so long that their number is not what is too much.
    one = with_inside(f"<ex:note {EX}>{'x' * 16_000}</ex:note>", fresh()).encode()
    parts = chain([before], repeat(one, 100_000_000 // len(one)), [after])
    with door.unchanged():
        headers = door.headers("farm", content_type=XML)
        door.refused(door.http.post("/epcis/capture", content=parts, headers=headers), 413, "body-too-large")
    assert len(door.captured(around(fresh()), kind=XML)["records"]) == 2


@pytest.mark.parametrize("kind", ["application/xml; charset=iso-8859-1", "application/soap+xml"])
def test_xml_under_another_content_type_is_refused(door: Door, kind: str) -> None:
    with door.unchanged():
        door.refused(door.post(around(fresh()), kind=kind), 415, "unsupported-media-type")


def test_json_sent_as_xml_and_xml_sent_as_json_are_refused(door: Door) -> None:
    with door.unchanged():
        door.refused(door.post(around(fresh()), kind="application/json"), 400, "not-json")
        door.refused(
            door.post(json.dumps(read_xml(around(fresh())).value).encode(), kind=XML), 400, "not-xml"
        )


def test_a_doctype_that_declares_nothing_is_told_in_the_job(door: Door) -> None:
    job = door.captured(around(fresh(), prolog="<!DOCTYPE project>\n"), kind=XML)
    assert [(one["rule"], one["line"]) for one in job["warnings"]] == [("doctype", 1)]
