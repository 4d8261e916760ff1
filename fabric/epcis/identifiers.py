"""Names of things: every spelling of a GS1 key becomes one canonical IRI (design: meaning, section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: its canonical IRI, its kind, and for a serial named with its lot, that lot's IRI."""

    iri: str
    kind: Kind
    lot_of: str | None = None


def canonical_thing(text: str, position: Position) -> Thing:
    """The thing an identifier names. Raises InvalidInput (`bad-check-digit`, `bad-identifier`, `not-a-uri`)."""
    raise NotImplementedError


def is_carrier_key(iri: str) -> bool:
    """Whether a canonical IRI is a logistic carrier: SSCC, GRAI or GIAI."""
    return iri.startswith(("https://id.gs1.org/00/", "https://id.gs1.org/8003/", "https://id.gs1.org/8004/"))
