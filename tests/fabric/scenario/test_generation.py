from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis.document import read_document
from fabric.scenario import generate
from ledger.errors import InvalidInput


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def truth(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "truth.json").read_bytes())
    return value


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 11), ("b", 11), ("c", 12)):
        generate(1_500, 7, seed, tmp_path / name)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")


@pytest.mark.parametrize(("events", "members"), [(0, 1), (1, 1), (10, 3), (400, 1), (2_000, 2), (2_000, 30)])
def test_a_run_writes_exactly_the_events_asked_for_and_all_of_them_are_valid(
    tmp_path: Path, events: int, members: int
) -> None:
    made = generate(events, members, 5, tmp_path)
    read = 0
    for path in sorted(tmp_path.glob("*/*.jsonld")):
        document = read_document(path.read_bytes(), "application/ld+json")
        assert len(document.events) <= 1_000
        assert document.warnings == ()
        read += len(document.events)
    assert read == made.events == events
    assert len(list(tmp_path.glob("*/00001.jsonld"))) == members


@pytest.mark.parametrize(("events", "members"), [(-1, 5), (10, 0), (10, 9_001)])
def test_numbers_out_of_range_are_refused_before_anything_is_written(
    tmp_path: Path, events: int, members: int
) -> None:
    with pytest.raises(InvalidInput, match="expected events"):
        generate(events, members, 1, tmp_path / "run")
    assert not (tmp_path / "run").exists()
