"""How far a subscription has come, and what each thing that happens makes of that: pure, no clock and no database.

A place is `(log index, position in its capture)`. Everything up to a subscription's place was delivered, or passed over
because it did not match or was not to be seen then; the place moves only when a delivery was taken.

A delivery is noted before it is sent: its name and the events in it. Until it is taken, every attempt has that name and
no event beyond those, after a death of the node as well. So the one repeat that nobody can avoid, of a delivery whose
2xx the node did not live to note, is known to the receiver by its name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

Place = tuple[int, int]
"""A log index, and a position in the capture there."""

END_OF_CAPTURE: Final = 2**31 - 1
"""A position behind every event of a capture."""

MOST_EVENTS: Final = 100
"""Events in one delivery, unless the receiver asked for less."""

REQUEST_TOO_LARGE: Final = 413
GONE: Final = 410
_RETRY_AFTER: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Sending:
    """A delivery under way: its name, its events, and which process noted it when (milliseconds since 1970)."""

    delivery: str
    keys: tuple[Place, ...]
    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a subscription stands. `due_ms` is when to look at it next, None: at the next new head.

    `run_size` is the tree size that the scheduled run under way goes up to; `failures` are attempts in a row that were
    not taken, `reason` says why the last was not; `is_dead` is given up until somebody resumes it.
    """

    place: Place
    due_ms: int | None = None
    run_size: int | None = None
    batch: int = MOST_EVENTS
    sending: Sending | None = None
    failures: int = 0
    reason: str | None = None
    is_dead: bool = False
    delivered: int = 0
    notified_ms: int | None = None
    failed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt: the receiver's status, or why there was none; seconds it asked to be left alone."""

    status: int | None
    reason: str
    retry_after_s: float | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the receiver took the delivery."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How attempts follow each other: the first pause, doubled each time up to the longest, and how many there are."""

    first_s: float = 1.0
    longest_s: float = 3600.0
    attempts: int = 24

    def pause_s(self, failures: int, chance: float) -> float:
        """The pause after so many failures; `chance` from 0 to 1 spreads receivers that failed together."""
        whole = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 60))
        return whole * (0.5 + chance / 2)


def begun(progress: Progress, sending: Sending, run_size: int | None) -> Progress:
    """A delivery is about to be sent."""
    return replace(progress, sending=sending, run_size=run_size, due_ms=None)


def resent(progress: Progress, by: str, now_ms: int) -> Progress:
    """The delivery under way is sent again, maybe by another process."""
    assert progress.sending is not None
    return replace(progress, sending=replace(progress.sending, by=by, at_ms=now_ms))


def taken(progress: Progress, now_ms: int) -> Progress:
    """The receiver took the delivery."""
    return replace(
        passed(progress),
        failures=0,
        reason=None,
        due_ms=None,
        delivered=progress.delivered + 1,
        notified_ms=now_ms,
    )


def passed(progress: Progress) -> Progress:
    """The delivery under way is done with: taken, skipped, or nothing of it may be seen any more."""
    assert progress.sending is not None
    keys = progress.sending.keys
    return replace(progress, place=max((progress.place, *keys)), sending=None)


def refused(progress: Progress, outcome: Outcome, rule: RetryRule, now_ms: int, chance: float) -> Progress:
    """The receiver did not take the delivery.

    413 is a request for fewer events, and no failure while there is more than one; then, and after 410 and after the
    last attempt, the subscription is given up with all it has still to deliver.
    """
    assert progress.sending is not None
    failed = replace(progress, failures=progress.failures + 1, reason=outcome.reason, failed_ms=now_ms)
    count = len(progress.sending.keys)
    if outcome.status == REQUEST_TOO_LARGE and count > 1:
        # What was refused for its size was not taken, so its events may go under other names.
        return replace(progress, sending=None, batch=count // 2, due_ms=now_ms, failed_ms=now_ms)
    final = outcome.status == GONE or (outcome.status == REQUEST_TOO_LARGE and count == 1)
    if final or failed.failures >= rule.attempts:
        return replace(failed, is_dead=True, due_ms=None)
    pause_s = rule.pause_s(failed.failures, chance)
    if outcome.status in _RETRY_AFTER and outcome.retry_after_s is not None:
        pause_s = min(max(pause_s, outcome.retry_after_s), rule.longest_s)
    return replace(failed, due_ms=now_ms + int(pause_s * 1000))


def resumed(progress: Progress, now_ms: int, *, skip: bool = False) -> Progress:
    """Somebody says that deliveries can go on; with `skip`, without what could not be delivered."""
    going = replace(progress, is_dead=False, failures=0, due_ms=now_ms)
    return passed(going) if skip and going.sending is not None else going


def run_ended(progress: Progress, due_ms: int | None) -> Progress:
    """A scheduled run is over, having seen all below its size; the next one is due at a time."""
    assert progress.run_size is not None
    place = max(progress.place, (progress.run_size - 1, END_OF_CAPTURE))
    return replace(at_rest(progress), place=place, run_size=None, due_ms=due_ms)


def hindered(progress: Progress, reason: str, rule: RetryRule, now_ms: int, chance: float) -> Progress:
    """The query could not be answered now, before anything was sent: it is asked again, as often as a receiver is."""
    failures = progress.failures + 1
    after = replace(progress, failures=failures, reason=reason, failed_ms=now_ms)
    if failures >= rule.attempts:
        return replace(after, is_dead=True, due_ms=None)
    return replace(after, due_ms=now_ms + int(rule.pause_s(failures, chance) * 1000))


def passed_over(progress: Progress, seen: int) -> Progress:
    """Nothing up to a log index is for this stream."""
    return replace(progress, place=max(progress.place, (seen, END_OF_CAPTURE)))


def at_rest(progress: Progress) -> Progress:
    """There is nothing to send, and nothing went wrong in finding out."""
    return replace(progress, due_ms=None, failures=0, reason=None)


def given_up(progress: Progress, reason: str, now_ms: int) -> Progress:
    """Nothing can be delivered, whatever the receiver does, until somebody changes something."""
    return replace(progress, is_dead=True, due_ms=None, reason=reason, failed_ms=now_ms)


def is_due(progress: Progress, scheduled: bool, seen: int, size: int, now_ms: int) -> bool:
    """Whether there is something to do: `seen` is the log index up to which nothing more is to be found for a stream.

    `size` is the size of the published tree.
    """
    if progress.is_dead:
        return False
    if progress.due_ms is not None:
        return now_ms >= progress.due_ms
    if progress.sending is not None or scheduled:
        return True
    seq, position = progress.place
    # What follows in the same capture may still be to deliver: a turn, or a process, can end between two deliveries.
    passed_seq = seq if position == END_OF_CAPTURE else seq - 1
    return max(seen, passed_seq) < size - 1
