"""The demonstration on one node, from nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .demonstration import Ended, left_of, loomark


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    folder = tmp_path_factory.mktemp("alone") / "demo"
    return folder, loomark("demo", "--data", str(folder))


def test_it_ends_well_and_leaves_no_process(played: tuple[Path, Ended]) -> None:
    folder, ended = played
    assert ended.code == 0, ended.err
    assert left_of(folder) == set()
    assert "One byte of the report changed" in ended.out
    assert "Done in" in ended.out


def test_what_it_leaves_verifies_and_what_it_changed_does_not(played: tuple[Path, Ended]) -> None:
    folder, _ = played
    codes = {
        name: loomark("verify", str(folder / name), "--policy", str(folder / "policy.txt")).code
        for name in ("proof.json", "report.json", "tampered.json")
    }
    assert codes == {"proof.json": 0, "report.json": 0, "tampered.json": 1}
    assert "<html" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        ("compose", "which is in a checkout of Loomark and not in an installed wheel"),
        ("grpc", "needs the extra"),
    ],
)
def test_a_consortium_where_something_is_not_installed_is_refused_before_anything(
    absent: str, said: str, tmp_path: Path
) -> None:
    program = f"import sys; sys.modules[{absent!r}] = None; sys.argv[0] = 'loomark'; from api.cli import main; main()"
    command = [sys.executable, "-c", program, "demo", "--hyperledger", "--data", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "demo").exists()
