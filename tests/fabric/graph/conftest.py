"""Three members who hand goods on, and the graph that follows their node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import Quad

from fabric.graph import GraphReader, Source, open_projection
from fabric.graph.comparison import Difference, compare
from fabric.graph.projection import Projection
from fabric.visibility.reader import Reader
from tests.simulator import Simulator

FARM, PACKER, SHOP = "9506000134352", "9506000134369", "9506000134376"


def place(gln: str) -> str:
    return f"https://id.gs1.org/414/{gln}"


class Followed:
    """A simulator and the graph of its node."""

    def __init__(self, sim: Simulator, folder: Path) -> None:
        self.sim = sim
        self.folder = folder
        self.projection = self._open()

    def _open(self) -> Projection:
        return open_projection(self.folder, Source(self.sim.node.reading))

    def catch_up(self) -> None:
        """Project until the graph covers the head, and publish."""
        while self.projection.covered < self.sim.node.state()["size"]:
            self.projection.advance()
        self.projection.publish()

    def reopen(self) -> None:
        """Leave the graph as a kill would, and open it again."""
        self.projection.close()
        self.projection = self._open()

    def against_scratch(self, other: Path) -> Difference:
        """How the graph differs from one that is made from nothing now."""
        fresh = open_projection(other, Source(self.sim.node.reading))
        while fresh.advance():
            pass
        try:
            return compare(fresh.store, self.projection.store)
        finally:
            fresh.close()

    def reader(self) -> GraphReader:
        return GraphReader(self.folder)

    def seen(self, member: str, thing: str) -> tuple[Quad, ...]:
        """What a member reads about a thing in the published graph. Raises NotFound."""
        return self.reader().describe(thing, self.sim.node.reader(member)).quads

    def close(self) -> None:
        self.projection.close()


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path / "node") as simulator:
        simulator.admit("farm", parties=[FARM])
        simulator.admit("packer", parties=[PACKER])
        simulator.admit("shop", parties=[SHOP])
        yield simulator


@pytest.fixture
def followed(sim: Simulator, tmp_path: Path) -> Iterator[Followed]:
    graph = Followed(sim, tmp_path / "graph")
    yield graph
    graph.close()


@pytest.fixture
def handed_on(sim: Simulator) -> Callable[[str], list[dict[str, Any]]]:
    """Events of the packer: two cases made, packed on a pallet, and shipped to the shop."""

    def events(code: str) -> list[dict[str, Any]]:
        cases = [f"urn:epc:id:sgtin:9506000.013436.{code}{n}" for n in range(2)]
        pallet = f"urn:epc:id:sscc:9506000.{int(code):010d}"
        here = {"id": place(PACKER)}
        return [
            sim.event(
                epcList=cases,
                action="ADD",
                bizStep="commissioning",
                bizLocation=here,
                ilmd={"cbvmda:lotNumber": f"L{code}", "ex:secret": "kept"},
                bizTransactionList=[
                    {"type": "prodorder", "bizTransaction": f"urn:epcglobal:cbv:bt:x:{code}"}
                ],
            ),
            sim.event(
                "AggregationEvent",
                parentID=pallet,
                childEPCs=cases,
                action="ADD",
                bizStep="packing",
                bizLocation=here,
            ),
            sim.event(
                epcList=[pallet],
                bizStep="shipping",
                readPoint=here,
                bizTransactionList=[
                    {"type": "desadv", "bizTransaction": f"urn:epcglobal:cbv:bt:{PACKER}:{code}"}
                ],
                destinationList=[{"type": "location", "destination": place(SHOP)}],
            ),
        ]

    return events


EVERYBODY = Reader(None, frozenset(), all=True)
