"""`loomark fsck` as people and scripts run it: exit code, list of faults, JSON."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator import Simulator


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("fsck") / "node") as sim:
        sim.admit("farm")
        sim.capture("farm", [sim.event(epcList=["https://id.gs1.org/01/09506000134352/21/1"])])
        yield sim


def fsck(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api.cli", "fsck", "--data", str(folder), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_clean_folder_beside_its_live_node_ends_with_zero(sim: Simulator) -> None:
    done = fsck(sim.folder, "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, report["clean"], report["faults"]) == (0, True, [])
    assert (report["size"], report["records"]) == (sim.node.state()["size"], 2)
    assert fsck(sim.folder).stdout.startswith("clean: tree size ")


def test_faults_are_listed_and_end_with_one(sim: Simulator, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    shutil.copytree(sim.folder, folder)
    with sqlite3.connect(folder / "loomark.db") as database:
        database.execute("UPDATE record SET salt = zeroblob(32) WHERE kind = 2")
    database.close()
    name = sim.rows("SELECT lower(hex(commitment)) FROM record WHERE kind = 2")[0][0]
    done = fsck(folder, "--json")
    assert done.returncode == 1
    (fault,) = json.loads(done.stdout)["faults"]
    assert (fault["rule"], fault["place"]) == ("record-commitment", f"record {name}")
    told = fsck(folder).stdout
    assert told.startswith("record-commitment: 1 fault in what was signed or stored\n")
    assert f"  - record {name}\n" in told
    assert max(map(len, told.splitlines())) <= 80


def test_a_folder_without_a_node_is_said_to_be_one(tmp_path: Path) -> None:
    done = fsck(tmp_path / "nothing")
    assert (done.returncode, done.stdout) == (3, "")
    assert "loomark.db" in done.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_report_for_programs_explains_each_kind_of_fault(sim: Simulator, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    shutil.copytree(sim.folder, folder)
    with sqlite3.connect(folder / "loomark.db") as database:
        database.execute("DELETE FROM line")
        database.execute("UPDATE record SET salt = zeroblob(32)")
    database.close()
    done = fsck(folder, "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, report["fsck"], report["clean"]) == (1, "loomark/fsck/v1", False)
    kinds = {one["rule"]: one for one in report["rules"]}
    assert [one["severity"] for one in report["rules"]] == ["evidence", "derived"]
    assert (kinds["record-commitment"]["count"], kinds["record-commitment"]["members"]) == (2, ["farm"])
    assert "loomark rebuild" in kinds["projection-line"]["repair"]
    assert all(one["means"] and one["affects"] and one["since"] for one in kinds.values())
    assert report["count"] == sum(one["count"] for one in kinds.values()) == len(report["faults"])
    assert {fault["rule"] for fault in report["faults"]} == kinds.keys()
    assert report["sound"]["size"] == report["size"]


def test_a_key_that_is_known_from_elsewhere_goes_before_the_folders(sim: Simulator, tmp_path: Path) -> None:
    (tmp_path / "vkey").write_text(sim.node.vkey + "\n")
    assert fsck(sim.folder, "--vkey", str(tmp_path / "vkey")).returncode == 0
    other = Simulator(tmp_path / "other")
    other.node.close()
    done = fsck(sim.folder, "--vkey", other.node.vkey)
    assert done.returncode == 1
    assert "log-key: 1 fault" in done.stdout
    assert "No signed head of the log verifies." in " ".join(done.stdout.split())


def test_a_scratch_folder_without_room_is_no_fault_of_the_node(sim: Simulator) -> None:
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        " resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000));"
        f" sys.argv = ['loomark', 'fsck', '--data', {str(sim.folder)!r}]; from api.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "--scratch" in done.stderr
