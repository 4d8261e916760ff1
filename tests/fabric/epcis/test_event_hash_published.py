"""The published vectors of the event hash ID: 63 hashes over 39 files, and 11 files whose events are all one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from fabric.epcis.event_hash import Hashed
from fabric.epcis.event_hash_file import hash_file

FILES, HASHES, EQUAL = 39, 63, 11


def folder(shared_data: Path) -> Path:
    return shared_data / "epcis" / "event-hash" / "tests"


@cache
def expected(examples: Path) -> dict[Path, list[str]]:
    """The input files and the hashes of their events; an input in two syntaxes has one list."""
    inputs = sorted(path for path in examples.iterdir() if path.suffix in (".jsonld", ".xml"))
    return {path: path.with_suffix(".hashes").read_text("utf-8").split() for path in inputs}


def hashes(path: Path) -> list[str | None]:
    found: list[Hashed] = hash_file(path.read_bytes())
    return [one.hash_id for one in found]


def test_the_collection_is_the_one_that_is_spoken_of(shared_data: Path) -> None:
    files = expected(folder(shared_data) / "examples")
    lists = {path.stem: found for path, found in files.items()}
    assert (len(files), sum(map(len, lists.values()))) == (FILES, HASHES)
    assert len(list((folder(shared_data) / "expected_equal").iterdir())) == EQUAL


@pytest.mark.parametrize("suffix", [".jsonld", ".xml"])
def test_every_published_hash_comes_out(shared_data: Path, suffix: str) -> None:
    files = expected(folder(shared_data) / "examples")
    wrong = {
        path.name: found
        for path, hashes_of in files.items()
        if path.suffix == suffix and (found := hashes(path)) != hashes_of
    }
    assert wrong == {}


def test_events_said_to_be_equal_have_one_hash(shared_data: Path) -> None:
    for path in sorted((folder(shared_data) / "expected_equal").iterdir()):
        found = hashes(path)
        assert len(found) > 1, path.name
        assert len(set(found)) == 1, path.name
        assert found[0] is not None, path.name


def test_one_event_in_json_and_in_xml_has_one_hash(shared_data: Path) -> None:
    files = expected(folder(shared_data) / "examples")
    both = [path for path in files if path.suffix == ".jsonld" and path.with_suffix(".xml") in files]
    assert len(both) > 10
    for path in both:
        assert hashes(path) == hashes(path.with_suffix(".xml")), path.name
