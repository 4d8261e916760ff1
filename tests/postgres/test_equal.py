"""The same documents on both databases: the same projections, traces, graphs, whoever asks, and the same after a rebuild."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.answers import view
from fabric.graph import Source, open_projection
from fabric.graph.comparison import compare
from fabric.integrity import check_node
from fabric.lineage.sql import dump
from fabric.scenario import generate
from fabric.store.bulk import CHUNK
from fabric.trace import Direction, Question, trace
from fabric.trace.search import resolve
from fabric.visibility.reader import EVERYBODY, Reader
from ledger.errors import LoomarkError
from ledger.note import parse_vkey
from tests.e2e.test_truth import captured, differences
from tests.simulator import Simulator, databases

from .fixtures import Postgres

EVENTS = 700
ASKED = 40


class Both:
    """One consortium twice: on SQLite and on PostgreSQL."""

    def __init__(self, folder: Path, postgres: Postgres, seed: int) -> None:
        generate(EVENTS, 6, seed, folder / "scenario")
        self.sqlite = Simulator(folder / "sqlite")
        databases.append(postgres)
        try:
            self.postgres = Simulator(folder / "postgres")
        finally:
            databases.pop()
        self.truth, _ = [self._captured(sim, folder / "scenario") for sim in self]
        self.members = [one for one in self.sqlite.node.registry.members if one != "operator"]

    def _captured(self, sim: Simulator, scenario: Path) -> dict[str, Any]:
        """Capture everything with the same salts in both, so that records have the same names."""
        salts = random.Random(0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "urandom", salts.randbytes)
            return captured(sim, scenario)

    def __iter__(self) -> Iterator[Simulator]:
        return iter((self.sqlite, self.postgres))

    def close(self) -> None:
        for sim in self:
            sim.node.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres, seed: int) -> Iterator[Both]:
    before = len(postgres_server.given)
    found = Both(tmp_path_factory.mktemp("both"), postgres_server, seed % 1000)
    yield found
    found.close()
    postgres_server.take_back(before)


def lineage(sim: Simulator) -> dict[str, Any]:
    with sim.node.reading.connect() as connection:
        return dump(connection)


def answers(sim: Simulator, reader: Reader, source: dict[str, Any]) -> Any:
    """What a reader gets who traces a thing and searches for the end of its name."""
    with view(sim.node, reader, None) as seen:
        try:
            traced: Any = trace(
                Question(source["thing"], Direction(source["direction"])), seen.source
            ).as_json()
        except LoomarkError as error:
            traced = type(error).__name__
        code = source["thing"].rpartition("/")[2]
        return traced, resolve(code, seen.catalogue, seen.source)


def test_projections_and_lineage_are_equal_and_so_are_they_after_a_rebuild(both: Both) -> None:
    projections, derived = both.sqlite.projections(), lineage(both.sqlite)
    assert both.postgres.projections() == projections
    assert lineage(both.postgres) == derived
    counts = both.sqlite.counts()
    assert both.postgres.counts() == counts
    assert counts["event"] > CHUNK
    both.postgres.rebuild()
    assert both.postgres.projections() == projections
    assert lineage(both.postgres) == derived


def test_traces_on_postgres_equal_the_truth(both: Both) -> None:
    wrong = [line for source in both.truth["sources"] for line in differences(both.postgres, source)]
    assert not wrong, "\n".join(wrong[:10])


def test_every_reader_gets_the_same_answers(both: Both) -> None:
    sources = both.truth["sources"][:: max(1, len(both.truth["sources"]) // ASKED)]
    for number, source in enumerate(sources):
        for member in (None, both.members[number % len(both.members)]):
            got = [
                answers(sim, EVERYBODY if member is None else sim.node.reader(member), source) for sim in both
            ]
            assert got[0] == got[1], (source["thing"], member)


def test_the_graphs_are_equal(both: Both, tmp_path: Path) -> None:
    with (
        _graph(both.sqlite, tmp_path / "sqlite") as one,
        _graph(both.postgres, tmp_path / "postgres") as other,
    ):
        assert compare(one, other).equal


@contextmanager
def _graph(sim: Simulator, folder: Path) -> Iterator[Any]:
    projection = open_projection(folder, Source(sim.node.reading))
    while projection.advance():
        pass
    try:
        yield projection.store
    finally:
        projection.close()


DAMAGES = {
    "record": "UPDATE record SET body = body || '\\x20'::bytea WHERE id = (SELECT max(id) FROM record)",
    "projection-line": "DELETE FROM line WHERE record = (SELECT max(record) FROM line)",
    "leaf": "UPDATE entry SET leaf = sha256(leaf) WHERE idx = 1",
}


def test_fsck_is_clean_and_names_a_changed_row_on_postgres(both: Both) -> None:
    sim = both.postgres

    def rules() -> set[str]:
        report = check_node(sim.folder, sim.where, parse_vkey(sim.node.vkey))
        return {fault.rule for fault in report.faults}

    assert rules() == set()
    for statement in DAMAGES.values():
        with sim.node._engine.connect() as connection:
            transaction = connection.begin()
            connection.exec_driver_sql(statement)
            transaction.commit()
    found = rules()
    assert len(found) >= len(DAMAGES), found
