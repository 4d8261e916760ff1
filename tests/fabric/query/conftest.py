"""Stores to ask: the demonstration, and a scenario of the run's seed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .asked import Store


@pytest.fixture(scope="package", params=["demo", "random"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> Iterator[Store]:
    found = Store(tmp_path_factory.mktemp("asked"), request.param, seed)
    yield found
    found.sim.node.close()
