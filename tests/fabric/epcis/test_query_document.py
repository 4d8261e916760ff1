"""Events as JSON documents: exactly what the standard's schema has, each body and each name's meaning kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fabric.epcis import body_digest, read_document, resolve_name
from fabric.epcis.identity import as_sent
from fabric.epcis.query_document import (
    STANDARD,
    Shown,
    json_document,
    json_query_document,
    json_query_document_parts,
)
from fabric.epcis.representation import as_sent as event_as_sent
from ledger.canonical import canonical
from ledger.errors import InvalidInput

from .documents import EVENTS, GS1, GS1_DIGEST, document, event, raw

CREATED = "2026-05-04T12:00:00.000Z"
RECORDED = "2026-05-04T11:00:00.000Z"
WORKING_COPY = "https://gs1.github.io/EPCIS/epcis-context.jsonld"
EX = [GS1, {"ex": "https://ns.example.com/"}]


def shown(value: dict[str, Any], context: Sequence[Any] = EX) -> Shown:
    return Shown({**value, "recordTime": RECORDED}, context)


def query_document(*events: Shown, **changes: Any) -> dict[str, Any]:
    arguments = {"created": CREATED, "query_name": None, **changes}
    found: dict[str, Any] = json.loads(json_query_document(events, **arguments))
    return found


def events_of(value: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = value["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return found


@pytest.fixture(scope="module")
def schema(shared_data: Path) -> jsonschema.Draft7Validator:
    path = shared_data / "epcis" / "gs1" / "EPCIS-JSON-Schema.json"
    return jsonschema.Draft7Validator(json.loads(path.read_bytes()))


def test_events_of_one_context_have_it_at_the_top_and_their_bodies_unchanged() -> None:
    values = [event(kind) for kind in EVENTS]
    data = json_query_document([shown(one) for one in values], created=CREATED, query_name="mine")
    found = json.loads(data)
    assert found["@context"] == EX
    assert (found["type"], found["schemaVersion"], found["creationDate"]) == (
        "EPCISQueryDocument",
        "2.0",
        CREATED,
    )
    for one in values:
        assert canonical({**one, "recordTime": RECORDED}) in data
    assert ["@context" in one for one in events_of(found)] == [False] * len(EVENTS)


def test_a_result_without_events_is_a_document_with_an_empty_list() -> None:
    found = query_document()
    assert found["@context"] == [GS1]
    assert found["epcisBody"] == {
        "queryResults": {"queryName": "SimpleEventQuery", "resultsBody": {"eventList": []}}
    }
    found = query_document(query_name="mine", subscription_id="s-1")
    assert found["epcisBody"]["queryResults"]["queryName"] == "mine"
    assert found["epcisBody"]["queryResults"]["subscriptionID"] == "s-1"
    assert json.loads(json_document([], created=CREATED))["epcisBody"] == {"eventList": []}


def test_two_events_that_bind_one_prefix_to_two_namespaces_keep_both() -> None:
    one = shown(event("ObjectEvent", **{"ex:a": 1}), [GS1, {"ex": "https://one.example.com/"}])
    two = shown(event("ObjectEvent", **{"ex:a": 1}), [GS1, {"ex": "https://two.example.com/"}])
    found = query_document(one, two)
    assert found["@context"] == [GS1]
    data = json.dumps(found).encode()
    names = [
        resolve_name(row.committed["@context"], "ex:a")
        for row in read_document(data, "application/ld+json").events
    ]
    assert names == ["https://one.example.com/a", "https://two.example.com/a"]


@pytest.mark.parametrize(
    "address", [GS1, "https://ref.gs1.org/standards/epcis/epcis-context.jsonld", WORKING_COPY]
)
def test_the_standards_context_is_there_once_under_the_address_that_was_sent(address: str) -> None:
    sent = [address, {"ex": "https://ns.example.com/"}]
    assert query_document(shown(event(), sent))["@context"] == sent
    mixed = query_document(shown(event(), sent), shown(event(), EX), shown(event(ilmd=None), [GS1]))
    if address == GS1:
        assert [one.get("@context") for one in events_of(mixed)] == [EX[1:], EX[1:], None]
    assert mixed["@context"] == [GS1]
    assert [one.get("@context") for one in events_of(mixed)][2] is None


def test_a_context_without_the_standards_gets_it_in_front() -> None:
    sent = [{"ex": "https://ns.example.com/"}]
    assert query_document(shown(event(), sent))["@context"] == [GS1, *sent]


def test_an_address_that_is_not_known_stays_with_the_event_that_sent_it() -> None:
    sent = [GS1, "https://example.com/context.jsonld"]
    found = query_document(shown(event(), sent), shown(event()))
    assert [one["@context"] for one in events_of(found)] == [sent[1:], EX[1:]]


def test_a_prefix_of_the_standard_bound_otherwise_is_no_trouble_to_the_events_beside_it() -> None:
    sent = [GS1, {"cbvmda": "urn:epcglobal:cbv:mda", "ex": "https://ns.example.com/"}]
    alone = [GS1, {"cbvmda": "urn:epcglobal:cbv:mda"}]
    assert query_document(shown(event(), sent))["@context"] == sent
    found = query_document(shown(event(), sent), shown(event(ilmd=None), alone), shown(event()))
    assert [one.get("@context") for one in events_of(found)] == [EX[1:], None, EX[1:]]


def published(shared_data: Path) -> list[Shown]:
    """Events of all published JSON documents whose contexts are known."""
    corpus, rows = shared_data / "epcis", []
    for path in sorted([*corpus.rglob("*.json"), *corpus.rglob("*.jsonld")]):
        try:
            read = read_document(path.read_bytes(), "application/ld+json")
        except InvalidInput:
            continue
        if not read.unresolved:
            rows += [Shown(*event_as_sent(one.committed)) for one in read.events]
    return rows


def typed(value: Any) -> Iterator[dict[str, Any]]:
    """The events in what JSON-LD expanded, in order."""
    if isinstance(value, list):
        for one in value:
            yield from typed(one)
    elif isinstance(value, dict):
        if {f"https://ref.gs1.org/epcis/{kind}" for kind in EVENTS} & {*value.get("@type", ())}:
            yield value
        else:
            for one in value.values():
                yield from typed(one)


def test_another_reader_of_json_ld_gives_each_event_among_others_the_meaning_it_had_alone(
    shared_data: Path,
) -> None:
    jsonld = pytest.importorskip("pyld").jsonld
    standard = json.loads((shared_data / f"epcis/event-hash/{GS1_DIGEST}.jsonld").read_bytes())
    working_copy = json.loads((shared_data / "epcis/gs1/epcis-context.jsonld").read_bytes())
    known = {**dict.fromkeys(STANDARD, standard), WORKING_COPY: working_copy}

    def load(url: str, _: Any) -> dict[str, Any]:
        return {"contextUrl": None, "documentUrl": url, "document": known[url]}

    options = {"documentLoader": load}
    rows, other = published(shared_data), 0
    found = list(typed(jsonld.expand(query_document(*rows), options)))
    for row, among in zip(rows, found, strict=True):
        try:
            (alone,) = jsonld.expand({"@context": [*row.context], **row.event}, options)
        except jsonld.JsonLdError:
            other += 1
            continue
        # The working copy types quantities in another way; nothing else may differ.
        assert alone == among or WORKING_COPY in row.context
    assert (len(found), other) == (len(rows), 9)
    assert len(rows) > 130


def test_what_is_captured_comes_back_as_the_same_bodies_alone_and_among_others() -> None:
    other = {"ex": "https://other.example.com/", "y": "urn:example:y:"}
    values = [
        event("ObjectEvent", **{"ex:n": 0.5}),
        event("TransformationEvent"),
        event("ObjectEvent", **{"@context": other, "y:z": True}),
    ]
    first = read_document(raw(document(*values)), "application/ld+json").events
    rows = [
        Shown(
            {name: inner for name, inner in one.committed.items() if name != "@context"},
            as_sent(one.committed["@context"]),
        )
        for one in first
    ]
    for part in ([rows[0]], [rows[2]], rows):
        again = read_document(
            json_query_document(part, created=CREATED, query_name=None), "application/ld+json"
        )
        found = {body_digest(one.committed) for one in again.events}
        assert found <= {body_digest(one.committed) for one in first}
        assert len(found) == len(part)


def test_what_is_written_satisfies_the_schema_of_the_standard(schema: jsonschema.Draft7Validator) -> None:
    values = [shown(event(kind)) for kind in EVENTS]
    for rows in ([], values, [values[0], shown(event(), [GS1, {"ex": "urn:example:"}])]):
        for data in (
            json_query_document(rows, created=CREATED, query_name="a", subscription_id="b"),
            json_document(rows, created=CREATED),
        ):
            schema.validate(json.loads(data))


def test_a_document_comes_in_pieces_of_one_event_each() -> None:
    rows = [shown(event())] * 50
    parts = list(json_query_document_parts(rows, created=CREATED, query_name=None))
    assert b"".join(parts) == json_query_document(rows, created=CREATED, query_name=None)
    assert len(parts) == 52


def test_a_value_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        json_query_document(
            [shown(event("ObjectEvent", **{"ex:n": float("nan")}))], created=CREATED, query_name=None
        )
    assert caught.value.rule == "jcs-number"
