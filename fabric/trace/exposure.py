"""What was near: things that shared a carrier or a place with an affected one within a window. Not lineage.

Exposed things are reported apart from the affected ones and are never followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fabric.lineage.fact import MATERIAL, MENTION

from .answer import Trace
from .carrying import Window, common
from .reach import Node
from .source import Thing

HOUR_US = 3_600_000_000


class Exposure(NamedTuple):
    """`thing` was with the member `node` in the carrier or at the place `where`, `how` = carrier or place."""

    thing: Thing
    node: Node
    how: str
    where: str


def exposures(trace: Trace, hours: int) -> list[Exposure]:
    """Every thing that was near a member and neither is one nor held one, for each member and carrier or place."""
    window_us = hours * HOUR_US
    found = {*_in_carriers(trace, window_us), *_at_places(trace, window_us)}
    known = trace.named | {one.carrier for one in trace.held}
    return [one for one in found if one.thing not in known]


def _in_carriers(trace: Trace, window_us: int) -> Iterator[Exposure]:
    carriers = {one.carrier for one in trace.held}
    inside: dict[tuple[Node, Node | None], list[tuple[Thing, Window]]] = {}
    for child, parent, filling, low, high, _ in trace.source.within(carriers):
        inside.setdefault((parent, filling), []).append((child, (low, high)))
    names = trace.source.iris(carriers)
    for one in trace.held:
        until = None if one.until_us is None else one.until_us + window_us
        for thing, window in inside.get((one.carrier, one.filling), ()):
            if thing != one.node and common((one.from_us - window_us, until), window) is not None:
                yield Exposure(thing, one.node, "carrier", names[one.carrier])


def _at_places(trace: Trace, window_us: int) -> Iterator[Exposure]:
    visits: dict[str, list[tuple[int, frozenset[Node]]]] = {}
    for one in trace.occurrences:
        fact = one.facts[0]
        if fact.place is not None:
            visits.setdefault(fact.place, []).append((fact.time_us, one.nodes))
    if not visits:
        return
    times = [time_us for found in visits.values() for time_us, _ in found]
    for fact in trace.source.at_places(visits.keys(), min(times) - window_us, max(times) + window_us):
        for time_us, nodes in visits.get(fact.place or "", ()):
            if abs(fact.time_us - time_us) <= window_us:
                for line in fact.lines:
                    if line.role != MENTION and line.sort in MATERIAL:
                        yield from (Exposure(line.thing, node, "place", fact.place or "") for node in nodes)


__all__ = ["Exposure", "exposures"]
