"""A walk is a snapshot, whatever happens meanwhile; what it may cost is bounded; plans read by index alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as hooks

from fabric.epcis import Role
from fabric.query import answer, named, plan, tokens
from fabric.query.answer import Answer, Cursor
from fabric.query.budget import Budget
from fabric.query.conditions import (
    Body,
    Candidate,
    Condition,
    ErrorDeclarations,
    EventTime,
    Place,
    Query,
    RecordTime,
    Steps,
    Things,
)
from fabric.query.errors import PageToken, QueryTooComplex, QueryTooLarge
from fabric.query.parameters import from_pairs
from fabric.query.pattern import Pattern
from fabric.query.run import Events
from fabric.visibility.holders import Holders
from fabric.visibility.reader import Reader
from tests.simulator import Simulator

DOCK = "https://id.gs1.org/414/9506000134352"
SHIPPING = "https://ref.gs1.org/cbv/BizStep-shipping"
EVENTS = 40


class Two:
    """A farm with forty events at its dock, and a shop that may see some of them."""

    def __init__(self, folder: Path) -> None:
        self.sim = Simulator(folder)
        self.sim.admit("farm", parties=["9506000134352"])
        self.sim.admit("shop", parties=["9506000134369"])
        self.numbers = count(1)
        for _ in range(4):
            self.more(EVENTS // 4)
        self.farm, self.shop = (self.sim.node.reader(name) for name in ("farm", "shop"))

    def more(self, number: int, **fields: Any) -> list[str]:
        """Capture events, some of them sent to the shop; gives their names."""
        found = []
        for _ in range(number):
            own = next(self.numbers)
            sent: dict[str, Any] = {"destinationList": [_TO_SHOP]} if own % 3 == 0 else {}
            epc = f"https://id.gs1.org/01/09506000134352/21/{own:04}"
            at = f"2026-05-{1 + own % 28:02}T08:00:00Z"
            step = {"bizStep": "shipping" if own % 2 else "storing"}
            found.append(
                self.sim.event(epcList=[epc], at=at, bizLocation={"id": DOCK}, **step, **sent, **fields)
            )
        return self.sim.names(self.sim.capture("farm", found))[1:]

    def events(self, budget: Budget | None = None, **more: Any) -> Events:
        holder_of = Holders(self.sim.node.registry.identifiers).member_of
        return Events(self.sim.node.reading, holder_of, budget=budget, **more)

    def walk(self, reader: Reader, query: Query, per_page: int = 7) -> list[str]:
        events, cursor, names = self.events(), None, list[str]()
        while True:
            page = events.page(reader, query, per_page=per_page, cursor=cursor)
            names += [one.commitment.hex() for one in page.events]
            if page.cursor is None:
                return names
            cursor = page.cursor


_TO_SHOP = {"type": "possessing_party", "destination": "https://id.gs1.org/417/9506000134369"}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    found = Two(tmp_path_factory.mktemp("two"))
    yield found
    found.sim.node.close()


AT_DOCK = Place("bizLocation", frozenset({DOCK}))
WALKS = {
    "by event time": Query((AT_DOCK,), "eventTime"),
    "by event time, upwards": Query((AT_DOCK,), "eventTime", descending=False),
    "by record time": Query((AT_DOCK,), "recordTime"),
    "by record time, upwards": Query((), "recordTime", descending=False),
    "in no order": Query(),
}


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("name", WALKS)
def test_what_happens_during_a_walk_is_neither_repeated_nor_lost(
    name: str, dense: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dense:
        monkeypatch.setattr(plan, "FEW", -1)
        monkeypatch.setattr(plan, "FEW_BY_LOG", -1)
    two = Two(tmp_path)
    try:
        expected = two.walk(two.farm, WALKS[name], 1000)
        events, cursor, got = two.events(), None, list[str]()
        erased: set[str] = set()
        for step in count():
            page = events.page(two.farm, WALKS[name], per_page=7, cursor=cursor)
            got += [one.commitment.hex() for one in page.events]
            cursor = page.cursor
            if cursor is None:
                break
            cursor = Cursor.from_json(json.loads(json.dumps(cursor.as_json())))
            erased |= _meanwhile(two, expected, got, step)
        assert got == [name for name in expected if name not in erased - set(got)]
        assert len(got) == len(set(got)) < len(two.walk(two.farm, WALKS[name]))
        assert erased
        assert not erased <= set(got)
    finally:
        two.sim.node.close()


def _meanwhile(two: Two, expected: list[str], got: list[str], step: int) -> set[str]:
    """Capture more, void one that is to come, and erase one that was given and one that is to come."""
    two.more(5)
    left = [name for name in expected if name not in got]
    if step == 1:
        value = {name: inner for name, inner in _value(two, left[1]).items() if name != "@context"}
        two.sim.capture("farm", [value | {"errorDeclaration": {"declarationTime": "2026-06-01T00:00:00Z"}}])
    if step not in (0, 2):
        return set()
    return _erase(two, got[step], left[-1 - step])


def _erase(two: Two, *names: str) -> set[str]:
    told = {"records": names, "reason": "asked to"}
    ticket = two.sim.node.capture.erase("farm", json.dumps(told).encode())
    ticket.stored.result(30)
    ticket.settled.result(30)
    return set(names)


def _value(two: Two, name: str) -> dict[str, Any]:
    ((body,),) = two.sim.rows("SELECT body FROM record WHERE lower(hex(commitment)) = ?", name)
    value: dict[str, Any] = json.loads(body)
    return value


def test_a_newly_shared_event_comes_at_most_once_and_moves_no_other(tmp_path: Path) -> None:
    two = Two(tmp_path)
    try:
        query = Query((AT_DOCK,), "eventTime")
        before = two.walk(two.shop, query)
        first = two.events().page(two.shop, query, per_page=4)
        two.sim.state({"type": "role", "grantee": "shop", "role": "recall", "for": ["farm"], "until": None})
        shop = two.sim.node.reader("shop")
        assert shop.members == {"farm", "shop"}
        got = [one.commitment.hex() for one in first.events]
        cursor = first.cursor
        while cursor is not None:
            page = two.events().page(shop, query, per_page=4, cursor=cursor)
            got += [one.commitment.hex() for one in page.events]
            cursor = page.cursor
        assert set(before) < set(got)
        assert len(got) == len(set(got))
        assert [name for name in got if name in set(before)] == before
    finally:
        two.sim.node.close()


def test_too_many_events_are_refused_with_one_too_many_read(two: Two) -> None:
    total = len(two.walk(two.farm, Query((AT_DOCK,))))
    for query in (Query((AT_DOCK,)), Query((AT_DOCK, Body(_any)))):
        exact = Query(query.conditions, max_event_count=total)
        assert len(two.events().page(two.farm, exact, per_page=total).events) == total
        assert len(two.events().page(two.farm, exact, per_page=3).events) == 3
        with pytest.raises(QueryTooLarge):
            two.events().page(two.farm, Query(query.conditions, max_event_count=total - 1), per_page=3)
    few = two.events(Budget(bodies=6))
    with pytest.raises(QueryTooLarge):
        few.page(two.farm, Query((Body(_any),), max_event_count=4), per_page=3)


def _any(candidate: Candidate) -> bool:
    return True


def _none(candidate: Candidate) -> bool:
    return False


def _tenth(candidate: Candidate) -> bool:
    return str(candidate.value["epcList"][0]).endswith("0")


def test_a_question_that_no_event_answers_ends_with_its_budget(two: Two) -> None:
    events = two.events(Budget(bodies=20))
    with pytest.raises(QueryTooComplex):
        events.page(two.farm, Query((Body(_none),)), per_page=5)
    ticks = iter(range(1000))
    slow = two.events(Budget(seconds=3), clock=lambda: next(ticks))
    with pytest.raises(QueryTooComplex):
        slow.page(two.farm, Query((Body(_none),)), per_page=5)
    # The connection of a statement that was stopped goes on serving others.
    assert two.walk(two.farm, Query((AT_DOCK,)))


def test_a_walk_through_rare_matches_goes_on_from_short_pages(two: Two) -> None:
    query = Query((Body(_tenth),), "eventTime")
    expected = two.walk(two.farm, query, 1000)
    assert expected
    events, cursor, got, pages = two.events(Budget(bodies=25)), None, list[str](), 0
    while True:
        page = events.page(two.farm, query, per_page=50, cursor=cursor)
        got += [one.commitment.hex() for one in page.events]
        pages += 1
        if page.cursor is None:
            break
        cursor = page.cursor
    assert got == expected
    assert pages > 1


@pytest.mark.parametrize("name", WALKS)
def test_no_more_bodies_are_held_than_a_page_may_have_bytes(
    two: Two, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = WALKS[name]
    expected = two.walk(two.farm, query, 1000)
    whole = two.events().page(two.farm, query, per_page=1000).events
    most = 3 * max(one.size_bytes for one in whole)
    parts, read = [], Answer.read

    def reading(self: Answer, rows: Any) -> Any:
        found = read(self, rows)
        parts.append(sum(one.size_bytes for _, one, _ in found))
        return found

    monkeypatch.setattr(Answer, "read", reading)
    monkeypatch.setattr(answer, "MOST_BYTES", most)
    page = two.events().page(two.farm, query, per_page=1000)
    assert sum(one.size_bytes for one in page.events) <= most
    assert page.cursor is not None
    assert two.walk(two.farm, query, 1000) == expected
    assert max(parts) <= most
    monkeypatch.setattr(answer, "MOST_BYTES", 1)
    assert two.walk(two.farm, query, 1000) == expected


def test_the_log_is_followed_without_gaps_or_repeats(two: Two) -> None:
    query = Query((Steps(frozenset({SHIPPING})),))
    for reader in (two.farm, two.shop):
        expected = list(reversed(two.walk(reader, Query(query.conditions, "recordTime"), 1000)))
        for budget in (Budget(), Budget(bodies=3)):
            events, after, got = two.events(budget), (-1, 0), list[str]()
            while True:
                page = events.since(reader, query, after=after, limit=2)
                got += [one.commitment.hex() for one in page.events]
                if page.cursor is None:
                    break
                assert page.cursor.key is not None
                assert page.cursor.key > after
                after = page.cursor.key
            assert got == expected
    (size,) = two.sim.rows("SELECT size FROM head")[0]
    assert two.events().since(two.farm, query, after=size - 1, limit=5).events == ()
    below = two.events().since(two.farm, Query(), after=-1, limit=500, below=size // 2).events
    assert below
    assert all(one.seq < size // 2 for one in below)


def test_an_event_id_gives_the_event_and_its_declarations_to_who_sees_them(two: Two) -> None:
    (name,) = two.more(1, eventID="urn:example:event:1")
    value = {key: inner for key, inner in _value(two, name).items() if key != "@context"}
    declared = value | {"errorDeclaration": {"declarationTime": "2026-06-01T00:00:00Z"}}
    two.sim.capture("farm", [declared])
    copy = value | {"disposition": "in_progress"}
    two.sim.capture("shop", [copy])

    def found(reader: Reader) -> list[tuple[str, bool]]:
        page = two.events().by_event_id(reader, "urn:example:event:1", per_page=10)
        return [(one.member, "errorDeclaration" in one.value) for one in page.events]

    everything = [("farm", False), ("farm", True), ("shop", False)]
    to_shop = "destinationList" in value
    assert found(two.farm) == everything if to_shop else everything[:2]
    assert found(two.shop) == everything if to_shop else everything[2:]
    assert two.events().by_event_id(two.farm, "urn:example:event:none", per_page=10).events == ()


@pytest.mark.parametrize(
    "told",
    [{}, {"s": 1}, {"s": "1", "k": [1, 2], "l": None, "v": None}, {"s": 1, "k": [1], "l": None, "v": None}],
)
def test_a_place_that_is_none_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(PageToken):
        Cursor.from_json(told)


def _epc(iri: str, start: bool = False) -> Things:
    pattern = Pattern(iri, None, (iri,), re.escape(iri) + ".*") if start else Pattern(iri, iri)
    return Things(frozenset({Role.OBJECT}), False, (pattern,), ("epcList",), "MATCH_epc")


HOT: dict[str, tuple[Condition, ...]] = {
    "everything": (),
    "an EPC": (_epc("https://id.gs1.org/01/09506000134352/21/0007"),),
    "a pattern": (_epc("https://id.gs1.org/01/09506000134352/21/", start=True),),
    "a place": (AT_DOCK,),
    "a place and a time": (AT_DOCK, EventTime(1_777_000_000_000_000, 1_779_000_000_000_000)),
    "a time": (EventTime(1_777_000_000_000_000, 1_779_000_000_000_000),),
    "a step": (Steps(frozenset({SHIPPING})),),
    "declarations": (ErrorDeclarations(),),
    "recorded since": (RecordTime(1_790_000_000_000_000, None),),
}


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("order", [None, "eventTime", "recordTime"])
@pytest.mark.parametrize("name", HOT)
def test_no_plan_reads_a_whole_table(
    name: str, order: str | None, dense: bool, two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dense:
        for module, limit in ((plan, "FEW"), (plan, "FEW_BY_LOG"), (named, "MOST_NAMED")):
            monkeypatch.setattr(module, limit, -1)
    steps = _explained(two, Query(HOT[name], order))
    tables = {"e", "l", "t", "r", "d", "o", "thing", "record", "event", "line", "seal"}
    assert not [step for step in steps if step.startswith("SCAN ") and step.split()[1] in tables]
    # Nor does any sort what an index has in order.
    assert not [step for step in steps if "TEMP B-TREE" in step]
    assert [step for step in steps if "ix_event" in step or "SEARCH e USING INTEGER PRIMARY KEY" in step]


def _asked(two: Two, reader: Reader, query: Query) -> list[tuple[str, Any]]:
    """The statements of a walk, and their parameters."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    engine = two.sim.node.reading
    hooks.listen(engine, "before_cursor_execute", note)
    try:
        two.walk(reader, query)
    finally:
        hooks.remove(engine, "before_cursor_execute", note)
    return asked


