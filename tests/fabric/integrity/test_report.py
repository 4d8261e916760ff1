"""A report of fsck says what a fault means, since when, whom it touches and what helps; and what it advises does help."""

from __future__ import annotations

import gc
import json
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import NamedNode, Store

import fabric.integrity
import ledger.log.fsck
from api.cli.fsck_text import report_lines
from fabric.capture.node import NodeSettings, rebuild_folder
from fabric.graph.graph import Graph
from fabric.graph.progress import Progress
from fabric.graph.projection import open_projection, rebuild
from fabric.graph.source import Source
from fabric.integrity import MEANINGS, NOT_COVERED, NodeReport, check_node
from fabric.integrity.coverage import COLUMNS, OF_ERASED, ROWS
from fabric.integrity.meaning import meaning_of
from fabric.integrity.moment import copy_engine, take, take_rows
from fabric.store.engine import reader_engine
from fabric.store.schema import metadata
from ledger.log.schema import metadata as log_metadata
from ledger.note import ED25519, VerifierKey
from ontology.vocabulary import term
from tests.simulator import ORIGIN, Simulator

ROOT = Path(__file__).resolve().parents[3]
LOT = "https://id.gs1.org/01/09506000134352/10/A1"
EVENTS = 30
SECRET = "urn:example:secret:4711"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped node with a graph, thirty captured events and a link."""
    with Simulator(tmp_path_factory.mktemp("report") / "node") as sim:
        sim.admit("mill")
        sim.admit("lab", own_key=True)
        sim.capture(
            "mill", [sim.event(epcList=[f"{LOT[:-5]}21/{n}"], bizStep="holding") for n in range(EVENTS)]
        )
        sim.capture_signed("lab", [sim.event(quantityList=[{"epcClass": LOT, "quantity": 1, "uom": "KGM"}])])
        sim.link("mill", LOT, SECRET)
        folder = sim.folder
    graph(folder)
    return folder


def graph(folder: Path) -> None:
    engine = reader_engine(folder / "loomark.db")
    projection = open_projection(folder / "graph", Source(engine))
    while projection.advance():
        projection.publish()
    projection.close()
    engine.dispose()


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "node"))


def checked(folder: Path, **more: Any) -> NodeReport:
    return check_node(folder, folder / "loomark.db", **more)


def change(folder: Path, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "loomark.db")) as database:
        assert database.execute(sql, values).rowcount > 0
        database.commit()


def rules(report: NodeReport) -> set[str]:
    return {one.rule for one in report.faults}


def flip(path: Path, at: int = 40) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def test_all_faults_are_counted_and_the_first_are_listed(folder: Path) -> None:
    change(folder, "UPDATE record SET salt = zeroblob(32) WHERE kind = 2")
    report = checked(folder)
    (one,) = report.explained
    assert (one.rule, one.count, len(one.faults), report.count) == (
        "record-commitment",
        EVENTS + 1,
        20,
        EVENTS + 1,
    )
    assert one.members == ("mill",)
    told = list(report_lines(report))
    assert f"  … and {EVENTS + 1 - 5} more" in told
    assert max(map(len, told)) <= 80


def test_a_record_was_good_when_its_capture_was_signed(folder: Path) -> None:
    change(folder, "UPDATE record SET salt = zeroblob(32) WHERE id = 2")
    report = checked(folder)
    (fault,) = report.faults
    assert fault.expected == fault.record
    assert fault.got is not None
    assert fault.got != fault.expected
    assert f"good when entry {fault.entry} was signed, under the head of size" in report.explained[0].since
    assert report.sound.size == report.size


def test_a_changed_entry_says_until_when_the_log_is_sound(folder: Path) -> None:
    before = checked(folder)
    with closing(sqlite3.connect(folder / "loomark.db")) as database:
        index = database.execute("SELECT idx FROM capture ORDER BY idx LIMIT 1").fetchone()[0]
        sizes = [row[0] for row in database.execute("SELECT size FROM checkpoint ORDER BY size")]
    change(
        folder,
        "UPDATE entry SET data = CAST(replace(data, 'payloadType', 'payloadtype') AS BLOB) WHERE idx = ?",
        index,
    )
    report = checked(folder)
    assert before.sound.size == before.size
    assert report.sound.size == max(size for size in sizes if size <= index)
    since = {one.rule: one.since for one in report.explained}
    assert f"good when entry {index} was signed" in since["leaf"]
    assert f"all entries below {report.sound.size} verify" in since["root"]
    assert "No signed head" not in "\n".join(report_lines(report))


def test_no_report_shows_what_a_record_says(folder: Path) -> None:
    change(
        folder, "UPDATE record SET body = CAST(replace(body, 'holding', 'retaining') AS BLOB) WHERE kind = 2"
    )
    change(folder, "UPDATE line SET role = 'retaining'")
    report = checked(folder)
    told = json.dumps(report.as_json()) + "\n".join(report_lines(report, shown=20))
    assert "record-commitment" in told
    assert "holding" not in told
    assert "retaining" not in told


def test_a_rebuild_mends_what_is_derived_and_nothing_else(folder: Path) -> None:
    change(folder, "UPDATE line SET role = 'mention' WHERE ord = 0")
    change(folder, "DELETE FROM lineage_summary")
    change(folder, "UPDATE thing SET kind = 'place' WHERE kind = 'serial'")
    change(folder, "UPDATE record SET digest = zeroblob(32) WHERE id = 2")
    flip(folder / "graph" / "CURRENT", 7)
    store = next(path for path in (folder / "graph" / "store").glob("*.sst") if path.stat().st_size > 3_000)
    flip(store)
    report = checked(folder)
    severities = {one.rule: one.meaning.severity for one in report.explained}
    assert {"projection-line", "projection-thing", "graph-pointer", "graph-unreadable"} <= severities.keys()
    rebuild_folder(NodeSettings(folder, origin=ORIGIN))
    engine = reader_engine(folder / "loomark.db")
    rebuild(folder / "graph", Source(engine))
    engine.dispose()
    after = checked(folder)
    assert rules(after) == {"record-digest"}
    assert all(severities[rule] == "derived" for rule in severities.keys() - {"record-digest"})


@pytest.mark.parametrize("name", ["tile/0/000.p", "checkpoint"])
def test_a_start_makes_tiles_and_checkpoint_again_from_the_entries(folder: Path, name: str) -> None:
    path = folder / "log" / name
    found = next(path.iterdir()) if path.is_dir() else path
    signed = (folder / "log" / "checkpoint").read_bytes()
    flip(found)
    assert rules(checked(folder)) == {"tile" if path.is_dir() else "checkpoint"}
    if path.is_dir():
        shutil.rmtree(folder / "log" / "tile")
    else:
        path.unlink()
    with Simulator(folder):
        pass
    assert checked(folder).faults == ()
    assert (folder / "log" / "checkpoint").read_bytes() == signed


def test_a_graph_that_lags_is_held_to_the_size_that_it_covers(folder: Path) -> None:
    with Simulator(folder) as sim:
        sim.capture("mill", [sim.event(eventID=None, epcList=[LOT[:-5] + "21/late"])])
    report = checked(folder)
    assert report.faults == ()
    assert report.checked["quads"] > 0
    shutil.rmtree(folder / "graph")
    change(folder, "UPDATE head SET size = size")
    engine = reader_engine(folder / "loomark.db")
    rebuild(folder / "graph", Source(engine))
    engine.dispose()
    assert checked(folder).checked["quads"] > report.checked["quads"]


class Ended(Exception):
    """The projector's process ends here."""


