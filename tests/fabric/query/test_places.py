"""What lies below a place, and what is said of a thing, follows from the claims that a reader may see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fabric.query import places
from fabric.query.budget import Budget, Spending
from fabric.query.conditions import Place, Query
from fabric.query.errors import QueryTooComplex
from fabric.query.places import MasterData
from fabric.query.run import Events
from fabric.query.scope import Scope
from fabric.visibility.holders import Holders
from fabric.visibility.reader import EVERYBODY, Reader
from tests.simulator import Simulator

SITE, YARD, HALL, ROOM, SHELF = (
    f"https://example.org/places/{name}" for name in ("site", "yard", "hall", "room", "shelf")
)
GLN, SUB = "https://id.gs1.org/414/9506000134352", "https://id.gs1.org/414/9506000134352/254/7"
KIND = "https://example.org/terms/kind"
LATE = 2**52


class Claims:
    """A farm that holds its site, a shop that says things about it, and nobody else's places."""

    def __init__(self, folder: Path) -> None:
        self.sim = Simulator(folder)
        self.sim.admit("farm", parties=["9506000134352", {"kind": "iri", "value": SITE}])
        self.sim.admit("shop", parties=["9506000134369"])

    def claim(
        self, member: str, iri: str, *children: str, kind: str = "BusinessLocation", said: Any = None
    ) -> None:
        element: dict[str, Any] = {"id": iri}
        if children:
            element["children"] = list(children)
        if said is not None:
            element["attributes"] = [{"id": KIND, "attribute": said}]
        vocabulary = {"type": f"urn:epcglobal:epcis:vtype:{kind}", "vocabularyElementList": [element]}
        header = {"epcisMasterData": {"vocabularyList": [vocabulary]}}
        self.sim.capture(member, [], epcisHeader=header)

    @contextmanager
    def master(self, reader: Reader) -> Iterator[MasterData]:
        holders = Holders(self.sim.node.registry.identifiers)
        with self.sim.node.reading.connect() as connection:
            yield MasterData(Scope.of(connection, reader), holders.member_of, LATE)

    def below(self, reader: Reader, iri: str) -> frozenset[str]:
        with self.master(reader) as found:
            return found.descendants(iri)

    def said(self, reader: Reader, iri: str) -> Any:
        with self.master(reader) as found:
            return found.attributes(iri)

    def event_at(self, member: str, field: str, iri: str, **more: Any) -> str:
        fields: dict[str, Any] = {field: {"id": iri}, **more}
        event = self.sim.event(epcList=["https://example.org/items/1"], **fields)
        return self.sim.names(self.sim.capture(member, [event]))[1]

    def answer(self, reader: Reader, *conditions: Place) -> set[str]:
        events = Events(self.sim.node.reading, Holders(self.sim.node.registry.identifiers).member_of)
        page = events.page(reader, Query(conditions), per_page=100)
        return {one.commitment.hex() for one in page.events}


@pytest.fixture
def claims(tmp_path: Path) -> Iterator[Claims]:
    found = Claims(tmp_path / "node")
    yield found
    found.sim.node.close()


def test_descendants_are_reached_through_others_and_cycles_end(claims: Claims) -> None:
    claims.claim("farm", SITE, HALL, YARD)
    claims.claim("farm", HALL, ROOM, kind="Location")
    claims.claim("farm", ROOM, SHELF, kind="ReadPoint")
    claims.claim("farm", SHELF, SITE, SHELF)
    assert claims.below(EVERYBODY, SITE) == {HALL, YARD, ROOM, SHELF}
    assert claims.below(EVERYBODY, SHELF) == {SITE, HALL, YARD, ROOM}
    assert claims.below(EVERYBODY, YARD) == frozenset()


def test_of_several_claims_the_holders_counts_and_then_the_newest(claims: Claims) -> None:
    claims.claim("farm", SITE, HALL, said="holder")
    claims.claim("shop", SITE, ROOM, said="other")
    assert claims.below(EVERYBODY, SITE) == {HALL}
    assert claims.said(EVERYBODY, SITE) == {KIND: ("holder",)}
    claims.claim("farm", SITE, YARD, said=["a", "b"])
    assert claims.below(EVERYBODY, SITE) == {YARD}
    assert claims.said(EVERYBODY, SITE) == {KIND: ("a", "b")}
    claims.claim("shop", SHELF, ROOM, said="first")
    claims.claim("farm", SHELF, HALL, said="second")
    assert claims.below(EVERYBODY, SHELF) == {HALL}
    assert claims.said(EVERYBODY, SHELF) == {KIND: ("second",)}


def test_claims_of_others_are_seen_with_what_names_the_place_only(claims: Claims) -> None:
    claims.claim("farm", SITE, HALL, said="yes")
    farm, shop = (claims.sim.node.reader(name) for name in ("farm", "shop"))
    assert claims.below(farm, SITE) == {HALL}
    assert claims.below(shop, SITE) == frozenset()
    assert claims.said(shop, SITE) == {}
    claims.event_at("shop", "bizLocation", SITE)
    assert claims.below(shop, SITE) == {HALL}
    assert claims.said(shop, SITE) == {KIND: ("yes",)}


def test_a_gln_with_an_extension_lies_below_the_gln_only_where_somebody_says_so(claims: Claims) -> None:
    assert claims.below(EVERYBODY, GLN) == frozenset()
    claims.claim("farm", GLN, SUB)
    assert claims.below(EVERYBODY, GLN) == {SUB}


@pytest.mark.parametrize("most_streams", [10_000, 0])
def test_a_question_with_descendants_finds_events_at_all_of_them(
    claims: Claims, most_streams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fabric.query import plan

    monkeypatch.setattr(plan, "MOST_STREAMS", most_streams)
    monkeypatch.setattr(plan, "FEW", -1)
    claims.claim("farm", SITE, HALL)
    claims.claim("farm", HALL, ROOM)
    names = {iri: claims.event_at("farm", "bizLocation", iri) for iri in (SITE, HALL, ROOM, YARD)}
    read = claims.event_at("farm", "readPoint", ROOM)
    with_all = Place("bizLocation", frozenset({SITE}), descendants=True)
    assert claims.answer(EVERYBODY, with_all) == {names[SITE], names[HALL], names[ROOM]}
    assert claims.answer(EVERYBODY, Place("bizLocation", frozenset({SITE}))) == {names[SITE]}
    below_hall = Place("readPoint", frozenset({HALL}), descendants=True)
    assert claims.answer(EVERYBODY, below_hall) == {read}
    assert claims.answer(EVERYBODY, with_all, below_hall) == set()


def test_more_places_than_a_question_may_ask_for_are_refused(
    claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims.claim("farm", SITE, HALL, YARD, ROOM)
    monkeypatch.setattr(places, "MOST_PLACES", 3)
    with pytest.raises(QueryTooComplex):
        claims.below(EVERYBODY, SITE)


def test_a_hierarchy_is_not_walked_beyond_the_time_of_an_answer(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    try:
        claims.claim("farm", SITE, YARD)
        holder_of = Holders(claims.sim.node.registry.identifiers).member_of
        with claims.sim.node.reading.connect() as connection:
            spending = Spending(Budget(seconds=1), iter([0.0, 0.5, 2.0]).__next__)
            scope = Scope.of(connection, EVERYBODY, spending=spending)
            with pytest.raises(QueryTooComplex):
                MasterData(scope, holder_of, LATE).descendants(SITE)
    finally:
        claims.sim.node.close()
