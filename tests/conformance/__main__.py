"""`python -m tests.conformance`: the suite against a server that is named, else against a node of our own."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from .own import own_node, told_by_environment

SUITE = Path(__file__).parent / "epcis_rest"
PAGE = Path(__file__).parent.parent.parent / "docs" / "conformance.md"


def run(told: dict[str, str], arguments: list[str]) -> int:
    """Run the suite in a process of its own, without this repository's other fixtures; its exit status."""
    command = [sys.executable, "-m", "pytest", "-c", str(SUITE / "suite.ini"), "--rootdir", str(SUITE)]
    return subprocess.run(
        [*command, "--confcutdir", str(SUITE), *arguments, str(SUITE)],
        env=told_by_environment(told),
        check=False,
    ).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="make conformance", description="EPCIS 2.0 REST conformance")
    parser.add_argument("--url", help="base URL; keys come by EPCIS_KEY and EPCIS_SECOND_KEY")
    parser.add_argument("--report", help="file for the report; of our own node: docs/conformance.md")
    known, rest = parser.parse_known_args()
    if known.url:
        return run({"url": known.url, **({"report": known.report} if known.report else {})}, rest)
    with tempfile.TemporaryDirectory() as folder, own_node(Path(folder) / "node") as told:
        return run({**told, "report": known.report or str(PAGE)}, rest)


if __name__ == "__main__":
    raise SystemExit(main())
