"""Which published checkpoints are anchored, and the one that is next: one in flight, in order, each until it is settled.

What a death leaves: a checkpoint leaves the backlog only once it is known to be on the channel, so at worst it is looked
up again there. It can have no second effect: the channel refuses a size that it has, and of two submissions that read the
same `latest` one is invalid.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from ...errors import Conflict, InvalidInput
from ..connection import Anchoring
from ..errors import ChaincodeRefused
from ..errors import Conflict as ReadConflict
from .face import AnchorChannel
from .published import OwnLog
from .store import AnchorStore, Kept


class Step(Enum):
    """What came of one step of the submitter."""

    IDLE = "nothing waits"
    SETTLED = "the oldest one is on the channel"
    AGAIN = "something else came first; read again and go on at once"


class ForkOnChannel(Conflict):
    """The channel has another history of this log than this folder, or more of it: nothing more is submitted until
    somebody has found out why."""

    default_rule = "fork-on-channel"


class Selector:
    """Chooses each n-th of the checkpoints that it sees, and the newest one t seconds after one was seen and left out."""

    def __init__(self, pace: Anchoring, last: int) -> None:
        self._pace = pace
        self._seen = self._chosen = last
        self._count = 0
        self._since_s = 0.0

    def see(self, size: int, now_s: float) -> bool:
        """Whether the checkpoint of this size, the newest published one, is to be anchored now."""
        if size > self._seen:
            self._count += 1
            self._since_s = now_s if self._seen == self._chosen else self._since_s
            self._seen = size
        if self._seen == self._chosen:
            return False
        if self._count < self._pace.every and now_s - self._since_s < self._pace.seconds:
            return False
        self._chosen, self._count = self._seen, 0
        return True


class Submitter:
    """Anchors one log. One caller at a time. `monotonic_s` paces, `clock_ms` dates what is kept."""

    def __init__(
        self,
        store: AnchorStore,
        channel: AnchorChannel,
        log: OwnLog,
        pace: Anchoring,
        *,
        monotonic_s: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._channel = channel
        self._log = log
        self._monotonic_s = monotonic_s
        self._clock_ms = clock_ms
        with store.turn() as turn:
            self._selector = Selector(pace, turn.last_selected())

    def look(self) -> None:
        """Take the published checkpoint into the backlog where it is its turn; durable when this returns."""
        found = self._log.published()
        if found is None:
            return
        head, note = found
        if self._selector.see(head.size, self._monotonic_s()):
            with self._store.turn() as turn:
                turn.enqueue(Kept(head.size, head.root, note, self._clock_ms()))

    def step(self) -> Step:
        """Settle the oldest checkpoint of the backlog. Raises what the channel raises, and ForkOnChannel."""
        with self._store.turn() as turn:
            oldest = turn.oldest()
        if oldest is None:
            return Step.IDLE
        origin = oldest.note.partition(b"\n")[0].decode()
        latest = self._channel.latest(origin)
        if latest is None or latest[0] < oldest.size:
            return self._submit(oldest, origin, latest)
        if latest == (oldest.size, oldest.root):
            return self._settled(oldest)
        if latest[0] == oldest.size:
            # The channel has another root at this size: its refusal is what says so to everybody.
            return self._submit(oldest, origin, latest)
        return self._covered(oldest, *latest)

    def _submit(self, oldest: Kept, origin: str, latest: tuple[int, bytes] | None) -> Step:
        proof = [] if latest is None else self._log.consistency(latest[0], oldest.size)
        try:
            self._channel.submit(oldest.note, proof)
        except ReadConflict:
            return Step.AGAIN
        except ChaincodeRefused:
            # What was proved against is no longer the latest one: another process of this log was first. Not even
            # "already anchored" is believed without that: another organisation's peer may be the one that says so.
            if self._channel.latest(origin) != latest:
                return Step.AGAIN
            raise
        return self._settled(oldest)

    def _settled(self, oldest: Kept) -> Step:
        with self._store.turn() as turn:
            turn.settle(oldest, self._clock_ms())
        return Step.SETTLED

    def _covered(self, oldest: Kept, size: int, root: bytes) -> Step:
        """The channel has a larger checkpoint: it must be one of this very tree."""
        found = self._log.published()
        published = 0 if found is None else found[0].size
        if published < size:
            raise ForkOnChannel(
                f"the channel has a checkpoint of size {size} of this log, and this folder published {published}: it is"
                " behind, as after a restore from an old backup",
                rule="behind-channel",
            )
        if self._log.root(size) != root:
            raise ForkOnChannel(
                f"the channel has another tree of this log at size {size} than this folder: one of the two is a fork"
            )
        with self._store.turn() as turn:
            turn.cover(oldest, size, self._clock_ms())
        return Step.SETTLED


def is_for_people(error: Exception) -> bool:
    """Whether a failure stays until somebody does something: a refusal, not a network that is away."""
    return isinstance(error, InvalidInput)
