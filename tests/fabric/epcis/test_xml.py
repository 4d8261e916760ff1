"""EPCIS XML becomes the same records as its JSON form, and what is wrong with it is told by path and line."""

from __future__ import annotations

import gc
import hashlib
import json
import tracemalloc
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis import Document, Reading, body_digest, read_document
from fabric.epcis.document import media_type_of
from fabric.epcis.xml_document import CONTEXT, read_xml
from fabric.epcis.xml_event import number
from fabric.epcis.xml_parser import MAX_RECORD_ELEMENTS, MAX_XML_DEPTH
from ledger.canonical import canonical
from ledger.errors import Finding, InvalidInput, TooLarge

from .xml_documents import EVENT, EX, FULL, MASTER, NAMESPACE, around, with_inside

AT = "/EPCISDocument/EPCISBody/EventList/ObjectEvent[1]"


def read(data: bytes, **reading: Any) -> Document:
    return read_document(data, "application/xml", Reading(**reading))


def event_of(text: str, **changes: Any) -> dict[str, Any]:
    """The one event of a document around this, as committed."""
    (record,) = read(around(text, **changes)).events
    return record.committed


def refused(data: bytes) -> Finding:
    with pytest.raises(InvalidInput) as caught:
        read(data)
    assert caught.value.rule == caught.value.findings[0].rule
    return caught.value.findings[0]


def as_json(data: bytes) -> Document:
    return read_document(json.dumps(read_xml(data).value).encode(), "application/ld+json")


def test_every_part_of_an_event_has_its_place_in_the_json_form() -> None:
    value = event_of(FULL)
    assert value["quantityList"] == [
        {"epcClass": "urn:epc:class:lgtin:4012345.012345.998877", "quantity": 200.5, "uom": "KGM"}
    ]
    assert value["bizTransactionList"] == [{"type": "po", "bizTransaction": "urn:example:po:1"}]
    assert value["sourceList"] == [{"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00225"}]
    assert value["destinationList"][0]["type"] == "location"
    report = {"type": "Temperature", "value": 26, "uom": "CEL", "booleanValue": True, "component": "x"}
    metadata = {"time": "2026-05-04T10:00:00Z", "ex:more": "m"}
    assert value["sensorElementList"] == [
        {"sensorMetadata": metadata, "sensorReport": [report], "ex:note": "n"}
    ]
    assert value["persistentDisposition"] == {
        "set": ["completeness_verified"],
        "unset": ["completeness_inferred"],
    }
    assert value["ilmd"] == {"ex:harvest": {"part": ["1", "2"]}}
    assert value["ex:list"] == ["a", {"ex:b": {"unit": "KGM", "rdf:value": "2"}}]
    assert (value["bizStep"], value["action"]) == ("commissioning", "ADD")
    prefixes = {"ex": "https://example.com/ns/", "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#"}
    assert value["@context"][1] == prefixes
    assert value["@context"][0]["url"] == CONTEXT


def test_xml_and_its_json_form_give_the_same_records() -> None:
    data = around(EVENT + FULL)
    from_xml, from_json = read(data), as_json(data)
    assert [canonical(one.committed) for one in from_xml.events] == [
        canonical(one.committed) for one in from_json.events
    ]
    assert [one.event for one in from_xml.events] == [one.event for one in from_json.events]
    assert [body_digest(one.committed) for one in from_xml.events] == [
        body_digest(one.committed) for one in from_json.events
    ]


def test_the_header_record_binds_the_bytes_of_the_xml() -> None:
    data = around(EVENT)
    for media_type in ("application/xml", "text/xml"):
        header = read_document(data, f"{media_type}; charset=utf-8").header.committed
        assert header["source"] == {"sha256": hashlib.sha256(data).hexdigest(), "mediaType": media_type}
        assert header["document"] == {
            "schemaVersion": "2.0",
            "creationDate": "2026-05-04T12:00:00Z",
            "epcisBody": {},
        }


