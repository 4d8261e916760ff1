"""Keeps every record's visibility class equal to what `parties` and `handover` say, as records arrive.

A record's class is its own parties and those of every live dispatch that shows it whole; its partial class
those of dispatches that show only the units of a creation. `shown` remembers which dispatch shows what, so
a change recomputes only what it touches, and the outcome never depends on the order of arrival.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy.engine import Connection

from fabric.store.bulk import delete_rows, fetch, insert_rows, replace_rows, select_in, update_rows
from fabric.store.schema import event, handed, named, shown, touched

from .arrivals import NO_ARRIVALS, Arrivals, NewRecord, Stated
from .classes import Classes
from .handover import (
    Own,
    Part,
    Shown,
    created,
    handed_over,
    is_creation,
    is_dispatch,
    is_packing,
    parent_of,
    shown_by,
)
from .holders import Holders
from .listing import Moved
from .parties import Sides, parties

VERSION: Final = 2
"""Version of what this package projects; another one in `projection` means: rebuild."""

NO_SIDES: Final = Sides()


class _Row(NamedTuple):
    record: int
    member: str
    type: str
    action: str | None
    step: str | None
    event_id: str | None
    time_us: int
    position: int
    digest: bytes
    facts: str | None
    declares: int
    void_by: int | None
    class_id: int
    partial: int | None

    @property
    def sides(self) -> Sides:
        """What its source and destination lists name."""
        if self.facts is None:
            return NO_SIDES
        value = json.loads(self.facts)
        return Sides(
            tuple([(kind, iri) for kind, iri in value.get("src", ())]),
            tuple([(kind, iri) for kind, iri in value.get("dst", ())]),
        )


class Leaving(NamedTuple):
    """Dispatches that may show other records, and records whose own class may change, when some are erased."""

    dispatches: frozenset[int]
    changed: frozenset[int]


_ROW: Final = (
    "SELECT e.record, e.member, e.type, e.action, e.step, e.event_id, e.time_us, e.position, r.digest, e.facts,"
    ' e.declares, e.void_by, e."class", e.partial FROM event e JOIN record r ON r.id = e.record WHERE {where}'
)
_BY_RECORD: Final = _ROW.replace("{where}", "e.record IN ({in})")
_DECLARED: Final = _ROW.replace("{where}", "e.void_by IN ({in})")
_DECLARATIONS: Final = _ROW.replace("{where}", "e.declares = 1 AND e.event_id IN ({in})")
_SAME_ID: Final = (
    "SELECT e.record, e.member, e.event_id FROM record r JOIN event e ON e.record = r.id"
    " WHERE e.declares = 0 AND r.event_id IN ({in})"
)
_NAMING: Final = "SELECT DISTINCT record FROM named WHERE thing IN ({in})"
_HANDED: Final = "SELECT DISTINCT dispatch FROM handed WHERE thing IN ({in})"
_HANDED_SINCE: Final = (
    "SELECT h.dispatch, h.thing, e.member, e.time_us FROM handed h JOIN event e ON e.record = h.dispatch"
    " WHERE e.time_us >= ? AND h.thing IN ({in})"
)
_SHOWN_BY: Final = "SELECT dispatch, record, whole FROM shown WHERE dispatch IN ({in})"
_SHOWING: Final = "SELECT dispatch, record, whole FROM shown WHERE record IN ({in})"
_LINES: Final = (
    "SELECT record, thing, role, quantity, unit FROM line WHERE record IN ({in}) ORDER BY record, ord"
)
_STATING: Final = (
    "SELECT DISTINCT l.record FROM line l JOIN event e ON e.record = l.record WHERE e.void_by IS NULL"
    " AND e.declares = 0 AND {which} AND l.thing IN ({in})"
)
_PACKINGS: Final = _STATING.replace(
    "{which}", "l.role = 'parent' AND e.time_us <= ? AND e.type IN ('AggregationEvent', 'AssociationEvent')"
)
_CREATIONS: Final = _STATING.replace(
    "{which}", "(l.role = 'output' OR (l.role = 'object' AND e.type = 'ObjectEvent' AND e.action = 'ADD'))"
)


_ByMember = dict[str, dict[int, list[Own]]]
"""Records by the member that sent them, and by the thing that they state something of."""


class VisibilityIndex:
    """Writes classes inside the transaction that sequences; never commits."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._moved: list[Moved] = []

    def moved(self) -> list[Moved]:
        """Records whose class was changed since this was asked last, in order."""
        found, self._moved = self._moved, []
        return found

    def own_classes(
        self, connection: Connection, sets: Iterable[frozenset[str]]
    ) -> Mapping[frozenset[str], int]:
        """Class ids for the parties that new records have by themselves."""
        return self._classes.ids(connection, sets)

    def add(
        self, connection: Connection, arrivals: Arrivals, ids: Mapping[str, int], holders: Holders
    ) -> None:
        """Take in events whose rows have just been written, with the class of their own parties."""
        new = arrivals.new
        rows = {
            (ids[iri], item.record) for item in new if item.sides != NO_SIDES for iri in item.sides.iris()
        }
        insert_rows(connection, named, ("thing", "record"), sorted(rows))
        declarations = [item.record for item in new if item.declares]
        earlier = self._touched(connection, new)
        changed = self._declared_before(connection, [item.record for item in new])
        if declarations or changed:
            # Voiding reaches any record: then everything is read from the tables.
            earlier |= arrivals.dispatches()
            if declarations:
                changed |= self._voided(connection, declarations, earlier)
            arrivals = NO_ARRIVALS
        if earlier or changed or arrivals.dispatches():
            self._recompute(connection, earlier, changed, holders, arrivals)

    def _touched(self, connection: Connection, new: Sequence[NewRecord]) -> set[int]:
        """Earlier dispatches that hand over what a new record states; most records come before theirs."""
        earliest: dict[tuple[str, int], int] = {}
        for item in new:
            for thing, from_us in item.stated:
                key = (item.member, thing)
                earliest[key] = min(from_us, earliest.get(key, from_us))
        rows = select_in(
            connection, _HANDED_SINCE, {thing for _, thing in earliest}, min(earliest.values(), default=0)
        )
        return {
            row.dispatch
            for row in rows
            if row.time_us >= earliest.get((row.member, row.thing), row.time_us + 1)
        }

    def reassign(self, connection: Connection, old: Holders, new: Holders) -> None:
        """Recompute what names an identifier whose holder is another one now."""
        rows = connection.exec_driver_sql(
            "SELECT DISTINCT n.thing, t.iri FROM named n JOIN thing t ON t.id = n.thing"
        )
        moved = [row.thing for row in rows if old.spans(row.iri) != new.spans(row.iri)]
        records = {row.record for row in select_in(connection, _NAMING, moved)}
        dispatches = {
            row.record
            for row in self._rows(connection, _BY_RECORD, records)
            if not row.declares and is_dispatch(row.step, bool(row.sides.destinations))
        }
        if records:
            self._recompute(connection, dispatches, records, new)

    def leaving(self, connection: Connection, records: Sequence[int]) -> Leaving:
        """What has to be decided again once these records are erased; to be asked while their rows are there."""
        rows = list(self._rows(connection, _BY_RECORD, records))
        parts = self._parts(connection, records)
        things = {part.thing for found in parts.values() for part in found}
        dispatches = {row.dispatch for row in select_in(connection, _HANDED, things)} | set(records)
        changed = {row.void_by for row in rows if row.void_by is not None}
        return Leaving(frozenset(dispatches), frozenset(changed - set(records)))

    def left(self, connection: Connection, leaving: Leaving, holders: Holders) -> None:
        """Decide again what records showed, or were shown by, whose rows are gone now."""
        self._recompute(connection, set(leaving.dispatches), set(leaving.changed), holders)

    def _voided(self, connection: Connection, declarations: list[int], dispatches: set[int]) -> set[int]:
        """What new declarations touch: themselves, and dispatches that showed, or were, what is void now."""
        voided = list(self._rows(connection, _DECLARED, declarations))
        lines = self._parts(connection, [row.record for row in voided])
        things = {part.thing for row in voided for part in lines.get(row.record, ())}
        dispatches |= {row.dispatch for row in select_in(connection, _HANDED, things)}
        return set(declarations)

    def _declared_before(self, connection: Connection, new: list[int]) -> set[int]:
        """New records that came after their declaration, and that declaration, which takes over their class."""
        if not new:
            return set()
        query = "SELECT record, void_by FROM event WHERE void_by IS NOT NULL AND record BETWEEN ? AND ?"
        return {number for row in fetch(connection, query, min(new), max(new)) for number in row}

    def _recompute(
        self,
        connection: Connection,
        dispatches: set[int],
        changed: set[int],
        holders: Holders,
        arrivals: Arrivals = NO_ARRIVALS,
    ) -> None:
        """Decide again what earlier dispatches show, and for the first time what those that arrive do."""
        before = {
            (row.dispatch, row.record): row.whole for row in select_in(connection, _SHOWN_BY, dispatches)
        }
        live = self._live(connection, dispatches, holders)
        outcome = self._outcome(connection, live, arrivals)
        after = {
            (number, record): whole
            for number, found in outcome.items()
            for whole, records in ((1, found.whole), (0, found.part))
            for record in records
        }
        delete_rows(connection, shown, ("dispatch",), [(number,) for number in sorted(dispatches)])
        insert_rows(
            connection,
            shown,
            ("dispatch", "record", "whole"),
            [(*key, whole) for key, whole in sorted(after.items())],
        )
        self._rewrite_handed(connection, dispatches, outcome)
        self._classify_new(connection, arrivals, after, live, holders)
        changed = changed | {record for _, record in before} | {record for _, record in after}
        # Parties of a dispatch may have changed even where what it shows has not.
        self._classify(connection, changed - arrivals.by_record.keys(), holders)

    def _rewrite_handed(
        self, connection: Connection, dispatches: set[int], outcome: Mapping[int, Shown]
    ) -> None:
        known = {
            (row.thing, row.dispatch)
            for row in select_in(
                connection, "SELECT thing, dispatch FROM handed WHERE dispatch IN ({in})", dispatches
            )
        }
        wanted = {(thing, number) for number, found in outcome.items() for thing in found.things}
        delete_rows(connection, handed, ("thing", "dispatch"), sorted(known - wanted))
        insert_rows(connection, handed, ("thing", "dispatch"), sorted(wanted - known))

    def _live(self, connection: Connection, dispatches: set[int], holders: Holders) -> dict[int, _Row]:
        """Those of the dispatches in the tables that are not void and have parties to show something to."""
        return {
            row.record: row
            for row in self._rows(connection, _BY_RECORD, dispatches)
            if row.void_by is None and len(_own_parties(row, holders)) > 1
        }

    def _outcome(
        self, connection: Connection, live: Mapping[int, _Row], arrivals: Arrivals
    ) -> dict[int, Shown]:
        """What live dispatches show now; one pass down the carriers for all of them together."""
        owns = self._owns(connection, live)
        members = {number: row.member for number, row in live.items()}
        for number in arrivals.dispatches():
            owns[number] = arrivals.own(number)
            members[number] = arrivals.by_record[number].member
        packings: _ByMember = {}
        seen = {thing for own in owns.values() for thing in handed_over(own)}
        latest = max((own.time_us for own in owns.values()), default=0)
        frontier = set(seen)
        while frontier:
            fresh, others = arrivals.parted(frontier)
            found = arrivals.stating(fresh) + self._stating(connection, _PACKINGS, others, latest)
            frontier = set()
            for member, own in found:
                parent = parent_of(own) if is_packing(own.type) else None
                if parent is not None:
                    packings.setdefault(member, {}).setdefault(parent, []).append(own)
                    frontier |= {part.thing for part in own.parts if part.role == "child"}
            frontier -= seen
            seen |= frontier
        creations = self._creations(connection, seen, arrivals)
        return {
            number: shown_by(own, packings.get(members[number], {}), creations.get(members[number], {}))
            for number, own in owns.items()
        }

    def _creations(self, connection: Connection, things: set[int], arrivals: Arrivals) -> _ByMember:
        """The records that create things, by member and thing."""
        fresh, others = arrivals.parted(things)
        creations: _ByMember = {}
        # A record that creates old and new things is found both ways; each way counts only its own things.
        for member, own in arrivals.stating(fresh):
            _add_creation(creations, member, own, fresh)
        for member, own in self._stating(connection, _CREATIONS, others):
            _add_creation(creations, member, own, others)
        return creations

    def _classify_new(
        self,
        connection: Connection,
        arrivals: Arrivals,
        after: Mapping[tuple[int, int], int],
        live: Mapping[int, _Row],
        holders: Holders,
    ) -> None:
        """Set the classes of new records that dispatches show; all dispatches that show them are among `after`."""
        new = arrivals.by_record
        seers = {number: _own_parties(row, holders) for number, row in live.items()}
        whole: dict[int, frozenset[str]] = {}
        part: dict[int, frozenset[str]] = {}
        for (dispatch, record), shows_all in after.items():
            if record in new:
                kept = whole if shows_all else part
                parties = seers[dispatch] if dispatch in seers else new[dispatch].own
                kept[record] = kept.get(record, new[record].own) | parties
        seen_by = {
            number: (members := whole.get(number, new[number].own), part.get(number, members) - members)
            for number in sorted(whole.keys() | part.keys())
        }
        ids = self._classes.ids(connection, {one for pair in seen_by.values() for one in pair if one})
        changes = [
            (ids[members], ids[rest] if rest else None, number)
            for number, (members, rest) in seen_by.items()
            if rest or members != new[number].own
        ]
        own = self._classes.ids(connection, {new[number].own for _, _, number in changes})
        self._moved += [Moved(number, own[new[number].own], whole) for whole, _, number in changes]
        _set_classes(connection, changes)

    def _stating(
        self, connection: Connection, query: str, things: set[int], *leading: int
    ) -> list[tuple[str, Own]]:
        records = {row.record for row in select_in(connection, query, things, *leading)}
        rows = {row.record: row for row in self._rows(connection, _BY_RECORD, records)}
        return [(rows[number].member, own) for number, own in self._owns(connection, rows).items()]

    def _owns(self, connection: Connection, rows: Mapping[int, _Row]) -> dict[int, Own]:
        parts = self._parts(connection, rows)
        return {
            number: Own(
                number,
                row.type,
                row.action,
                row.step,
                row.time_us,
                (row.position, row.digest),
                tuple(parts.get(number, ())),
            )
            for number, row in rows.items()
        }

    def _parts(self, connection: Connection, records: Iterable[int]) -> dict[int, list[Part]]:
        found: dict[int, list[Part]] = {}
        for row in select_in(connection, _LINES, records):
            found.setdefault(row.record, []).append(Part(row.thing, row.role, row.quantity, row.unit))
        return found

    def _rows(self, connection: Connection, query: str, values: Iterable[Any]) -> list[_Row]:
        return [_Row(*row) for row in select_in(connection, query, values)]

    def _classify(self, connection: Connection, records: set[int], holders: Holders) -> None:
        """Set the classes of records, and of the declarations about them, to what they should be."""
        rows = {row.record: row for row in self._rows(connection, _BY_RECORD, records)}
        targets = self._targets(connection, rows.values())
        rows |= {
            row.record: row for row in self._rows(connection, _BY_RECORD, set(targets.values()) - rows.keys())
        }
        for declaration in self._declarations_about(connection, rows.values()):
            rows.setdefault(declaration.record, declaration)
        targets = self._targets(connection, rows.values())
        seen_by = self._sight(connection, rows, holders)
        for number, target in targets.items():
            seen_by[number] = (seen_by[target][0], frozenset())
        self._update(connection, rows, seen_by)

    def _targets(self, connection: Connection, rows: Iterable[_Row]) -> dict[int, int]:
        """The first record that each declaration among the rows voids."""
        declarations = [row for row in rows if row.declares and row.event_id is not None]
        found: dict[tuple[str, str], int] = {}
        for row in select_in(connection, _SAME_ID, {row.event_id for row in declarations}):
            key = (row.member, row.event_id)
            found[key] = min(row.record, found.get(key, row.record))
        return {
            row.record: found[row.member, row.event_id or ""]
            for row in declarations
            if (row.member, row.event_id or "") in found
        }

    def _declarations_about(self, connection: Connection, rows: Iterable[_Row]) -> list[_Row]:
        voided = {(row.member, row.event_id) for row in rows if row.void_by is not None and not row.declares}
        found = self._rows(connection, _DECLARATIONS, {event_id for _, event_id in voided})
        return [row for row in found if (row.member, row.event_id) in voided]

    def _sight(
        self, connection: Connection, rows: Mapping[int, _Row], holders: Holders
    ) -> dict[int, tuple[frozenset[str], frozenset[str]]]:
        showing = list(select_in(connection, _SHOWING, rows))
        dispatches = {
            row.record: _own_parties(row, holders)
            for row in self._rows(connection, _BY_RECORD, {row.dispatch for row in showing})
        }
        whole: dict[int, frozenset[str]] = {
            number: _own_parties(row, holders) for number, row in rows.items()
        }
        part: dict[int, frozenset[str]] = {}
        for row in showing:
            kept = whole if row.whole else part
            kept[row.record] = kept.get(row.record, frozenset()) | dispatches[row.dispatch]
        return {
            number: (members, part.get(number, frozenset()) - members) for number, members in whole.items()
        }

    def _update(
        self,
        connection: Connection,
        rows: Mapping[int, _Row],
        seen_by: Mapping[int, tuple[frozenset[str], frozenset[str]]],
    ) -> None:
        ids = self._classes.ids(connection, {one for pair in seen_by.values() for one in pair if one})
        changes = [
            (ids[whole], ids[part] if part else None, number)
            for number, (whole, part) in sorted(seen_by.items())
            if (rows[number].class_id, rows[number].partial) != (ids[whole], ids[part] if part else None)
        ]
        self._moved += [
            Moved(number, rows[number].class_id, whole)
            for whole, _, number in changes
            if whole != rows[number].class_id
        ]
        _set_classes(connection, changes)
        if changes:
            # The last index of this transaction: the head was moved before its projections are written.
            last = fetch(connection, "SELECT size - 1 FROM head")[0][0]
            marks = [(number, last) for _, _, number in changes]
            replace_rows(connection, touched, ("record", "seq"), "record", marks)


def _set_classes(connection: Connection, changes: Sequence[tuple[int, int | None, int]]) -> None:
    """Set class and partial class by record."""
    update_rows(connection, event, ("class", "partial"), ("record",), changes)


def _own_parties(row: _Row, holders: Holders) -> frozenset[str]:
    return parties(row.member, row.type, row.time_us, row.sides, holders)


def _add_creation(creations: _ByMember, member: str, own: Own, things: set[int]) -> None:
    if is_creation(own.type, own.action, own.step):
        for thing in created(own) & things:
            creations.setdefault(member, {}).setdefault(thing, []).append(own)


__all__ = ["VERSION", "Arrivals", "Leaving", "NewRecord", "Stated", "VisibilityIndex", "is_packing"]
