"""What is refused at the door: each rule, at its place, with what was expected and got."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis import Reading, read_document
from ledger.errors import Finding, InvalidInput, TooLarge

from .documents import EVENTS, document, event, raw

QUANTITY = {"epcClass": "https://id.gs1.org/01/09506000134352/10/L1", "quantity": 1, "uom": "KGM"}
SENSOR = {"sensorReport": [{"type": "Temperature", "value": 3.5, "uom": "CEL"}]}


def findings(value: Any, **reading: Any) -> tuple[Finding, ...]:
    with pytest.raises(InvalidInput) as caught:
        read_document(raw(value), "application/json", Reading(**reading))
    assert caught.value.findings
    assert caught.value.rule == caught.value.findings[0].rule
    return caught.value.findings


def places(value: Any) -> list[tuple[str, str]]:
    return [(finding.pointer, finding.rule) for finding in findings(value)]


@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_type_is_accepted_in_a_document_and_alone(kind: str) -> None:
    inside = read_document(raw(document(event(kind))), "application/ld+json")
    alone = read_document(raw({"@context": document()["@context"], **event(kind)}), "application/json")
    assert inside.events[0].event == alone.events[0].event
    assert inside.events[0].committed == alone.events[0].committed
    assert inside.warnings == alone.warnings == ()


BROKEN_FIELDS: list[tuple[str, str, Any, str, str]] = [
    ("ObjectEvent", "type", "ThingEvent", "/type", "unknown-event-type"),
    ("ObjectEvent", "type", ["ObjectEvent"], "/type", "unknown-event-type"),
    ("ObjectEvent", "type", None, "", "missing-field"),
    ("ObjectEvent", "eventTime", None, "", "missing-field"),
    ("ObjectEvent", "eventTime", "2026-05-04T10:11:12", "/eventTime", "bad-time"),
    ("ObjectEvent", "eventTime", "2026-05-04", "/eventTime", "bad-time"),
    ("ObjectEvent", "eventTime", "2026-13-04T10:11:12Z", "/eventTime", "bad-time"),
    ("ObjectEvent", "eventTime", "2026-05-04 10:11:12Z", "/eventTime", "bad-time"),
    ("ObjectEvent", "eventTime", "2026-05-04T10:11:12+15:00", "/eventTime", "bad-time"),
    ("ObjectEvent", "eventTime", "20260504T101112Z", "/eventTime", "bad-time"),
    ("ObjectEvent", "eventTime", "2026-05-04T10:11:12.Z", "/eventTime", "bad-time"),
    ("ObjectEvent", "eventTime", 5, "/eventTime", "bad-time"),
    ("ObjectEvent", "eventTimeZoneOffset", None, "", "missing-field"),
    ("ObjectEvent", "eventTimeZoneOffset", "+2:00", "/eventTimeZoneOffset", "bad-offset"),
    ("ObjectEvent", "eventTimeZoneOffset", "+14:01", "/eventTimeZoneOffset", "bad-offset"),
    ("ObjectEvent", "eventTimeZoneOffset", "Z", "/eventTimeZoneOffset", "bad-offset"),
    ("ObjectEvent", "recordTime", "yesterday", "/recordTime", "bad-time"),
    ("ObjectEvent", "eventID", "no uri", "/eventID", "not-a-uri"),
    ("ObjectEvent", "action", None, "", "missing-field"),
    ("ObjectEvent", "action", "add", "/action", "bad-action"),
    ("ObjectEvent", "bizStep", "transforming", "/bizStep", "unknown-word"),
    ("ObjectEvent", "bizStep", "Shipping", "/bizStep", "unknown-word"),
    ("ObjectEvent", "disposition", "in_transport", "/disposition", "unknown-word"),
    ("ObjectEvent", "disposition", 1, "/disposition", "unknown-word"),
    ("ObjectEvent", "epcList", [], "", "no-things"),
    ("ObjectEvent", "epcList", None, "", "no-things"),
    ("ObjectEvent", "epcList", "urn:example:a", "/epcList", "wrong-type"),
    ("ObjectEvent", "epcList", [7], "/epcList/0", "wrong-type"),
    ("ObjectEvent", "epcList", ["09506000134352"], "/epcList/0", "not-a-uri"),
    ("ObjectEvent", "epcList", ["urn:example:a", "urn:example:a"], "/epcList/1", "duplicate-item"),
    ("ObjectEvent", "epcList", [f"urn:example:{'a' * 2_037}"], "/epcList/0", "too-long"),
    ("ObjectEvent", "epcList", [f"urn:example:{'é' * 1_019}"], "/epcList/0", "too-long"),
    ("ObjectEvent", "bizStep", f"urn:example:{'a' * 2_037}", "/bizStep", "too-long"),
    ("ObjectEvent", "disposition", f"urn:example:{'a' * 2_037}", "/disposition", "too-long"),
    ("ObjectEvent", "eventID", f"urn:example:{'a' * 2_037}", "/eventID", "too-long"),
    ("ObjectEvent", "epcList", ["https://id.gs1.org/01/09506000134353"], "/epcList/0", "bad-check-digit"),
    ("ObjectEvent", "childEPCs", ["urn:example:a"], "/childEPCs", "field-not-allowed"),
    ("ObjectEvent", "comment", "x", "/comment", "unknown-field"),
    ("ObjectEvent", "no:comment", "x", "/no:comment", "undeclared-prefix"),
    ("ObjectEvent", "ex:deep", [{"a": {"no:b": 1}}], "/ex:deep/0/a/no:b", "undeclared-prefix"),
    ("ObjectEvent", "ex:deep", {"@context": {}}, "/ex:deep/@context", "context-keyword"),
    ("ObjectEvent", "@graph", [], "/@graph", "unknown-field"),
    ("ObjectEvent", "ilmd", {"lot": 1}, "/ilmd/lot", "unknown-field"),
    ("ObjectEvent", "ilmd", {"no:lot": 1}, "/ilmd/no:lot", "undeclared-prefix"),
    ("ObjectEvent", "ilmd", [], "/ilmd", "wrong-type"),
    ("ObjectEvent", "action", "OBSERVE", "/ilmd", "field-not-allowed"),
    ("ObjectEvent", "readPoint", "urn:example:a", "/readPoint", "wrong-type"),
    ("ObjectEvent", "readPoint", {}, "/readPoint", "missing-field"),
    ("ObjectEvent", "readPoint", {"id": "x"}, "/readPoint/id", "not-a-uri"),
    (
        "ObjectEvent",
        "bizLocation",
        {"id": "urn:example:a", "name": "x"},
        "/bizLocation/name",
        "unknown-field",
    ),
    ("ObjectEvent", "certificationInfo", [{}], "/certificationInfo/0", "not-a-uri"),
    ("ObjectEvent", "sourceList", [{"source": "urn:example:a"}], "/sourceList/0", "missing-field"),
    (
        "ObjectEvent",
        "sourceList",
        [{"type": "owner", "source": "urn:a:b"}],
        "/sourceList/0/type",
        "unknown-word",
    ),
    ("ObjectEvent", "destinationList", [{"type": "location"}], "/destinationList/0", "missing-field"),
    ("ObjectEvent", "destinationList", {}, "/destinationList", "wrong-type"),
    ("ObjectEvent", "bizTransactionList", [{"type": "po"}], "/bizTransactionList/0", "missing-field"),
    ("ObjectEvent", "bizTransactionList", ["po"], "/bizTransactionList/0", "wrong-type"),
    ("ObjectEvent", "persistentDisposition", {}, "/persistentDisposition", "missing-field"),
    ("TransactionEvent", "persistentDisposition", {}, "/persistentDisposition", "missing-field"),
    ("ObjectEvent", "persistentDisposition", {"set": []}, "/persistentDisposition/set", "wrong-type"),
    ("ObjectEvent", "persistentDisposition", {"set": ["x"]}, "/persistentDisposition/set/0", "unknown-word"),
    ("ObjectEvent", "errorDeclaration", {}, "/errorDeclaration", "missing-field"),
    (
        "ObjectEvent",
        "errorDeclaration",
        {"declarationTime": "2026-05-04T10:11:12Z", "reason": "oops"},
        "/errorDeclaration/reason",
        "unknown-word",
    ),
    ("ObjectEvent", "quantityList", [{"quantity": 1}], "/quantityList/0", "missing-field"),
    (
        "ObjectEvent",
        "quantityList",
        [QUANTITY | {"quantity": "1"}],
        "/quantityList/0/quantity",
        "bad-quantity",
    ),
    (
        "ObjectEvent",
        "quantityList",
        [QUANTITY | {"quantity": True}],
        "/quantityList/0/quantity",
        "bad-quantity",
    ),
    (
        "ObjectEvent",
        "quantityList",
        [QUANTITY | {"quantity": -1}],
        "/quantityList/0/quantity",
        "bad-quantity",
    ),
    ("ObjectEvent", "quantityList", [QUANTITY | {"uom": "kg"}], "/quantityList/0/uom", "bad-unit"),
    ("ObjectEvent", "quantityList", [QUANTITY | {"uom": "KGMX"}], "/quantityList/0/uom", "bad-unit"),
    ("ObjectEvent", "quantityList", [QUANTITY | {"note": 1}], "/quantityList/0/note", "unknown-field"),
    ("AggregationEvent", "parentID", None, "", "missing-field"),
    ("AggregationEvent", "childQuantityList", None, "", "no-things"),
    ("AggregationEvent", "action", None, "", "missing-field"),
    ("AggregationEvent", "ilmd", {}, "/ilmd", "field-not-allowed"),
    ("AssociationEvent", "parentID", None, "", "missing-field"),
    ("AssociationEvent", "childEPCs", [], "", "no-things"),
    ("TransactionEvent", "bizTransactionList", None, "", "missing-field"),
    ("TransactionEvent", "bizTransactionList", [], "", "missing-field"),
    ("TransactionEvent", "epcList", None, "", "no-things"),
    ("TransformationEvent", "outputEPCList", None, "", "no-things"),
    ("TransformationEvent", "inputQuantityList", [], "", "no-things"),
    ("TransformationEvent", "action", "ADD", "/action", "field-not-allowed"),
    ("TransformationEvent", "transformationID", "7", "/transformationID", "not-a-uri"),
]


@pytest.mark.parametrize(("kind", "name", "value", "pointer", "rule"), BROKEN_FIELDS)
def test_a_broken_field_is_named_by_its_pointer(
    kind: str, name: str, value: Any, pointer: str, rule: str
) -> None:
    assert places(document(event(kind, **{name: value}))) == [(f"/epcisBody/eventList/0{pointer}", rule)]


@pytest.mark.parametrize(
    ("element", "pointer", "rule"),
    [
        ({}, "/sensorElementList/0", "missing-field"),
        ({"sensorReport": []}, "/sensorElementList/0/sensorReport", "wrong-type"),
        ({"sensorReport": [{"value": 1}]}, "/sensorElementList/0/sensorReport/0", "missing-field"),
        ({"sensorReport": [{"type": "Heat"}]}, "/sensorElementList/0/sensorReport/0/type", "unknown-word"),
        (
            {"sensorReport": [{"type": "Mass", "value": "1"}]},
            "/sensorElementList/0/sensorReport/0/value",
            "wrong-type",
        ),
        (
            {"sensorReport": [{"type": "Mass", "hexBinaryValue": "0xg"}]},
            "/sensorElementList/0/sensorReport/0/hexBinaryValue",
            "wrong-type",
        ),
        (
            SENSOR | {"sensorMetadata": {"deviceID": "d7"}},
            "/sensorElementList/0/sensorMetadata/deviceID",
            "not-a-uri",
        ),
        (
            SENSOR | {"sensorMetadata": {"startTime": "now"}},
            "/sensorElementList/0/sensorMetadata/startTime",
            "bad-time",
        ),
        (SENSOR | {"note": 1}, "/sensorElementList/0/note", "unknown-field"),
    ],
)
def test_a_broken_sensor_element_is_named_by_its_pointer(element: Any, pointer: str, rule: str) -> None:
    assert places(document(event(sensorElementList=[element]))) == [
        (f"/epcisBody/eventList/0{pointer}", rule)
    ]


def test_an_attribute_in_metadata_and_report_is_accepted_with_a_warning_at_the_report() -> None:
    device = {"deviceID": "urn:example:d"}
    element = {"sensorMetadata": device, "sensorReport": [{"type": "Mass", **device}]}
    read = read_document(raw(document(event(sensorElementList=[element]))), "application/json")
    assert [(finding.pointer, finding.rule) for finding in read.warnings] == [
        ("/epcisBody/eventList/0/sensorElementList/0/sensorReport/0/deviceID", "sensor-attribute-twice")
    ]


def test_an_event_without_things_stands_if_it_has_sensor_elements() -> None:
    read = read_document(
        raw(document(event(epcList=None, ilmd=None, action="OBSERVE", sensorElementList=[SENSOR]))),
        "application/json",
    )
    assert read.events[0].event.sensor == (SENSOR,)


def test_a_disaggregation_may_name_no_child() -> None:
    read = read_document(
        raw(document(event("AggregationEvent", action="DELETE", childQuantityList=None))), "application/json"
    )
    assert [ref.role.value for ref in read.events[0].event.things] == ["parent", "mention"]


def test_a_transformation_id_may_stand_for_the_other_half() -> None:
    half = event("TransformationEvent", outputEPCList=None, transformationID="urn:example:batch:7")
    read = read_document(raw(document(half)), "application/json")
    assert read.events[0].event.transformation_id == "urn:example:batch:7"


@pytest.mark.parametrize(
    "word", ["urn:example:step:cooling", "https://ns.example.com/step", "ext1:summarising"]
)
def test_a_step_of_ones_own_is_legal_as_a_uri(word: str) -> None:
    read = read_document(raw(document(event(bizStep=word))), "application/json")
    assert read.events[0].event.biz_step == word


@pytest.mark.parametrize(
    "word",
    [
        "shipping",
        "urn:epcglobal:cbv:bizstep:shipping",
        "https://ref.gs1.org/cbv/BizStep-shipping",
        "https://ns.gs1.org/cbv/BizStep-shipping",
        "cbv:BizStep-shipping",
    ],
)
def test_every_spelling_of_a_standard_step_is_one_iri(word: str) -> None:
    read = read_document(raw(document(event(bizStep=word))), "application/json")
    assert read.events[0].event.biz_step == "https://ref.gs1.org/cbv/BizStep-shipping"


def test_differing_offsets_are_a_warning_and_an_unstated_one_is_not() -> None:
    given = [event(eventTimeZoneOffset="+01:00"), event(eventTime="2026-05-04T08:11:12Z"), event()]
    read = read_document(raw(document(*given)), "application/json")
    assert [(finding.record, finding.pointer, finding.rule) for finding in read.warnings] == [
        (1, "/epcisBody/eventList/0/eventTimeZoneOffset", "offset-differs")
    ]


def test_a_wrong_check_digit_names_the_right_one() -> None:
    found = findings(document(event(epcList=["https://id.gs1.org/01/09506000134353/21/1"])))
    assert found == (
        Finding(
            1,
            "/epcisBody/eventList/0/epcList/0",
            "bad-check-digit",
            "check digit 2 in GTIN 09506000134352",
            "09506000134353",
        ),
    )


def test_a_member_may_ask_to_keep_wrong_check_digits() -> None:
    name = "https://id.gs1.org/01/09506000134353/21/1"
    read = read_document(
        raw(document(event(epcList=[name]))), "application/json", Reading(keep_bad_check_digits=True)
    )
    assert read.events[0].event.things[0].thing.iri == name
    assert [finding.rule for finding in read.warnings] == ["bad-check-digit"]


def test_every_broken_event_is_named_with_its_record() -> None:
    found = findings(document(event(), event(action="x"), event(), event(bizStep="y", eventTime="z")))
    assert [(finding.record, finding.pointer) for finding in found] == [
        (2, "/epcisBody/eventList/1/action"),
        (4, "/epcisBody/eventList/3/eventTime"),
        (4, "/epcisBody/eventList/3/bizStep"),
    ]


def test_findings_stop_at_a_hundred() -> None:
    found = findings(document(*[event(action="x") for _ in range(300)]))
    assert len(found) == 100
    assert found[-1].record == 100


def test_a_finding_shows_no_more_than_a_glimpse_of_what_it_got() -> None:
    found = findings(document(event(bizStep="x" * 10_000, readPoint={"secret": "y" * 100}["secret"])))
    assert max(len(finding.got) for finding in found) <= 80


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b'{"type": "EPCISDocument", "type": "x"}', "duplicate-member"),
        (b'{"type": 1e400}', "jcs-number"),
        (b'{"type": 9007199254740993}', "jcs-number"),
        (b'{"type": "\\ud800"}', "lone-surrogate"),
        (b"[" * 65 + b"]" * 65, "too-deep"),
        (b"\xff", "not-utf8"),
        (b"[]", "wrong-type"),
        (b"null", "wrong-type"),
        (b"{}", "missing-field"),
        (b'{"type": "Nothing"}', "unknown-event-type"),
        (b'{"type": {}}', "unknown-event-type"),
        (b'{"type": "ObjectEvent"}', "missing-field"),
        (b'{"type": "EPCISQueryDocument", "@context": []}', "missing-field"),
    ],
)
def test_what_is_no_document_is_refused_by_rule(data: bytes, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_document(data, "application/json")
    assert caught.value.rule == rule


@pytest.mark.parametrize("media_type", ["text/csv", "application/epcis+xml", "", "application/jsonx"])
def test_another_media_type_is_refused(media_type: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_document(raw(document(event())), media_type)
    assert caught.value.rule == "media-type"


@pytest.mark.parametrize(
    ("changes", "pointer", "rule"),
    [
        ({"@context": None}, "", "missing-field"),
        ({"schemaVersion": None}, "", "missing-field"),
        ({"schemaVersion": "1.2"}, "/schemaVersion", "schema-version"),
        ({"creationDate": "today"}, "/creationDate", "bad-time"),
        ({"creationDate": None}, "", "missing-field"),
        ({"epcisBody": None}, "", "missing-field"),
        ({"epcisBody": {}}, "/epcisBody", "missing-field"),
        ({"epcisBody": {"eventList": {}}}, "/epcisBody/eventList", "wrong-type"),
        ({"epcisBody": {"eventList": []}}, "/epcisBody/eventList", "no-records"),
        ({"epcisBody": {"eventList": [], "no:x": 1}}, "/epcisBody/no:x", "undeclared-prefix"),
        ({"sender": 7}, "/sender", "wrong-type"),
        ({"no:note": 7}, "/no:note", "undeclared-prefix"),
        ({"@graph": []}, "/@graph", "context-keyword"),
        ({"epcisHeader": []}, "/epcisHeader", "wrong-type"),
        ({"epcisHeader": {"note": 1}}, "/epcisHeader/note", "unknown-field"),
        ({"epcisHeader": {"epcisMasterData": 1}}, "/epcisHeader/epcisMasterData", "wrong-type"),
    ],
)
def test_a_broken_frame_is_named_by_its_pointer(changes: dict[str, Any], pointer: str, rule: str) -> None:
    events = [] if rule == "no-records" else [event()]
    assert (pointer, rule) in places(document(*events, **changes))


def test_a_remark_without_prefix_beside_the_events_is_kept_with_a_warning() -> None:
    read = read_document(raw(document(event(), _comment=["a"])), "application/json")
    assert [finding.pointer for finding in read.warnings] == ["/_comment"]
    assert read.header.committed["document"]["_comment"] == ["a"]


def test_a_list_entry_that_is_no_event_is_refused() -> None:
    assert places(document(event(), None, 7)) == [
        ("/epcisBody/eventList/1", "wrong-type"),
        ("/epcisBody/eventList/2", "wrong-type"),
    ]


def test_what_is_measured_of_no_thing_is_measured_at_a_place() -> None:
    measured = {"epcList": None, "ilmd": None, "sensorElementList": [SENSOR]}
    whole = {name: item for name, item in (event() | measured).items() if item is not None}
    assert len(read_document(raw(document(whole)), "application/json").events) == 1
    bare = {name: item for name, item in whole.items() if name != "readPoint"}
    assert places(document(bare)) == [("/epcisBody/eventList/0", "missing-field")]
    # As the standard's schema has it, a list of things that is there may be empty.
    assert len(read_document(raw(document(bare | {"epcList": []})), "application/json").events) == 1


def test_more_records_than_a_capture_holds_are_too_large() -> None:
    one = raw(event())
    whole = raw(document()).replace(b'"eventList": []', b'"eventList": [' + b",".join([one] * 65_535) + b"]")
    with pytest.raises(TooLarge) as caught:
        read_document(whole, "application/json")
    assert caught.value.rule == "too-many-records"


def test_more_units_than_a_record_holds_are_too_large() -> None:
    many = [f"urn:example:{number}" for number in range(65_536)]
    with pytest.raises(TooLarge) as caught:
        read_document(raw(document(event(epcList=many))), "application/json")
    assert caught.value.rule == "too-many-units"


def read_or_refuse(value: Any) -> int:
    """The number of events or of findings; any other exception than a refusal is the test's failure."""
    try:
        return len(read_document(raw(value), "application/json").events)
    except InvalidInput as refusal:
        return len(refusal.findings)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["", "x", "urn:a:b", "ADD", "@id", "@type", "shipping", "2026-05-04T10:11:12Z"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "type", "@context", "ex:a", "no:b", "source", "epcClass", "set", "sensorReport"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
FIELD_NAMES = sorted(
    {name for fields in EVENTS.values() for name in fields}
    | {
        "@context",
        "sensorElementList",
        "sourceList",
        "persistentDisposition",
        "errorDeclaration",
        "ex:a",
        "eventID",
    }
)


@given(
    kind=st.sampled_from(sorted(EVENTS)),
    changes=st.dictionaries(st.sampled_from(FIELD_NAMES), JSON_VALUES, max_size=3),
)
def test_any_event_is_read_or_refused_with_findings(kind: str, changes: dict[str, Any]) -> None:
    assert read_or_refuse(document(event(kind) | changes)) >= 1


@given(
    changes=st.dictionaries(
        st.sampled_from(["@context", "epcisHeader", "epcisBody", "id", "ex:a", "creationDate", "type"]),
        JSON_VALUES,
        max_size=2,
    )
)
def test_any_frame_is_read_or_refused_with_findings(changes: dict[str, Any]) -> None:
    assert read_or_refuse(document(event()) | changes) >= 1
