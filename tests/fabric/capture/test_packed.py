from __future__ import annotations

import json
from pathlib import Path

import pytest

from fabric.capture.packed import fact_from, pack
from fabric.epcis.document import read_document
from fabric.epcis.event import Event
from fabric.lineage.fact import fact_of
from fabric.scenario import generate, reference_documents
from ledger.errors import InvalidInput

TYPE = "application/ld+json"


def _is_same(event: Event) -> bool:
    packed = fact_from(pack(event, b"d" * 32), record=1, commitment=b"c" * 32, position=2, seq=3, member="m")
    whole = fact_of(event, record=1, commitment=b"c" * 32, digest=b"d" * 32, position=2, seq=3, member="m")
    return packed == whole


def test_a_packed_event_gives_the_fact_that_the_event_gives(tmp_path: Path) -> None:
    generate(400, 6, 3, tmp_path)
    documents = [*reference_documents(200, 3), *(path.read_bytes() for path in tmp_path.glob("*/*.json*"))]
    assert len(documents) > 5
    for document in documents:
        assert all(_is_same(one.event) for one in read_document(document, TYPE).events)


@pytest.mark.parametrize(
    "time", ["9999-12-31T23:59:59Z", "0001-01-01T12:00:00Z", "2026-03-01T08:00:00.123456Z"]
)
def test_a_packed_event_of_any_year_gives_the_fact_that_the_event_gives(time: str) -> None:
    document = json.loads(next(reference_documents(10, 3)))
    for event in document["epcisBody"]["eventList"]:
        event |= {"eventTime": time, "eventTimeZoneOffset": "+00:00"}
    try:
        events = read_document(json.dumps(document).encode(), TYPE).events
    except InvalidInput:
        pytest.fail("expected the time to be accepted")
    assert all(_is_same(one.event) for one in events)
