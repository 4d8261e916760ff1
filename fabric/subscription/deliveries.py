"""Who delivers when: one thread that sees what is due, and a bounded number that deliver.

    with Deliveries(core, courier, load, ...) as deliveries:
        deliveries.look()      # something was subscribed to, dropped or resumed

A subscription is with one thread at a time, so its deliveries are in order. A receiver that was slow last time gets at
most half of the threads together with all other slow ones, and any one host only a few, so that nobody waits behind
them for longer than it takes to find out that they are slow. Of several nodes on one database the one that sequences
delivers; what another one had under way is left alone for as long as that may still be answered.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.exc import InterfaceError, OperationalError

from fabric.capture.intake import Clock
from ledger.errors import LoomarkError

from .courier import Core, Courier, Overtaken
from .progress import Progress, is_due
from .subscriptions import Subscription

THREADS: Final = 16
SLOW_THREADS: Final = 8
MOST_OF_ONE_HOST: Final = 4
SLOW_S: Final = 3.0
"""A receiver that takes longer for one delivery is slow."""

_TICK_S: Final = 0.05
_RELOAD_S: Final = 2.0
_SHARE: Final = 10
"""One subscription looks for news a tenth of the time at most."""

Load = Callable[[], Sequence[Subscription]]
"""All subscriptions as they are stored now."""


class Counts:
    """What became of deliveries, by outcome: `taken`, or why one was not. Safe to share by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()

    def count(self, outcome: str) -> None:
        """One attempt."""
        with self._lock:
            self._outcomes[outcome] += 1

    def outcomes(self) -> dict[str, int]:
        """Attempts by outcome."""
        with self._lock:
            return dict(self._outcomes)


@dataclass(slots=True)
class _Known:
    """A subscription and what this process remembers of it; times are monotonic seconds."""

    one: Subscription
    host: str
    seen: int = -1
    rests_until: float = 0.0
    turned_at: float = 0.0
    is_busy: bool = False
    is_slow: bool = False
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class _Ended:
    """A turn that is over; `progress` is None where what was known is old."""

    name: str
    progress: Progress | None
    seen: int
    took_s: float
    in_trouble: bool


