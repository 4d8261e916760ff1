from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import pytest

from fabric.epcis.document import read_document
from fabric.epcis.event import Role
from fabric.scenario import recall_levels, recall_source, reference_documents, reference_events
from fabric.scenario.documents import dumps, standard_dumps
from fabric.scenario.levels import level_sizes

EVENTS = 1_000


def units(record: dict[str, Any]) -> int:
    """Units of a record: a top-level container of two or more gives its members, all else is one."""
    return sum(len(v) if isinstance(v, (dict, list)) and len(v) > 1 else 1 for v in record.values())


def quads(value: dict[str, Any]) -> int:
    """Statements of an event: one a scalar, one a link to a part and those of the part."""
    count = 0
    for name, field in value.items():
        for item in field if isinstance(field, list) else [field]:
            count += 1
            if isinstance(item, dict):
                count += quads({k: v for k, v in item.items() if k != "id"})
        count -= name == "@context"
    return count


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


def test_the_reference_event_has_its_size_units_references_and_quads() -> None:
    document = read_document(next(reference_documents(EVENTS, 1)), "application/ld+json")
    assert document.warnings == ()
    assert len(document.events) == EVENTS
    events = list(reference_events(EVENTS, 1))
    assert mean([len(dumps(e)) for e in events]) == pytest.approx(900, abs=5)
    assert mean([units(dict(r.committed)) for r in document.events]) == pytest.approx(15, abs=0.5)
    references = [sum(t.role is not Role.MENTION for t in r.event.things) for r in document.events]
    assert mean(references) == 3
    assert max(quads(e) for e in events) <= 20


def test_reference_documents_hold_the_reference_events_and_seeds_name_different_things() -> None:
    documents = list(reference_documents(2_500, 3))
    assert [len(read_document(d, "application/ld+json").events) for d in documents] == [1_000, 1_000, 500]
    assert list(reference_documents(50, 3)) == list(reference_documents(50, 3))
    one, other = ({e["epcList"][0] for e in reference_events(200, s) if "epcList" in e} for s in (1, 2))
    assert one.isdisjoint(other)


def test_both_json_writers_give_the_same_bytes() -> None:
    for event in islice(reference_events(50, 9), 50):
        assert dumps(event) == standard_dumps(event)


@pytest.mark.parametrize(("lots", "levels"), [(5_000, 8), (1_000, 4), (10, 8), (3, 8), (1, 1)])
def test_recall_rows_reach_exactly_the_lots_asked_for(lots: int, levels: int) -> None:
    affected, made = {recall_source()}, Counter[str]()
    used: set[str] = set()
    last_at = 0
    for run in recall_levels(lots, levels, 4):
        assert run.at > last_at
        last_at = run.at
        assert all(lot in affected for lot, _ in run.inputs)
        used.update(lot for lot, _ in run.inputs)
        made.update(lot for lot, _ in run.outputs)
        affected.update(lot for lot, _ in run.outputs)
    assert len(affected) == lots + 1
    assert set(made.values()) == {1}
    assert len(affected - used) == level_sizes(lots, levels)[-1]
    assert len(level_sizes(lots, levels)) == min(lots, levels)
