"""Records of one happening: copies are listed together and counted once, contradicted ones not at all.

Also which records are live: a record with an error declaration makes no rows and voids what the same member
recorded under the same eventID, whichever came first (design: meaning, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from .fact import MENTION, PARENT, Fact, HolderOf, Line, ThingKey
from .words import meaning_of, passage_of


class Occurrence:
    """One happening and every record of it; `fact` speaks for all. Copies are in an order of their own.

    What all of its things ask of it is read once: `meaning`, `passage` (of hand-overs), the `lines` of each thing
    (mentions apart), and `parent`, the parent of an aggregation or association.
    """

    __slots__ = ("copies", "fact", "instant", "lines", "meaning", "members", "parent", "passage")

    def __init__(self, copies: tuple[Fact, ...]) -> None:
        fact = copies[0]
        self.fact = fact
        self.copies = copies
        self.instant = fact.instant
        self.members = frozenset([fact.member] if len(copies) == 1 else [copy.member for copy in copies])
        self.meaning = meaning_of(fact)
        self.passage = passage_of(fact, self.meaning)
        self.parent: ThingKey | None = None
        self.lines: dict[ThingKey, list[Line]] = {}
        for line in fact.lines:
            if line.role == MENTION:
                continue
            if line.role == PARENT:
                self.parent = line.thing
            own = self.lines.get(line.thing)
            if own is None:
                self.lines[line.thing] = [line]
            else:
                own.append(line)


class Occurrences:
    """Groups facts into happenings; a record that nobody copied is read once for all of its things."""

    def __init__(self) -> None:
        self._single: dict[int, Occurrence] = {}

    def of(self, facts: Iterable[Fact]) -> list[Occurrence]:
        """The happenings behind facts that each appear once, in order; contradicted ones left out."""
        return self._group(in_order(facts))

    def by_thing(
        self, given: Sequence[Fact], found: Mapping[ThingKey, Sequence[Fact]]
    ) -> dict[ThingKey, list[Occurrence]]:
        """The happenings of each thing; `found` are the facts that name it, all of which are in `given`, in order.

        Records of equal content name the same things: where no content comes twice, there are no copies.
        """
        counted = [fact for fact in given if fact.counts]
        if len({fact.content for fact in counted}) < len(counted):
            return {thing: self._group(facts) for thing, facts in found.items()}
        single = {id(fact): self._one(fact) for fact in counted}
        if len(counted) == len(given):
            return {thing: [single[id(fact)] for fact in facts] for thing, facts in found.items()}
        return {thing: [single[id(fact)] for fact in facts if fact.counts] for thing, facts in found.items()}

    def _group(self, ordered: Iterable[Fact]) -> list[Occurrence]:
        groups: dict[bytes, list[Fact]] = {}
        for fact in ordered:
            if fact.counts:
                groups.setdefault(fact.content, []).append(fact)
        found: list[Occurrence] = []
        for copies in groups.values():
            if len(copies) == 1:
                found.append(self._one(copies[0]))
            else:
                found += [_occurrence(group) for group in _by_event_id(copies)]
        found.sort(key=_instant)
        return found

    def _one(self, fact: Fact) -> Occurrence:
        known = self._single.get(fact.record)
        # The same record may come again with more of its lines.
        if known is None or known.fact is not fact:
            known = self._single[fact.record] = Occurrence((fact,))
        return known


def in_order(facts: Iterable[Fact]) -> list[Fact]:
    """Facts in the order of instants."""
    return sorted(facts, key=_moment)


_moment = attrgetter("time_us", "position", "digest")
_instant = attrgetter("instant")


def occurrences(facts: Iterable[Fact]) -> list[Occurrence]:
    """The happenings behind facts that each appear once, in the order of instants; contradicted ones left out."""
    return Occurrences().of(facts)


def _by_event_id(group: list[Fact]) -> list[list[Fact]]:
    """One list an eventID; records without one join the smallest, else each other."""
    by_id: dict[str | None, list[Fact]] = {}
    for fact in group:
        by_id.setdefault(fact.event_id, []).append(fact)
    nameless = by_id.pop(None, [])
    if not by_id:
        return [nameless]
    by_id[min(name for name in by_id if name is not None)] += nameless
    return list(by_id.values())


def _occurrence(copies: list[Fact]) -> Occurrence:
    """Copies in order; a record that has the eventID speaks for those that have none."""
    order = sorted(copies, key=lambda fact: (fact.event_id is None, fact.instant, fact.commitment))
    return Occurrence(tuple(order))


def voided(facts: Iterable[Fact]) -> dict[int, Fact]:
    """The first declaration (by log index) that voids each record, by the record."""
    declared: dict[tuple[str, str], Fact] = {}
    plain: list[Fact] = []
    for fact in facts:
        if not fact.declares:
            plain.append(fact)
        elif fact.event_id is not None:
            key = (fact.member, fact.event_id)
            before = declared.get(key)
            if before is None or _age(fact) < _age(before):
                declared[key] = fact
    found = {}
    for fact in plain:
        declaration = declared.get((fact.member, fact.event_id or ""))
        if declaration is not None:
            found[fact.record] = declaration
    return found


def _age(fact: Fact) -> tuple[int, int]:
    return (-1 if fact.seq is None else fact.seq, fact.position)


def outvoted(same_id: Iterable[Fact], holder_of: HolderOf) -> tuple[bool, set[int]]:
    """Whether live facts of one eventID contradict each other, and which records then do not count.

    The member that holds the place counts, and whoever says the same; where nobody does, all count.
    """
    facts = list(same_id)
    contents = {fact.content for fact in facts}
    if len(contents) < 2:
        return False, set()
    trusted = {fact.content for fact in facts if _at_home(fact, holder_of)}
    if not trusted:
        return True, set()
    return True, {fact.record for fact in facts if fact.content not in trusted}


def _at_home(fact: Fact, holder_of: HolderOf) -> bool:
    places = (fact.read_point, fact.biz_location)
    return any(place is not None and holder_of(place, fact.time_us) == fact.member for place in places)


def live_facts(facts: Iterable[Fact], holder_of: HolderOf) -> tuple[list[Fact], list[list[Fact]]]:
    """Facts that make rows, `counts` decided, and the groups that contradict each other under one eventID."""
    everything = list(facts)
    void = voided(everything)
    live = [fact for fact in everything if not fact.declares and fact.record not in void]
    by_id: dict[str, list[Fact]] = {}
    for fact in live:
        if fact.event_id is not None:
            by_id.setdefault(fact.event_id, []).append(fact)
    losers: set[int] = set()
    rivals: list[list[Fact]] = []
    for group in by_id.values():
        if len(group) > 1:
            contradict, lost = outvoted(group, holder_of)
            losers |= lost
            if contradict:
                rivals.append(group)
    if losers:
        live = [_settled(fact, losers) for fact in live]
        rivals = [[_settled(fact, losers) for fact in group] for group in rivals]
    return live, rivals


def _settled(fact: Fact, losers: set[int]) -> Fact:
    return fact._replace(counts=False) if fact.record in losers else fact
