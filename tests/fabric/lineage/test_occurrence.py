from __future__ import annotations

from decimal import Decimal

from fabric.lineage import Fact
from fabric.lineage.memory import MemoryReader
from fabric.lineage.occurrence import occurrences

from .chance import holder
from .scene import FARM, PLANT, Scene, lot


def made(scene: Scene, name: str = "A") -> Decimal:
    return sum((row.made for row in scene.summary(lot(name)).stock), Decimal(0))


def test_copies_of_one_happening_are_all_listed_and_counted_once() -> None:
    scene = Scene()
    for member in ("farm", "plant", "shop"):
        scene.make(1, (lot("A"), "5"), member=member, event_id="urn:e:1")
    (happening,) = occurrences(scene.facts)
    assert {copy.member for copy in happening.copies} == {"farm", "plant", "shop"}
    assert made(scene) == 5


def test_the_record_that_has_an_event_id_speaks_for_copies_without_one() -> None:
    for order in ((1, 2), (2, 1)):
        scene = Scene()
        scene.make(1, (lot("A"), "5"), member="plant", position=order[0])
        named = scene.make(1, (lot("A"), "5"), event_id="urn:e:1", position=order[1])
        (happening,) = occurrences(scene.facts)
        assert happening.fact == named


def test_equal_records_under_two_event_ids_are_two_happenings() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "5"), event_id="urn:e:1")
    scene.make(1, (lot("A"), "5"), event_id="urn:e:2")
    assert made(scene) == 10


def test_a_record_without_event_id_joins_the_smallest() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "5"), event_id="urn:e:2")
    scene.make(1, (lot("A"), "5"), event_id="urn:e:1")
    scene.make(1, (lot("A"), "5"), member="plant")
    groups = [{copy.event_id for copy in one.copies} for one in occurrences(scene.facts)]
    assert sorted(groups, key=len) == [{"urn:e:2"}, {"urn:e:1", None}]
    assert made(scene) == 10


def test_records_without_event_ids_join_each_other() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "5"), member="farm")
    scene.make(1, (lot("A"), "5"), member="plant")
    assert made(scene) == 5


def test_another_set_of_business_transactions_is_another_happening() -> None:
    scene = Scene()
    scene.make(1, (lot("A"), "5"), docs=[("po", "urn:po:1")])
    scene.make(1, (lot("A"), "5"), docs=[("po", "urn:po:2")])
    assert made(scene) == 10


def test_the_order_of_things_and_transactions_does_not_matter() -> None:
    scene = Scene()
    one, two = ("po", "urn:po:1"), ("bol", "urn:bol:1")
    scene.make(1, (lot("A"), "5"), (lot("B"), "5.0"), docs=[one, two])
    scene.make(1, (lot("B"), "5"), (lot("A"), "5"), docs=[two, one], member="plant")
    assert made(scene) == 5


def conflict(scene: Scene) -> MemoryReader:
    scene.make(1, (lot("A"), "5"), event_id="urn:e:1", at=FARM, member="farm")
    scene.make(1, (lot("A"), "50"), event_id="urn:e:1", at=FARM, member="plant")
    return MemoryReader(scene.facts, holder)


def test_of_contradicting_records_under_one_event_id_the_holder_of_the_place_counts() -> None:
    scene = Scene()
    reader = conflict(scene)
    assert [fact.counts for fact in reader.live] == [True, False]
    (shown,) = reader.conflicts
    assert (shown.kind, shown.records) == ("event-id-conflict", (1, 2)) or shown.records == (2, 1)
    assert scene.derived(holder).summaries[lot("A")].stock[0].made == 5


def test_where_nobody_holds_the_place_all_contradicting_records_count() -> None:
    scene = Scene()
    conflict(scene)
    assert made(scene) == 55
    assert len(scene.reader().conflicts) == 1


def test_an_edge_of_an_outvoted_record_stays_as_inferred() -> None:
    scene = Scene()
    scene.transform(1, [(lot("A"), "5")], [(lot("B"), "5")], event_id="urn:e:1", at=PLANT, member="plant")
    scene.transform(1, [(lot("C"), "5")], [(lot("B"), "5")], event_id="urn:e:1", at=PLANT, member="farm")
    edges = [edge for group in scene.derived(holder).edges.values() for edge in group]
    assert {(edge.record, edge.inferred) for edge in edges} == {(1, False), (2, True)}


def live(scene: Scene) -> list[int]:
    return [fact.record for fact in scene.reader().live]


def test_a_declaration_voids_what_the_member_recorded_under_the_event_id() -> None:
    scene = Scene()
    fact = scene.make(1, (lot("A"), "5"), event_id="urn:e:1")
    scene.declare(fact)
    assert live(scene) == []
    assert scene.derived().summaries == {}


def test_a_declaration_that_came_first_voids_too() -> None:
    scene = Scene()
    fact = scene.make(1, (lot("A"), "5"), event_id="urn:e:1")
    scene.declare(fact)
    swapped: list[Fact] = [scene.facts[1]._replace(seq=1), scene.facts[0]._replace(seq=2)]
    assert list(MemoryReader(swapped).live) == []


def test_a_declaration_by_another_member_changes_nothing() -> None:
    scene = Scene()
    fact = scene.make(1, (lot("A"), "5"), event_id="urn:e:1")
    scene.declare(fact, "plant")
    assert live(scene) == [1]
    assert made(scene) == 5


def test_copies_by_others_keep_counting_after_the_author_declared_an_error() -> None:
    scene = Scene()
    fact = scene.make(1, (lot("A"), "5"), event_id="urn:e:1")
    scene.make(1, (lot("A"), "5"), event_id="urn:e:1", member="plant")
    scene.declare(fact)
    assert live(scene) == [2]
    assert made(scene) == 5


def test_a_transaction_event_only_mentions_its_things() -> None:
    scene = Scene()
    scene.event("Transaction", 1, action="ADD", objects=[(lot("A"), "5")], docs=[("po", "urn:po:1")])
    assert lot("A") not in scene.derived().summaries
