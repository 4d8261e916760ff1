"""What members do with named queries and subscriptions: make, see, drop, resume. No HTTP.

Everything is asked in the name of one member and concerns that member's own; whatever changes goes through the node's
one writer, and is durable when a method returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from fabric.capture.intake import Clock
from fabric.capture.prepare import Draw
from fabric.query.errors import SubscriptionControls
from fabric.query.parameters import from_json
from ledger.errors import Conflict
from ledger.shape import Within

from . import progress as change
from . import queries, subscriptions
from .courier import Core
from .destination import Allowed
from .queries import NamedQuery, parse_definition
from .subscriptions import Subscription
from .wanted import Controls, parse_webhook

WAIT_S: Final = 60.0
T = TypeVar("T")


class SubscriptionService:
    """Named queries and subscriptions of one node. Safe to share by threads; `changed` is called after a change."""

    def __init__(
        self,
        core: Core,
        reading: Engine,
        allowed: Allowed,
        *,
        clock: Clock,
        draw: Draw,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._core = core
        self._reading = reading
        self._allowed = allowed
        self._clock = clock
        self._draw = draw
        self._changed = changed

    def make_query(self, member: str, body: Any, extensions: Mapping[str, str]) -> NamedQuery:
        """Keep the query of a body `{name, query}`. Raises NameTaken, InvalidInput, QueryParameter, QueryValidation."""
        name, query = parse_definition(body)
        with Within("/query"):
            from_json(query, extensions)
        self._write(
            lambda connection: queries.create(connection, member, name, query, extensions, self._clock())
        )
        return self.query(member, name)

    def query(self, member: str, name: str) -> NamedQuery:
        """A member's query. Raises NoSuchName."""
        with self._reading.connect() as connection:
            return queries.load(connection, member, name)

    def queries(self, member: str, after: str | None, limit: int) -> list[NamedQuery]:
        """A member's queries in the order of their names, those behind the name `after`."""
        with self._reading.connect() as connection:
            return queries.of_member(connection, member, after, limit)

    def drop_query(self, member: str, name: str) -> None:
        """Drop a query and its subscriptions. Raises NoSuchName."""
        self._write(lambda connection: queries.delete(connection, member, name))

    def is_there(self, query: NamedQuery) -> bool:
        """Whether a query was not dropped, and its member may still ask."""
        with self._reading.connect() as connection:
            return queries.exists(connection, query.id) and subscriptions.may_ask(connection, query.member)

    def subscribe(self, member: str, name: str, body: Any, epc_format: str) -> Subscription:
        """Subscribe to a query. Raises NoSuchName, SubscriptionControls, TooManySubscriptions."""
        query = self.query(member, name)
        wanted = parse_webhook(body, self._allowed)
        require_unlimited(query)
        identity, now_ms = str(UUID(bytes=self._draw(16), version=4)), self._clock()
        due_ms = first_run_ms(wanted.controls, now_ms)

        def write(connection: Connection) -> None:
            found = queries.load(connection, member, name)
            place = subscriptions.place_before(
                connection, wanted.controls.initial_ms, self._core.published_size
            )
            subscriptions.create(connection, identity, found, wanted, epc_format, place, due_ms, now_ms)

        self._write(write)
        return self.subscription(member, name, identity)

    def subscription(self, member: str, name: str, identity: str) -> Subscription:
        """One subscription of a member's query. Raises NoSuchName."""
        with self._reading.connect() as connection:
            return subscriptions.load(connection, queries.load(connection, member, name), identity)

    def subscriptions(self, member: str, name: str, after: str | None, limit: int) -> list[Subscription]:
        """The subscriptions of a member's query by their names, those behind the name `after`. Raises NoSuchName."""
        with self._reading.connect() as connection:
            return subscriptions.of_query(connection, queries.load(connection, member, name), after, limit)

    def unsubscribe(self, member: str, name: str, identity: str) -> None:
        """Drop a subscription. Raises NoSuchName."""
        self._write(
            lambda connection: subscriptions.delete(
                connection, queries.load(connection, member, name), identity
            )
        )

    def resume(self, member: str, name: str, identity: str, *, skip: bool = False) -> Subscription:
        """Go on with a subscription at once; with `skip` a given-up one leaves out what it could not deliver.

        Raises NoSuchName, Conflict `nothing-to-skip` where it was not given up with a delivery under way.
        """

        def write(connection: Connection) -> None:
            one = subscriptions.load(connection, queries.load(connection, member, name), identity)
            before = one.progress
            if skip and not (before.is_dead and before.sending):
                raise Conflict(
                    "expected a subscription that was given up with a delivery, got another",
                    rule="nothing-to-skip",
                )
            if before.is_dead or before.failures:
                after = change.resumed(before, self._clock(), skip=skip)
                subscriptions.advance(connection, identity, before, after)

        self._write(write)
        return self.subscription(member, name, identity)

    def place_before(self, initial_ms: int | None) -> change.Place:
        """The place behind everything that was recorded before a time; None: behind all that is published."""
        with self._reading.connect() as connection:
            return subscriptions.place_before(connection, initial_ms, self._core.published_size)

    def _write(self, run: Callable[[Connection], T]) -> T:
        found: T = self._core.submit(run).stored.result(WAIT_S)
        self._changed()
        return found


def require_unlimited(query: NamedQuery) -> None:
    """Refuse a subscription to a query for the first so many events, or with an answer of limited size.

    Each of its events is reported once, when it comes; there is no answer to be the first of. Raises SubscriptionControls.
    """
    asked = from_json(query.value, query.extensions)
    if asked.event_count_limit is not None or asked.max_event_count is not None:
        raise SubscriptionControls(
            "expected a query without eventCountLimit and maxEventCount, got one with a limit",
            rule="limited-query",
        )


def first_run_ms(controls: Controls, now_ms: int) -> int | None:
    """When a schedule runs first; None for a stream."""
    if controls.schedule is None:
        return None
    found = controls.schedule.next_after(datetime.fromtimestamp(now_ms / 1000, UTC))
    assert found is not None
    return int(found.timestamp() * 1000)
