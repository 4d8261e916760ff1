"""The projector: a process that follows the database read-only and keeps the graph of one folder.

    projector = Projector(data / "graph", database)
    projector.start()

It ends by itself when its parent dies, and dying at any line loses nothing: the next start goes on from what the
graph and its notes say. Restarting it is left to whoever supervises it; this is a `Companion` of the node.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fabric.store.engine import reader_engine
from ledger.process import CompanionProcess, Ends

from .projection import open_projection
from .snapshots import current
from .source import Source

NICE: Final = 19
"""How far the projector steps back behind the processes that capture and answer."""

LOOK_EVERY_S: Final = 0.25
"""How long the projector waits before it looks for a new head."""


class Projector(CompanionProcess):
    """A projector's process as its parent holds it. Every start is a new process on the same folder."""

    def __init__(self, folder: Path, database: Path | str) -> None:
        super().__init__("projector", _run, (folder, database))
        self._folder = folder

    @property
    def size(self) -> int:
        """The tree size that the newest published snapshot covers; 0 before the first."""
        published = current(self._folder)
        return 0 if published is None else published.size

    def lag(self, head: int) -> int:
        """How many log entries the published graph is behind a head."""
        return max(0, head - self.size)


def start_projector(folder: Path, database: Path | str) -> Projector:
    """Start a projector on a graph folder; `database` is a path or an SQLAlchemy URL."""
    projector = Projector(folder, database)
    projector.start()
    return projector


def _run(folder: Path, database: Path | str, ends: Ends) -> None:
    # The graph may lag behind; captures may not. Where both want a core, captures get it.
    if hasattr(os, "nice"):
        os.nice(NICE)
    follow(folder, database, ends)


def follow(folder: Path, database: Path | str, ends: Ends) -> None:
    """Project and publish until `ends` are told."""
    engine = reader_engine(database, pool_size=1)
    projection = open_projection(folder, Source(engine))
    try:
        projection.publish()
        while not ends.told():
            if projection.advance(ends.told):
                projection.publish()
            else:
                ends.told(LOOK_EVERY_S)
    finally:
        projection.close()
        engine.dispose()
