from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from fabric.lineage import Fact, HolderOf
from fabric.lineage.derive import Touched, derive
from fabric.lineage.memory import MemoryReader, derive_all, nobody
from fabric.lineage.sql import SqlReader, dump, rebuild, recount
from fabric.lineage.view import View, contradiction_row, rows, view

from .chance import holder, scenes
from .database import capture, fresh_database
from .scene import Scene, seen

_SETTINGS = settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def from_scratch(facts: Sequence[Fact], holder_of: HolderOf = holder) -> View:
    """The view of an index derived at once, in memory, contradictions of eventIDs included."""
    reader = MemoryReader(facts, holder_of)
    found = seen(derive_all(reader), facts)
    names = {fact.record: fact.commitment.hex() for fact in facts}
    conflicts = [contradiction_row(row, str, names.__getitem__) for row in reader.conflicts]
    found["contradictions"] = rows([*found["contradictions"], *conflicts])
    return found


def renumbered(facts: Sequence[Fact]) -> list[Fact]:
    """The facts as they would be numbered had they arrived in this order."""
    return [fact._replace(record=number, seq=number) for number, fact in enumerate(facts, 1)]


def portions(facts: Sequence[Fact], cuts: Sequence[int]) -> list[Sequence[Fact]]:
    edges = sorted({0, len(facts), *(cut for cut in cuts if cut < len(facts))})
    return [facts[start:end] for start, end in pairwise(edges)]


@given(scenes(), st.randoms(use_true_random=False))
@_SETTINGS
def test_any_order_of_arrival_gives_the_same_index(scene: Scene, random: object) -> None:
    shuffled = list(scene.facts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert from_scratch(renumbered(shuffled)) == from_scratch(scene.facts)


@given(scenes(), st.lists(st.integers(1, 13), max_size=6))
@_SETTINGS
def test_indexing_in_portions_equals_deriving_at_once(scene: Scene, cuts: list[int]) -> None:
    connection = fresh_database()
    for part in portions(scene.facts, cuts):
        capture(connection, part, holder)
    assert dump(connection) == from_scratch(scene.facts)
    connection.close()


@given(scenes())
@_SETTINGS
def test_a_rebuild_equals_what_was_there(scene: Scene) -> None:
    connection = fresh_database()
    for fact in scene.facts:
        capture(connection, [fact], holder)
    before = dump(connection)
    rebuild(connection, holder)
    assert dump(connection) == before
    connection.close()


@given(scenes())
@_SETTINGS
def test_another_holder_of_places_decides_contradictions_again(scene: Scene) -> None:
    connection = fresh_database()
    capture(connection, scene.facts, nobody)
    recount(connection, holder)
    assert dump(connection) == from_scratch(scene.facts)
    recount(connection, nobody)
    assert dump(connection) == from_scratch(scene.facts, nobody)
    connection.close()


@given(scenes(), st.integers(1, 13))
@_SETTINGS
def test_an_earlier_tree_size_is_what_was_known_then(scene: Scene, size: int) -> None:
    connection = fresh_database()
    capture(connection, scene.facts, holder)
    assert limited(connection, SqlReader(connection, holder, below=size)) == derived_view(
        scene.facts[: size - 1]
    )
    connection.close()


@given(scenes(), st.lists(st.booleans(), min_size=14, max_size=14))
@_SETTINGS
def test_a_limited_reader_derives_from_visible_records_alone(scene: Scene, visible: list[bool]) -> None:
    # An error declaration is visible to whoever sees what it voids.
    owned = {(fact.member, fact.event_id) for fact in scene.facts if fact.declares}
    shown = [
        visible[number % 14] or (fact.event_id is not None and (fact.member, fact.event_id) in owned)
        for number, fact in enumerate(scene.facts)
    ]
    connection = fresh_database()
    classes = {fact.record: 1 + seen for fact, seen in zip(scene.facts, shown, strict=True)}
    capture(connection, scene.facts, holder, classes)
    facts = [fact for fact, seen in zip(scene.facts, shown, strict=True) if seen]
    assert limited(connection, SqlReader(connection, holder, classes={2})) == derived_view(facts)
    connection.close()


def derived_view(facts: Sequence[Fact]) -> View:
    return seen(derive_all(MemoryReader(facts, holder)), facts)


def limited(connection: Connection, reader: SqlReader) -> View:
    """The view of all that a reader over SQL can derive."""
    iris = dict(map(tuple, connection.exec_driver_sql("SELECT id, iri FROM thing")))
    names = {
        number: name.hex() for number, name in connection.exec_driver_sql("SELECT id, commitment FROM record")
    }
    derived = derive(Touched.by(reader.whole_facts_of(list(iris))), reader)
    return view(derived, lambda thing: iris[thing], names.__getitem__)
