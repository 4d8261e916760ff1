"""The suite knows nothing of the server it tests: it imports pytest, an HTTP client and the standard library."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).parent / "epcis_rest"
ALLOWED = {"pytest", "httpx2", *sys.stdlib_module_names}


def imported(path: Path) -> set[str]:
    """The packages that a file imports; those of the suite itself are relative and left out, if they stay inside."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(
                "." * node.level
                if node.level > 1
                else ""
                if node.level
                else str(node.module).partition(".")[0]
            )
    return found - {""}


@pytest.mark.parametrize("path", sorted(SUITE.glob("*.py")), ids=lambda path: path.name)
def test_a_file_of_the_suite_imports_nothing_of_the_server(path: Path) -> None:
    assert imported(path) - ALLOWED == set()


def test_the_search_sees_an_import(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("import json\nfrom api.epcis import x\nfrom .. import own\nfrom . import y\n")
    assert imported(file) - ALLOWED == {"api", ".."}
