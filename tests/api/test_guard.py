"""`loomark` refuses to run beside a `fabric` that is not its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from api.cli import guard

ROOT = Path(__file__).resolve().parents[2]


def _fabric(folder: Path) -> Path:
    package = folder / "fabric" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("")
    return package


def test_our_own_fabric_passes(tmp_path: Path) -> None:
    assert guard.conflict(tmp_path, _fabric(tmp_path)) is None


def test_a_fabric_found_elsewhere_is_named_with_both_places(tmp_path: Path) -> None:
    foreign = _fabric(tmp_path / "foreign")
    message = guard.conflict(tmp_path / "ours", foreign)
    assert message is not None
    assert str(foreign) in message
    assert str(tmp_path / "ours" / "fabric") in message


def test_a_missing_fabric_is_told(tmp_path: Path) -> None:
    message = guard.conflict(tmp_path, None)
    assert message is not None
    assert "missing" in message


@pytest.mark.parametrize("metadata", ["fabric-3.2.2.dist-info", "Fabric-1.0.dist-info"])
def test_a_distribution_that_wrote_over_ours_is_told(tmp_path: Path, metadata: str) -> None:
    ours = _fabric(tmp_path)
    (tmp_path / metadata).mkdir()
    message = guard.conflict(tmp_path, ours)
    assert message is not None
    assert "written over" in message


def test_a_distribution_of_a_similar_name_is_none_of_our_business(tmp_path: Path) -> None:
    ours = _fabric(tmp_path)
    (tmp_path / "fabric_tools-1.0.dist-info").mkdir()
    assert guard.conflict(tmp_path, ours) is None


def test_a_process_that_would_import_a_foreign_fabric_ends_with_status_one(tmp_path: Path) -> None:
    _fabric(tmp_path)
    program = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; from api.cli import guard; guard.check();"
        "print('went on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "'fabric' would be imported from" in done.stderr
