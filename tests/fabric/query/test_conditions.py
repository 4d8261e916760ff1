"""Conditions of the standard's own fields, on the standard's own documents, against oracles that read the JSON.

An oracle is one line about an event as it was sent; a question is made of values that some event has.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabric.epcis import Position, canonical_thing, read_document
from fabric.epcis.identifiers import BadIdentifier
from fabric.epcis.words import word_iri
from fabric.query import Candidate, from_json, from_pairs
from ledger.errors import InvalidInput

from .candidates import RECORDED_US, an_event, asked, candidate, finds

Raw = dict[str, Any]


def _iri(text: str) -> str:
    try:
        return canonical_thing(text, Position.EPC).iri
    except BadIdentifier:
        return text


def _names(event: Raw, *fields: str) -> set[str]:
    found: list[str] = []
    for field in fields:
        value = event.get(field, [])
        found += [value] if isinstance(value, str) else value
    return set(map(_iri, found))


def _classes(event: Raw, *fields: str) -> set[str]:
    return {_iri(row["epcClass"]) for field in fields for row in event.get(field, [])}


def _pairs(event: Raw, field: str, name: str, kind: str) -> set[str]:
    return {_iri(row[name]) for row in event.get(field, []) if row.get("type") == kind}


def _reports(event: Raw) -> Iterator[Raw]:
    for element in event.get("sensorElementList", []):
        yield from element["sensorReport"]


def _sensed(event: Raw, name: str) -> set[Any]:
    rows = [element.get("sensorMetadata", {}) for element in event.get("sensorElementList", [])]
    return {row[name] for row in [*rows, *_reports(event)] if name in row}


def _instants(texts: set[str]) -> set[datetime]:
    return {datetime.fromisoformat(text) for text in texts}


def _words(field: str, *words: str | None) -> set[str | None]:
    return {word_iri(field, word) for word in words if word}


def _declared(event: Raw) -> Raw:
    found: Raw = event.get("errorDeclaration", {})
    return found


_EPCS = ("epcList", "childEPCs", "parentID", "inputEPCList", "outputEPCList")
_LISTS = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")

_VALUES: dict[str, Callable[[Raw], set[Any]]] = {
    "eventType": lambda e: {e["type"]},
    "EQ_action": lambda e: {e["action"]} if "action" in e else set(),
    "EQ_bizStep": lambda e: _words("bizStep", e.get("bizStep")),
    "EQ_disposition": lambda e: _words("disposition", e.get("disposition")),
    "EQ_persistentDisposition_set": lambda e: _words(
        "disposition", *e.get("persistentDisposition", {}).get("set", [])
    ),
    "EQ_persistentDisposition_unset": lambda e: _words(
        "disposition", *e.get("persistentDisposition", {}).get("unset", [])
    ),
    "EQ_readPoint": lambda e: {_iri(e["readPoint"]["id"])} if "readPoint" in e else set(),
    "WD_readPoint": lambda e: {_iri(e["readPoint"]["id"])} if "readPoint" in e else set(),
    "EQ_bizLocation": lambda e: {_iri(e["bizLocation"]["id"])} if "bizLocation" in e else set(),
    "WD_bizLocation": lambda e: {_iri(e["bizLocation"]["id"])} if "bizLocation" in e else set(),
    "EQ_transformationID": lambda e: _names(e, "transformationID"),
    "EQ_eventID": lambda e: {e["eventID"]} if "eventID" in e else set(),
    "EQ_errorReason": lambda e: _words("errorReason", _declared(e).get("reason")),
    "EQ_correctiveEventID": lambda e: set(_declared(e).get("correctiveEventIDs", [])),
    "MATCH_epc": lambda e: _names(e, "epcList", "childEPCs"),
    "MATCH_parentID": lambda e: _names(e, "parentID"),
    "MATCH_inputEPC": lambda e: _names(e, "inputEPCList"),
    "MATCH_outputEPC": lambda e: _names(e, "outputEPCList"),
    "MATCH_anyEPC": lambda e: _names(e, *_EPCS),
    "MATCH_epcClass": lambda e: _classes(e, "quantityList", "childQuantityList"),
    "MATCH_inputEPCClass": lambda e: _classes(e, "inputQuantityList"),
    "MATCH_outputEPCClass": lambda e: _classes(e, "outputQuantityList"),
    "MATCH_anyEPCClass": lambda e: _classes(e, *_LISTS),
    "EQ_bizTransaction_po": lambda e: _pairs(e, "bizTransactionList", "bizTransaction", "po"),
    "EQ_bizTransaction_inv": lambda e: _pairs(e, "bizTransactionList", "bizTransaction", "inv"),
    "EQ_source_possessing_party": lambda e: _pairs(e, "sourceList", "source", "possessing_party"),
    "EQ_source_location": lambda e: _pairs(e, "sourceList", "source", "location"),
    "EQ_destination_owning_party": lambda e: _pairs(e, "destinationList", "destination", "owning_party"),
    "EQ_destination_location": lambda e: _pairs(e, "destinationList", "destination", "location"),
    "EQ_type": lambda e: _words("measurementType", *_sensed(e, "type")),
    "EQ_deviceID": lambda e: set(map(_iri, _sensed(e, "deviceID"))),
    "EQ_dataProcessingMethod": lambda e: _sensed(e, "dataProcessingMethod"),
    "EQ_bizRules": lambda e: _sensed(e, "bizRules"),
    "EQ_microorganism": lambda e: _sensed(e, "microorganism"),
    "EQ_chemicalSubstance": lambda e: _sensed(e, "chemicalSubstance"),
    "EQ_uriValue": lambda e: _sensed(e, "uriValue"),
    "EQ_stringValue": lambda e: _sensed(e, "stringValue"),
    "EQ_hexBinaryValue": lambda e: {text.upper() for text in _sensed(e, "hexBinaryValue")},
}
"""What an event has of each parameter that asks for one of several values."""

_TIMES: dict[str, Callable[[Raw], set[str]]] = {
    "eventTime": lambda e: {e["eventTime"]},
    "errorDeclarationTime": lambda e: {_declared(e)["declarationTime"]} if _declared(e) else set(),
    "time": lambda e: _sensed(e, "time"),
    "startTime": lambda e: _sensed(e, "startTime"),
    "endTime": lambda e: _sensed(e, "endTime"),
}
_NUMBERS: dict[str, Callable[[Raw], set[float]]] = {
    "quantity": lambda e: {
        row["quantity"] for field in _LISTS for row in e.get(field, []) if "quantity" in row
    },
    "percRank": lambda e: _sensed(e, "percRank"),
    **{
        f"{name}_CEL": lambda e, name=name: {  # type: ignore[misc]
            row[name] for row in _reports(e) if row.get("uom") == "CEL" and name in row
        }
        for name in ("value", "minValue", "maxValue", "meanValue", "sDev", "percValue")
    },
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "GE": lambda one, other: one >= other,
    "LT": lambda one, other: one < other,
    "GT": lambda one, other: one > other,
    "LE": lambda one, other: one <= other,
}


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> list[tuple[Raw, Candidate]]:
    """Every event of the published JSON examples that is valid, as sent and as read."""
    found = []
    for path in sorted((shared_data / "epcis/gs1/JSON").rglob("*.jsonld")):
        try:
            document = read_document(path.read_bytes(), "application/ld+json")
        except InvalidInput:
            continue
        for record in document.events:
            raw = copy.deepcopy(
                {name: value for name, value in record.committed.items() if name != "@context"}
            )
            found.append((raw, Candidate(record.committed, record.event, RECORDED_US)))
    assert len(found) > 40
    return found


_once = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def _sent(parameter: str, event: Raw) -> list[str]:
    """Values of an event in the spelling it was sent in, as far as a parameter asks for them."""
    return sorted(map(str, _VALUES[parameter](event)))


@pytest.mark.parametrize("parameter", sorted(_VALUES))
@_once
@given(data=st.data())
def test_one_of_several_values_is_in_the_event(
    parameter: str, corpus: list[tuple[Raw, Candidate]], data: st.DataObject
) -> None:
    had = sorted({value for raw, _ in corpus for value in _VALUES[parameter](raw)})
    values = (
        data.draw(st.lists(st.sampled_from(had), min_size=1, max_size=3)) if had else ["urn:example:none"]
    )
    if parameter == "EQ_stringValue" and not had:
        values = ["nothing has it"]
    query = from_json({parameter: values}, {})
    assert query == from_pairs([(parameter, "|".join(values))], {})
    for raw, one in corpus:
        assert query.matches(one) is not _VALUES[parameter](raw).isdisjoint(values), raw


@pytest.mark.parametrize("field", sorted(_TIMES))
@_once
@given(data=st.data())
def test_a_time_is_compared_as_an_instant(
    field: str, corpus: list[tuple[Raw, Candidate]], data: st.DataObject
) -> None:
    op = data.draw(st.sampled_from(["GE", "LT"]))
    had = sorted({text for raw, _ in corpus for text in _TIMES[field](raw)})
    text = data.draw(st.sampled_from([*had, "2020-01-01T00:00:00.000Z"]))
    query = from_pairs([(f"{op}_{field}", text)], {})
    for raw, one in corpus:
        instants = _instants(_TIMES[field](raw))
        assert query.matches(one) is any(_COMPARE[op](at, datetime.fromisoformat(text)) for at in instants), (
            raw
        )


@pytest.mark.parametrize("field", sorted(_NUMBERS))
@_once
@given(data=st.data())
def test_a_number_is_compared_by_its_value(
    field: str, corpus: list[tuple[Raw, Candidate]], data: st.DataObject
) -> None:
    op = data.draw(st.sampled_from(sorted(_COMPARE)))
    had = sorted({number for raw, _ in corpus for number in _NUMBERS[field](raw)})
    number = data.draw(st.sampled_from([*had, 26.1]))
    query = from_json({f"{op}_{field}": number}, {})
    for raw, one in corpus:
        # Only what was recorded in this unit is in the oracle; the published examples know one for temperatures.
        assert query.matches(one) is any(_COMPARE[op](value, number) for value in _NUMBERS[field](raw)), raw


def test_the_examples_have_something_to_find(corpus: list[tuple[Raw, Candidate]]) -> None:
    empty = {name for name, read in _VALUES.items() if not any(read(raw) for raw, _ in corpus)}
    assert empty <= {"EQ_source_location", "EQ_transformationID", "EQ_bizRules"}
    found = [raw for raw, one in corpus if finds(one, EXISTS_errorDeclaration="")]
    assert found == [raw for raw, _ in corpus if "errorDeclaration" in raw] != []
    found = [raw for raw, one in corpus if finds(one, EXISTS_sensorElementList="true")]
    assert found == [raw for raw, _ in corpus if raw.get("sensorElementList")] != []
    assert all(finds(one, EXISTS_sensorElementList="false") for _, one in corpus)
    for truth in ("true", "false"):
        found = [raw for raw, one in corpus if finds(one, EQ_booleanValue=truth)]
        assert found == [raw for raw, _ in corpus if (truth == "true") in _sensed(raw, "booleanValue")]


@pytest.mark.parametrize(
    ("parameter", "pattern", "listed"),
    [
        ("MATCH_epc", "urn:epc:idpat:sgtin:4012345.011122.*", "https://id.gs1.org/01/04012345111223/21/"),
        ("MATCH_anyEPC", "urn:epc:idpat:sscc:4047023.*", "https://id.gs1.org/00/"),
        ("MATCH_anyEPC", "urn:epc:idpat:sgtin:0614141.*.*", "https://id.gs1.org/01/10614141"),
        ("MATCH_anyEPC", "urn:epc:idpat:sgtin:*.*.*", "https://id.gs1.org/01/"),
    ],
)
def test_a_pattern_finds_at_least_the_names_below_it(
    parameter: str, pattern: str, listed: str, corpus: list[tuple[Raw, Candidate]]
) -> None:
    query = from_pairs([(parameter, pattern)], {})
    for raw, one in corpus:
        names = {iri for iri in _VALUES[parameter](raw) if iri.startswith(listed)}
        if query.matches(one):
            assert _VALUES[parameter](raw)
        elif pattern.count("*") == 1 and "sgtin" in pattern:
            assert not {iri for iri in names if "/21/" in iri}


@given(data=st.data())
@_once
def test_conditions_of_one_question_all_hold(
    corpus: list[tuple[Raw, Candidate]], data: st.DataObject
) -> None:
    raw, one = data.draw(st.sampled_from(corpus))
    names = data.draw(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=5, unique=True))
    parameters = {name: _sent(name, raw) for name in names if _sent(name, raw)}
    assert from_json(parameters, {}).matches(one)
    spoilt = {**parameters, "EQ_eventID": ["urn:example:of-no-event"]}
    assert not from_json(spoilt, {}).matches(one)


_BELOW = {
    "https://id.gs1.org/414/9506000000015": frozenset(
        {"https://id.gs1.org/414/9506000000015/254/4", "urn:x:room"}
    ),
    "urn:x:building": frozenset({"urn:x:room"}),
}


@pytest.mark.parametrize(
    ("place", "equal", "below"),
    [
        ("urn:epc:id:sgln:9506000.00001.0", True, True),
        ("urn:epc:id:sgln:9506000.00001.4", False, True),
        ("https://example.com/414/9506000000015/254/4", False, True),
        ("urn:x:room", False, True),
        ("urn:x:building", False, False),
    ],
)
@pytest.mark.parametrize("field", ["readPoint", "bizLocation"])
def test_places_below_one_are_found_only_with_descendants(
    field: str, place: str, equal: bool, below: bool
) -> None:
    one = candidate(
        an_event(**{"readPoint": None, field: {"id": place}}),
        descendants=lambda iri: _BELOW.get(iri, frozenset()),
    )
    gln = "https://id.gs1.org/414/9506000000015"
    assert finds(one, **{f"EQ_{field}": gln}) is equal
    assert finds(one, **{f"WD_{field}": gln}) is below
    assert finds(one, **{f"WD_{field}": f"urn:x:other|{gln}"}) is below
    assert not finds(candidate(an_event(readPoint=None)), **{f"WD_{field}": gln})


@pytest.mark.parametrize(
    ("spelling", "asked_for"),
    [
        ("shipping", "urn:epcglobal:cbv:bizstep:shipping"),
        ("https://ref.gs1.org/cbv/BizStep-shipping", "shipping"),
        ("urn:epcglobal:cbv:bizstep:shipping", "cbv:BizStep-shipping"),
        ("ex:drying", "ex:drying"),
        ("https://ns.example.org/ex/drying", "ex:drying"),
    ],
)
def test_a_word_is_found_in_every_spelling(spelling: str, asked_for: str) -> None:
    assert finds(candidate(an_event(bizStep=spelling)), EQ_bizStep=asked_for)
    assert not finds(candidate(an_event(bizStep="packing")), EQ_bizStep=asked_for)
    assert not finds(candidate(an_event(bizStep=None)), EQ_bizStep=asked_for)


def test_microseconds_count_and_finer_digits_bound_what_is_stored() -> None:
    one = candidate(an_event(eventTime="2026-01-01T00:00:00.123456Z"))
    assert finds(one, GE_eventTime="2026-01-01T00:00:00.123456Z")
    assert not finds(one, LT_eventTime="2026-01-01T01:00:00.123456+01:00")
    assert finds(one, LT_eventTime="2026-01-01T00:00:00.1234561Z")
    assert not finds(one, GE_eventTime="2026-01-01T00:00:00.1234561Z")


def test_the_record_time_is_that_of_the_seal() -> None:
    one = candidate(an_event(), record_time_us=RECORDED_US)
    at = datetime.fromtimestamp(RECORDED_US / 1e6).astimezone().isoformat()
    assert finds(one, GE_recordTime=at)
    assert not finds(one, LT_recordTime=at)


def test_everything_asked_of_a_declaration_is_asked_of_it_together() -> None:
    told = {
        "declarationTime": "2026-01-01T00:00:00Z",
        "reason": "incorrect_data",
        "correctiveEventIDs": ["urn:x:1", "urn:x:2"],
    }
    one = candidate(an_event(errorDeclaration=told))
    good = {
        "EXISTS_errorDeclaration": "",
        "GE_errorDeclarationTime": "2026-01-01T00:00:00Z",
        "LT_errorDeclaration_Time": "2026-01-01T00:00:01Z",
        "EQ_errorReason": "did_not_occur|urn:epcglobal:cbv:er:incorrect_data",
        "EQ_correctiveEventID": "urn:x:2|urn:x:3",
    }
    assert finds(one, **good)
    assert len(asked(**good).conditions) == 1
    for name, other in [
        ("GE_errorDeclarationTime", "2026-01-01T00:00:00.5Z"),
        ("LT_errorDeclaration_Time", "2026-01-01T00:00:00Z"),
        ("EQ_errorReason", "did_not_occur"),
        ("EQ_correctiveEventID", "urn:x:3"),
    ]:
        assert not finds(one, **{name: other})
    assert not finds(candidate(an_event()), **good)
    assert finds(candidate(an_event()), EXISTS_errorDeclaration="false")


def test_type_and_name_of_a_transaction_are_of_one_entry() -> None:
    rows = [
        {"type": "po", "bizTransaction": "urn:x:1"},
        {"type": "inv", "bizTransaction": "urn:x:2"},
        {"bizTransaction": "urn:x:3"},
        {"type": "https://ns.example.org/ex/slip", "bizTransaction": "urn:x:4"},
    ]
    one = candidate(an_event("TransactionEvent", bizTransactionList=rows))
    assert finds(one, EQ_bizTransaction_po="urn:x:1|urn:x:2")
    assert not finds(one, EQ_bizTransaction_po="urn:x:2|urn:x:3")
    assert finds(one, **{"EQ_bizTransaction_urn:epcglobal:cbv:btt:inv": "urn:x:2"})
    assert finds(one, EQ_bizTransaction_ex__slip="urn:x:4")


def test_an_epc_is_no_class_and_a_class_no_epc() -> None:
    lot = "urn:epc:class:lgtin:4012345.012345.998877"
    by_class = candidate(an_event(epcList=None, quantityList=[{"epcClass": lot}]))
    by_name = candidate(an_event(epcList=[lot]))
    assert finds(by_class, MATCH_epcClass=lot)
    assert not finds(by_class, MATCH_anyEPC=lot)
    assert finds(by_name, MATCH_epc=lot)
    assert not finds(by_name, MATCH_anyEPCClass=lot)


@pytest.mark.parametrize(
    ("parameter", "pattern", "found"),
    [
        ("MATCH_epc", "urn:epc:idpat:sgtin:4012345.*.*", "/21/1"),
        ("MATCH_epc", "urn:epc:class:lgtin:4012345.*.*", "/10/L"),
        ("MATCH_epcClass", "urn:epc:idpat:sgtin:4012345.*.*", ""),
        ("MATCH_epcClass", "urn:epc:idpat:sgtin:4012345.012345.*|urn:epc:idpat:sgtin:4012346.*.*", ""),
        ("MATCH_epcClass", "urn:epc:class:lgtin:4012345.*.*|urn:x:1", "/10/L"),
    ],
)
def test_what_only_begins_like_a_name_of_a_pattern_is_not_found(
    parameter: str, pattern: str, found: str
) -> None:
    for end in ("", "/10/L", "/21/1", "/22/A/21/1"):
        name = f"https://id.gs1.org/01/04012345123456{end}"
        by_class = parameter.endswith("Class")
        things = {"epcList": None, "quantityList": [{"epcClass": name}]} if by_class else {"epcList": [name]}
        assert finds(candidate(an_event(**things)), **{parameter: pattern}) is (end == found), name


def test_what_an_erasure_left_of_an_event_is_decided_like_any_other() -> None:
    whole = candidate(an_event("AggregationEvent", sensorElementList=[{"sensorReport": [{"type": "Speed"}]}]))
    value = {name: whole.value[name] for name in ("@context", "type", "eventTime", "eventTimeZoneOffset")}
    left = Candidate(value, whole.event, RECORDED_US)
    for name in ("MATCH_anyEPC", "MATCH_anyEPCClass", "EQ_deviceID"):
        assert not finds(left, **{name: "urn:example:any"})
    assert not finds(left, EXISTS_sensorElementList="")
