"""Rows for the recall benchmark: so many lots over so many levels, all of them reached from one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from .names import Thing, lot_of_product
from .world import END, ROLES, World, build_world

_GROWTH = 3.0
MEMBERS = 12


@dataclass(frozen=True, slots=True)
class Run:
    """One process: lots in and lots out, with portions (items), where, by whom and when (seconds UTC)."""

    member: str
    place: str
    at: int
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]


def level_sizes(lots: int, levels: int) -> list[int]:
    """How many lots each level below the source makes: growing threefold, `lots` in all.

    Needs at least one lot a level; fewer lots make fewer levels.
    """
    levels = min(levels, lots)
    weights = [_GROWTH**i for i in range(levels)]
    sizes = [max(1, int(lots * w / sum(weights))) for w in weights]
    sizes[-1] = max(1, sizes[-1] + lots - sum(sizes))
    return sizes


def recall_source() -> str:
    """The lot that every run descends from."""
    return _lot(build_world(MEMBERS), 0, 0).iri


def recall_levels(lots: int, levels: int, seed: int) -> Iterator[Run]:
    """Processes by which exactly `lots` lots over `levels` levels descend from `recall_source()`, in time order.

    Each run takes one to three lots of the level above and makes one to eight; every lot is made once and,
    but for those of the last level, every lot is used.
    """
    rng = random.Random(f"loomark/recall/v1/{seed}")
    world = build_world(MEMBERS)
    above = [_lot(world, 0, 0)]
    at = END - 250 * 86_400
    for level, size in enumerate(level_sizes(lots, levels), start=1):
        below = [_lot(world, level, i) for i in range(size)]
        for inputs, outputs in _shared_out(above, below, rng):
            at += 7
            place = world.place(ROLES[min(level, 4)], rng)
            yield Run(
                place.member.id,
                place.key.iri,
                at,
                tuple((lot.iri, rng.randrange(5, 50)) for lot in inputs),
                tuple((lot.iri, rng.randrange(50, 500)) for lot in outputs),
            )
        above = below


def _lot(world: World, level: int, index: int) -> Thing:
    role = ROLES[min(level, 4)]
    places = world.by_role[role]
    product = places[index % len(places)].member.product(role, level)
    return lot_of_product(product.gtin, f"L{level}-{index:07d}")


def _shared_out(
    above: list[Thing], below: list[Thing], rng: random.Random
) -> Iterator[tuple[list[Thing], list[Thing]]]:
    """Runs that make every lot below once and use every lot above at least once."""
    unused = list(above)
    start = 0
    while start < len(below):
        left = len(below) - start
        # Leave as many runs as it takes to use the rest of the level above, three lots a run.
        outputs = max(1, min(rng.randrange(1, 9), left, 3 * left // max(len(unused), 1)))
        inputs = unused[: max(rng.randrange(1, 4), -(-len(unused) // (left - outputs + 1)))]
        del unused[: len(inputs)]
        yield inputs or [rng.choice(above)], below[start : start + outputs]
        start += outputs
