"""`generate`: cells composed of episodes until the asked number of events is reached."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.errors import InvalidInput

from . import emit
from .cell import DAY_S, Cell
from .defects import DEFECTS
from .documents import Folders, Layout, dumps
from .episodes import EPISODES, Batch, Episode, fresh_cases, retail
from .names import Thing
from .truth import SCHEMA, answers, instant, numbered
from .world import END, World, build_world, members_json

FIRST_START_DAYS, LAST_START_DAYS = 300, 100
SAMPLED_CELLS = 96
SOURCES_PER_CELL = 4
EVENTS_PER_CELL = 20
DEFECT_EVERY = 6
MAX_MEMBERS = 9_000


@dataclass(frozen=True, slots=True)
class Generated:
    """What a run wrote."""

    events: int
    cells: int
    sources: int
    defects: int


@dataclass(slots=True)
class _Run:
    world: World
    rng: random.Random
    defects: bool
    answers: list[dict[str, Any]] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)
    cells: int = 0


def generate(events: int, members: int, seed: int, out: Path, defects: bool = True) -> Generated:
    """Write exactly `events` events of `members` members under `out`, with `members.json` and `truth.json`.

    The same arguments give the same bytes. Memory does not grow with `events` but for one short entry a
    defect. Truth is told for a sample of cells spread evenly over the run (docs/spec/scenario.md). Raises
    InvalidInput (`out-of-range`) for a negative number of events or a number of members outside 1..9000.
    """
    if events < 0 or not 1 <= members <= MAX_MEMBERS:
        raise InvalidInput(
            f"expected events >= 0 and 1 to {MAX_MEMBERS} members, got {events} and {members}",
            rule="out-of-range",
        )
    rng = random.Random(f"loomark/scenario/v1/{members}/{seed}/{defects}")
    run = _Run(build_world(members), rng, defects)
    out.mkdir(parents=True, exist_ok=True)
    folders = Folders(out, run.world, Layout(disorder=random.Random(rng.random())))
    sampled_every = max(1, events // EVENTS_PER_CELL // SAMPLED_CELLS)
    for cell in _cells(run, events):
        for captured in cell.captured:
            folders.add(captured.member, captured.event, late=captured.late)
        if run.cells % sampled_every == 0 and len(run.answers) < 2 * SAMPLED_CELLS * SOURCES_PER_CELL:
            run.answers += [a for thing in _sources(cell) for a in answers(cell.books, thing, END)]
        run.found += cell.defects
        run.cells += 1
    _fill(run, folders, events - folders.events)
    folders.close()
    _write_truth(run, out, seed)
    return Generated(folders.events, run.cells, len(run.answers) // 2, len(run.found))


def _cells(run: _Run, events: int) -> Iterator[Cell]:
    """Cells while they fit. One that would overshoot is made again shorter, and given up at its shortest."""
    left = events
    plans = _plans(run)
    while left > 0:
        plan = next(plans)
        while True:
            cell = run_cell(run.world, run.rng, plan)
            if len(cell.captured) <= left:
                break
            if not plan:
                return
            plan = plan[:-1]
        left -= len(cell.captured)
        yield cell


def _plans(run: _Run) -> Iterator[list[Episode]]:
    """Two or three episodes a cell, every episode in turn in seeded orders; a defect in every sixth cell."""
    episodes: list[Episode] = []
    defects: list[Episode] = []
    number = 0
    while True:
        plan: list[Episode] = []
        if run.defects and number % DEFECT_EVERY == 1:
            defects = defects or list(DEFECTS)
            plan.append(defects.pop(0))
        for _ in range(run.rng.randrange(1, 4)):
            if not episodes:
                episodes = list(EPISODES.values())
                run.rng.shuffle(episodes)
            plan.append(episodes.pop())
        number += 1
        yield plan


def run_cell(world: World, rng: random.Random, plan: Sequence[Episode]) -> Cell:
    """One closed story: from a field to packed cases, through the planned episodes, to a store."""
    start = END - rng.randrange(LAST_START_DAYS * DAY_S, FIRST_START_DAYS * DAY_S)
    cell = Cell(world, rng, start)
    batch: Batch = fresh_cases(cell)
    for episode in plan:
        if batch.portions >= 12:
            # Two days apart, so that no two dispatches of a lot on one road share a day.
            cell.wait(days=2)
            batch = episode(cell, batch)
    cell.wait(days=2)
    retail(cell, batch)
    cell.close()
    return cell


def _sources(cell: Cell) -> list[Thing]:
    """What to ask of a cell: its first lot, the lot of its defect, its last lot, and one serial or carrier."""
    lots = cell.books.lots
    other = [*cell.books.packings[-1:]]
    wanted = [
        lots[0],
        *(lot for lot in lots if any(d["thing"] == lot.iri for d in cell.defects)),
        lots[-1],
        *(p.filling.carrier for p in other if not p.filling.material),
        *(s for serials in cell.books.serials.values() for s in serials[:1]),
    ]
    return list(dict.fromkeys(wanted))[:SOURCES_PER_CELL]


def _fill(run: _Run, folders: Folders, missing: int) -> None:
    """Cold-room readings, which name no thing, make up the number."""
    cell = Cell(run.world, run.rng, END - LAST_START_DAYS * DAY_S)
    places = [p for m in run.world.members for p in m.places]
    for i in range(missing):
        place = places[i % len(places)]
        member, at = place.member, cell.tick(place.member)
        event = emit.start("ObjectEvent", cell.event_id(), member, at)
        event |= {"epcList": [], "action": "OBSERVE", "bizStep": "sensor_reporting"}
        event |= emit.where(member, place)
        reading = {"type": "Temperature", "value": run.rng.randrange(10, 60) / 10, "uom": "CEL"}
        event["sensorElementList"] = [{"sensorReport": [reading]}]
        folders.add(member, event)


def _write_truth(run: _Run, out: Path, seed: int) -> None:
    truth = {
        "schema": SCHEMA,
        "seed": seed,
        "time": instant(END),
        "members": len(run.world.members),
        "sources": sorted(run.answers, key=lambda a: (a["thing"], a["direction"])),
        "defects": numbered(run.found),
    }
    (out / "truth.json").write_bytes(dumps(truth) + b"\n")
    (out / "members.json").write_bytes(dumps(members_json(run.world)) + b"\n")
