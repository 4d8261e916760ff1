"""The modules here are other modules' tests, word for word, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture(scope="module", autouse=True)
def _on_postgres(consortia_on_postgres: Callable[[], str]) -> None:
    """Before any other fixture of a module."""
