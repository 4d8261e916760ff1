"""The compiled wheel does what the sources do: the suites of the modules it compiles, run over the extensions."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from bench.compiled import ROOT, environment, unpacked

SUITES = ["tests/ledger", "tests/fabric", "tests/api"]


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_suites_pass_over_compiled_modules() -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    build = unpacked()
    variables = environment(build)
    where = subprocess.run(
        [sys.executable, "-P", "-c", "import fabric.lineage.stock as one; print(one.__file__)"],
        env=variables,
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()
    assert where.startswith(str(build))
    assert not where.endswith(".py")

    suites = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-q",
        "-o",
        "pythonpath=",
        "-p",
        "no:cacheprovider",
        *SUITES,
    ]
    done = subprocess.run(suites, env=variables, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)

    assert done.returncode == 0, done.stdout[-4000:]
