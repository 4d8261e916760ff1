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
    """A carrier (`carrier` as a thing, `filling` that use of it) held `node` from `from_us` to `until_us`."""

    node: Node
    carrier: Node
    filling: Node | None
    from_us: int
    until_us: int | None
    inferred: bool


def carrying(
    nodes: Mapping[Node, tuple[Node, Window]], around: Callable[[Collection[Node]], Iterable[IntervalRow]]
) -> list[Held]:
    """Every carrier that held any of the nodes, directly or in another carrier.

    `nodes` gives each member of the answer the thing to look for and the time that counts: for material itself
    without bounds, for a filling its carrier between its ends. `around` is one query for a whole level. It ends
    even where carriers hold each other, since each carrier's use is entered once per member and interval.
    """
    inside: dict[Node, list[tuple[Node, Window, bool]]] = {}
    for node, (thing, window) in nodes.items():
        inside.setdefault(thing, []).append((node, window, False))
    found: dict[tuple[Node, Node, Node | None, int, int | None], Held] = {}
    while inside:
        above: dict[Node, list[tuple[Node, Window, bool]]] = {}
        for row in around(inside.keys()):
            for held in _held(row, inside[row[0]]):
                if _enter(found, held):
                    window = (held.from_us, held.until_us)
                    above.setdefault(held.carrier, []).append((held.node, window, held.inferred))
        inside = above
    return list(found.values())


def _held(row: IntervalRow, within: Iterable[tuple[Node, Window, bool]]) -> Iterable[Held]:
    _, carrier, filling, from_us, until_us, inferred = row
    for node, window, guessed in within:
        both = common((from_us, until_us), window)
        if both is not None and both[0] is not None:
            yield Held(node, carrier, filling, both[0], both[1], inferred or guessed)


def common(one: Window, other: Window) -> Window | None:
    """The time that two windows share, None where they share not even an instant."""
    lows = [low for low in (one[0], other[0]) if low is not None]
    highs = [high for high in (one[1], other[1]) if high is not None]
    low, high = max(lows, default=None), min(highs, default=None)
    return None if low is not None and high is not None and low > high else (low, high)


def _enter(found: dict[tuple[Node, Node, Node | None, int, int | None], Held], held: Held) -> bool:
    """Add an interval, or replace an inferred one by the same one stated; tell whether that is news."""
    key = (held.node, held.carrier, held.filling, held.from_us, held.until_us)
    before = found.get(key)
    if before is not None and (held.inferred or not before.inferred):
        return False
    found[key] = held
    return True


__all__ = ["Held", "Window", "carrying", "common"]
