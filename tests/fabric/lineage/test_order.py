from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabric.lineage import Fact
from fabric.lineage.memory import MemoryReader, derive_all
from fabric.lineage.sql import dump, rebuild
from fabric.lineage.view import View, contradiction_row, rows

from .chance import holder, scenes
from .database import capture, fresh_database
from .scene import Scene, seen

_SETTINGS = settings(
    max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def from_scratch(facts: Sequence[Fact]) -> View:
    """The view of an index derived at once, in memory, contradictions of eventIDs included."""
    reader = MemoryReader(facts, holder)
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
