"""A planned answer is the one that deciding on every visible event gives, whoever asks, in every order and page size."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabric.epcis import Role
from fabric.query import named, plan
from fabric.query.conditions import (
    Actions,
    Candidate,
    Condition,
    Destinations,
    Dispositions,
    ErrorDeclarations,
    EventIds,
    EventTime,
    Place,
    Query,
    RecordTime,
    Sources,
    Steps,
    Things,
    Transactions,
    TransformationIds,
    Types,
)
from fabric.query.pattern import Pattern

from .asked import SITE, Store

_FIELDS = (
    *("epcList", "childEPCs", "inputEPCList", "outputEPCList", "parentID"),
    *("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"),
)
_MISSING = frozenset({"https://example.org/nothing"})


def _pattern(iri: str, cut: int) -> Pattern:
    """A name, or what begins like it."""
    if cut == 0:
        return Pattern(iri, iri)
    start = iri[: max(8, len(iri) - cut)]
    return Pattern(start, None, (start,), re.escape(start) + ".*")


def _conditions(one: Candidate, draw: Any) -> list[Condition]:
    """Conditions that an event meets, and some that few or none do."""
    event, found = one.event, list[Condition]()
    hour = 3_600_000_000
    found.append(
        EventTime(
            event.time_us - draw(st.integers(0, 200 * hour)),
            event.time_us + draw(st.integers(-hour, 200 * hour)),
        )
    )
    found.append(EventTime(None, event.time_us))
    found.append(RecordTime(one.record_time_us, None))
    found.append(RecordTime(None, one.record_time_us + draw(st.sampled_from([0, 1, 10**9]))))
    found.append(Types(frozenset({event.type, "ObjectEvent"})))
    found.append(Actions(frozenset({event.action or "ADD"})))
    found.append(ErrorDeclarations())
    found.append(EventIds(frozenset({event.event_id or "urn:none"})))
    if event.biz_step:
        found.append(Steps(frozenset({event.biz_step})))
    if event.disposition:
        found.append(Dispositions(frozenset({event.disposition}) | _MISSING))
    for field, place in (("readPoint", event.read_point), ("bizLocation", event.biz_location)):
        found.append(Place(field, frozenset({place or SITE}), draw(st.booleans())))
    if event.transformation_id:
        found.append(TransformationIds(frozenset({event.transformation_id})))
    for kind, listed in (
        (Transactions, event.transactions),
        (Sources, event.sources),
        (Destinations, event.destinations),
    ):
        found += [kind(frozenset({word}) if word else None, frozenset({iri})) for word, iri in listed]  # type: ignore[arg-type]
    for ref in event.things:
        patterns = (_pattern(ref.thing.iri, draw(st.sampled_from([0, 0, 2, 8, 25]))),)
        for by_class, fields in ((False, _FIELDS[:5]), (True, _FIELDS[5:])):
            found.append(Things(frozenset(Role), by_class, patterns, fields, "MATCH_anyEPC"))
    return found


@given(data=st.data())
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_a_planned_answer_is_what_deciding_on_every_visible_event_gives(
    store: Store, data: st.DataObject
) -> None:
    draw = data.draw
    reader = store.readers[draw(st.sampled_from(sorted(store.readers)))]
    every = [one for _, _, one in store.candidates(store.readers["everybody"])]
    known = _conditions(draw(st.sampled_from(every)), draw)
    chosen = draw(st.lists(st.sampled_from(known), min_size=0, max_size=3))
    query = Query(
        tuple(chosen), draw(st.sampled_from([None, "eventTime", "recordTime"])), draw(st.booleans())
    )
    limit, per_page = draw(st.integers(1, 40)), draw(st.sampled_from([1, 2, 7, 30, 1000]))
    limited = Query(query.conditions, query.order_by or "eventTime", query.descending, limit)
    expected = store.answer(reader, query)
    with pytest.MonkeyPatch.context() as patch:
        if draw(st.booleans()):
            # As if the store were large: nothing is few, so every plan walks through streams.
            for module, name in _LIMITS:
                patch.setattr(module, name, -1)
        assert store.walk(reader, query, per_page) == expected
        assert store.walk(reader, limited, 9) == store.answer(reader, limited)[:limit]


_LIMITS = ((plan, "FEW"), (plan, "FEW_BY_LOG"), (named, "MOST_NAMED"), (named, "MOST_THINGS"))
