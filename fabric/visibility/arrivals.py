"""The events of one transaction as they arrived, so that what they say of each other is not read back from tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from .handover import Own, is_dispatch
from .parties import Sides


class Stated(NamedTuple):
    """A thing that a record creates, or a parent of which it states the contents, from a time on.

    Dispatches of the same member that hand the thing over at or after `from_us` may show the record.
    """

    thing: int
    from_us: int


class NewRecord(NamedTuple):
    """An event whose rows were just written; `own` are the parties it has by itself."""

    record: int
    member: str
    step: str | None
    sides: Sides
    declares: bool
    own: frozenset[str]
    stated: tuple[Stated, ...]


class Arrivals:
    """New events. No earlier record names a thing whose id is `first_thing` or above; None: there is no such thing.

    `own_of` gives a new event, by its record, as hand-overs need it.
    """

    def __init__(
        self, new: Sequence[NewRecord], own_of: Callable[[int], Own], first_thing: int | None
    ) -> None:
        self.new = new
        self.by_record = {item.record: item for item in new}
        self._own_of = own_of
        self._first_thing = first_thing
        self._owns: dict[int, Own] = {}
        self._stating: dict[int, list[NewRecord]] = {}
        for item in new:
            for stated in item.stated:
                self._stating.setdefault(stated.thing, []).append(item)

    def dispatches(self) -> set[int]:
        """The new events that hand things over to somebody."""
        return {
            item.record
            for item in self.new
            if len(item.own) > 1
            and not item.declares
            and is_dispatch(item.step, bool(item.sides.destinations))
        }

    def own(self, record: int) -> Own:
        """A new event as hand-overs need it."""
        found = self._owns.get(record)
        if found is None:
            found = self._owns[record] = self._own_of(record)
        return found

    def parted(self, things: Iterable[int]) -> tuple[set[int], set[int]]:
        """Things that only these events name, and all others."""
        if self._first_thing is None:
            return set(), set(things)
        fresh = {thing for thing in things if thing >= self._first_thing}
        return fresh, set(things) - fresh

    def stating(self, fresh: Iterable[int]) -> list[tuple[str, Own]]:
        """The new events that create a thing or state its contents, each once, with the member that sent it."""
        found = {item.record: item for thing in fresh for item in self._stating.get(thing, ())}
        return [(item.member, self.own(number)) for number, item in found.items()]


NO_ARRIVALS = Arrivals((), lambda record: Own(record, "", None, None, 0, (0, b""), ()), None)
"""For a change that no new event brought about."""
