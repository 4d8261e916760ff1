"""What the routes work with: one value, made by the composition in `api.serve`, kept on the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request

from fabric.graph import GraphReader

from .auth import Authenticator
from .metrics import Metrics
from .pending import Pending
from .settings import Settings

if TYPE_CHECKING:
    from fabric.capture.node import Node


@dataclass(frozen=True)
class Services:
    """The node behind this application, its settings, and who may ask."""

    node: Node
    settings: Settings
    authenticator: Authenticator
    metrics: Metrics
    pending: Pending
    graph: GraphReader

    def state(self) -> dict[str, Any]:
        """The node's state, with the tree size that its knowledge graph covers, and the log index of the last
        erasure of which no file of that graph holds anything (-1: of none).
        """
        return {**self.node.state(), "graph_size": self.graph.size, "graph_purged": self.graph.purged}


def services(request: Request) -> Services:
    """The services of the application that serves `request`."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found
