"""The records that name something: an event ID, a transformation, things, documents, parties."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from fabric.store.records import RECORD_IRI
from fabric.visibility.listing import family_of

from .conditions import Destinations, Sources, Things, Transactions
from .scope import Scope
from .streams import Clause

MOST_NAMED: Final = 5_000
"""Records, or mentions, that are sorted for one answer; what more records name is found by walking through an order."""

MOST_THINGS: Final = 2_000
MOST_RANGED: Final = 200
MOST_FAMILIES: Final = 2_000
MOST_COMPARED: Final = 20
"""Ranges that each stream of a statement compares with: databases take some ten thousands of values at most."""

_NEXT_FAMILY: Final = (
    'SELECT start FROM family WHERE "class" = ? AND start {from} AND start < ? ORDER BY start LIMIT 1'
)
_FAMILIES: Final = (
    f"WITH RECURSIVE v(x) AS (SELECT ({_NEXT_FAMILY.replace('{from}', '>= ?')}) UNION ALL"
    f" SELECT ({_NEXT_FAMILY.replace('{from}', '> v.x')}) FROM v WHERE v.x IS NOT NULL)"
    " SELECT x FROM v WHERE x IS NOT NULL LIMIT ?"
)
_THERE: Final = (
    "SELECT p.value FROM {keys:text} AS p WHERE EXISTS (SELECT 1 FROM family f"
    ' WHERE f."class" = ? AND f.start = p.value)'
)
_NAME: Final = re.compile(rf"{RECORD_IRI}([0-9a-f]{{64}})")
_LINES: Final = "SELECT l.record FROM line l WHERE l.thing IN {keys} LIMIT ?"
_DECLARED: Final = "SELECT d.record FROM declared d WHERE {where} LIMIT ?"

Range = tuple[str, str]
"""From a text on, and before another, in the order of their bytes."""


def records_of_ids(scope: Scope, ids: Collection[str]) -> set[int] | None:
    """The records under these event IDs, sent with the event or supplied by the node, or of these names."""
    found: set[int] = set()
    for column in ("event_id", "supplied_id"):
        some = _few(scope, f"SELECT r.id FROM record r WHERE r.{column} IN {{keys}} LIMIT ?", ids)
        if some is None:
            return None
        found |= some
    for name in ids:
        if commitment := _NAME.fullmatch(name):
            query = "SELECT r.id FROM record r WHERE r.commitment = ?"
            found |= {row[0] for row in scope.rows(query, bytes.fromhex(commitment[1]))}
    return found


def records_of_runs(scope: Scope, ids: Collection[str]) -> set[int] | None:
    """The records of these transformations."""
    query = (
        "SELECT e.record FROM event e WHERE e.transformation_id IS NOT NULL"
        " AND e.transformation_id IN {keys} LIMIT ?"
    )
    return _few(scope, query, ids)


def _few(scope: Scope, query: str, names: Collection[str]) -> set[int] | None:
    rows = scope.rows(query, scope.keys(names), MOST_NAMED + 1)
    return None if len(rows) > MOST_NAMED else {row[0] for row in rows}


@dataclass(frozen=True, slots=True)
class ThingNames:
    """Names of things, single ones and ranges of IRIs, and the things of the store that have them.

    `things` is None where they are too many to be named one by one; `are_subjects`: what an event is about, not what it
    only mentions.
    """

    scope: Scope
    iris: frozenset[str]
    ranges: tuple[Range, ...]
    things: frozenset[int] | None
    are_subjects: bool

    @classmethod
    def of(cls, scope: Scope, condition: Things | Transactions | Sources | Destinations) -> ThingNames | None:
        """The names of a condition; None where it may match any."""
        if not isinstance(condition, Things):
            return cls._found(scope, condition.iris, (), False)
        iris = {pattern.iri for pattern in condition.patterns if pattern.iri is not None}
        ranges: list[Range] = []
        for pattern in condition.patterns:
            starts = pattern.prefixes()
            if starts is None or "" in starts:
                return None
            if not pattern.exact:
                ranges += [_range(start) for start in starts]
        return cls._found(scope, iris, ranges, True)

    @classmethod
    def _found(
        cls, scope: Scope, iris: Collection[str], ranges: Collection[Range], are_subjects: bool
    ) -> ThingNames:
        things = {row[0] for row in scope.rows("SELECT id FROM thing WHERE iri IN {keys}", scope.keys(iris))}
        query = "SELECT id FROM thing WHERE iri >= ? AND iri < ? ORDER BY iri LIMIT ?"
        for start, end in ranges:
            scope.require_time()
            things |= {row[0] for row in scope.rows(query, start, end, MOST_THINGS + 1)}
            if len(things) > MOST_THINGS:
                return cls(scope, frozenset(iris), tuple(ranges), None, are_subjects)
        return cls(scope, frozenset(iris), tuple(ranges), frozenset(things), are_subjects)

    def records(self, by_time: bool) -> set[int] | None:
        """The records that name any of the things; None where they are many.

        Those of patterns are soon many where the order is that of time, as their families are read in it.
        """
        if self.things is None or (by_time and self.ranges and len(self.things) > MOST_RANGED):
            return None
        found = self._limited(_LINES, self.scope.keys(self.things))
        # An error declaration makes no lines; what it names is filed by itself.
        if found is not None:
            found = self._with(found, "d.iri IN {keys}", self.scope.keys(self.iris))
        for start, end in self.ranges:
            if found is not None:
                found = self._with(found, "d.iri >= ? AND d.iri < ?", start, end)
        return found

    def families(self) -> list[tuple[int, str]] | None:
        """The visible families of things that may have these names: each a class and what the names begin with.

        None where they are too many, or where the names are those of parties, places and documents.
        """
        if not self.are_subjects:
            return None
        near = {family_of(iri) for iri in self.iris}
        near |= {family_of(start) for start, end in self.ranges if not start <= family_of(start) < end}
        found: list[tuple[int, str]] = []
        for number in self.scope.classes:
            # Those that begin as a range does lie in it; of those that are shorter, one can hold names of the range.
            starts = {row[0] for row in self.scope.rows(_THERE, self.scope.keys(near), number)}
            for start, end in self.ranges:
                self.scope.require_time()
                starts |= {
                    row[0]
                    for row in self.scope.rows(_FAMILIES, number, start, end, number, end, MOST_FAMILIES)
                }
            found += [(number, start) for start in sorted(starts)]
            if len(found) > MOST_FAMILIES:
                return None
        return found

    def are_all_of(self, family: str) -> bool:
        """Whether whatever is about this family is about one of the names."""
        return any(start <= family < end for start, end in self.ranges)

    def clause(self) -> Clause:
        """What leaves the records that name any of the things among others, and every error declaration."""
        if self.things is not None:
            inside, values = "l.thing IN {keys}", [self.scope.keys(self.things)]
            query = f"SELECT 1 FROM line l WHERE l.record = e.record AND {inside}"
        else:
            ranges = _covering(self.ranges)
            parts = ["t.iri IN {keys}", *["t.iri >= ? AND t.iri < ?"] * len(ranges)]
            values = [self.scope.keys(self.iris), *(end for one in ranges for end in one)]
            joined = "line l JOIN thing t ON t.id = l.thing"
            query = f"SELECT 1 FROM {joined} WHERE l.record = e.record AND ({' OR '.join(parts)})"
        return Clause(f"(e.declares = 1 OR EXISTS ({query}))", tuple(values))

    def _with(self, found: set[int], where: str, *values: object) -> set[int] | None:
        more = self._limited(_DECLARED.replace("{where}", where), *values)
        return None if more is None else found | more

    def _limited(self, query: str, *values: object) -> set[int] | None:
        rows = self.scope.rows(query, *values, MOST_NAMED + 1)
        return None if len(rows) > MOST_NAMED else {row[0] for row in rows}


def _covering(ranges: Collection[Range]) -> list[Range]:
    """A few ranges that cover others: they only narrow, and a statement takes so many values for each of its streams."""
    every = sorted(ranges)
    size = max(1, -(-len(every) // MOST_COMPARED))
    parts = [every[first : first + size] for first in range(0, len(every), size)]
    return [(part[0][0], max(end for _, end in part)) for part in parts]


def _range(start: str) -> Range:
    """The texts that begin with another: up to the same with its last character raised by one."""
    head, last = start[:-1], ord(start[-1])
    # Between the blocks of code points lie surrogates, which no text holds.
    return start, head + chr(0xE000 if last == 0xD7FF else last + 1)
