"""The committed form of every record, to the letter of the design."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from fabric.epcis import PACKAGED, Kind, Reading, body_digest, read_document
from ledger.canonical import canonical
from ledger.errors import InvalidInput

from .documents import GS1, GS1_DIGEST, document, event, raw

LOCATION = "urn:epcglobal:epcis:vtype:Location"
ELEMENT = {
    "id": "urn:epc:id:sgln:9506000.00001.0",
    "attributes": [{"id": "urn:epcglobal:cbv:mda#name", "attribute": "Field 7"}],
}
MASTER = {
    "epcisMasterData": {"vocabularyList": [{"type": LOCATION, "vocabularyElementList": [ELEMENT, ELEMENT]}]}
}
CONTEXT = [{"url": GS1, "sha256": GS1_DIGEST}, {"ex": "https://ns.example.com/"}]


def test_an_event_commits_to_itself_and_the_effective_context() -> None:
    sent = event() | {"@context": {"own": "https://own.example/"}, "own:note": 1}
    read = read_document(raw(document(sent)), "application/json")
    assert read.events[0].committed == {**sent, "@context": [*CONTEXT, {"own": "https://own.example/"}]}


def test_an_address_without_a_listed_digest_commits_to_null() -> None:
    url = "https://contexts.example/unknown.jsonld"
    read = read_document(raw(document(event(), **{"@context": [GS1, url]})), "application/json")
    assert read.events[0].committed["@context"] == [
        {"url": GS1, "sha256": GS1_DIGEST},
        {"url": url, "sha256": None},
    ]
    assert read.unresolved == (url,)


def test_the_header_record_is_the_document_without_its_records() -> None:
    whole = document(event(), epcisHeader={**MASTER, "ex:note": 1}, sender="packer", **{"ex:run": 7})
    data = raw(whole)
    read = read_document(data, "application/LD+json; charset=utf-8")
    assert read.header.committed == {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "document": {
            "schemaVersion": "2.0",
            "creationDate": "2026-05-04T12:00:00Z",
            "epcisBody": {},
            "epcisHeader": {"epcisMasterData": {"vocabularyList": [{"type": LOCATION}]}, "ex:note": 1},
            "sender": "packer",
            "ex:run": 7,
        },
        "source": {"sha256": hashlib.sha256(data).hexdigest(), "mediaType": "application/ld+json"},
        "rule": "loomark/things/v1",
    }


def test_the_header_record_of_a_bare_event_has_no_type_and_an_empty_document() -> None:
    data = raw({**event(ilmd=None), "@context": GS1})
    read = read_document(data, "application/json")
    assert read.header.committed == {
        "@context": CONTEXT[:1],
        "type": None,
        "document": {},
        "source": {"sha256": hashlib.sha256(data).hexdigest(), "mediaType": "application/json"},
        "rule": "loomark/things/v1",
    }
    assert [record.position for record in read.records] == [0, 1]
    assert read.events[0].pointer == ""


def test_master_data_come_before_events_and_are_committed_as_submitted() -> None:
    read = read_document(raw(document(event(), event(), epcisHeader=MASTER)), "application/json")
    assert [record.position for record in read.records] == [0, 1, 2, 3, 4]
    assert read.master_data[0].committed == {"@context": CONTEXT, "type": LOCATION, "element": ELEMENT}
    assert read.master_data[1].pointer == (
        "/epcisHeader/epcisMasterData/vocabularyList/0/vocabularyElementList/1"
    )
    assert read.master_data[0].thing.iri == "https://id.gs1.org/414/9506000000015"
    assert read.master_data[0].thing.kind is Kind.PLACE
    assert read.events[0].pointer == "/epcisBody/eventList/0"


def test_master_data_alone_are_a_capture() -> None:
    read = read_document(raw(document(epcisHeader=MASTER)), "application/json")
    assert (len(read.master_data), len(read.events)) == (2, 0)


@pytest.mark.parametrize(
    ("element", "pointer", "rule"),
    [
        ({}, "", "missing-field"),
        ({"id": "x"}, "/id", "not-a-uri"),
        ({"id": "https://id.gs1.org/414/0614141073468"}, "/id", "bad-check-digit"),
        ({**ELEMENT, "children": ["x"]}, "/children/0", "not-a-uri"),
        ({**ELEMENT, "attributes": {}}, "/attributes", "wrong-type"),
        ({**ELEMENT, "attributes": [{}]}, "/attributes/0", "missing-field"),
        ({**ELEMENT, "attributes": [{"id": "name"}]}, "/attributes/0/id", "not-a-uri"),
        ({**ELEMENT, "attributes": [{"id": "urn:a:b", "value": 1}]}, "/attributes/0/value", "unknown-field"),
        ({**ELEMENT, "name": "x"}, "/name", "unknown-field"),
    ],
)
def test_a_broken_element_is_named_by_record_and_pointer(element: Any, pointer: str, rule: str) -> None:
    header = {
        "epcisMasterData": {
            "vocabularyList": [{"type": LOCATION, "vocabularyElementList": [ELEMENT, element]}]
        }
    }
    with pytest.raises(InvalidInput) as caught:
        read_document(raw(document(event(), epcisHeader=header)), "application/json")
    (finding,) = caught.value.findings
    base = "/epcisHeader/epcisMasterData/vocabularyList/0/vocabularyElementList/1"
    assert (finding.record, finding.pointer, finding.rule) == (2, base + pointer, rule)


def test_a_signed_captures_digests_are_committed_and_a_difference_is_told() -> None:
    sent = {GS1: "00" * 32}
    read = read_document(raw(document(event())), "application/json", Reading(sent_digests=sent))
    assert read.events[0].committed["@context"][0] == {"url": GS1, "sha256": "00" * 32}
    assert [(finding.rule, finding.expected) for finding in read.warnings] == [
        ("context-digest", f"{GS1_DIGEST} for {GS1}")
    ]


def test_equal_digests_of_a_signed_capture_need_no_word() -> None:
    read = read_document(raw(document(event())), "application/json", Reading(sent_digests={GS1: GS1_DIGEST}))
    assert read.warnings == ()


def test_what_is_committed_is_what_was_sent_whatever_the_spelling() -> None:
    sent = event(epcList=["https://any.example/gtin/9506000134352/ser/1?x=1"], bizStep="cbv:BizStep-shipping")
    read = read_document(raw(document(sent)), "application/json")
    returned = {name: value for name, value in read.events[0].committed.items() if name != "@context"}
    assert canonical(returned) == canonical(sent)


def digest(sent: dict[str, Any], **changes: Any) -> bytes:
    return body_digest(read_document(raw(document(sent, **changes)), "application/json").events[0].committed)


def test_equal_bodies_differ_in_record_time_and_spelling_of_json_only() -> None:
    once = digest(event())
    assert once == digest(event(recordTime="2026-06-01T00:00:00Z"))
    assert once == digest(json.loads(json.dumps(event(), indent=3, sort_keys=True)))
    assert once != digest(event(bizStep="receiving"))
    assert once != digest(event(), **{"@context": [GS1, {"ex": "https://other.example/"}]})
    assert once != digest(event(eventID="urn:example:1"))


def test_a_body_is_the_same_whatever_digest_is_listed_for_its_context() -> None:
    url = "https://contexts.example/own.jsonld"
    data = raw(document(event(ilmd=None), **{"@context": [GS1, url]}))
    before = read_document(data, "application/json")
    table = PACKAGED.with_added(url, "11" * 32, b'{"@context": {"own": "https://own.example/"}}')
    after = read_document(data, "application/json", Reading(contexts=table))
    assert before.unresolved == (url,)
    assert after.unresolved == ()
    assert before.events[0].committed != after.events[0].committed
    assert body_digest(before.events[0].committed) == body_digest(after.events[0].committed)
