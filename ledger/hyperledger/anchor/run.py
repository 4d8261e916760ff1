"""The loops of one anchor, each in a thread of its own, around parts that know nothing of time.

=========== ==========================================================================
`look`      takes published checkpoints into the backlog; needs no network
`submit`    settles the backlog, one checkpoint after the other
`events`    own peer's events: cosigns, and gathers lines under own checkpoints
`send`      sends the lines that were made
`collect`   asks now and then who is registered, and for lines whose event was missed
`follow`    looks at the followed logs' servers
=========== ==========================================================================

A loop that cannot get on says why (`Status.trouble`) and tries again: soon and then less often while the network is away,
rarely where somebody has to do something. No loop waits for another one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ...ed25519 import Signer
from ...errors import InvalidInput, LoomarkError, NotFound, Unavailable
from ..channel import ChannelEvent
from ..connection import Followed, Profile
from .cosigner import Cosigner
from .face import AnchorChannel
from .follow import Follower, Look, OpenLog, registered_keys
from .published import OwnLog
from .quorum import Collector
from .status import FOLDER, Status, write_status
from .store import AnchorStore
from .submit import Step, Submitter

DATABASE: Final = "anchor.db"
CHECKPOINT: Final = "checkpoint"
COSIGNATURE: Final = "cosignature"
EVIDENCE: Final = "evidence"


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long loops wait, in seconds: between looks, when nothing is to be done, after failures."""

    look_s: float = 0.05
    idle_s: float = 0.1
    collect_s: float = 5.0
    away_s: float = 0.5
    longest_away_s: float = 10.0
    people_s: float = 5.0
    longest_people_s: float = 60.0


