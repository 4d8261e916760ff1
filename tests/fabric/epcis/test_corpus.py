"""Real documents: all valid ones are read and come back unchanged, all invalid ones are refused for a reason."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis import Document, read_document, read_event
from fabric.epcis.document import EVENT_LISTS
from fabric.epcis.event import Event
from fabric.epcis.identity import as_sent
from fabric.epcis.validation import FIELDS
from ledger.canonical import canonical
from ledger.errors import InvalidInput

from .documents import events_in

# Documents outside folders named Invalid that are refused: the rule, and why it is right.
EXCEPTIONS = {
    # The eventID of its only event is written twice; parsers differ on which one counts.
    "gs1/JSON/AssociationEvent/AssociationEvent-h.jsonld": "duplicate-member",
    # A GRAI link in its first event ends its asset type in 1 where the check digit is 6.
    "openepcis/2.0/EPCIS/JSON/Capture/Documents/Combination_of_different_event.json": "bad-check-digit",
    # The same event in two query documents.
    "openepcis/2.0/EPCIS/JSON/Query/Combination_of_different_event.json": "bad-check-digit",
    "openepcis/2.0/EPCIS/JSON/Query/queryDocument.json": "bad-check-digit",
    # SSCC URNs with too few digits.
    "seafood/EPCISQueryDocument.GDST.jsonld": "bad-identifier",
    # A template with // comments in it: not JSON.
    "seafood/events.jsonld": "not-json",
}

# Deliberately invalid documents, and what each is refused for.
INVALID = {
    "Combination_of_non_standard_bizStep_and_disposition.json": "unknown-word",
    "EPCISDocument_without_context.json": "missing-field",
    "ObjectEvent_with_ilmd_field_without_namespace.json": "unknown-field",
    "ObjectEvent_with_invalid_certificationInfo.json": "not-a-uri",
    "ObjectEvent_with_invalid_eventTime_format.json": "bad-time",
    "ObjectEvent_with_non_standard_bizStep_in_second_event.json": "unknown-word",
    "ObjectEvent_without_action_and_eventTime.json": "missing-field",
    "QueryDocument_with_invalid_eventType.json": "unknown-event-type",
}


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> Path:
    return shared_data / "epcis"


def documents(corpus: Path, *, invalid: bool) -> dict[str, bytes]:
    """EPCIS documents and bare events in JSON, by their path in the corpus."""
    found = {}
    for path in sorted([*corpus.rglob("*.json"), *corpus.rglob("*.jsonld")]):
        data, name = path.read_bytes(), path.relative_to(corpus).as_posix()
        if ("Invalid" in path.parts) == invalid and is_submission(data, name):
            found[name] = data
    return found


def is_submission(data: bytes, name: str) -> bool:
    try:
        value = json.loads(data)
    except ValueError:
        return name in EXCEPTIONS
    kinds = {*EVENT_LISTS, *FIELDS}
    return isinstance(value, dict) and value.get("type") in kinds


def test_every_valid_document_is_read_but_for_the_stated_exceptions(corpus: Path) -> None:
    refused = {}
    valid = documents(corpus, invalid=False)
    for name, data in valid.items():
        try:
            read_document(data, "application/ld+json")
        except InvalidInput as error:
            refused[name] = error.rule
    assert refused == EXCEPTIONS
    assert len(valid) > 100


def test_every_invalid_document_is_refused_for_its_reason(corpus: Path) -> None:
    rules = {}
    for name, data in documents(corpus, invalid=True).items():
        with pytest.raises(InvalidInput) as caught:
            read_document(data, "application/ld+json")
        rules[name.rpartition("/")[2]] = caught.value.rule
    assert rules == INVALID


def returned(read: Document) -> Any:
    """The submission again, from nothing but its committed records."""
    header = read.header.committed
    events = [without_context(record.committed) for record in read.events]
    if header["type"] is None:
        return events[0] | {"@context": header["@context"]}
    whole = {**header["document"], "type": header["type"], "@context": header["@context"]}
    whole["epcisBody"] = copy.deepcopy(whole["epcisBody"])
    *above, _ = steps = EVENT_LISTS[header["type"]].split("/")[1:]
    place = whole
    for step in above:
        place = place[step]
    place[steps[-1]] = events
    return whole


def without_context(value: dict[str, Any]) -> dict[str, Any]:
    return {name: inner for name, inner in value.items() if name != "@context"}


def test_what_was_read_comes_back_unchanged(corpus: Path) -> None:
    for name, data in documents(corpus, invalid=False).items():
        if name in EXCEPTIONS:
            continue
        sent, back = json.loads(data), returned(read_document(data, "application/ld+json"))
        context = sent["@context"] if isinstance(sent["@context"], list) else [sent["@context"]]
        assert as_sent(back.pop("@context")) == context, name
        del sent["@context"]
        for event in events_in(sent):
            event.pop("@context", None)
        assert canonical(back) == canonical(sent), name


def test_every_committed_event_of_the_corpus_reads_alike_from_storage(corpus: Path) -> None:
    kinds: set[str] = set()
    for name, data in documents(corpus, invalid=False).items():
        if name in EXCEPTIONS:
            continue
        for record in read_document(data, "application/ld+json").events:
            stored: Event = read_event(json.loads(canonical(record.committed)))
            assert stored == record.event, name
            kinds.add(stored.type)
    assert kinds == set(FIELDS)


def test_documents_that_break_only_a_partner_profile_are_accepted(corpus: Path) -> None:
    names = [path for path in corpus.rglob("gdst_*.jsonld") if path.stem.startswith("gdst_")]
    assert len(names) >= 5
    for path in names:
        assert read_document(path.read_bytes(), "application/ld+json").events


def test_records_of_the_independent_vectors_are_events(shared_data: Path) -> None:
    records = json.loads((shared_data / "vectors" / "commitment.json").read_bytes())["records"]
    events = [row["record"] for row in records if "eventTime" in row["record"] and "f" not in row["record"]]
    assert len(events) > 20
    for record in events:
        assert read_event(record).type == record["type"]
