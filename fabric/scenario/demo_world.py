"""The five companies of the demonstration: names, addresses and products that read well."""

from __future__ import annotations

from .names import gtin14, place_key
from .world import Member, Place, Product, World

_MEMBERS = (
    ("farm", "Green Valley Farm", "-07:00", "Salinas", "CA", "93905", "+1 831 555 0110"),
    ("packer", "Coastal Packing Co.", "-07:00", "Castroville", "CA", "95012", "+1 831 555 0120"),
    ("processor", "Leaf & Bowl Kitchens", "-07:00", "Fresno", "CA", "93721", "+1 559 555 0130"),
    ("distributor", "Northgate Distribution", "-06:00", "Denver", "CO", "80216", "+1 303 555 0140"),
    ("retailer", "Marlow Markets", "-06:00", "Denver", "CO", "80205", "+1 303 555 0150"),
)
_PLACES = {
    "farm": ("Green Valley yard and cooler", "North Field", "South Field", "River Field"),
    "packer": ("Coastal packing house",),
    "processor": ("Leaf & Bowl kitchen, line 2",),
    "distributor": ("Northgate depot East", "Northgate depot West"),
    "retailer": ("Marlow Harbour Street", "Marlow Station", "Marlow Hillside"),
}
_PRODUCTS = {
    ("farm", 0): ("Romaine lettuce, bulk bins", "KGM", 2, "Romaine"),
    ("packer", 0): ("Romaine hearts, case of 24", None, 1, "Romaine"),
    ("processor", 0): ("Caesar cut salad 200 g, case of 12", None, 1, "Leafy greens, fresh-cut"),
    ("processor", 1): ("Shredded carrot, 5 kg bag", None, 1, "Carrot"),
    ("processor", 2): ("Garden cut salad 200 g, case of 12", None, 1, "Leafy greens, fresh-cut"),
    ("retailer", 0): ("Chicken Caesar bowl, made in store", None, 1, "Ready-to-eat deli salad"),
}


def demo_world() -> World:
    """The five companies, with addresses and products that read well."""
    by_role: dict[str, list[Place]] = {}
    members = []
    for index, (role, name, offset, *address) in enumerate(_MEMBERS):
        member = Member(
            role, name, role, f"952{5001 + index}", "urn" if index % 2 else "link", _minutes(offset)
        )
        details = dict(zip(("city", "state", "postalCode", "gs1:telephone"), address, strict=True))
        member.details |= details | {"countryCode": "US"}
        by_role[role] = _open_places(member, details)
        member.catalogue |= _catalogue(member)
        members.append(member)
    return World(members, [], by_role)


def _minutes(offset: str) -> int:
    return (-1 if offset[0] == "-" else 1) * (int(offset[1:3]) * 60 + int(offset[4:]))


def _open_places(member: Member, details: dict[str, str]) -> list[Place]:
    for number, name in enumerate(_PLACES[member.role], start=1):
        street = {"streetAddressOne": f"{100 + 20 * number} {name.split()[0]} Road"}
        member.places.append(
            Place(place_key(member.prefix, number), name, member, member.role, street | details)
        )
    return member.places


def _catalogue(member: Member) -> dict[tuple[str, int], Product]:
    return {
        (role, variant): Product(
            gtin14(member.prefix, 10 + variant, 0 if unit else 1),
            name,
            unit,
            steps,
            {
                "functionalName": commodity,
                "sim:brand": member.name,
                "sim:packaging": name.rpartition(", ")[2],
            },
        )
        for (role, variant), (name, unit, steps, commodity) in _PRODUCTS.items()
        if role == member.role
    }
