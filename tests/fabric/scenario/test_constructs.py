"""A whole run holds every construct that makes tracing hard, and is valid by the publisher's own schema."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis.document import read_document
from fabric.scenario import generate
from fabric.scenario.defects import DEFECTS

Captured = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    generate(4_000, 12, 3, out)
    return out


@pytest.fixture(scope="module")
def events(run: Path) -> list[Captured]:
    return [
        (path.parent.name, event)
        for path in sorted(run.glob("*/*.jsonld"))
        for event in json.loads(path.read_bytes())["epcisBody"]["eventList"]
    ]


def members(run: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((run / "members.json").read_bytes())["members"]
    return listed


def test_all_five_event_types_and_three_actions_occur(events: list[Captured]) -> None:
    assert {e["type"] for _, e in events} == {
        f"{kind}Event" for kind in ("Object", "Aggregation", "Transaction", "Transformation", "Association")
    }
    assert {e.get("action") for _, e in events} == {"ADD", "OBSERVE", "DELETE", None}


def test_one_thing_goes_by_urn_canonical_link_and_a_brands_own_link(run: Path) -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for path in run.glob("*/*.jsonld"):
        for record in read_document(path.read_bytes(), "application/ld+json").events:
            for ref in record.event.things:
                names[ref.thing.iri].add(ref.original.split("/")[2] if "//" in ref.original else "urn")
    assert any({"urn", "id.gs1.org"} <= spelled and len(spelled) > 2 for spelled in names.values())


def test_copies_conflicts_and_declarations_share_event_ids(events: list[Captured]) -> None:
    by_id: dict[str, list[Captured]] = defaultdict(list)
    for member, event in events:
        by_id[event.get("eventID", "")].append((member, event))
    unnamed = by_id.pop("")
    shared = [group for group in by_id.values() if len(group) > 1]
    relayed = [g for g in shared if len({m for m, _ in g}) > 1 and g[0][1] == g[1][1]]
    declared = [g for g in shared if any("errorDeclaration" in e for _, e in g)]
    conflicting = [g for g in shared if g[0][1] != g[1][1] and g not in declared]
    assert unnamed
    assert relayed
    assert declared
    assert conflicting


def test_totes_are_packed_again_without_ever_being_emptied(events: list[Captured]) -> None:
    done: dict[str, Counter[str]] = defaultdict(Counter)
    for _, event in events:
        parent = event.get("parentID", "")
        if "grai" in parent or "/8003/" in parent:
            done[parent.rpartition(".")[2] if "grai" in parent else parent[-3:]][event["action"]] += 1
    assert done
    assert all(actions["ADD"] >= 1 and actions["DELETE"] == 0 for actions in done.values())


def test_some_goods_leave_for_a_place_that_no_member_holds(run: Path) -> None:
    held = {iri for m in members(run) for iri in m["parties"]}
    gone = {
        name
        for path in run.glob("*/*.jsonld")
        for record in read_document(path.read_bytes(), "application/ld+json").events
        for _, name in record.event.destinations
        if name not in held
    }
    assert gone


def test_late_records_come_in_a_later_document_and_no_document_is_in_order(run: Path) -> None:
    documents: dict[str, list[list[int]]] = defaultdict(list)
    for path in sorted(run.glob("*/*.jsonld")):
        records = read_document(path.read_bytes(), "application/ld+json").events
        documents[path.parent.name].append([r.event.time_us for r in records])
    late = [times for times in documents.values() if len(times) > 1]
    assert late
    assert all(min(times[1]) < max(times[0]) for times in late)
    assert all(t != sorted(t) for times in documents.values() for t in times if len(t) >= 20)


def test_each_kind_of_defect_is_listed_with_its_records_and_none_without_defects(
    run: Path, events: list[Captured], tmp_path: Path
) -> None:
    known = {e.get("eventID") for _, e in events}
    defects = json.loads((run / "truth.json").read_bytes())["defects"]
    assert len({d["kind"] for d in defects}) == len(DEFECTS)
    assert len({d["id"] for d in defects}) == len(defects)
    assert all(set(d["records"]) <= known for d in defects)
    generate(2_000, 12, 3, tmp_path, defects=False)
    truth = json.loads((tmp_path / "truth.json").read_bytes())
    assert truth["defects"] == []
    assert {
        q[name] for a in truth["sources"] for q in a["quantities"] for name in ("unaccounted", "surplus")
    } == {"0"}


def test_truth_is_sorted_and_names_only_lots_that_records_name(run: Path) -> None:
    truth = json.loads((run / "truth.json").read_bytes())
    asked = [(a["thing"], a["direction"]) for a in truth["sources"]]
    assert asked == sorted(asked)
    assert len(asked) == len(set(asked))
    for answer in truth["sources"]:
        affected = [row["thing"] for row in answer["affected"]]
        assert affected == sorted(affected)
        assert answer["thing"] in affected
        assert set(answer["physical"] or ()) <= set(affected)


def test_every_document_is_valid_by_the_published_schema(run: Path, shared_data: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((shared_data / "epcis" / "gs1" / "EPCIS-JSON-Schema.json").read_bytes())
    validator = jsonschema.Draft7Validator(schema)
    for path in sorted(run.glob("*/*.jsonld")):
        document = json.loads(path.read_bytes())
        # Some hundred events of each member hold every construct; the schema takes a millisecond for each.
        del document["epcisBody"]["eventList"][150:]
        assert [error.message for error in validator.iter_errors(document)] == []


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_million_events_are_written_in_less_than_300_megabytes(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys; from fabric.scenario import generate; "
        "print(generate(1_000_000, 12, 1, pathlib.Path(sys.argv[1])).events)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "1000000"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 300 * 1_024
