"""Whatever line the writer dies at, the next start goes on from what is stored, with the same code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fabric.capture.node import NodeSettings, open_node
from ledger.errors import InvalidInput, Unavailable
from tests.simulator import ORIGIN, Simulator

LOT = "https://id.gs1.org/01/09506000134352/10/A1"


class Died(BaseException):
    """What a kill looks like from inside."""


def lot_event(sim: Simulator, **fields: Any) -> dict[str, Any]:
    return sim.event(quantityList=[{"epcClass": LOT, "quantity": 3}], **fields)


def die(*_: object) -> None:
    raise Died


def test_stored_and_not_sequenced_is_sequenced_and_projected_by_the_next_start(sim: Simulator) -> None:
    sim.capture("farm", [lot_event(sim)])
    sim.node._writer.sequence = die  # type: ignore[method-assign]
    body = sim.document([lot_event(sim), sim.event(epcList=["https://id.gs1.org/01/09506000134352/21/7"])])
    ticket = sim.node.capture.store("farm", sim.node.capture.prepare(body, "application/ld+json").result())
    job = ticket.stored.result(10)
    with pytest.raises(Unavailable):
        ticket.settled.result(10)
    assert sim.node.capture.job(job.id, "farm").state == "staged"
    assert sim.rows("SELECT count(*) FROM event")[0][0] == 1
    sim.crash()
    assert sim.node.capture.job(job.id, "farm").state == "sequenced"
    assert sim.rows("SELECT count(*) FROM event")[0][0] == 3
    before = sim.projections()
    sim.rebuild()
    assert sim.projections() == before


def test_a_failed_first_transaction_stores_nothing_and_ends_the_writer(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sim.counts()
    monkeypatch.setattr("fabric.capture.intake.jobs.create", die)
    with pytest.raises(Unavailable):
        sim.capture("farm", [lot_event(sim)])
    monkeypatch.undo()
    assert sim.counts() == before
    assert not sim.node.state()["writable"]
    with pytest.raises(Unavailable):
        sim.capture("farm", [lot_event(sim)])
    sim.crash()
    assert sim.counts() == before
    assert sim.capture("farm", [lot_event(sim)]).state == "sequenced"


def test_a_failed_projection_leaves_the_log_where_it_was(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sim.node.state()["size"]
    monkeypatch.setattr("fabric.capture.indexing.index_facts", die)
    sim.node.capture.store(
        "farm", sim.node.capture.prepare(sim.document([lot_event(sim)]), "application/ld+json").result()
    ).stored.result(10)
    sim.node._writer._thread.join(10)
    monkeypatch.undo()
    assert sim.rows("SELECT size FROM head")[0][0] == size
    assert sim.rows("SELECT count(*) FROM thing")[0][0] == 0
    sim.crash()
    assert sim.node.state()["size"] > size
    assert sim.rows("SELECT count(*) FROM event")[0][0] == 1


def test_reopening_changes_nothing(sim: Simulator) -> None:
    sim.capture("farm", [lot_event(sim)])
    before = sim.counts()
    sim.reopen()
    assert sim.counts() == before
    assert sim.node.new_operator_key is None


def test_a_rebuild_gives_equal_projections(sim: Simulator) -> None:
    sim.capture("farm", [lot_event(sim), lot_event(sim)])
    old = lot_event(sim)
    sim.capture_signed("packer", [old])
    sim.capture_signed("packer", [old, lot_event(sim)])
    before = sim.projections()
    assert sim.rebuild() == 3
    assert sim.projections() == before


def test_projections_of_another_version_are_rebuilt_at_the_start(sim: Simulator) -> None:
    sim.capture("farm", [lot_event(sim)])
    before = sim.projections()
    with sim.node._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE projection SET version = 0 WHERE name = 'store'")
        connection.exec_driver_sql("DELETE FROM event")
    sim.reopen()
    assert sim.projections() == before


def test_a_folder_has_one_node(sim: Simulator) -> None:
    with pytest.raises(Unavailable):
        open_node(NodeSettings(sim.folder, origin=ORIGIN))


def test_the_origin_never_changes(tmp_path: Path) -> None:
    Simulator(tmp_path / "node").node.close()
    with pytest.raises(InvalidInput) as refusal:
        open_node(NodeSettings(tmp_path / "node", origin="other.example/log"))
    assert refusal.value.rule == "log-exists"


def test_keys_are_for_the_node_alone(sim: Simulator) -> None:
    files = [path for path in (sim.folder / "keys").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"log.key", "operator.key", "farm.key"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_full_queue_says_when_to_come_back(sim: Simulator) -> None:
    from fabric.capture.writer import QueueFull, Writer

    writer = Writer(
        sim.node._engine, sim.node._sequencer, sim.node._writer._indexer, sim.node._writer._intake, capacity=1
    )
    writer.submit(lambda connection: None)
    with pytest.raises(QueueFull) as refusal:
        writer.submit(lambda connection: None)
    assert refusal.value.retry_after_s > 0


def test_what_is_queued_is_stored_before_the_node_stops(sim: Simulator) -> None:
    prepared = [
        sim.node.capture.prepare(sim.document([lot_event(sim)]), "application/json").result()
        for _ in range(5)
    ]
    tickets = [sim.node.capture.store("farm", one) for one in prepared]
    sim.reopen()
    assert [sim.node.capture.job(ticket.stored.result(0).id, "farm").state for ticket in tickets] == [
        "sequenced"
    ] * 5
