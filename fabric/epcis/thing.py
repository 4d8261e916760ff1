"""What an identifier names: a thing, of a kind; and how an identifier is refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger.errors import InvalidInput


class Kind(StrEnum):
    """What sort of thing an identifier names. A carrier is a role, not a kind."""

    SERIAL = "serial"
    LOT = "lot"
    CLASS = "class"
    PLACE = "place"
    PARTY = "party"
    DOCUMENT = "document"
    DEVICE = "device"


class Position(StrEnum):
    """Where in an event an identifier stands; it gives the kind of a name that has no GS1 key."""

    EPC = "epc"
    EPC_CLASS = "epcClass"
    PLACE = "place"
    PARTY = "party"
    DOCUMENT = "document"
    DEVICE = "device"


KIND_BY_POSITION = {
    Position.EPC: Kind.SERIAL,
    Position.EPC_CLASS: Kind.LOT,
    Position.PLACE: Kind.PLACE,
    Position.PARTY: Kind.PARTY,
    Position.DOCUMENT: Kind.DOCUMENT,
    Position.DEVICE: Kind.DEVICE,
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: its canonical IRI, its kind, and for a serial named together with its lot, that lot's IRI."""

    iri: str
    kind: Kind
    lot_of: str | None = None


class BadIdentifier(InvalidInput):
    """An identifier that names nothing: `rule` is bad-check-digit, bad-identifier, not-a-uri or too-long."""

    def __init__(self, rule: str, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got[:80]}", rule=rule)
        self.expected = expected
        self.got = got[:80]
