"""The same measurement with the hot modules compiled, as `make wheel COMPILED=1` delivers them.

    python -m bench.compiled --events 20000

The wheel is built once for the sources as they are and unpacked under `var/`; a process of its own then measures
with it before the checkout on its path. Without a C compiler there is nothing to measure, and it says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BUILDS = ROOT / "var" / "compiled"
PACKAGES = ("ledger", "fabric", "ontology", "api")


def measure(events: int) -> list[dict[str, Any]]:
    """The rows of `bench.http` over compiled modules, their names told apart; none without a C compiler."""
    if shutil.which("cc") is None:
        sys.stderr.write("no C compiler: compiled modules are not measured\n")
        return []
    command = [sys.executable, "-P", "-m", "bench.http", "--events", str(events)]
    done = subprocess.run(
        command, env=environment(unpacked()), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [row | {"name": f"compiled: {row['name']}"} for row in rows if "floor" not in row["name"]]


def environment(build: Path) -> dict[str, str]:
    """The variables under which Python finds the compiled packages before those of the checkout."""
    return os.environ | {"PYTHONPATH": f"{build}{os.pathsep}{ROOT}", "PYTHONSAFEPATH": "1"}


def unpacked() -> Path:
    """The folder with the compiled wheel of these sources, built when it is not there."""
    build = BUILDS / _digest()
    if not build.exists():
        shutil.rmtree(BUILDS, ignore_errors=True)
        with tempfile.TemporaryDirectory() as name:
            wheel = _wheel(Path(name))
            partly = BUILDS / "partly"
            shutil.unpack_archive(wheel, partly, format="zip")
            # What is measured, or tested, beside this wheel is the checkout: both must be of one moment.
            if build.name != _digest():
                raise RuntimeError("the sources changed while they were built; build again")
            partly.rename(build)
    return build


def _wheel(folder: Path) -> Path:
    # From the sdist, so that nothing compiled ever lies beside the sources.
    _run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)], {})
    (sdist,) = folder.glob("*.tar.gz")
    build = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation"]
    _run([*build, "--wheel-dir", str(folder), str(sdist)], {"HATCH_BUILD_HOOK_ENABLE_MYPYC": "true"})
    (wheel,) = folder.glob("*.whl")
    return wheel


def _run(command: list[str], variables: dict[str, str]) -> None:
    subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=True, stdout=subprocess.DEVNULL)


def _digest() -> str:
    """A name for the sources and the interpreter that a build belongs to."""
    digest = sha256(sys.version.encode())
    for path in _sources():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    yield ROOT / "pyproject.toml"
    for package in PACKAGES:
        files = (path for path in sorted((ROOT / package).rglob("*")) if path.is_file())
        yield from (path for path in files if "__pycache__" not in path.parts)


def main() -> None:
    """Measure and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000)
    for row in measure(parser.parse_args().events):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