def _explained(two: Two, query: Query) -> list[str]:
    asked = _asked(two, two.farm, query)
    with two.sim.node.reading.connect() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values) for text, values in asked]
        return [row[3] for rows in plans for row in rows]


def test_the_time_for_an_answer_ends_between_two_events_however_long_each_takes(two: Two) -> None:
    """A second for each event: large ones, and many conditions."""
    spent = [0.0]

    def slow(candidate: Candidate) -> bool:
        spent[0] += 1.0
        return False

    events = two.events(Budget(seconds=3.0), clock=lambda: spent[0])
    with pytest.raises(QueryTooComplex):
        events.page(two.farm, Query((Body(slow),)), per_page=30)
    assert spent[0] == 3.0
    page = events.since(two.farm, Query((Body(slow),)), after=-1, limit=30)
    assert (page.events, spent[0]) == ((), 6.0)
    assert page.cursor is not None


def test_many_patterns_take_no_longer_than_there_is_time(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each range is looked up by itself, in each class: none takes long, all of them do."""
    ticks = count()
    monkeypatch.setattr(named, "MOST_THINGS", 3)
    patterns = "|".join(f"urn:epc:idpat:sgtin:{9506000 + number}.*.*" for number in range(100))
    question = from_pairs([("MATCH_anyEPC", patterns)], {})
    assert two.events().page(two.farm, question, per_page=30).size
    with pytest.raises(QueryTooComplex):
        two.events(Budget(seconds=50), clock=lambda: next(ticks)).page(two.farm, question, per_page=30)
    assert next(ticks) < 100


def test_an_answer_compares_with_few_ranges_that_cover_those_asked_for() -> None:
    ranges = [(f"urn:x:{number:03}", f"urn:x:{number:03}~") for number in range(101)]
    found = named._covering(ranges)
    assert len(found) <= named.MOST_COMPARED
    assert all(any(start <= one and end <= other for start, other in found) for one, end in ranges)
    assert named._covering(ranges[:7]) == ranges[:7]
    assert named._covering([]) == []


def test_a_walk_in_the_order_of_long_texts_goes_on_by_tokens(tmp_path: Path) -> None:
    two = Two(tmp_path)
    try:
        texts = [letter * 5_000 + end for letter in "a語" for end in "bcadb"]
        for text in texts:
            two.more(1, **{"ex:long": text})
        order = from_pairs([("orderBy", "ex:long")], {"ex": "https://example.org/terms/"}).order_key
        for descending in (False, True):
            query = Query((), "ex:long", descending, order_key=order)
            found, cursor = list[str](), None
            for _ in texts:
                page = two.events().page(two.farm, query, per_page=1, cursor=cursor)
                found += [str(one.value["ex:long"]) for one in page.events]
                assert page.cursor is not None
                told = tokens.issue(b"secret", two.farm, b"", page.cursor.as_json(), 1)
                assert len(told) <= tokens.MAX_LENGTH
                cursor = Cursor.from_json(tokens.accept(b"secret", told, two.farm, b"", 0))
            assert found == sorted(texts, reverse=descending)
    finally:
        two.sim.node.close()


@pytest.mark.parametrize("descending", [False, True])
def test_a_walk_in_the_order_of_an_extension_field_is_total_and_goes_on_when_its_last_event_goes(
    descending: bool, tmp_path: Path
) -> None:
    two = Two(tmp_path)
    try:
        for value in ("9", "10", "x", "10", "2026-05-01T00:00:00Z", None, "9.5"):
            two.more(2, **({} if value is None else {"ex:rank": value}))
        order = from_pairs([("orderBy", "ex:rank")], {"ex": "https://example.org/terms/"}).order_key
        assert order is not None
        query = Query((), "ex:rank", descending, order_key=order)
        every = two.walk(two.farm, query, 1000)
        assert sorted(every) == sorted(two.walk(two.farm, Query(), 1000))
        ranks = [_value(two, name).get("ex:rank") for name in every]
        ordered = ["9", "9", "9.5", "9.5", "10", "10", "10", "10", *["2026-05-01T00:00:00Z"] * 2, "x", "x"]
        assert ranks[:12] == (ordered[::-1] if descending else ordered)
        assert set(ranks[12:]) == {None}
        assert two.walk(two.farm, query, 5) == every
        first = two.events().page(two.farm, query, per_page=5)
        assert first.cursor is not None
        last = first.events[-1].commitment.hex()
        _erase(two, last)
        cursor = Cursor.from_json(json.loads(json.dumps(first.cursor.as_json())))
        rest = two.events().page(two.farm, query, per_page=1000, cursor=cursor)
        assert [one.commitment.hex() for one in rest.events] == every[5:]
        limited = Query((), "ex:rank", descending, event_count_limit=8, order_key=order)
        assert two.walk(two.farm, limited, 3) == [name for name in every if name != last][:8]
        counted = Query((), "ex:rank", descending, max_event_count=20, order_key=order)
        with pytest.raises(QueryTooLarge):
            two.events().page(two.farm, counted, per_page=5)
        with pytest.raises(QueryTooComplex):
            two.events(Budget(bodies=10)).page(two.farm, query, per_page=5)
    finally:
        two.sim.node.close()


def test_hidden_and_unknown_names_are_asked_for_by_the_same_queries(two: Two) -> None:
    hidden = "https://id.gs1.org/01/09506000134352/21/0001"
    unknown = "https://id.gs1.org/01/09506000134352/21/none"
    assert two.walk(two.farm, Query((_epc(hidden),)))
    asked = []
    for iri in (hidden, unknown):
        for conditions in ((_epc(iri),), (Place("bizLocation", frozenset({iri})),)):
            assert two.walk(two.shop, Query(conditions)) == []
        asked.append([text for text, _ in _asked(two, two.shop, Query((_epc(iri),)))])
    assert asked[0] == asked[1]
    assert len(asked[0]) > 3
