"""Lineage over facts held in memory: for the verifier of a report, an earlier tree size, a limited reader."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .derive import Touched, derive
from .derived import Contradiction, Derived
from .fact import MENTION, Fact, HolderOf, ThingKey
from .occurrence import live_facts


def nobody(_place: str, _time_us: int) -> str | None:
    """A `HolderOf` for when nothing is known about who holds which place."""
    return None


class MemoryReader:
    """A `FactReader` over all facts that a reader may see, error declarations included."""

    def __init__(self, facts: Iterable[Fact], holder_of: HolderOf = nobody) -> None:
        self.live, rivals = live_facts(facts, holder_of)
        self.conflicts = [conflict_of(group) for group in rivals]
        self._by_thing: dict[ThingKey, list[Fact]] = {}
        self._by_run: dict[tuple[str, str], list[Fact]] = {}
        for fact in self.live:
            for thing in {line.thing for line in fact.lines if line.role != MENTION}:
                self._by_thing.setdefault(thing, []).append(fact)
            if fact.transformation_id is not None:
                self._by_run.setdefault((fact.member, fact.transformation_id), []).append(fact)

    def facts_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        """See `FactReader`; the facts are whole."""
        found: dict[int, Fact] = {}
        for thing in things:
            for fact in self._by_thing.get(thing, ()):
                found[fact.record] = fact
        return found.values()

    def whole_facts_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        """See `FactReader`."""
        return self.facts_of(things)

    def departures_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        """See `FactReader`; every fact of the things."""
        return self.facts_of(things)

    def runs(self, keys: Collection[tuple[str, str]]) -> Iterable[Fact]:
        """See `FactReader`."""
        return [fact for key in keys for fact in self._by_run.get(key, ())]


def derive_all(reader: MemoryReader) -> Derived:
    """The whole lineage of a reader's facts."""
    return derive(Touched.by(reader.live), reader)


def conflict_of(group: Iterable[Fact]) -> Contradiction:
    """The contradiction of live facts that share an eventID and not their content."""
    facts = sorted(group, key=lambda fact: (fact.instant, fact.commitment))
    things = tuple(dict.fromkeys(line.thing for fact in facts for line in fact.lines if line.role != MENTION))
    members = sorted({fact.member for fact in facts})
    losing = sum(not fact.counts for fact in facts)
    detail = f"one eventID, different content: {', '.join(members)}; {losing} of {len(facts)} do not count"
    return Contradiction("event-id-conflict", things, tuple(fact.record for fact in facts), detail)
