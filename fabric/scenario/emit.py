"""EPCIS 2.0 events as JSON values, in the words of the member that captures them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

from .names import Thing
from .world import Member, Place

GS1_CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
PREFIXES = {"sim": "https://ns.example.org/scenario/"}
CONTEXT: list[Any] = [GS1_CONTEXT, PREFIXES]

Event = dict[str, Any]
Goods = Sequence[tuple[Thing, int | None]]


@cache
def _zone(offset_min: int) -> timezone:
    return timezone(timedelta(minutes=offset_min))


@cache
def offset_text(offset_min: int) -> str:
    """An offset as EPCIS writes it: a sign, hours and minutes."""
    return f"{'-' if offset_min < 0 else '+'}{abs(offset_min) // 60:02d}:{abs(offset_min) % 60:02d}"


def time_text(member: Member, at: int) -> str:
    """An instant as this member writes it: most in local time, some in UTC with milliseconds."""
    if member.style == "brand":
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return datetime.fromtimestamp(at, _zone(member.offset_min)).isoformat()


def local_date(member: Member, at: int) -> str:
    """The calendar day at the member's own clock."""
    return datetime.fromtimestamp(at, _zone(member.offset_min)).date().isoformat()


def amount(portions: int, thing: Thing) -> int | float:
    """Portions as a JSON number in the thing's unit."""
    whole, rest = divmod(portions, thing.steps)
    return whole if rest == 0 else portions / thing.steps


def quantity_element(member: Member, thing: Thing, portions: int | None) -> dict[str, Any]:
    """One entry of a quantity list."""
    element: dict[str, Any] = {"epcClass": member.spell(thing)}
    if portions is not None:
        element["quantity"] = amount(portions, thing)
        if thing.unit is not None:
            element["uom"] = thing.unit
    return element


def goods_fields(member: Member, goods: Goods, epcs: str, quantities: str) -> Event:
    """Goods split into the two lists of an event; a list that would be empty is left out."""
    named = [member.spell(t) for t, _ in goods if t.kind in ("serial", "carrier")]
    by_class = [quantity_element(member, t, n) for t, n in goods if t.kind in ("lot", "class")]
    return {name: value for name, value in ((epcs, named), (quantities, by_class)) if value}


def start(kind: str, event_id: str, member: Member, at: int) -> Event:
    """What every event opens with."""
    return {
        "type": kind,
        "eventID": event_id,
        "eventTime": time_text(member, at),
        "eventTimeZoneOffset": offset_text(member.offset_min),
    }


def where(member: Member, place: Place, *, resting: bool = True) -> Event:
    """Where it was seen, and where it then is unless it left (`resting` False)."""
    name = {"id": member.spell(place.key)}
    return {"readPoint": name, "bizLocation": name} if resting else {"readPoint": name}


def parties(member: Member, src: Place, dst: Place, owner: Member | None = None) -> Event:
    """Source and destination of a hand-over, with the owner where possession and ownership part."""

    def side(place: Place, word: str) -> list[dict[str, str]]:
        named = [("possessing_party", place.member.party), ("location", place.key)]
        if owner is not None:
            named.insert(0, ("owning_party", owner.party))
        return [{"type": kind, word: member.spell(thing)} for kind, thing in named]

    return {"sourceList": side(src, "source"), "destinationList": side(dst, "destination")}


def document_name(member: Member, kind: str, number: int) -> str:
    """A business document by its issuer's location number: a CBV transaction identifier."""
    return f"urn:epcglobal:cbv:bt:{member.party.iri.rpartition('/')[2]}:{kind.upper()}-{number}"


def transactions(*named: tuple[str, str]) -> Event:
    """A business transaction list of (type, document) pairs."""
    return {"bizTransactionList": [{"type": kind, "bizTransaction": name} for kind, name in named]}
