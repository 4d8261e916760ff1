"""The projector: a process that follows the database read-only and keeps the graph of one folder.

    projector = Projector(data / "graph", database)
    projector.start()

It ends by itself when its parent dies, and dying at any line loses nothing: the next start goes on from what the
graph and its notes say. Restarting it is left to whoever supervises it; this is a `Companion` of the node.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from fabric.store.engine import reader_engine

from .projection import open_projection
from .snapshots import current
from .source import Source

NICE: Final = 19
"""How far the projector steps back behind the processes that capture and answer."""

LOOK_EVERY_S: Final = 0.25
"""How long the projector waits before it looks for a new head."""


class Projector:
    """A projector's process as its parent holds it. Every start is a new process on the same folder."""

    name = "projector"

    def __init__(self, folder: Path, database: Path | str) -> None:
        self._folder = folder
        self._database = database
        self._process: BaseProcess | None = None
        self._stop: Connection | None = None

    def start(self) -> None:
        """Start the process; returns at once."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_run, args=(self._folder, self._database, theirs), name=self.name, daemon=True
        )
        self._process.start()
        theirs.close()
        if self._stop is not None:
            self._stop.close()
        self._stop = ours

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.is_alive()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Let it finish its batch and end; kill it when it has not after the timeout."""
        if self._stop is not None:
            self._stop.close()
            self._stop = None
        if self._process is not None and self._process.pid is not None:
            self._process.join(timeout_s)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()

    @property
    def pid(self) -> int | None:
        """The process id of the last start."""
        return None if self._process is None else self._process.pid

    @property
    def size(self) -> int:
        """The tree size that the newest published snapshot covers; 0 before the first."""
        published = current(self._folder)
        return 0 if published is None else published.size

    def lag(self, head: int) -> int:
        """How many log entries the published graph is behind a head."""
        return max(0, head - self.size)


ProjectorHandle = Projector


def start_projector(folder: Path, database: Path | str) -> Projector:
    """Start a projector on a graph folder; `database` is a path or an SQLAlchemy URL."""
    projector = Projector(folder, database)
    projector.start()
    return projector


def _run(folder: Path, database: Path | str, stop: Connection) -> None:
    # Ctrl-C reaches the whole terminal group; the parent decides when its children stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The graph may lag behind; captures may not. Where both want a core, captures get it.
    if hasattr(os, "nice"):
        os.nice(NICE)
    follow(folder, database, stop)


def follow(folder: Path, database: Path | str, stop: Connection) -> None:
    """Project and publish until `stop` is closed at the other end, by order or by the parent's death."""
    ends: list[Connection | int] = [stop]
    parent = multiprocessing.parent_process()
    if parent is not None:
        ends.append(parent.sentinel)
    engine = reader_engine(database, pool_size=1)
    projection = open_projection(folder, Source(engine))
    try:
        projection.publish()
        while not wait(ends, 0):
            if projection.advance(lambda: bool(wait(ends, 0))):
                projection.publish()
            else:
                wait(ends, LOOK_EVERY_S)
    finally:
        projection.close()
        engine.dispose()
