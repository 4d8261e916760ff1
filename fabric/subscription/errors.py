"""Refusals of named queries and subscriptions, beside those of `fabric.query.errors`."""

from __future__ import annotations

from ledger.errors import Conflict, Forbidden


class NameTaken(Conflict):
    """The member has a query of this name."""

    default_rule = "name-taken"


class TooManySubscriptions(Forbidden):
    """The member has as many as it may have."""

    default_rule = "too-many-subscriptions"
