"""One change is told once: what follows from it stands behind it, and nothing else does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cli.fsck_text import report_lines
from fabric.integrity import MEANINGS, NodeReport, Told
from fabric.integrity.cause import causes
from ledger.log.fault import Fault
from ledger.merkle import leaf_hash
from tests.simulator import Simulator

from .story import story
from .test_damage import checked

_Report = Callable[..., NodeReport]
ENTRY = "UPDATE entry SET data = zeroblob(length(data)) WHERE idx = 8"
RECORD = (
    "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), '\"quantity\":3', '\"quantity\":4') AS BLOB)"
)


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("cause") / "node") as sim:
        story(sim)
        yield sim


@pytest.fixture
def report(sim: Simulator, tmp_path: Path) -> _Report:
    """The report on a copy of the database in which some statements were run."""

    def made(*statements: str) -> NodeReport:
        source, target = sqlite3.connect(sim.folder / "loomark.db"), sqlite3.connect(tmp_path / "copy.db")
        source.backup(target)
        target.create_function("leaf_hash", 1, leaf_hash)
        for statement in statements:
            assert target.execute(statement).rowcount > 0
        target.commit()
        target.close()
        source.close()
        return checked(sim, tmp_path / "copy.db")

    return made


def told(report: NodeReport) -> dict[str, Told]:
    assert report.count == sum(
        one.count + sum(count for count, _ in one.follow.values()) for one in report.told
    )
    return {one.explained.rule: one for one in report.told}


def test_a_changed_entry_is_one_fault_with_what_follows_from_it(report: _Report) -> None:
    found = report(ENTRY)
    ((rule, one),) = told(found).items()
    assert (rule, one.count, [fault.place for fault in one.faults]) == ("leaf", 1, ["entry 8"])
    assert {"bad-entry", "consistency", "root", "head", "tile", "capture-statement"} == one.follow.keys()
    assert one.members == ("mill",)
    assert "good when entry 8 was signed" in one.explained.since
    lines = list(report_lines(found))
    assert len(lines) < 35
    assert any(line.startswith("  - consistency: 11 faults, checkpoint 10, checkpoint 12,") for line in lines)
    assert f"1 fault of 1 kind, and {found.count - 1} that may follow from them." in " ".join(lines)


def test_for_programs_every_fault_stays_and_names_its_cause(report: _Report) -> None:
    found = report(ENTRY)
    value = found.as_json()
    assert (
        len(value["faults"]) == found.count == value["count"] == sum(one["count"] for one in value["rules"])
    )
    alone = [fault["place"] for fault in value["faults"] if "follows" not in fault]
    assert alone == ["entry 8"]
    assert {str(fault.get("follows")) for fault in value["faults"][1:]} == {
        "{'rule': 'leaf', 'place': 'entry 8'}"
    }


def test_what_does_not_follow_stands_for_itself(report: _Report) -> None:
    kinds = told(
        report(
            ENTRY,
            "UPDATE document SET body = x'00' WHERE id = 2",
            "UPDATE checkpoint SET root = zeroblob(32) WHERE size = 4",
        )
    )
    assert kinds.keys() == {"leaf", "document", "consistency"}
    assert [fault.place for fault in kinds["consistency"].faults] == ["checkpoint 4"]
    assert kinds["leaf"].follow["consistency"][0] == 11


def test_an_entry_that_was_changed_with_its_hash_is_told_by_the_root(report: _Report) -> None:
    kinds = told(report(ENTRY, "UPDATE entry SET leaf = leaf_hash(data) WHERE idx = 8"))
    assert kinds.keys() == {"bad-entry", "root", "capture-statement"}
    assert {"consistency", "head", "tile"} == kinds["root"].follow.keys()
    assert "all entries below 8 verify" in kinds["root"].explained.since


def test_what_is_derived_from_a_changed_record_follows_from_it(report: _Report) -> None:
    kinds = told(report(RECORD))
    assert kinds.keys() == {"record-commitment"}
    assert {"record-digest", "projection-line", "projection-lineage_summary"} <= kinds[
        "record-commitment"
    ].follow.keys()


def test_a_changed_projection_follows_from_nothing(report: _Report) -> None:
    assert told(report("DELETE FROM line")).keys() >= {"projection-line"}


_faults = st.builds(
    Fault,
    st.sampled_from([*sorted(MEANINGS), "projection-line", "graph-quad", "bad-entry"]),
    st.sampled_from(["entry 3", "checkpoint 4", "checkpoint 2", "head", "capture 1 of farm", "record ab"]),
    st.sampled_from(["expected the root of its entries, got another", "expected another"]),
    entry=st.none() | st.integers(0, 4),
    record=st.none() | st.sampled_from(["ab", "cd"]),
)


@given(st.lists(_faults, max_size=12))
def test_a_cause_is_among_the_faults_and_follows_from_nothing(faults: list[Fault]) -> None:
    found = causes(faults)
    assert len(found) == len(faults)
    for cause in filter(None, found):
        assert found[faults.index(cause)] is None
