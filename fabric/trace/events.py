"""The events of the affected things: their own, and those of their carriers while they were inside.

Records that relay one occurrence are listed together. Nothing here decides what is affected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fabric.lineage import Fact

from .carrying import Held, Window
from .reach import Node


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One thing that happened. `facts` are the records that state it, the one that stands for it first.

    `nodes` gives the roles in which each member of A took part: its own, or `child` where only its carrier is
    named. `sure` are the members it is stated for; the others are reached by an inferred containment only.
    """

    facts: tuple[Fact, ...]
    nodes: Mapping[Node, frozenset[str]]
    sure: frozenset[Node]


@dataclass(frozen=True, slots=True)
class _Part:
    node: Node
    window: Window
    inferred: bool
    carried: bool


class Calendar:
    """Which member of A is meant when a record names a thing at a time."""

    def __init__(self, members: Mapping[Node, tuple[Node, Window]], held: Iterable[Held]) -> None:
        self._parts: dict[Node, list[_Part]] = {}
        for node, (thing, window) in members.items():
            self._parts.setdefault(thing, []).append(_Part(node, window, inferred=False, carried=False))
        for one in held:
            part = _Part(one.node, (one.from_us, one.until_us), one.inferred, carried=True)
            self._parts.setdefault(one.carrier, []).append(part)

    @property
    def things(self) -> frozenset[Node]:
        """Every thing a record has to name to be an event of a member of A."""
        return frozenset(self._parts)

    def roles(self, fact: Fact) -> tuple[dict[Node, set[str]], set[Node]]:
        """The members of A that a fact is an event of, with their roles, and those it is stated for."""
        roles: dict[Node, set[str]] = {}
        sure: set[Node] = set()
        for line in fact.lines:
            for part in self._parts.get(line.thing, ()):
                if _covers(part.window, fact.time_us):
                    roles.setdefault(part.node, set()).add(
                        f"carried {line.role}" if part.carried else line.role
                    )
                    if not part.inferred:
                        sure.add(part.node)
        return roles, sure


def occurrences(facts: Iterable[Fact], calendar: Calendar) -> list[Occurrence]:
    """The occurrences that are events of members of A, in the order of time, then of their first record."""
    relevant: dict[bytes, list[tuple[Fact, dict[Node, set[str]], set[Node]]]] = {}
    for fact in facts:
        roles, sure = calendar.roles(fact)
        if roles:
            relevant.setdefault(fact.content, []).append((fact, roles, sure))
    found = [_occurrence(group) for alike in relevant.values() for group in _by_event_id(alike)]
    found.sort(key=lambda one: (one.facts[0].time_us, one.facts[0].commitment))
    return found


def _by_event_id(
    alike: list[tuple[Fact, dict[Node, set[str]], set[Node]]],
) -> Iterable[list[tuple[Fact, dict[Node, set[str]], set[Node]]]]:
    """Split facts of equal content by eventID; those without one join the smallest, else each other."""
    smallest = min((fact.event_id for fact, _, _ in alike if fact.event_id is not None), default=None)
    groups: dict[str | None, list[tuple[Fact, dict[Node, set[str]], set[Node]]]] = {}
    for item in alike:
        groups.setdefault(item[0].event_id or smallest, []).append(item)
    return groups.values()


def _occurrence(group: list[tuple[Fact, dict[Node, set[str]], set[Node]]]) -> Occurrence:
    roles: dict[Node, set[str]] = {}
    sure: set[Node] = set()
    for _, own, stated in group:
        sure |= stated
        for node, names in own.items():
            roles.setdefault(node, set()).update(names)
    facts = sorted((fact for fact, _, _ in group), key=lambda fact: fact.commitment)
    return Occurrence(
        tuple(facts), {node: frozenset(names) for node, names in roles.items()}, frozenset(sure)
    )


def _covers(window: Window, time_us: int) -> bool:
    low, high = window
    return (low is None or low <= time_us) and (high is None or time_us <= high)


__all__ = ["Calendar", "Occurrence", "occurrences"]
