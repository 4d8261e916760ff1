"""How long a member's records are kept, and which of them are due: settings of this node, not statements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.engine import Connection

from .bulk import fetch
from .schema import retention

DAY_MS: Final = 24 * 3600 * 1000

# A declaration is due behind what it voids, and not before that is due itself: docs/spec/erasure.md.
_DUE: Final = (
    "SELECT r.commitment FROM record r JOIN capture c ON c.id = r.capture WHERE c.member = ? AND c.idx IS NOT NULL"
    " AND r.body IS NOT NULL AND c.created_at < ? AND NOT EXISTS (SELECT 1 FROM event e JOIN record v ON v.id = e.record"
    " JOIN capture w ON w.id = v.capture WHERE r.declares = 1 AND e.void_by = r.id AND v.body IS NOT NULL"
    " AND w.created_at >= ?) ORDER BY r.declares, r.id"
)


class Policy(NamedTuple):
    """How long records of a member are kept: so many `days` after their capture, or all captured before `until_ms`
    until then. Times are milliseconds since 1970."""

    member: str
    days: int | None
    until_ms: int | None
    set_by: str
    set_ms: int

    def before_ms(self, now_ms: int) -> int:
        """Records captured before this time are due now; 0 when none are."""
        by_days = 0 if self.days is None else now_ms - self.days * DAY_MS
        by_date = 0 if self.until_ms is None or now_ms < self.until_ms else self.until_ms
        return max(by_days, by_date, 0)


def put(connection: Connection, policy: Policy) -> None:
    """Set how long a member's records are kept, in the place of what was set before."""
    clear(connection, policy.member)
    values = {"member": policy.member, "days": policy.days, "until": policy.until_ms}
    connection.execute(retention.insert().values(**values, set_by=policy.set_by, set_at=policy.set_ms))


def clear(connection: Connection, member: str) -> None:
    """Keep a member's records without end."""
    connection.execute(retention.delete().where(retention.c.member == member))


def policies(connection: Connection) -> list[Policy]:
    """All that is set, by member."""
    rows = connection.execute(select(retention).order_by(retention.c.member))
    return [Policy(row.member, row.days, row.until, row.set_by, row.set_at) for row in rows]


def due(connection: Connection, policy: Policy, now_ms: int) -> Iterator[bytes]:
    """The commitments of records that are due, header records included; declarations last."""
    before = policy.before_ms(now_ms)
    for (commitment,) in fetch(connection, _DUE, policy.member, before, before) if before else ():
        yield commitment
