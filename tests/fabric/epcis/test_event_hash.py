"""The event hash ID: our own vectors, what must not change it, what must, and what it refuses."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis import read_document
from fabric.epcis.contexts import PACKAGED
from fabric.epcis.event_hash import Hashed, hash_document, hash_of, index_key, names_of, record_hash
from fabric.epcis.event_hash_file import hash_file
from fabric.epcis.event_hash_names import _converted, constrained_link
from ledger.canonical import canonical
from ledger.errors import InvalidInput

from .documents import EVENTS, GS1

VECTORS = json.loads((Path(__file__).parents[3] / "docs/spec/vectors/event-hash.json").read_text("utf-8"))[
    "vectors"
]
NS = "https://example.org/ns/"
CONTEXT: list[Any] = [GS1, {"ex": NS}]
EVENT: dict[str, Any] = {"@context": CONTEXT, **EVENTS["ObjectEvent"]}


def hashed(event: dict[str, Any]) -> Hashed:
    (one,) = hash_document({"@context": CONTEXT, **event})
    return one


def pre_image(event: dict[str, Any]) -> str:
    one = hashed(event)
    assert one.problem is None
    assert one.pre_image is not None
    return one.pre_image


def problem(event: dict[str, Any]) -> tuple[str, str]:
    one = hashed(event)
    assert (one.pre_image, one.hash_id) == (None, None)
    assert one.problem is not None
    (finding,) = one.problem.findings
    assert finding.rule == one.problem.rule
    return finding.pointer, finding.rule


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_published_vectors_come_out(vector: dict[str, Any]) -> None:
    found = hash_document(vector["document"])
    assert [one.pre_image for one in found] == vector["preImages"]
    assert [one.hash_id for one in found] == vector["hashes"]


def test_the_hash_is_the_name_of_the_pre_images_digest() -> None:
    # SHA-256 of "abc", FIPS 180-4.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_of("abc") == f"ni:///sha-256;{digest}?ver=CBV2.0"


def test_a_records_hash_is_that_of_the_document_it_came_from() -> None:
    for event in EVENTS.values():
        document = {"@context": CONTEXT, **event}
        read = read_document(canonical(document), "application/json")
        assert record_hash(read.events[0].committed) == hashed(event).hash_id


def shuffled(value: Any, random: Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        random.shuffle(names)
        return {name: shuffled(value[name], random) for name in names}
    if isinstance(value, list):
        items = [shuffled(item, random) for item in value]
        random.shuffle(items)
        return items
    return value


@given(random=st.randoms(use_true_random=False))
def test_the_order_of_members_and_of_lists_means_nothing(random: Random) -> None:
    for vector in VECTORS:
        document = vector["document"]
        if document["type"].endswith("Event"):
            changed = {**shuffled(document, random), "@context": document["@context"]}
            assert [one.hash_id for one in hash_document(changed)] == vector["hashes"]


@given(
    prefix=st.from_regex(r"[a-z]{3,6}", fullmatch=True).filter(
        lambda name: name not in names_of([GS1]).prefixes
    )
)
def test_the_prefix_chosen_for_a_namespace_means_nothing(prefix: str) -> None:
    here = {
        "@context": [GS1, {prefix: NS}],
        **EVENTS["ObjectEvent"],
        f"{prefix}:a": "1",
        "ilmd": {f"{prefix}:b": "2"},
    }
    there = {**EVENTS["ObjectEvent"], "ex:a": "1", "ilmd": {"ex:b": "2"}}
    assert hash_document(here)[0].hash_id == hashed(there).hash_id


def test_every_member_that_takes_part_changes_the_hash() -> None:
    for vector in VECTORS:
        event = vector["document"]
        if not event["type"].endswith("Event"):
            continue
        for name in event.keys() - {"@context", "type", "eventTime"}:
            less = {other: value for other, value in event.items() if other != name}
            same = hash_document(less)[0].hash_id == vector["hashes"][0]
            assert same == (name in ("eventID", "recordTime", "rdfs:comment")), name


def test_empty_lists_and_objects_are_as_if_absent() -> None:
    empty = {"bizTransactionList": [], "ilmd": {}, "sensorElementList": [], "sourceList": [], "epcList": [""]}
    event = {name: value for name, value in EVENTS["ObjectEvent"].items() if name not in ("epcList", "ilmd")}
    assert pre_image({**event, **empty}) == pre_image(event)


@pytest.mark.parametrize(
    ("changes", "pointer", "rule"),
    [
        ({"eventTime": "2026-02-30T10:00:00Z"}, "/eventTime", "bad-time"),
        ({"eventTime": "2026-02-28T10:00:00"}, "/eventTime", "bad-time"),
        ({"eventTime": "9999-12-31T23:59:59.9995Z"}, "/eventTime", "bad-time"),
        ({"eventTime": "0001-01-01T00:00:00+00:01"}, "/eventTime", "bad-time"),
        ({"eventTime": "2026-02-28T10:00:00+14:01"}, "/eventTime", "bad-time"),
        ({"eventTime": 7}, "/eventTime", "wrong-type"),
        ({"type": "OtherEvent"}, "/type", "unknown-event-type"),
        ({"type": ["ObjectEvent"]}, "/type", "unknown-event-type"),
        ({"bizStep": 3}, "/bizStep", "wrong-type"),
        ({"epcList": ["urn:a:1", {"id": "urn:a:2"}]}, "/epcList/1", "wrong-type"),
        ({"readPoint": "urn:a:1"}, "/readPoint", "wrong-type"),
        (
            {"quantityList": [{"epcClass": "urn:a:1"}, {"quantity": "many"}]},
            "/quantityList/1/quantity",
            "wrong-type",
        ),
        ({"quantityList": [{"quantity": float("inf")}]}, "/quantityList/0/quantity", "bad-number"),
        ({"quantityList": [{"quantity": "1e9999"}]}, "/quantityList/0/quantity", "bad-number"),
        ({"sourceList": ["urn:a:1"]}, "/sourceList/0", "wrong-type"),
        (
            {"sensorElementList": [{"sensorReport": [{"time": "now"}]}]},
            "/sensorElementList/0/sensorReport/0/time",
            "bad-time",
        ),
        ({"no:such": "1"}, "/no:such", "undeclared-prefix"),
        ({"ilmd": {"ex:a": {"no:such": "1"}}}, "/ilmd/ex:a/no:such", "undeclared-prefix"),
        ({"ex:a": "\ud800"}, "", "lone-surrogate"),
    ],
)
def test_what_cannot_be_written_is_refused_by_its_pointer(
    changes: dict[str, Any], pointer: str, rule: str
) -> None:
    assert problem({**EVENTS["ObjectEvent"], **changes}) == (pointer, rule)


def test_nesting_without_end_is_refused_and_exhausts_nothing() -> None:
    for wrap in (lambda value: [value], lambda value: {"ex:a": value}):
        value: Any = "1"
        for _ in range(2_000):
            value = wrap(value)
        one = hashed({**EVENTS["ObjectEvent"], "ex:deep": value})
        assert one.problem is not None
        assert one.problem.rule == "too-deep"


@pytest.mark.parametrize(
    "value",
    [None, [], "text", {"type": "EPCISDocument"}, {"type": "EPCISDocument", "epcisBody": {"eventList": {}}}],
)
def test_what_holds_no_events_is_refused_whole(value: Any) -> None:
    with pytest.raises(InvalidInput):
        hash_document(value)


def test_only_extensions_can_be_named_as_added_by_a_repository() -> None:
    context = [*CONTEXT, {"r": "https://repository-x.example.com/"}]
    event = {**EVENTS["ObjectEvent"], "ex:added": "1"}
    body = {"epcisBody": {"eventList": [event]}}
    frame = {"@context": context, "type": "EPCISDocument", **body}
    names = ["ex:added", "bizStep", "eventTime", 7]
    less = {name: value for name, value in event.items() if name != "ex:added"}
    assert hash_document({**frame, "r:ignoreFields": names})[0].pre_image == pre_image(less)
    by_iri = {"https://repository-x.example.com/ignoreFields": {f"{NS}added": ""}}
    assert hash_document({**frame, **by_iri})[0].pre_image == pre_image(less)
    assert hash_document({**frame, "ex:ignoreFields": names})[0].pre_image == pre_image(event)


def test_a_documents_own_spelling_of_a_namespace_goes_first() -> None:
    event = {**EVENTS["ObjectEvent"], "ilmd": {"cbvmda:lotNumber": "L"}}
    assert "{urn:epcglobal:cbv:mda:}lotNumber=L" in pre_image(event)
    (one,) = hash_document({"@context": CONTEXT, **event}, PACKAGED, {"cbvmda": "urn:epcglobal:cbv:mda"})
    assert "{urn:epcglobal:cbv:mda}lotNumber=L" in (one.pre_image or "")


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("urn:epc:id:sgtin:9506000.013435.a%2Fb", "01/09506000134352/21/a%2Fb"),
        ("urn:epc:id:sgtin:9506000.013435.!'()*+,-.:;=_", "01/09506000134352/21/%21'%28%29%2A%2B%2C-.%3A;=_"),
        ("https://a.example/x/01/9506000134352/10/L/21/a%2fb?q#f", "01/09506000134352/21/a%2Fb"),
        ("http://id.gs1.org/gtin/09506000134352/cpv/2A/lot/L/", "01/09506000134352/10/L"),
        ("urn:epc:id:upui:9506000.013435.A", "01/09506000134352/235/A"),
        ("urn:epc:id:sgln:9506000.00001.0", "414/9506000000015"),
        ("urn:epc:id:sgln:9506000.00001.A", "414/9506000000015/254/A"),
        ("urn:epc:id:pgln:9506000.00001", "417/9506000000015"),
        ("urn:epc:id:grai:9506000.00001.A", "8003/09506000000015A"),
        ("urn:epc:idpat:grai:9506000.00001.*", "8003/09506000000015"),
        ("urn:epc:id:gdti:9506000.00001.A", "253/9506000000015A"),
        ("urn:epc:id:sgcn:9506000.00001.7", "255/95060000000157"),
        ("urn:epc:id:giai:9506000.A.B", "8004/9506000A.B"),
        ("urn:epc:id:ginc:9506000.A%2FB", "401/9506000A%2FB"),
        ("urn:epc:id:cpi:9506000.A%23B.12", "8010/9506000A%23B/8011/12"),
        ("urn:epc:idpat:cpi:9506000.AB.*", "8010/9506000AB"),
        ("urn:epc:id:itip:9506000.013435.01.02.S", "8006/095060001343520102/21/S"),
        ("urn:epc:class:lgtin:9506000.013435.L", "01/09506000134352/10/L"),
        ("urn:epc:id:sscc:0614141.1234567890", "00/106141412345678908"),
    ],
)
def test_every_spelling_of_a_key_becomes_its_constrained_link(text: str, link: str) -> None:
    assert constrained_link(text) == f"https://id.gs1.org/{link}"
    assert constrained_link(constrained_link(text)) == f"https://id.gs1.org/{link}"


@pytest.mark.parametrize(
    "text",
    [
        "urn:epc:id:gid:1.2.3",
        "urn:epc:id:sgtin:9506000.13435.1",
        "urn:epc:id:sgtin:9506000.013435",
        "urn:epc:id:sgtin:9506000.013435.a%2",
        "urn:epc:id:sgtin:9506000.013435.{}",
        "urn:epc:id:sgtin:95060.01343500.1",
        "urn:epc:idpat:sgtin:9506000.*.*",
        "urn:epc:idpat:sscc:0614141.1234567890.*",
        "urn:epc:id:cpi:9506000.ab.12",
        "urn:epc:id:cpi:9506000.AB.x",
        "https://a.example/01/950600013435",
        "https://a.example/01/09506000134352/21",
        "https://a.example/01/09506000134352/99/1",
        "https://a.example/01/09506000134352/21/1/21/2",
        "https://01/09506000134352",
        "https://id.gs1.org/8018/950600000000000001/8019/1",
        "https://",
        "http",
    ],
)
def test_what_fits_no_key_stays_as_it_was_sent(text: str) -> None:
    expected = text if not text.endswith("/01/950600013435") else "https://id.gs1.org/01/00950600013435"
    assert constrained_link(text) == expected


CHARACTERS = st.text("!'()*+,-.:;=_%2F5aZ09", min_size=0, max_size=22)


@given(
    scheme=st.sampled_from(["id:sgtin", "class:lgtin"]),
    prefix=st.from_regex("[0-9]{5,13}", fullmatch=True),
    reference=st.from_regex("[0-9]{0,8}", fullmatch=True),
    tail=CHARACTERS,
)
def test_the_short_way_to_a_link_ends_where_the_long_one_does(
    scheme: str, prefix: str, reference: str, tail: str
) -> None:
    urn = f"urn:epc:{scheme}:{prefix}.{reference}.{tail}"
    link = constrained_link(urn)
    assert link == _converted(urn)
    assert constrained_link(link) == link
    fits = 6 <= len(prefix) <= 12 and len(prefix) + len(reference) == 13
    assert fits or link == urn


@given(
    digits=st.from_regex("[0-9]{12,18}", fullmatch=True),
    key=st.sampled_from(["00", "01", "414", "417"]),
    tail=CHARACTERS,
)
def test_a_link_that_is_canonical_already_stays(digits: str, key: str, tail: str) -> None:
    for text in (f"https://id.gs1.org/{key}/{digits}", f"https://id.gs1.org/{key}/{digits}/21/{tail}"):
        assert constrained_link(text) == _converted(text)


XML = (
    b'<e:EPCISDocument xmlns:e="urn:epcglobal:epcis:xsd:2" schemaVersion="2.0" creationDate="2026-05-04T09:00:00Z"%b>'
    b"<EPCISBody><EventList>%b</EventList></EPCISBody></e:EPCISDocument>"
)
XML_EVENT = (
    b"<ObjectEvent><eventTime>2026-05-04T08:11:12Z</eventTime><eventTimeZoneOffset>+00:00</eventTimeZoneOffset>"
    b"<epcList%b><epc>urn:example:1</epc></epcList><action>ADD</action>%b</ObjectEvent>"
)


def test_an_event_whose_xml_says_more_than_its_json_has_no_hash() -> None:
    events = [XML_EVENT % (b"", b""), XML_EVENT % (b' checked="yes"', b""), XML_EVENT % (b"", b"")]
    first, second, third = hash_file(XML % (b"", b"".join(events)))
    assert first.hash_id == third.hash_id == hash_of(first.pre_image or "")
    assert (second.position, second.hash_id) == (1, None)
    assert second.problem is not None
    assert second.problem.rule == "unknown-attribute"


def test_the_master_data_vocabulary_is_written_as_the_xml_spells_it() -> None:
    lot = b"<ilmd><m:lotNumber>7</m:lotNumber></ilmd>"
    for spelled in (b"urn:epcglobal:cbv:mda", b"urn:epcglobal:cbv:mda:"):
        (one,) = hash_file(XML % (b' xmlns:m="%b"' % spelled, XML_EVENT % (b"", lot)))
        assert (one.pre_image or "").endswith(f"ilmd{{{spelled.decode()}}}lotNumber=7")


def test_an_index_tells_apart_what_shares_a_hash() -> None:
    read = read_document(canonical(EVENT), "application/json").events[0].committed
    declared = {**read, "errorDeclaration": {"declarationTime": "2026-05-05T00:00:00Z"}}
    here, there = index_key(read), index_key(declared)
    assert here.hash_id == there.hash_id
    assert (here.declares, there.declares) == (False, True)
    assert here != there


@pytest.mark.parametrize("nested", [False, True], ids=["of numbers", "of objects"])
def test_a_namespace_that_a_list_would_repeat_beyond_measure_is_refused_by_pointer(nested: bool) -> None:
    """A few hundred kilobytes of JSON would be gigabytes of text."""
    context = [GS1, {"far": f"https://far.example/{'n' * 100_000}#"}]
    items = [{"far:a": number} for number in range(20_000)] if nested else list(range(20_000))
    small, large = (
        {**EVENTS["ObjectEvent"], "@context": context, "far:b": some} for some in (items[:5], items)
    )
    del small["ilmd"], large["ilmd"]
    tracemalloc.start()
    try:
        (good,), (bad,) = hash_document(small), hash_document(large)
        assert tracemalloc.get_traced_memory()[1] < 400_000_000
    finally:
        tracemalloc.stop()
    assert good.hash_id is not None
    assert bad.hash_id is None
    assert bad.problem is not None
    assert bad.problem.rule == "too-long"
    assert bad.problem.findings[0].pointer.startswith("/far:b")
    # What was spent on one event is not missing at the next.
    assert hash_document(small)[0].hash_id == good.hash_id
