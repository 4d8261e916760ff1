"""`FactReader` over SQL: everything, or what one reader may see at one tree size.

Each method is a fixed number of statements, whatever the size of the key set. Facts that the caller already has
(those of the capture being indexed) are taken from its hands, not read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy.engine import Connection

from fabric.store.bulk import select_keys

from .creation import shown_part
from .fact import Fact, HolderOf, Sort, ThingKey, sort_from
from .occurrence import outvoted
from .rows import SELECT_FACT, LineRow, Row, fact_from

_LINE: Final = "l.record, l.ord, l.thing, l.role, l.quantity, l.unit, l.lot"
_UNMADE: Final = (
    "(e.type = 'ObjectEvent' AND (e.action = 'DELETE' OR e.step IN ('decommissioning', 'destroying')))"
)


class SqlReader:
    """Live facts of the store. `classes` (None = all) and `below` (tree size, None = the head) limit what is seen.

    `held` are facts, whole and over ids, that need not be read; only for a reader without limits. A limited
    reader decides by `holder_of` which of contradicting records count, among those it sees.
    """

    def __init__(
        self,
        connection: Connection,
        holder_of: HolderOf,
        *,
        classes: Collection[int] | None = None,
        below: int | None = None,
        held: Iterable[Fact] = (),
        sorts: Mapping[int, Sort] | None = None,
    ) -> None:
        self._connection = connection
        self._holder_of = holder_of
        self._classes = None if classes is None else frozenset(classes)
        self._below = below
        self._held = {fact.record: fact for fact in held}
        self._sorts: dict[int, Sort] = dict(sorts or {})
        self._names: dict[int, str] = {}

    def facts_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        """See `FactReader`."""
        return self._naming(things, self._slim("l.thing IN {keys} AND l.role <> 'mention'", things))

    def departures_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        """See `FactReader`."""
        unmade = f"(SELECT 1 FROM event e WHERE e.record = l.record AND {_UNMADE})"
        which = f"(l.role IN ('child', 'input') OR (l.role = 'object' AND EXISTS {unmade}))"
        return self._naming(things, self._slim(f"l.thing IN {{keys}} AND {which}", things))

    def whole_facts_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        """See `FactReader`."""
        query = "SELECT DISTINCT record FROM line WHERE thing IN {keys} AND role <> 'mention'"
        found = self.records(record for (record,) in select_keys(self._connection, query, things))
        return self._naming(things, found)

    def runs(self, keys: Collection[tuple[str, str]]) -> Iterable[Fact]:
        """See `FactReader`."""
        query = "SELECT member, transformation_id, record FROM event WHERE transformation_id IN {keys}"
        found = select_keys(self._connection, query, sorted({name for _, name in keys}))
        facts = self.records(record for member, name, record in found if (member, name) in keys)
        # Who sees a record in part is not told its transformationID.
        return [fact for fact in facts if fact.transformation_id is not None]

    def records(self, records: Iterable[int]) -> list[Fact]:
        """The live facts among these records, whole."""
        wanted = list(records)
        held = [self._held[record] for record in wanted if record in self._held]
        missing = [record for record in wanted if record not in self._held]
        query = f"SELECT {_LINE} FROM line l WHERE l.record IN {{keys}}"
        found = select_keys(self._connection, query, missing)
        return held + self._facts(self._rows(missing), found)

    def _slim(self, which: str, things: Collection[ThingKey]) -> list[Fact]:
        """Facts with the lines that a condition finds, and the parent of each aggregation."""
        held: dict[int, Fact] = {}
        if self._held:
            query = f"SELECT l.record FROM line l WHERE {which}"
            records = {record for (record,) in select_keys(self._connection, query, things)}
            held = {record: self._held[record] for record in records if record in self._held}
            if len(held) == len(records):
                return list(held.values())
        found = select_keys(self._connection, f"SELECT {_LINE} FROM line l WHERE {which}", things)
        found = [row for row in found if row[0] not in held]
        rows = self._rows({row[0] for row in found})
        present = {(row[0], row[1]) for row in found}
        found += [row for row in self._parents(rows) if (row[0], row[1]) not in present]
        return [*held.values(), *self._facts(rows, found, whole=False)]

    def _facts(self, rows: Mapping[int, Row], found: Iterable[LineRow], *, whole: bool = True) -> list[Fact]:
        part: set[int] = set()
        if self._classes is not None:
            part = {record for record, row in rows.items() if row.visible not in self._classes}
        lines: dict[int, list[LineRow]] = {record: [] for record in rows}
        for line in self._whole_lines(part, found) if part else found:
            if line[0] in lines:
                lines[line[0]].append(line)
        self._learn_sorts({line[2] for group in lines.values() for line in group})
        self._learn_names(rows.values())
        facts = [
            fact_from(row, lines[record], self._sorts, self._names, whole=whole)
            for record, row in rows.items()
        ]
        return self._cut(facts, part) if part else facts

    def _whole_lines(self, part: Collection[int], found: Iterable[LineRow]) -> list[LineRow]:
        """The lines found, and all of the records seen in part: what they show depends on all they show."""
        query = f"SELECT {_LINE} FROM line l WHERE l.record IN {{keys}}"
        others = [line for line in found if line[0] not in part]
        return others + select_keys(self._connection, query, part)

    def _cut(self, facts: list[Fact], part: Collection[int]) -> list[Fact]:
        """The facts, those seen in part reduced to what is shown of them."""
        things: set[Any] = {line.thing for fact in facts if fact.record in part for line in fact.lines}
        names: Mapping[Any, str] = load_names(self._connection, things)
        return [shown_part(fact, names) if fact.record in part else fact for fact in facts]

    def _naming(self, things: Collection[ThingKey], facts: list[Fact]) -> list[Fact]:
        """Those facts that name any of the things as far as this reader sees them."""
        if self._classes is None:
            return facts
        wanted = set(things)
        return [fact for fact in facts if any(line.thing in wanted for line in fact.lines)]

    def _rows(self, records: Collection[int]) -> dict[int, Row]:
        """Event rows of the live records that this reader sees."""
        query = f"{SELECT_FACT} WHERE e.record IN {{keys}} AND e.declares = 0"
        rows = (Row(*values) for values in select_keys(self._connection, query, records))
        found = {row.record: row for row in rows if self._is_live(row)}
        if self._classes is not None or self._below is not None:
            self._settle(found)
        return found

    def _is_live(self, row: Row) -> bool:
        if row.void_seq is not None and (self._below is None or row.void_seq < self._below):
            return False
        if self._below is not None and row.seq >= self._below:
            return False
        return self._sees(row.visible) or self._sees(row.partial)

    def _sees(self, class_id: int | None) -> bool:
        return self._classes is None or class_id in self._classes

    def _settle(self, found: dict[int, Row]) -> None:
        """Decide again, among what this reader sees, which of contradicting records count.

        What is void at the head was not so at an earlier size: the stored decision is of no use here.
        """
        whole = [row for row in found.values() if self._sees(row.visible)]
        names = sorted({row.event_id for row in whole if row.event_id is not None})
        query = f"{SELECT_FACT} WHERE r.event_id IN {{keys}} AND e.declares = 0"
        groups: dict[str | None, list[Row]] = {}
        for values in select_keys(self._connection, query, names):
            row = Row(*values)
            if self._is_live(row) and self._sees(row.visible):
                groups.setdefault(row.event_id, []).append(row)
        for group in groups.values():
            self._learn_names(group)
            lost = outvoted([fact_from(row, (), {}, self._names) for row in group], self._holder_of)[1]
            for row in group:
                if row.record in found:
                    found[row.record] = row._replace(counts=int(row.record not in lost))

    def _parents(self, rows: Mapping[int, Row]) -> list[LineRow]:
        packing = [
            row.record for row in rows.values() if row.type in ("AggregationEvent", "AssociationEvent")
        ]
        query = f"SELECT {_LINE} FROM line l WHERE l.record IN {{keys}} AND l.role = 'parent'"
        return select_keys(self._connection, query, packing)

    def _learn_sorts(self, things: Iterable[int]) -> None:
        missing = [thing for thing in things if thing not in self._sorts]
        self._sorts.update(load_sorts(self._connection, missing))

    def _learn_names(self, rows: Iterable[Row]) -> None:
        places = {place for row in rows for place in (row.read_point, row.biz_location) if place is not None}
        missing = places - self._names.keys()
        self._names.update(load_names(self._connection, missing))


def load_sorts(connection: Connection, things: Iterable[int]) -> dict[int, Sort]:
    """The sort of each thing, as all records together give it."""
    found = select_keys(connection, "SELECT id, kind, iri FROM thing WHERE id IN {keys}", things)
    return {thing: sort_from(kind, iri) for thing, kind, iri in found}


def load_names(connection: Connection, things: Iterable[int]) -> dict[int, str]:
    """The IRIs of things by id."""
    return dict(map(tuple, select_keys(connection, "SELECT id, iri FROM thing WHERE id IN {keys}", things)))
