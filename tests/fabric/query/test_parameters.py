"""The language itself: every name of the standard's artefacts, both ways to ask, and each way to be refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fabric.query import Query, from_json, from_pairs
from fabric.query.errors import QueryParameter, QueryTooComplex, QueryValidation
from fabric.query.grammar import FAMILIES, FIXED, find
from fabric.query.parameters import MOST_PARAMETERS
from fabric.query.values import MOST_VALUES, plain
from tests.fabric.epcis.documents import GS1

from .candidates import EX, an_event, candidate, refusal

_TIME = "2026-05-04T10:11:12.000+02:00"
_NAMES_OF_URLS = ("perPage", "nextPageToken")
_CONTROLS = {"orderBy": "eventTime", "orderDirection": "ASC", "eventCountLimit": 3, "maxEventCount": 4}
_SAMPLES: dict[str, Any] = {
    **_CONTROLS,
    "eventType": ["ObjectEvent", "TransactionEvent"],
    "EQ_action": ["ADD", "OBSERVE"],
    "EQ_bizStep": ["shipping", "https://example.org/steps/own"],
    "EQ_disposition": ["in_transit"],
    "EQ_persistentDisposition_set": ["in_transit", "damaged"],
    "EQ_persistentDisposition_unset": ["urn:epcglobal:cbv:disp:active"],
    "EXISTS_errorDeclaration": None,
    "EQ_errorReason": ["did_not_occur"],
    "EXISTS_sensorElementList": None,
    "EQ_type": ["Temperature", "Speed"],
    "EQ_hexBinaryValue": ["f0", "0F"],
    "EQ_booleanValue": True,
}


def _sample(name: str) -> Any:
    """A good value of a parameter, as JSON."""
    if name in _SAMPLES:
        return _SAMPLES[name]
    if re.search("[tT]ime", name):
        return _TIME
    if name.startswith("EXISTS"):
        return None
    if re.search("quantity|value_|Value_|percRank|sDev", name):
        return [1.5, 2] if name.startswith("EQ_") else 1.5
    if ":" in name and not name.startswith(("EQ_", "EQATTR_", "HASATTR_")):
        return 7
    return ["urn:example:a", "https://example.org/b"]


def _in_url(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(map(_in_url, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _both(parameters: dict[str, Any]) -> tuple[Query, Query]:
    in_url = from_pairs([(name, _in_url(value)) for name, value in parameters.items()], {"ex": EX})
    in_json = from_json({"@context": [GS1, {"ex": EX}], **parameters}, {})
    return in_url, in_json


def _asked_alone(name: str) -> dict[str, Any]:
    return {name: _sample(name)} | ({"orderBy": "eventTime"} if name == "eventCountLimit" else {})


def test_every_parameter_of_the_binding_is_one(shared_data: Path) -> None:
    text = (shared_data / "epcis/gs1/rest/openapi.yaml").read_text(encoding="utf-8")
    parameters = yaml.safe_load(text)["paths"]["/events"]["get"]["parameters"]
    references = [row["$ref"].rpartition("/")[2] for row in parameters]
    names = [
        name for name in references if (not name.startswith("GS1-") and name[0].islower()) or "_" in name
    ]
    assert len(names) > 50
    for name in set(names) - set(_NAMES_OF_URLS) - {"NextPageToken", "PerPage"}:
        in_url, in_json = _both(_asked_alone(name))
        assert in_url == in_json, name
        assert in_url != Query(), name


def _name_of(pattern: str) -> str:
    """A name that a pattern of the query schema means; the published ones escape twice what they should once."""
    name = pattern.strip("^$").replace("[a-z][a-zA-Z0-9]*\\\\:\\\\w+", "ex:field")
    name = name.replace("\\\\w+_\\\\w+", "bizLocation_site").replace("[A-Z0-9]{2,4}", "CEL")
    for types, example in (("bizTransaction", "po"), ("source", "location"), ("destination", "location")):
        name = name.replace(f"{types}_[a-z][a-zA-Z0-9_]+", f"{types}_{example}")
    return name


def test_every_parameter_of_the_query_schema_is_one(shared_data: Path) -> None:
    schema = json.loads((shared_data / "epcis/gs1/rest/query-schema.json").read_text(encoding="utf-8"))
    query = schema["definitions"]["EPCIS-Query"]
    names = [*query["properties"], *map(_name_of, query["patternProperties"])]
    assert len(names) > 150
    for name in set(names) - {"@context"}:
        assert re.fullmatch(r"[A-Za-z_]+(ex:field|_?CEL)?", name), name
        in_url, in_json = _both(_asked_alone(name))
        assert in_url == in_json, name
        assert in_url != Query(), name


def test_two_spellings_are_one_parameter() -> None:
    one = from_pairs([("GE_errorDeclarationTime", _TIME)], {}).conditions[0]
    other = from_pairs([("GE_errorDeclaration_Time", _TIME)], {}).conditions[0]
    assert one.parameter != other.parameter
    found = refusal(("GE_errorDeclarationTime", _TIME), ("GE_errorDeclaration_Time", _TIME))
    assert [(one.rule, one.pointer) for one in found.findings] == [
        ("repeated-parameter", "/GE_errorDeclaration_Time")
    ]


_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="|"), min_size=1).filter(
    lambda text: "%7c" not in text.lower()
)
_numbers = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda x: x + 0),
)
_times = st.datetimes().map(lambda at: at.isoformat() + "Z")
_fields = st.builds(
    lambda start, name: f"{start}ex:{name}",
    st.sampled_from(["", "ILMD_", "INNER_", "INNER_SENSORREPORT_", "readPoint_"]),
    st.sampled_from(["a", "b_c"]),
)
_extensions = st.one_of(
    st.tuples(
        _fields.map("EQ_{}".format), st.lists(_texts | _numbers | st.booleans(), min_size=1, max_size=4)
    ),
    st.tuples(_fields.map("LT_{}".format), _numbers | _times),
    st.tuples(_fields.map("EXISTS_{}".format), st.sampled_from([None, True])),
)
_standard = st.sampled_from(sorted(set(FIXED) - {"eventCountLimit"})).map(lambda name: (name, _sample(name)))
_measured = st.tuples(
    st.sampled_from(["GE_value_CEL", "LT_sDev_KEL", "GT_quantity_KGM", "LE_percRank"]), _numbers
)


def _as_decimals(value: Any) -> Any:
    """What is said in a URL for a JSON value."""
    if isinstance(value, list):
        return "|".join(map(_as_decimals, value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return plain(Decimal(repr(value)))
    return _in_url(value)


def _outcome(ask: Callable[[], Query]) -> Query | QueryParameter | QueryValidation:
    try:
        return ask()
    except (QueryParameter, QueryValidation) as problem:
        return problem


@given(st.lists(st.one_of(_standard, _extensions, _measured), max_size=6))
def test_equal_questions_are_equal_however_they_are_asked(rows: list[tuple[str, Any]]) -> None:
    parameters = dict(rows)
    pairs = [(name, _as_decimals(value)) for name, value in parameters.items()]
    outcomes: list[Any] = []
    for ask in (
        lambda: from_pairs(pairs, {"ex": EX}),
        lambda: from_json(parameters, {"ex": EX}),
        lambda: from_json({**parameters, "@context": {"ex": EX}}, {"ex": "https://hidden.example/"}),
    ):
        found = _outcome(ask)
        outcomes.append(
            found if isinstance(found, Query) else [(one.rule, one.pointer) for one in found.findings]
        )
    assert outcomes[0] == outcomes[1] == outcomes[2]


@given(st.permutations(["EQ_action", "GE_eventTime", "LT_eventTime", "EQ_bizStep", "orderBy", "EQ_type"]))
def test_the_order_of_parameters_says_nothing(names: list[str]) -> None:
    pairs = [(name, _in_url(_sample(name))) for name in names]
    assert from_pairs(pairs, {}) == from_pairs(sorted(pairs), {})


def test_a_query_without_parameters_asks_for_everything() -> None:
    assert from_pairs([], {}) == from_json({}, {}) == Query()
    assert Query().matches(candidate(an_event()))


_REFUSALS = [
    # Names.
    ("EQ_bizStepp", "shipping", "unknown-parameter"),
    ("perPage", "3", "unknown-parameter"),
    ("EQ_", "1", "unknown-parameter"),
    ("", "1", "unknown-parameter"),
    ("EQ_field", "1", "unknown-parameter"),
    ("WD_ex:a", "1", "unknown-parameter"),
    ("NE_ex:a", "1", "unknown-parameter"),
    ("EQ_zz:a", "1", "unknown-prefix"),
    ("EXISTS_INNER_ILMD_zz:a", "", "unknown-prefix"),
    ("EQ_ILMD_a", "1", "bad-field-name"),
    ("EQ_ex:", "1", "bad-field-name"),
    ("EQ_https://example.org/a b", "1", "bad-field-name"),
    ("HASATTR_epcList", "a", "bad-field-name"),
    ("HASATTR_zz:a", "b", "unknown-prefix"),
    ("EQATTR_bizLocation", "b", "bad-field-name"),
    ("EQ_value_celsius", "1", "bad-unit"),
    ("GE_quantity_KILOS", "1", "bad-unit"),
    ("EQ_bizTransaction_order", "urn:x:1", "unknown-word"),
    ("EQ_source_owner", "urn:x:1", "unknown-word"),
    ("EQ_destination_", "urn:x:1", "unknown-parameter"),
    # Values that are none.
    ("EQ_action", "", "empty-value"),
    ("EQ_bizStep", "shipping|", "empty-value"),
    ("EQ_ex:a", "|", "empty-value"),
    ("GE_eventTime", "", "empty-value"),
    ("GT_quantity", "", "empty-value"),
    ("orderBy", "", "empty-value"),
    # Words and names of the standard.
    ("EQ_action", "CREATE", "bad-action"),
    ("EQ_action", "add", "bad-action"),
    ("eventType", "Objectevent", "unknown-event-type"),
    ("EQ_bizStep", "shipped", "unknown-word"),
    ("EQ_disposition", "gone", "unknown-word"),
    ("EQ_persistentDisposition_set", "gone", "unknown-word"),
    ("EQ_errorReason", "mistake", "unknown-word"),
    ("EQ_type", "Warmth", "unknown-word"),
    ("EQ_readPoint", "dock 4", "not-a-uri"),
    ("WD_bizLocation", "https://id.gs1.org/414/9506000000016", "bad-check-digit"),
    ("MATCH_anyEPC", "1234", "not-a-uri"),
    ("MATCH_epc", "urn:epc:id:sgtin:950.1.1", "bad-identifier"),
    ("MATCH_epc", "urn:epc:idpat:sgtin:9506000.*.1", "bad-pattern"),
    ("EQ_eventID", "7", "not-a-uri"),
    ("EQ_correctiveEventID", "7", "not-a-uri"),
    ("EQ_uriValue", "seven", "not-a-uri"),
    ("EQ_hexBinaryValue", "xyz", "bad-hex"),
    ("EQ_booleanValue", "yes", "bad-boolean"),
    ("EXISTS_errorDeclaration", "perhaps", "bad-boolean"),
    ("EXISTS_ex:a", "2", "bad-boolean"),
    # Times.
    ("GE_eventTime", "yesterday", "bad-time"),
    ("GE_eventTime", "2026-01-01", "bad-time"),
    ("LT_recordTime", "2026-01-01T00:00:00", "bad-time"),
    ("LT_recordTime", "2026-13-01T00:00:00Z", "bad-time"),
    ("GE_startTime", "2026-01-01T00:00:00.000 01:00", "bad-time"),
    ("LT_errorDeclarationTime", "1767225600", "bad-time"),
    ("GE_eventTime", f"{_TIME}|{_TIME}", "bad-time"),
    ("GE_ex:a", "red", "bad-value"),
    # Numbers.
    ("GE_quantity", "many", "bad-number"),
    ("EQ_quantity", "1|x", "bad-number"),
    ("GE_value_CEL", "NaN", "bad-number"),
    ("GE_value_CEL", "Infinity", "bad-number"),
    ("GE_value_CEL", "1e999999999", "bad-number"),
    ("GE_value_CEL", "1" * 500, "bad-number"),
    ("GE_value_CEL", "1|2", "bad-number"),
    ("GE_value_CEL", "\u0661", "bad-number"),
    ("LE_percRank", "0x10", "bad-number"),
    # Order and count.
    ("orderBy", "quantity", "bad-order"),
    ("orderBy", "zz:a", "unknown-prefix"),
    ("orderDirection", "UP", "bad-direction"),
    ("orderDirection", "asc", "bad-direction"),
    ("maxEventCount", "-1", "bad-count"),
    ("maxEventCount", "1.5", "bad-count"),
    ("maxEventCount", "9" * 30, "bad-count"),
    ("eventCountLimit", "0", "bad-count"),
]


@pytest.mark.parametrize(("name", "value", "rule"), _REFUSALS)
def test_a_bad_parameter_is_named_with_what_was_expected(name: str, value: str, rule: str) -> None:
    found = refusal((name, value))
    finding = found.findings[0]
    assert (found.rule, finding.rule) == (rule, rule)
    assert finding.pointer.partition("/")[2].partition("/")[0] == name.replace("~", "~0").replace("/", "~1")
    assert finding.expected
    assert finding.got


@pytest.mark.parametrize(
    ("pairs", "rule", "pointer"),
    [
        ([("EQ_action", "ADD"), ("EQ_action", "DELETE")], "repeated-parameter", "/EQ_action"),
        ([("EQ_ILMD_INNER_ex:a", "1"), ("EQ_INNER_ILMD_ex:a", "1")], "repeated-parameter", "/EQ_INNER_ILMD_ex:a"),
        ([("EQATTR_bizStep_a", "1"), ("EQ_ATTR_bizStep_a", "2")], "repeated-parameter", "/EQ_ATTR_bizStep_a"),
        (
            [("orderBy", "eventTime"), ("eventCountLimit", "3"), ("maxEventCount", "3")],
            "contradictory-parameters",
            "/maxEventCount",
        ),
        ([("eventCountLimit", "3")], "missing-parameter", "/eventCountLimit"),
        (
            [("GE_eventTime", "2026-01-02T00:00:00Z"), ("LT_eventTime", "2026-01-01T00:00:00Z")],
            "contradictory-parameters",
            "/LT_eventTime",
        ),
        (
            [("GE_errorDeclarationTime", "2026-01-02T00:00:00Z"), ("LT_errorDeclaration_Time", "2026-01-01T00:00:00Z")],
            "contradictory-parameters",
            "/LT_errorDeclaration_Time",
        ),
    ],
)  # fmt: skip
def test_parameters_that_do_not_go_together_are_refused(
    pairs: list[tuple[str, str]], rule: str, pointer: str
) -> None:
    found = refusal(*pairs)
    assert [(one.rule, one.pointer) for one in found.findings] == [(rule, pointer)]


def test_an_empty_window_is_a_question_without_an_answer() -> None:
    query = from_pairs([("GE_eventTime", _TIME), ("LT_eventTime", _TIME)], {})
    assert not query.matches(candidate(an_event(eventTime=_TIME)))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = refusal(("EQ_action", "PUT|ADD|GET"), ("GE_evenTime", _TIME), ("maxEventCount", "x"))
    assert sorted(one.pointer for one in found.findings) == ["/EQ_action/0", "/GE_evenTime", "/maxEventCount"]
    assert "perhaps GE_eventTime" in str([one.expected for one in found.findings])


def test_one_bad_value_among_several_is_pointed_at() -> None:
    found = refusal(("EQ_bizStep", "shipping|shipped"))
    assert found.findings[0].pointer == "/EQ_bizStep/1"
    assert found.findings[0].got == "shipped"


def test_the_right_check_digit_is_told() -> None:
    found = refusal(("MATCH_epcClass", "https://id.gs1.org/01/09506000134353"))
    assert "check digit 2" in found.findings[0].expected


def test_a_plus_that_became_a_space_is_explained() -> None:
    found = refusal(("GE_eventTime", "2026-01-01T00:00:00.000 01:00"))
    assert "%2B" in found.findings[0].got


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ({"EQ_bizStep": "shipping"}, "wrong-type"),
        ({"EQ_bizStep": []}, "empty-value"),
        ({"EQ_bizStep": [""]}, "empty-value"),
        ({"EQ_bizStep": [7]}, "wrong-type"),
        ({"EQ_bizStep": ["shipping", None]}, "wrong-type"),
        ({"EQ_bizStep": {"a": 1}}, "wrong-type"),
        ({"GE_eventTime": 5}, "wrong-type"),
        ({"GE_eventTime": [_TIME]}, "wrong-type"),
        ({"GE_value_CEL": True}, "bad-number"),
        ({"GE_value_CEL": 10**500}, "bad-number"),
        ({"GE_value_CEL": float("inf")}, "bad-number"),
        ({"GE_ex:a": False}, "bad-value"),
        ({"EQ_booleanValue": 1}, "bad-boolean"),
        ({"EXISTS_ex:a": 2}, "bad-boolean"),
        ({"EXISTS_ex:a": []}, "bad-boolean"),
        ({"maxEventCount": 1.5}, "bad-count"),
        ({"maxEventCount": True}, "bad-count"),
        ({"orderBy": 1}, "wrong-type"),
        ({"query": {}}, "unknown-parameter"),
    ],
)
def test_a_bad_member_of_a_query_object_is_named(query: dict[str, Any], rule: str) -> None:
    with pytest.raises(QueryParameter) as refused:
        from_json(query, {"ex": EX})
    [finding] = refused.value.findings
    assert finding.rule == rule
    assert finding.pointer.split("/")[1] == next(iter(query))


@pytest.mark.parametrize("query", [None, [], "EQ_action=ADD", 7])
def test_what_is_no_object_is_no_query(query: Any) -> None:
    with pytest.raises(QueryValidation) as refused:
        from_json(query, {})
    assert refused.value.findings[0].expected == "an object of parameters"


@pytest.mark.parametrize(
    ("context", "pointer"),
    [
        ([{"ex": "no iri"}], "/@context/0/ex"),
        ({"@vocab": EX}, "/@context/@vocab"),
        (7, "/@context"),
        (["not a url"], "/@context/0"),
    ],
)
def test_a_context_that_is_none_is_refused_with_its_place(context: Any, pointer: str) -> None:
    with pytest.raises(QueryValidation) as refused:
        from_json({"@context": context, "EQ_action": ["ADD"]}, {})
    assert refused.value.findings[0].pointer == pointer


def test_nobody_can_change_what_gs1_protects() -> None:
    other = {"cbvmda": "https://example.org/else/"}
    event = candidate(an_event(ilmd={"cbvmda:a": "1"}))
    assert from_pairs([("EQ_ILMD_cbvmda:a", "1")], other).matches(event)
    assert from_json({"@context": other, "EQ_ILMD_cbvmda:a": ["1"]}, {}) == from_pairs(
        [("EQ_ILMD_cbvmda:a", "1")], {}
    )


def test_a_question_that_is_too_large_is_too_complex() -> None:
    many = [(f"EQ_ex:f{index}", "1") for index in range(MOST_PARAMETERS + 1)]
    with pytest.raises(QueryTooComplex):
        from_pairs(many, {"ex": EX})
    values = ["urn:x:1"] * (MOST_VALUES + 1)
    asks: list[Callable[[], Query]] = [
        lambda: from_pairs([("MATCH_epc", "|".join(values))], {}),
        lambda: from_json({"MATCH_epc": values}, {}),
    ]
    for ask in asks:
        with pytest.raises(QueryTooComplex) as refused:
            ask()
        assert refused.value.findings[0].pointer == "/MATCH_epc"
    assert from_pairs([("MATCH_epc", "|".join(values[1:]))], {}).conditions
    patterns = [f"urn:epc:idpat:sgtin:{number}.*.*" for number in range(1_000_000, 1_000_101)]
    with pytest.raises(QueryTooComplex) as refused:
        from_json({"MATCH_epc": patterns}, {})
    assert refused.value.findings[0].rule == "too-many-patterns"
    assert from_json({"MATCH_epc": patterns[1:]}, {}).conditions


def test_a_name_of_a_megabyte_is_unknown_and_not_sent_back() -> None:
    found = refusal(("EQ" + "_" * 1_000_000 + "ex:a", "1"))
    assert found.rule == "unknown-parameter"
    assert len(str(found.findings)) < 5_000


def test_a_bar_within_a_text_is_written_in_percent() -> None:
    event = candidate(an_event(**{"ex:a": "one|two"}))
    assert from_pairs([("EQ_ex:a", "one%7Ctwo")], {"ex": EX}).matches(event)
    assert not from_pairs([("EQ_ex:a", "one|two")], {"ex": EX}).matches(event)
    assert from_json({"EQ_ex:a": ["one|two"]}, {"ex": EX}).matches(event)
    place = "https://example.org/dock%7C4"
    event = candidate(an_event(**{"readPoint": {"id": place}, "ex:a": place}))
    assert from_pairs([("EQ_readPoint", place), ("EQ_ex:a", place)], {"ex": EX}).matches(event)


_AN_EVENT = candidate(an_event())


_json = st.recursive(
    st.none() | st.booleans() | _numbers | st.text(max_size=8) | st.sampled_from([_TIME, "ADD", "shipping"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_some_names = st.one_of(
    st.sampled_from(sorted(FIXED)),
    st.sampled_from(sorted(FAMILIES)).flatmap(
        lambda start: st.sampled_from(["", "ex:a", "zz:a", "CEL", "po", "a_b", "bizStep_x"]).map(
            start.__add__
        )
    ),
    st.text(max_size=12),
)


@given(st.dictionaries(_some_names, _json, max_size=4))
def test_any_object_is_a_question_or_refused(query: dict[str, Any]) -> None:
    found = _outcome(lambda: from_json(query, {"ex": EX}))
    assert found.matches(_AN_EVENT) in (True, False) if isinstance(found, Query) else found.findings


@given(st.lists(st.tuples(_some_names, st.text(max_size=20)), max_size=4))
def test_any_query_string_is_a_question_or_refused(pairs: list[tuple[str, str]]) -> None:
    found = _outcome(lambda: from_pairs(pairs, {"ex": EX}))
    assert found.matches(_AN_EVENT) in (True, False) if isinstance(found, Query) else found.findings


def test_every_family_has_a_parameter() -> None:
    for start in FAMILIES:
        end = "CEL" if re.search("alue_$|sDev_|quantity_", start) else "ex:a"
        end = {"HASATTR_": "bizStep", "EQATTR_": "bizStep_a", "EQ_ATTR_": "bizStep_a"}.get(start, end)
        assert find(start + end) is not None, start
