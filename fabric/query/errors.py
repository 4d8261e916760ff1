"""How a question to the EPCIS query interface is refused, and where an answer ends.

::

    InvalidInput
    ├── QueryParameter        a parameter of the question: unknown, repeated, contradictory, or its value is bad
    │   └── PageToken         the token of a page: forged, expired, or of another question
    ├── QueryValidation       a query object that is none
    ├── SubscriptionControls  how a subscription is to be served
    ├── NotFound
    │   └── NoSuchName        no named query, or no subscription, of that name
    └── TooLarge
        ├── QueryTooLarge     more events than the question, or the node, allows
        └── QueryTooComplex   the question needs more work than the node spends on one
"""

from __future__ import annotations

from typing import Final

from fabric.epcis.contexts import escape
from fabric.epcis.findings import shown
from ledger.errors import Finding, InvalidInput, NotFound, TooLarge


class QueryParameter(InvalidInput):
    """A parameter is unknown, repeated, contradicts another, or has a value that it cannot have."""

    default_rule = "query-parameter"


class QueryValidation(InvalidInput):
    """What should be a query object is none; nothing is said of its parameters."""

    default_rule = "query-validation"


class QueryTooLarge(TooLarge):
    """The answer has more events than the question allows (`maxEventCount`) or the node gives."""

    default_rule = "query-too-large"


class QueryTooComplex(TooLarge):
    """The question needs more work than the node spends on one; a narrower one may be answered."""

    default_rule = "query-too-complex"


class SubscriptionControls(InvalidInput):
    """The controls of a subscription (schedule, destination, initial record time) cannot be obeyed."""

    default_rule = "subscription-controls"


class NoSuchName(NotFound):
    """There is no named query, or no subscription, of that name for the caller."""

    default_rule = "no-such-name"


class PageToken(QueryParameter):
    """The token of a page was not given out, has expired, or belongs to another reader or question."""

    default_rule = "page-token"


def refused(parameter: str, rule: str, expected: str, got: object, inside: str = "") -> QueryParameter:
    """The refusal of one parameter: its finding points at the parameter, `inside` further into its value."""
    finding = _finding(parameter, rule, expected, got, inside)
    return QueryParameter(f"{shown(parameter)}: expected {expected}, got {finding.got}", (finding,), rule)


def too_complex(parameter: str, rule: str, expected: str, got: object) -> QueryTooComplex:
    """The refusal of one parameter that would cost too much."""
    finding = _finding(parameter, rule, expected, got)
    return QueryTooComplex(f"{shown(parameter)}: expected {expected}, got {finding.got}", (finding,))


def _finding(parameter: str, rule: str, expected: str, got: object, inside: str = "") -> Finding:
    pointer = f"/{escape(parameter[:_LONGEST_POINTER])}{inside}"
    return Finding(None, pointer, rule, expected, shown(got))


_LONGEST_POINTER: Final = 2_048
"""No parameter has a longer name; what somebody sent as one is not sent back whole."""


__all__ = [
    "NoSuchName",
    "PageToken",
    "QueryParameter",
    "QueryTooComplex",
    "QueryTooLarge",
    "QueryValidation",
    "SubscriptionControls",
    "refused",
    "too_complex",
]
