"""Extension fields in every section of an event, under any prefix, against an oracle that expands whole contexts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fabric.epcis.contexts import PACKAGED, committed_context, effective_context
from fabric.query import from_pairs
from fabric.query.names import FieldName, attribute_iri, field_name, namespace_of
from tests.fabric.epcis.documents import GS1

from .candidates import EX, an_event, asked, candidate, finds

_UNKNOWN = "https://example.org/nobody-knows-this.jsonld"
_NAMESPACES = [EX, "https://ns.example.org/", "https://ns.example.org/ex/a", "urn:example:"]


@st.composite
def _contexts(draw: st.DrawFn) -> list[Any]:
    """Contexts whose prefixes hide each other, between addresses that resolve and ones that do not."""
    binding = st.dictionaries(
        st.sampled_from(["ex", "a", "gs1", "cbvmda"]), st.sampled_from(_NAMESPACES), max_size=3
    )
    return draw(st.lists(st.one_of(st.sampled_from([GS1, _UNKNOWN]), binding), max_size=4))


@given(_contexts(), st.sampled_from(["ex", "a", "gs1", "cbvmda", "nothing"]))
@example([{"a": EX}, GS1, {"a": "urn:example:"}], "a")
@example([{"a": EX}, {"a": "no iri"}], "a")
@example([_UNKNOWN, {"gs1": EX}], "gs1")
def test_a_prefix_means_what_the_whole_context_makes_of_it(context: list[Any], prefix: str) -> None:
    committed = committed_context(context, PACKAGED)
    assert namespace_of(prefix, committed, PACKAGED) == effective_context(committed).prefixes.get(prefix)


@given(_contexts(), st.sampled_from(["ex:a", "ex:b", "a:b", "gs1:b", "a:x/b", EX + "a", "plain", "a:"]))
def test_a_member_is_the_field_whose_iri_it_expands_to(context: list[Any], member: str) -> None:
    committed = committed_context(context, PACKAGED)
    expanded = effective_context(committed).expand(member)
    asked_for = field_name("ex:a", {"ex": EX}, "EQ_ex:a")
    if expanded is None:
        unresolved = bool(effective_context(committed).unresolved)
        assert asked_for.names(member, committed, PACKAGED) is (unresolved and member == "ex:a")
    else:
        assert asked_for.names(member, committed, PACKAGED) is (expanded == EX + "a")


def test_one_field_has_one_meaning_under_any_prefix() -> None:
    event = an_event(**{"other:colour": "red", "ilmd": None})
    one = candidate(event, [GS1, {"other": EX}])
    assert finds(one, EQ_ex__colour="red")
    assert from_pairs([(f"EQ_{EX}colour", "red")], {}).matches(one)
    assert from_pairs([("EQ_other:colour", "red")], {"other": EX}).matches(one)
    assert not from_pairs([("EQ_other:colour", "red")], {"other": "https://ns.example.org/else/"}).matches(
        one
    )


def test_one_prefix_has_the_meaning_that_each_side_gives_it() -> None:
    one = candidate(an_event(**{"ex:colour": "red"}), [GS1, {"ex": "https://ns.example.org/else/"}])
    assert not finds(one, EQ_ex__colour="red")


def test_a_prefix_nobody_could_resolve_is_compared_by_its_name() -> None:
    one = candidate(an_event(**{"ex:colour": "red", "ilmd": None}), [GS1, _UNKNOWN])
    assert finds(one, EQ_ex__colour="red")
    assert not from_pairs([("EQ_other:colour", "red")], {"other": EX}).matches(one)


@pytest.mark.parametrize(
    ("written", "iris"),
    [
        ("ex:a", {f"{EX}a"}),
        ("cbvmda:lotNumber", {"urn:epcglobal:cbv:mda:lotNumber"}),
        ("https://ns.example.org/epcis/a", {"https://ns.example.org/epcis/a"}),
        # The older form joins namespace and name by a number sign that neither of them has.
        (
            "https://ns.example.org/epcis#a",
            {"https://ns.example.org/epcis#a", "https://ns.example.org/epcisa"},
        ),
        (
            "urn:epcglobal:cbv:mda#lotNumber",
            {"urn:epcglobal:cbv:mda#lotNumber", "urn:epcglobal:cbv:mda:lotNumber"},
        ),
    ],
)
def test_a_field_may_be_named_by_its_iri(written: str, iris: set[str]) -> None:
    assert field_name(written, {"ex": EX}, "EQ_x") == FieldName(written, frozenset(iris))


_REPORT = {"type": "Temperature", "value": 3.5, "uom": "CEL", "ex:r": {"ex:deep": "nested"}}
_EVENT = {"ex:null": None} | an_event(
    **{
        "ex:text": "red",
        "ex:number": 3.5,
        "ex:whole": 7,
        "ex:digits": "007",
        "ex:decimal": "3.50",
        "ex:true": True,
        "ex:list": ["a", 2, {"@id": "https://example.org/thing"}],
        "ex:typed": {"@value": "blue", "@type": "xsd:string"},
        "ex:when": "2026-01-01T12:00:00+01:00",
        "ex:object": {"ex:inner": "x", "plain": {"ex:deep": [{"ex:deeper": 9}]}},
        "ilmd": {
            "cbvmda:lotNumber": "L1",
            "ex:harvest": {"ex:field": 7, "plain": {"ex:inPlain": "y"}},
        },
        "readPoint": {"id": "urn:epc:id:sgln:9506000.00001.0", "ex:dock": "D1", "ex:o": {"ex:i": 1}},
        "bizLocation": {"id": "urn:epc:id:sgln:9506000.00001.1", "ex:room": 12, "ex:o": {"ex:i": 2}},
        "errorDeclaration": {
            "declarationTime": "2026-05-05T00:00:00Z",
            "ex:by": "me",
            "ex:o": {"ex:i": 3},
        },
        "sensorElementList": [
            {"sensorReport": [{"type": "Speed"}]},
            {
                "ex:element": "e",
                "ex:o": {"ex:i": 4},
                "sensorMetadata": {"ex:meta": "2026-01-01T00:00:00Z", "ex:o": {"ex:i": 5}},
                "sensorReport": [{"type": "Speed"}, _REPORT],
            },
        ],
    }
)


@pytest.mark.parametrize(
    ("parameter", "value", "found"),
    [
        ("EQ_ex:text", "red", True),
        ("EQ_ex:text", "green|red", True),
        ("EQ_ex:text", "Red", False),
        ("EQ_ex:number", "3.50", True),
        ("EQ_ex:number", "35e-1", True),
        ("EQ_ex:whole", "7.0", True),
        # Text is text: a lot 007 is not the lot 7.
        ("EQ_ex:digits", "7", False),
        ("EQ_ex:digits", "007", True),
        ("EQ_ex:decimal", "3.5", False),
        ("GE_ex:decimal", "3.5", True),
        ("LE_ex:digits", "7", True),
        ("GT_ex:digits", "7", False),
        ("EQ_ex:true", "true", True),
        ("EQ_ex:true", "1", False),
        ("EQ_ex:list", "a", True),
        ("EQ_ex:list", "2", True),
        ("EQ_ex:list", "https://example.org/thing", True),
        ("EQ_ex:typed", "blue", True),
        ("EQ_ex:when", "2026-01-01T11:00:00Z", True),
        ("EQ_ex:when", "2026-01-01T12:00:00+01:00", True),
        ("GE_ex:when", "2026-01-01T11:00:00Z", True),
        ("GT_ex:when", "2026-01-01T11:00:00Z", False),
        ("LT_ex:when", "2026-01-01T11:00:00.0000001Z", True),
        ("GT_ex:text", "1", False),
        ("LT_ex:text", "2026-01-01T11:00:00Z", False),
        ("EQ_ex:object", "x", False),
        ("EQ_ex:inner", "x", False),
        ("EXISTS_ex:object", "", True),
        ("EXISTS_ex:null", "true", True),
        ("EXISTS_ex:absent", "", False),
        ("EXISTS_ex:absent", "false", True),
        ("EQ_INNER_ex:inner", "x", True),
        ("EQ_INNER_ex:text", "red", False),
        ("GE_INNER_ex:deeper", "9", True),
        ("EXISTS_INNER_ex:deep", "", True),
        ("EXISTS_INNER_ex:object", "", False),
        ("EQ_ILMD_cbvmda:lotNumber", "L1", True),
        ("EQ_ILMD_urn:epcglobal:cbv:mda#lotNumber", "L1", True),
        ("EQ_ILMD_ex:text", "red", False),
        ("EQ_ex:harvest", "7", False),
        ("EXISTS_ILMD_ex:harvest", "", True),
        ("EQ_INNER_ILMD_ex:field", "7", True),
        ("EQ_ILMD_INNER_ex:field", "7", True),
        ("GT_INNER_ILMD_ex:field", "7", False),
        ("EXISTS_INNER_ILMD_ex:inPlain", "", True),
        ("EXISTS_INNER_ILMD_ex:harvest", "", False),
        ("EQ_readPoint_ex:dock", "D1|D2", True),
        ("EQ_INNER_readPoint_ex:i", "1", True),
        ("EQ_INNER_readPoint_ex:i", "2", False),
        ("EQ_bizLocation_ex:room", "12", True),
        ("GE_bizLocation_ex:room", "13", False),
        ("EQ_INNER_bizLocation_ex:i", "2", True),
        ("EQ_ERROR_DECLARATION_ex:by", "me", True),
        ("EXISTS_ERROR_DECLARATION_ex:text", "", False),
        ("EQ_INNER_ERROR_DECLARATION_ex:i", "3", True),
        ("EQ_ERROR_DECLARATION_INNER_ex:i", "3", True),
        ("EQ_SENSORELEMENT_ex:element", "e", True),
        ("EQ_INNER_SENSORELEMENT_ex:i", "4", True),
        ("EQ_INNER_SENSORELEMENT_ex:i", "5", False),
        ("GE_SENSORMETADATA_ex:meta", "2025-12-31T23:00:00-01:00", True),
        ("EXISTS_SENSORMETADATA_ex:element", "", False),
        ("EQ_INNER_SENSORMETADATA_ex:i", "5", True),
        ("EXISTS_SENSORREPORT_ex:r", "", True),
        ("EQ_SENSORREPORT_ex:r", "nested", False),
        ("EQ_INNER_SENSORREPORT_ex:deep", "nested", True),
    ],
)
def test_a_field_is_compared_where_the_parameter_says(parameter: str, value: str, found: bool) -> None:
    assert from_pairs([(parameter, value)], {"ex": EX}).matches(candidate(_EVENT)) is found


def test_an_xml_extension_with_attributes_has_the_text_beside_them() -> None:
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    value = {"ex:unit": "cm", "r:value": "12"}
    one = candidate(an_event(**{"ex:size": value, "ilmd": None}), [GS1, {"ex": EX, "r": rdf}])
    assert finds(one, EQ_ex__size="12")
    assert not finds(one, EQ_ex__size="cm")
    assert finds(one, EQ_INNER_ex__unit="cm")


def _described(iri: str) -> dict[str, tuple[str, ...]]:
    told: dict[str, dict[str, tuple[str, ...]]] = {
        "https://id.gs1.org/414/9506000000015": {
            "urn:epcglobal:cbv:mda#site": ("9506000000015",),
            "https://example.org/size": ("large", "very large"),
        },
        "https://ref.gs1.org/cbv/BizStep-shipping": {"cbvmda:note": ("out",)},
        "https://id.gs1.org/01/09506000134352/21/1": {"cbvmda:note": ("in ex",)},
    }
    return told.get(iri, {})


@pytest.mark.parametrize(
    ("parameter", "value", "found"),
    [
        ("HASATTR_readPoint", "urn:epcglobal:cbv:mda:site", True),
        ("HASATTR_readPoint", "cbvmda:site", True),
        ("HASATTR_readPoint", "site", True),
        ("HASATTR_readPoint", "urn:epcglobal:cbv:mda#site|x", True),
        ("HASATTR_bizLocation", "site", False),
        ("HASATTR_bizStep", "note", True),
        ("HASATTR_ex:of", "note", True),
        ("HASATTR_ex:absent", "note", False),
        ("EQATTR_readPoint_site", "9506000000015", True),
        ("EQ_ATTR_readPoint_site", "9506000000015", True),
        ("EQ_ATTR_readPoint_cbvmda:site", "1|9506000000015", True),
        ("EQATTR_readPoint_https://example.org/size", "very large", True),
        ("EQATTR_readPoint_site", "large", False),
        ("EQATTR_ex:of_cbvmda:note", "in ex", True),
        ("EQATTR_ex:of_note", "in ex", True),
        ("EQATTR_ex:of_note", "out", False),
    ],
)
def test_master_data_describes_what_a_field_names(parameter: str, value: str, found: bool) -> None:
    event = an_event(**{"ex:of": "https://example.com/01/9506000134352/21/1"})
    one = candidate(event, attributes=_described)
    assert from_pairs([(parameter, value)], {"ex": EX}).matches(one) is found


def test_an_attribute_has_one_name_in_all_spellings() -> None:
    spellings = ["site", "cbvmda:site", "urn:epcglobal:cbv:mda:site", "urn:epcglobal:cbv:mda#site"]
    assert {attribute_iri(one) for one in spellings} == {"urn:epcglobal:cbv:mda:site"}


def test_an_extension_field_orders_numbers_then_times_then_texts() -> None:
    order_key = asked(orderBy="ex:rank").order_key
    assert order_key is not None
    values = ["b", "a", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00+00:00", "10", 9.5, 2, None]
    keys = [order_key(candidate(an_event(**{"ex:rank": value}))) for value in values]
    assert keys[-1] is None
    ranked = sorted(zip(keys[:-1], values, strict=False), key=lambda pair: pair[0] or (9, 0))
    assert [value for _, value in ranked] == [2, 9.5, "10", values[3], values[2], "a", "b"]
