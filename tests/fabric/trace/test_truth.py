"""Traces against the truth of simulated supply chains, which knows nothing of lineage or trace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis import read_document
from fabric.lineage import Fact, fact_of
from fabric.scenario import generate
from fabric.trace import Coverage, Direction, Question, TraceSource, trace
from fabric.trace.memory import memory_source

from .store import Store

EVENTS = 1_000
Run = tuple[dict[str, Any], list[dict[str, Any]]]


@pytest.fixture(scope="module", params=[7, 11, None])
def run(
    backend: str, request: pytest.FixtureRequest, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """The truth of one scenario, and what the trace answers to each of its sources; the last seed rotates."""
    chosen = seed if request.param is None else request.param
    out = tmp_path_factory.mktemp("scenario")
    generate(events=EVENTS, members=6, seed=chosen, out=out)
    truth = json.loads((out / "truth.json").read_text())
    members = json.loads((out / "members.json").read_text())["members"]
    held = {
        iri: one["id"]
        for one in members
        for iri in (*one["parties"], *(place["iri"] for place in one["places"]))
    }
    facts = list(_facts(out))
    coverage = Coverage(len(facts) + 1, _us(truth["time"]))

    def holder_of(iri: str, _time_us: int) -> str | None:
        return held.get(iri)

    source: TraceSource = memory_source(facts, coverage, holder_of)
    if backend == "sql":
        source = Store(facts, holder_of).source(coverage)
    questions = [
        Question(one["thing"], Direction(one["direction"]), _us(one["at"])) for one in truth["sources"]
    ]
    return truth, [trace(question, source).as_json() for question in questions]


def _facts(out: Path) -> Iterator[Fact]:
    number = 0
    for folder in sorted(path for path in out.iterdir() if path.is_dir()):
        for path in sorted(folder.iterdir()):
            for record in read_document(path.read_bytes(), "application/ld+json").events:
                number += 1
                name = hashlib.sha256(str(number).encode()).digest()
                position = record.position
                yield fact_of(
                    record.event,
                    record=number,
                    commitment=name,
                    digest=name,
                    position=position,
                    member=folder.name,
                    seq=number,
                )


def _us(time: str | None) -> int | None:
    return (
        None
        if time is None
        else int(datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp() * 1_000_000)
    )


def _parts(rows: Any, *names: str) -> list[str]:
    return sorted(json.dumps({name: row.get(name) for name in names}, sort_keys=True) for row in rows)


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("affected", ("thing", "kind", "filling", "direction", "level", "strength")),
        ("carriers", ("carrier", "thing", "from", "until", "inferred")),
        (
            "quantities",
            ("thing", "unit", "made", "on_hand", "used", "sold", "destroyed", "surplus", "places"),
        ),
    ],
)
def test_every_source_is_answered_as_the_truth_has_it(run: Run, section: str, names: tuple[str, ...]) -> None:
    truth, answers = run
    assert truth["sources"]
    for told, answer in zip(truth["sources"], answers, strict=True):
        assert _parts(answer[section], *names) == _parts(told[section], *names), (
            told["thing"],
            told["direction"],
        )


def test_the_events_of_every_source_are_those_of_the_truth(run: Run) -> None:
    truth, answers = run
    for told, answer in zip(truth["sources"], answers, strict=True):
        assert {row["event_id"] for row in answer["events"]} == {row["event_id"] for row in told["events"]}, (
            told["thing"]
        )


def test_lots_with_a_contaminated_portion_are_affected(run: Run) -> None:
    truth, answers = run
    for told, answer in zip(truth["sources"], answers, strict=True):
        if told["physical"] is not None:
            assert set(told["physical"]) <= {row["thing"] for row in answer["affected"]}, told["thing"]