def test_an_event_has_the_context_of_its_own_names_whatever_stands_beside_it() -> None:
    other = EVENT.replace("sgtin:9506000.013435.1", "sgtin:9506000.013435.7")
    beside = with_inside('<y:b xmlns:y="https://example.com/y/">1</y:b>', other)
    alone, among = event_of(FULL), read(around(beside + FULL)).events[1].committed
    assert canonical(alone) == canonical(among)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_the_order_of_elements_says_nothing(order: tuple[int, ...]) -> None:
    parts = [
        "<eventTime>2026-05-04T10:00:00Z</eventTime>",
        "<eventTimeZoneOffset>+00:00</eventTimeZoneOffset>",
        "<epcList><epc>urn:example:a</epc></epcList>",
        "<action>OBSERVE</action>",
    ]
    text = "<ObjectEvent>" + "".join(parts[at] for at in order) + "</ObjectEvent>"
    assert event_of(text)["action"] == "OBSERVE"
    straight = "<ObjectEvent>" + "".join(parts) + "</ObjectEvent>"
    assert canonical(event_of(text)) == canonical(event_of(straight))


def test_the_wrappers_of_version_1_2_count_for_nothing() -> None:
    inner = (
        "<quantityList><quantityElement><epcClass>urn:example:c</epcClass></quantityElement></quantityList>"
    )
    declared = (
        "<errorDeclaration><declarationTime>2026-05-05T10:00:00Z</declarationTime>"
        "<reason>urn:epcglobal:cbv:er:incorrect_data</reason><correctiveEventIDs>"
        "<correctiveEventID>urn:example:e2</correctiveEventID></correctiveEventIDs></errorDeclaration>"
    )
    new = with_inside(f"<eventID>urn:example:e1</eventID>{declared}{inner}")
    old = with_inside(
        f"<baseExtension><eventID>urn:example:e1</eventID>{declared}</baseExtension>"
        f"<extension>{inner}<extension/></extension>"
    )
    assert canonical(event_of(old, version="1.2")) == canonical(event_of(new))
    assert read(around(old, version="1.2")).header.committed["document"]["schemaVersion"] == "2.0"


def test_events_inside_extensions_of_a_list_keep_their_order() -> None:
    texts = [EVENT.replace("013435.1<", f"013435.{n}1<") for n in range(3)]
    data = around(f"{texts[0]}<extension>{texts[1]}</extension>{texts[2]}", version="1.1")
    found = read(data)
    assert [one.committed["epcList"][0][-2:] for one in found.events] == ["01", "11", "21"]
    assert [one.pointer.removeprefix("/EPCISDocument/EPCISBody/EventList") for one in found.events] == [
        "/ObjectEvent[1]",
        "/extension/ObjectEvent[1]",
        "/ObjectEvent[2]",
    ]


def test_a_single_event_is_read_with_and_without_namespace() -> None:
    bare = EVENT.encode()
    qualified = EVENT.replace("<", "<e:").replace("<e:/", "</e:")
    named = qualified.replace("<e:ObjectEvent>", f'<e:ObjectEvent xmlns:e="{NAMESPACE}" schemaVersion="2.0">')
    one, other = read(bare), read(named.encode())
    assert canonical(one.events[0].committed) == canonical(other.events[0].committed)
    assert one.header.committed["type"] is None
    assert one.header.committed["document"] == {}
    assert one.events[0].pointer == "/ObjectEvent"


def test_the_events_of_a_query_document_are_read() -> None:
    data = (
        '<q:EPCISQueryDocument xmlns:q="urn:epcglobal:epcis-query:xsd:2" schemaVersion="2.0"'
        ' creationDate="2026-05-04T12:00:00Z"><EPCISBody><q:QueryResults><queryName>mine</queryName>'
        f"<resultsBody><EventList>{EVENT}</EventList></resultsBody></q:QueryResults></EPCISBody>"
        "</q:EPCISQueryDocument>"
    ).encode()
    found = read(data)
    assert canonical(found.events[0].committed) == canonical(event_of(EVENT))
    assert found.header.committed["type"] == "EPCISQueryDocument"
    body = found.header.committed["document"]["epcisBody"]
    assert body == {"queryResults": {"queryName": "mine", "resultsBody": {}}}
    assert canonical(as_json(data).events[0].committed) == canonical(found.events[0].committed)


