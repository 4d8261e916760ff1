"""Where SQLite puts what does not fit into memory: in the node's own folder, and nowhere else."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fabric.store.spill import SPILL, keep_spills, spilling_into, told
from tests.simulator import Simulator

PROC = Path("/proc/self/fd")
pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="the system does not tell which files are open")

WIDE = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT hex(randomblob(500)) FROM n"


def spilled() -> set[Path]:
    """The folders of the temporary files of SQLite that this process has open; none of them has a name any more."""
    found = set()
    for handle in os.listdir(PROC):
        try:
            path = os.readlink(PROC / handle)
        except OSError:
            continue
        if "etilqs_" in path:
            found.add(Path(path).parent)
    return found


def watched(connection: sqlite3.Connection) -> set[Path]:
    """Look, while the connection works with little memory, where it puts what it has no memory for."""
    seen: set[Path] = set()
    connection.execute("PRAGMA cache_size=10")
    connection.set_progress_handler(lambda: seen.update(spilled()), 500)
    return seen


@pytest.fixture(autouse=True)
def _as_before(tmp_path: Path) -> Iterator[None]:
    with spilling_into(tmp_path / "before"):
        yield


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "wide.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE wide (text)")
        connection.execute(f"INSERT INTO wide {WIDE}")
        yield connection


@pytest.mark.parametrize(
    "work",
    [
        ["VACUUM"],
        ["SELECT count(*) FROM (SELECT text FROM wide ORDER BY text || '1' LIMIT -1 OFFSET 1)"],
        [
            "BEGIN",
            "UPDATE wide SET text = text || '1'",
            "SAVEPOINT one",
            "UPDATE wide SET text = '2' || text",
        ],
    ],
    ids=["vacuum", "sort", "statement journal"],
)
def test_what_does_not_fit_into_memory_goes_where_it_was_told(
    wide: sqlite3.Connection, tmp_path: Path, work: list[str]
) -> None:
    folder = tmp_path / "with 'quotes'" / SPILL
    assert keep_spills(folder)
    seen = watched(wide)
    for statement in work:
        wide.execute(statement).fetchall()
    assert seen == {folder}
    assert list(folder.iterdir()) == []


def test_a_node_rewrites_its_database_by_way_of_its_own_folder(tmp_path: Path) -> None:
    with Simulator(tmp_path / "node") as sim:
        sim.admit("farm", parties=["9506000134352"])
        job = sim.capture("farm", [sim.event(epcList=[f"urn:example:{one}"]) for one in range(300)])
        raw = sim.node._engine.raw_connection()
        seen = watched(raw.driver_connection)  # type: ignore[arg-type]
        raw.close()
        body = f'{{"records": ["{sim.names(job)[1]}"], "reason": "asked to"}}'
        sim.node.capture.erase("farm", body.encode()).settled.result(30)
        for _ in range(600):
            if sim.rows("SELECT swept FROM erasure") == [(1,)]:
                break
            sim.node._writer._thread.join(0.02)
        assert sim.rows("SELECT swept FROM erasure") == [(1,)]
        assert seen == {sim.folder / SPILL}
        assert list((sim.folder / SPILL).iterdir()) == []


def test_the_folder_is_its_owners_alone_and_emptied_at_start(tmp_path: Path) -> None:
    folder = tmp_path / "node" / SPILL
    with Simulator(tmp_path / "node"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "etilqs_left").write_bytes(b"of a crash")
    folder.chmod(0o755)
    with Simulator(tmp_path / "node"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert list(folder.iterdir()) == []


def test_a_child_spills_where_its_parent_was_told(tmp_path: Path) -> None:
    keep_spills(tmp_path / SPILL)
    program = (
        "import os, sqlite3\n"
        "c = sqlite3.connect('', isolation_level=None)\n"
        "c.execute('PRAGMA cache_size=10')\n"
        f"c.execute('CREATE TABLE wide AS {WIDE}')\n"
        "for handle in os.listdir('/proc/self/fd'):\n"
        "    try:\n"
        "        print(os.readlink('/proc/self/fd/' + handle))\n"
        "    except OSError:\n"
        "        pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    places = [line for line in done.stdout.splitlines() if "etilqs_" in line]
    assert {Path(line).parent for line in places} == {tmp_path / SPILL}


def test_work_on_a_copy_elsewhere_gives_the_place_back(tmp_path: Path) -> None:
    keep_spills(tmp_path / "node")
    with spilling_into(tmp_path / "copy"):
        assert told() == os.environ["SQLITE_TMPDIR"] == str(tmp_path / "copy")
    assert told() == os.environ["SQLITE_TMPDIR"] == str(tmp_path / "node")


def test_a_folder_that_cannot_be_made_is_refused_and_the_old_place_stays(tmp_path: Path) -> None:
    keep_spills(tmp_path / "node")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        keep_spills(tmp_path / "file")
    assert told() == os.environ["SQLITE_TMPDIR"] == str(tmp_path / "node")