class Deliveries:
    """Delivers all subscriptions of a node from `start` to `stop`. `fence_s` is how long another process's delivery may
    still be answered; 0 where no other process can be alive."""

    def __init__(
        self,
        core: Core,
        courier: Courier,
        load: Load,
        *,
        by: str,
        fence_s: float,
        clock: Clock,
        counts: Counts,
    ) -> None:
        self.counts = counts
        self._core = core
        self._courier = courier
        self._load = load
        self._by = by
        self._fence_ms = int(fence_s * 1000)
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._work: queue.SimpleQueue[tuple[Subscription, int] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._changed = threading.Event()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._deliver, name=f"delivery-{number}", daemon=True)
            for number in range(THREADS)
        ]
        self._dispatcher = threading.Thread(target=self._dispatch, name="deliveries", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        for thread in (*self._threads, self._dispatcher):
            thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Begin nothing more, and wait for what is under way; what takes longer is sent again by the next run."""
        self._stopping = True
        self._courier.stop()
        self._wake.set()
        if not self._dispatcher.is_alive():
            return
        deadline = time.monotonic() + timeout_s
        for _ in self._threads:
            self._work.put(None)
        for thread in (self._dispatcher, *self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def look(self) -> None:
        """Read the subscriptions again soon."""
        self._changed.set()
        self._wake.set()

    def state(self) -> dict[str, int]:
        """How many subscriptions there are and how they fare; `backlog` is how many log entries the last one is behind."""
        size, known = self._core.published_size, list(self._known.values())
        alive = [one for one in known if not one.one.progress.is_dead]
        streams = [one for one in alive if one.one.schedule is None]
        behind = [size - 1 - max(one.seen, one.one.progress.place[0]) for one in streams]
        return {
            "active": len(alive),
            "dead": len(known) - len(alive),
            "failing": sum(1 for one in alive if one.one.progress.failures),
            "sending": sum(1 for one in known if one.is_busy),
            "backlog": max([0, *behind]),
        }

    def __enter__(self) -> Deliveries:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _dispatch(self) -> None:
        size, look_at, loaded_at = -1, 0.0, 0.0
        while not self._stopping:
            self._wake.wait(_TICK_S)
            self._wake.clear()
            has_news = self._take_in()
            if not self._core.is_sequencing:
                self._known = {name: one for name, one in self._known.items() if one.is_busy}
                loaded_at = 0.0
                continue
            now = time.monotonic()
            if self._changed.is_set() or now - loaded_at > _RELOAD_S:
                self._changed.clear()
                self._reload()
                loaded_at, has_news = now, True
            published = self._core.published_size
            if has_news or published != size or now >= look_at:
                size = published
                look_at = self._hand_out(size)

    def _reload(self) -> None:
        try:
            stored = {one.id: one for one in self._load()}
        except Exception:
            # The database is away, or busy: what is known is still true, and the next look comes soon.
            return
        for name, known in list(self._known.items()):
            if name not in stored and not known.is_busy:
                del self._known[name]
        for name, one in stored.items():
            found = self._known.get(name)
            if found is None:
                self._known[name] = _Known(one, urlsplit(one.dest).netloc)
            elif not found.is_busy:
                found.one, found.is_stale = one, False

    def _hand_out(self, size: int) -> float:
        """Give what is due to threads that are free; says when, without news, something else may be due (monotonic)."""
        now_ms, now = self._clock(), time.monotonic()
        busy = [one for one in self._known.values() if one.is_busy]
        hosts, slow = Counter(one.host for one in busy), sum(1 for one in busy if one.is_slow)
        free, look_at = THREADS - len(busy), now + _RELOAD_S
        # Whoever had no turn for longest comes first: among many that are always due nobody is forgotten.
        for known in sorted(self._known.values(), key=lambda one: one.turned_at):
            if known.is_busy or known.is_stale:
                continue
            wait_s = max(known.rests_until - now, self._wait_s(known, size, now_ms))
            if wait_s > 0:
                look_at = min(look_at, now + wait_s)
                continue
            if free <= 0 or hosts[known.host] >= MOST_OF_ONE_HOST:
                continue
            if known.is_slow and slow >= SLOW_THREADS:
                continue
            known.is_busy, known.turned_at = True, now
            hosts[known.host] += 1
            slow += known.is_slow
            free -= 1
            self._work.put((known.one, known.seen))
        return look_at

    def _wait_s(self, known: _Known, size: int, now_ms: int) -> float:
        """How long until there is something to do for a subscription, if nothing else happens; 0: now."""
        progress, is_scheduled = known.one.progress, known.one.schedule is not None
        sending = progress.sending
        if sending is not None and sending.by != self._by and now_ms < sending.at_ms + self._fence_ms:
            return (sending.at_ms + self._fence_ms - now_ms) / 1000
        if is_due(progress, is_scheduled, known.seen, size, now_ms):
            return 0.0
        if progress.due_ms is None or progress.is_dead:
            return math.inf
        return (progress.due_ms - now_ms) / 1000

    def _take_in(self) -> bool:
        """Hear how turns ended; True when one did."""
        has_news = False
        while True:
            try:
                ended = self._ended.get_nowait()
            except queue.Empty:
                return has_news
            has_news = True
            known = self._known[ended.name]
            known.is_busy = False
            if ended.progress is None:
                # What is stored is read before anything else is done for it: what is known here may be older.
                known.is_stale = True
                if not ended.in_trouble:
                    self._changed.set()
                continue
            delivered = ended.progress.delivered - known.one.progress.delivered
            known.one = replace(known.one, progress=ended.progress)
            known.seen = max(known.seen, ended.seen)
            known.is_slow = ended.took_s / (delivered + 1) > SLOW_S
            rest_s = 0.0 if delivered else min(1.0, _SHARE * ended.took_s)
            known.rests_until = time.monotonic() + rest_s

    def _deliver(self) -> None:
        while (work := self._work.get()) is not None:
            one, seen = work
            started, in_trouble = time.monotonic(), False
            progress: Progress | None = one.progress
            try:
                turned = self._courier.turn(one, seen)
                progress, seen = turned.progress, turned.seen
            except Overtaken:
                progress = None
            except (LoomarkError, OperationalError, InterfaceError):
                progress, in_trouble = None, True
            except Exception:
                # A fault of ours with one subscription is not to end the thread that others need as well.
                self.counts.count("fault")
                progress, in_trouble = None, True
            self._ended.put(_Ended(one.id, progress, seen, time.monotonic() - started, in_trouble))
            self._wake.set()
