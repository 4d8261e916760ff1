"""Events are the same after a way through XML: generated ones in every member, the published ones but as stated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric.epcis import body_digest, read_document, record_hash
from fabric.epcis.document import MOST_RECORDS, EventRecord, media_type_of
from fabric.epcis.identity import as_sent
from fabric.epcis.query_document import Shown, json_query_document
from fabric.epcis.xml_writer import xml_document, xml_query_document, xml_query_document_parts
from ledger.canonical import canonical
from ledger.commitment import record_commitment
from ledger.errors import InvalidInput, TooLarge

from .documents import EVENTS, GS1, event, raw

CREATED = "2026-05-04T12:00:00.000Z"
SALT = bytes(32)

PREFIXES = {
    "ex": "https://ns.example.com/",
    "ex2": "https://ns.example.com/",
    "y": "urn:example:y:",
    "1x": "https://one.example.com/#",
    "xml": "https://two.example.com/a?b=c&d",
    "json": "https://three.example.com/",
    "ns": "urn:loomark:json:1",
    "a b": "https://four.example.com/",
    "épice": "https://five.example.com/",
    "mda": "urn:epcglobal:cbv:mda",
}
_LEGAL = st.characters(codec="utf-8", exclude_characters="\ufffe\uffff", exclude_categories=["Cc", "Cs"])
TEXT = st.text(_LEGAL | st.sampled_from("\t\n\r &<>\"'"), max_size=8)
LOCAL = st.sampled_from(["a", "b-1", "名前", "1", "a b", "a/b", "x:y", "item", "é", "_"]) | TEXT.filter(
    lambda text: bool(text) and not text.startswith("//")
)
PREFIXED = st.builds(
    "{}:{}".format,
    st.sampled_from([*PREFIXES, "gs1", "cbvmda", "urn:example", "https://e.example.com/p"]),
    LOCAL,
)
INNER = (
    PREFIXED
    | st.sampled_from(["a", "b", "type", "extension", "@id", "@value"])
    | TEXT.filter(lambda text: ":" not in text and not text.startswith("@"))
)
NUMBER = (
    st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2.0**50), 2.0**50, allow_nan=False)
    | st.sampled_from([1e21, -1e300, 5e-324])
)
VALUE = st.recursive(
    TEXT | NUMBER | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INNER, inner, max_size=3),
    max_leaves=6,
)
URI = st.sampled_from(
    ["urn:example:é", "https://example.com/?a=1&b=2'3", "https://id.gs1.org/00/106141412345678908?x=y&z"]
)
PLAIN = TEXT.map(lambda text: text.strip(" \t\r\n"))
EXTENSIONS = st.dictionaries(PREFIXED, VALUE, max_size=3)
REPORT = st.fixed_dictionaries(
    {"type": st.sampled_from(["Temperature", "urn:example:kind"])},
    optional={
        "value": NUMBER,
        "uom": PLAIN,
        "stringValue": TEXT,
        "booleanValue": st.booleans(),
        "hexBinaryValue": st.just("f0F0"),
        "component": st.sampled_from(["x", "urn:example:c"]),
        "exception": st.just("ALARM_CONDITION"),
        "rawData": URI,
        "ex:s": TEXT,
        "y:n": VALUE,
        "ex2:n": VALUE,
        "1x:n": VALUE,
    },
)
SENSOR = st.builds(
    lambda metadata, reports, more: {**metadata, "sensorReport": reports, **more},
    st.fixed_dictionaries(
        {},
        optional={
            "sensorMetadata": st.fixed_dictionaries(
                {}, optional={"time": st.just(CREATED), "bizRules": URI, "ex:m": VALUE}
            )
        },
    ),
    st.lists(REPORT, min_size=1, max_size=2),
    EXTENSIONS,
)
# A double without an exponent, as a decimal of XML Schema is, has up to 64 digits here.
AMOUNT = st.integers(0, 2**53 - 1) | st.floats(1e-30, 2.0**53 - 1) | st.floats(1e21, 1e40)
QUANTITY = st.fixed_dictionaries({"epcClass": URI}, optional={"quantity": AMOUNT})
COMMON = st.fixed_dictionaries(
    {},
    optional={
        "recordTime": st.just(CREATED),
        "eventID": URI,
        "certificationInfo": URI | st.lists(URI, min_size=1, max_size=3),
        "errorDeclaration": st.builds(
            lambda fields, more: {"declarationTime": CREATED, **fields, **more},
            st.fixed_dictionaries(
                {},
                optional={
                    "reason": st.sampled_from(["incorrect_data", "urn:example:r"]),
                    "correctiveEventIDs": st.lists(URI, min_size=1, max_size=3),
                },
            ),
            EXTENSIONS,
        ),
        "bizStep": st.sampled_from(["shipping", "https://example.com/step?a&b"]),
        "readPoint": st.builds(lambda uri, more: {"id": uri, **more}, URI, EXTENSIONS),
        "bizTransactionList": st.lists(
            st.fixed_dictionaries({"bizTransaction": URI}, optional={"type": st.sampled_from(["po", "urn:a:b"])}),
            min_size=1,
            max_size=2,
        ),
        "sourceList": st.lists(
            st.fixed_dictionaries({"type": st.just("location"), "source": URI}), min_size=1, max_size=2
        ),
        "sensorElementList": st.lists(SENSOR, min_size=1, max_size=2),
    },
)  # fmt: skip
OWN: dict[str, Any] = {
    "ObjectEvent": {
        "quantityList": st.lists(QUANTITY, max_size=3, min_size=1),
        "ilmd": EXTENSIONS,
        "persistentDisposition": st.fixed_dictionaries(
            {}, optional={"set": st.just(["damaged", "urn:a:b"]), "unset": st.just(["expired"])}
        ).filter(bool),
    },
    "AggregationEvent": {"childQuantityList": st.lists(QUANTITY, max_size=2, min_size=1)},
    "AssociationEvent": {"childQuantityList": st.lists(QUANTITY, max_size=2, min_size=1)},
    "TransactionEvent": {"parentID": URI, "quantityList": st.lists(QUANTITY, max_size=2, min_size=1)},
    "TransformationEvent": {
        "transformationID": URI,
        "ilmd": EXTENSIONS,
        "outputQuantityList": st.lists(QUANTITY, max_size=2, min_size=1),
    },
}


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An event of any type, with members of its own and extensions wherever they may be."""
    kind = draw(st.sampled_from([*EVENTS]))
    base = event(kind, ilmd=None)
    own = draw(st.fixed_dictionaries({}, optional=OWN[kind]))
    return {**base, **draw(COMMON), **own, **draw(EXTENSIONS)}


