"""A list has each value that its reader's events have, once, in an order that stays; and nothing of others."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event as hooks

from fabric.lineage.fact import short_word
from fabric.query.conditions import Candidate
from fabric.query.lists import FIELDS
from fabric.query.plan import EVENT_TYPES
from fabric.visibility.reader import Reader

from .asked import Store

_PURE = """
    SELECT DISTINCT e."class", t.iri FROM event e JOIN line l ON l.record = e.record JOIN thing t ON t.id = l.thing
    WHERE t.kind = 'serial' AND (l.role <> 'mention' OR e.type = 'TransactionEvent')
"""
_LISTED = 'SELECT l."class", t.iri FROM listed l JOIN thing t ON t.id = l.thing'
_EPCS = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")


def _walked(store: Store, reader: Reader, field: str, per_page: int) -> list[str]:
    events, after, found = store.events(), None, list[str]()
    while True:
        page, after = events.values(reader, field, per_page=per_page, after=after)
        found += page
        if after is None:
            return found


def _values(one: Candidate, field: str) -> set[str | None]:
    event = one.event
    if field == "epc":
        named = {name for list_ in _EPCS for name in one.value.get(list_, ())} | {one.value.get("parentID")}
        told = event.error_declaration is not None
        return set() if told else {ref.thing.iri for ref in event.things if ref.original in named}
    values: dict[str, set[str | None]] = {
        "eventType": {event.type},
        "bizStep": {short_word(event.biz_step)},
        "disposition": {short_word(event.disposition)},
        "bizLocation": {event.biz_location},
        "readPoint": {event.read_point},
    }
    return values[field]


@pytest.mark.parametrize("field", FIELDS)
def test_every_reader_is_listed_each_value_of_its_events_once(store: Store, field: str) -> None:
    sizes = set()
    for reader in store.readers.values():
        expected = {value for _, _, one in store.candidates(reader) for value in _values(one, field)}
        found = _walked(store, reader, field, 3)
        assert set(found) == expected - {None}
        assert len(found) == len(set(found))
        assert _walked(store, reader, field, 1000) == found
        sizes.add(len(found))
    assert 0 in sizes
    assert len(sizes) > (1 if field == "eventType" else 2)


def test_what_is_listed_is_what_the_tables_say(store: Store) -> None:
    assert sorted(map(tuple, store.sim.rows(_LISTED))) == sorted(map(tuple, store.sim.rows(_PURE)))
    assert len(store.sim.rows(_LISTED)) > 20


@pytest.mark.parametrize("field", FIELDS)
def test_hidden_values_are_unknown_and_asked_for_by_the_same_queries(store: Store, field: str) -> None:
    events, everything = store.events(), set(_walked(store, store.readers["everybody"], field, 1000))
    unknown = "https://example.org/nowhere/at/all" if field != "eventType" else EVENT_TYPES[0] + "s"
    for name, reader in store.readers.items():
        listed = set(_walked(store, reader, field, 1000))
        for value in sorted(everything)[::7]:
            assert events.knows(reader, field, value) == (value in listed), (name, value)
        assert not events.knows(reader, field, unknown)
        hidden = sorted(everything - listed)
        if hidden and field != "eventType":
            assert _asked(store, reader, field, hidden[0]) == _asked(store, reader, field, unknown)


def _asked(store: Store, reader: Reader, field: str, value: str) -> list[str]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    engine = store.sim.node.reading
    hooks.listen(engine, "before_cursor_execute", note)
    try:
        assert not store.events().knows(reader, field, value)
    finally:
        hooks.remove(engine, "before_cursor_execute", note)
    assert statements
    return statements
