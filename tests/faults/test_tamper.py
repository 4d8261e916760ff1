"""Whatever is changed in a node's folder, fsck says so: one random byte or row at a time, anywhere.

A slice runs with every test run, and rotates with its seed; the long form makes 1,000 changes. What goes unnoticed
must be in the table of what is not covered, or a change that no reader can see.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fabric.graph.projection import open_projection
from fabric.graph.source import Source
from fabric.integrity import check_node
from fabric.store.engine import reader_engine
from tests.fabric.integrity.story import PALLET, story
from tests.simulator import Simulator

from .tamper import DATABASE, FLIPS, copied, may_go_unnoticed, names_the_place

SLICE_S = 15.0
SOAK_FLIPS = 1_000
ENTRIES = 262
"""Of the long form, more than a tile holds: there are full tiles, a bundle, and a second level."""


def consortium(sim: Simulator, entries: int = 0) -> None:
    """Every table has rows: hand-over, packing, process, master data, declaration, contradiction, link, erasure."""
    story(sim)
    erased = sim.capture(
        "mill", [sim.event(epcList=[PALLET]), sim.event(epcList=[PALLET], bizStep="holding")]
    )
    _, whole, part = sim.names(erased)
    _erase(sim, "mill", {"records": [whole], "reason": "asked to"})
    _erase(sim, "mill", {"records": [part], "units": ["/bizStep"], "reason": "asked to"})
    number = 0
    while sim.node.state()["size"] < entries:
        number += 1
        sim.capture("mill", [sim.event(epcList=[f"https://id.gs1.org/01/09506000134352/21/{number}"])])


def _erase(sim: Simulator, member: str, told: dict[str, Any]) -> None:
    sim.tick()
    sim.node.capture.erase(member, json.dumps(told).encode()).settled.result(30)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder as a node leaves it, and one as a killed node leaves it, with a write-ahead log."""
    return founded(tmp_path_factory.mktemp("tamper"))


def founded(made: Path, entries: int = 0) -> dict[str, Path]:
    """Two folders of one consortium."""
    with Simulator(made / "node") as sim:
        consortium(sim, entries)
        _graph(sim.folder)
        _settle(sim)
        # What comes after the sweep is in the write-ahead log only; the graph does not cover it yet.
        for number in range(3):
            sim.capture(
                "mill", [sim.event(epcList=[f"https://id.gs1.org/01/09506000134352/21/late{number}"])]
            )
        shutil.copytree(sim.folder, made / "killed")
    return {"stopped": made / "node", "killed": made / "killed"}


def _settle(sim: Simulator) -> None:
    """Wait until the files hold nothing of what was erased: then they are rewritten no more."""
    for _ in range(300):
        if not sim.rows("SELECT 1 FROM erasure WHERE idx IS NOT NULL AND swept = 0"):
            return
        time.sleep(0.05)
    raise AssertionError("what was erased was not swept")


def _graph(folder: Path) -> None:
    """What the projector leaves, written in two passes so that snapshots and store differ in their files."""
    engine = reader_engine(folder / DATABASE)
    projection = open_projection(folder / "graph", Source(engine))
    while projection.advance():
        projection.publish()
    projection.close()
    engine.dispose()


def test_the_folders_are_clean_and_a_check_changes_nothing_in_them(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        before = _digests(folder)
        report = check_node(folder, folder / DATABASE)
        assert report.faults == ()
        assert report.count == 0
        assert (report.size, report.sound.size) == (report.head,) * 2
        log = folder / f"{DATABASE}-wal"
        assert (folder.name == "killed") == (log.is_file() and log.stat().st_size > 0)
        assert report.checked["quads"] > 300
        assert _digests(folder) == before


def _digests(folder: Path) -> dict[str, bytes]:
    """The files of a folder; whoever opens a database for reading may leave an index of its log, and an empty log."""
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).digest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
        if not (path.name.endswith("-wal") and path.stat().st_size == 0)
    }


class Tampering:
    """Changes of fresh copies, one after the other; what went unnoticed, and how many of each kind."""

    def __init__(self, folders: dict[str, Path], scratch: Path, seed: int) -> None:
        self.folders = folders
        self.scratch = scratch
        self.chance = random.Random(seed)
        self.made: Counter[str] = Counter()
        self.unseen: Counter[str] = Counter()
        self.missed: list[str] = []
        self.elsewhere: list[str] = []

    def once(self, kind: str) -> None:
        """Change one thing of a kind, and check."""
        whole = self.folders["killed" if "write-ahead" in kind else "stopped"]
        folder = copied(whole, self.scratch / "node")
        change = FLIPS[kind](folder, self.chance)
        self.made[kind] += 1
        faults = check_node(folder, folder / DATABASE).faults
        if faults:
            places = [one.place for one in faults]
            if not names_the_place(change, places, [one.rule for one in faults]):
                self.elsewhere.append(f"{change.told}: {[(one.rule, one.place) for one in faults][:4]}")
        elif may_go_unnoticed(change, folder, whole):
            self.unseen[kind] += 1
        else:
            self.missed.append(f"{kind}: {change.told}")


def test_a_slice_of_random_changes_is_noticed_where_it_was_made(
    folders: dict[str, Path], tmp_path: Path, seed: int
) -> None:
    run = Tampering(folders, tmp_path, seed)
    end = time.monotonic() + SLICE_S
    kinds = list(FLIPS)
    run.chance.shuffle(kinds)
    while time.monotonic() < end:
        run.once(kinds[sum(run.made.values()) % len(kinds)])
    assert run.missed == []
    assert run.elsewhere == []
    assert sum(run.made.values()) > sum(run.unseen.values())


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_random_changes_are_noticed_where_they_were_made(tmp_path: Path, seed: int) -> None:
    run = Tampering(founded(tmp_path / "made", ENTRIES), tmp_path, seed)
    kinds = list(FLIPS)
    for number in range(SOAK_FLIPS):
        run.once(kinds[number % len(kinds)])
    for kind in kinds:
        print(f"{kind}: {run.made[kind]} changes, {run.unseen[kind]} that nobody can tell")
    assert run.missed == []
    assert run.elsewhere == []
