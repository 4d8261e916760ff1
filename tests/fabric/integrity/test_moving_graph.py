"""A projector publishes graphs and removes old ones while they are checked; that is no damage."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyoxigraph import NamedNode, Quad, Store
from sqlalchemy import create_engine

from fabric.graph.snapshots import publish
from fabric.integrity import graphs
from fabric.integrity.run import Run

QUAD = Quad(NamedNode("urn:a"), NamedNode("urn:b"), NamedNode("urn:c"))


def test_a_snapshot_that_others_replace_is_no_fault_and_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "graph"
    folder.mkdir()
    store = Store(str(tmp_path / "projector"))
    store.add(QUAD)
    publish(store, folder, 1)
    link, replaced = graphs._link, []

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
