"""A record as RDF: every field of the standard, names, lots, extensions, and what has no meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyoxigraph import Literal, NamedNode, RdfFormat, parse

from fabric.epcis.contexts import PACKAGED
from fabric.epcis.document import read_document
from fabric.epcis.event import read_event
from fabric.graph.mapping import About, record_quads, record_statements
from fabric.graph.names import part_iri
from ledger.errors import InvalidInput
from ontology.vocabulary import term

RECORD = "urn:loomark:record:" + "ab" * 32
GRAPH = "urn:loomark:class:x"
EPCIS = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
SERIAL = "https://id.gs1.org/01/09506000134352/21/7"

Triples = set[tuple[str, str, str]]


def triples(event: dict[str, Any], *, context: Any = None, **about: Any) -> Triples:
    """What an event says, as (subject, local name of the predicate, object), the record's IRI as `.`."""
    value = {
        "@context": context or [EPCIS, {"ex": "https://example.org/"}],
        "type": "ObjectEvent",
        "eventTime": "2026-05-01T08:00:00+02:00",
        "eventTimeZoneOffset": "+02:00",
        "action": "OBSERVE",
    } | event
    if value["type"] == "TransformationEvent":
        del value["action"]
    record = read_document(json.dumps(value).encode(), "application/ld+json").events[0]
    return said(record.committed, **about)


def said(committed: dict[str, Any], **about: Any) -> Triples:
    lines = "".join(record_quads(committed, About(RECORD, "farm", 7, **about), GRAPH))
    found = set()
    for quad in parse(lines.encode(), RdfFormat.N_QUADS):
        assert isinstance(quad.subject, NamedNode)
        assert quad.graph_name == NamedNode(GRAPH)
        target = quad.object
        assert isinstance(target, NamedNode | Literal)
        predicate = quad.predicate.value
        found.add((quad.subject.value.replace(RECORD, "."), predicate, target.value.replace(RECORD, ".")))
    return found


def epcis(name: str) -> str:
    return term(f"epcis:{name}")


def loomark(name: str) -> str:
    return term(f"loomark:{name}")


TYPE = term("rdf:type")


def test_the_record_is_the_subject_and_the_event_id_a_property() -> None:
    found = triples({"eventID": "urn:uuid:1", "epcList": [SERIAL]})
    assert (".", loomark("eventID"), "urn:uuid:1") in found
    assert (".", TYPE, epcis("ObjectEvent")) in found
    assert (".", epcis("eventTime"), "2026-05-01T08:00:00+02:00") in found
    assert (".", term("prov:wasAttributedTo"), "urn:loomark:member:farm") in found
    assert (".", loomark("logIndex"), "7") in found


def test_a_thing_is_named_canonically_with_its_kind_lot_and_name_as_sent() -> None:
    sent = "https://example.com/01/09506000134352/10/A1/21/7?x=1"
    found = triples({"epcList": [sent]})
    thing = next(target for _, name, target in found if name == epcis("epcList"))
    assert thing == SERIAL
    assert (thing, TYPE, loomark("Serial")) in found
    assert (thing, loomark("nameAsSent"), sent) in found
    assert (thing, loomark("lotOf"), "https://id.gs1.org/01/09506000134352/10/A1") in found


def test_the_lot_in_the_master_data_of_a_creating_event_is_its_serials_lot() -> None:
    made = {"epcList": [SERIAL], "action": "ADD", "ilmd": {"cbvmda:lotNumber": "A1"}}
    lot = (SERIAL, loomark("lotOf"), "https://id.gs1.org/01/09506000134352/10/A1")
    assert lot in triples(made)
    del made["ilmd"]
    assert lot not in triples(made)


def test_parts_are_the_record_and_their_pointer() -> None:
    found = triples({"quantityList": [{"epcClass": SERIAL[:-5] + "/10/L", "quantity": 12.5, "uom": "KGM"}]})
    part = ".#/quantityList/0"
    assert (".", epcis("quantityList"), part) in found
    assert (part, epcis("quantity"), "12.5") in found
    assert (part, epcis("uom"), "KGM") in found
    assert (part, epcis("epcClass"), SERIAL[:-5] + "/10/L") in found


