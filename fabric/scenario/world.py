"""The simulated consortium: members by role, their places and products, and neighbours outside the ledger."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from .names import Thing, gtin14, party_key, place_key, spell, trade_class

END = 1_782_864_000
"""The simulation's today, 2026-07-01T00:00:00Z: no event is later, and truth measures ages at it."""

ROLES = ("farm", "packer", "processor", "distributor", "retailer", "logistics")
_ORDER = (*ROLES, "packer", "retailer", "farm", "distributor", "processor", "retailer")
_STYLES = ("urn", "link", "link", "brand", "words", "urn")
_OFFSETS_MIN = (-300, 0, 60, -420, 120, -360)
_PLACES_OF = {"packer": 2, "processor": 2, "distributor": 2, "retailer": 3}
_PLACE_WORD = {
    "farm": "Ranch",
    "packer": "Packing house",
    "processor": "Kitchen",
    "distributor": "Depot",
    "retailer": "Store",
    "logistics": "Cross-dock",
    "outside": "Yard",
}
_PRODUCT = {
    "farm": ("Romaine, field bin", "KGM", 2),
    "packer": ("Romaine hearts, case of 24", None, 1),
    "processor": ("Cut salad 200 g, case of 12", None, 1),
    "distributor": ("Mixed greens, repacked case", None, 1),
    "retailer": ("Salad bowl, made in store", None, 1),
    "logistics": ("Bundle, made up at the dock", None, 1),
    "outside": ("Bulk greens", "KGM", 2),
}


@dataclass(frozen=True, slots=True)
class Product:
    """A trade item and the unit its lots are counted in (`steps` portions to the unit)."""

    gtin: str
    name: str
    unit: str | None
    steps: int
    details: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Member:
    """An organisation; `admitted` is False for the neighbours outside the ledger.

    Counters give fresh lots, pallets and documents; a member never reuses one. `catalogue` names products by
    (role, variant) where the stock names will not do, and `details` are the attributes of its party.
    """

    id: str
    name: str
    role: str
    prefix: str
    style: str
    offset_min: int
    admitted: bool = True
    party: Thing = field(init=False)
    places: list[Place] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    catalogue: dict[tuple[str, int], Product] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.party = party_key(self.prefix)

    def next(self, what: str) -> int:
        """A number not given before for `what`."""
        number = self.counters.get(what, 0) + 1
        self.counters[what] = number
        return number

    def spell(self, thing: Thing) -> str:
        """How this member writes a thing's name."""
        return spell(thing, self.style, f"{self.id}.example")

    def product(self, role: str, variant: int = 0) -> Product:
        """This member's product for work done in a role; each variant has a GTIN of its own."""
        if (role, variant) in self.catalogue:
            return self.catalogue[role, variant]
        name, unit, steps = _PRODUCT[role]
        item = 100 * (ROLES.index(role) if role in ROLES else 9) + variant
        return Product(gtin14(self.prefix, item, 1 if unit is None else 0), name, unit, steps)

    def packaging(self) -> Thing:
        """Film and cartons, known by GTIN only."""
        return trade_class(gtin14(self.prefix, 990))


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A site of a member."""

    key: Thing
    name: str
    member: Member
    role: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class World:
    """Who takes part. With fewer members than roles a member plays several roles, each at a place of its own."""

    members: list[Member]
    outside: list[Member]
    by_role: dict[str, list[Place]]

    def place(self, role: str, rng: random.Random, *, other_than: Place | None = None) -> Place:
        """A place for a role; another one than `other_than` where there is one."""
        choice = [p for p in self.by_role[role] if p is not other_than]
        return rng.choice(choice or self.by_role[role])


def build_world(members: int) -> World:
    """The consortium of `members` organisations; depends on nothing else."""
    made = [_member(i, _ORDER[i % len(_ORDER)], i // len(_ORDER)) for i in range(members)]
    outside = [_outsider(i) for i in range(2)]
    by_role: dict[str, list[Place]] = {role: [] for role in (*ROLES, "outside")}
    for member in (*made, *outside):
        for _ in range(_PLACES_OF.get(member.role, 1)):
            by_role[member.role].append(_open_place(member, member.role))
    for i, role in enumerate(ROLES):
        if not by_role[role]:
            # Two, so that goods can always go from one place of a role to another.
            by_role[role] += [_open_place(made[i % members], role) for _ in range(2)]
    return World(made, outside, by_role)


def _member(index: int, role: str, round_: int) -> Member:
    number = sum(1 for i in range(index % len(_ORDER)) if _ORDER[i] == role) + round_ * _ORDER.count(role) + 1
    return Member(
        id=f"{role}-{number}",
        name=f"{role.capitalize()} {number}",
        role=role,
        prefix=f"952{index + 1:04d}",
        style=_STYLES[index % len(_STYLES)],
        offset_min=_OFFSETS_MIN[index % len(_OFFSETS_MIN)],
    )


def _outsider(index: int) -> Member:
    return Member(
        id=f"outside-{index + 1}",
        name=f"Neighbour {index + 1} (not a member)",
        role="outside",
        prefix=f"952{9990 + index}",
        style="urn",
        offset_min=0,
        admitted=False,
    )


def _open_place(member: Member, role: str) -> Place:
    number = len(member.places) + 1
    name = f"{_PLACE_WORD[role]} {number} of {member.name}"
    place = Place(place_key(member.prefix, number), name, member, role)
    member.places.append(place)
    return place


def members_json(world: World) -> dict[str, Any]:
    """`members.json`: who to admit and the identifiers to give each (parties and places alike)."""
    return {
        "schema": "loomark/members/v1",
        "members": [
            {
                "id": m.id,
                "name": m.name,
                "role": m.role,
                "parties": [m.party.iri, *(p.key.iri for p in m.places)],
                "places": [{"iri": p.key.iri, "name": p.name} for p in m.places],
                "folder": m.id,
            }
            for m in world.members
        ],
    }
