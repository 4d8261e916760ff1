"""Every story is asked over facts in memory and over a database: one contract, two sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import story


@pytest.fixture(scope="module", autouse=True, params=["memory", "sql"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """What the stories of a module are asked over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(story, "BACKEND", request.param)
        yield request.param
