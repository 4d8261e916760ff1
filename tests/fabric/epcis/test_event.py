"""A committed record reads as the event it is, alone and anywhere."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis import (
    Event,
    Kind,
    Quantity,
    Role,
    Thing,
    read_document,
    read_event,
    read_untrusted_event,
)
from fabric.epcis.times import parse_offset, parse_time, time_of
from fabric.trace.document import time_text
from ledger.errors import InvalidInput

from .documents import EVENTS, document, event, raw


def read(sent: dict[str, Any]) -> Event:
    return read_document(raw(document(sent)), "application/json").events[0].event


@pytest.mark.parametrize("kind", EVENTS)
def test_a_stored_record_reads_as_it_did_at_the_door(kind: str) -> None:
    record = read_document(raw(document(event(kind))), "application/json").events[0]
    assert read_event(json.loads(json.dumps(record.committed))) == record.event


@pytest.mark.parametrize("kind", EVENTS)
def test_a_disclosed_record_is_validated_before_it_is_read(kind: str) -> None:
    record = read_document(raw(document(event(kind))), "application/json").events[0]
    assert read_untrusted_event(record.committed) == record.event
    for broken in (
        record.committed | {"eventTime": "x"},
        record.committed | {"@context": ["https://x.example/"]},
        record.committed | {"readPoint": [[]]},
        {name: value for name, value in record.committed.items() if name != "eventTimeZoneOffset"},
        {"@context": [{"a": {}}], "type": kind},
        {},
    ):
        with pytest.raises(InvalidInput) as caught:
            read_untrusted_event(broken)
        assert caught.value.findings


@given(
    committed=st.dictionaries(
        st.sampled_from(["type", "eventTime", "eventTimeZoneOffset", "epcList", "quantityList", "readPoint"]),
        st.none()
        | st.integers()
        | st.just("ObjectEvent")
        | st.just([{}])
        | st.just(["x"])
        | st.just({"id": 1}),
    )
)
def test_part_of_a_record_is_refused_and_nothing_else_escapes(committed: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        read_event(committed)


def test_two_spellings_of_one_thing_in_a_list_are_one_thing() -> None:
    sent = event(epcList=["urn:epc:id:sgtin:9506000.013435.1", "https://id.gs1.org/01/09506000134352/21/1"])
    assert roles(sent)[:2] == [
        ("object", "urn:epc:id:sgtin:9506000.013435.1"),
        ("mention", PLACE),
    ]


def roles(sent: dict[str, Any]) -> list[tuple[str, str]]:
    return [(ref.role.value, ref.original) for ref in read(sent).things]


PLACE = "urn:epc:id:sgln:9506000.00001.0"


def test_each_type_gives_its_things_their_roles() -> None:
    assert roles(event()) == [("object", "urn:epc:id:sgtin:9506000.013435.1"), ("mention", PLACE)]
    assert roles(event("AggregationEvent")) == [
        ("parent", "https://id.gs1.org/00/106141412345678908"),
        ("child", "https://id.gs1.org/01/09506000134352/10/L1"),
        ("mention", PLACE),
    ]
    assert roles(event("TransformationEvent")) == [
        ("input", "urn:epc:class:lgtin:4012345.012345.998877"),
        ("output", "https://id.gs1.org/01/09506000134352/21/1"),
        ("mention", PLACE),
    ]


def test_a_transaction_event_only_mentions() -> None:
    sent = event("TransactionEvent", parentID="urn:example:p", quantityList=[{"epcClass": "urn:example:q"}])
    assert {ref.role for ref in read(sent).things} == {Role.MENTION}


def test_parties_places_documents_and_devices_are_mentioned_once() -> None:
    sent = event(
        bizLocation={"id": "https://id.gs1.org/414/9506000000015"},
        sourceList=[
            {"type": "owning_party", "source": "urn:epc:id:pgln:9506000.00001"},
            {"type": "location", "source": PLACE},
        ],
        destinationList=[{"type": "urn:epcglobal:cbv:sdt:owning_party", "destination": "urn:example:buyer"}],
        bizTransactionList=[
            {"bizTransaction": "urn:example:po:1"},
            {"type": "po", "bizTransaction": "urn:example:po:1"},
        ],
        sensorElementList=[
            {
                "sensorMetadata": {"deviceID": "urn:example:d:1"},
                "sensorReport": [{"type": "Mass", "deviceID": "urn:example:d:2"}, {"type": "Mass"}],
            }
        ],
    )
    got = read(sent)
    mentions = [(ref.thing.iri, ref.thing.kind) for ref in got.things if ref.role is Role.MENTION]
    assert mentions == [
        ("https://id.gs1.org/414/9506000000015", Kind.PLACE),
        ("https://id.gs1.org/417/9506000000015", Kind.PARTY),
        ("urn:example:buyer", Kind.PARTY),
        ("urn:example:po:1", Kind.DOCUMENT),
        ("urn:example:d:1", Kind.DEVICE),
        ("urn:example:d:2", Kind.DEVICE),
    ]
    assert got.read_point == got.biz_location == "https://id.gs1.org/414/9506000000015"
    assert got.sources == (
        ("https://ref.gs1.org/cbv/SDT-owning_party", "https://id.gs1.org/417/9506000000015"),
        ("https://ref.gs1.org/cbv/SDT-location", "https://id.gs1.org/414/9506000000015"),
    )
    assert got.destinations == (("https://ref.gs1.org/cbv/SDT-owning_party", "urn:example:buyer"),)
    assert got.transactions == (
        (None, "urn:example:po:1"),
        ("https://ref.gs1.org/cbv/BTT-po", "urn:example:po:1"),
    )


def quantity_of(text: str) -> Quantity | None:
    element = f'{{"epcClass": "urn:example:q", "quantity": {text}, "uom": "KGM"}}'
    whole = json.dumps(document(event(quantityList=["HERE"]))).replace('"HERE"', element)
    things = read_document(whole.encode(), "application/json").events[0].event.things
    return next(ref.quantity for ref in things if ref.original == "urn:example:q")


@pytest.mark.parametrize(
    "text", ["0.1", "12.5", "3", "0", "1e-7", "123456789.123", "0.000123", "9007199254740991"]
)
def test_a_quantity_is_the_decimal_that_was_written(text: str) -> None:
    assert quantity_of(text) == Quantity(Decimal(text), "KGM")


def test_no_quantity_is_unknown_and_no_unit_is_items() -> None:
    sent = event(quantityList=[{"epcClass": "urn:example:a"}, {"epcClass": "urn:example:b", "quantity": 4}])
    amounts = {ref.original: ref.quantity for ref in read(sent).things}
    assert amounts["urn:example:a"] is None
    assert amounts["urn:example:b"] == Quantity(Decimal(4), None)


def test_private_names_take_their_kind_from_where_they_stand() -> None:
    sent = event(epcList=["urn:example:a"], quantityList=[{"epcClass": "urn:example:b"}])
    kinds = {ref.thing for ref in read(sent).things if ref.role is Role.OBJECT}
    assert kinds == {Thing("urn:example:a", Kind.SERIAL), Thing("urn:example:b", Kind.LOT)}


def test_a_declaration_keeps_reason_and_correctives() -> None:
    sent = event(
        eventID="urn:uuid:1",
        errorDeclaration={
            "declarationTime": "1970-01-01T01:00:00.000001+01:00",
            "reason": "incorrect_data",
            "correctiveEventIDs": ["urn:uuid:2"],
            "ex:who": "me",
        },
    )
    declaration = read(sent).error_declaration
    assert declaration is not None
    assert declaration.time_us == 1
    assert declaration.reason == "https://ref.gs1.org/cbv/ER-incorrect_data"
    assert declaration.correctives == ("urn:uuid:2",)


def test_ilmd_and_extensions_are_the_json_as_sent() -> None:
    got = read(event() | {"ex:note": {"plain": [1, 2]}, "urn:example:x": None})
    assert got.ilmd == {"ex:harvest": {"field": 7}}
    assert got.extensions == {"ex:note": {"plain": [1, 2]}, "urn:example:x": None}


def test_no_event_can_be_changed() -> None:
    got = read(event())
    with pytest.raises(AttributeError):
        got.action = "DELETE"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "micros", "offset"),
    [
        ("1970-01-01T00:00:00Z", 0, None),
        ("1970-01-01T00:00:00.000001Z", 1, None),
        ("1970-01-01T00:00:00.0000019Z", 1, None),
        ("1970-01-01T00:00:00.5+00:00", 500_000, 0),
        ("1970-01-01T02:00:00+02:00", 0, 120),
        ("1969-12-31T10:00:00-14:00", 0, -840),
        ("1969-12-31T23:59:59.999999999Z", -1, None),
    ],
)
def test_times_are_microseconds_and_finer_digits_are_cut(text: str, micros: int, offset: int | None) -> None:
    assert parse_time(text) == (micros, offset)


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("0001-01-01T14:00:00+14:00", "0001-01-01T13:59:59.999999+14:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-00:01"),
        ("9999-12-31T09:59:59.999999-14:00", "9999-12-31T10:00:00-14:00"),
    ],
)
def test_an_instant_that_utc_cannot_write_is_refused_at_the_door(inside: str, outside: str) -> None:
    found = parse_time(inside)
    assert found is not None
    assert time_text(found[0]) is not None
    assert parse_time(time_text(found[0]) or "") == (found[0], None)
    assert parse_time(outside) is None
    offset = "+00:00" if inside[-1] == "Z" else inside[-6:]
    assert read(event(eventTime=inside, eventTimeZoneOffset=offset)).time_us == found[0]
    with pytest.raises(InvalidInput) as refused:
        read(event(eventTime=outside))
    assert [(one.pointer, one.rule) for one in refused.value.findings] == [
        ("/epcisBody/eventList/0/eventTime", "bad-time")
    ]


@pytest.mark.parametrize(
    ("time", "offset"), [("0001-01-01T00:00:00Z", "-05:00"), ("9999-12-31T23:59:59Z", "+00:01")]
)
def test_an_event_whose_local_date_no_calendar_has_is_refused(time: str, offset: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(event(eventTime=time, eventTimeZoneOffset=offset))
    assert [(one.pointer, one.rule) for one in refused.value.findings] == [
        ("/epcisBody/eventList/0/eventTimeZoneOffset", "bad-time")
    ]


@given(micros=st.integers(-(10**15), 10**16), offset=st.integers(-840, 840))
def test_every_time_reads_back(micros: int, offset: int) -> None:
    sign, size = "-" if offset < 0 else "+", abs(offset)
    written = f"{sign}{size // 60:02}:{size % 60:02}"
    local = time_of(micros + offset * 60_000_000).strftime("%Y-%m-%dT%H:%M:%S.%f")
    if len(local) == 26:
        assert parse_time(local + written) == (micros, offset)
    assert parse_offset(written) == offset


@given(text=st.text("0123456789-+:.TZ ", max_size=30))
def test_any_text_is_a_time_or_none(text: str) -> None:
    found = parse_time(text)
    assert found is None or (text[10] == "T" and isinstance(found[0], int))
    assert parse_offset(text) is None or len(text) == 6
