"""Names and records of the store, as one reader sees them at one tree size: a `Catalogue` and a `Directory` over SQL.

A record is visible when its class is, or in part when only its partial class is (a creation shown by a
hand-over, `fabric.lineage.creation`): then only what it shows counts as named. Every method is a fixed number of
statements; only `ending` looks on until it found enough. What is not visible is left out before anything is
answered, so hidden and unknown things are answered by the same statements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from sqlalchemy.engine import Connection

from fabric.lineage import Contradiction, Fact, HolderOf, Line, Sort
from fabric.lineage.creation import SHOWN_LINE, shown_part
from fabric.lineage.fact import MENTION, sort_from
from fabric.lineage.memory import conflict_of
from fabric.lineage.reader import SqlReader, load_names, load_sorts
from fabric.lineage.rows import SELECT_FACT, Row, fact_from
from fabric.store.bulk import fetch, select_keys
from fabric.store.erasures import ErasedName, erased_naming
from fabric.visibility.classes import load as load_classes

from .search import Entry
from .source import ErasedRecords, LinkRow, Thing

_SEEN: Final = f'l.thing, e.record, e.seq, e."class", e.partial, e.void_seq, e.void_by, {SHOWN_LINE}'
_NAMING: Final = (
    f"SELECT DISTINCT {_SEEN} FROM line l JOIN event e ON e.record = l.record WHERE l.thing IN {{keys}}"
)
_STATING: Final = (
    f"SELECT DISTINCT {_SEEN} FROM lineage_edge g JOIN line l ON l.record = g.record AND l.thing = g.dst AND l.lot = g.src"
    " JOIN event e ON e.record = g.record WHERE g.kind = 3 AND g.src IN {keys}"
)
_LINES: Final = (
    "SELECT l.record, l.ord, l.thing, l.role, l.quantity, l.unit, l.lot FROM line l"
    " WHERE l.record IN {keys} ORDER BY l.record, l.ord"
)
_ENDING: Final = (
    "SELECT id, iri, kind FROM thing WHERE lower(iri) LIKE ? ESCAPE '!'"
    " AND kind IN ('lot', 'serial', 'document') AND iri > ? ORDER BY iri LIMIT ?"
)
_SHARING: Final = (
    "SELECT id, iri, kind FROM thing WHERE (lower(iri) LIKE ? ESCAPE '!' OR lower(iri) LIKE ? ESCAPE '!'"
    " OR lower(iri) LIKE ? ESCAPE '!') AND kind IN ('lot', 'serial', 'document') AND iri > ? ORDER BY iri LIMIT ?"
)
_UNDER: Final = "SELECT id, iri, kind FROM thing WHERE iri < ? AND kind IN ('lot', 'serial') AND iri > ? ORDER BY iri LIMIT ?"
_LINKS: Final = 'SELECT thing, other, statement, seq, "class" FROM same WHERE thing IN {keys}'
_STRETCH: Final = 500
"""Names that are looked at in one step until as many visible ones are found as asked for."""


class SqlCatalogue:
    """What the store holds for a reader. `classes` None = all; `below` is a tree size, None = the head."""

    def __init__(
        self,
        connection: Connection,
        holder_of: HolderOf,
        *,
        classes: Collection[int] | None = None,
        below: int | None = None,
    ) -> None:
        self._connection = connection
        self._classes = None if classes is None else frozenset(classes)
        self._below = below
        self._reader = SqlReader(connection, holder_of, classes=classes, below=below)

    def find(self, iri: str) -> tuple[Thing, Sort] | None:
        """A thing that a visible record names, or says that something belongs to."""
        for entry in self.named([iri]):
            return entry.thing, sort_from(entry.kind, iri)
        return None

    def named(self, iris: Collection[str]) -> Iterable[Entry]:
        """Visible things with exactly these IRIs."""
        query = "SELECT id, iri, kind FROM thing WHERE iri IN {keys}"
        return self._visible([Entry(*row) for row in select_keys(self._connection, query, iris)])

    def ending(self, code: str, limit: int) -> Iterable[Entry]:
        """Visible things whose IRI ends in the letters and digits of a code, in any case, separators apart."""
        return self._first(limit, _ENDING, (_pattern(code),))

    def sharing(self, first: str, last: str, fits: Callable[[str], bool], limit: int) -> Iterable[Entry]:
        """Visible things whose IRI `fits`, of those whose last part begins with `first` or that end in `last`."""
        first, last = _literal(first), _literal(last)
        return self._first(limit, _SHARING, (f"%/{first}%", f"%:{first}%", f"%{last}"), fits=fits)

    def under(self, product: str, limit: int) -> Iterable[Entry]:
        """Visible lots and serials of a product class. In the order of texts `0` follows `/`."""
        return self._first(limit, _UNDER, (f"{product}0",), after=f"{product}/")

    def _first(
        self,
        limit: int,
        query: str,
        values: tuple[str, ...],
        *,
        after: str = "",
        fits: Callable[[str], bool] | None = None,
    ) -> list[Entry]:
        """The first visible rows of a query whose last two parameters are where it begins and how many it gives."""
        found: list[Entry] = []
        # What is hidden must not push out what is visible, so it is left out before anything is cut off.
        while len(found) < limit:
            rows = fetch(self._connection, query, *values, after, _STRETCH)
            stretch = [Entry(*row) for row in rows]
            found += self._visible([entry for entry in stretch if fits is None or fits(entry.iri)])
            if len(stretch) < _STRETCH:
                break
            after = stretch[-1].iri
        return found[:limit]

    def sorts(self, things: Collection[Thing]) -> Mapping[Thing, Sort]:
        """What each thing is."""
        found: Mapping[Any, Sort] = load_sorts(self._connection, _ids(things))
        return found

    def iris(self, things: Collection[Thing]) -> Mapping[Thing, str]:
        """Canonical IRIs."""
        found: Mapping[Any, str] = load_names(self._connection, _ids(things))
        return found

    def records(self, records: Collection[int]) -> Mapping[int, str]:
        """Commitments in hex."""
        query = "SELECT id, commitment FROM record WHERE id IN {keys}"
        return {row[0]: row[1].hex() for row in select_keys(self._connection, query, records)}

    def serials(self, lots: Collection[Thing]) -> Iterable[Thing]:
        """The serials that a visible record says belong to any of the lots."""
        return {row[0] for row in select_keys(self._connection, _STATING, lots) if self._shows(row)}

    def mentions(self, things: Collection[Thing]) -> Iterable[Fact]:
        """Visible live facts, whole, that only mention any of the things."""
        rows = select_keys(self._connection, f"{_NAMING} AND l.role = 'mention'", things)
        return self._facts({row[1] for row in rows if self._shows(row) and not self._is_void(row)})

    def at_places(self, places: Collection[str], from_us: int, until_us: int) -> Iterable[Fact]:
        """Visible live facts at any of the places from one time to another, whole."""
        query = (
            "SELECT e.record FROM thing t JOIN event e ON coalesce(e.biz_location, e.read_point) = t.id"
            " WHERE t.iri IN {keys} AND e.declares = 0 AND e.time_us BETWEEN ? AND ?"
        )
        rows = select_keys(self._connection, query, places, from_us, until_us)
        return self._reader.records({row[0] for row in rows})

    def voided(self, things: Collection[Thing]) -> Iterable[tuple[Fact, str]]:
        """Visible voided facts that name any of the things, and the record that voids each."""
        rows = select_keys(self._connection, f"{_NAMING} AND e.void_by IS NOT NULL", things)
        by = {row[1]: row[6] for row in rows if self._shows(row) and self._is_void(row)}
        names = self.records(by.values())
        return [(fact, names[by[fact.record]]) for fact in self._facts(by.keys())]

    def conflicts(self, things: Collection[Thing]) -> Iterator[Contradiction]:
        """Visible live facts about any of the things that share an eventID and not their content."""
        event_ids = {fact.event_id for fact in self._reader.facts_of(things)} - {None}
        query = "SELECT id FROM record WHERE kind = 2 AND event_id IN {keys}"
        records = {number for (number,) in select_keys(self._connection, query, event_ids)}
        named = [fact for fact in self._reader.records(records) if fact.event_id is not None]
        facts = sorted(named, key=lambda fact: fact.event_id or "")
        for _, alike in groupby(facts, key=lambda fact: fact.event_id):
            group = list(alike)
            if len({fact.content for fact in group}) > 1:
                yield conflict_of(group)

    def links(self, things: Collection[Thing]) -> Iterable[LinkRow]:
        """Visible `same` links that touch any of the things, each once.

        A link shows nobody a thing that was hidden: a limited reader has those between things it sees named.
        """
        if self._connection.exec_driver_sql("SELECT 1 FROM same LIMIT 1").first() is None:
            return ()
        rows = select_keys(self._connection, _LINKS, _ids(things))
        found = {(min(row[:2]), max(row[:2]), row[2]) for row in rows if self._shows_link(row)}
        if self._classes is None or not found:
            return found
        named = self._named({end for link in found for end in link[:2]})
        return {link for link in found if link[0] in named and link[1] in named}

    def hidden(self, things: Collection[Thing]) -> tuple[int, frozenset[Thing]] | None:
        """How many hidden live records name any of the things; and which things a record names that is hidden,
        if only in part."""
        if self._classes is None:
            return None
        records: set[int] = set()
        touched: set[Thing] = set()
        for row in select_keys(self._connection, _NAMING, things):
            if self._is_later(row) or self._is_void(row) or row[3] in self._classes:
                continue
            touched.add(row[0])
            if row[4] not in self._classes:
                records.add(row[1])
        return len(records), frozenset(touched)

    def erased(self, things: Collection[Thing]) -> ErasedRecords:
        """Records that this reader saw, of which what named any of the things was erased."""
        if fetch(self._connection, "SELECT 1 FROM erased_name LIMIT 1") == []:
            return {}
        numbers = {iri: thing for thing, iri in self.iris(things).items()}
        seen = None if self._classes is None else load_classes(self._connection)
        found: dict[Thing, set[int]] = {}
        for one in erased_naming(self._connection, numbers):
            is_later = self._below is not None and one.seq >= self._below
            if not is_later and (seen is None or self._saw(one, seen)):
                found.setdefault(numbers[one.iri], set()).add(one.record)
        return {thing: frozenset(records) for thing, records in found.items()}

    def _saw(self, one: ErasedName, classes: Mapping[int, frozenset[str]]) -> bool:
        """Whether this reader saw a record before it was erased; the sets who did are still classes."""
        visible = {classes[number] for number in self._classes or () if number in classes}
        return one.parties in visible or one.partial in visible

    def _visible(self, entries: list[Entry]) -> list[Entry]:
        seen = self._named([entry.thing for entry in entries])
        return [entry for entry in entries if entry.thing in seen]

    def _named(self, things: Collection[Any]) -> set[Any]:
        """Those of the things that a visible record names; who sees everything sees what links name, too."""
        rows = select_keys(self._connection, _NAMING, things)
        seen = {row[0] for row in rows if self._shows(row)}
        missing = [thing for thing in things if thing not in seen]
        query = _STATING.replace("l.thing, ", "g.src, ", 1)
        seen |= {row[0] for row in select_keys(self._connection, query, missing) if self._shows(row)}
        if self._classes is None:
            rows = select_keys(self._connection, _LINKS, [thing for thing in missing if thing not in seen])
            seen |= {row[0] for row in rows if self._shows_link(row)}
        return seen

    def _shows_link(self, row: Any) -> bool:
        is_later = self._below is not None and row[3] >= self._below
        return not is_later and (self._classes is None or row[4] in self._classes)

    def _shows(self, row: Any) -> bool:
        """Whether this reader sees that the record of a `_SEEN` row names the thing; void or not, if seen whole."""
        if self._is_later(row):
            return False
        if self._classes is None or row[3] in self._classes:
            return True
        return row[4] in self._classes and bool(row[7]) and not self._is_void(row)

    def _is_later(self, row: Any) -> bool:
        return self._below is not None and row[2] >= self._below

    def _is_void(self, row: Any) -> bool:
        return row[5] is not None and (self._below is None or row[5] < self._below)

    def _facts(self, records: Collection[int]) -> list[Fact]:
        """Visible records as facts, void ones too, with the lines that only mention something."""
        query = f"{SELECT_FACT} WHERE e.record IN {{keys}}"
        rows = [Row(*values) for values in select_keys(self._connection, query, records)]
        lines = {
            record: list(group)
            for record, group in groupby(
                select_keys(self._connection, _LINES, records), key=lambda line: line[0]
            )
        }
        sorts = load_sorts(self._connection, {line[2] for group in lines.values() for line in group})
        places = {place for row in rows for place in (row.read_point, row.biz_location) if place is not None}
        names = load_names(self._connection, places)
        iris = self.iris(sorts) if self._classes is not None else {}
        found = []
        for row in rows:
            own = lines.get(row.record, [])
            fact = fact_from(row, own, sorts, names)
            mentions = [Line(one[2], MENTION, sorts[one[2]], None, None) for one in own if one[3] == MENTION]
            fact = fact._replace(lines=(*fact.lines, *mentions))
            whole = self._classes is None or row.visible in self._classes
            found.append(fact if whole else shown_part(fact, iris))
        return found


def _ids(things: Collection[Thing]) -> list[int]:
    return [thing for thing in things if isinstance(thing, int)]


def _pattern(code: str) -> str:
    """A LIKE pattern for what ends in the letters and digits of a code, without case, separators and leading zeros."""
    parts: list[str] = []
    for is_word, letters in groupby(code.lower(), key=str.isalnum):
        if is_word:
            parts.append("".join(letters))
    if parts:
        parts[0] = parts[0].lstrip("0") or parts[0]
    return "%" + "%".join(part.replace("!", "!!") for part in parts)


def _literal(text: str) -> str:
    """A text that stands for itself in a LIKE pattern over names in small letters."""
    return re.sub(r"[!%_]", r"!\g<0>", text.lower())


__all__ = ["SqlCatalogue"]
