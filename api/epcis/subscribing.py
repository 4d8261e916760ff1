"""The subscriptions of a node, put together: who keeps them, who delivers them, where deliveries may go."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anyio import CapacityLimiter

from api.problems import TooMany
from api.settings import Settings
from fabric.capture.intake import now_ms
from fabric.query.budget import Budget
from fabric.query.run import Events
from fabric.subscription.courier import Courier
from fabric.subscription.deliveries import Counts, Deliveries
from fabric.subscription.destination import parse_allowed
from fabric.subscription.post import HttpReceiver
from fabric.subscription.progress import RetryRule
from fabric.subscription.service import SubscriptionService
from fabric.subscription.subscriptions import of_all
from fabric.visibility.holders import Holders
from ledger.log.lock import NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric.capture.node import Node
    from fabric.subscription.subscriptions import Subscription

BUDGET: Final = Budget(seconds=10.0)
"""What one look for news may cost: nobody waits for it, so it may take longer than an answer."""

MOST_OF_MEMBER: Final = 16
MOST_AT_ALL: Final = 256
THREADS: Final = 4
_MARGIN_S: Final = 10.0
"""What is added to the time in which another node's delivery may be answered: two clocks, and a slow disk."""


class Sockets:
    """How many connections there are, and whose; used by one event loop, looked at by others.

    `threads` is how many of them look for news at one time, `sent` how many messages were sent.
    """

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()
        self.threads = CapacityLimiter(THREADS)
        self.sent = 0

    @property
    def count(self) -> int:
        """Connections that are open."""
        return self._of.total()

    def enter(self, member: str) -> None:
        """Count one more of a member. Raises TooMany."""
        if self._of[member] >= MOST_OF_MEMBER or self.count >= MOST_AT_ALL:
            raise TooMany(f"expected at most {MOST_OF_MEMBER} websockets of one member, got one more")
        self._of[member] += 1

    def leave(self, member: str) -> None:
        """Count one less."""
        self._of[member] -= 1
        self._of += Counter()


@dataclass(frozen=True, slots=True)
class Subscribing:
    """What routes ask, what delivers, the events that both look for, and the websockets that are open."""

    service: SubscriptionService
    deliveries: Deliveries
    events: Callable[[], Events]
    sockets: Sockets


def subscribing(node: Node, settings: Settings) -> Subscribing:
    """The subscriptions of a node; nothing is delivered before its `deliveries` are started.

    Raises InvalidInput for destinations that cannot be read.
    """
    allowed = parse_allowed(settings.subscription_destinations or "")
    events, counts = current_events(node), Counts()
    # Another run of this program may get the same process id, and must not be taken for this one.
    by = f"{NAME} {secrets.token_hex(8)}"
    courier = Courier(
        node,
        events,
        HttpReceiver(allowed, settings.subscription_timeout_s),
        RetryRule(settings.subscription_retry_s, attempts=settings.subscription_attempts),
        by=by,
        clock=now_ms,
        draw=secrets.token_bytes,
        chance=random.SystemRandom().random,
        count=counts.count,
    )

    def load() -> list[Subscription]:
        with node.reading.connect() as connection:
            return of_all(connection)

    fence_s = settings.subscription_timeout_s + _MARGIN_S if node.is_shared else 0.0
    deliveries = Deliveries(node, courier, load, by=by, fence_s=fence_s, clock=now_ms, counts=counts)
    service = SubscriptionService(
        node, node.reading, allowed, clock=now_ms, draw=secrets.token_bytes, changed=deliveries.look
    )
    return Subscribing(service, deliveries, events, Sockets())


def current_events(node: Node) -> Callable[[], Events]:
    """Gives the node's events, with the identifiers that its members hold by now."""
    last: list[tuple[object, Events]] = []

    def events() -> Events:
        registry = node.registry
        if not last or last[0][0] is not registry:
            holder_of = Holders(registry.identifiers).member_of
            last[:] = [(registry, Events(node.reading, holder_of, budget=BUDGET))]
        return last[0][1]

    return events
