"""One event record as lineage reads it, and where lineage gets such records from.

Things are opaque keys: IRIs in memory, small integers over SQL. Places and parties are IRIs everywhere. Nothing
here validates: a fact comes from a record that was validated before it was committed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from fabric.epcis.event import Event, Ref, Role
from fabric.epcis.gs1 import encode
from fabric.epcis.identifiers import Kind, is_carrier_key
from fabric.epcis.thing import Thing

from .quantity import exact_text

ThingKey: TypeAlias = Hashable
"""A thing; only equal to itself, otherwise opaque."""

HolderOf: TypeAlias = Callable[[str, int], str | None]
"""The member that holds a place or party (IRI) at a time (microseconds UTC), or None."""

OBJECT: Final = Role.OBJECT.value
PARENT: Final = Role.PARENT.value
CHILD: Final = Role.CHILD.value
INPUT: Final = Role.INPUT.value
OUTPUT: Final = Role.OUTPUT.value
MENTION: Final = Role.MENTION.value

GS1: Final = "https://id.gs1.org/"
_SERIAL: Final = Kind.SERIAL.value
_SSCC: Final = f"{GS1}00/"
_STEP_PREFIXES: Final = ("https://ref.gs1.org/cbv/BizStep-", "urn:epcglobal:cbv:bizstep:")
_WORD_MARKS: Final = ("BTT-", "SDT-", ":btt:", ":sdt:")


class Sort(IntEnum):
    """What lineage does with a thing. Being a carrier is a role: a `PRIVATE` serial is one once it is a parent."""

    LOT = 1
    SERIAL = 2
    PRIVATE = 3
    SSCC = 4
    ASSET = 5
    CLASS = 6
    OTHER = 7


_SORT_OF_KIND: Final = {Kind.LOT.value: Sort.LOT, Kind.CLASS.value: Sort.CLASS}
MATERIAL: Final = frozenset({Sort.LOT, Sort.SERIAL, Sort.PRIVATE, Sort.SSCC, Sort.ASSET})
"""Things that have a history of their own. Classes are listed and never followed; the rest are mentions."""


class Line(NamedTuple):
    """One thing in one event. `quantity` None is unknown, `unit` None means items of that class.

    `lot` is the lot that this mention says a serial belongs to: by both keys in one link, or by the lot number
    in the ilmd of the event that creates the serial. `original` is the name as sent.
    """

    thing: ThingKey
    role: str
    sort: Sort
    quantity: Decimal | None
    unit: str | None
    lot: ThingKey | None = None
    original: str | None = None


class Instant(NamedTuple):
    """When something was, in the one order of instants: time, position in the document, SHA-256 of the record."""

    time_us: int
    position: int
    digest: bytes


class Fact(NamedTuple):
    """One event record. Equal `content` means the same occurrence; `digest` is the SHA-256 of its canonical bytes.

    `step` and the types of `transactions`, `sources`, `destinations` are CBV short words, or IRIs. `counts` is
    False for a record that the holder of the place contradicts under the same eventID, `whole` where lines may
    have been left out.
    """

    record: int
    commitment: bytes
    digest: bytes
    position: int
    seq: int | None
    member: str
    event_id: str | None
    type: str
    action: str | None
    step: str | None
    disposition: str | None
    time_us: int
    offset_min: int
    read_point: str | None
    biz_location: str | None
    transformation_id: str | None
    transactions: tuple[tuple[str | None, str], ...]
    sources: tuple[tuple[str, str], ...]
    destinations: tuple[tuple[str, str], ...]
    declares: bool
    content: bytes
    lines: tuple[Line, ...]
    counts: bool = True
    whole: bool = True

    @property
    def instant(self) -> Instant:
        """Its place in the order of instants."""
        return Instant(self.time_us, self.position, self.digest)

    @property
    def place(self) -> str | None:
        """Where it left its things: bizLocation, else readPoint."""
        return self.biz_location or self.read_point

    @property
    def parent(self) -> ThingKey | None:
        """The parent of an aggregation or association, if it names one."""
        return next((line.thing for line in self.lines if line.role == PARENT), None)


class FactReader(Protocol):
    """Live records (not void, no error declarations) as one reader sees them at one tree size.

    Every method takes a whole set and costs a fixed number of queries. What it gives does not change while
    it is in use, and has no order.
    """

    def facts_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        """Facts that name any of the things, each once, with at least the lines of these things and the parent."""

    def whole_facts_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        """Facts that name any of the things, each once and with all lines."""

    def departures_of(self, things: Collection[ThingKey]) -> Iterable[Fact]:
        """At least the facts in which any of the things is a child, an input, or deleted; lines as `facts_of`."""

    def runs(self, keys: Collection[tuple[str, str]]) -> Iterable[Fact]:
        """All transformation facts of these (member, transformationID) pairs, whole."""


def sort_of(thing: Thing) -> Sort:
    """What lineage does with a thing, from its kind and key."""
    return sort_from(thing.kind.value, thing.iri)


def sort_from(kind: str, iri: str) -> Sort:
    """What lineage does with a thing of this kind (`fabric.epcis` Kind) and canonical IRI."""
    if kind != _SERIAL:
        return _SORT_OF_KIND.get(kind, Sort.OTHER)
    if is_carrier_key(iri):
        return Sort.SSCC if iri.startswith(_SSCC) else Sort.ASSET
    return Sort.SERIAL if iri.startswith(GS1) else Sort.PRIVATE


def fact_of(
    event: Event,
    *,
    record: int,
    commitment: bytes,
    digest: bytes,
    position: int,
    member: str,
    seq: int | None = None,
) -> Fact:
    """An event record as a fact whose thing keys are IRIs. `digest` is the SHA-256 of its canonical bytes."""
    step = short_word(event.biz_step)
    created = created_lot(event)
    lines = tuple(_line(ref, event, created) for ref in event.things)
    transactions = tuple((short_word(kind), name) for kind, name in event.transactions)
    sources = tuple((short_word(kind) or "", name) for kind, name in event.sources)
    destinations = tuple((short_word(kind) or "", name) for kind, name in event.destinations)
    fact = Fact(
        record,
        commitment,
        digest,
        position,
        seq,
        member,
        event.event_id,
        event.type,
        event.action,
        step,
        short_word(event.disposition),
        event.time_us,
        event.offset_min,
        event.read_point,
        event.biz_location,
        event.transformation_id,
        transactions,
        sources,
        destinations,
        event.error_declaration is not None,
        b"",
        lines,
    )
    return fact._replace(content=content_of(fact))


def content_of(fact: Fact) -> bytes:
    """16 bytes that are equal for records of one occurrence.

    Type, action, step, instant, places, parties, things with quantities, and the set of business transactions.
    Needs a fact whose keys are IRIs.
    """
    lines = sorted(
        [
            str(line.thing),
            line.role,
            "" if line.quantity is None else exact_text(line.quantity),
            line.unit or "",
        ]
        for line in fact.lines
        if line.role != MENTION
    )
    value: list[Any] = [
        fact.type,
        fact.action,
        fact.step,
        fact.time_us,
        fact.read_point,
        fact.biz_location,
        sorted(set(fact.sources)),
        sorted(set(fact.destinations)),
        lines,
        sorted({(kind or "", name) for kind, name in fact.transactions}),
    ]
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def short_word(word: str | None) -> str | None:
    """The bare CBV word of a vocabulary IRI or URN; anything else as it is."""
    if word is None:
        return None
    for prefix in ("https://ref.gs1.org/cbv/", "urn:epcglobal:cbv:"):
        if word.startswith(prefix):
            rest = word[len(prefix) :]
            return rest.replace(":", "-", 1).partition("-")[2] or rest
    return word


def _line(ref: Ref, event: Event, created: str | None) -> Line:
    thing = ref.thing
    role = MENTION if event.type == "TransactionEvent" else ref.role.value
    quantity = ref.quantity
    sort = sort_of(thing)
    value, unit = (None, None) if quantity is None else (quantity.value, quantity.unit)
    if quantity is None and sort in ONE_EACH:
        value = Decimal(1)
    lot = thing.lot_of
    if lot is None and created is not None and role in (OBJECT, OUTPUT):
        lot = lot_beside(thing.iri, created)
    original = None if ref.original == thing.iri else ref.original
    return Line(thing.iri, role, sort, value, unit, lot, original)


ONE_EACH: Final = frozenset({Sort.SERIAL, Sort.PRIVATE, Sort.SSCC, Sort.ASSET})


def created_lot(event: Event) -> str | None:
    """The lot number or IRI in the ilmd of an event that creates things, as sent."""
    creates = event.type == "TransformationEvent" or (event.type == "ObjectEvent" and event.action == "ADD")
    return _lot_number(event.ilmd) if creates else None


def _lot_number(ilmd: Mapping[str, Any]) -> str | None:
    for name, value in ilmd.items():
        if name.rpartition(":")[2] in {"lotNumber", "lot"} and isinstance(value, str) and value:
            return value
    return None


def lot_beside(serial: str, lot: str) -> str | None:
    """The lot of a serialised GTIN: the same product with the lot number, or the lot's own URI."""
    if ":" in lot and "/" in lot:
        return lot
    product, mark, _ = serial.partition("/21/")
    if not mark or not product.startswith(f"{GS1}01/"):
        return None
    return f"{product.partition('/22/')[0]}/10/{encode(lot)}"
