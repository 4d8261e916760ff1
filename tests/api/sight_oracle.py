"""Who sees what of a set of documents, worked out from their JSON and section 4 of design/meaning.md alone.

It shares nothing with the packages it is held against but the reading of names (`canonical_thing`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from fabric.epcis.identifiers import Position, canonical_thing

DISPATCH = {"shipping", "consigning", "departing", "transporting"}
CREATING = {"commissioning", "creating_class_instance"}
UNITS = {
    "eventTime",
    "eventTimeZoneOffset",
    "readPoint",
    "bizLocation",
    "bizStep",
    "disposition",
    "ilmd",
}
OUTPUTS = {"outputEPCList", "outputQuantityList"}
OBJECTS = {"epcList", "quantityList"}
NAMES = {
    "epcList": Position.EPC,
    "quantityList": Position.EPC_CLASS,
    "parentID": Position.EPC,
    "childEPCs": Position.EPC,
    "childQuantityList": Position.EPC_CLASS,
    "inputEPCList": Position.EPC,
    "inputQuantityList": Position.EPC_CLASS,
    "outputEPCList": Position.EPC,
    "outputQuantityList": Position.EPC_CLASS,
    "readPoint": Position.PLACE,
    "bizLocation": Position.PLACE,
}
GOODS = [name for name, position in NAMES.items() if position is not Position.PLACE]

Event = Mapping[str, Any]


class Told:
    """One event as one member captured it; `sight` is "whole" or "part" by member, others see nothing of it."""

    def __init__(self, member: str, event: Event) -> None:
        self.member = member
        self.event = event
        self.id = str(event["eventID"])
        self.time = datetime.fromisoformat(event["eventTime"])
        self.sight: dict[str, str] = {member: "whole"}

    def spelled(self, *fields: str) -> dict[str, str]:
        """Canonical IRIs of what some fields name, by the text as sent."""
        found: dict[str, str] = {}
        for field in fields:
            value = self.event.get(field, [])
            for item in value if isinstance(value, list) else [value]:
                text = item if isinstance(item, str) else item.get("epcClass") or item["id"]
                found[text] = canonical_thing(text, NAMES[field]).iri
        return found

    def things(self, *fields: str) -> set[str]:
        """Canonical IRIs of what some fields name."""
        return set(self.spelled(*fields).values())

    def sides(self) -> Iterator[tuple[str, str, str]]:
        """Side, type and name of each source and destination."""
        for side in ("source", "destination"):
            for item in self.event.get(f"{side}List", []):
                yield side, item["type"], item[side]

    def mentioned(self) -> dict[str, str]:
        """What else the whole of it names, by the text as sent."""
        found = self.spelled(*[name for name in NAMES if name in self.event])
        for _, kind, text in self.sides():
            position = Position.PLACE if kind == "location" else Position.PARTY
            found[text] = canonical_thing(text, position).iri
        for item in self.event.get("bizTransactionList", []):
            text = item["bizTransaction"]
            found[text] = canonical_thing(text, Position.DOCUMENT).iri
        return found

    def shown(self) -> set[str]:
        """The units of a creation that a hand-over shows."""
        lists = OUTPUTS if self.event["type"] == "TransformationEvent" else OBJECTS
        return {name for name in self.event if name in UNITS | lists}


class Oracle:
    """All that members captured, and who sees what of it."""

    def __init__(self, told: Sequence[Told], members: Sequence[Mapping[str, Any]]) -> None:
        self.told = told
        self.members = [str(one["id"]) for one in members]
        self._holders = {iri: one["id"] for one in members for iri in one["parties"]}
        for one in told:
            self._make_parties(one)
        dispatches = [one for one in told if self._is_dispatch(one)]
        for one in dispatches:
            self._hand_over(one)

    def sees(self, member: str) -> dict[str, str]:
        """What a member sees named: canonical IRIs by the text as sent."""
        found: dict[str, str] = {}
        for one in self.told:
            sight = one.sight.get(member)
            if sight == "whole":
                found |= one.mentioned()
            elif sight == "part":
                found |= one.spelled(*[name for name in NAMES if name in one.shown()])
        return found

    def sees_claim(self, member: str, author: str, iri: str) -> bool:
        """Whether a member sees master data: its own, and that of whatever it sees named.

        A lot or serial of a product names the product.
        """
        seen = set(self.sees(member).values())
        return (
            member == author
            or iri in seen
            or any(one.startswith((f"{iri}/10/", f"{iri}/21/")) for one in seen)
        )

    def names(self) -> dict[str, str]:
        """Everything that anybody named: canonical IRIs by the text as sent."""
        return {text: iri for one in self.told for text, iri in one.mentioned().items()}

    def _make_parties(self, one: Told) -> None:
        if one.event["type"] == "TransformationEvent":
            return
        sides: dict[tuple[str, str], set[str]] = {}
        for side, kind, text in one.sides():
            sides.setdefault((side, kind), set()).add(text)
        assert all(len(texts) == 1 for texts in sides.values()), "the oracle knows no event to be split"
        for texts in sides.values():
            for text in texts:
                holder = self._holders.get(canonical_thing(text, Position.PARTY).iri)
                if holder is not None:
                    one.sight[holder] = "whole"

    def _is_dispatch(self, one: Told) -> bool:
        step, to = one.event.get("bizStep"), one.event.get("destinationList")
        return one.event["type"] != "TransformationEvent" and step in DISPATCH and bool(to)

    def _hand_over(self, dispatch: Told) -> None:
        parties = [name for name, sight in dispatch.sight.items() if sight == "whole"]
        own = [one for one in self.told if one.member == dispatch.member]
        handed, waiting = set[str](), dispatch.things(*GOODS)
        while waiting:
            handed |= waiting
            held = [one for carrier in waiting for one in _holding(own, carrier, dispatch.time)]
            for one in held:
                one.sight.update(dict.fromkeys(parties, "whole"))
            waiting = {
                thing for one in held for thing in one.things("childEPCs", "childQuantityList")
            } - handed
        for one in own:
            if _created(one) & handed:
                for party in parties:
                    one.sight.setdefault(party, "part")


def _holding(own: Sequence[Told], carrier: str, until: datetime) -> list[Told]:
    """The packings that state what a carrier held at a time; nothing is taken out of one singly here."""
    held: list[Told] = []
    for one in sorted(own, key=lambda one: one.time):
        if "parentID" not in one.event or carrier not in one.things("parentID") or one.time > until:
            continue
        if one.event["action"] == "DELETE":
            assert not {"childEPCs", "childQuantityList"} & one.event.keys()
            held.clear()
        else:
            held.append(one)
    return held


def _created(one: Told) -> set[str]:
    if one.event["type"] == "TransformationEvent":
        return one.things(*OUTPUTS)
    creates = one.event["type"] == "ObjectEvent" and one.event["action"] == "ADD"
    return one.things(*OBJECTS) if creates and one.event.get("bizStep") in CREATING else set()


def read_folder(folder: Path, members: Sequence[Mapping[str, Any]]) -> Oracle:
    """The oracle of a scenario's documents."""
    told = []
    for one in members:
        for path in sorted((folder / one["folder"]).iterdir()):
            events = json.loads(path.read_bytes())["epcisBody"]["eventList"]
            told += [Told(one["id"], event) for event in events]
    return Oracle(told, members)


__all__ = ["Oracle", "Told", "read_folder"]
