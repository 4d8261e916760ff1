"""What a peer of the double does wrong; every switch is off, and may be turned while the peer serves."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Failure:
    """A status instead of an answer, ``times`` times (None: each time); ``after`` does the work first."""

    code: str
    message: str
    times: int | None = 1
    after: bool = False


@dataclass
class Faults:
    """Switches by method (``Evaluate``, ``Endorse``, ``Submit``, ``CommitStatus``, ``ChaincodeEvents``, ``Deliver``)."""

    failures: dict[str, Failure] = field(default_factory=dict)
    garbage: dict[str, bytes] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    # What CommitStatus says instead of the truth: a validation code's number.
    lie: int | None = None
    # Events streams are cut after so many messages, once for each number.
    cuts: list[int] = field(default_factory=list)
    # Every events stream begins at the first block, whatever was asked.
    replays: bool = False
    # Endorse gives back the transaction of another call.
    swaps: bool = False
    woken: threading.Event = field(default_factory=threading.Event)
    calls: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def failure(self, method: str, *, after: bool) -> Failure | None:
        """The failure that is due now."""
        with self._lock:
            due = self.failures.get(method)
            if due is None or due.after is not after or due.times == 0:
                return None
            if due.times is not None:
                due.times -= 1
            return due

    def cut(self) -> int | None:
        """After how many messages the stream that begins now is cut."""
        with self._lock:
            return self.cuts.pop(0) if self.cuts else None
