from __future__ import annotations

from sqlalchemy.engine import Connection

from fabric.lineage.creation import shown_part
from fabric.lineage.derived import FillingNode, ProcessNode, RunNode
from fabric.lineage.memory import nobody
from fabric.lineage.node import carrier_of, is_filling, is_process, node_id
from fabric.lineage.reader import SqlReader
from fabric.lineage.sql import clear, dump

from .chance import holder
from .database import capture, fresh_database
from .scene import CLASS, FARM, Scene, lot, sscc, tote, unit


def stored(scene: Scene) -> Connection:
    connection = fresh_database()
    for fact in scene.facts:
        capture(connection, [fact], holder)
    return connection


def test_voiding_a_process_that_names_only_classes_takes_its_edges_away() -> None:
    scene = Scene()
    scene.declare(scene.transform(1, [(CLASS, "1")], [], event_id="urn:e:1"))
    assert dump(stored(scene))["edges"] == []


def test_voiding_a_creation_takes_back_what_it_said_about_the_lot() -> None:
    scene = Scene()
    scene.declare(scene.make(1, unit("1"), ilmd={"cbvmda:lotNumber": "A"}, event_id="urn:e:1"))
    found = dump(stored(scene))
    assert (found["edges"], found["things"]) == ([], [])


def test_voiding_the_only_packing_takes_away_the_filling() -> None:
    scene = Scene()
    scene.declare(scene.pack(1, tote(1), (lot("A"), "5"), event_id="urn:e:1"))
    found = dump(stored(scene))
    assert (found["fillings"], found["intervals"], found["things"]) == ([], [], [])


def test_a_contradiction_that_was_voided_later_still_counted_before() -> None:
    scene = Scene()
    first = scene.make(1, (lot("A"), "5"), event_id="urn:e:1", member="plant", at=FARM)
    scene.make(1, (lot("A"), "6"), event_id="urn:e:1", member="farm", at=FARM)
    scene.declare(first)
    connection = stored(scene)
    before = SqlReader(connection, holder, below=3)
    counts = {fact.record: fact.counts for fact in before.facts_of(_ids(connection, lot("A")))}
    assert counts == {1: False, 2: True}
    now = SqlReader(connection, holder).facts_of(_ids(connection, lot("A")))
    assert {fact.record: fact.counts for fact in now} == {2: True}


def test_of_a_creation_that_a_hand_over_shows_the_inputs_stay_hidden() -> None:
    scene = Scene()
    fact = scene.transform(1, [(lot("A"), "5")], [(lot("B"), "5")], docs=[("po", "urn:po:1")], run="urn:run")
    connection = fresh_database()
    capture(connection, [fact], nobody)
    connection.exec_driver_sql("UPDATE event SET partial = 7")
    (shown,) = SqlReader(connection, nobody, classes={7}).whole_facts_of(_ids(connection, lot("B")))
    assert ([line.role for line in shown.lines], shown.transactions) == (["output"], ())
    assert (shown.event_id, shown.action, shown.transformation_id, shown.digest) == (
        None,
        None,
        None,
        fact.commitment[:16],
    )
    assert shown.content == shown_part(fact).content != fact.content
    part, everything = SqlReader(connection, nobody, classes={7}), SqlReader(connection, nobody)
    for ask in ("facts_of", "whole_facts_of", "departures_of"):
        assert getattr(part, ask)(_ids(connection, lot("A"))) == [], ask
        assert len(getattr(everything, ask)(_ids(connection, lot("A")))) == 1, ask
    assert part.runs({(fact.member, "urn:run")}) == []
    assert len(list(everything.runs({(fact.member, "urn:run")}))) == 1
    assert SqlReader(connection, nobody, classes={8}).records([fact.record]) == []


def test_facts_come_back_from_the_store_as_they_were_captured() -> None:
    scene = Scene()
    fact = scene.ship(
        1, (lot("A"), "5.50"), sscc(1), docs=[("po", "urn:po:1")], offset_min=120, event_id="urn:e:1"
    )
    connection = stored(scene)
    (found,) = SqlReader(connection, holder).records([fact.record])
    same = (
        "content",
        "commitment",
        "time_us",
        "offset_min",
        "step",
        "sources",
        "destinations",
        "transactions",
    )
    assert [getattr(found, name) for name in same] == [getattr(fact, name) for name in same]
    assert found.digest == fact.digest[:16]
    assert [(line.role, line.sort, line.quantity) for line in found.lines] == [
        (line.role, line.sort, line.quantity) for line in fact.lines
    ]


def test_a_contradiction_stands_under_everything_it_names_and_goes_with_its_cause() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    scene.unpack(2, sscc(1), (lot("A"), "6"), event_id="urn:e:1")
    connection = stored(scene)
    assert _kinds(connection, lot("A")) == _kinds(connection, sscc(1)) == ["negative-contents"]
    capture(connection, [scene.declare(scene.facts[1])], holder)
    assert _kinds(connection, lot("A")) == _kinds(connection, sscc(1)) == []


def test_a_serial_in_two_parents_shows_at_all_three() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), unit("1"))
    scene.look(2, sscc(2), unit("1"))
    connection = stored(scene)
    for thing in (unit("1"), sscc(1), sscc(2)):
        assert _kinds(connection, thing) == ["contained-twice"]
    scene.unpack(1.5, sscc(1), unit("1"))
    capture(connection, scene.facts[2:], holder)
    for thing in (unit("1"), sscc(1), sscc(2)):
        assert _kinds(connection, thing) == []


def test_clearing_leaves_the_events() -> None:
    scene = Scene()
    scene.pack(1, sscc(1), (lot("A"), "5"))
    connection = stored(scene)
    clear(connection)
    assert not any(dump(connection).values())
    assert connection.exec_driver_sql("SELECT count(*) FROM event").scalar() == 1


def test_numbers_of_nodes_tell_their_kind() -> None:
    process, run = node_id(ProcessNode(5)), node_id(RunNode("farm", "urn:run:1"))
    filling = node_id(FillingNode(12, 3))
    assert [is_process(node) for node in (7, process, run, filling)] == [False, True, True, False]
    assert [is_filling(node) for node in (7, process, run, filling)] == [False, False, False, True]
    assert carrier_of(filling) == 12
    assert -(2**63) <= run < 0


def _ids(connection: Connection, iri: str) -> list[int]:
    return [row[0] for row in connection.exec_driver_sql("SELECT id FROM thing WHERE iri = ?", (iri,))]


def _kinds(connection: Connection, iri: str) -> list[str]:
    query = "SELECT c.kind FROM lineage_contradiction c JOIN thing t ON t.id = c.thing WHERE t.iri = ?"
    return [row[0] for row in connection.exec_driver_sql(query, (iri,))]
