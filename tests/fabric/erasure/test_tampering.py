"""What is gone without a statement, or back after one, is named by the check."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fabric.integrity import check_node
from ledger.errors import Forbidden
from ledger.note import parse_vkey
from ledger.registry import Registry
from tests.simulator import Simulator

from .conftest import FARM, Erasing
from .search import found
from .test_no_trace import secrets, telling
from .test_proofs import faults


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[str]]:
    """A folder with four records: one kept, one erased, one erased in part, one more; its key; their names."""
    folder = tmp_path_factory.mktemp("tampering") / "node"
    with Simulator(folder) as sim:
        sim.admit("farm", parties=[FARM])
        erasing = Erasing(sim)
        names = sim.names(sim.capture("farm", [telling(sim, number, FARM) for number in range(4)]))[1:]
        shutil.copyfile(folder / "loomark.db", folder.with_name("before.db"))
        with closing(sqlite3.connect(folder.with_name("before.db"))) as before:
            for path in folder.glob("loomark.db-*"):
                shutil.copyfile(path, folder.with_name(path.name.replace("loomark", "before")))
            before.execute("SELECT 1")
        erasing.erase("farm", names[1])
        erasing.erase("farm", names[2], units=["/readPoint"])
        erasing.settle()
        assert faults(sim) == []
        key = sim.node.vkey
    return folder, key, names


def tampered(told: tuple[Path, str, list[str]], folder: Path, *statements: str) -> set[str]:
    """The rules that the check names after statements were run on a copy of the database."""
    shutil.copytree(told[0], folder)
    before = told[0].with_name("before.db")
    with closing(sqlite3.connect(folder / "loomark.db")) as database:
        database.execute("ATTACH ? AS earlier", (str(before),))
        for statement in statements:
            database.execute(statement)
        database.commit()
    report = check_node(folder, folder / "loomark.db", parse_vkey(told[1]))
    return {one.rule for one in report.faults}


def where(name: str) -> str:
    return f"WHERE lower(hex(commitment)) = '{name}'"


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("UPDATE record SET body = NULL, salt = NULL {0}", "record-gap"),
        ("UPDATE record SET salt = NULL {0}", "record-half"),
        ("UPDATE record SET body = NULL {0}", "record-half"),
        (
            "UPDATE record SET body = (SELECT body FROM earlier.record {1}), salt = (SELECT salt FROM earlier.record {1}) {1}",
            "erasure-undone",
        ),
        ("UPDATE record SET salt = (SELECT salt FROM earlier.record {2}) {2}", "erasure-undone"),
        ("UPDATE record SET digest = zeroblob(32) {1}", "record-digest"),
        ("UPDATE record SET body = NULL {2}", "record-gap"),
        ("UPDATE erased SET remains = NULL WHERE whole = 0", "erased"),
        (
            "UPDATE erased SET remains = replace(remains, 'shipping', 'receiving') WHERE whole = 0",
            "record-commitment",
        ),
        ("DELETE FROM erased WHERE whole = 1", "record-gap"),
        ("DELETE FROM erased_by", "record-gap"),
        ("DELETE FROM erasure", "erasure-missing"),
        ("UPDATE erasure SET idx = idx + 1 WHERE id = 1", "erasure-index"),
        ("UPDATE erasure SET salt = zeroblob(32)", "erasure-commitment"),
        ("UPDATE erasure SET parties = 'farm shop'", "erasure-parties"),
        ("UPDATE erasure SET body = replace(body, 'asked to', 'told to ')", "erasure-commitment"),
        ("UPDATE document SET body = x'', dropped_by = NULL", "document"),
        ("UPDATE erased SET parties = 'shop'", "erased"),
    ],
)
def test_a_gap_that_nobody_stated_and_a_value_that_is_back_are_named(
    told: tuple[Path, str, list[str]], tmp_path: Path, statement: str, rule: str
) -> None:
    text = statement.format(*map(where, told[2]))
    assert rule in tampered(told, tmp_path / "node", text)


def test_copies_in_a_capture_that_the_log_refused_go_along(
    erasing: Erasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = erasing.sim
    event, real = telling(sim, 1, FARM), Registry.authorise

    def refuse(registry: Registry, envelope: Any, time_ms: int | None) -> Any:
        if envelope.statement.type == "capture":
            raise Forbidden("expected an active key", rule="key-revoked")
        return real(registry, envelope, time_ms)

    monkeypatch.setattr(Registry, "authorise", refuse)
    assert sim.capture("farm", [event]).state == "refused"
    monkeypatch.undo()
    job = sim.capture("farm", [event], creationDate="2026-05-03T00:00:00Z")
    assert job.state == "sequenced"
    erasing.erase("farm", sim.names(job)[1])
    erasing.settle()
    assert found(sim.folder, secrets(1).values()) == {}
    assert faults(sim) == []