def test_master_data_in_a_header_become_records_before_the_events() -> None:
    found = read(around(EVENT, header=MASTER))
    assert [one.type.rpartition(":")[2] for one in found.master_data] == [
        "BusinessLocation",
        "EPCClass",
        "EPCClass",
    ]
    assert found.master_data[0].committed["element"] == {
        "id": "urn:epc:id:sgln:0037000.00729.0",
        "attributes": [
            {"id": "urn:epcglobal:cbv:mda#city", "attribute": "Bonn"},
            {"id": "urn:example:deep", "attribute": {"a": "1"}},
        ],
        "children": ["urn:epc:id:sgln:0037000.00729.8201"],
    }
    assert found.header.committed["document"]["sender"] == "urn:example:me"
    assert found.events[0].position == 4


def test_a_bad_name_in_master_data_is_told_by_path_and_line() -> None:
    data = around(EVENT, header=MASTER.replace("urn:example:named", "not a name"))
    found = refused(data)
    line = 1 + data[: data.index(b"not a name")].count(b"\n")
    assert (found.record, found.rule, found.line) == (3, "not-a-uri", line)
    assert found.pointer == (
        "/EPCISDocument/EPCISHeader/extension/EPCISMasterData/VocabularyList/Vocabulary[2]"
        "/VocabularyElementList/VocabularyElement[2]/@id"
    )


@pytest.mark.parametrize(
    ("change", "rule", "path"),
    [
        (("013435.2<", "x<"), "bad-identifier", "/epcList/epc[2]"),
        (("<action>ADD", "<action>PUT"), "bad-action", "/action"),
        (("<action>ADD</action>", ""), "missing-field", ""),
        (("bizstep:commissioning", "bizstep commissioning"), "unknown-word", "/bizStep"),
        (("10:11:12.345+02:00", "10:11"), "bad-time", "/eventTime"),
        (("<action>ADD", '<action x="1">ADD'), "unknown-attribute", "/action/@x"),
        (
            ("<action>ADD</action>", "<action>ADD</action><action>ADD</action>"),
            "duplicate-member",
            "/action[2]",
        ),
        (("<epc>", "<epc><b/></epc><epc>"), "wrong-type", "/epcList/epc[1]"),
        (("<epc>", "<epc><b/>"), "mixed-content", "/epcList/epc"),
        (("<epcList>", "<epcList><id>urn:a</id>"), "unknown-field", "/epcList/id"),
        (("<readPoint><id>", "<readPoint><x>"), "not-xml", "/readPoint/x"),
        (("<bizStep>", "<inputEPCList/><bizStep>"), "", ""),
        (("<bizStep>", "<parentID>urn:example:p</parentID><bizStep>"), "field-not-allowed", "/parentID"),
        (("<bizStep>", "<mood>good</mood><bizStep>"), "unknown-field", "/mood"),
        (("<readPoint>", "text <readPoint>"), "mixed-content", ""),
        (("<ObjectEvent>", '<x:ObjectEvent xmlns:x="urn:x:y">'), "wrong-namespace", ""),
    ],
)
def test_a_fault_of_an_event_is_told_by_path_and_line(change: tuple[str, str], rule: str, path: str) -> None:
    text = EVENT.replace(*change)
    if change[0] == "<ObjectEvent>":
        text = text.replace("</ObjectEvent>", "</x:ObjectEvent>")
    if not rule:
        # An empty list of EPCs says nothing, so it is no field that the event must not have.
        assert "inputEPCList" not in event_of(text)
        return
    data = around(EVENT + "\n" + text)
    found = refused(data)
    assert (found.rule, found.pointer) == (rule, f"/EPCISDocument/EPCISBody/EventList/ObjectEvent[2]{path}")
    assert found.line is not None
    assert found.line >= 9


def test_the_line_of_a_fault_is_that_of_its_element() -> None:
    data = around(EVENT.replace("013435.2<", "x<"))
    assert refused(data).line == 1 + data[: data.index(b".x<")].count(b"\n")