@pytest.mark.parametrize(
    ("pointer", "fragment"), [("/a/0", "/a/0"), ("/a b/ü", "/a%20b/%C3%BC"), ("/x~1y", "/x~1y")]
)
def test_a_pointer_becomes_a_uri_fragment(pointer: str, fragment: str) -> None:
    assert part_iri(RECORD, pointer) == f"{RECORD}#{fragment}"
    NamedNode(part_iri(RECORD, pointer))


def test_bare_words_and_their_iris_are_one() -> None:
    for step in (
        "shipping",
        "urn:epcglobal:cbv:bizstep:shipping",
        "https://ref.gs1.org/cbv/BizStep-shipping",
    ):
        found = triples({"epcList": [SERIAL], "bizStep": step})
        assert (".", epcis("bizStep"), "https://ref.gs1.org/cbv/BizStep-shipping") in found


def test_a_destination_is_a_place_by_its_type_and_else_a_party() -> None:
    gln = "https://id.gs1.org/414/9506000134352"
    party = "https://id.gs1.org/417/9506000134352"
    found = triples(
        {
            "epcList": [SERIAL],
            "destinationList": [
                {"type": "location", "destination": gln},
                {"type": "owning_party", "destination": party},
            ],
        }
    )
    assert {(gln, TYPE, loomark("Place")), (party, TYPE, loomark("Party"))} <= found
    assert (".#/destinationList/1", epcis("sourceOrDestination"), party) in found


def test_a_transformation_is_a_process_that_used_and_generated() -> None:
    event = {
        "type": "TransformationEvent",
        "inputEPCList": [SERIAL],
        "outputQuantityList": [{"epcClass": SERIAL[:-5] + "/10/L"}],
    }
    found = triples(event)
    process = "urn:loomark:process:" + "ab" * 32
    assert {
        (".", loomark("process"), process),
        (process, TYPE, term("prov:Activity")),
        (process, term("prov:used"), SERIAL),
        (SERIAL[:-5] + "/10/L", term("prov:wasGeneratedBy"), process),
    } <= found
    shared = triples(event | {"transformationID": "urn:x:run-7"})
    assert (".", loomark("process"), "urn:loomark:process:farm:urn%3Ax%3Arun-7") in shared


def test_a_sensor_report_is_an_observation() -> None:
    device = "https://id.gs1.org/8004/95060001343"
    found = triples(
        {
            "epcList": [SERIAL],
            "sensorElementList": [
                {
                    "sensorMetadata": {"time": "2026-05-01T08:00:00Z"},
                    "sensorReport": [{"type": "Temperature", "value": 4.5, "uom": "CEL", "deviceID": device}],
                }
            ],
        }
    )
    report = ".#/sensorElementList/0/sensorReport/0"
    assert {
        (".#/sensorElementList/0", epcis("sensorReport"), report),
        (report, TYPE, term("sosa:Observation")),
        (report, epcis("value"), "4.5"),
        (report, term("sosa:hasSimpleResult"), "4.5"),
        (report, term("sosa:madeBySensor"), device),
        (report, term("sosa:observedProperty"), "https://gs1.org/voc/Temperature"),
    } <= found


def test_extensions_mean_what_their_context_says() -> None:
    found = triples(
        {
            "epcList": [SERIAL],
            "ex:grade": "A",
            "ex:score": 7,
            "ex:seal": {"ex:number": "S1", "bare": "no meaning", "@type": "ex:Seal"},
            "ex:on": "2026-05-01",
        },
        context=[
            EPCIS,
            {"ex": "https://example.org/", "ex:on": {"@id": "https://example.org/on", "@type": "xsd:date"}},
        ],
    )
    part = ".#/ex:seal"
    assert {
        (".", "https://example.org/grade", "A"),
        (".", "https://example.org/score", "7"),
        (".", "https://example.org/seal", part),
        (part, "https://example.org/number", "S1"),
        (part, TYPE, "https://example.org/Seal"),
        (".", "https://example.org/on", "2026-05-01"),
    } <= found
    assert not [row for row in found if "no meaning" in row]


