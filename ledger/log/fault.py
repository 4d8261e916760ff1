"""What a check finds: faults, each with a rule and a place, counted whole and kept in part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

KEPT_OF_A_RULE: Final = 20
"""Faults of one rule that are kept with their places; the others are counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be: a stable slug, where (an entry, a row, a file), what is wrong.

    `expected` and `got` are digests, sizes or names, never content. `entry` is the log index that it bears upon,
    `record` a record's commitment in hex, `member` whose record or statement it is.
    """

    rule: str
    place: str
    message: str
    expected: str | None = None
    got: str | None = None
    entry: int | None = None
    record: str | None = None
    member: str | None = None


@dataclass(slots=True)
class Faults:
    """Faults as they are found: all are counted by rule, the first of each rule are kept."""

    kept: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def note(
        self,
        rule: str,
        place: str,
        message: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        entry: int | None = None,
        record: str | None = None,
        member: str | None = None,
    ) -> None:
        """Count a fault, and keep it unless many of its rule are kept."""
        self.counts[rule] += 1
        if self.counts[rule] <= KEPT_OF_A_RULE:
            self.kept.append(Fault(rule, place, message, expected, got, entry, record, member))

    def add(self, faults: Iterable[Fault], counts: Mapping[str, int]) -> None:
        """Take in what another check kept and counted."""
        self.kept += faults
        self.counts.update(counts)
