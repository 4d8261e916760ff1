"""The events of the affected things: their own, and those of their carriers while they were inside.

Records that relay one occurrence are listed together. Nothing here decides what is affected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from fabric.lineage import Fact, Instant
from fabric.lineage.words import NEAR_US

from .carrying import Held, Window
from .reach import Node
from .source import FillingRow


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One thing that happened. `facts` are the records that state it, the one that stands for it first.

    `nodes` are the members of A it is an event of, `sure` those it is stated for; the others are reached by an
    inferred containment only.
    """

    facts: tuple[Fact, ...]
    nodes: frozenset[Node]
    sure: frozenset[Node]


class _Part(NamedTuple):
    """How a thing in a record stands for a member: as itself, or as a carrier around it."""

    node: Node
    window: Window
    inferred_from_us: int | None = None
    filling: Node | None = None


_Meant: TypeAlias = tuple[Fact, set[Node], set[Node]]


class Calendar:
    """Which members of A are meant when a record names a thing at a time.

    A carrier's event outside every filling belongs, inferred, to the nearest one within 24 hours: before it
    began to all that was in it, after it ended to what was then still inside.
    """

    def __init__(
        self,
        members: Mapping[Node, tuple[Node, Window]],
        held: Iterable[Held],
        fillings: Iterable[FillingRow],
    ) -> None:
        self._uses: dict[Node, list[FillingRow]] = {}
        for row in fillings:
            self._uses.setdefault(row[0], []).append(row)
        self._parts: dict[Node, list[_Part]] = {}
        for node, (thing, window) in members.items():
            filling = None if node == thing else node
            self._parts.setdefault(thing, []).append(_Part(node, window, filling=filling))
        for one in held:
            part = _Part(one.node, (one.from_us, one.until_us), one.inferred_from_us, one.filling)
            self._parts.setdefault(one.carrier, []).append(part)

    @property
    def things(self) -> frozenset[Node]:
        """Every thing a record has to name to be an event of a member of A."""
        return frozenset(self._parts)

    def meant(self, fact: Fact) -> tuple[set[Node], set[Node]]:
        """The members of A that a fact is an event of, and those among them it is stated for."""
        nodes: set[Node] = set()
        sure: set[Node] = set()
        for line in fact.lines:
            for node, inferred in self._meant(line.thing, fact.time_us):
                nodes.add(node)
                if not inferred:
                    sure.add(node)
        return nodes, sure

    def _meant(self, thing: Node, time_us: int) -> Iterator[tuple[Node, bool]]:
        parts = self._parts.get(thing, ())
        nearest = self._nearest(thing, time_us) if parts else None
        for part in parts:
            if _covers(part.window, time_us):
                yield part.node, part.inferred_from_us is not None and time_us >= part.inferred_from_us
            elif nearest is not None and part.filling == nearest[1]:
                until = part.window[1]
                if time_us < nearest[2] or until is None or nearest[3] is None or until >= nearest[3]:
                    yield part.node, True

    def _nearest(self, carrier: Node, time_us: int) -> FillingRow | None:
        """The filling within 24 hours of an instant that falls into none."""
        best: tuple[int, FillingRow] | None = None
        for row in self._uses.get(carrier, ()):
            if _covers((row[2], row[3]), time_us):
                return None
            apart = row[2] - time_us if time_us < row[2] else time_us - (row[3] or row[2])
            if apart <= NEAR_US and (best is None or apart < best[0]):
                best = (apart, row)
        return None if best is None else best[1]


def occurrences(facts: Iterable[Fact], calendar: Calendar) -> list[Occurrence]:
    """The occurrences that are events of members of A, in the order of instants."""
    relevant: dict[bytes, list[_Meant]] = {}
    for fact in facts:
        nodes, sure = calendar.meant(fact)
        if nodes:
            relevant.setdefault(fact.content, []).append((fact, nodes, sure))
    found = [_occurrence(group) for alike in relevant.values() for group in _by_event_id(alike)]
    found.sort(key=lambda one: (one.facts[0].instant, one.facts[0].commitment))
    return found


def _by_event_id(alike: list[_Meant]) -> Iterable[list[_Meant]]:
    """Split facts of equal content by eventID; those without one join the smallest, else each other."""
    smallest = min((fact.event_id for fact, _, _ in alike if fact.event_id is not None), default=None)
    groups: dict[str | None, list[_Meant]] = {}
    for one in alike:
        event_id = one[0].event_id
        groups.setdefault(smallest if event_id is None else event_id, []).append(one)
    return groups.values()


def _occurrence(group: list[_Meant]) -> Occurrence:
    if len(group) == 1:
        fact, alone, sure = group[0]
        nodes = frozenset(alone)
        # Most are certain of all they name; one set less for each keeps a large answer small.
        return Occurrence((fact,), nodes, nodes if len(sure) == len(alone) else frozenset(sure))
    facts = sorted((fact for fact, _, _ in group), key=_standing)
    nodes = frozenset().union(*(nodes for _, nodes, _ in group))
    return Occurrence(tuple(facts), nodes, frozenset().union(*(sure for _, _, sure in group)))


def _standing(fact: Fact) -> tuple[bool, Instant, bytes]:
    """The record that stands for an occurrence has its eventID, if any of them has."""
    return fact.event_id is None, fact.instant, fact.commitment


def _covers(window: Window, time_us: int) -> bool:
    low, high = window
    return (low is None or low <= time_us) and (high is None or time_us <= high)


__all__ = ["Calendar", "Occurrence", "occurrences"]
