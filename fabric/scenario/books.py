"""The simulator's own process and packing lists, and what follows from them.

This is the second, independent reading of the rules of a trace: it is written from the rules and from what
the simulator did, and shares no code with the lineage index it is used to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from .names import Thing

DAY_S = 86_400
OVERDUE_S = 14 * DAY_S


@dataclass(eq=False, slots=True)
class Filling:
    """One use of a carrier, from its first content (or its making, when a process put it out) until emptied."""

    carrier: Thing
    start: int
    put_out: bool = False
    until: int | None = None
    material: bool = False


Node = Thing | Filling


@dataclass(slots=True)
class Packing:
    """A thing inside a filling over a time; `inferred` when no record states the end."""

    child: Thing
    filling: Filling
    start: int
    until: int | None = None
    inferred: bool = False


@dataclass(slots=True)
class Leg:
    """One lot's part in a hand-over. `got` None: not received. `state`: open, received, outside or voided."""

    lot: Thing
    src: str
    dst: str
    sent: int
    at: int
    got: int | None = None
    state: str = "open"


COLUMNS = ("made", "received", "dispatched", "used", "sold", "destroyed")


@dataclass(slots=True)
class Account:
    """What happened to one lot at one place, in portions. `counted` is the newest count, `booked` the book then."""

    made: int = 0
    received: int = 0
    dispatched: int = 0
    used: int = 0
    sold: int = 0
    destroyed: int = 0
    counted: int | None = None
    booked: int = 0

    @property
    def book(self) -> int:
        """What ought to be there: in less out. Negative when more left than came."""
        return self.made + self.received - self.dispatched - self.used - self.sold - self.destroyed

    @property
    def on_hand(self) -> int:
        """The newest count and what moved after it, else the book, never below nothing."""
        counted = self.book if self.counted is None else self.counted + self.book - self.booked
        return max(counted, 0)


@dataclass(slots=True)
class Books:
    """Everything one cell of the simulation did. Cells share no lot, serial or carrier, so books are closed."""

    processes: list[tuple[list[Node], list[Node]]] = field(default_factory=list)
    serials: dict[Thing, list[Thing]] = field(default_factory=dict)
    packings: list[Packing] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    accounts: dict[Thing, dict[str, Account]] = field(default_factory=dict)
    provenance: dict[str, set[str]] = field(default_factory=dict)
    lots: list[Thing] = field(default_factory=list)
    told: list[tuple[str, int, list[Thing]]] = field(default_factory=list)

    def account(self, lot: Thing, place: str) -> Account:
        """The account of a lot at a place, opened when there is none."""
        return self.accounts.setdefault(lot, {}).setdefault(place, Account())

    def note(self, lot: Thing, provenance: Iterable[frozenset[str]]) -> None:
        """Remember which sources have physically reached a lot."""
        self.provenance.setdefault(lot.iri, {lot.iri}).update(chain.from_iterable(provenance))

    def edges(self) -> Iterator[tuple[Node, Node]]:
        """Every step a trace may take forward; backward is the same list read the other way."""
        for inputs, outputs in self.processes:
            yield from ((source, made) for source in inputs for made in outputs)
        for lot, serials in self.serials.items():
            yield from ((lot, serial) for serial in serials)
        for packing in self.packings:
            if packing.filling.put_out:
                yield packing.filling, packing.child
            elif packing.filling.material:
                yield packing.filling.carrier, packing.child

    def reach(self, start: Iterable[Node], *, forward: bool) -> dict[Node, int]:
        """The least set that holds `start` and is closed under the steps of a trace, with the fewest steps to each."""
        steps: dict[Node, list[Node]] = {}
        for source, made in self.edges():
            key, value = (source, made) if forward else (made, source)
            steps.setdefault(key, []).append(value)
        found = dict.fromkeys(start, 0)
        front, level = list(found), 0
        while front:
            level += 1
            front = [n for n in {m for node in front for m in steps.get(node, ())} if n not in found]
            found.update(dict.fromkeys(front, level))
        return found

    def events_of(self, reached: Iterable[Node]) -> list[str]:
        """The eventIDs of what is told of any of the nodes, or of a carrier while one of them was in it."""
        wanted = set(reached)
        spans: dict[Thing, list[tuple[int, int | None]]] = {}
        for packing in self.packings:
            if packing.child in wanted:
                spans.setdefault(packing.filling.carrier, []).append((packing.start, packing.until))
        for node in wanted:
            if isinstance(node, Filling):
                spans.setdefault(node.carrier, []).append((node.start, node.until))

        def concerns(thing: Thing, at: int) -> bool:
            within = spans.get(thing, ())
            return thing in wanted or any(a <= at and (b is None or at <= b) for a, b in within)

        return sorted(i for i, at, things in self.told if any(concerns(t, at) for t in things))

    def start_of(self, thing: Thing) -> list[Node]:
        """What a question about a thing starts from: for a carrier its latest filling and its contents."""
        fillings = [p.filling for p in self.packings if p.filling.carrier == thing and not p.filling.material]
        if not fillings:
            return [thing]
        latest = max(fillings, key=lambda f: f.start)
        return [latest, *dict.fromkeys(p.child for p in self.packings if p.filling is latest)]
