"""A consortium of three, and the words of a test of erasure: erase, look everywhere, compare with a rebuild."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fabric.capture.service import Outcome, Posted
from fabric.epcis.erasure import erasure_of
from fabric.lineage.sql import dump
from fabric.store.jobs import Job
from tests.simulator import Simulator

FARM, PACKER, SHOP = "9506000134352", "9506000134369", "9506000134376"


def place(gln: str) -> str:
    return f"https://id.gs1.org/414/{gln}"


class Erasing:
    """A simulator with what a test of erasure says often."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim

    def erase(
        self, by: str, *records: str, units: list[str] | None = None, **more: Any
    ) -> tuple[Posted, Outcome]:
        """Erase in custody, and wait until it is done."""
        told = {"records": list(records), "reason": "asked to", **more}
        return self.post(by, told if units is None else told | {"units": units})

    def post(self, by: str, value: dict[str, Any]) -> tuple[Posted, Outcome]:
        self.sim.tick()
        ticket = self.sim.node.capture.erase(by, json.dumps(value).encode())
        posted: Posted = ticket.stored.result(30)
        ticket.settled.result(30)
        return posted, self.sim.node.capture.outcome(posted.row)

    def signed(self, by: str, *records: str, units: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
        """An erasure that a member signed itself, ready to be posted; `changes` go into what is posted."""
        body, salt = erasure_of(list(records), list(units), "asked to"), self.sim.draw(32)
        told = {"parties": [by], "commitment": body.commitment(salt).hex()}
        envelope = json.loads(self.sim.sign(by, "erasure", told))
        return {"envelope": envelope, "salt": salt.hex(), "body": body.as_json()} | changes

    def events(self, job: Job) -> list[str]:
        """The names of a capture's records without its header."""
        return self.sim.names(job)[1:]

    def settle(self) -> None:
        """Wait until the files were swept."""
        for _ in range(600):
            if not self.sim.rows("SELECT 1 FROM erasure WHERE idx IS NOT NULL AND swept = 0"):
                return
            self.sim.node.capture._writer._thread.join(0.02)
        raise AssertionError("the files were not swept")

    def state(self) -> dict[str, Any]:
        """All projections, by names that mean the same in every run."""
        with self.sim.node.reading.connect() as connection:
            lineage = dump(connection)
        things = sorted(map(tuple, self.sim.rows("SELECT iri, kind FROM thing")))
        return {"lineage": lineage, "things": things, **self.sim.projections()}


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path / "node") as simulator:
        simulator.admit("farm", parties=[FARM])
        simulator.admit("packer", parties=[PACKER], own_key=True)
        simulator.admit("shop", parties=[SHOP])
        yield simulator


@pytest.fixture
def erasing(sim: Simulator) -> Erasing:
    return Erasing(sim)