@pytest.mark.parametrize(("part", "step"), [(Progress, "note"), (Graph, "cover")])
def test_a_projector_that_ended_in_the_middle_of_a_pass_is_no_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, part: type, step: str
) -> None:
    with Simulator(folder) as sim:
        sim.capture("mill", [sim.event(eventID=None, epcList=[LOT[:-5] + "21/late"])])

    def end(*_: object) -> None:
        raise Ended

    with monkeypatch.context() as ending:
        ending.setattr(part, step, end)
        with pytest.raises(Ended):
            graph(folder)
    gc.collect()
    before = tree(folder / "graph" / "store")
    assert checked(folder).faults == ()
    assert tree(folder / "graph" / "store") == before
    store = Store(str(folder / "graph" / "store"))
    store.remove(next(store.quads_for_pattern(None, NamedNode(term("epcis:bizStep")), None, None)))
    store.flush()
    del store
    assert {fault.rule for fault in checked(folder).faults} == {"graph-quad"}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_check_beside_a_working_node_finds_nothing(folder: Path) -> None:
    found: list[NodeReport] = []
    with Simulator(folder) as sim:

        def check() -> None:
            found.extend(checked(folder) for _ in range(3))

        beside = threading.Thread(target=check)
        beside.start()
        number = 0
        while beside.is_alive():
            number += 1
            sim.capture("mill", [sim.event(eventID=None, epcList=[f"{LOT[:-5]}21/x{number}"])])
        beside.join()
    assert [report.faults for report in found] == [(), (), ()]
    assert found[-1].head >= found[0].head
    assert number > 0


