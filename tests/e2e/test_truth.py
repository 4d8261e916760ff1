"""A trace answers what physically happened: the generator's truth, read off its own books, for several seeds.

Every document is captured through the real node core, in each member's custody; each question of `truth.json`
is then asked of the stored tables; a few also of the records alone, which must give the same bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from api.answers import view
from fabric.scenario import generate
from fabric.trace import Direction, Question, trace
from fabric.visibility.reader import EVERYBODY
from tests.simulator import EPCIS, Simulator

EVENTS = 1_800
KINDS = 12
MEMBERS = 9
RUNS = ((1, False), (2, True), (3, True))
"""Seeds, and whether documents are captured in an order of their own."""
QUIET_SEED = 11
COMPARED = 24


Run: TypeAlias = tuple[Simulator, dict[str, Any]]


def captured(sim: Simulator, folder: Path, shuffle: random.Random | None = None) -> dict[str, Any]:
    """Admit the scenario's members, capture all documents, in seeded disorder if asked; give the truth."""
    members = json.loads((folder / "members.json").read_text())["members"]
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    end = datetime.fromisoformat(truth["time"]).timestamp()
    sim.now_ms = max(sim.now_ms, int(end * 1000))
    for member in members:
        sim.admit(member["id"], parties=member["parties"])
    documents = [
        (one["id"], path) for one in members for path in sorted((folder / one["folder"]).glob("*.jsonld"))
    ]
    if shuffle is not None:
        shuffle.shuffle(documents)
    for member_id, path in documents:
        assert sim.post(member_id, path.read_bytes(), EPCIS).state == "sequenced"
    return truth


def answer(sim: Simulator, thing: str, direction: str, size: int | None = None) -> dict[str, Any]:
    """A trace over the stored tables, or over the records below a tree size."""
    with view(sim.node, EVERYBODY, size) as seen:
        got: dict[str, Any] = trace(Question(thing, Direction(direction)), seen.source).as_json()
        return got


def told(rows: list[dict[str, Any]], fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows with the fields that the truth states, in one order."""
    return sorted(({name: row[name] for name in fields if name in row} for row in rows), key=json.dumps)


FIELDS = {
    "affected": ("thing", "kind", "filling", "direction", "level", "strength"),
    "carriers": ("carrier", "thing", "from", "until", "inferred"),
    "quantities": (
        *("thing", "unit", "made", "on_hand", "used", "sold", "destroyed", "in_transit", "outside"),
        *("unaccounted", "surplus", "without_quantity", "open_handovers", "places"),
    ),
}


def differences(sim: Simulator, source: dict[str, Any]) -> Iterator[str]:
    """Every row that the truth of one question and its trace do not share."""
    got = answer(sim, source["thing"], source["direction"])
    where = f"{source['direction']} from {source['thing']}"
    for part, fields in FIELDS.items():
        want, have = told(source[part], fields), told(got[part], fields)
        yield from (f"{where}: {part}: missing {row}" for row in want if row not in have)
        yield from (f"{where}: {part}: too much {row}" for row in have if row not in want)
        if len(want) != len(have):
            yield f"{where}: {part}: expected {len(want)} rows, got {len(have)}"
    events = {row["event_id"] for row in got["events"]} - {None}
    told_events = {row["event_id"] for row in source["events"]}
    if events != told_events:
        yield f"{where}: events: {sorted(events ^ told_events)}"
    found = {row["thing"] for row in got["affected"]}
    if not set(source["physical"] or ()) <= found:
        yield f"{where}: portions are in {sorted(set(source['physical']) - found)}, the trace is not"


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    seed, shuffled = request.param
    folder = tmp_path_factory.mktemp(f"seed{seed}")
    generate(EVENTS, MEMBERS, seed, folder / "scenario")
    with Simulator(folder / "node") as sim:
        yield sim, captured(sim, folder / "scenario", random.Random(seed) if shuffled else None)


def test_every_trace_equals_the_truth(run: Run) -> None:
    sim, truth = run
    assert len(truth["sources"]) > 100
    wrong = [line for source in truth["sources"] for line in differences(sim, source)]
    assert not wrong, "\n".join(wrong[:10])


def test_each_defect_is_found_where_it_was_made(run: Run) -> None:
    sim, truth = run
    assert len({defect["kind"] for defect in truth["defects"]}) == KINDS
    missed = [defect for defect in truth["defects"] if not shows(sim, defect)]
    assert not missed, missed[:3]


def test_records_alone_answer_as_the_stored_tables_do(run: Run) -> None:
    sim, truth = run
    things = [defect["thing"] for defect in truth["defects"]]
    things += [source["thing"] for source in truth["sources"]]
    size = sim.node.state()["size"]
    for thing in list(dict.fromkeys(things))[:COMPARED]:
        assert answer(sim, thing, "both", size) == answer(sim, thing, "both"), thing


def test_nothing_is_found_in_a_run_without_defects(tmp_path: Path) -> None:
    generate(EVENTS, MEMBERS, QUIET_SEED, tmp_path / "scenario", defects=False)
    with Simulator(tmp_path / "node") as sim:
        truth = captured(sim, tmp_path / "scenario")
        assert truth["defects"] == []
        assert len(truth["sources"]) > 100
        for source in truth["sources"]:
            assert list(differences(sim, source)) == []
            got = answer(sim, source["thing"], source["direction"])
            assert got["contradictions"] == [], source["thing"]
            odd = [row for row in got["quantities"] if any(row[name] != "0" for name in ODD)]
            assert odd == [], source["thing"]


ODD = ("unaccounted", "surplus", "in_transit")


def shows(sim: Simulator, defect: dict[str, Any]) -> bool:
    """Whether the trace of the defect's lot shows what was expected, where, once, and by which records."""
    got = answer(sim, defect["thing"], "forward")
    if defect["shown"] != "contradictions":
        return any(
            row[defect["shown"]] != "0" for row in got["quantities"] if row["thing"] == defect["thing"]
        )
    rows = [row for row in got["contradictions"] if row["kind"] == defect["expected"]]
    found = [row["records"] for row in rows if defect["thing"] in row["things"]]
    events = {row["record"]: row["event_id"] for row in got["events"]}
    return len(found) == 1 and {events.get(name) for name in found[0]} >= set(defect["records"])
