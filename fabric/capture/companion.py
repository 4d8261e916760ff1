"""Child processes that follow the log read-only: started with the node, restarted when they die, ended with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.5
_STEADY_S: Final = 60.0


class Companion(Protocol):
    """A child process. It ends by itself when its parent dies, and may be started again after it ended."""

    @property
    def name(self) -> str:
        """What it is called in the node's state."""

    def start(self) -> None:
        """Start the process; returns at once."""

    def is_alive(self) -> bool:
        """Whether the process runs."""

    def stop(self, timeout_s: float) -> None:
        """Ask the process to end, and end it when it has not after the timeout."""


class Companions:
    """Supervises companions: a dead one is started again, after a delay that doubles while it keeps dying."""

    def __init__(self, companions: Sequence[Companion]) -> None:
        self._companions = tuple(companions)
        self._stopping = threading.Event()
        self._restarts = {one.name: 0 for one in self._companions}
        self._thread = threading.Thread(target=self._watch, name="companions", daemon=True)

    def start(self) -> None:
        """Start all, and watch them."""
        for one in self._companions:
            one.start()
        if self._companions:
            self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End all."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for one in self._companions:
            one.stop(timeout_s)

    def state(self) -> dict[str, dict[str, object]]:
        """Whether each runs, and how often it was started again."""
        return {
            one.name: {"alive": one.is_alive(), "restarts": self._restarts[one.name]}
            for one in self._companions
        }

    def _watch(self) -> None:
        delays = {one.name: FIRST_DELAY_S for one in self._companions}
        due = {one.name: 0.0 for one in self._companions}
        started = {one.name: time.monotonic() for one in self._companions}
        while not self._stopping.wait(_LOOK_EVERY_S):
            for one in self._companions:
                now = time.monotonic()
                if one.is_alive():
                    due[one.name] = 0.0
                    continue
                if not due[one.name]:
                    steady = now - started[one.name] > _STEADY_S
                    delays[one.name] = FIRST_DELAY_S if steady else min(2 * delays[one.name], LONGEST_DELAY_S)
                    due[one.name] = now + delays[one.name]
                elif now >= due[one.name]:
                    one.start()
                    started[one.name], due[one.name] = now, 0.0
                    self._restarts[one.name] += 1
