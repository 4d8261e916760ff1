"""Documents that their publishers give in XML and in JSON: each event is the same by body, event hash and graph.

A body counts with its `@context`, and these JSON documents declare more than their events use, or the context under
another address; so bodies are compared under the context of the JSON form of the XML.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis import body_digest, read_document
from fabric.epcis.document import EventRecord, media_type_of
from fabric.epcis.event_hash import record_hash
from fabric.epcis.xml_document import read_xml
from fabric.graph.mapping import About, record_quads
from ledger.canonical import canonical
from ledger.errors import InvalidInput

_HASHED = "event-hash/tests/examples/"
_OPEN = "openepcis/2.0/EPCIS/XML/Capture/Documents/"
_QUERY = "openepcis/2.0/EPCIS/XML/Query/"
_GS1 = "gs1/XML/"

# Pairs whose JSON spells something otherwise; the hash takes both as one, body and graph keep what was written.
SPELLED = {
    f"{_HASHED}ReferenceEventHashAlgorithm2.xml": "eventTime with and without .000",
    f"{_HASHED}ReferenceEventHashAlgorithm3.xml": "eventTime with and without .000",
    f"{_HASHED}epcisDocWithSensorComponent.xml": "eventTime without and with .000; cbv:Comp-… for a component",
    f"{_HASHED}epcisQueryDocument.xml": "eventTime with three and six decimals, in the first event",
    f"{_HASHED}persistentDisposition.xml": "eventTime with and without .000",
    f"{_OPEN}AggregationEvent_with_sensorData.xml": "times without and with .000, or in UTC",
    f"{_OPEN}AssociationEvent.xml": "times with and without .000",
    f"{_OPEN}ObjectEvent.xml": "eventTime with three and six decimals, in the first event",
    f"{_OPEN}ObjectEvent_with_sensorData.xml": "times without and with .000, or in UTC",
    f"{_OPEN}TransactionEvent_all_possible_fields.xml": "sensor times without and with .000",
    f"{_OPEN}TransformationEvent_all_possible_fields.xml": "times without and with .000; cbvmda bound to another namespace",
    f"{_QUERY}CurieString_document.xml": "gs1:ALARM_CONDITION and the bare word",
    f"{_QUERY}JumbledFieldsOrder.xml": "times at their offset and in UTC",
}

# Pairs by name alone: the two files say different things.
DIFFERENT = {
    f"{_GS1}WithErrorDeclaration/ErrorDeclarationAndCorrectiveEvent.xml": "other readPoint; no quantity in XML",
    f"{_GS1}WithFullCombinationOfFields/aggregation_event_all_possible_fields.xml": "no eventID and more in XML",
    f"{_GS1}WithFullCombinationOfFields/association_event_all_possible_fields.xml": "no eventID and more in XML",
    f"{_GS1}WithFullCombinationOfFields/object_event_all_possible_fields.xml": "OBSERVE without ilmd in XML",
    f"{_GS1}WithFullCombinationOfFields/transaction_event_all_possible_fields.xml": "no eventID and more in XML",
    f"{_GS1}WithFullCombinationOfFields/transformation_event_all_possible_fields.xml": "no eventID in XML",
}

# Deliberately invalid, or refused in both forms (docs/spec/xml.md).
REFUSED = {
    f"{_OPEN}epcisDocWithAllGS1Keys.xml": "duplicate-item",
    f"{_QUERY}Invalid/QueryDocument_with_invalid_eventType.xml": "unknown-event-type",
    f"{_QUERY}ObjectEventWithAllPossibleFields.xml": "bad-time",
    f"{_QUERY}Queries/SimpleEventQuery.xml": "unknown-field",
    f"{_QUERY}TransformationEvent_with_error_declaration.xml": "bad-time",
}


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> Path:
    return shared_data / "epcis"


def pairs(corpus: Path) -> dict[str, tuple[bytes, bytes]]:
    """XML and JSON of one name in folders that differ in nothing but XML and JSON."""
    found = {}
    for path in sorted(corpus.rglob("*.xml")):
        folder = Path(str(path.parent.relative_to(corpus)).replace("XML", "JSON"))
        for other in (corpus / folder / f"{path.stem}{end}" for end in (".json", ".jsonld")):
            if other.is_file():
                found[path.relative_to(corpus).as_posix()] = (path.read_bytes(), other.read_bytes())
    return found


def events(data: bytes) -> tuple[EventRecord, ...]:
    return read_document(data, media_type_of(data)).events


def graph(value: dict[str, Any]) -> list[str]:
    """The quads of a record as it is stored."""
    return sorted(
        record_quads(json.loads(canonical(value)), About("urn:example:r", "farm", 7), "urn:example:g")
    )


def test_events_of_a_pair_have_the_same_body_hash_and_graph_but_for_the_stated_exceptions(
    corpus: Path,
) -> None:
    same, spelled, different, refused = 0, set(), set(), {}
    for name, (as_xml, as_json) in pairs(corpus).items():
        try:
            read = events(as_xml)
        except InvalidInput as error:
            refused[name] = error.rule
            continue
        other = events(as_json)
        assert len(read) == len(other), name
        for one, two in zip(read, other, strict=True):
            beside = {**two.committed, "@context": one.committed["@context"]}
            if record_hash(one.committed) != record_hash(two.committed):
                different.add(name)
            elif body_digest(one.committed) != body_digest(beside):
                spelled.add(name)
            else:
                same += 1
                assert graph(one.committed) == graph(two.committed), name
                assert one.event._replace(extensions={}, sensor=()) == two.event._replace(
                    extensions={}, sensor=()
                ), name
    assert different == set(DIFFERENT)
    assert spelled == set(SPELLED)
    assert refused == REFUSED
    assert same >= 24


def test_every_xml_document_and_its_json_form_are_one_by_identity_hash_and_graph(corpus: Path) -> None:
    seen = 0
    for path in sorted(corpus.rglob("*.xml")):
        data = path.read_bytes()
        try:
            read = read_document(data, "application/xml")
        except InvalidInput:
            continue
        form = read_document(json.dumps(read_xml(data).value).encode(), "application/ld+json")
        assert [canonical(one.committed) for one in read.master_data] == [
            canonical(one.committed) for one in form.master_data
        ]
        for one, two in zip(read.events, form.events, strict=True):
            assert body_digest(one.committed) == body_digest(two.committed), path
            assert record_hash(one.committed) == record_hash(two.committed), path
            assert graph(one.committed) == graph(two.committed), path
            seen += 1
        header, other = read.header.committed, form.header.committed
        assert {**header, "source": None} == {**other, "source": None}
    assert seen > 150


_EQUAL = (
    "differentRepresentationsOfAggregationEvent",
    "differentRepresentationsOfObjectEvent",
    "differentRepresentationsOfTransactionEvent",
    "differentRepresentationsOfTransformationEvent",
    "ignoreEmptyEpcList",
    "numberPrecision",
    "timestampPrecision",
    "timestampTimeZone",
    "timestampTimeZone2",
    "timestampTimeZone3",
)
# XML documents of the corpus that are refused: the rule, and why it is right.
OUT = {
    # Results of a query that stand in no EPCISBody.
    "event-hash/tests/examples/epcisXmlQueryDocHavingEventWithIgnoreFields.xml": "unknown-field",
    # The namespace of EPCIS 1 under schemaVersion 2.0, or version 0.
    **dict.fromkeys(
        [f"event-hash/tests/expected_equal/{name}.xml" for name in _EQUAL],
        "schema-version",
    ),
    "seafood/gdst_extensions_03.xml": "schema-version",
    # No documents of events: master data alone, and what a capture interface answers.
    "gs1/XML/CBV/CBV-11.4-2020-06-16a.xml": "unknown-document-type",
    "gs1/XML/Mimasu/Example-masterData.xml": "unknown-document-type",
    "gs1/XML/CaptureJob/Example-CaptureJobRunning.xml": "unknown-document-type",
    "gs1/XML/CaptureJob/Example-CaptureJobSuccess.xml": "unknown-document-type",
    "gs1/XML/CaptureJob/Example-CaptureJobWithErrorFile.xml": "unknown-document-type",
    "gs1/XML/CaptureJob/Example-CaptureJobWithErrors.xml": "unknown-document-type",
    # Sensor reports without a type.
    "gs1/XML/WithSensorData/SensorDataExamples.xml": "missing-field",
    # A GRAI link with a wrong check digit.
    "openepcis/1.2/EPCIS/XML/Capture/Documents/All_eventTypes_in_single_document.xml": "bad-check-digit",
    # Times without seconds.
    "openepcis/1.2/EPCIS/XML/Capture/Documents/TransactionEvent_all_possible_fields.xml": "bad-time",
    # SSCC URNs with too few digits.
    "seafood/gdst_extensions_01.xml": "bad-identifier",
    "seafood/gdst_extensions_02.xml": "bad-identifier",
    # Deliberately invalid.
    "openepcis/2.0/EPCIS/XML/Capture/Invalid/ObjectEvent_with_invalid_action.xml": "bad-action",
    "openepcis/2.0/EPCIS/XML/Capture/Invalid/ObjectEvent_without_eventTime.xml": "missing-field",
    **REFUSED,
}


def test_every_xml_document_is_read_but_for_the_stated_exceptions(corpus: Path) -> None:
    refused, taken, lines = {}, 0, list[int | None]()
    for path in sorted(corpus.rglob("*.xml")):
        try:
            read_document(path.read_bytes(), "text/xml")
            taken += 1
        except InvalidInput as error:
            refused[path.relative_to(corpus).as_posix()] = error.rule
            lines += [one.line for one in error.findings]
    assert all(lines)
    assert refused == OUT
    assert taken > 80
