"""The one error tree of Loomark, split by who must act.

::

    LoomarkError
    ├── InvalidInput          the caller: change the request or the document
    │   ├── Conflict          it contradicts something already accepted
    │   ├── Forbidden         it is not the caller's to do
    │   ├── NotFound          nothing of that name is visible to the caller
    │   │   └── Erased        it was there, and was erased
    │   └── TooLarge          a stated limit is exceeded
    ├── VerificationError     the evidence: it does not prove what it claims
    └── Unavailable           the environment: try again later

``fabric`` and ``api`` add leaves, never a second root. Messages say what was expected and what was
got; they never carry a secret, nor a payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class LoomarkError(Exception):
    """Root of every error that Loomark raises on purpose."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a submission.

    ``record`` is the record's position in its capture (0 is the header record) or None when the finding is
    about the whole; ``pointer`` is an RFC 6901 pointer into what was submitted, for XML a path of elements
    beside the ``line`` it is on; ``rule`` is a stable slug.
    """

    record: int | None
    pointer: str
    rule: str
    expected: str
    got: str
    line: int | None = None

    def as_json(self) -> dict[str, object]:
        """The finding as a JSON object with the members of its fields; ``line`` where there is one."""
        line = {} if self.line is None else {"line": self.line}
        return {
            "record": self.record,
            "pointer": self.pointer,
            "rule": self.rule,
            "expected": self.expected,
            "got": self.got,
            **line,
        }


class InvalidInput(LoomarkError):
    """What the caller sent cannot be accepted; nothing of it was stored.

    ``rule`` is a stable slug that names the violated rule, ``findings`` are the single places. Without findings
    ``pointer`` is the one place, an RFC 6901 pointer into what was submitted; empty is the whole.
    """

    default_rule = "invalid-input"

    def __init__(
        self, message: str, findings: Sequence[Finding] = (), rule: str | None = None, pointer: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.findings = tuple(findings)
        self.rule = rule or self.default_rule
        self.pointer = pointer


class Conflict(InvalidInput):
    """It contradicts something that was accepted before."""

    default_rule = "conflict"


class Forbidden(InvalidInput):
    """The caller, or the key that signed, may not do this."""

    default_rule = "forbidden"


class NotFound(InvalidInput):
    """Nothing of that name is visible to the caller."""

    default_rule = "not-found"


class Erased(NotFound):
    """It was there and was erased: what stays of it says so, and no later request will succeed."""

    default_rule = "erased"


class TooLarge(InvalidInput):
    """A limit of the format is exceeded (design/evidence.md, Limits)."""

    default_rule = "too-large"


class VerificationError(LoomarkError):
    """The evidence does not prove what it claims.

    ``step`` is the number of the failed step (1-10, docs/spec/bundle.md) and ``place`` an RFC 6901 pointer
    into the evidence, or into the record where the record is at fault.
    """

    def __init__(self, message: str, step: int, place: str) -> None:
        super().__init__(f"step {step} at {place or '/'}: {message}")
        self.message = message
        self.step = step
        self.place = place


class Unavailable(LoomarkError):
    """The environment cannot serve this now; the same request may succeed later. ``rule`` is a stable slug."""

    rule = "unavailable"
