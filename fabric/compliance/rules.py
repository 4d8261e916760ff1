"""The rule tables of FSMA 204 as values (`ontology/fsma204`): which event is which, and what each has to state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from ontology import read_table

LOCATION: Final = "location"
PRODUCT: Final = "product"
_DESCRIPTIONS: Final = frozenset({LOCATION, PRODUCT})


@dataclass(frozen=True, slots=True)
class Kde:
    """One key data element: its id, section of the CFR, condition, and how it is found (see `kde.toml`)."""

    id: str
    section: str
    find: str
    when: str | None
    of: str | None
    at: str | None
    names: tuple[str, ...]
    phones: tuple[str, ...]
    event_time: bool
    share: bool


@dataclass(frozen=True, slots=True)
class Cte:
    """One critical tracking event and its key data elements."""

    name: str
    section: str
    kdes: tuple[Kde, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the ordered rule file; an empty condition holds. `none` and `why` say why there is no `cte`."""

    cte: str | None
    none: str | None
    why: str | None
    types: frozenset[str]
    actions: frozenset[str]
    steps: tuple[str, ...]
    roles: frozenset[str]
    named: frozenset[str]
    not_named: frozenset[str]
    made_by: frozenset[str]
    inputs: str | None
    hidden: tuple[str, ...]
    sensors: frozenset[str]
    moves: bool | None


@dataclass(frozen=True, slots=True)
class Variant:
    """Where an event of `cte` states one of `named`, or its commodity has one of `words`, `other` is wanted."""

    cte: str
    other: str
    named: frozenset[str]
    words: tuple[str, ...]


@cache
def ctes() -> Mapping[str, Cte]:
    """The critical tracking events by name."""
    table = read_table("fsma204/kde.toml")
    return {name: _cte(name, part) for name, part in table.items() if name not in _DESCRIPTIONS}


@cache
def description(name: str) -> Mapping[str, tuple[str, ...]]:
    """The parts of a `location` or `product` description, each with the names that state it."""
    return {part: tuple(names) for part, names in read_table("fsma204/kde.toml")[name].items()}


@cache
def rules() -> tuple[Rule, ...]:
    """The rules that tell which critical tracking event an event is, in their order."""
    return tuple(_rule(row) for row in read_table("fsma204/cte.toml")["rule"])


@cache
def making() -> frozenset[str]:
    """The critical tracking events that make a lot."""
    return frozenset(read_table("fsma204/cte.toml")["making"]["ctes"])


@cache
def cooled_commodities() -> tuple[str, ...]:
    """Words for food that is expected to be cooled before it is packed."""
    return tuple(read_table("fsma204/cte.toml")["cooling"]["commodities"])


@cache
def variants(kind: str) -> tuple[Variant, ...]:
    """What is wanted `instead` of, or `beside`, the elements of an event."""
    rows = read_table("fsma204/cte.toml").get(kind, ())
    return tuple(
        Variant(
            row["cte"],
            row["use"] if kind == "instead" else row["add"],
            frozenset(row.get("named", ())),
            tuple(row.get("commodities", ())),
        )
        for row in rows
    )


def _cte(name: str, part: Mapping[str, Any]) -> Cte:
    section = part["section"]
    kdes = tuple(
        Kde(
            row["id"],
            section + row["cite"],
            row["find"],
            row.get("when"),
            row.get("of"),
            row.get("at"),
            tuple(row.get("names", ())),
            tuple(row.get("phones", ())),
            row.get("event_time", False),
            row.get("share", False),
        )
        for row in part["kdes"]
    )
    return Cte(name, section, kdes)


def _rule(row: Mapping[str, Any]) -> Rule:
    return Rule(
        row.get("cte"),
        row.get("none"),
        row.get("why"),
        frozenset(row.get("types", ())),
        frozenset(row.get("actions", ())),
        tuple(row.get("steps", ())),
        frozenset(row.get("roles", ())),
        frozenset(row.get("named", ())),
        frozenset(row.get("not_named", ())),
        frozenset(row.get("made_by", ())),
        row.get("inputs"),
        tuple(row.get("hidden", ())),
        frozenset(row.get("sensors", ())),
        row.get("moves"),
    )


__all__ = [
    "Cte",
    "Kde",
    "Rule",
    "Variant",
    "cooled_commodities",
    "ctes",
    "description",
    "making",
    "rules",
    "variants",
]
