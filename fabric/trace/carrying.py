"""Which carriers held a thing, and when: containment followed upwards, intersecting the intervals.

A pallet that held a case that held a lot held the lot, over the time in which both were so. Carriers are not
affected; they say which other records are events of the thing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .reach import Node
from .source import IntervalRow

Window: TypeAlias = tuple[int | None, int | None]
"""From and until in microseconds UTC, both included; None = open on that side."""


@dataclass(frozen=True, slots=True)
class Held:
    """A carrier (`carrier` as a thing, `filling` that use of it) held `node` from `from_us` to `until_us`.

    From `inferred_from_us` on it is only inferred; None = stated throughout.
    """

    node: Node
    carrier: Node
    filling: Node | None
    from_us: int
    until_us: int | None
    inferred_from_us: int | None

    def inferred_at(self, time_us: int | None) -> bool:
        """Whether any part of the time up to an instant is only inferred; None = at its beginning."""
        last = self.from_us if time_us is None else time_us
        return self.inferred_from_us is not None and self.inferred_from_us <= last


def carrying(
    nodes: Mapping[Node, tuple[Node, Window]], around: Callable[[Collection[Node]], Iterable[IntervalRow]]
) -> list[Held]:
    """Every carrier that held any of the nodes, directly or in another carrier.

    `nodes` gives each member of the answer the thing to look for and the time that counts: for material itself
    without bounds, for a filling its carrier between its ends. `around` is one query for a whole level. It ends
    even where carriers hold each other, since each carrier's use is entered once per member and interval.
    """
    inside: dict[Node, list[tuple[Node, Window, int | None]]] = {}
    for node, (thing, window) in nodes.items():
        inside.setdefault(thing, []).append((node, window, None))
    found: dict[tuple[Node, Node, Node | None, int, int | None], Held] = {}
    while inside:
        above: dict[Node, list[tuple[Node, Window, int | None]]] = {}
        for row in around(inside.keys()):
            for held in _held(row, inside[row[0]]):
                if _enter(found, held):
                    window = (held.from_us, held.until_us)
                    above.setdefault(held.carrier, []).append((held.node, window, held.inferred_from_us))
        inside = above
    return list(found.values())


def _held(row: IntervalRow, within: Iterable[tuple[Node, Window, int | None]]) -> Iterable[Held]:
    _, carrier, filling, from_us, until_us, inferred_us = row
    for node, window, guessed_us in within:
        both = common((from_us, until_us), window)
        if both is not None and both[0] is not None:
            yield Held(node, carrier, filling, both[0], both[1], _earlier(inferred_us, guessed_us))


def _surer(one: Held, other: Held) -> bool:
    if other.inferred_from_us is None:
        return False
    return one.inferred_from_us is None or one.inferred_from_us > other.inferred_from_us


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((time for time in (one, other) if time is not None), default=None)


def common(one: Window, other: Window) -> Window | None:
    """The time that two windows share, None where they share not even an instant."""
    lows = [low for low in (one[0], other[0]) if low is not None]
    highs = [high for high in (one[1], other[1]) if high is not None]
    low, high = max(lows, default=None), min(highs, default=None)
    return None if low is not None and high is not None and low > high else (low, high)


def _enter(found: dict[tuple[Node, Node, Node | None, int, int | None], Held], held: Held) -> bool:
    """Add an interval, or replace one by the same one that is stated for longer; tell whether that is news."""
    key = (held.node, held.carrier, held.filling, held.from_us, held.until_us)
    before = found.get(key)
    if before is not None and not _surer(held, before):
        return False
    found[key] = held
    return True


__all__ = ["Held", "Window", "carrying", "common"]
