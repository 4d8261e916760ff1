"""One EPCIS event as values: what lineage, visibility, trace and graph read.

`read_event` works from a record in its committed form alone, so a rebuild, a report and the offline
verifier all see the event the capture saw. Nothing here validates: `document.read_document` did that
before the record was committed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from ledger.errors import InvalidInput

from .identifiers import Kind, Position, Thing, name_reader
from .remembered import Remembered
from .times import parse_offset, parse_time
from .words import word_iri, word_reader


class Role(StrEnum):
    """What a thing is to an event (design: meaning, section 3)."""

    OBJECT = "object"
    PARENT = "parent"
    CHILD = "child"
    INPUT = "input"
    OUTPUT = "output"
    MENTION = "mention"


class Quantity(NamedTuple):
    """An exact amount in the unit sent. `unit` None means items; `value` None means the amount is unknown."""

    value: Decimal | None
    unit: str | None


class Ref(NamedTuple):
    """One mention of a thing in an event; `original` is the name as it was sent."""

    thing: Thing
    role: Role
    original: str
    quantity: Quantity | None


@dataclass(frozen=True, slots=True)
class ErrorDeclaration:
    """The statement that an earlier record with this eventID is void. `time_us` is microseconds UTC."""

    time_us: int
    reason: str | None
    correctives: tuple[str, ...]


class Event(NamedTuple):
    """One EPCIS 2.0 event.

    `time_us` is microseconds since 1970 UTC, `offset_min` the eventTimeZoneOffset in minutes. Words are CBV
    IRIs, identifiers canonical IRIs; `sources` and `destinations` are (type IRI, party or place IRI),
    `transactions` (type IRI or None, document IRI). `ilmd`, `extensions` and `sensor` are the JSON as sent.
    """

    type: str
    action: str | None
    event_id: str | None
    time_us: int
    offset_min: int
    biz_step: str | None
    disposition: str | None
    read_point: str | None
    biz_location: str | None
    things: tuple[Ref, ...]
    sources: tuple[tuple[str, str], ...]
    destinations: tuple[tuple[str, str], ...]
    transactions: tuple[tuple[str | None, str], ...]
    transformation_id: str | None
    error_declaration: ErrorDeclaration | None
    ilmd: Mapping[str, Any]
    extensions: Mapping[str, Any]
    sensor: tuple[Mapping[str, Any], ...]


def read_event(committed: Mapping[str, Any]) -> Event:
    """The event of a validated record in committed form.

    An identifier that is no name (possible only where a member asked to keep wrong check digits) is read as
    a private one. Raises InvalidInput (``bad-record``) where this is no event, or not the whole of one; a
    record that nobody validated goes through `read_untrusted_event`.
    """
    try:
        return _read(committed)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise InvalidInput(
            "expected the whole of a validated event, got another record", rule="bad-record"
        ) from None


def _read(committed: Mapping[str, Any]) -> Event:
    get = committed.get
    time = parse_time(committed["eventTime"])
    offset = parse_offset(committed["eventTimeZoneOffset"])
    if time is None or offset is None:
        raise InvalidInput("expected a record that was validated, got a bad time or offset", rule="bad-time")
    refs: list[Ref] = []
    kind = committed["type"]
    for name, role, position, is_list in _THING_FIELDS[kind]:
        value = get(name)
        if value is None:
            continue
        if position is _CLASS:
            refs += [_quantity_ref(element, role) for element in value]
        else:
            _add_names(value if is_list else (value,), role, refs)
    mentions = _Mentions(refs)
    step, disposition, number = get("bizStep"), get("disposition"), get("transformationID")
    return Event(
        type=kind,
        action=get("action"),
        event_id=get("eventID"),
        time_us=time[0],
        offset_min=offset,
        biz_step=_step_iri(step) if step else None,
        disposition=_disposition_iri(disposition) if disposition else None,
        read_point=mentions.place(get("readPoint")),
        biz_location=mentions.place(get("bizLocation")),
        sources=mentions.parties(get("sourceList"), "source"),
        destinations=mentions.parties(get("destinationList"), "destination"),
        transactions=mentions.transactions(get("bizTransactionList")),
        sensor=mentions.devices(get("sensorElementList")),
        things=tuple(refs),
        transformation_id=_mention_document(number).thing.iri if number else None,
        error_declaration=_declaration(committed["errorDeclaration"])
        if "errorDeclaration" in committed
        else None,
        ilmd=get("ilmd") or _NONE,
        extensions={name: committed[name] for name in committed if ":" in name} or _NONE,
    )


def _add_names(texts: Sequence[str], role: Role, refs: list[Ref]) -> None:
    # Two spellings of one thing in a list are one thing there; the first spelling is kept.
    seen: set[str] = set()
    for text in texts:
        thing = _read_epc(text)[0]
        if thing.iri not in seen:
            seen.add(thing.iri)
            refs.append(Ref(thing, role, text, None))


def _quantity_ref(element: Mapping[str, Any], role: Role) -> Ref:
    text = element["epcClass"]
    amount = element.get("quantity")
    # The shortest decimal of a JSON number is what was written: the parser refused every other.
    value = None if amount is None else Decimal(amount if type(amount) is int else repr(amount))
    quantity = Quantity(value, element.get("uom")) if value is not None else None
    return Ref(_read_class(text)[0], role, text, quantity)


def _declaration(value: Mapping[str, Any]) -> ErrorDeclaration:
    time = parse_time(value["declarationTime"])
    if time is None:
        raise InvalidInput("expected a record that was validated, got a bad time", rule="bad-time")
    reason = value.get("reason")
    return ErrorDeclaration(
        time[0],
        word_iri("errorReason", reason) if reason else None,
        tuple(value.get("correctiveEventIDs", ())),
    )


class _Mentions:
    """Reads what an event names beside its things, and adds each to the things once, as mentioned."""

    __slots__ = ("refs", "seen")

    def __init__(self, refs: list[Ref]) -> None:
        self.refs = refs
        self.seen: set[str] = set()

    def add(self, text: str, mention: Callable[[str], Ref]) -> str:
        ref = mention(text)
        iri = ref.thing.iri
        if iri not in self.seen:
            self.seen.add(iri)
            self.refs.append(ref)
        return iri

    def place(self, value: Mapping[str, Any] | None) -> str | None:
        return self.add(value["id"], _mention_place) if value else None

    def parties(self, value: list[Mapping[str, Any]] | None, name: str) -> tuple[tuple[str, str], ...]:
        if not value:
            return ()
        pairs = []
        for item in value:
            kind = _party_type_iri(item["type"]) or item["type"]
            pairs.append(
                (kind, self.add(item[name], _mention_place if kind == _LOCATION else _mention_party))
            )
        return tuple(pairs)

    def transactions(self, value: list[Mapping[str, Any]] | None) -> tuple[tuple[str | None, str], ...]:
        if not value:
            return ()
        return tuple(
            (
                _transaction_type_iri(item["type"]) if "type" in item else None,
                self.add(item["bizTransaction"], _mention_document),
            )
            for item in value
        )

    def devices(self, value: list[Mapping[str, Any]] | None) -> tuple[Mapping[str, Any], ...]:
        if not value:
            return ()
        for element in value:
            for part in (element.get("sensorMetadata", _NONE), *element["sensorReport"]):
                if "deviceID" in part:
                    self.add(part["deviceID"], _mention_device)
        return tuple(value)


_NONE: Mapping[str, Any] = MappingProxyType({})
_EPC, _CLASS = Position.EPC, Position.EPC_CLASS


def _mention_maker(position: Position) -> Callable[[str], Ref]:
    """Mentions by name; one place or party is mentioned by most events of a document, so they are shared."""
    read = name_reader(position)

    def mention(text: str) -> Ref:
        return Ref(read(text)[0], Role.MENTION, text, None)

    return Remembered(mention, 8_192).__getitem__


_read_epc, _read_class = name_reader(_EPC), name_reader(_CLASS)
_mention_place, _mention_party = _mention_maker(Position.PLACE), _mention_maker(Position.PARTY)
_mention_document, _mention_device = _mention_maker(Position.DOCUMENT), _mention_maker(Position.DEVICE)
_step_iri, _disposition_iri = word_reader("bizStep"), word_reader("disposition")
_party_type_iri = word_reader("sourceOrDestinationType")
_transaction_type_iri = word_reader("bizTransactionType")
_LOCATION = word_iri("sourceOrDestinationType", "location")

# (field, role, position, whether it is a list), in the order of the standard.
_CHILDREN = (
    ("parentID", Role.PARENT, _EPC, False),
    ("childEPCs", Role.CHILD, _EPC, True),
    ("childQuantityList", Role.CHILD, _CLASS, True),
)
_THING_FIELDS = {
    "ObjectEvent": (
        ("epcList", Role.OBJECT, _EPC, True),
        ("quantityList", Role.OBJECT, _CLASS, True),
    ),
    "AggregationEvent": _CHILDREN,
    "AssociationEvent": _CHILDREN,
    "TransactionEvent": (
        ("parentID", Role.MENTION, _EPC, False),
        ("epcList", Role.MENTION, _EPC, True),
        ("quantityList", Role.MENTION, _CLASS, True),
    ),
    "TransformationEvent": (
        ("inputEPCList", Role.INPUT, _EPC, True),
        ("inputQuantityList", Role.INPUT, _CLASS, True),
        ("outputEPCList", Role.OUTPUT, _EPC, True),
        ("outputQuantityList", Role.OUTPUT, _CLASS, True),
    ),
}

__all__ = ["ErrorDeclaration", "Event", "Kind", "Quantity", "Ref", "Role", "Thing", "read_event"]