def test_what_an_unknown_context_defines_enters_when_the_context_is_added() -> None:
    url = "https://example.org/context.jsonld"
    value = {
        "@context": [EPCIS, url],
        "type": "ObjectEvent",
        "eventTime": "2026-05-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [SERIAL],
        "far:grade": "A",
    }
    committed = read_document(json.dumps(value).encode(), "application/ld+json").events[0].committed
    about = About(RECORD, "farm", 7)
    assert not [line for line in record_statements(committed, about).own if '"A"' in line]
    table = PACKAGED.with_added(url, "00" * 32, b'{"@context": {"far": "https://far.example/"}}')
    assert f'<{RECORD}> <https://far.example/grade> "A"' in record_statements(committed, about, table).own


def test_nobody_can_say_anything_of_a_record_by_naming_it_as_a_thing() -> None:
    other = "urn:loomark:record:" + "cd" * 32
    found = triples({"epcList": [other, "urn:loomark:graph"]})
    assert (".", epcis("epcList"), other) in found
    assert not [row for row in found if row[0] in (other, "urn:loomark:graph")]


def test_a_void_a_duplicate_and_partial_sight_are_said() -> None:
    found = triples({"epcList": [SERIAL]}, voided_by="urn:x:d", duplicate_of="urn:x:f", partly=True)
    assert {
        (".", loomark("voidedBy"), "urn:x:d"),
        (".", loomark("duplicateOf"), "urn:x:f"),
        (".", TYPE, loomark("PartlyShown")),
    } <= found


def test_master_data_is_a_claim_with_who_and_when() -> None:
    committed = {
        "@context": [{"url": EPCIS, "sha256": None}],
        "type": "urn:epcglobal:epcis:vtype:BusinessLocation",
        "element": {
            "id": "urn:epc:id:sgln:9506000.13435.0",
            "attributes": [
                {"id": "urn:epcglobal:cbv:mda:name", "attribute": "North dock"},
                {"id": "urn:epcglobal:cbv:mda:address", "attribute": {"cbvmda:city": "Ghent"}},
            ],
            "children": ["urn:epc:id:sgln:9506000.13435.7"],
        },
    }
    found = said(committed, stated_at="2026-05-01T00:00:00.000Z")
    place = "https://id.gs1.org/414/9506000134352"
    assert {
        (".", TYPE, loomark("Claim")),
        (".", loomark("about"), place),
        (".", term("prov:wasAttributedTo"), "urn:loomark:member:farm"),
        (".", term("prov:generatedAtTime"), "2026-05-01T00:00:00.000Z"),
        (".", "urn:epcglobal:cbv:mda:name", "North dock"),
        (".#/element/attributes/1/attribute", "urn:epcglobal:cbv:mda:city", "Ghent"),
        (".", loomark("child"), place + "/254/7"),
        (place, loomark("nameAsSent"), "urn:epc:id:sgln:9506000.13435.0"),
    } <= found


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5) | st.just("ex:p"), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_extension_gives_quads_that_parse(value: Any) -> None:
    committed = {
        "@context": [{"ex": "https://example.org/"}],
        "type": "ObjectEvent",
        "eventTime": "2026-05-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "ex:any": value,
    }
    try:
        "".join(record_quads(committed, About(RECORD, "farm", 7), GRAPH)).encode()
    except UnicodeEncodeError:
        return
    said(committed)


def test_every_event_of_the_examples_becomes_quads_and_names_all_its_things(shared_data: Path) -> None:
    """Both readings of an event, by `read_event` and by the mapping, name the same things."""
    seen = 0
    for path in sorted((shared_data / "epcis").rglob("*.json*")):
        if "Invalid" in str(path) or "schema" in path.name.lower():
            continue
        try:
            document = read_document(path.read_bytes(), "application/ld+json")
        except InvalidInput:
            continue
        for record in document.events:
            objects = {target for _, _, target in said(record.committed)}
            things = {ref.thing.iri for ref in read_event(record.committed).things}
            assert things <= objects, path
            seen += 1
        for claim in document.master_data:
            assert (".", loomark("about"), claim.thing.iri) in said(claim.committed)
    assert seen > 100
