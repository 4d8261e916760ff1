"""The report says of each clause how its tests ended, and hides nothing that did not pass."""

from __future__ import annotations

import ast
from pathlib import Path

from .epcis_rest.binding import OPERATIONS
from .epcis_rest.clauses import Clause
from .epcis_rest.report import Line, Report

CAPTURE = Clause("POST /capture", "must", "A document is taken.")
PAGED = Clause("GET /epcs", "may", "The list | is paged.")


def made() -> Report:
    report = Report()
    report.add(CAPTURE, Line("test_a", "passed"))
    report.add(CAPTURE, Line("test_b", "failed"))
    report.add(PAGED, Line("test_c", "skipped", "the server does not offer it"))
    return report


def test_what_did_not_pass_is_told_with_its_reason() -> None:
    told = list(made().summary())
    assert "failed: POST /capture: A document is taken. [test_b]" in told
    assert "skipped: GET /epcs: The list | is paged. (the server does not offer it) [test_c]" in told
    assert f"operations of the binding with a passed test: 1 of {len(OPERATIONS)}" in told


def test_the_page_counts_by_level_and_names_every_operation() -> None:
    page = made().page("a server")
    assert "| must | 1 | 1 | 0 |" in page
    assert "| may | 0 | 0 | 1 |" in page
    assert "| `POST /capture` | must | A document is taken. | 1 passed, 1 failed |" in page
    assert "The list \\| is paged." in page
    assert "Reason: the server does not offer it." in page
    assert all(f"| `{operation}` |" in page for operation in OPERATIONS)


def test_a_test_that_is_heard_of_twice_counts_once() -> None:
    report = made()
    report.add(CAPTURE, Line("test_a", "passed"))
    assert report.count("must", "passed") == 1


def test_every_skip_of_the_suite_has_a_reason() -> None:
    for path in sorted((Path(__file__).parent / "epcis_rest").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.skip":
                assert node.args, f"{path.name}:{node.lineno}"
