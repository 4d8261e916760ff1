"""A node of our own for the conformance suite, where no server was named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .own import own_node


@pytest.fixture(scope="session")
def own_epcis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where our own node is, as the suite is told of any server."""
    with own_node(tmp_path_factory.mktemp("conformance") / "node") as told:
        yield told
