"""Classes over a generated supply chain: the order of capture makes no difference, nor does a rebuild."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from fabric.scenario import generate
from tests.simulator import Simulator

EVENTS = 1200
_SIGHT = """
    SELECT e.member, e.event_id, e.declares, c.members, p.members FROM event e JOIN class c ON c.id = e."class"
    LEFT JOIN class p ON p.id = e.partial ORDER BY 1, 2, 3
"""


def captured(folder: Path, scenario: Path, random: Random | None) -> Simulator:
    sim = Simulator(folder)
    members = json.loads((scenario / "members.json").read_text())["members"]
    documents = [
        (one["id"], path) for one in members for path in sorted((scenario / one["id"]).glob("*.json*"))
    ]
    halves = [(member, half) for member, path in documents for half in split(path)]
    if random is not None:
        random.shuffle(halves)
    admitted = members if random is None else []
    for one in admitted:
        admit(sim, one)
    for number, (member, body) in enumerate(halves):
        if random is not None and member not in sim.node.registry.members:
            admit(sim, next(one for one in members if one["id"] == member))
        assert sim.post(member, body).state == "sequenced", number
    for one in members:
        if one["id"] not in sim.node.registry.members:
            admit(sim, one)
    return sim


def admit(sim: Simulator, one: dict[str, str]) -> None:
    sim.state({"type": "member", "subject": one["id"], "name": one["name"], "parties": one["parties"]})


def split(path: Path) -> list[bytes]:
    """A document as two that hold its events by halves, so that a shuffle reaches inside it."""
    document = json.loads(path.read_bytes())
    events = document["epcisBody"]["eventList"]
    middle = len(events) // 2
    parts = []
    for place, part in enumerate((events[:middle], events[middle:])):
        value = document | {"epcisBody": {"eventList": part}}
        if place == 1:
            value.pop("epcisHeader", None)
        if part:
            parts.append(json.dumps(value).encode())
    return parts


def test_any_order_of_capture_and_admission_gives_the_same_sight(tmp_path: Path, seed: int) -> None:
    generate(EVENTS, 6, seed % 1000, tmp_path / "run")
    straight = captured(tmp_path / "straight", tmp_path / "run", None)
    shuffled = captured(tmp_path / "shuffled", tmp_path / "run", Random(seed))
    try:
        expected = [tuple(row) for row in straight.rows(_SIGHT)]
        assert len({row[3] for row in expected}) > 3
        assert any(row[4] for row in expected)
        assert [tuple(row) for row in shuffled.rows(_SIGHT)] == expected
        before = shuffled.projections()
        shuffled.rebuild()
        assert shuffled.projections() == before
    finally:
        straight.node.close()
        shuffled.node.close()
