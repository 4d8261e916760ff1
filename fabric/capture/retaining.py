"""The retention pass: what is due under each member's policy is listed, and then erased, each erasure stated.

The node states an erasure in the name of a member only with the key that this member delegated to it. What is due of
a member without such a key is listed, and left for that member to erase.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy.engine import Connection

from fabric.epcis.erasure import MAX_RECORDS, Erasure
from fabric.store.retention import Policy, due
from ledger import shape
from ledger.errors import Forbidden, InvalidInput
from ledger.registry import Registry
from ledger.shape import time_text

from .erasing import ERASURE
from .intake import LogView
from .keyring import Keyring, require_member
from .prepare import Draw

MOST_DAYS: Final = 36_525
MOST_AT_ONCE: Final = 8_192
"""Records of one member that one pass erases: they go in one transaction, and captures wait for it."""
_POLICY: Final = frozenset({"days", "until"})


class Due(NamedTuple):
    """What is due of one member: commitments, and `stated`, the rows of the statements that erase them.

    `rule` says why the node cannot erase them, None when it can; `left` are due and for the next pass.
    """

    policy: Policy
    records: tuple[bytes, ...]
    rule: str | None
    stated: tuple[int, ...] = ()
    left: int = 0


def policy_of(member: str, value: Any, set_by: str, now_ms: int) -> Policy | None:
    """The policy of `{days}` or `{until}`; None, records are kept without end, when both are null or absent.

    Raises InvalidInput `bad-shape`, `bad-time`, `out-of-range`.
    """
    told = shape.members(value, "retention", frozenset(), _POLICY)
    days, until = told.get("days"), told.get("until")
    if days is None and until is None:
        return None
    if days is not None and until is not None:
        raise InvalidInput("expected days or until, got both", rule="bad-shape")
    if days is not None:
        days = shape.count(days, "days", 1, MOST_DAYS)
    return Policy(member, days, None if until is None else shape.time_ms(until, "until"), set_by, now_ms)


def require_may_set(registry: Registry, member: str, caller: str, *, operator: bool) -> None:
    """Refuse a policy for somebody else; the operator sets one for a member that has no key of its own.

    Raises InvalidInput `unknown-member`, Forbidden `not-yours`.
    """
    require_member(registry, member)
    own = [one for one in registry.records.values() if one.member == member and one.use == "member"]
    if caller != member and not (operator and not own):
        raise Forbidden(
            f"expected {member}, or the operator for a member without a key of its own", rule="not-yours"
        )


def listed(connection: Connection, policy: Policy, keyring: Keyring, registry: Registry, now_ms: int) -> Due:
    """What is due of a member now."""
    key = keyring.delegated(registry, policy.member, now_ms)
    rule = "no-delegation" if key is None else None
    return Due(policy, tuple(due(connection, policy, now_ms)), rule)


def applied(
    connection: Connection, found: Due, keyring: Keyring, log: LogView, draw: Draw, now_ms: int
) -> Due:
    """Stage the erasure of what is due, or the first of it, in the caller's transaction, in statements of thousands."""
    if found.rule is not None:
        return found
    stated, records = [], found.records[:MOST_AT_ONCE]
    for start in range(0, len(records), MAX_RECORDS):
        part = records[start : start + MAX_RECORDS]
        made = Erasure(tuple(sorted(set(part))), (), reason_of(found.policy))
        signed = ERASURE.in_custody(made, found.policy.member, (), keyring, log, draw, now_ms)
        stated.append(ERASURE.keep(connection, signed, log, now_ms))
    left = len(found.records) - len(records)
    return found._replace(records=records, stated=tuple(stated), left=left)


def reason_of(policy: Policy) -> str:
    """Why a pass erases, as its statements say."""
    if policy.days is not None:
        return f"retention: {policy.days} days after capture"
    return f"retention: until {time_text(policy.until_ms or 0)}"