def test_a_warning_has_its_path_and_line_too() -> None:
    data = around(EVENT.replace("<eventTimeZoneOffset>+02:00", "<eventTimeZoneOffset>+01:00"))
    (warning,) = read(data).warnings
    assert (warning.rule, warning.pointer, warning.line) == ("offset-differs", f"{AT}/eventTimeZoneOffset", 3)
    assert warning.as_json()["line"] == 3


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "not-xml"),
        (b"<a>", "not-xml"),
        (b"<a/>", "unknown-document-type"),
        (b"<ObjectEvent/>", "missing-field"),
        (around(EVENT)[:-4], "not-xml"),
        (around(EVENT) + b"<a/>", "not-xml"),
        (around(EVENT, version="2.0").replace(b"xsd:2", b"xsd:3"), "wrong-namespace"),
        (around(EVENT).replace(b'xmlns:epcis="urn:epcglobal:epcis:xsd:2"', b'xmlns:epcis="urn:x:y"'), "wrong-namespace"),
        (around(EVENT).replace(b'schemaVersion="2.0"', b'schemaVersion="1.2"'), "schema-version"),
        (around(EVENT, version="1.2").replace(b'"1.2"', b'"2.0"'), "schema-version"),
        (around(EVENT).replace(b'schemaVersion="2.0"', b""), "missing-field"),
        (around(EVENT).replace(b'creationDate="2026-05-04T12:00:00Z"', b""), "missing-field"),
        (around(EVENT).replace(b"EventList>", b"eventList>"), "unknown-field"),
        (around(""), "no-records"),
        (around("<QuantityEvent/>", version="1.2"), "unknown-event-type"),
        (around(EVENT, prolog="<!DOCTYPE a [<!ENTITY b 'c'>]>"), "dtd"),
        (around(EVENT, prolog="<!DOCTYPE a SYSTEM 'file:///etc/passwd'>"), "dtd"),
        (around(EVENT, prolog="<!DOCTYPE a PUBLIC 'x' 'http://127.0.0.1/'>"), "dtd"),
        (around(EVENT, prolog="<!-- c --><?p?>\n<!DOCTYPE a [ ]>"), "dtd"),
        (around(EVENT.replace("ADD", "&lol;")), "not-xml"),
        (around(EVENT, prolog="<!DOCTYPE a>").replace(b"ADD", b"&lol;"), "not-xml"),
        (around(EVENT, prolog='<?xml version="1.1"?>'), "xml-version"),
        (around(EVENT, prolog='<?xml version="1.0" encoding="ISO-8859-1"?>'), "encoding"),
        (around(EVENT, prolog='<?xml version="1.0" encoding="UTF-16"?>'), "encoding"),
        (around(EVENT).decode().encode("utf-16")[:-1], "encoding"),
        (around(EVENT.replace("ADD", "A&#0;D")), "not-xml"),
        (around(EVENT).replace(b"ADD", b"A\xc3D"), "not-utf8"),
        (around(EVENT).replace(b"ADD", b"A\x01D"), "not-xml"),
        (around(EVENT.replace("ADD", "A<!-- -->DD")), "cut-value"),
        (around(EVENT.replace("ADD", "A<?x?>DD")), "cut-value"),
        (around(EVENT.replace("<action>ADD", "<action x='1' x='2'>ADD")), "not-xml"),
        (around(with_inside("<undeclared:a/>")), "not-xml"),
        (around(with_inside(f"<ex:a {EX}>t<ex:b/></ex:a>")), "mixed-content"),
        (around(with_inside('<r:a xmlns:r="relative">t</r:a>')), "context-prefix"),
    ],
)  # fmt: skip
def test_what_is_no_epcis_is_refused_by_rule(data: bytes, rule: str) -> None:
    assert refused(data).rule == rule


def test_a_doctype_that_declares_nothing_is_passed_over_with_a_warning() -> None:
    found = read(around(EVENT, prolog='<?xml version="1.0"?>\n<!DOCTYPE project>\n'))
    assert [one.rule for one in found.warnings] == ["doctype"]


def test_comments_instructions_and_cdata_around_and_as_values_are_read() -> None:
    text = EVENT.replace("<action>ADD", "<!-- c --><?p i?><action><!-- c --><![CDATA[ADD]]>")
    assert canonical(event_of(text)) == canonical(event_of(EVENT))
    held = event_of(with_inside(f"<ex:a {EX}><![CDATA[<b>&amp;]]>&amp;</ex:a>"))
    assert held["ex:a"] == "<b>&amp;&"


