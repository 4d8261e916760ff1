"""The simulator on a fresh folder, with two members: one that the node captures for, one with its own key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator import Simulator


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path / "node") as simulator:
        simulator.admit("farm")
        simulator.admit("packer", own_key=True)
        yield simulator
