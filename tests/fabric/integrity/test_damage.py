"""fsck finds nothing in what a node wrote, and names each row or file that was changed behind its back."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fabric.integrity import MEANINGS, NodeReport, check_node
from ledger.errors import Unavailable
from ledger.note import parse_vkey
from tests.simulator import Simulator

from .story import story


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("fsck") / "node") as sim:
        story(sim)
        yield sim


def checked(sim: Simulator, database: Path | None = None) -> NodeReport:
    return check_node(sim.folder, database or sim.folder / "loomark.db", parse_vkey(sim.node.vkey))


@pytest.fixture
def corrupted(sim: Simulator, tmp_path: Path) -> Callable[..., NodeReport]:
    """The report on a copy of the database in which some statements were run."""

    def run(*statements: tuple[str, tuple[Any, ...]] | str) -> NodeReport:
        copy = tmp_path / "copy.db"
        source, target = sqlite3.connect(sim.folder / "loomark.db"), sqlite3.connect(copy)
        source.backup(target)
        for statement in statements:
            query, values = (statement, ()) if isinstance(statement, str) else statement
            assert target.execute(query, values).rowcount > 0, query
        target.commit()
        target.close()
        source.close()
        return checked(sim, copy)

    return run


def test_what_a_node_wrote_is_clean_beside_the_live_node(sim: Simulator) -> None:
    report = checked(sim)
    assert report.faults == ()
    assert (report.size, report.head) == (sim.node.state()["size"],) * 2
    assert (report.documents, report.captures, report.records) == (5, 5, 14)
    assert report.projections > 50
    assert sim.node.state()["writable"]


def test_every_projection_has_rows_to_be_wrong_about(sim: Simulator) -> None:
    empty = {name for name, count in sim.counts().items() if count == 0}
    erasures = {"erasure", "erased", "erased_by", "erased_name", "retention"}
    asked_for = {"named_query", "subscription"}
    assert empty <= {"lineage_contradiction", "lineage_loser"} | erasures | asked_for


def test_a_database_that_is_not_there_cannot_be_checked(sim: Simulator, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        checked(sim, tmp_path / "none.db")


def test_a_changed_entry_accuses_no_file_that_agrees_with_what_was_signed(
    corrupted: Callable[..., NodeReport],
) -> None:
    report = corrupted("UPDATE entry SET data = zeroblob(length(data)) WHERE idx = 1")
    rules = {fault.rule for fault in report.faults}
    assert {"leaf", "root"} <= rules
    assert "high-water" not in rules
    assert "leave the tiles" in MEANINGS["tile"].repair


def test_a_file_that_is_no_database_any_more_is_a_fault_not_a_crash(sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 50)
    report = checked(sim, tmp_path / "text.db")
    assert [(fault.rule, fault.place) for fault in report.faults] == [("database-page", "database")]
    assert report.sound.size == 0


@pytest.mark.parametrize(
    ("statement", "rule", "place"),
    [
        ("UPDATE document SET body = x'00' WHERE id = 2", "document", "document 2"),
        (
            ("UPDATE document SET body = ? WHERE id = 2", (zlib.compress(b"{}"),)),
            "document-digest",
            "document 2",
        ),
        ("UPDATE document SET size = size + 1 WHERE id = 1", "document-size", "document 1"),
        ("UPDATE document SET sha256 = zeroblob(32) WHERE id = 1", "document-digest", "document 1"),
        ("UPDATE document SET sha256 = zeroblob(32) WHERE id = 1", "record-source", "record "),
        ("UPDATE record SET salt = zeroblob(32) WHERE id = 3", "record-commitment", "record "),
        (
            "UPDATE record SET body = replace(body, 'OBSERVE', 'DELETE') WHERE id = 4",
            "record-commitment",
            "record ",
        ),
        ("UPDATE record SET body = x'7b' WHERE id = 14", "record-body", "record "),
        ("UPDATE record SET body = cast(body || ' ' AS BLOB) WHERE id = 3", "record-body", "record "),
        (
            "UPDATE record SET commitment = zeroblob(32) WHERE id = 3",
            "record-commitment",
            f"record {'00' * 32}",
        ),
        (
            "UPDATE record SET commitment = zeroblob(32) WHERE id = 3",
            "capture-commitment",
            "capture 1 of mill",
        ),
        ("UPDATE record SET digest = zeroblob(32) WHERE id = 3", "record-digest", "record "),
        ("UPDATE record SET event_id = 'urn:x:y' WHERE id = 3", "record-facts", "record "),
        ("UPDATE record SET declares = 1 WHERE id = 3", "record-facts", "record "),
        ("UPDATE record SET member = 'shop' WHERE id = 3", "record-member", "record "),
        ("UPDATE record SET kind = 0 WHERE id = 3", "record-kind", "record "),
        ("DELETE FROM record WHERE id = 5", "record-positions", "capture 1 of mill"),
        ("UPDATE record SET capture = 99 WHERE id = 5", "record-capture", "records"),
        ("UPDATE capture SET salt = zeroblob(32) WHERE id = 2", "capture-commitment", "capture 2 of mill"),
        (
            "UPDATE capture SET commitment = zeroblob(32) WHERE id = 2",
            "capture-statement",
            "capture 2 of mill",
        ),
        ("UPDATE capture SET idx = 1000 WHERE id = 2", "capture-index", "capture 2 of mill"),
        ("UPDATE capture SET member = 'shop' WHERE id = 2", "capture-statement", "capture 2 of shop"),
        ("UPDATE capture SET statement = 1 WHERE id = 2", "capture-statement", "capture 2 of mill"),
        ("UPDATE capture SET statement = 999 WHERE id = 2", "capture-missing", "statement "),
        ("DELETE FROM document WHERE id = 3", "job-document", "job "),
        ("DELETE FROM capture WHERE id = 3", "job-capture", "job "),
        (
            "UPDATE statement SET idx = idx + 100 WHERE type = 'capture' AND member = 'shop'",
            "index",
            "entry ",
        ),
        ("UPDATE entry SET data = cast(data || ' ' AS BLOB) WHERE idx = 4", "leaf", "entry 4"),
        ("UPDATE projection SET version = 0 WHERE name = 'lineage'", "projection-version", "projections"),
    ],
)
def test_a_changed_row_is_named(
    corrupted: Callable[..., NodeReport], statement: Any, rule: str, place: str
) -> None:
    faults = corrupted(statement).faults
    found = [fault for fault in faults if fault.rule == rule]
    assert found, faults
    assert found[0].place.startswith(place)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE thing SET kind = 'serial' WHERE kind = 'lot'",
        "UPDATE thing SET iri = iri || 'x' WHERE kind = 'lot'",
        "INSERT INTO thing (id, iri, kind) VALUES (9999, 'https://example.org/nobody', 'lot')",
        "UPDATE \"class\" SET members = 'lab mill shop' WHERE members = 'mill shop'",
        "UPDATE event SET time_us = time_us + 1 WHERE seq = (SELECT min(seq) FROM event)",
        "UPDATE event SET void_by = NULL WHERE void_by IS NOT NULL",
        'UPDATE event SET "class" = (SELECT max("class") FROM event) WHERE "class" = (SELECT min("class") FROM event)',
        "UPDATE line SET quantity = '4' WHERE quantity = '3'",
        "DELETE FROM line WHERE role = 'child'",
        "DELETE FROM named",
        "DELETE FROM master",
        "UPDATE shown SET whole = 1 - whole",
        "DELETE FROM handed",
        "DELETE FROM lineage_edge",
        "UPDATE lineage_interval SET until_us = 1",
        "UPDATE lineage_filling SET put_out = 1 - put_out",
        "UPDATE lineage_summary SET body = replace(body, 'mill', 'shop')",
        "INSERT INTO lineage_contradiction VALUES (1, 0, 0, 'use-before-receipt', '[1]', '[2]', 'made up')",
    ],
)
def test_a_changed_projection_is_named_by_its_row(
    corrupted: Callable[..., NodeReport], statement: str
) -> None:
    faults = corrupted(statement).faults
    assert faults
    assert {fault.rule.partition("-")[0] for fault in faults} == {"projection"}
    assert all(
        fault.place.split()[0] in statement or "thing" in statement or "class" in statement
        for fault in faults
    )


def test_a_changed_tile_and_checkpoint_are_named(sim: Simulator, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    shutil.copytree(sim.folder, folder)
    tile = folder / "log" / "tile" / "0" / "000.p" / str(sim.node.state()["size"])
    whole = tile.read_bytes()
    tile.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    report = check_node(folder, sim.folder / "loomark.db", parse_vkey(sim.node.vkey))
    assert [fault.rule for fault in report.faults] == ["tile"]
    tile.write_bytes(whole)
    (folder / "high-water").write_bytes(b"nonsense")
    report = check_node(folder, sim.folder / "loomark.db", parse_vkey(sim.node.vkey))
    assert [fault.rule for fault in report.faults] == ["high-water"]


def test_the_faults_of_a_ruined_store_are_bounded(corrupted: Callable[..., NodeReport]) -> None:
    report = corrupted(
        "UPDATE record SET digest = zeroblob(32), member = 'nobody', declares = 7", "DELETE FROM line"
    )
    assert 40 < len(report.faults) <= 100
