"""Looking for one key data element of one event: in the event, its ilmd, the lot's creating event, master data.

What is found says where and in which record. What is not found is `missing` only where everything that could
state it was looked at; else it is `hidden` (a part of a record that is not shown) or `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from fabric.epcis.identifiers import Position, read_name
from fabric.lineage.quantity import exact_text
from fabric.lineage.words import site

from .course import Courses, Happening
from .dossier import Record
from .rules import Kde, description

PRESENT: Final = "present"
MISSING: Final = "missing"
NOT_APPLICABLE: Final = "not_applicable"
HIDDEN: Final = "hidden"
UNKNOWN: Final = "unknown"
_WORST: Final = (MISSING, HIDDEN, UNKNOWN, PRESENT, NOT_APPLICABLE)

ORIGIN_NAMES: Final = (
    "traceabilityLotCodeSource",
    "tlcSource",
    "traceabilityLotCodeSourceReference",
    "tlcSourceReference",
)
_LONGEST: Final = 200


class Verdict(NamedTuple):
    """The state of one element; `source` says where it was found, `record` in which record, `why` why it is not."""

    state: str
    value: str | None = None
    source: str | None = None
    record: str | None = None
    why: str | None = None


class Where(NamedTuple):
    """A place where something is stated: what the place is called, the record, and what it states by name."""

    source: str
    record: str
    stated: Mapping[str, Any]


class Finder:
    """Finds elements of the events of one set of courses."""

    def __init__(self, courses: Courses) -> None:
        self._courses = courses

    def state(self, kde: Kde, one: Happening) -> Verdict:
        """The state of an element of an event."""
        off = self._not_wanted(kde, one)
        if off is not None:
            return off
        if kde.of is None:
            return self._find(kde, one)
        if kde.of == "input":
            return self._of_inputs(kde, one)
        return self._of_others(kde, one)

    def commodity(self, lot: str) -> str:
        """All that is said about what a lot is, in lower case."""
        maker = self._courses.maker(lot)
        words = [] if maker is None else [maker.stated.get(name) for name in ("commodity", "variety")]
        claims = self._claims(_product(lot), None)
        words += [
            where.stated.get(name)
            for where in claims
            for name in ("functionalName", "descriptionShort", "description", "productName")
        ]
        return " ".join(str(word) for word in words if word).lower()

    def _not_wanted(self, kde: Kde, one: Happening) -> Verdict | None:
        if kde.when == "aquaculture":
            if any(name in one.stated for name in kde.names):
                return None
            return Verdict(NOT_APPLICABLE, why="only for food from aquaculture")
        if kde.when == "produce" and any(
            name in one.stated for name in ("containerName", "pondName", "tankName")
        ):
            return Verdict(NOT_APPLICABLE, why="only for produce that grows in a field")
        if kde.when == "available":
            found = self._find(kde, one)
            return (
                found if found.state == PRESENT else Verdict(NOT_APPLICABLE, why="wanted only if available")
            )
        return None

    def _of_inputs(self, kde: Kde, one: Happening) -> Verdict:
        """The element of each input lot that is known to carry a traceability lot code."""
        if not one.inputs:
            return self._absent(one, "no input lot is named")
        found = []
        for lot in one.inputs:
            maker = self._courses.maker(lot)
            if maker is not None and self._courses.made_by(maker) is None:
                continue
            found.append(self._find(kde, Happening(lot, one.fact, one.record, "input", ())))
        return _worst(found) or Verdict(NOT_APPLICABLE, why="no input is known to be a listed food")

    def _of_others(self, kde: Kde, one: Happening) -> Verdict:
        """The element in the events of the lots that went in, or in the event that made the lot."""
        if kde.of == "maker":
            maker = self._courses.maker(one.lot)
            return (
                self._absent(one, "no event that made the lot") if maker is None else self._find(kde, maker)
            )
        lots = [lot for lot in one.inputs if self._courses.is_harvested(lot)]
        if not lots and not one.inputs:
            # An ObjectEvent states packing without what was packed: then it has to state the rest itself.
            return self._find(kde, one)
        return _worst([self._of_input(kde, one, lot) for lot in lots]) or Verdict(
            UNKNOWN, why="where the inputs come from is not known"
        )

    def _of_input(self, kde: Kde, one: Happening, lot: str) -> Verdict:
        maker = self._courses.maker(lot)
        events: Sequence[Happening]
        if kde.of == "harvest":
            events = [] if maker is None else [maker]
        elif kde.of == "cooling":
            events = self._courses.coolings(lot)
            if not events:
                return Verdict(UNKNOWN, why=f"wanted if it was cooled; no cooling of {lot} is recorded")
        else:
            events = self._courses.receipts(lot, one.fact.place)
            if not events and maker is not None and site(maker.fact.place) == site(one.fact.place):
                return Verdict(NOT_APPLICABLE, why="it was packed where it was harvested")
        if not events:
            return self._absent(one, f"no {kde.of} of {lot} is recorded")
        return _worst([self._find(kde, event) for event in events]) or Verdict(UNKNOWN)

    def _find(self, kde: Kde, one: Happening) -> Verdict:
        find = _FINDERS[kde.find]
        found: Verdict = find(self, kde, one)
        return found

    # How each kind of element is looked for

    def _text(self, kde: Kde, one: Happening) -> Verdict:
        return self._named(kde.names, one) or self._absent(one, "not stated", elsewhere=True)

    def _date(self, kde: Kde, one: Happening) -> Verdict:
        found = self._named(kde.names, one)
        if found is None and kde.event_time:
            return Verdict(PRESENT, one.date, "event", one.record.name)
        return found or self._absent(one, "not stated")

    def _person(self, kde: Kde, one: Happening) -> Verdict:
        name, phone = self._named(kde.names, one), self._named(kde.phones, one)
        if name is not None and phone is not None:
            return name._replace(value=f"{name.value}, {phone.value}")
        lacking = "phone" if name is not None else "name and phone" if phone is None else "name"
        return self._absent(one, f"no {lacking}", elsewhere=True)

    def _quantity(self, kde: Kde, one: Happening) -> Verdict:
        for line in one.fact.lines:
            if line.thing == one.lot and line.quantity is not None:
                unit = line.unit or "items"
                return Verdict(PRESENT, f"{exact_text(line.quantity)} {unit}", "event", one.record.name)
        for leg in self._courses.legs(one.lot):
            amount = leg[6] if one.fact.record in leg[12] else leg[7] if one.fact.record in leg[13] else None
            if amount is not None:
                return Verdict(
                    PRESENT, f"{amount} {leg[5] or 'items'}", "contents of the carrier", one.record.name
                )
        return self._absent(one, "no amount, and none follows from what its carrier held")

    def _document(self, kde: Kde, one: Happening) -> Verdict:
        for kind, name in one.fact.transactions:
            if kind:
                return Verdict(PRESENT, f"{kind} {name}"[:_LONGEST], "event", one.record.name)
        lacking = "no type of document" if one.fact.transactions else "no business transaction"
        return self._absent(one, lacking)

    def _tlc(self, kde: Kde, one: Happening) -> Verdict:
        code = one.lot.rpartition("/10/")[2] if "/10/" in one.lot else one.lot.rpartition(":")[2]
        return Verdict(PRESENT, code, "event", one.record.name)

    def _product(self, kde: Kde, one: Happening) -> Verdict:
        return self._described(_product(one.lot), "product", one, self._statements(one))

    def _location(self, kde: Kde, one: Happening) -> Verdict:
        if kde.at == "origin":
            return self._origin(one)
        name = _END[kde.at or "here"](one)
        if name is None:
            return self._absent(one, f"no {kde.at} is named")
        return self._described(name, "location", one, ())

    def _origin(self, one: Happening) -> Verdict:
        """The place that gave the lot its code: what an extension says, else the place of the creating event."""
        stated = self._named(ORIGIN_NAMES, one)
        if stated is not None and stated.value is not None:
            thing, problem = read_name(stated.value, Position.PLACE)
            # A reference (an address, a registration number) is another way to the location, and enough.
            known = problem is None and thing.iri.startswith("https://id.gs1.org/")
            if "Reference" in (stated.source or "") or not known:
                return stated
            return self._described(thing.iri, "location", one, ())
        maker = self._courses.maker(one.lot)
        if maker is None or maker.fact.place is None:
            return self._absent(one, "no event that made the lot tells the place", elsewhere=True)
        return self._described(maker.fact.place, "location", one, ())

    # Where things are stated

    def _named(self, names: Sequence[str], one: Happening) -> Verdict | None:
        for where in self._statements(one):
            for name in names:
                value = where.stated.get(name)
                if value not in (None, "", [], {}):
                    return Verdict(PRESENT, str(value)[:_LONGEST], f"{where.source}: {name}", where.record)
        return None

    def _statements(self, one: Happening) -> list[Where]:
        """Event and ilmd, the lot's creating event, master data of the product: in this order."""
        found = [Where("event", one.record.name, one.stated)]
        maker = self._courses.maker(one.lot)
        if maker is not None and maker.fact.record != one.fact.record:
            found.append(Where("creating event", maker.record.name, maker.stated))
        return [*found, *self._claims(_product(one.lot), one)]

    def _claims(self, iri: str, one: Happening | None) -> list[Where]:
        """Master data about something: that of the member that holds it first, then the newest."""
        records: Iterable[Record] = reversed(self._courses.dossier.claims.get(iri, ()))
        time_us = 2**52 if one is None else one.fact.time_us
        own = self._courses.holder_of(iri, time_us)
        ordered = sorted(records, key=lambda record: record.member != own)
        return [
            Where("master data", one.name, one.claim.attributes) for one in ordered if one.claim is not None
        ]

    def _described(self, iri: str, what: str, one: Happening, also: Sequence[Where]) -> Verdict:
        """Whether every part of a description is stated."""
        places = [*also, *self._claims(iri, one)]
        lacking, first = [], None
        for part, names in description(what).items():
            where = next((at for at in places if any(at.stated.get(name) for name in names)), None)
            if where is None:
                lacking.append(part)
            elif first is None:
                value = next(where.stated[name] for name in names if where.stated.get(name))
                first = Verdict(PRESENT, f"{value}"[:_LONGEST], where.source, where.record)
        if not lacking and first is not None:
            return first
        claimed = iri in self._courses.dossier.claims
        why = f"{iri}: no {', '.join(lacking)}"
        return self._absent(one, why, elsewhere=not claimed)

    def _absent(self, one: Happening, why: str, *, elsewhere: bool = False) -> Verdict:
        """Not found. `elsewhere`: records that a limited reader does not see might state it."""
        if not one.record.full:
            return Verdict(HIDDEN, why=why)
        if elsewhere and self._courses.limited:
            return Verdict(UNKNOWN, why=f"{why}; what this reader does not see may state it")
        return Verdict(MISSING, why=why)


def _product(lot: str) -> str:
    return lot.partition("/10/")[0].partition("/21/")[0]


def _end(side: Sequence[tuple[str, str]]) -> str | None:
    for wanted in ("location", "possessing_party", "owning_party"):
        for kind, name in side:
            if kind == wanted:
                return name
    return None


def _worst(found: Sequence[Verdict]) -> Verdict | None:
    return min(found, key=lambda one: _WORST.index(one.state), default=None)


_END: Final[Mapping[str, Any]] = {
    "destination": lambda one: _end(one.fact.destinations),
    "source": lambda one: _end(one.fact.sources) or one.fact.place,
    "here": lambda one: one.fact.place,
    "reads": lambda one: one.fact.read_point,
}
_FINDERS: Final[Mapping[str, Any]] = {
    "text": Finder._text,
    "date": Finder._date,
    "person": Finder._person,
    "quantity": Finder._quantity,
    "document": Finder._document,
    "tlc": Finder._tlc,
    "product": Finder._product,
    "location": Finder._location,
}


__all__ = ["HIDDEN", "MISSING", "NOT_APPLICABLE", "PRESENT", "UNKNOWN", "Finder", "Verdict"]
