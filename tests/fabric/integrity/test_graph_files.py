"""A projector publishes graphs and removes old ones while they are checked; that is no damage."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyoxigraph import NamedNode, Quad, Store
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from fabric.graph.snapshots import PURGED, publish
from fabric.integrity import graphs
from fabric.integrity.run import Run
from fabric.store.schema import erasure

QUAD = Quad(NamedNode("urn:a"), NamedNode("urn:b"), NamedNode("urn:c"))


def test_a_snapshot_that_others_replace_is_no_fault_and_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "graph"
    folder.mkdir()
    store = Store(str(tmp_path / "projector"))
    store.add(QUAD)
    publish(store, folder, 1)
    link = graphs._link
    replaced: list[str] = []

    def replace_and_link(path: Path, to: Path) -> None:
        if len(replaced) < 2:
            replaced.extend(publish(store, folder, size).name for size in (2, 3, 4))
        link(path, to)

    monkeypatch.setattr(graphs, "_link", replace_and_link)
    run = Run(create_engine("sqlite://"), lambda *_: None)

    ((place, found),) = graphs.open_graphs(run, folder, tmp_path / "scratch")
    for size in (5, 6, 7):
        publish(store, folder, size)

    assert run.faults.kept == []
    assert place == f"graph/{replaced[2]}"
    assert not (folder / replaced[2]).exists()
    assert list(found) == [QUAD]


def test_a_snapshot_without_one_of_its_files_is_a_fault(tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    folder.mkdir()
    store = Store(str(tmp_path / "projector"))
    store.add(QUAD)
    name = publish(store, folder, 1).name
    (folder / name / "CURRENT").unlink()
    run = Run(create_engine("sqlite://"), lambda *_: None)

    assert graphs.open_graphs(run, folder, tmp_path / "scratch") == []

    assert [fault.rule for fault in run.faults.kept] == ["graph-unreadable"]


@pytest.mark.parametrize(
    ("said", "is_fault"),
    [(b"7\n", False), (b"-1\n", False), (b"8\n", True), (b"07\n", True), (b"\xb7\n", True)],
)
def test_a_note_of_a_forgotten_erasure_has_to_name_one(tmp_path: Path, said: bytes, is_fault: bool) -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    erasure.create(engine)
    row = dict.fromkeys(["member", "statement_id", "parties"], "a") | dict.fromkeys(
        ["commitment", "salt", "body"], b"a"
    )
    with engine.begin() as connection:
        connection.execute(erasure.insert(), {**row, "statement": 1, "idx": 7, "swept": 1, "created_at": 0})
    (tmp_path / PURGED).write_bytes(said)
    run = Run(engine, lambda *_: None)

    graphs.check_purged(run, tmp_path)

    assert [fault.rule for fault in run.faults.kept] == ["graph-purged"] * is_fault
