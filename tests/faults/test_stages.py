"""Each stage of the write path fails: before it took effect, after it did, for lack of room, or with the process.

A child plays a scripted session in which one stage strikes once. Where there was no room it goes on by itself; where
it cannot know what was stored it ends. Then the folder is opened as it is, and held against every promise.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from .scripted import make_template
from .stages import DIES, NO_ROOM, STAGES, WAYS, run
from .test_system_calls import SESSION_S, Said, folder_in_memory, hold, listen

SLICE_S: Final = 6.0
LEAST: Final = 3

_LATE: Final = frozenset({"answer", "keep what projections taught"})
"""Stages of memory alone: after them nothing is left to store, so a lack of room cannot come from them."""


class Cell(NamedTuple):
    """One row of the matrix: the stage, what becomes of it at its call number `at`, and whether it took effect."""

    stage: str
    how: str
    stored: bool
    at: int


def cells(seed: int) -> list[Cell]:
    """Every stage in every way; at which of its first calls the seed picks."""
    chance = random.Random(seed)
    return [
        Cell(stage, how, stored, chance.choice((1, 1, 2)))
        for stage in STAGES
        for how, stored in WAYS
        if not (how == NO_ROOM and stage in _LATE)
    ]


def _expected(cell: Cell) -> str:
    """How a session ends that found no room: it goes on, but for a head that moved although its commit failed."""
    return "died" if cell.stage == "commit the head" and cell.stored else "end"


class Stages:
    """Runs sessions with one fault each on copies of one folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._template = folder / "template"
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.faults.stages"])
        make_template(self._template, seed)

    def suffer(self, cell: Cell) -> Said:
        """Play one session, then hold the folder against what it said."""
        folder, said = self._folder / "node", Said()
        ours, theirs = self._context.Pipe()
        arguments = (str(self._template), str(folder), theirs, self._seed, *cell)
        process = self._context.Process(target=run, args=arguments, daemon=True)
        process.start()
        theirs.close()
        try:
            said.hear(listen(ours, time.monotonic() + SESSION_S))
        finally:
            process.kill()
            process.join(20)
            process.close()
            ours.close()
        try:
            hold(folder, said, random.Random(f"after {self._seed}"))
        finally:
            shutil.rmtree(folder)
        return said


@pytest.fixture(scope="module")
def stages(pytestconfig: pytest.Config) -> Iterator[Stages]:
    with folder_in_memory() as folder:
        yield Stages(folder, int(pytestconfig.option.hypothesis_seed))


def suffer_all(stages: Stages, chosen: list[Cell], until_s: float) -> Counter[str]:
    """How the sessions ended, by what struck them; those that found no room must have gone on."""
    ended: Counter[str] = Counter()
    deadline = time.monotonic() + until_s
    for cell in chosen:
        # However slow the machine is, some are tried.
        if time.monotonic() > deadline and sum(ended.values()) >= LEAST:
            break
        try:
            said = stages.suffer(cell)
            assert cell.how != NO_ROOM or said.outcome == _expected(cell), f"it did not go on: {said}"
            assert cell.how != DIES or said.outcome != "failed", said
        except BaseException as error:
            error.add_note(f"at {cell}")
            raise
        ended[f"{cell.how}: {said.outcome}"] += 1
    return ended


def test_a_stage_that_fails_breaks_no_promise(stages: Stages, seed: int) -> None:
    chosen = cells(seed)
    random.Random(seed).shuffle(chosen)
    ended = suffer_all(stages, chosen, SLICE_S)
    print(f"seed {seed}: {sum(ended.values())} of {len(chosen)} cells, {dict(ended)}")
    assert sum(ended.values()) >= LEAST


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_stage_that_fails_breaks_no_promise(stages: Stages, seed: int) -> None:
    chosen = cells(seed)
    ended = suffer_all(stages, chosen, 3600)
    print(f"{len(chosen)} cells, {dict(ended)}")
    assert sum(ended.values()) == len(chosen) > 200
    assert ended[f"{DIES}: died"] > 60
