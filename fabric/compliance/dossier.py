"""The records that one reader may see, read once: facts for lineage, events and master data for the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from fabric.epcis.event import Event, read_event
from fabric.epcis.identifiers import Position, read_name
from fabric.epcis.master_data import MASTER_DATA_POSITION
from fabric.epcis.record import read_untrusted_event
from fabric.lineage import Fact, fact_of
from fabric.lineage.creation import shown_part, shown_units, with_action
from ledger.canonical import canonical
from ledger.errors import InvalidInput

_LEFT_OUT: Final = frozenset({"missing-field", "no-things"})
"""What validation may find in a record of which only a part is shown."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one master-data record says about `iri`: attributes by the local part of their names."""

    iri: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as far as it is shown.

    `number` counts the records of a dossier, `index` and `position` are its address in the log. `event` and `fact`
    are those of an event, `claim` that of a master-data record; a header record has none of them.
    """

    number: int
    commitment: bytes
    member: str
    index: int
    position: int
    full: bool
    value: Mapping[str, Any]
    event: Event | None = None
    fact: Fact | None = None
    claim: Claim | None = None

    @property
    def name(self) -> str:
        """The commitment in hex."""
        return self.commitment.hex()


def read_record(
    value: Mapping[str, Any],
    *,
    number: int,
    commitment: bytes,
    member: str,
    index: int,
    position: int,
    full: bool,
) -> Record:
    """A record from its committed value, validated first. Raises InvalidInput with findings."""
    plain = Record(number, commitment, member, index, position, full, value)
    if "document" in value and "rule" in value:
        return plain
    if "element" in value:
        return replace(plain, claim=_claim(value))
    # What a hand-over shows of a creation is never this much: some units of a record seen whole were erased.
    whole = full or not value.keys() <= shown_units(value).keys()
    event = read_untrusted_event(value) if whole else _read_part(value)
    fact = fact_of(
        event,
        record=number,
        commitment=commitment,
        digest=sha256(canonical(dict(value))).digest(),
        position=position,
        member=member,
        seq=index,
    )
    return replace(plain, event=event, fact=fact if whole else shown_part(fact))


class Dossier:
    """Records by what they are about. Immutable."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records: tuple[Record, ...] = tuple(records)

    @cached_property
    def facts(self) -> list[Fact]:
        """The facts of all events, error declarations included."""
        return [record.fact for record in self.records if record.fact is not None]

    @cached_property
    def by_number(self) -> Mapping[int, Record]:
        """Records by their number, which is the `record` of their fact."""
        return {record.number: record for record in self.records}

    @cached_property
    def claims(self) -> Mapping[str, list[Record]]:
        """The master-data records about each IRI, the newest last."""
        found: dict[str, list[Record]] = {}
        for record in sorted(self.records, key=lambda one: (one.index, one.position)):
            if record.claim is not None:
                found.setdefault(record.claim.iri, []).append(record)
        return found


def _read_part(value: Mapping[str, Any]) -> Event:
    """The event of a record shown in part: what is shown has to be valid, what is not may be missing."""
    value = with_action(value)
    try:
        return read_untrusted_event(value)
    except InvalidInput as error:
        if not error.findings or any(one.rule not in _LEFT_OUT for one in error.findings):
            raise
    return read_event(value)


def _claim(value: Mapping[str, Any]) -> Claim:
    kind, element = value.get("type"), value.get("element")
    if not isinstance(kind, str) or not isinstance(element, dict) or not isinstance(element.get("id"), str):
        raise InvalidInput("expected master data with a type and an element", rule="bad-record")
    thing = read_name(element["id"], MASTER_DATA_POSITION.get(kind, Position.EPC))[0]
    found: dict[str, Any] = {}
    attributes = element.get("attributes")
    for one in attributes if isinstance(attributes, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            found.setdefault(local_name(one["id"]), one.get("attribute"))
    return Claim(thing.iri, found)


def local_name(name: str) -> str:
    """The part of an extension's or attribute's name after its prefix: `cbvmda:city` and `…/mda#city` are `city`."""
    return name.rpartition("#")[2].rpartition("/")[2].rpartition(":")[2]


__all__ = ["Claim", "Dossier", "Record", "local_name", "read_record"]
