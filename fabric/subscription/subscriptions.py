"""Subscriptions as they are stored: what was asked for, and how far it has come (`progress`).

`advance` is the one way in which progress is written. It says what the writer of it believes to be there, so that a
process whose turn is over cannot undo what its successor has noted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, func, select, update
from sqlalchemy.engine import Connection

from fabric.query.errors import NoSuchName
from fabric.store.schema import credential, named_query, subscription
from ledger.log.schema import seal
from ledger.shape import time_text

from .errors import TooManySubscriptions
from .progress import END_OF_CAPTURE, Place, Progress, Sending
from .queries import NamedQuery
from .wanted import Webhook

MOST_PER_MEMBER: Final = 100


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook's subscription. `schedule` is as it was sent, None for a stream; times are milliseconds since 1970."""

    id: str
    query: NamedQuery
    dest: str
    secret: str | None
    schedule: Mapping[str, Any] | None
    report_if_empty: bool
    epc_format: str
    initial_ms: int
    created_ms: int
    progress: Progress

    @property
    def begins_ms(self) -> int:
        """The record time from which on events are reported, where that is later than the subscription itself.

        An earlier one is in the place that it began with, which needs no two clocks to agree.
        """
        return self.initial_ms if self.initial_ms > self.created_ms else 0

    def __repr__(self) -> str:
        """Without the secret, and without what others may have put into the query."""
        return f"Subscription({self.id})"


def create(
    connection: Connection,
    name: str,
    query: NamedQuery,
    wanted: Webhook,
    epc_format: str,
    place: Place,
    due_ms: int | None,
    now_ms: int,
) -> None:
    """Keep a subscription under a fresh name. Raises TooManySubscriptions."""
    owned = select(func.count()).select_from(
        subscription.join(named_query, named_query.c.id == subscription.c.query)
    )
    count = connection.execute(owned.where(named_query.c.member == query.member)).scalar_one()
    if count >= MOST_PER_MEMBER:
        raise TooManySubscriptions(f"expected at most {MOST_PER_MEMBER} subscriptions of one member")
    controls = wanted.controls
    initial_ms = now_ms if controls.initial_ms is None else controls.initial_ms
    values = {
        "id": name,
        "query": query.id,
        "dest": wanted.dest,
        "secret": wanted.secret,
        "schedule": None if controls.told is None else json.dumps(dict(controls.told)),
        "report_if_empty": int(controls.report_if_empty),
        "epc_format": epc_format,
        "initial_at": initial_ms,
        "created_at": now_ms,
    }
    connection.execute(subscription.insert().values(**values, **_columns(Progress(place, due_ms))))


def load(connection: Connection, query: NamedQuery, name: str) -> Subscription:
    """One subscription of a query. Raises NoSuchName `no-such-subscription`."""
    wanted = select(subscription).where(subscription.c.id == name, subscription.c.query == query.id)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        raise NoSuchName("expected the ID of a subscription to this query", rule="no-such-subscription")
    return _subscription(row, query)


def of_query(connection: Connection, query: NamedQuery, after: str | None, limit: int) -> list[Subscription]:
    """The subscriptions of a query by their names, at most `limit`, those behind the name `after`."""
    wanted = select(subscription).where(subscription.c.query == query.id)
    if after is not None:
        wanted = wanted.where(subscription.c.id > after)
    rows = connection.execute(wanted.order_by(subscription.c.id).limit(limit))
    return [_subscription(row, query) for row in rows]


def of_all(connection: Connection) -> list[Subscription]:
    """Every subscription of a member who may still ask: whose last API key was revoked is told nothing more."""
    joined = subscription.join(named_query, named_query.c.id == subscription.c.query)
    may_ask = select(credential.c.member).where(credential.c.revoked_at.is_(None))
    columns = [column.label(f"query_{column.name}") for column in named_query.c]
    wanted = select(subscription, *columns).select_from(joined).where(named_query.c.member.in_(may_ask))
    return [_subscription(row, _joined_query(row)) for row in connection.execute(wanted)]


def may_ask(connection: Connection, member: str) -> bool:
    """Whether a member has an API key that is not revoked."""
    keys = select(credential.c.id).where(credential.c.member == member, credential.c.revoked_at.is_(None))
    return connection.execute(keys.limit(1)).first() is not None


def delete(connection: Connection, query: NamedQuery, name: str) -> None:
    """Drop a subscription; a delivery under way may still arrive. Raises NoSuchName."""
    load(connection, query, name)
    connection.execute(subscription.delete().where(subscription.c.id == name))


def advance(connection: Connection, name: str, before: Progress, after: Progress) -> bool:
    """Write progress in the place of what it was before.

    False, and nothing is written, where the subscription is gone, stands elsewhere, or has another delivery under way,
    or one that another process has taken over.
    """
    table, sending = subscription.c, before.sending
    is_there = (table.seq == before.place[0]) & (table.position == before.place[1])
    delivery, by = (None, None) if sending is None else (sending.delivery, sending.by)
    is_same = table.sending.is_not_distinct_from(delivery) & table.sending_by.is_not_distinct_from(by)
    change = update(subscription).where(table.id == name, is_there, is_same)
    return connection.execute(change.values(**_columns(after))).rowcount == 1


def place_before(connection: Connection, initial_ms: int | None, size: int) -> Place:
    """The place behind everything that was recorded before a time; None: behind all of a tree of `size` entries.

    A record's time is that of the first seal behind it.
    """
    if initial_ms is None:
        return size - 1, END_OF_CAPTURE
    earlier = select(seal.c.idx).where(seal.c.time < time_text(initial_ms), seal.c.idx < size)
    found = connection.execute(earlier.order_by(seal.c.idx.desc()).limit(1)).scalar()
    return (-1 if found is None else found - 1), END_OF_CAPTURE


def _columns(progress: Progress) -> dict[str, Any]:
    sending = progress.sending
    return {
        "seq": progress.place[0],
        "position": progress.place[1],
        "run_size": progress.run_size,
        "due_at": progress.due_ms,
        "batch": progress.batch,
        "sending": None if sending is None else sending.delivery,
        "sending_keys": None if sending is None else json.dumps(sending.keys),
        "sending_by": None if sending is None else sending.by,
        "sending_at": None if sending is None else sending.at_ms,
        "failures": progress.failures,
        "reason": progress.reason,
        "dead": int(progress.is_dead),
        "delivered": progress.delivered,
        "notified_at": progress.notified_ms,
        "failed_at": progress.failed_ms,
    }


def _progress(row: Row[Any]) -> Progress:
    sending = None
    if row.sending is not None:
        keys = tuple((seq, position) for seq, position in json.loads(row.sending_keys))
        sending = Sending(row.sending, keys, row.sending_by, row.sending_at)
    return Progress(
        (row.seq, row.position),
        row.due_at,
        row.run_size,
        row.batch,
        sending,
        row.failures,
        row.reason,
        bool(row.dead),
        row.delivered,
        row.notified_at,
        row.failed_at,
    )


def _subscription(row: Row[Any], query: NamedQuery) -> Subscription:
    return Subscription(
        row.id,
        query,
        row.dest,
        row.secret,
        None if row.schedule is None else json.loads(row.schedule),
        bool(row.report_if_empty),
        row.epc_format,
        row.initial_at,
        row.created_at,
        _progress(row),
    )


def _joined_query(row: Row[Any]) -> NamedQuery:
    return NamedQuery(
        row.query_id,
        row.query_member,
        row.query_name,
        row.query_query,
        json.loads(row.query_extensions),
        row.query_created_at,
    )
