"""What business steps mean to lineage, read from the hand-over table of the ontology."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

from ontology import read_table

from .fact import Fact

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
YEAR_US: Final = 365 * DAY_US
NEAR_US: Final = DAY_US
"""A carrier's event this far outside a filling still belongs to it."""

_COUNTS: Final = ("cycle_counting", "stock_taking")
_SOLD: Final = frozenset({"retail_selling", "dispensing"})
_GONE_WITH_CARRIER: Final = frozenset({"destroying"})
_UNMAKES: Final = frozenset({"decommissioning", "destroying"})


class HandoverWords(NamedTuple):
    """The words of `ontology/handover.toml`; `early_us` is how much a receipt may precede its dispatch."""

    dispatch: frozenset[str]
    receipt: frozenset[str]
    end: frozenset[str]
    takes_back: frozenset[str]
    counts: frozenset[str]
    documents: frozenset[str]
    early_us: int


@cache
def words() -> HandoverWords:
    """The hand-over words, read once."""
    table: dict[str, Any] = read_table("handover.toml")
    pairing = table["pairing"]
    return HandoverWords(
        frozenset(table["dispatch"]["steps"]),
        frozenset(table["receipt"]["steps"]),
        frozenset(table["end"]["steps"]),
        frozenset(table["takes_back"]["steps"]),
        frozenset(table.get("counts", {}).get("steps", _COUNTS)),
        frozenset(pairing["documents"]),
        int(pairing["early_receipt_hours"]) * HOUR_US,
    )


def is_dispatch(fact: Fact) -> bool:
    """Whether an event sends its things away; transporting does only with a destination (section 3)."""
    if fact.step not in words().dispatch:
        return False
    return fact.step != "transporting" or bool(fact.destinations)


def is_receipt(fact: Fact) -> bool:
    """Whether an event takes things in."""
    return fact.step in words().receipt


def is_creation(fact: Fact) -> bool:
    """Whether an ObjectEvent brings its objects into being: ADD, unless its step says that they moved."""
    return (
        fact.type == "ObjectEvent"
        and fact.action == "ADD"
        and fact.step not in words().receipt
        and fact.step not in words().dispatch
    )


def is_unmaking(fact: Fact) -> bool:
    """Whether an ObjectEvent takes its objects out of the world."""
    return fact.type == "ObjectEvent" and (fact.action == "DELETE" or fact.step in _UNMAKES)


def end_column(fact: Fact, carried: bool) -> str | None:
    """`sold` or `destroyed` for an event that ends its things; ending a carrier ends contents only if they go too."""
    if fact.step in _SOLD:
        return "sold"
    if carried:
        return "destroyed" if fact.step in _GONE_WITH_CARRIER else None
    if fact.step in words().end or is_unmaking(fact):
        return "destroyed"
    return None


def site(iri: str | None) -> str | None:
    """What two names of one location share: the GLN of a `414` or `417` link, else the name itself."""
    if iri is not None and iri.startswith(("https://id.gs1.org/414/", "https://id.gs1.org/417/")):
        return iri[23:].partition("/")[0]
    return iri
