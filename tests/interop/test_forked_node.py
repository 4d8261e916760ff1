"""A node's folder that was copied and used twice, on two machines say: no node can know, but a monitor of both does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ledger.errors import NotFound
from ledger.misbehaviour import INCONSISTENT, SPLIT_VIEW, parse_misbehaviour, verify_misbehaviour
from ledger.monitor.follow import Monitor, open_monitor
from ledger.policy import parse_policy
from ledger.tile import Tile
from tests.simulator import ORIGIN, START_MS, Simulator


class Reading:
    """The log of a node in this process as a monitor reads it."""

    def __init__(self, sim: Simulator) -> None:
        self.log = sim.node.log

    def checkpoint(self) -> bytes:
        return self.log.published().note

    def tile(self, tile: Tile) -> bytes:
        data = self.log.tile(tile)
        if data is None:
            raise NotFound("no such tile", rule="not-shown")
        return data


def captures(sim: Simulator, first: int, count: int) -> None:
    for number in range(first, first + count):
        thing = f"https://id.gs1.org/01/09506000134352/21/{number}"
        named = f"urn:uuid:00000000-0000-4000-8000-{number + 1_000:012d}"
        job = sim.capture("farm", [sim.event(epcList=[thing], eventID=named)])
        assert job.state == "sequenced", job


@pytest.mark.parametrize(("more", "kind"), [(2, SPLIT_VIEW), (3, INCONSISTENT)])
def test_two_nodes_on_copies_of_one_folder_convict_their_log(tmp_path: Path, more: int, kind: str) -> None:
    with Simulator(tmp_path / "one") as sim:
        sim.admit("farm", parties=["9506000134352"])
        captures(sim, 0, 2)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    with Simulator(tmp_path / "one") as one:
        policy = parse_policy(f"log {one.node.vkey}\nquorum none\n")
        monitor: Monitor = open_monitor(tmp_path / "monitor", policy, ORIGIN, lambda: START_MS)
        captures(one, 10, 2)
        report = monitor.look(Reading(one))
        assert (report.suspicions, report.evidence, report.limits) == ([], [], [])
    with Simulator(tmp_path / "other") as other:
        captures(other, 20, more)
        [(path, found)] = monitor.look(Reading(other)).evidence
        assert (found.kind, found.sizes) == (kind, (report.size, other.node.log.size))
        monitor.close()
    assert verify_misbehaviour(parse_misbehaviour(path.read_bytes()), policy) == found
