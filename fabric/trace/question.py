"""What is asked of a trace: a thing, a direction, an instant, an earlier tree size, options, a budget."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.errors import InvalidInput

from .reach import Budget, Direction


@dataclass(frozen=True, slots=True)
class Options:
    """What may narrow or widen a trace. All off by default; the answer names those that were on.

    `making_place` is the IRI of a place at which the lot was made: only processes fed from there are followed
    from the start. `kill_step` is a business step (CBV word or IRI)
    that ends a forward trace at what it handled or put out. `exposed_h` lists, apart
    from the affected things, what shared a carrier or a place with one of them within that many hours.
    """

    making_place: str | None = None
    kill_step: str | None = None
    exposed_h: int | None = None

    def __post_init__(self) -> None:
        if self.exposed_h is not None and not 0 <= self.exposed_h <= 24 * 366:
            raise InvalidInput(
                f"expected a window of 0 to 8784 hours, got {self.exposed_h}", rule="bad-option"
            )

    def as_json(self) -> dict[str, object]:
        """The options that are on, by the names of the answer."""
        on: dict[str, object] = {}
        if self.exposed_h is not None:
            on["exposed"] = self.exposed_h
        if self.kill_step is not None:
            on["kill_step"] = self.kill_step
        if self.making_place is not None:
            on["making_place"] = self.making_place
        return on


@dataclass(frozen=True, slots=True)
class Question:
    """One question: the canonical IRI of a thing, and which way to go from it.

    `at_us` chooses the filling of a carrier (microseconds UTC; None = the latest one). The tree size as of
    which it is asked belongs to the source that answers.
    """

    thing: str
    direction: Direction = Direction.BOTH
    at_us: int | None = None
    options: Options = field(default_factory=Options)
    budget: Budget = field(default_factory=Budget)


__all__ = ["Options", "Question"]
