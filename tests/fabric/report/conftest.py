"""The demonstration on a real node, captured by five members in custody, and reports of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fabric.report.provenance import Reporter
from fabric.scenario import demo_scenario
from fabric.trace import Direction, Question
from fabric.visibility.reader import EVERYBODY, Reader
from ledger.canonical import canonical, parse_json
from ledger.policy import Policy, parse_policy
from tests.simulator import START_MS, Simulator

ASKED = "2026-11-22T10:00:00.000Z"


class Demonstration:
    """The demonstration's folder of documents and truth, and the node that captured it.

    `keys` are the API keys of the five members, and of an auditor who sees everything.
    """

    def __init__(self, folder: Path) -> None:
        self.told = folder / "told"
        demo_scenario(self.told, START_MS // 1000)
        self.truth: dict[str, Any] = json.loads((self.told / "truth.json").read_bytes())
        self.sim = Simulator(folder / "node")
        members = json.loads((self.told / "members.json").read_bytes())["members"]
        self.keys: dict[str, str | None] = {}
        for one in members:
            self.keys[one["id"]] = self.sim.admit(one["id"], parties=one["parties"]).api_key
        self.keys["auditor"] = self.sim.admit("auditor").api_key
        self.sim.state({"type": "role", "grantee": "auditor", "role": "auditor", "for": "all", "until": None})
        for one in members:
            for path in sorted((self.told / one["folder"]).iterdir()):
                self.sim.post(one["id"], path.read_bytes())
        node = self.sim.node
        self.reporter = Reporter(node.reading, node.log, node.operator)

    @property
    def lot(self) -> str:
        """The contaminated lot."""
        return str(self.truth["contaminated"])

    @property
    def hearts(self) -> str:
        """The lot of cases that was packed from nothing but the contaminated lot."""
        things = [str(one["thing"]) for one in self.truth["sources"]]
        return next(one for one in things if one.startswith("https://id.gs1.org/01/19525002000103/10/"))

    @property
    def lots(self) -> list[str]:
        """Every lot of the demonstration."""
        rows = self.sim.rows("SELECT iri FROM thing WHERE kind = 'lot' ORDER BY iri")
        return [row[0] for row in rows]

    def reader(self, name: str) -> Reader:
        """A member as a reader, or `everybody`."""
        return EVERYBODY if name == "everybody" else self.sim.node.reader(name)

    @property
    def policy(self) -> Policy:
        """What its auditor trusts: the log's key."""
        return parse_policy(f"log {self.sim.node.vkey}\nquorum none\n")

    def report(self, thing: str, direction: str = "both", reader: Reader = EVERYBODY) -> Any:
        """A report as its receiver parses it."""
        question = Question(thing, Direction(direction))
        return parse_json(canonical(self.reporter.provenance(question, reader, asked=ASKED)))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    found = Demonstration(tmp_path_factory.mktemp("demonstration"))
    yield found
    found.sim.node.close()


@pytest.fixture(scope="session")
def report(demo: Demonstration) -> Any:
    """The report of the contaminated lot, both ways, for a reader who sees everything. Do not change it."""
    return demo.report(demo.lot)
