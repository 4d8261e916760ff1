"""Whether a committed head may be signed: it is compared with every head that may have been signed before.

A node must not give two histories one name. What was signed is remembered where the database is not: in the
published checkpoint, in the high-water file, and by others (witnesses). A head behind one of them is a restored
backup, a promoted replica that lost commits, or a copy of a folder whose original went on; another root at the
same size is a fork. Either way the log becomes read-only. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..checkpoint import Checkpoint
from ..errors import Unavailable

PUBLISHED: Final = "published checkpoint"
HIGH_WATER: Final = "high-water file"
ENTRIES: Final = "stored entries"
SEALS: Final = "stored seals"


@dataclass(frozen=True, slots=True)
class Mark:
    """A head that was signed, or was about to be, and where that is remembered.

    `root` is None where only a size is remembered, as a witness tells it that answers 409.
    """

    name: str
    origin: str
    size: int
    root: bytes | None

    @classmethod
    def of(cls, name: str, head: Checkpoint) -> Mark:
        """The mark that a whole head leaves."""
        return cls(name, head.origin, head.size, head.root)


MarkSource = Callable[[str], Sequence[Mark]]
"""Heads of a log, by origin, that others are known to remember. It is asked at start and before each signature,
so it answers from memory; only its first answer may come over the network. It never raises."""


def no_marks(_origin: str) -> Sequence[Mark]:
    """The marks of a log that nobody else watches."""
    return ()


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """Why the log may not sign: `against` names what its head was compared with."""

    against: str
    reason: str

    def __str__(self) -> str:
        return f"read-only: against the {self.against}, {self.reason}"


class ReadOnlyLog(Unavailable):
    """The log refuses to sign; reading goes on. An operator has to find out why."""

    rule = "read-only"

    def __init__(self, state: ReadOnly) -> None:
        super().__init__(str(state))
        self.state = state


def compare(head: Checkpoint, marks: Sequence[Mark], roots: Mapping[int, bytes | None]) -> ReadOnly | None:
    """Why the head may not be signed, or None. `roots` are those of the stored entries, by tree size.

    A size whose root is None there was never a head of this log, so nobody can have been shown one.
    """
    if roots[head.size] != head.root:
        return ReadOnly(ENTRIES, f"the head of size {head.size} has another root than they have")
    for mark in marks:
        if mark.origin != head.origin:
            return ReadOnly(mark.name, f"expected the log {head.origin}, got {mark.origin}")
        if mark.size > head.size:
            return ReadOnly(mark.name, f"the head is behind: size {head.size} after {mark.size}")
        if mark.root is not None and roots[mark.size] != mark.root:
            return ReadOnly(mark.name, f"the head is different: another root at size {mark.size}")
    return None
