"""Wherever a node dies, what was stated is carried out by the next start, and what was not has changed nothing."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fabric.capture.tombstone import ErasedRecord
from fabric.graph import Source, open_projection
from ledger.errors import Forbidden, LoomarkError
from ledger.registry import Registry
from tests.simulator import Simulator

from .child import run
from .conftest import FARM, Erasing, place
from .search import found
from .test_no_trace import catch_up, followed, same_as_scratch, secrets, telling
from .test_proofs import faults, full


class Died(BaseException):
    """What a kill looks like from inside."""


def die(*_: object, **__: object) -> None:
    raise Died


def after(real: Callable[..., Any]) -> Callable[..., Any]:
    def done(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        raise Died

    return done


def erase_and_die(erasing: Erasing, name: str) -> None:
    with pytest.raises(LoomarkError):
        erasing.erase("farm", name)
    erasing.sim.node._writer._thread.join(10)


def few(sim: Simulator) -> list[str]:
    """The names of three records that tell something of their own."""
    return sim.names(sim.capture("farm", [telling(sim, number, FARM) for number in range(3)]))[1:]


def is_gone(erasing: Erasing, name: str, number: int) -> None:
    """Assert that the record is erased, everywhere, and that everything else is as it must be."""
    sim = erasing.sim
    with pytest.raises(ErasedRecord):
        full(sim, "farm", name)
    erasing.settle()
    assert found(sim.folder, secrets(number).values()) == {}
    assert faults(sim) == []
    kept = erasing.state()
    sim.rebuild()
    assert erasing.state() == kept


def test_what_was_not_stored_has_changed_nothing(erasing: Erasing, monkeypatch: pytest.MonkeyPatch) -> None:
    sim = erasing.sim
    names = few(sim)
    before = sim.counts(), erasing.state(), full(sim, "farm", names[1])
    monkeypatch.setattr("fabric.store.bodies.Bodies.insert", die)
    erase_and_die(erasing, names[1])
    monkeypatch.undo()
    sim.crash()
    assert (sim.counts(), erasing.state(), full(sim, "farm", names[1])) == before


@pytest.mark.parametrize(
    "line",
    [
        "remove_facts",
        pytest.param("_strip", marks=pytest.mark.soak),
        "_drop_documents",
        pytest.param("put_tombstones", marks=pytest.mark.soak),
        pytest.param("_drop_things", marks=pytest.mark.soak),
        "put_names",
    ],
)
def test_what_was_stated_and_not_carried_out_is_carried_out_by_the_next_start(
    erasing: Erasing, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    sim = erasing.sim
    job = sim.capture("farm", [telling(sim, 1, FARM), telling(sim, 2, FARM)])
    name = sim.names(job)[1]
    size = sim.node.state()["size"]
    monkeypatch.setattr(f"fabric.capture.erasure.{line}", die)
    erase_and_die(erasing, name)
    monkeypatch.undo()
    assert sim.rows("SELECT size FROM head")[0][0] == size
    assert sim.rows("SELECT count(*) FROM record WHERE body IS NULL")[0][0] == 0
    assert sim.rows("SELECT count(*) FROM erasure WHERE idx IS NULL")[0][0] == 1
    sim.crash()
    is_gone(erasing, name, 1)


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ("rewrite_sqlite", False),
        ("rewrite_sqlite", True),
        pytest.param("mark_swept", False, marks=pytest.mark.soak),
        pytest.param("mark_swept", True, marks=pytest.mark.soak),
    ],
)
def test_files_that_were_not_swept_are_swept_by_the_next_start(
    erasing: Erasing, monkeypatch: pytest.MonkeyPatch, line: str, *, stored: bool
) -> None:
    from fabric.capture import sweep

    sim = erasing.sim
    names = few(sim)
    monkeypatch.setattr(sweep, line, after(getattr(sweep, line)) if stored else die)
    erasing.erase("farm", names[0])
    sim.node._writer._thread.join(10)
    assert not sim.node.state()["writable"]
    monkeypatch.undo()
    sim.crash()
    is_gone(erasing, names[0], 0)


def test_no_room_for_a_copy_leaves_the_sweep_for_later(
    erasing: Erasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    from sqlalchemy.exc import OperationalError

    from fabric.capture import sweep

    def full_disk(*_: object) -> bool:
        raise OperationalError("VACUUM", {}, sqlite3.OperationalError("database or disk is full"))

    sim = erasing.sim
    names = few(sim)
    monkeypatch.setattr(sweep, "rewrite_sqlite", full_disk)
    erasing.erase("farm", names[0])
    assert sim.capture("farm", [sim.event(epcList=["urn:example:goes-on"])]).state == "sequenced"
    assert sim.rows("SELECT swept FROM erasure") == [(0,)]
    monkeypatch.undo()
    is_gone(erasing, names[0], 0)


def test_a_reader_that_holds_the_write_ahead_log_delays_the_sweep_and_no_more(
    erasing: Erasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabric.capture.sweep.TRY_AGAIN_S", 0.01)
    sim = erasing.sim
    names = few(sim)
    with sim.node.reading.connect() as held:
        held.exec_driver_sql("SELECT count(*) FROM record").one()
        erasing.erase("farm", names[0])
        assert sim.rows("SELECT swept FROM erasure") == [(0,)]
    is_gone(erasing, names[0], 0)


@pytest.mark.parametrize(
    ("target", "stored"),
    [
        pytest.param("fabric.graph.graph.Graph.replace", False, marks=pytest.mark.soak),
        ("fabric.graph.graph.Graph.replace", True),
        pytest.param("fabric.graph.projection.swap_in", False, marks=pytest.mark.soak),
        ("fabric.graph.projection.os.replace", True),
        pytest.param("fabric.graph.projection.swap_in", True, marks=pytest.mark.soak),
        pytest.param("fabric.graph.projection.publish", False, marks=pytest.mark.soak),
        ("fabric.graph.snapshots._remove_old", False),
        pytest.param("fabric.graph.progress.Progress.note_purged", False, marks=pytest.mark.soak),
    ],
)
def test_a_graph_that_died_on_the_way_forgets_when_it_is_opened_again(
    erasing: Erasing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str, *, stored: bool
) -> None:
    sim = erasing.sim
    job = sim.capture("farm", [telling(sim, number, FARM) for number in range(3)])
    folder = sim.folder / "graph"
    with followed(sim):
        pass
    erasing.erase("farm", sim.names(job)[2])
    erasing.settle()
    projection = open_projection(folder, Source(sim.node.reading))
    owner, _, name = target.rpartition(".")
    real = pytest.importorskip("pkgutil").resolve_name(f"{owner}.{name}")
    monkeypatch.setattr(target, after(real) if stored else die)
    with pytest.raises(Died):
        catch_up(projection)
    monkeypatch.undo()
    del projection
    with followed(sim) as again:
        assert same_as_scratch(sim, again, tmp_path / "scratch")
    assert found(sim.folder, secrets(1).values()) == {}
    assert found(folder, secrets(2).values()).keys() == set(secrets(2).values())
    assert {
        path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("snap-")
    } == {"store"}


def killed(tmp_path: Path, kills: int, records: int, seed: int) -> int:
    """Kill a node that erases, again and again; gives how often it was killed before it had done."""
    folder, chance = tmp_path / "node", random.Random(seed)
    with Simulator(folder) as sim:
        sim.admit("farm", parties=[FARM])
        job = sim.capture("farm", [telling(sim, number, FARM) for number in range(records + 2)])
        names = sim.names(job)[1:]
        with followed(sim):
            pass
    context = multiprocessing.get_context("spawn")
    done = 0
    for turn in range(kills + 1):
        child = context.Process(target=run, args=(str(folder), names[:records]))
        child.start()
        child.join(chance.uniform(1.5, 5.0) if turn < kills else 600)
        if child.is_alive():
            child.kill()
            child.join()
            done += 1
        else:
            assert child.exitcode == 0
    with Simulator(folder) as sim:
        erasing = Erasing(sim)
        with followed(sim) as projection:
            assert same_as_scratch(sim, projection, tmp_path / "scratch")
        erasing.settle()
        gone = [value for number in range(records) for value in secrets(number).values()]
        assert found(folder, gone) == {}
        left = {value for number in (records, records + 1) for value in secrets(number).values()}
        assert found(folder, left).keys() == left
        for name in names[:records]:
            with pytest.raises(ErasedRecord):
                full(sim, "farm", name)
        assert faults(sim) == []
        kept = erasing.state()
        sim.rebuild()
        assert erasing.state() == kept
    return done


def test_a_node_killed_while_it_erases_ends_what_it_began(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"kill seed {seed}")
    killed(tmp_path, kills=1, records=4, seed=seed)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_node_killed_often_while_it_erases_ends_what_it_began(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"kill seed {seed}")
    assert killed(tmp_path, kills=15, records=60, seed=seed) > 3


def test_an_erasure_that_the_log_refused_has_no_effect(
    erasing: Erasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = erasing.sim
    job = sim.capture_signed("packer", [sim.event(epcList=["urn:example:kept"])])
    name = sim.names(job)[1]
    value = erasing.signed("packer", name)
    sim.node._writer.sequence = die  # type: ignore[method-assign]
    with pytest.raises(LoomarkError):
        erasing.post("packer", value)
    # The key is revoked before the erasure gets its turn.
    real = Registry.authorise

    def refuse(registry: Registry, envelope: Any, time_ms: int | None) -> Any:
        if envelope.statement.type == "erasure":
            raise Forbidden("expected an active key", rule="key-revoked")
        return real(registry, envelope, time_ms)

    monkeypatch.setattr(Registry, "authorise", refuse)
    sim.crash()
    monkeypatch.undo()
    assert sim.rows("SELECT state FROM statement WHERE type = 'erasure'") == [("refused",)]
    assert sim.verify(full(sim, "packer", name)).opened.full
    assert sim.rows("SELECT count(*) FROM erased")[0][0] == 0
    assert faults(sim) == []


def test_a_record_that_still_waits_for_its_index_can_be_erased(erasing: Erasing) -> None:
    sim = erasing.sim
    sequence = sim.node._writer.sequence
    sim.node._writer.sequence = lambda: None  # type: ignore[method-assign]
    body = sim.document(
        [telling(sim, 1, FARM), sim.event(epcList=["urn:example:stays"], readPoint={"id": place(FARM)})]
    )
    service = sim.node.capture
    job = service.store("farm", service.prepare(body, "application/ld+json").result()).stored.result(10)
    assert service.job(job.id, "farm").state == "staged"
    name = sim.names(job)[1]
    ticket = service.erase("farm", f'{{"records": ["{name}"], "reason": "at once"}}'.encode())
    ticket.stored.result(10)
    sim.node._writer.sequence = sequence  # type: ignore[method-assign]
    sim.capture("farm", [sim.event(epcList=["urn:example:next"])])
    assert service.job(job.id, "farm").state == "sequenced"
    is_gone(erasing, name, 1)
