from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis.document import read_document
from fabric.scenario import demo_scenario

NOW = 1_795_000_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    demo_scenario(out, NOW)
    return out


def events(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        event["eventID"]: event
        for path in folder.glob("*/*.jsonld")
        for event in json.loads(path.read_bytes())["epcisBody"]["eventList"]
    }


def told(folder: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_bytes())
    return truth


def word(lot: str) -> str:
    """The lot code without its date."""
    return lot.rpartition("/")[2].rpartition("-")[0]


def amounts(folder: Path, name: str) -> dict[str, str]:
    truth = told(folder)
    (answer,) = (
        a for a in truth["sources"] if a["thing"] == truth["contaminated"] and a["direction"] == "forward"
    )
    return {word(q["thing"]): q[name] for q in answer["quantities"] if q[name] != "0"}


def test_five_members_tell_a_story_of_valid_events_before_now(demo: Path) -> None:
    members = json.loads((demo / "members.json").read_bytes())["members"]
    assert [m["id"] for m in members] == ["farm", "packer", "processor", "distributor", "retailer"]
    read = [read_document(p.read_bytes(), "application/ld+json") for p in demo.glob("*/*.jsonld")]
    assert len(read) == 5
    assert [d.warnings for d in read] == [()] * 5
    assert 150 <= sum(len(d.events) for d in read) <= 300
    assert max(r.event.time_us for d in read for r in d.events) < NOW * 1_000_000


def test_the_forward_answer_reaches_bowls_of_three_stores_a_lorry_a_shortfall_and_a_gap(demo: Path) -> None:
    assert amounts(demo, "in_transit") == {"CAESAR": "30"}
    assert amounts(demo, "unaccounted") == {"HEARTS-A": "8", "CAESAR": "4", "GARDEN": "2"}
    assert amounts(demo, "surplus") == {}
    noted = {d["kind"]: word(d["thing"]) for d in told(demo)["defects"]}
    assert noted == {
        "overdue-dispatch": "HEARTS-A",
        "shortfall": "CAESAR",
        "count-below-book": "GARDEN",
    }
    assert set(amounts(demo, "made")) == {
        *("NORTH", "HEARTS-A", "HEARTS-B", "CAESAR", "GARDEN", "SPRING"),
        *("HARBOUR", "STATION", "HILLSIDE"),
    }


def test_every_gap_names_a_record_that_lacks_the_element_or_no_record_at_all(demo: Path) -> None:
    gaps, known = told(demo)["gaps"], events(demo)
    assert [(g["cte"], g["kde"]) for g in gaps] == [
        ("cooling", "event"),
        ("initial_packing", "ref_doc"),
        ("shipping", "ref_doc"),
        ("receiving", "ref_doc"),
    ]
    assert all("bizTransactionList" not in known[g["record"]] for g in gaps if g["record"])
    named = {g["record"] for g in gaps}
    moved = [e for e in known.values() if e.get("bizStep") in ("shipping", "receiving")]
    assert all("bizTransactionList" in e for e in moved if e["eventID"] not in named)


def test_the_same_now_gives_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    demo_scenario(tmp_path, NOW)
    for path in demo.rglob("*.json*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(demo)).read_bytes()
