"""A child process beside a node: it ends with its parent, however that ends, and may be started again after any death.

    projector = CompanionProcess("projector", follow, (folder, database))
    projector.start()

The function that runs in the child gets `Ends` as its last argument, and returns once they are told.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any


class Ends:
    """Whether a child is to end: its parent said so, or died."""

    def __init__(self, stop: Connection) -> None:
        parent = multiprocessing.parent_process()
        self._ends: list[Connection | int] = [stop] if parent is None else [stop, parent.sentinel]

    def told(self, within_s: float = 0.0) -> bool:
        """Whether to end now, or as soon as that is told within a time."""
        return bool(wait(self._ends, within_s))


class CompanionProcess:
    """The child as its parent holds it. Every start is a new process, by spawn, on the same arguments.

    `run` and `arguments` reach the process by pickling: functions and classes of modules, and plain values.
    """

    def __init__(self, name: str, run: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._name = name
        self._run = run
        self._arguments = arguments
        self._process: BaseProcess | None = None
        self._stop: Connection | None = None

    @property
    def name(self) -> str:
        """What it is called in the node's state."""
        return self._name

    def start(self) -> None:
        """Start the process; returns at once."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_child, args=(self._run, self._arguments, theirs), name=self._name, daemon=True
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
        """Ask it to end; kill it when it has not after the timeout."""
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


def _child(run: Callable[..., None], arguments: tuple[Any, ...], stop: Connection) -> None:
    # Ctrl-C reaches the whole terminal group; the parent decides when its children stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run(*arguments, Ends(stop))
