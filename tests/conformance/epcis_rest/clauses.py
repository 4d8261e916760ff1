"""What a test checks: an operation of the binding or a rule of the standard, in our words, and how much it is required.

`must`, `should` and `may` are the requirement levels of RFC 2119. A test of a `may` skips, with its reason, on a server
that does not offer the thing; where it is offered, it has to be right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

LEVELS = ("must", "should", "may")
MARKER = "clause"


@dataclass(frozen=True)
class Clause:
    """One rule: `where` is an operation such as `GET /events`, or a header, schema or section; `text` says it."""

    where: str
    level: str
    text: str


def must(where: str, text: str) -> pytest.MarkDecorator:
    """A rule every server of the interface keeps."""
    return pytest.mark.clause(where=where, level="must", text=text)


def should(where: str, text: str) -> pytest.MarkDecorator:
    """A rule that a server needs a good reason not to keep."""
    return pytest.mark.clause(where=where, level="should", text=text)


def may(where: str, text: str) -> pytest.MarkDecorator:
    """Something a server is free to offer."""
    return pytest.mark.clause(where=where, level="may", text=text)


def clauses_of(marks: Iterable[pytest.Mark]) -> list[Clause]:
    """The clauses among a test's marks, outermost last."""
    return [Clause(**mark.kwargs) for mark in marks]
