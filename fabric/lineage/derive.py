"""The lineage of whatever a set of new or voided records touches, from the facts around it.

`derive` is the only place that derives, for a capture, a rebuild, an earlier tree size, a limited reader and a
verifier alike. Its cost follows from what is touched, not from the size of the store::

    derived = derive(Touched.by(new_facts), reader)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .containment import AGGREGATING, CARRIERS, Contents, departs, read_contents
from .derived import Derived, Interval, Node, RunNode
from .fact import CHILD, INPUT, MATERIAL, MENTION, OUTPUT, PARENT, Fact, FactReader, Sort, ThingKey
from .history import history
from .occurrence import Occurrence, Occurrences, in_order
from .process import TRANSFORMATION, contains_edges, lot_edges, process_edges, process_of
from .stock import Known, summarise
from .words import NEAR_US, is_unmaking

_LATEST: Final = 2**63


@dataclass(slots=True)
class Touched:
    """What has to be derived again. `since` is when, at the earliest, something changed for a thing.

    `restless` things may have entered or left a parent, or are carriers; `transformations` are whole new facts;
    `gone` are processes whose record was voided, `former` the parents that voided records named.
    """

    since: dict[ThingKey, int] = field(default_factory=dict)
    sorts: dict[ThingKey, Sort] = field(default_factory=dict)
    restless: set[ThingKey] = field(default_factory=set)
    transformations: list[Fact] = field(default_factory=list)
    gone: set[Node] = field(default_factory=set)
    former: set[ThingKey] = field(default_factory=set)
    fresh: list[Fact] = field(default_factory=list)

    @classmethod
    def by(cls, facts: Iterable[Fact], gone: Iterable[Fact] = ()) -> Touched:
        """What live facts touch that are new or count differently, and facts that were voided; all whole."""
        touched = cls()
        for fact in facts:
            touched._add(fact)
            touched.fresh.append(fact)
            if fact.type == TRANSFORMATION:
                touched.transformations.append(fact)
        for fact in gone:
            touched._add(fact)
            if fact.type in AGGREGATING and fact.parent is not None:
                touched.former.add(fact.parent)
            if fact.type == TRANSFORMATION:
                touched.gone.add(process_of(fact))
        return touched

    def _add(self, fact: Fact) -> None:
        time_us = fact.time_us
        moves = fact.type in AGGREGATING or is_unmaking(fact)
        for line in fact.lines:
            sort = line.sort
            if line.role == MENTION or sort not in MATERIAL:
                continue
            thing = line.thing
            before = self.since.get(thing)
            if before is None or time_us < before:
                self.since[thing] = time_us
            self.sorts[thing] = sort
            if sort is not Sort.LOT and (moves or sort in CARRIERS or line.role == INPUT):
                self.restless.add(thing)


def derive(touched: Touched, reader: FactReader) -> Derived:
    """Everything that follows for what is touched, by scope. See `Derived` for the scopes."""
    return _Derivation(touched, reader).run()


class _Derivation:
    """One call of `derive`: the facts it loaded, and what it read from them so far."""

    def __init__(self, touched: Touched, reader: FactReader) -> None:
        self._touched = touched
        self._reader = reader
        self._facts: dict[ThingKey, list[Fact]] = {}
        self._departures: dict[ThingKey, list[Occurrence]] = {}
        self._happenings: dict[ThingKey, list[Occurrence]] = {}
        self._whole: set[ThingKey] = set()
        self._occurrences = Occurrences()
        self._parents: dict[ThingKey, set[ThingKey]] = {}
        self._children: dict[ThingKey, set[ThingKey]] = {}
        self._sorts = dict(touched.sorts)
        self._contents: dict[ThingKey, Contents] = {}
        self._around: dict[ThingKey, list[Interval]] = {}

    def run(self) -> Derived:
        touched = self._touched
        runs = self._load_runs()
        self._load_slim(touched.since)
        derived = Derived()
        changed = self._changed_parents()
        summaries = self._descend(changed | {thing for thing in touched.since if self._is_parent(thing)})
        self._ascend(summaries)
        self._gather_around()
        self._read_nested(changed)
        carriers = self._carriers()
        for parent in changed:
            self._write_parent(parent, derived, carriers)
        self._write_processes(runs, changed, derived)
        derived.lots = lot_edges(touched.fresh)
        known: Known = {}
        for thing in summaries:
            entries = history(thing, self._happenings, self._around, self._contents)
            derived.summaries[thing] = summarise(thing, self._sorts[thing], entries, self._around, known)
        return derived

    # Loading

    def _load_slim(self, things: Collection[ThingKey]) -> None:
        wanted = {thing for thing in things if thing not in self._facts}
        if wanted:
            self._file(self._reader.facts_of(wanted), wanted)

    def _load_whole(self, things: Collection[ThingKey]) -> None:
        wanted = {thing for thing in things if thing not in self._whole}
        self._whole |= wanted
        wanted = {thing for thing in wanted if not self._has_whole(thing)}
        if wanted:
            self._file(self._reader.whole_facts_of(wanted), wanted)

    def _has_whole(self, thing: ThingKey) -> bool:
        facts = self._facts.get(thing)
        return facts is not None and False not in [fact.whole for fact in facts]

    def _file(self, facts: Iterable[Fact], wanted: set[ThingKey]) -> None:
        """Keep facts by each wanted thing they name, and who was whose parent in them."""
        found: dict[ThingKey, list[Fact]] = {thing: [] for thing in wanted}
        given = in_order(facts)
        sorts = self._sorts
        for fact in given:
            for line in fact.lines:
                own = found.get(line.thing)
                if own is not None and line.role != MENTION:
                    sorts[line.thing] = line.sort
                    if not own or own[-1] is not fact:
                        own.append(fact)
            if fact.type in AGGREGATING:
                self._file_packing(fact, wanted)
        self._facts.update(found)
        self._happenings.update(self._occurrences.by_thing(given, found))

    def _file_packing(self, fact: Fact, wanted: set[ThingKey]) -> None:
        parent = next((line for line in fact.lines if line.role == PARENT), None)
        if parent is None:
            return
        self._sorts.setdefault(parent.thing, parent.sort)
        children = self._children.setdefault(parent.thing, set())
        for line in fact.lines:
            if line.role != CHILD:
                continue
            if line.sort not in (Sort.LOT, Sort.CLASS):
                children.add(line.thing)
            self._sorts.setdefault(line.thing, line.sort)
            if line.thing in wanted:
                self._parents.setdefault(line.thing, set()).add(parent.thing)

    def _load_departures(self, children: Collection[ThingKey]) -> None:
        wanted = {child for child in children if child not in self._facts and child not in self._departures}
        if not wanted:
            return
        found: dict[ThingKey, list[Fact]] = {child: [] for child in wanted}
        given = in_order(self._reader.departures_of(wanted))
        for fact in given:
            for line in fact.lines:
                own = found.get(line.thing)
                if own is not None and line.role != MENTION and (not own or own[-1] is not fact):
                    own.append(fact)
        self._departures.update(self._occurrences.by_thing(given, found))

    def _load_runs(self) -> dict[RunNode, list[Fact]]:
        """All events of the runs that a touched transformation belongs to."""
        nodes = {process_of(fact) for fact in self._touched.transformations} | self._touched.gone
        return self._runs_of(node for node in nodes if isinstance(node, RunNode))

    def _runs_of(self, nodes: Iterable[RunNode]) -> dict[RunNode, list[Fact]]:
        runs: dict[RunNode, list[Fact]] = {node: [] for node in nodes}
        if runs:
            for fact in self._reader.runs({(node.member, node.transformation_id) for node in runs}):
                runs[RunNode(fact.member, fact.transformation_id or "")].append(fact)
        return runs

    # What to read

    def _changed_parents(self) -> set[ThingKey]:
        """Parents whose contents may have changed: restless carriers and parents, and parents of what is restless."""
        restless = self._touched.restless
        found = set(self._touched.former)
        found |= {thing for thing in restless if self._is_carrier_key(thing) or self._is_parent(thing)}
        for thing in restless:
            for parent in self._parents_of(thing):
                found.add(parent)
                since = self._touched.since
                since[parent] = min(since.get(parent, since[thing]), since[thing])
        return found

    def _descend(self, parents: set[ThingKey]) -> set[ThingKey]:
        """Read the contents of parents and of the parents inside them; give all things to be summarised."""
        found = set(self._touched.since)
        since = {parent: self._touched.since[parent] for parent in parents}
        level = dict(since)
        while level:
            self._read(level)
            children: dict[ThingKey, int] = {}
            for parent, time_us in level.items():
                for interval in self._contents[parent].intervals:
                    if interval.until is None or interval.until.time_us >= time_us - NEAR_US:
                        children[interval.child] = min(children.get(interval.child, time_us), time_us)
            self._load_slim(children)
            found.update(child for child in children if self._sorts[child] in MATERIAL)
            level = {
                child: time_us
                for child, time_us in children.items()
                if time_us < since.get(child, _LATEST) and self._is_parent(child)
            }
            since.update(level)
        return found

    def _ascend(self, things: set[ThingKey]) -> None:
        """Read the contents of all parents around things, upwards."""
        level = things
        seen: set[ThingKey] = set(things)
        while level:
            parents = {parent for thing in level for parent in self._parents_of(thing)}
            self._read(parents)
            level = parents - seen
            seen |= parents

    def _read_nested(self, parents: Iterable[ThingKey]) -> None:
        """Read the carriers that were ever inside these parents, whatever the time."""
        inside = {stay.child for parent in parents for stay in self._contents[parent].intervals}
        inside = {child for child in inside if self._sorts[child] in CARRIERS}
        self._load_slim(inside)
        self._read({child for child in inside if self._is_carrier(child)})

    def _ancestors(self, parents: Iterable[ThingKey]) -> set[ThingKey]:
        """Parents and all parents around them, at any time."""
        found = set(parents)
        level = found
        while level:
            level = {outer for parent in level for outer in self._parents_of(parent)} - found
            found |= level
        return found

    def _read(self, parents: Iterable[ThingKey]) -> None:
        wanted = {parent for parent in parents if parent not in self._contents}
        if not wanted:
            return
        self._load_whole(wanted)
        children = {parent: self._serial_children(parent) for parent in wanted}
        self._load_departures(set().union(*children.values()))
        for parent in wanted:
            departures = {
                child: [happening for happening in self._leaving(child) if departs(happening, child, parent)]
                for child in children[parent]
            }
            self._contents[parent] = read_contents(
                parent, self._sorts[parent], self._happenings[parent], departures
            )

    def _leaving(self, child: ThingKey) -> Sequence[Occurrence]:
        found = self._happenings.get(child)
        return self._departures[child] if found is None else found

    def _serial_children(self, parent: ThingKey) -> set[ThingKey]:
        """Serials that any fact puts into a parent whose facts are all loaded."""
        return self._children.get(parent, set())

    def _is_carrier_key(self, thing: ThingKey) -> bool:
        return self._sorts[thing] in (Sort.SSCC, Sort.ASSET)

    def _is_carrier(self, thing: ThingKey) -> bool:
        return self._is_carrier_key(thing) or (self._sorts[thing] is Sort.PRIVATE and self._is_parent(thing))

    def _is_parent(self, thing: ThingKey) -> bool:
        """Whether some loaded fact has the thing as the parent of an aggregation or association."""
        return thing in self._children

    def _parents_of(self, thing: ThingKey) -> set[ThingKey]:
        """Every parent that a loaded thing was ever put into, or seen in."""
        return self._parents.get(thing, set())

    # What is written

    def _gather_around(self) -> None:
        for contents in self._contents.values():
            for interval in contents.intervals:
                self._around.setdefault(interval.child, []).append(interval)
        for stays in self._around.values():
            if len(stays) > 1:
                stays.sort(key=lambda stay: (stay.from_, stay.opened_by))

    def _carriers(self) -> dict[ThingKey, Contents]:
        return {thing: contents for thing, contents in self._contents.items() if self._is_carrier(thing)}

    def _write_parent(
        self, parent: ThingKey, derived: Derived, carriers: Mapping[ThingKey, Contents]
    ) -> None:
        contents = self._contents[parent]
        is_carrier = parent in carriers
        derived.fillings[parent] = contents.fillings if is_carrier else []
        derived.intervals[parent] = contents.intervals
        derived.clashes[parent] = contents.clashes
        derived.contains[parent] = contains_edges(contents, is_carrier, carriers)

    def _write_processes(
        self, runs: dict[RunNode, list[Fact]], changed: set[ThingKey], derived: Derived
    ) -> None:
        """Edges of touched processes, and of those that name a carrier whose fillings may have changed."""
        for node in self._touched.gone:
            derived.edges[node] = []
        facts = {fact.record: fact for fact in self._touched.transformations}
        for parent in self._ancestors(changed):
            for fact in self._facts[parent]:
                if fact.type == TRANSFORMATION:
                    facts[fact.record] = fact
        missing = {process_of(fact) for fact in facts.values()} - runs.keys()
        runs |= self._runs_of(node for node in missing if isinstance(node, RunNode))
        for group in runs.values():
            facts.update((fact.record, fact) for fact in group)
        carriers = self._processed_carriers(facts.values())
        for fact in facts.values():
            edges = process_edges(fact, carriers)
            derived.edges.setdefault(process_of(fact), []).extend(edges)

    def _processed_carriers(self, facts: Iterable[Fact]) -> dict[ThingKey, Contents]:
        """The contents of all carriers that processes name, those inside them included."""
        named = {
            line.thing: line.sort
            for fact in facts
            for line in fact.lines
            if line.role in (INPUT, OUTPUT) and line.sort in CARRIERS
        }
        for thing, sort in named.items():
            self._sorts.setdefault(thing, sort)
        self._load_slim(named)
        level = {thing for thing in named if self._is_carrier(thing)}
        seen: set[ThingKey] = set()
        while level:
            self._read(level)
            seen |= level
            inside = {stay.child for thing in level for stay in self._contents[thing].intervals}
            self._load_slim({child for child in inside if self._sorts[child] in CARRIERS})
            level = {child for child in inside - seen if self._is_carrier(child)}
        return self._carriers()