def test_utf_16_is_read_as_what_it_is() -> None:
    declared = around(EVENT, prolog='<?xml version="1.0" encoding="UTF-16"?>').decode()
    for data in (declared.encode("utf-16"), around(EVENT).decode().encode("utf-16-le")):
        assert canonical(read(data).events[0].committed) == canonical(event_of(EVENT))
        assert media_type_of(data) == "application/xml"
    assert media_type_of(b"\xef\xbb\xbf \n<a/>") == "application/xml"
    assert media_type_of(b' {"type": "<a/>"}') == "application/ld+json"


def test_elements_too_deep_are_refused_where_they_are() -> None:
    inside = "<ex:a>" * MAX_XML_DEPTH + "</ex:a>" * MAX_XML_DEPTH
    data = around(with_inside(inside), root=EX)
    with pytest.raises(TooLarge) as caught:
        read(data)
    assert caught.value.rule == "too-deep"
    assert caught.value.findings[0].pointer.count("/ex:a") == MAX_XML_DEPTH - 4
    deep = "<ex:a>" * 20 + "</ex:a>" * 20
    assert read(around(with_inside(deep), root=EX)).events


def test_nested_lists_too_deep_for_a_proof_are_refused() -> None:
    inside = "<ex:a/><ex:a>" * 30 + "</ex:a>" * 30
    with pytest.raises(TooLarge) as caught:
        read(around(with_inside(inside), root=EX))
    assert caught.value.rule == "too-deep"


def test_more_elements_than_a_record_may_have_are_refused() -> None:
    inside = "<a/>" * MAX_RECORD_ELEMENTS
    with pytest.raises(TooLarge) as caught:
        read(around(with_inside(f"<ex:a>{inside}</ex:a>"), root=EX))
    assert caught.value.rule == "too-many-elements"


def test_more_records_than_a_capture_may_have_are_refused() -> None:
    with pytest.raises(TooLarge) as caught:
        read(around("<ObjectEvent/>" * 65_535))
    found = caught.value.findings[0]
    assert (found.rule, found.pointer) == (
        "too-many-records",
        "/EPCISDocument/EPCISBody/EventList/ObjectEvent[65535]",
    )


def test_prefixes_that_json_cannot_take_are_renamed() -> None:
    text = with_inside(
        '<url:a xmlns:url="https://a.example/">1</url:a><n xmlns="https://b.example/">2</n>'
        '<mda:lot xmlns:mda="urn:epcglobal:cbv:mda">3</mda:lot>'
        '<x:a xmlns:x="https://c.example/">4</x:a><x:a xmlns:x="https://d.example/">5</x:a>'
    )
    value = event_of(text)
    names = {name: item for name, item in value.items() if ":" in name}
    assert names == {"url1:a": "1", "ns1:n": "2", "cbvmda:lot": "3", "x:a": "4", "x1:a": "5"}
    assert value["@context"][1] == {
        "url1": "https://a.example/",
        "ns1": "https://b.example/",
        "x": "https://c.example/",
        "x1": "https://d.example/",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1", 1), ("+1.50", 1.5), (".5", 0.5), ("5.", 5), ("007", 7), ("1E2", 100), ("-0", 0), ("x", "x")],
        *[("NaN", "NaN"), ("INF", "INF"), ("٣", "٣"), ("9007199254740993", None), ("1e400", None)],
        *[("0.1000000000000000055", None), ("100000000000000000000", None), ("1" * 65, "1" * 65)],
    ],
)
def test_numbers_are_exact_or_refused(text: str, value: object) -> None:
    assert number(text) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_a_number_keeps_its_value(value: Decimal) -> None:
    found = number(str(value))
    assert not isinstance(found, str)
    assert found is not None
    assert Decimal(repr(found)) == value


