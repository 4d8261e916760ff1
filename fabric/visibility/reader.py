"""A reader: in whose name somebody asks, and whose records are granted to them beyond that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks. `members` are those whose sight they share (their own included), `all` an unlimited grant.

    The operator administers and sees no records: its reader is `NOBODY`.
    """

    member: str | None
    members: frozenset[str]
    all: bool = False

    def sees(self, parties: Iterable[str]) -> bool:
        """Whether a record with these parties is visible. An empty set of parties is visible to nobody."""
        return self.all or not self.members.isdisjoint(parties)


NOBODY: Final = Reader(None, frozenset())
EVERYBODY: Final = Reader(None, frozenset(), all=True)
"""For work inside the node that has no reader (rebuild, fsck); never for an answer to a person."""
