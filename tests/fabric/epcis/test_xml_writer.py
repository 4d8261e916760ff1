"""What EPCIS XML is written: in the order of the schema, escaped, with marks only where they are needed, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fabric.epcis import Document, read_document
from fabric.epcis.query_document import Shown
from fabric.epcis.xml_writer import (
    NoXMLForm,
    xml_document,
    xml_query_document,
    xml_query_document_parts,
)
from ledger.canonical import canonical
from ledger.errors import InvalidInput

from .documents import EVENTS, GS1, event
from .xml_documents import around, with_inside

CREATED = "2026-05-04T12:00:00.000Z"
EX = {"ex": "https://ns.example.com/"}
LIST = "/epcisBody/queryResults/resultsBody/eventList/0"


def shown(value: dict[str, Any], *more: Any) -> Shown:
    return Shown(value, [GS1, *(more or (EX,))])


def written(*rows: Shown, **changes: Any) -> str:
    return xml_query_document(rows, **{"created": CREATED, "query_name": None, **changes}).decode()


def one(*context: Any, **changes: Any) -> str:
    """An event with changes, as XML without what stands around it."""
    whole = written(shown(event("ObjectEvent", **changes), *context))
    return whole.partition("<EventList>")[2].partition("</EventList>")[0].strip()


def back(data: bytes | str) -> Document:
    return read_document(data.encode() if isinstance(data, str) else data, "application/xml")


def returns(value: dict[str, Any], *context: Any) -> bool:
    """Whether an event comes back equal, but for a context of more than its own names."""
    (record,) = back(written(shown(value, *context))).events
    found = {name: inner for name, inner in record.committed.items() if name != "@context"}
    return canonical(found) == canonical(value)


def refused(**changes: Any) -> NoXMLForm:
    with pytest.raises(NoXMLForm) as caught:
        one(**changes)
    assert caught.value.rule == "no-xml-form"
    return caught.value


def test_a_query_document_has_the_frame_of_the_schema() -> None:
    text = written(query_name="mine & others", subscription_id="s-1")
    assert text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<epcisq:EPCISQueryDocument xmlns:epcisq="urn:epcglobal:epcis-query:xsd:2" schemaVersion="2.0"'
        f' creationDate="{CREATED}"><EPCISBody><epcisq:QueryResults><queryName>mine &amp; others</queryName>'
        "<subscriptionID>s-1</subscriptionID><resultsBody><EventList></EventList></resultsBody>"
        "</epcisq:QueryResults></EPCISBody></epcisq:EPCISQueryDocument>\n"
    )
    assert "<queryName>SimpleEventQuery</queryName>" in written()
    found = back(written(shown(event()), query_name="mine", subscription_id="s-1")).header.committed
    results = found["document"]["epcisBody"]["queryResults"]
    assert (found["type"], results["queryName"], results["subscriptionID"]) == (
        "EPCISQueryDocument",
        "mine",
        "s-1",
    )


def test_an_epcis_document_has_the_frame_of_the_schema() -> None:
    text = xml_document([shown(event())], created=CREATED).decode()
    assert '<epcis:EPCISDocument xmlns:epcis="urn:epcglobal:epcis:xsd:2" xmlns:ex=' in text
    assert back(text).header.committed["type"] == "EPCISDocument"


def test_the_parts_of_an_event_stand_in_the_order_of_the_schema() -> None:
    value = dict(reversed(event("TransformationEvent", recordTime=CREATED, **{"ex:a": "1"}).items()))
    text = written(shown(value))
    places = [
        text.index(f"<{name}>")
        for name in (
            "TransformationEvent",
            "eventTime",
            "recordTime",
            "eventTimeZoneOffset",
            "inputQuantityList",
            "outputEPCList",
            "bizStep",
            "disposition",
            "readPoint",
            "ex:a",
        )
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("cbv", "word", "kind"),
    [
        ("", "urn:epcglobal:cbv:bizstep:shipping", "https://gs1.org/voc/Temperature"),
        ("No_Preference", "urn:epcglobal:cbv:bizstep:shipping", "https://gs1.org/voc/Temperature"),
        ("Always_URN", "urn:epcglobal:cbv:bizstep:shipping", "https://gs1.org/voc/Temperature"),
        ("Always_Web_URI", "https://ref.gs1.org/cbv/BizStep-shipping", "https://gs1.org/voc/Temperature"),
    ],
)
def test_words_of_the_standard_are_spelled_as_asked(cbv: str, word: str, kind: str) -> None:
    sensors = [{"sensorReport": [{"type": "Temperature"}]}]
    text = written(shown(event(sensorElementList=sensors)), cbv=cbv)
    assert f"<bizStep>{word}</bizStep>" in text
    assert f'<sensorReport type="{kind}"/>' in text


def test_a_word_that_was_sent_as_a_uri_is_rewritten_only_where_one_spelling_is_asked() -> None:
    web = "https://ref.gs1.org/cbv/BizStep-shipping"
    row = shown(event(bizStep=web))
    assert f"<bizStep>{web}</bizStep>" in written(row, cbv="Never_Translates")
    assert f"<bizStep>{web}</bizStep>" in written(row)
    assert "<bizStep>urn:epcglobal:cbv:bizstep:shipping</bizStep>" in written(row, cbv="Always_URN")
    own = "https://example.com/steps?a=1&b=2"
    for cbv in ("", "Always_URN", "Always_Web_URI", "Never_Translates"):
        assert f"<bizStep>{own.replace('&', '&amp;')}</bizStep>" in written(
            shown(event(bizStep=own)), cbv=cbv
        )


def test_plain_extensions_need_no_marks() -> None:
    text = one(
        **{
            "ilmd": {"ex:a": "1"},
            "ex:deep": {"plain": "x", "ex:b": ["1", {"c": "2"}]},
            "ex:empty": "",
            "cbvmda:lot": "L",
        }
    )
    assert "<ilmd><ex:a>1</ex:a></ilmd>" in text
    assert "<ex:deep><plain>x</plain><ex:b>1</ex:b><ex:b><c>2</c></ex:b></ex:deep>" in text
    assert "<ex:empty></ex:empty>" in text
    assert 'xmlns:cbvmda="urn:epcglobal:cbv:mda"' in text
    assert "urn:loomark" not in text


@pytest.mark.parametrize(
    ("value", "xml"),
    [
        (7, '<ex:a json:type="number">7</ex:a>'),
        (0.5, '<ex:a json:type="number">0.5</ex:a>'),
        (1e21, '<ex:a json:type="number">1e+21</ex:a>'),
        (True, '<ex:a json:type="boolean">true</ex:a>'),
        (None, '<ex:a json:type="null"></ex:a>'),
        ({}, '<ex:a json:type="object"></ex:a>'),
        ([], '<ex:a json:type="list"></ex:a>'),
        (["x"], '<ex:a json:in="list">x</ex:a>'),
        ([2], '<ex:a json:in="list" json:type="number">2</ex:a>'),
        (["x", "y"], "<ex:a>x</ex:a><ex:a>y</ex:a>"),
        ([["x"], []], '<ex:a json:type="list"><json:item>x</json:item></ex:a><ex:a json:type="list"></ex:a>'),
        ({"@id": "urn:a"}, '<ex:a><json:member json:name="@id">urn:a</json:member></ex:a>'),
        ({"a b": "x", "": "y"}, '<ex:a><json:member json:name="a b">x</json:member><json:member json:name="">y</json:member></ex:a>'),
        ({"ex:1": "x"}, '<ex:a><ex:member json:name="ex:1">x</ex:member></ex:a>'),
        ({"urn:example:b": "x"}, '<ex:a><ns:b xmlns:ns="urn:example:" json:name="urn:example:b">x</ns:b></ex:a>'),
        ({"urn:example:b/1": "x"}, '<ex:a><json:member json:name="urn:example:b/1">x</json:member></ex:a>'),
        ("a\r\n\t <&>\"'", "<ex:a>a&#13;\n\t &lt;&amp;&gt;\"'</ex:a>"),
    ],
)  # fmt: skip
def test_what_plain_xml_would_read_as_another_value_is_marked_and_read_back(value: Any, xml: str) -> None:
    changes = {"ilmd": None, "ex:a": value}
    if value is None:
        changes = {"ilmd": None, "ex:b": {"ex:a": None}}
    assert xml in one(**changes)
    changed = event("ObjectEvent", **changes)
    assert returns(changed, EX)


def test_prefixes_that_xml_has_not_or_that_share_a_namespace_are_kept_by_a_mark() -> None:
    context = {
        **EX,
        "ex2": EX["ex"],
        "1x": "https://one.example.com/",
        "xml": "https://two.example.com/",
        "json": "https://three.example.com/",
        "mda": "urn:epcglobal:cbv:mda",
    }
    names = ["ex:a", "ex2:a", "1x:a", "xml:a", "json:a", "mda:a", "gs1:a", "https://example.com/a"]
    value = event("ObjectEvent", ilmd=None, **dict.fromkeys(names, "v"))
    text = written(shown(value, context))
    assert '<ex2:a json1:name="ex2:a">v</ex2:a>' in text
    assert '<ns:a xmlns:ns="https://one.example.com/" json1:name="1x:a">v</ns:a>' in text
    assert "<json:a>v</json:a>" in text
    assert "<gs1:a>v</gs1:a>" in text
    assert returns(value, context)
    (record,) = back(text).events
    assert record.committed["@context"][1] == context


def test_the_same_prefix_of_two_events_stands_for_two_namespaces() -> None:
    rows = [
        shown(event("ObjectEvent", ilmd=None, **{"ex:a": "1"}), {"ex": f"https://{name}.example.com/"})
        for name in ("one", "two")
    ]
    found = back(written(*rows)).events
    assert [one.committed["@context"][1]["ex"] for one in found] == [
        "https://one.example.com/",
        "https://two.example.com/",
    ]


def test_sensor_extensions_are_attributes_whose_kinds_are_marked() -> None:
    report = {"type": "Temperature", "value": 5, "booleanValue": False, "stringValue": " a\n"}
    value = event(
        sensorElementList=[
            {
                "sensorMetadata": {"ex:a": "x", "ex:b": 1.5},
                "sensorReport": [{**report, "ex:c": True, "ex:d": None}],
                "ex:e": {"f": 1},
            }
        ]
    )
    text = written(shown(value))
    assert '<sensorMetadata ex:a="x" ex:b="1.5" json:types="ex:b=number"/>' in text
    assert 'ex:c="true" ex:d="" json:types="ex:c=boolean ex:d=null"/>' in text
    assert 'stringValue=" a&#10;"' in text
    assert returns(value, EX)


def test_what_no_attribute_can_be_stands_beside_the_report_that_it_is_of() -> None:
    context = {
        **EX,
        "ex2": EX["ex"],
        "1x": "https://one.example.com/",
        "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    }
    reports = [
        {"type": "Mass"},
        {"type": "Mass", "ex:a": {"b": 1}, "ex2:a": "x", "1x:a": "y", "ex:1": "z", "xsi:a": "s"},
    ]
    element = {"sensorMetadata": {"ex:a": ["x"], "ex:b": "y"}, "sensorReport": reports, "ex:own": "o"}
    value = event(sensorElementList=[element])
    text = written(shown(value, context))
    assert '<sensorMetadata ex:b="y"/>' in text
    assert (
        '<ex:own>o</ex:own><json:sensorMetadata><ex:a json:in="list">x</ex:a></json:sensorMetadata>'
        '<json:sensorReport json:at="1"><ex:a><b json:type="number">1</b></ex:a>'
    ) in text
    assert returns(value, context)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_list_of_certifications_comes_back_as_a_list(count: int) -> None:
    items = [f"https://example.com/{number}?a&b" for number in range(count)]
    assert returns(event(certificationInfo=items), EX)
    assert returns(event(certificationInfo=items[0]), EX)


def test_a_quantity_is_written_without_an_exponent() -> None:
    classes = [{"epcClass": "urn:example:c", "quantity": value} for value in (1e21, 1e-7, 0, 200.5)]
    text = one(quantityList=classes)
    assert "<quantity>1000000000000000000000</quantity>" in text
    assert "<quantity>0.0000001</quantity>" in text
    assert returns(event(quantityList=classes), EX)


@pytest.mark.parametrize(
    ("changes", "pointer", "got"),
    [
        ({"ex:a": "\x01"}, "/ex:a", "U+0001"),
        ({"ex:a": {"b": ["x", "\ufffe"]}}, "/ex:a/b/1", "U+FFFE"),
        ({"ex:a": {"b/c~\x02": "x"}}, "/ex:a/b~1c~0\x02", "U+0002"),
        ({"ilmd": {"ex:a": "\x1f"}}, "/ilmd/ex:a", "U+001F"),
        ({"mood": "good"}, "/mood", "another"),
        ({"no:a": "x"}, "/no:a", "the prefix no"),
        ({"quantityList": [{"epcClass": "urn:a:b"}, {"epcClass": "urn:a:c", "quantity": 1e300}]}, "/quantityList/1/quantity", "a longer one"),
        ({"quantityList": [{"epcClass": "urn:a:b", "mood": 1}]}, "/quantityList/0/mood", "another"),
        ({"epcList": ["urn:a:b", " urn:a:c"]}, "/epcList/1", "text with space around it"),
        ({"sensorElementList": [{"sensorReport": [{"type": "Mass", "uom": "KGM "}]}]}, "/sensorElementList/0/sensorReport/0/uom", "text with space around it"),
        ({"sensorElementList": [{"sensorReport": [{"type": "Mass"}, {"type": "Mass", "ex:a": {"b": "\x01"}}]}]}, "/sensorElementList/0/sensorReport/1/ex:a/b", "U+0001"),
        ({"sensorElementList": [{"sensorMetadata": {"no:a": "x"}, "sensorReport": [{"type": "Mass"}]}]}, "/sensorElementList/0/sensorMetadata/no:a", "the prefix no"),
        ({"sensorElementList": [{"sensorMetadata": {"mood": "x"}, "sensorReport": [{"type": "Mass"}]}]}, "/sensorElementList/0/sensorMetadata/mood", "another"),
        ({"sensorElementList": [{"sensorReport": [{"type": "Mass", "stringValue": "\x0b"}]}]}, "/sensorElementList/0/sensorReport/0/stringValue", "U+000B"),
        ({"readPoint": {"id": "urn:a:b", "ex:a": "\x00"}}, "/readPoint/ex:a", "U+0000"),
        ({"errorDeclaration": {"declarationTime": CREATED, "ex:a": "\x00"}}, "/errorDeclaration/ex:a", "U+0000"),
        ({"epcList": "urn:a:b"}, "/epcList", "str"),
        ({"type": "QuantityEvent"}, "/type", "another"),
    ],
)  # fmt: skip
def test_what_has_no_xml_form_is_refused_by_pointer(changes: dict[str, Any], pointer: str, got: str) -> None:
    error = refused(**{"ilmd": None, **changes})
    assert (error.pointer, error.got) == (LIST + pointer, got)


def test_what_stays_of_an_event_is_written_without_what_was_erased() -> None:
    text = one(
        eventTime=None,
        action=None,
        readPoint={"ex:a": "x"},
        bizTransactionList=[{"type": "po"}],
        quantityList=[{"uom": "KGM"}],
        persistentDisposition={},
        errorDeclaration={},
        sensorElementList=[{"sensorMetadata": {}}],
    )
    assert "<eventTime>" not in text
    assert "<readPoint><ex:a>x</ex:a></readPoint>" in text
    assert '<bizTransaction type="urn:epcglobal:cbv:btt:po"></bizTransaction>' in text
    assert "<quantityElement><uom>KGM</uom></quantityElement>" in text
    assert "<sensorElement><sensorMetadata/></sensorElement>" in text


def test_a_namespace_of_epcis_itself_is_refused_for_an_extension() -> None:
    with pytest.raises(NoXMLForm) as caught:
        one({"ex": "urn:epcglobal:epcis:xsd:2"})
    assert caught.value.pointer == LIST + "/ilmd/ex:harvest"


def test_a_name_of_a_context_that_is_not_known_is_refused() -> None:
    with pytest.raises(NoXMLForm) as caught:
        one("https://example.com/unknown.jsonld")
    assert (caught.value.pointer, caught.value.got) == (LIST + "/ilmd/ex:harvest", "the prefix ex")


def test_a_document_is_written_an_event_at_a_time() -> None:
    rows = [shown(event(kind)) for kind in EVENTS]
    parts = list(xml_query_document_parts(rows, created=CREATED, query_name=None))
    assert b"".join(parts).decode() == written(*rows)
    assert len(parts) == 2 + len(rows)


@pytest.mark.parametrize(
    ("inside", "rule", "path"),
    [
        ('<ex:a j:type="number">x</ex:a>', "wrong-type", "/ex:a"),
        ('<ex:a j:type="number">1e999</ex:a>', "wrong-type", "/ex:a"),
        ('<ex:a j:type="boolean">1</ex:a>', "wrong-type", "/ex:a"),
        ('<ex:a j:type="null">0</ex:a>', "wrong-type", "/ex:a"),
        ('<ex:a j:type="date">0</ex:a>', "wrong-type", "/ex:a"),
        ('<ex:a j:type="number"><ex:b/></ex:a>', "wrong-type", "/ex:a"),
        ('<ex:a j:type="object">x</ex:a>', "mixed-content", "/ex:a"),
        ('<ex:a j:type="number" unit="x">1</ex:a>', "unknown-attribute", "/ex:a/@unit"),
        ('<ex:a j:kind="number">1</ex:a>', "unknown-attribute", "/ex:a/@kind"),
        ('<ex:a j:in="set">1</ex:a>', "unknown-attribute", "/ex:a/@in"),
        ('<ex:a j:name="type">1</ex:a>', "unknown-field", "/ex:a/@name"),
        ('<ex:a j:name="@context">1</ex:a>', "unknown-field", "/ex:a/@name"),
        ('<ex:a><ex:b j:name="@context">1</ex:b></ex:a>', "context-keyword", "/ex:a/ex:b"),
        ('<sensorElementList><sensorElement><sensorReport type="gs1:Mass" ex:a="x" j:types="ex:a=number"/></sensorElement></sensorElementList>', "wrong-type", "/sensorElementList/sensorElement/sensorReport/@ex:a"),
        ('<sensorElementList><sensorElement><sensorReport type="gs1:Mass" j:types="ex:b=number"/></sensorElement></sensorElementList>', "unknown-attribute", "/sensorElementList/sensorElement/sensorReport"),
        ('<sensorElementList><sensorElement><sensorReport type="gs1:Mass"/><j:sensorReport j:at="1"/></sensorElement></sensorElementList>', "unknown-field", "/sensorElementList/sensorElement/j:sensorReport[2]"),
        ('<sensorElementList><sensorElement><sensorReport type="gs1:Mass"/><j:sensorReport/></sensorElement></sensorElementList>', "unknown-field", "/sensorElementList/sensorElement/j:sensorReport[2]"),
        ('<sensorElementList><sensorElement><sensorReport type="gs1:Mass"/><j:sensorMetadata/></sensorElement></sensorElementList>', "unknown-field", "/sensorElementList/sensorElement/j:sensorMetadata"),
        ('<sensorElementList><sensorElement><sensorReport type="gs1:Mass"/><j:sensorReport j:at="0"><type/></j:sensorReport></sensorElement></sensorElementList>', "unknown-field", "/sensorElementList/sensorElement/j:sensorReport[2]/type"),
        ('<certificationInfo>urn:a:b</certificationInfo><j:certificationInfo>x y</j:certificationInfo>', "not-a-uri", "/j:certificationInfo[2]"),
    ],
)  # fmt: skip
def test_a_mark_that_says_what_is_not_so_is_refused(inside: str, rule: str, path: str) -> None:
    bound = 'xmlns:ex="https://ns.example.com/" xmlns:j="urn:loomark:json:1"'
    with pytest.raises(InvalidInput) as caught:
        back(around(with_inside(inside), root=bound))
    found = caught.value.findings[0]
    event_at = "/EPCISDocument/EPCISBody/EventList/ObjectEvent[1]"
    assert (found.rule, found.pointer) == (rule, event_at + path)


def test_a_marked_name_gives_way_where_its_prefix_is_another_namespaces() -> None:
    bound = 'xmlns:ex="https://ns.example.com/" xmlns:y="urn:example:y:" xmlns:j="urn:loomark:json:1"'
    inside = '<ex:a>1</ex:a><y:b j:name="ex:b">2</y:b><y:c j:name="gs1:c">3</y:c><y:d j:name="http:">4</y:d>'
    with pytest.raises(InvalidInput) as caught:
        back(around(with_inside(inside), root=bound))
    assert caught.value.rule == "undeclared-prefix"
    (record,) = back(around(with_inside(inside.partition("<y:d")[0]), root=bound)).events
    assert {name for name in record.committed if ":" in name} == {"ex:a", "y:b", "y:c"}


def test_what_is_written_satisfies_the_schema_of_the_standard(shared_data: Path) -> None:
    etree = pytest.importorskip("lxml.etree")
    folder = shared_data / "epcis" / "gs1" / "XSD"
    rows = [shown(event(kind)) for kind in EVENTS]
    rows.append(shown(event("ObjectEvent", certificationInfo=["urn:a:b", "urn:a:c"], **{"ex:a": [[1]]})))
    for name, data in (
        ("EPCglobal-epcis-query-2_0.xsd", written(*rows).encode()),
        ("EPCglobal-epcis-query-2_0.xsd", written().encode()),
        ("EPCglobal-epcis-2_0.xsd", xml_document(rows, created=CREATED)),
    ):
        schema = etree.XMLSchema(etree.parse(str(folder / name)))
        schema.assertValid(etree.fromstring(data))
