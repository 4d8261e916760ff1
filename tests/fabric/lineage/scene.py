"""A tiny builder of facts: events told in one line each, things by one letter and a number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from fabric.epcis.event import ErrorDeclaration, Event, Quantity, Ref, Role
from fabric.epcis.identifiers import Kind
from fabric.epcis.thing import Thing
from fabric.lineage import Derived, Fact, Summary, fact_of
from fabric.lineage.memory import MemoryReader, derive_all, nobody
from fabric.lineage.view import View, view

HOUR = 3_600_000_000
DAY = 24 * HOUR
START = 20_000 * DAY
GTIN = "https://id.gs1.org/01/09506000134352"

FARM = "https://id.gs1.org/414/9506000134307"
PLANT = "https://id.gs1.org/414/9506000134314"
SHOP = "https://id.gs1.org/414/9506000134321"
OTHER = "https://id.gs1.org/414/9506000134338"
CLASS = GTIN


def lot(name: str) -> str:
    return f"{GTIN}/10/{name}"


def unit(name: str) -> str:
    return f"{GTIN}/21/{name}"


def sscc(number: int) -> str:
    return f"https://id.gs1.org/00/{number:018d}"


def grai(number: int) -> str:
    return f"https://id.gs1.org/8003/09506000134352{number}"


def tote(number: int) -> str:
    return f"urn:example:tote:{number}"


Item = str | tuple[str, str | None] | tuple[str, str | None, str | None]


def thing_of(iri: str, lot_of: str | None = None) -> Thing:
    if iri == CLASS or (iri.startswith("https://id.gs1.org/01/") and "/10/" not in iri and "/21/" not in iri):
        return Thing(iri, Kind.CLASS)
    return Thing(iri, Kind.LOT if "/10/" in iri else Kind.SERIAL, lot_of)


def _refs(items: Sequence[Item], role: Role) -> list[Ref]:
    refs = []
    for item in items:
        iri, amount = (item, None) if isinstance(item, str) else (item[0], item[1])
        measure = "KGM" if not isinstance(item, tuple) or len(item) < 3 else item[2]
        thing = thing_of(iri)
        quantity = None
        if thing.kind is not Kind.SERIAL:
            quantity = Quantity(None, None) if amount is None else Quantity(Decimal(amount), measure)
        refs.append(Ref(thing, role, iri, quantity))
    return refs


def party(kind: str, iri: str) -> tuple[str, str]:
    return (f"https://ref.gs1.org/cbv/SDT-{kind}", iri)


class Scene:
    """Facts in the order in which they were told; times are hours after the start."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def event(
        self,
        kind: str,
        hour: float,
        *,
        action: str | None = "OBSERVE",
        step: str | None = None,
        objects: Sequence[Item] = (),
        parent: str | None = None,
        children: Sequence[Item] = (),
        inputs: Sequence[Item] = (),
        outputs: Sequence[Item] = (),
        at: str | None = None,
        source: str | None = None,
        to: str | None = None,
        possessor: str | None = None,
        owner: str | None = None,
        docs: Sequence[tuple[str, str]] = (),
        member: str = "farm",
        event_id: str | None = None,
        run: str | None = None,
        declares: bool = False,
        ilmd: dict[str, Any] | None = None,
        position: int = 1,
        offset_min: int = 0,
    ) -> Fact:
        refs = _refs(objects, Role.OBJECT) + _refs([parent] if parent else [], Role.PARENT)
        refs += _refs(children, Role.CHILD) + _refs(inputs, Role.INPUT) + _refs(outputs, Role.OUTPUT)
        sources = [party("location", source)] if source else []
        destinations = [party("location", to)] if to else []
        destinations += [party("possessing_party", possessor)] if possessor else []
        destinations += [party("owning_party", owner)] if owner else []
        sources += [party("owning_party", owner)] if owner else []
        event = Event(
            type=f"{kind}Event",
            action=None if kind == "Transformation" else action,
            event_id=event_id,
            time_us=START + round(hour * HOUR),
            offset_min=offset_min,
            biz_step=None if step is None else f"https://ref.gs1.org/cbv/BizStep-{step}",
            disposition=None,
            read_point=at,
            biz_location=None,
            things=tuple(refs),
            sources=tuple(sources),
            destinations=tuple(destinations),
            transactions=tuple((f"https://ref.gs1.org/cbv/BTT-{type_}", name) for type_, name in docs),
            transformation_id=run,
            error_declaration=ErrorDeclaration(0, None, ()) if declares else None,
            ilmd=ilmd or {},
            extensions={},
            sensor=(),
        )
        number = len(self.facts) + 1
        told = repr((event, member, position)).encode()
        digest = hashlib.sha256(told).digest()
        commitment = hashlib.sha256(told + b"%d" % number).digest()
        fact = fact_of(
            event,
            record=number,
            commitment=commitment,
            digest=digest,
            position=position,
            member=member,
            seq=number,
        )
        self.facts.append(fact)
        return fact

    def make(self, hour: float, *objects: Item, at: str | None = FARM, **more: Any) -> Fact:
        return self.event("Object", hour, action="ADD", step="commissioning", objects=objects, at=at, **more)

    def see(self, hour: float, step: str, *objects: Item, **more: Any) -> Fact:
        return self.event("Object", hour, step=step, objects=objects, **more)

    def ship(self, hour: float, *objects: Item, at: str = FARM, to: str | None = PLANT, **more: Any) -> Fact:
        return self.event(
            "Object", hour, step=more.pop("step", "shipping"), objects=objects, at=at, to=to, **more
        )

    def receive(self, hour: float, *objects: Item, at: str = PLANT, **more: Any) -> Fact:
        return self.event("Object", hour, step=more.pop("step", "receiving"), objects=objects, at=at, **more)

    def transform(self, hour: float, inputs: Sequence[Item], outputs: Sequence[Item], **more: Any) -> Fact:
        more.setdefault("at", PLANT)
        return self.event("Transformation", hour, inputs=inputs, outputs=outputs, **more)

    def pack(self, hour: float, parent: str, *children: Item, **more: Any) -> Fact:
        more.setdefault("at", FARM)
        return self.event(
            "Aggregation", hour, action="ADD", step="packing", parent=parent, children=children, **more
        )

    def unpack(self, hour: float, parent: str, *children: Item, **more: Any) -> Fact:
        more.setdefault("at", FARM)
        return self.event(
            "Aggregation", hour, action="DELETE", step="unpacking", parent=parent, children=children, **more
        )

    def look(self, hour: float, parent: str, *children: Item, **more: Any) -> Fact:
        return self.event("Aggregation", hour, action="OBSERVE", parent=parent, children=children, **more)

    def declare(self, fact: Fact, member: str | None = None) -> Fact:
        """An error declaration for a fact's eventID."""
        return self.event(
            fact.type.removesuffix("Event"),
            (fact.time_us - START) / HOUR,
            event_id=fact.event_id,
            member=member or fact.member,
            declares=True,
        )

    def reader(self, holder_of: Any = nobody) -> MemoryReader:
        return MemoryReader(self.facts, holder_of)

    def derived(self, holder_of: Any = nobody) -> Derived:
        return derive_all(self.reader(holder_of))

    def summary(self, thing: str) -> Summary:
        return self.derived().summaries[thing]


def seen(derived: Derived, facts: Sequence[Fact]) -> View:
    """A comparable view of what was derived from facts whose keys are IRIs."""
    commitments = {fact.record: fact.commitment.hex() for fact in facts}
    return view(derived, str, commitments.__getitem__)


def hours(time_us: int | None) -> float | None:
    return None if time_us is None else (time_us - START) / HOUR