class Anchor:
    """One anchor at work on one data folder. `start` and `stop` once each; `failure` is what no loop expects.

    `origin` is the node's log. The channel is closed by `stop`.
    """

    def __init__(
        self,
        data: Path,
        origin: str,
        profile: Profile,
        channel: AnchorChannel,
        key: Signer,
        open_log: OpenLog,
        pauses: Pauses | None = None,
    ) -> None:
        self.folder = data / FOLDER
        self.failure: BaseException | None = None
        self.ended = threading.Event()
        self.log = OwnLog(data / "log")
        self.store = AnchorStore(self.folder / DATABASE)
        self._origin = origin
        self._profile = profile
        self._channel = channel
        self._open_log = open_log
        self._pauses = pauses or Pauses()
        self._lines = threading.Event()
        self._guard = threading.Lock()
        self._collecting = threading.Lock()
        self._trouble: dict[str, dict[str, Any]] = {}
        self._looks: dict[str, Look] = {}
        self._followers: dict[str, Follower] = {}
        self.submitter = Submitter(
            self.store,
            channel,
            self.log,
            profile.anchor,
            monotonic_s=time.monotonic,
            clock_ms=_now_ms,
        )
        self.cosigner = Cosigner(
            self.store,
            channel,
            profile.msp,
            key,
            clock_s=lambda: _now_ms() // 1000,
            evidence=self.folder / EVIDENCE,
        )
        self.collector = Collector(
            self.store, channel, self.log, origin, profile.msp, profile.anchor, self.folder
        )
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the loops."""
        loops: dict[str, Callable[[], float]] = {
            "look": self._look,
            "submit": self._submit,
            "events": self._events,
            "send": self._send,
            "collect": self._collect,
        }
        if self._profile.follow:
            loops["follow"] = self._follow
        for name, turn in loops.items():
            thread = threading.Thread(target=self._loop, args=(name, turn), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the loops; what was begun is ended by the next start."""
        self.ended.set()
        self._lines.set()
        self._channel.close()
        for thread in self._threads:
            thread.join(timeout_s)
        for follower in self._followers.values():
            follower.close()
        if not any(thread.is_alive() for thread in self._threads):
            self.store.close()

    def status(self) -> Status:
        """How it stands now."""
        found = self.log.published()
        with self.store.turn() as turn:
            on_channel, on_channel_ms = turn.on_channel()
            oldest, backlog, unsent = turn.oldest(), turn.backlog(), turn.unsent_count()
            refusals = [asdict(one) for one in turn.refusals()]
        with self._guard:
            trouble, looks = dict(self._trouble), dict(self._looks)
        return Status(
            origin=self._origin,
            msp=self._profile.msp,
            pid=os.getpid(),
            time_ms=_now_ms(),
            published=0 if found is None else found[0].size,
            on_channel=on_channel,
            on_channel_ms=on_channel_ms,
            cosigned=self.collector.size,
            backlog=backlog,
            oldest_ms=0 if oldest is None else oldest.time_ms,
            unsent=unsent,
            trouble=trouble,
            refusals=refusals,
            followed={origin: asdict(look) for origin, look in looks.items()},
        )

    def say(self) -> None:
        """Write the status for the node to read."""
        write_status(self.folder, self.status())

    def _loop(self, name: str, turn: Callable[[], float]) -> None:
        pauses, failures = self._pauses, 0
        try:
            while not self.ended.is_set():
                try:
                    wait_s, failures = turn(), 0
                    self._well(name)
                except LoomarkError as error:
                    if self.ended.is_set():
                        return
                    self._ill(name, error)
                    stays = isinstance(error, InvalidInput)
                    first_s = pauses.people_s if stays else pauses.away_s
                    longest_s = pauses.longest_people_s if stays else pauses.longest_away_s
                    wait_s = min(first_s * 2 ** min(failures, 16), longest_s)
                    failures += 1
                self.ended.wait(wait_s)
        except BaseException as error:
            # Only a fresh start can tell what was done: the process ends, and whoever supervises it starts another one.
            self.failure = error
            self.ended.set()

    def _look(self) -> float:
        self.submitter.look()
        return self._pauses.look_s

    def _submit(self) -> float:
        return self._pauses.idle_s if self.submitter.step() is Step.IDLE else 0.0

    def _events(self) -> float:
        self.cosigner.require_registered()
        with self.store.turn() as turn:
            position = turn.position()
        self._well("events")
        for event in self._channel.events(position, stop=self.ended):
            self._take(event)
            with self.store.turn() as turn:
                turn.move(event.block, event.tx_id)
            self._well("events")
        return self._pauses.idle_s

    def _take(self, event: ChannelEvent) -> None:
        if event.name == CHECKPOINT:
            self.cosigner.take(event)
            self._lines.set()
        elif event.name == COSIGNATURE and event.payload.get("origin") == self._origin:
            size = event.payload.get("size")
            if type(size) is int:
                with self._collecting:
                    if not self.collector.knows(event.payload.get("msp")):
                        self.collector.learn()
                    self.collector.gather_at(size)

    def _send(self) -> float:
        self._lines.clear()
        if self.cosigner.send():
            return 0.0
        self._lines.wait(self._pauses.collect_s)
        return 0.0

    def _collect(self) -> float:
        with self._collecting:
            self.collector.learn()
            self.collector.gather()
        return self._pauses.collect_s

    def _follow(self) -> float:
        failed: list[LoomarkError] = []
        for followed in self._profile.follow:
            try:
                look = self._follower(followed).look()
            except LoomarkError as error:
                failed.append(error)
                continue
            with self._guard:
                self._looks[followed.origin] = look
        if failed:
            raise failed[0]
        return min(max(self._profile.anchor.seconds, 1.0), self._pauses.longest_people_s)

    def _follower(self, followed: Followed) -> Follower:
        vkeys = registered_keys(self._channel, followed.origin)
        if not vkeys:
            raise NotFound(f"expected the log {followed.origin} on the channel, got none", rule="unknown-log")
        known = self._followers.get(followed.origin)
        if known is not None and set(vkeys) <= set(known.vkeys):
            return known
        kept: Sequence[str] = ()
        if known is not None:
            # What an earlier key signed still binds the log.
            kept = [one for one in known.vkeys if one not in vkeys]
            known.close()
        made = Follower(
            followed, self.folder, (*vkeys, *kept), self.store, self._channel, self._open_log, _now_ms
        )
        self._followers[followed.origin] = made
        return made

    def _well(self, name: str) -> None:
        with self._guard:
            self._trouble.pop(name, None)

    def _ill(self, name: str, error: LoomarkError) -> None:
        rule = error.rule if isinstance(error, InvalidInput | Unavailable) else "failed"
        with self._guard:
            since = self._trouble.get(name, {}).get("since_ms", _now_ms())
            self._trouble[name] = {"rule": rule, "reason": str(error), "since_ms": since}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
