"""Every published file that there is, in JSON and XML: taken, or refused by the stated rule at the stated place.

What is taken comes back as the same records through both forms of a document (`test_xml_roundtrip` says in what the
published JSON differs after XML). Files that are no documents of events are told apart by what they are.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from fabric.epcis import Document, read_document
from fabric.epcis.document import media_type_of
from fabric.epcis.identity import as_sent
from fabric.epcis.query_document import Shown, json_document, json_query_document
from fabric.query.errors import QueryParameter
from fabric.query.parameters import from_json
from ledger.canonical import canonical
from ledger.errors import InvalidInput
from tests.fabric.capture.test_xml_pairs import OUT
from tests.fabric.epcis.test_corpus import EXCEPTIONS

CREATED = "2026-05-04T12:00:00.000Z"
_JSON = "openepcis/2.0/EPCIS/JSON/"
_XML = "openepcis/2.0/EPCIS/XML/"
_EVENTS = "/epcisBody/eventList"
_LIST = "/EPCISDocument/EPCISBody/EventList"

# Published as invalid: what is wrong with each, by rule and place.
INVALID = {
    f"{_JSON}Capture/Invalid/Combination_of_non_standard_bizStep_and_disposition.json": ("unknown-word", f"{_EVENTS}/0/bizStep"),
    f"{_JSON}Capture/Invalid/EPCISDocument_without_context.json": ("missing-field", ""),
    f"{_JSON}Capture/Invalid/ObjectEvent_with_ilmd_field_without_namespace.json": ("unknown-field", f"{_EVENTS}/0/ilmd/materialType"),
    f"{_JSON}Capture/Invalid/ObjectEvent_with_invalid_certificationInfo.json": ("not-a-uri", f"{_EVENTS}/0/certificationInfo/0"),
    f"{_JSON}Capture/Invalid/ObjectEvent_with_invalid_eventTime_format.json": ("bad-time", f"{_EVENTS}/0/eventTime"),
    f"{_JSON}Capture/Invalid/ObjectEvent_with_non_standard_bizStep_in_second_event.json": ("unknown-word", f"{_EVENTS}/1/bizStep"),
    f"{_JSON}Capture/Invalid/ObjectEvent_without_action_and_eventTime.json": ("missing-field", f"{_EVENTS}/0"),
    f"{_JSON}Query/Invalid/QueryDocument_with_invalid_eventType.json": ("unknown-event-type", "/epcisBody/queryResults/resultsBody/eventList/0/type"),
    f"{_XML}Capture/Invalid/ObjectEvent_with_invalid_action.xml": ("bad-action", f"{_LIST}/ObjectEvent[1]/action"),
    f"{_XML}Capture/Invalid/ObjectEvent_without_eventTime.xml": ("missing-field", f"{_LIST}/ObjectEvent[1]"),
    f"{_XML}Query/Invalid/QueryDocument_with_invalid_eventType.xml": ("unknown-event-type", "/EPCISQueryDocument/EPCISBody/QueryResults/resultsBody/EventList/ObjectEventInvalid[1]"),
}  # fmt: skip

# Questions, which are read as such: the rules and places that refuse each. The first has a GLN that ends in 2 where
# the check digit is 4.
QUERIES = {
    f"{_JSON}Query/Queries/SimpleEventQuery.json": [("bad-check-digit", "/EQ_bizLocation/0")],
    f"{_JSON}Query/Queries/Invalid/Query_with_invalid_values.json": [
        ("bad-time", "/GE_eventTime"),
        ("bad-action", "/EQ_action/0"),
        ("bad-direction", "/orderDirection"),
    ],
    f"{_JSON}Query/Queries/Invalid/Query_with_unknown_parameter.json": [
        ("unknown-parameter", "/GE_eventDate")
    ],
}

# Contexts, schemas and vocabularies: no documents of events, and refused as such.
NO_DOCUMENTS = {
    "event-hash/e532647e8eb371379b8b0e8602d8981c8566bc60f7351f22c76a5bc865962008.jsonld": "missing-field",
    "fsma204/context/.context-overrides.json": "missing-field",
    "fsma204/context/.shortcut-overrides.json": "missing-field",
    "fsma204/context/fsma204-context.jsonld": "missing-field",
    "fsma204/context/fsma204-operational-context.jsonld": "missing-field",
    "fsma204/context/fsma204-shortcut-context.jsonld": "missing-field",
    "fsma204/examples/ftl-product.jsonld": "unknown-event-type",
    "fsma204/examples/ftl-product.operational.jsonld": "missing-field",
    "fsma204/json/fsma204.json": "missing-field",
    "fsma204/validation/fsma204-schema.json": "unknown-event-type",
    "fsma204/validation/fsma204.extension-schema.json": "unknown-event-type",
    "gs1/EPCIS-JSON-Schema.json": "unknown-event-type",
    "gs1/epcis-context.jsonld": "missing-field",
    "gs1/rest/query-schedule.json": "unknown-event-type",
    "gs1/rest/query-schema.json": "missing-field",
    "seafood/gdst_json_schema.json": "unknown-event-type",
    **dict.fromkeys(QUERIES, "missing-field"),
}

# Taken files by collection, and the query documents among them.
TAKEN = {"event-hash": 39, "fsma204": 7, "gs1": 77, "openepcis": 64, "seafood": 10}
QUERY_DOCUMENTS = 15


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> Path:
    return shared_data / "epcis"


@pytest.fixture(scope="module")
def read(corpus: Path) -> dict[str, Document | InvalidInput]:
    """What becomes of each file in JSON or XML, by path."""
    found: dict[str, Document | InvalidInput] = {}
    for path in sorted(one for ending in ("json", "jsonld", "xml") for one in corpus.rglob(f"*.{ending}")):
        data = path.read_bytes()
        name = path.relative_to(corpus).as_posix()
        try:
            found[name] = read_document(data, media_type_of(data))
        except InvalidInput as error:
            found[name] = error
    return found


def test_every_file_is_taken_or_refused_by_the_stated_rule(read: dict[str, Document | InvalidInput]) -> None:
    refused = {name: one.rule for name, one in read.items() if isinstance(one, InvalidInput)}
    stated = {**OUT, **EXCEPTIONS, **NO_DOCUMENTS, **{name: rule for name, (rule, _) in INVALID.items()}}
    assert refused == stated
    taken = Counter(name.partition("/")[0] for name in read.keys() - refused.keys())
    assert dict(taken) == TAKEN


def test_every_file_that_is_published_as_invalid_is_refused_at_the_place_that_is_wrong(
    read: dict[str, Document | InvalidInput],
) -> None:
    found = {}
    for name, one in read.items():
        if "/Invalid/" in name and name not in QUERIES:
            assert isinstance(one, InvalidInput)
            found[name] = (one.rule, one.findings[0].pointer)
    assert found == INVALID


def test_the_documents_that_answer_a_query_are_read_as_such(
    read: dict[str, Document | InvalidInput],
) -> None:
    found = [
        one.header.committed["document"]["epcisBody"]["queryResults"]
        for one in read.values()
        if not isinstance(one, InvalidInput) and one.header.committed["type"] == "EPCISQueryDocument"
    ]
    assert len(found) == QUERY_DOCUMENTS
    assert all("resultsBody" in one and "eventList" not in one["resultsBody"] for one in found)


@pytest.mark.parametrize("name", QUERIES)
def test_the_questions_are_read_as_questions(corpus: Path, name: str) -> None:
    query = json.loads((corpus / name).read_bytes())
    with pytest.raises(QueryParameter) as caught:
        from_json(query, {})
    assert [(one.rule, one.pointer) for one in caught.value.findings] == QUERIES[name]
    if "/Invalid/" not in name:
        assert from_json(query, {}, keep_bad_check_digits=True).event_count_limit == query["eventCountLimit"]


def test_every_taken_event_comes_back_unchanged_in_json(read: dict[str, Document | InvalidInput]) -> None:
    seen = 0
    for name, one in read.items():
        if isinstance(one, InvalidInput) or not one.events:
            continue
        parted = [dict(row.committed) for row in one.events]
        rows = [Shown(event, as_sent(event.pop("@context"))) for event in parted]
        for data in (
            json_query_document(rows, created=CREATED, query_name=None),
            json_document(rows, created=CREATED),
        ):
            again = read_document(data, "application/ld+json").events
            for row, back in zip(parted, again, strict=True):
                assert canonical({**back.committed, "@context": []}) == canonical({**row, "@context": []}), (
                    name
                )
            seen += len(again)
    assert seen > 600
