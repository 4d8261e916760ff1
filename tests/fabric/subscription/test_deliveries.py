"""Who has a turn when: nobody is forgotten, nobody is served twice at once, and what may be old is read again first."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from fabric.capture.writer import Ticket
from fabric.subscription.courier import Overtaken, Turned
from fabric.subscription.deliveries import MOST_OF_ONE_HOST, THREADS, Counts, Deliveries
from fabric.subscription.progress import Progress, Sending
from fabric.subscription.queries import NamedQuery
from fabric.subscription.subscriptions import Subscription
from fabric.visibility.reader import NOBODY, Reader
from ledger.errors import Unavailable

from .receiver import until

NOW = 1_790_000_000_000
QUERY = NamedQuery(1, "farm", "all", "{}", {}, NOW)


def subscription(name: str, host: str = "", **progress: Any) -> Subscription:
    dest = f"https://{host or name}.example.com/x"
    return Subscription(
        name, QUERY, dest, None, None, False, "No_Preference", NOW, NOW, Progress((0, 0), **progress)
    )


@dataclass
class Core:
    """A node of which only the size and whose turn it is are asked."""

    published_size: int = 100
    is_sequencing: bool = True

    def submit(self, run: Callable[..., Any]) -> Ticket:
        raise AssertionError("nothing is written here")

    def reader(self, member: str | None) -> Reader:
        return NOBODY

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@dataclass
class Turns:
    """A courier whose turns a test plays; it counts them, and how many are at one time."""

    play: Callable[[Subscription], Turned]
    turns: Counter[str] = field(default_factory=Counter)
    busy: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    seen: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def turn(self, one: Subscription, seen: int = -1) -> Turned:
        host = one.dest.partition("//")[2].partition(".")[0]
        with self.lock:
            self.seen.append(seen)
            self.turns[one.id] += 1
            for name in (one.id, f"host {host}", "all"):
                self.busy[name] += 1
                self.most[name] = max(self.most[name], self.busy[name])
        try:
            return self.play(one)
        finally:
            with self.lock:
                for name in (one.id, f"host {host}", "all"):
                    self.busy[name] -= 1

    def stop(self) -> None:
        """Nothing to stop."""


def delivering(
    core: Core, courier: Turns, stored: dict[str, Subscription], fence_s: float = 0.0
) -> Deliveries:
    return Deliveries(
        core,
        courier,  # type: ignore[arg-type]
        lambda: list(stored.values()),
        by="me",
        fence_s=fence_s,
        clock=lambda: NOW,
        counts=Counts(),
    )


def always_more(one: Subscription) -> Turned:
    """A delivery, and still more to deliver."""
    time.sleep(0.01)
    return Turned(replace(one.progress, delivered=one.progress.delivered + 1), -1)


def test_of_many_that_are_always_due_nobody_is_forgotten() -> None:
    stored = {name: subscription(name) for name in (f"s{number}" for number in range(4 * THREADS))}
    courier = Turns(always_more)
    with delivering(Core(), courier, stored):
        until(lambda: len(courier.turns) == len(stored) and min(courier.turns.values()) >= 3)
    assert courier.most["all"] <= THREADS
    assert max(courier.most[name] for name in stored) == 1


def test_one_host_has_a_few_threads_only() -> None:
    stored = {f"s{number}": subscription(f"s{number}", "busy") for number in range(THREADS)}
    stored["other"] = subscription("other")
    courier = Turns(always_more)
    with delivering(Core(), courier, stored):
        until(lambda: min(courier.turns[name] for name in stored) >= 3)
    assert courier.most["host busy"] <= MOST_OF_ONE_HOST


def test_a_stream_without_news_has_no_turn_until_the_log_grows() -> None:
    core, courier = Core(), Turns(lambda one: Turned(one.progress, core.published_size - 1))
    with delivering(core, courier, {"s": subscription("s")}):
        until(lambda: courier.turns["s"] == 1)
        assert courier.seen == [-1]
        time.sleep(0.3)
        assert courier.turns["s"] == 1
        core.published_size += 1
        until(lambda: courier.turns["s"] == 2)
        assert courier.seen == [-1, 99]


@pytest.mark.parametrize("error", [Overtaken(), Unavailable("not now"), ZeroDivisionError("a fault of ours")])
def test_after_trouble_what_is_stored_is_read_before_the_next_turn(error: Exception) -> None:
    """What was known may be older than what is stored: acting on it would send again what was taken."""
    stored = {"s": subscription("s")}
    seen: list[int] = []

    def play(one: Subscription) -> Turned:
        seen.append(one.progress.delivered)
        if len(seen) == 1:
            stored["s"] = replace(one, progress=replace(one.progress, delivered=7))
            raise error
        return Turned(replace(one.progress, is_dead=True), -1)

    deliveries = delivering(Core(), Turns(play), stored)
    with deliveries:
        until(lambda: len(seen) == 2)
    assert seen == [0, 7]
    assert deliveries.counts.outcomes() == ({"fault": 1} if isinstance(error, ZeroDivisionError) else {})


def test_only_the_node_that_sequences_delivers() -> None:
    core, courier = Core(is_sequencing=False), Turns(always_more)
    deliveries = delivering(core, courier, {"s": subscription("s")})
    with deliveries:
        time.sleep(0.3)
        assert not courier.turns
        core.is_sequencing = True
        until(lambda: courier.turns["s"] >= 1)
        core.is_sequencing = False
        until(lambda: deliveries.state()["active"] == 0)
        after = courier.turns["s"]
        time.sleep(0.3)
        assert courier.turns["s"] == after


def test_what_another_process_has_under_way_is_left_alone_while_it_may_be_answered() -> None:
    of_others = Sending("name", ((1, 1),), "another", NOW - 5_000)
    stored = {"old": subscription("old", sending=replace(of_others, at_ms=NOW - 60_000))}
    stored |= {
        "fresh": subscription("fresh", sending=of_others),
        "own": subscription("own", sending=replace(of_others, by="me")),
    }
    courier = Turns(lambda one: Turned(replace(one.progress, is_dead=True), -1))
    with delivering(Core(), courier, stored, fence_s=30.0):
        until(lambda: courier.turns["old"] and courier.turns["own"])
        time.sleep(0.3)
        assert courier.turns["fresh"] == 0


def test_what_was_given_up_or_dropped_has_no_turn() -> None:
    stored = {"dead": subscription("dead", is_dead=True), "s": subscription("s")}
    courier = Turns(always_more)
    deliveries = delivering(Core(), courier, stored)
    with deliveries:
        until(lambda: courier.turns["s"] >= 2)
        assert deliveries.state() | {"sending": 0} == {
            "active": 1,
            "dead": 1,
            "failing": 0,
            "sending": 0,
            "backlog": 99,
        }
        del stored["s"]
        deliveries.look()
        until(lambda: deliveries.state()["active"] == 0)
        after = courier.turns["s"]
        time.sleep(0.2)
        assert courier.turns["s"] == after
    assert courier.turns["dead"] == 0
