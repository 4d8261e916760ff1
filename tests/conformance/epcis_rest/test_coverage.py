"""Every operation of the binding has a test."""

from __future__ import annotations

import pytest

from .binding import OPERATIONS, PATHS
from .clauses import LEVELS, MARKER, clauses_of

FILES = 15


def test_the_binding_has_63_operations_on_29_paths() -> None:
    assert (len(PATHS), len(OPERATIONS)) == (29, 63)


def test_every_operation_has_a_test(request: pytest.FixtureRequest) -> None:
    items = [one for one in request.session.items if one.path.parent == request.path.parent]
    if len({one.path.name for one in items}) < FILES:
        pytest.skip("only a part of the suite was collected")
    found = [clause for item in items for clause in clauses_of(item.iter_markers(MARKER))]
    assert sorted(set(OPERATIONS) - {clause.where for clause in found}) == []
    assert {clause.level for clause in found} <= set(LEVELS)
    assert [clause for clause in found if not clause.text.endswith(".")] == []


def test_every_test_says_what_it_checks(request: pytest.FixtureRequest) -> None:
    items = [one for one in request.session.items if one.path.parent == request.path.parent]
    silent = {
        item.name for item in items if item.path != request.path and not clauses_of(item.iter_markers(MARKER))
    }
    assert silent == set()
