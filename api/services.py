"""What the routes work with: one value, made by the composition in `api.serve`, kept on the application."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from anyio import CapacityLimiter
from fastapi import Request

from fabric.graph import GraphReader
from ledger.hyperledger.anchor.status import FOLDER, health

from .auth import Authenticator
from .metrics import Metrics
from .pending import Pending
from .settings import Settings

if TYPE_CHECKING:
    from api.epcis.paging import PageTokens
    from api.epcis.subscribing import Subscribing
    from fabric.capture.node import Node


QUESTIONS_AT_ONCE: Final = 8
"""Questions to the store that are worked on at one time: those that wait hold no connection, which others want, too."""


@dataclass(frozen=True)
class Services:
    """The node behind this application, its settings, and who may ask."""

    node: Node
    settings: Settings
    authenticator: Authenticator
    metrics: Metrics
    pending: Pending
    graph: GraphReader
    page_tokens: PageTokens
    subscribing: Subscribing
    questions: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(QUESTIONS_AT_ONCE))

    def state(self) -> dict[str, Any]:
        """The node's state, with the tree size that its knowledge graph covers, and the log index of the last
        erasure of which no file of that graph holds anything (-1: of none). Where the log is anchored, how that stands.
        """
        state = {**self.node.state(), "graph_size": self.graph.size, "graph_purged": self.graph.purged}
        return (
            state if self.settings.hyperledger is None else {**state, "anchor": self._anchor(state["size"])}
        )

    def _anchor(self, size: int) -> dict[str, Any]:
        return health(self.node.folder / FOLDER, size, time.time_ns() // 1_000_000)


def services(request: Request) -> Services:
    """The services of the application that serves `request`."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found
