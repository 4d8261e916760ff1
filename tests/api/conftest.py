"""One node a module: a test of a refusal shows itself that it left nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .door import Door


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A node with members the node captures for (`farm`, `shop`) and one with a key of its own (`packer`)."""
    with Door(tmp_path_factory.mktemp("door") / "node") as door:
        door.admit("farm", parties=["9506000134352"])
        door.admit("shop", parties=["9506000134369"])
        door.admit("packer", own_key=True)
        yield door