def _swap_keys(folder: Path) -> None:
    one, other = folder / "keys/log.key", folder / "keys/operator.key"
    text = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(text)


def _open_key(folder: Path) -> None:
    (folder / "keys/operator.key").chmod(0o644)


def _lose_key(folder: Path) -> None:
    (folder / "keys/service/mill.key").unlink()


@pytest.mark.parametrize(
    ("harm", "places"),
    [
        (_swap_keys, {"keys/log.key", "keys/operator.key"}),
        (_open_key, {"keys/operator.key"}),
        (_lose_key, {"keys/service/mill.key"}),
    ],
)
def test_keys_that_are_swapped_open_or_lost_are_named(
    folder: Path, harm: Callable[[Path], None], places: set[str]
) -> None:
    harm(folder)
    report = checked(folder)
    assert {one.place for one in report.faults} == places
    assert {one.meaning.severity for one in report.explained} == {"setting"}
    assert report.sound.size == report.size


def test_a_key_that_is_given_is_trusted_before_the_folder(folder: Path) -> None:
    mine = VerifierKey(ORIGIN, ED25519, bytes(range(32)))
    report = checked(folder, key=mine)
    assert {"log-key", "checkpoint"} <= rules(report)
    assert report.sound.size == 0
    assert "No signed head of the log verifies." in " ".join(report_lines(report))


def test_rows_read_from_any_database_make_the_same_copy(folder: Path, tmp_path: Path) -> None:
    take(folder / "loomark.db", tmp_path / "pages.db")
    engine = copy_engine(tmp_path / "pages.db")
    with engine.connect() as connection:
        take_rows(connection, tmp_path / "rows.db")
    engine.dispose()
    assert rows(tmp_path / "rows.db") == rows(tmp_path / "pages.db")


def rows(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as database:
        names = [*log_metadata.tables, *metadata.tables, "alembic_version"]
        return {name: sorted(database.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}


def test_a_trigger_or_a_lost_index_is_named(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "loomark.db")) as database:
        database.execute("CREATE TRIGGER x AFTER INSERT ON job BEGIN DELETE FROM job; END")
        database.execute("DROP INDEX ix_line_thing")
        database.commit()
    assert {(one.rule, one.place) for one in checked(folder).faults} == {
        ("database-shape", "trigger x"),
        ("database-shape", "table line"),
    }


def test_every_rule_has_a_meaning() -> None:
    sources = [*Path(fabric.integrity.__file__).parent.glob("*.py"), Path(ledger.log.fsck.__file__)]
    sources.append(Path(ledger.log.fsck.__file__).with_name("tile_check.py"))
    noted = set()
    for path in sources:
        text = path.read_text(encoding="utf-8")
        noted |= set(re.findall(r'(?:\.note|\bfault|_fault|\.row)\(\s*"([a-z-]+)"', text))
        noted |= set(re.findall(r'yield\s+\(?\s*"([a-z-]+)",', text))
        of_each_kind = re.findall(r'f"\{kind\}-([a-z]+)"', text)
        noted |= {f"{kind}-{part}" for kind in ("link", "erasure") for part in of_each_kind}
    assert {"link-commitment", "erasure-index", "link-missing"} <= noted
    unknown = {rule for rule in noted if rule not in MEANINGS}
    assert unknown == set()
    assert len(noted) > 40
    assert all(meaning_of(rule).repair for rule in (*noted, "bad-seal", "projection-lineage_edge"))


def test_what_is_not_covered_is_there_and_is_told_to_operators() -> None:
    known = {
        table.name: set(table.c.keys()) for table in (*log_metadata.sorted_tables, *metadata.sorted_tables)
    }
    for one in (*COLUMNS, *OF_ERASED):
        table, _, column = one.place.partition(".")
        assert column == "*" or column in known[table], one
    assert {one.place for one in ROWS} <= known.keys()
    told = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    missing = [
        one.place
        for one in NOT_COVERED
        if f"| `{one.place}` |" not in told and f"| {one.place} |" not in told
    ]
    assert missing == []
