"""Physical portions: what a pile is really made of, run by run.

A pile is a queue of runs (how many portions, which lots went into each of them). Portions leave in the order
they came, so a process that draws from a pile mixes exactly the portions it drew: some outputs of a lot may
hold none of an input that the records name. Truth about contamination is read from here and nowhere else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

Provenance = frozenset[str]
Run = tuple[int, Provenance]


class Pile:
    """Portions of one lot at one spot, oldest first."""

    __slots__ = ("runs", "size")

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.runs: deque[Run] = deque()
        self.size = 0
        self.add(runs)

    def add(self, runs: Iterable[Run]) -> None:
        """Put runs at the end."""
        for count, provenance in runs:
            if count > 0:
                self.runs.append((count, provenance))
                self.size += count

    def take(self, count: int) -> list[Run]:
        """Draw up to `count` portions from the front; fewer when the pile holds fewer."""
        drawn: list[Run] = []
        while count > 0 and self.runs:
            held, provenance = self.runs.popleft()
            part = min(held, count)
            drawn.append((part, provenance))
            count -= part
            self.size -= part
            if held > part:
                self.runs.appendleft((held - part, provenance))
        return drawn


def mix(inputs: list[list[Run]], count: int, lot: str) -> list[Run]:
    """Make `count` portions of `lot` from inputs drawn side by side.

    Output k is made of the stretch of each input from k/count to (k+1)/count of it, cut into at most
    eight stretches so that a million portions cost as little as ten.
    """
    batches = min(count, 8) or 1
    piles = [Pile(runs) for runs in inputs]
    totals = [pile.size for pile in piles]
    made: list[Run] = []
    for batch in range(batches):
        share = count * (batch + 1) // batches - count * batch // batches
        provenance = {lot}
        for pile, total in zip(piles, totals, strict=True):
            stretch = -(-total * (batch + 1) // batches) - (total - pile.size)
            for _, of in pile.take(stretch):
                provenance |= of
        made.append((share, frozenset(provenance)))
    return made