def test_a_quantity_that_json_cannot_hold_is_told_where_it_is() -> None:
    data = around(FULL.replace("200.50", "9007199254740993"))
    found = refused(data)
    assert (found.rule, found.pointer) == ("jcs-number", f"{AT}/quantityList/quantityElement/quantity")
    data = around(FULL.replace('value="26.0"', 'value="1e999"'))
    assert refused(data).pointer == f"{AT}/sensorElementList/sensorElement/sensorReport/@value"


def test_wrong_check_digits_are_kept_where_a_member_asked() -> None:
    text = EVENT.replace("urn:epc:id:sgtin:9506000.013435.2", "https://id.gs1.org/01/09506000134353/21/1")
    assert refused(around(text)).rule == "bad-check-digit"
    (warning,) = read(around(text), keep_bad_check_digits=True).warnings
    assert (warning.rule, warning.pointer) == ("bad-check-digit", f"{AT}/epcList/epc[2]")


def test_many_namespaces_under_one_prefix_are_numbered_on() -> None:
    """Twenty thousand of them, which a search from the first number on would take minutes for."""
    text = with_inside("".join([f'<p:a xmlns:p="urn:p:{at}:">{at}</p:a>' for at in range(20_000)]))
    (value,) = read_xml(around(text)).value["epcisBody"]["eventList"]
    assert (value["p:a"], value["p1:a"], value["p19999:a"]) == ("0", "1", "19999")
    assert value["@context"]["p19999"] == "urn:p:19999:"


def test_what_is_long_is_not_remembered_between_documents() -> None:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for turn in range(20):
        long = f"{turn}{'x' * 100_000}"
        text = EVENT.replace("bizstep:commissioning", "bizstep:" + long).replace(
            "ADD", f"ADD<a{long} b{long}=''/>"
        )
        refused(around(text))
        refused(around(FULL.replace("200.50", "1" * 100_000 + str(turn))))
    # What pytest keeps of a refusal goes in cycles; the reader itself leaves none.
    gc.collect()
    assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("change", [("", ""), ("ADD", "PUT"), ("ADD", "&a;"), ("<action>", "x<action>")])
def test_the_reader_leaves_no_cycles_behind(change: tuple[str, str]) -> None:
    """The processes that prepare collect cycles rarely: a document must go when it was answered."""
    data = around(EVENT + (EVENT.replace(*change) if change[0] else ""))
    gc.collect()
    gc.disable()
    try:
        with suppress(InvalidInput):
            read(data)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_hundred_faults_among_many_elements_are_each_told_by_their_path() -> None:
    """The record is walked once for all of them, not once for each."""
    many = "<epc>urn:example:a</epc>" * 20_000 + "<epc><b/></epc>" * 100
    with pytest.raises(InvalidInput) as caught:
        read(around(EVENT.replace("<epcList>", f"<epcList>{many}")))
    found = [one.pointer for one in caught.value.findings]
    assert found[:100] == [f"{AT}/epcList/epc[{20_000 + number}]" for number in range(1, 101)]


@pytest.mark.parametrize("part", ["<!-- -->", "<?a?>", "\n"])
def test_a_long_prolog_is_passed_over_in_little_memory(part: str) -> None:
    data = around(EVENT, prolog=part * 100_000)
    tracemalloc.start()
    assert refused(around(EVENT, prolog=part * 100_000 + "<!DOCTYPE a [<!ENTITY b 'c'>]>")).rule == "dtd"
    assert read(data).events
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(data) + 1_000_000


def test_a_document_is_read_in_memory_in_proportion_to_its_bytes() -> None:
    data = around(EVENT * 2_000)
    tracemalloc.start()
    read_xml(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * len(data)


@pytest.mark.parametrize("filler", ["\n<!-- -->", "\n<?a?>", "\n<b/>", "&#32;<!---->"])
def test_what_comes_in_many_pieces_does_not_cost_the_square(filler: str) -> None:
    """Forty thousand pieces of space: with a copy of all before at each, this would move gigabytes."""
    tracemalloc.start()
    found = read_xml(around(with_inside(f"<ex:a>{filler * 40_000}</ex:a>"), root=EX)).value
    assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    tracemalloc.stop()
    held = found["epcisBody"]["eventList"][0]["ex:a"]
    assert len(held["b"] if isinstance(held, dict) else held) in (1, 40_000)
