"""The process that is killed: a node, its graph, and one erasure after the other until all is gone."""

from __future__ import annotations

import json
from pathlib import Path

from fabric.capture.node import NodeSettings, open_node
from fabric.capture.pool import InlinePreparer
from fabric.graph import Source, open_projection
from fabric.store.erasures import unswept
from ledger.errors import Erased
from tests.simulator import ORIGIN, START_MS


def run(folder: str, names: list[str]) -> None:
    """Erase these records of the farm, each stated by itself, and end when no file holds them any more."""
    settings = NodeSettings(Path(folder), origin=ORIGIN)
    with open_node(settings, clock=lambda: START_MS + 10_000_000, preparer=InlinePreparer()) as node:
        projection = open_projection(Path(folder) / "graph", Source(node.reading))
        for name in names:
            body = json.dumps({"records": [name], "reason": "asked to"}).encode()
            try:
                ticket = node.capture.erase("farm", body)
                ticket.stored.result(30)
                ticket.settled.result(30)
            except Erased:
                continue
            finally:
                while projection.advance():
                    projection.publish()
        projection.close()
        while True:
            with node.reading.connect() as connection:
                if unswept(connection) is None:
                    return
            node.capture._writer._thread.join(0.02)
