"""Small supply chains as facts: each call tells one event, an hour after the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from fabric.epcis.event import ErrorDeclaration, Event, Quantity, Ref, Role
from fabric.epcis.identifiers import Position, canonical_thing
from fabric.lineage import Fact, fact_of
from fabric.trace import Coverage, Direction, Options, Question, Trace, TraceSource, trace
from fabric.trace.memory import memory_source
from fabric.trace.source import LinkRow

from .store import Store, Told

BACKEND = "memory"
"""What stories are asked over; `conftest` runs every test over each backend."""

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
START_US = 1_760_000_000_000_000
CBV = "https://ref.gs1.org/cbv/"
GTIN = "https://id.gs1.org/01/09506000134352"

Part = str | tuple[str, str | int] | tuple[str, str | int, str]
"""A thing; with an amount; with an amount and a unit."""


def lot(name: str) -> str:
    return f"{GTIN}/10/{name}"


def serial(name: str) -> str:
    return f"{GTIN}/21/{name}"


def sscc(number: int) -> str:
    digits = f"0950600{number:010}"
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits))
    return f"https://id.gs1.org/00/{digits}{-total % 10}"


def place(member: str) -> str:
    """A place that a member holds, by name; `abroad` is held by nobody."""
    return f"https://{member}.example/dock"


def holder_of(iri: str, _time_us: int) -> str | None:
    name = iri.removeprefix("https://").partition(".")[0]
    return name if iri.startswith("https://") and ".example" in iri and name != "abroad" else None


class Story:
    """Facts in the order told. `time_us` is the time of the last event; `seq` counts captures."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.links: list[Told] = []
        self.time_us = START_US
        self._store: Store | None = None

    def tell(
        self,
        type_: str,
        action: str | None,
        step: str | None,
        at: str | None,
        parts: Iterable[tuple[Role, Part]],
        *,
        by: str | None = None,
        event_id: str | None = None,
        to: str | None = None,
        documents: Sequence[str] = (),
        transformation_id: str | None = None,
        declares: bool = False,
        later_us: int = HOUR_US,
        **more: Any,
    ) -> Fact:
        """One event at a member's place, captured by that member unless `by` names another."""
        self.time_us += later_us
        number = len(self.facts) + 1
        destinations = [(f"{CBV}SDT-location", place(to))] if to else []
        event = Event(
            type=type_,
            action=action,
            event_id=event_id or f"urn:uuid:event-{number}",
            time_us=more.get("time_us", self.time_us),
            offset_min=0,
            biz_step=f"{CBV}BizStep-{step}" if step else None,
            disposition=None,
            read_point=place(at) if at else None,
            biz_location=None,
            things=tuple(_ref(role, part) for role, part in parts),
            sources=(),
            destinations=tuple(destinations),
            transactions=tuple((f"{CBV}BTT-desadv", name) for name in documents),
            transformation_id=transformation_id,
            error_declaration=ErrorDeclaration(self.time_us, None, ()) if declares else None,
            ilmd=more.get("ilmd", {}),
            extensions={},
            sensor=(),
        )
        commitment = hashlib.sha256(f"record {number}".encode()).digest()
        fact = fact_of(
            event,
            record=number,
            commitment=commitment,
            digest=hashlib.sha256(commitment).digest(),
            position=1,
            member=by or at or "farm",
            seq=number,
        )
        self.facts.append(fact)
        return fact

    def make(self, *parts: Part, at: str = "farm", **more: Any) -> Fact:
        return self.tell(
            "ObjectEvent", "ADD", "commissioning", at, [(Role.OBJECT, one) for one in parts], **more
        )

    def turn(self, inputs: Iterable[Part], outputs: Iterable[Part], at: str = "packer", **more: Any) -> Fact:
        parts = [(Role.INPUT, one) for one in inputs] + [(Role.OUTPUT, one) for one in outputs]
        return self.tell("TransformationEvent", None, "commissioning", at, parts, **more)

    def pack(self, parent: str, *children: Part, at: str = "packer", **more: Any) -> Fact:
        parts = [(Role.PARENT, parent), *((Role.CHILD, one) for one in children)]
        return self.tell("AggregationEvent", "ADD", "packing", at, parts, **more)

    def unpack(self, parent: str, *children: Part, at: str = "packer", **more: Any) -> Fact:
        parts = [(Role.PARENT, parent), *((Role.CHILD, one) for one in children)]
        return self.tell("AggregationEvent", "DELETE", "unpacking", at, parts, **more)

    def ship(self, *parts: Part, at: str = "packer", to: str = "shop", **more: Any) -> Fact:
        objects = [(Role.OBJECT, one) for one in parts]
        return self.tell("ObjectEvent", "OBSERVE", "shipping", at, objects, to=to, **more)

    def receive(self, *parts: Part, at: str = "shop", **more: Any) -> Fact:
        return self.see("receiving", *parts, at=at, **more)

    def see(self, step: str, *parts: Part, at: str = "packer", action: str = "OBSERVE", **more: Any) -> Fact:
        return self.tell("ObjectEvent", action, step, at, [(Role.OBJECT, one) for one in parts], **more)

    def void(self, fact: Fact) -> Fact:
        """An error declaration about a fact, by its own member."""
        return self.tell(
            fact.type, fact.action, None, None, [], by=fact.member, event_id=fact.event_id, declares=True
        )

    def same(self, one: str, other: str, statement: str = "s1", *, shown: bool = True) -> None:
        """A `same` link after what was told so far; limited readers see it if `shown`."""
        first, second = sorted((one, other))
        self.links.append(Told(len(self.facts), (first, second, statement), shown))

    def links_for(self, hidden: Iterable[Fact] | None, below: int | None = None) -> list[LinkRow]:
        """The links that a reader may see, at a tree size."""
        early = [one for one in self.links if below is None or one.seq < below]
        return [one.row for one in early if hidden is None or one.shown]

    def source(self, *, hidden: Iterable[Fact] | None = None, later_us: int = 0) -> TraceSource:
        """A source over everything told but what is hidden; `later_us` is how long after the last event."""
        coverage = Coverage(len(self.facts) + 1, self.time_us + later_us)
        if BACKEND == "sql":
            if self._store is None or (self._store.facts, self._store.links) != (self.facts, self.links):
                self._store = Store(self.facts, holder_of, self.links)
            return self._store.source(coverage, hidden)
        gone = {fact.record for fact in hidden or ()}
        shown = [fact for fact in self.facts if fact.record not in gone]
        return memory_source(shown, coverage, holder_of, hidden=hidden, links=self.links_for(hidden))

    def ask(
        self,
        thing: str,
        direction: Direction = Direction.FORWARD,
        *,
        at_us: int | None = None,
        options: Options | None = None,
        hidden: Iterable[Fact] | None = None,
        later_us: int = 0,
    ) -> Trace:
        question = Question(thing, direction, at_us, options or Options())
        return trace(question, self.source(hidden=hidden, later_us=later_us))

    def forward(self, thing: str, **more: Any) -> set[str]:
        return affected(self.ask(thing, Direction.FORWARD, **more))

    def backward(self, thing: str, **more: Any) -> set[str]:
        return affected(self.ask(thing, Direction.BACKWARD, **more))


def affected(answer: Trace) -> set[str]:
    return {hit.thing for hit in answer.hits()}


def section(answer: Trace, name: str) -> list[dict[str, Any]]:
    found: Any = answer.as_json()[name]
    return list(found)


def _ref(role: Role, part: Part) -> Ref:
    name, *amount = (part,) if isinstance(part, str) else part
    position = Position.EPC_CLASS if amount or "/10/" in name else Position.EPC
    if role is Role.MENTION:
        position = Position.DOCUMENT
    thing = canonical_thing(name, position)
    quantity = (
        Quantity(Decimal(str(amount[0])), str(amount[1]) if len(amount) > 1 else None) if amount else None
    )
    return Ref(thing, role, name, quantity)