def used(value: Any) -> Iterator[str]:
    """Prefixes that names in a value have."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if ":" in name and not name.partition(":")[2].startswith("//"):
                yield name.partition(":")[0]
            yield from used(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from used(inner)


def captured(value: dict[str, Any]) -> EventRecord:
    """The record of an event whose context binds exactly the prefixes that it uses."""
    bound = {prefix: PREFIXES[prefix] for prefix in {*used(value)} if prefix in PREFIXES}
    context = [GS1, bound] if bound else [GS1]
    (record,) = read_document(raw({"@context": context, **value}), "application/ld+json").events
    return record


def shown(record: EventRecord) -> Shown:
    value = {name: inner for name, inner in record.committed.items() if name != "@context"}
    return Shown(value, as_sent(record.committed["@context"]))


@settings(max_examples=40)
@given(events(), st.sampled_from(["", "Always_URN", "Always_Web_URI"]))
def test_an_event_is_the_same_record_after_a_way_through_xml(value: dict[str, Any], cbv: str) -> None:
    first = captured(value)
    written = xml_query_document([shown(first)], created=CREATED, query_name=None, cbv=cbv)
    (again,) = read_document(written, "application/xml").events
    assert canonical(again.committed) == canonical(first.committed)
    assert record_commitment(again.committed, SALT) == record_commitment(first.committed, SALT)
    assert body_digest(again.committed) == body_digest(first.committed)
    assert record_hash(again.committed) == record_hash(first.committed)


@settings(max_examples=15)
@given(st.lists(events(), max_size=2))
def test_events_beside_each_other_are_the_same_in_both_forms(values: list[dict[str, Any]]) -> None:
    records = [captured(value) for value in values]
    rows = [shown(record) for record in records]
    for data, media_type in (
        (json_query_document(rows, created=CREATED, query_name="q"), "application/ld+json"),
        (xml_document(rows, created=CREATED), "application/xml"),
    ):
        if values:
            found = read_document(data, media_type).events
            for one, two in zip(found, records, strict=True):
                assert without_context(one.committed) == without_context(two.committed)
                assert record_hash(one.committed) == record_hash(two.committed)


def without_context(value: dict[str, Any]) -> bytes:
    return canonical({name: inner for name, inner in value.items() if name != "@context"})


WORDS = "words of the vocabularies, whose spelling XML does not keep"
EMPTY = "an empty list, which XML takes for none"
PROTECTED = (
    "cbvmda bound to another namespace than the standard's, which the hash follows and XML has no place for"
)

# JSON documents with an event that is another after JSON -> XML -> JSON: the members, whether the hash, and why.
SPELLED = {
    "event-hash/tests/examples/epcisDocWithSensorComponent.jsonld": ({"sensorElementList"}, WORDS),
    "gs1/JSON/WithFullCombinationOfFields/aggregation_event_all_possible_fields.jsonld": ({"sensorElementList"}, WORDS),
    "gs1/JSON/WithSensorData/SensorDataExample3.jsonld": ({"epcList"}, EMPTY),
    "gs1/JSON/WithSensorData/SensorDataExample4.jsonld": ({"epcList"}, EMPTY),
    "gs1/XML/WithEventHashID/event_with_identical_hash_id_7.json": (
        {
            "bizStep",
            "bizTransactionList",
            "destinationList",
            "disposition",
            "persistentDisposition",
            "sensorElementList",
            "sourceList",
        },
        WORDS,
    ),
    "openepcis/2.0/EPCIS/JSON/Capture/Documents/epcisDocWithSensorComponent.json": ({"sensorElementList"}, WORDS),
    "openepcis/2.0/EPCIS/JSON/Query/CurieString_document.json": ({"sensorElementList"}, WORDS),
}  # fmt: skip
HASHED = {
    "gs1/JSON/WithFullCombinationOfFields/transformation_event_all_possible_fields.jsonld": PROTECTED,
    "openepcis/2.0/EPCIS/JSON/Capture/Documents/TransformationEvent_all_possible_fields.json": PROTECTED,
    "seafood/gdst_certification_invalid_type.jsonld": PROTECTED,
    "seafood/gdst_event_missing_information_provider.jsonld": PROTECTED,
    "seafood/gdst_farm_harvest_event_invalid.jsonld": PROTECTED,
    "seafood/gdst_farm_harvest_missing_aquaculture_method.jsonld": PROTECTED,
    "seafood/gdst_fishing_event_invalid.jsonld": PROTECTED,
    "seafood/gdst_processing_event_invalid.jsonld": PROTECTED,
    "seafood/gdst_vessel_invalid_imo.jsonld": PROTECTED,
}


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> Path:
    return shared_data / "epcis"


@pytest.fixture(scope="module")
def schema(shared_data: Path) -> Any:
    etree = pytest.importorskip("lxml.etree")
    path = shared_data / "epcis" / "gs1" / "XSD" / "EPCglobal-epcis-query-2_0.xsd"
    return etree.XMLSchema(etree.parse(str(path)))


def records_of(corpus: Path, *endings: str) -> Iterator[tuple[str, tuple[EventRecord, ...]]]:
    """Events of the documents of the corpus that are read, by path."""
    for path in sorted(one for ending in endings for one in corpus.rglob(f"*.{ending}")):
        data = path.read_bytes()
        try:
            found = read_document(data, media_type_of(data)).events
        except InvalidInput:
            continue
        if found:
            yield path.relative_to(corpus).as_posix(), found


def through_xml(rows: list[Shown]) -> tuple[EventRecord, ...]:
    return read_document(xml_query_document(rows, created=CREATED, query_name=None), "application/xml").events


def test_published_json_is_the_same_after_a_way_through_xml_but_as_stated(corpus: Path) -> None:
    spelled, hashed, seen = {}, set(), 0
    for name, records in records_of(corpus, "json", "jsonld"):
        for one, two in zip(records, through_xml([shown(one) for one in records]), strict=True):
            seen += 1
            if record_hash(one.committed) != record_hash(two.committed):
                hashed.add(name)
            if without_context(one.committed) != without_context(two.committed):
                members = one.committed.keys() | two.committed.keys() - {"@context"}
                spelled[name] = {
                    member
                    for member in members - {"@context"}
                    if one.committed.get(member) != two.committed.get(member)
                }
    assert spelled == {name: members for name, (members, _) in SPELLED.items()}
    assert hashed == set(HASHED)
    assert seen > 150


def test_published_xml_is_the_same_record_after_a_way_through_json_and_xml(corpus: Path) -> None:
    seen = 0
    for name, records in records_of(corpus, "xml"):
        rows = [shown(one) for one in records]
        as_json = json_query_document(rows, created=CREATED, query_name=None)
        for one, two, three in zip(
            records,
            through_xml(rows),
            read_document(as_json, "application/ld+json").events,
            strict=True,
        ):
            assert canonical(two.committed) == canonical(one.committed), name
            assert canonical(three.committed) == canonical(one.committed), name
            assert record_hash(two.committed) == record_hash(one.committed), name
            seen += 1
    assert seen > 150


def test_every_published_event_is_written_by_the_schema_of_the_standard(corpus: Path, schema: Any) -> None:
    etree = pytest.importorskip("lxml.etree")
    seen = 0
    for name, records in records_of(corpus, "json", "jsonld", "xml"):
        written = xml_query_document([shown(one) for one in records], created=CREATED, query_name=None)
        assert schema.validate(etree.fromstring(written)), (name, str(schema.error_log)[:500])
        seen += len(records)
    assert seen > 300


@settings(max_examples=25)
@given(events())
def test_every_generated_event_is_written_by_the_schema_of_the_standard(
    schema: Any, value: dict[str, Any]
) -> None:
    etree = pytest.importorskip("lxml.etree")
    written = xml_query_document([shown(captured(value))], created=CREATED, query_name=None)
    assert schema.validate(etree.fromstring(written)), str(schema.error_log)[:500]


@pytest.mark.soak
def test_a_hundred_megabytes_are_read_written_and_read_again() -> None:
    """As many events as a capture may have, each with more than a kilobyte; one more is refused at its place."""
    note = "x" * 1_200
    value = event("ObjectEvent", **{"ex:note": note, "ex:n": [1]})
    rows = [
        shown(captured({**value, "eventID": f"urn:example:e:{number}"})) for number in range(MOST_RECORDS - 1)
    ]
    data = b"".join(xml_query_document_parts(rows, created=CREATED, query_name=None))
    assert len(data) > 100_000_000
    found = read_document(data, "application/xml").events
    assert [one.event.event_id for one in found[::10_000]] == [row.event["eventID"] for row in rows[::10_000]]
    assert without_context(found[-1].committed) == canonical(rows[-1].event)
    with pytest.raises(TooLarge) as caught:
        read_document(
            xml_query_document([*rows, rows[0]], created=CREATED, query_name=None), "application/xml"
        )
    assert caught.value.rule == "too-many-records"
