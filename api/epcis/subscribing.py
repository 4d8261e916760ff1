"""The subscriptions of a node, put together: who keeps them, who delivers them, where deliveries may go."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.settings import Settings
from fabric.capture.intake import now_ms
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

_MARGIN_S = 10.0
"""What is added to the time in which another node's delivery may be answered: two clocks, and a slow disk."""


@dataclass(frozen=True, slots=True)
class Subscribing:
    """What routes ask, what delivers, and the events that both look for."""

    service: SubscriptionService
    deliveries: Deliveries
    events: Callable[[], Events]


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
    return Subscribing(service, deliveries, events)


def current_events(node: Node) -> Callable[[], Events]:
    """Gives the node's events, with the identifiers that its members hold by now."""
    last: list[tuple[object, Events]] = []

    def events() -> Events:
        registry = node.registry
        if not last or last[0][0] is not registry:
            holder_of = Holders(registry.identifiers).member_of
            last[:] = [(registry, Events(node.reading, holder_of))]
        return last[0][1]

    return events
