"""Questions about the body of an event: the predicates of `Body` conditions, each a value and a total function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from fabric.epcis.identifiers import Position, name_reader
from fabric.epcis.times import parse_time

from .comparison import Measured, NumberTest, Test, number_of
from .conditions import Candidate
from .names import FieldName, attribute_iri, namespace_of
from .values import decimal_of

_NOTHING: Final[Mapping[str, Any]] = {}
_TEXT_OF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#value"


def sensor_elements(value: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The sensor elements of an event."""
    found: Iterable[Mapping[str, Any]] = value.get("sensorElementList", ())
    return found


def sensor_metadata(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The metadata of each sensor element that has some."""
    for element in sensor_elements(value):
        if "sensorMetadata" in element:
            yield element["sensorMetadata"]


def sensor_reports(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All sensor reports of an event."""
    for element in sensor_elements(value):
        yield from element.get("sensorReport", ())


class Section(StrEnum):
    """The parts of an event that carry extension fields, as parameters call them; the event itself has no name."""

    EVENT = ""
    ILMD = "ILMD"
    ERROR_DECLARATION = "ERROR_DECLARATION"
    READ_POINT = "readPoint"
    BIZ_LOCATION = "bizLocation"
    SENSOR_ELEMENT = "SENSORELEMENT"
    SENSOR_METADATA = "SENSORMETADATA"
    SENSOR_REPORT = "SENSORREPORT"


Holders = Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any]]]


def _itself(value: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (value,)


def _member(name: str) -> Holders:
    def holders(value: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        inside = value.get(name)
        return () if inside is None else (inside,)

    return holders


_HOLDERS: Final[dict[Section, Holders]] = {
    Section.EVENT: _itself,
    Section.ILMD: _member("ilmd"),
    Section.ERROR_DECLARATION: _member("errorDeclaration"),
    Section.READ_POINT: _member("readPoint"),
    Section.BIZ_LOCATION: _member("bizLocation"),
    Section.SENSOR_ELEMENT: sensor_elements,
    Section.SENSOR_METADATA: sensor_metadata,
    Section.SENSOR_REPORT: sensor_reports,
}


def field_values(candidate: Candidate, section: Section, inner: bool, name: FieldName) -> Iterator[Any]:
    """The values of an extension field in a section: of its own fields, or with `inner` of those nested in them."""
    value = candidate.value
    context, table = value.get("@context", ()), candidate.contexts
    for holder in _HOLDERS[section](value):
        for member, inside in _nested(holder) if inner else holder.items():
            if ":" in member and name.names(member, context, table):
                yield inside


def _nested(holder: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The members of everything nested in extension fields."""
    pending = [inside for member, inside in holder.items() if ":" in member]
    while pending:
        value = pending.pop()
        if type(value) is list:
            pending += value
        elif type(value) is dict:
            yield from value.items()
            pending += value.values()


def _plain(value: Any, candidate: Candidate) -> Iterator[Any]:
    """The texts, numbers and truths that a value is: of a list each, of a JSON-LD value or reference what it holds."""
    pending = [value]
    while pending:
        one = pending.pop()
        if type(one) is list:
            pending += one
        elif type(one) is dict:
            pending += [one[name] for name in ("@value", "@id") if name in one] or _text_of(one, candidate)
        elif one is not None:
            yield one


def _text_of(value: Mapping[str, Any], candidate: Candidate) -> list[Any]:
    """The text of an XML extension that has attributes beside it."""
    context, table = candidate.value.get("@context", ()), candidate.contexts
    return [
        inside
        for member, inside in value.items()
        if member.endswith(":value")
        and (namespace_of(member[:-6], context, table) or "") + "value" == _TEXT_OF
    ]


@dataclass(frozen=True, slots=True)
class FieldTest:
    """An extension field of a section whose value passes a test."""

    section: Section
    inner: bool
    name: FieldName
    test: Test

    def __call__(self, candidate: Candidate) -> bool:
        """Whether one of the field's values passes."""
        for value in field_values(candidate, self.section, self.inner, self.name):
            if type(value) is str:
                if self.test(value):
                    return True
            elif any(self.test(one) for one in _plain(value, candidate)):
                return True
        return False


@dataclass(frozen=True, slots=True)
class FieldExists:
    """An extension field of a section, whatever its value."""

    section: Section
    inner: bool
    name: FieldName

    def __call__(self, candidate: Candidate) -> bool:
        """Whether the field is there."""
        return any(True for _ in field_values(candidate, self.section, self.inner, self.name))


@dataclass(frozen=True, slots=True)
class MemberExists:
    """A field of the standard that is there, and not empty."""

    name: str

    def __call__(self, candidate: Candidate) -> bool:
        """Whether it is."""
        return bool(candidate.value.get(self.name))


@dataclass(frozen=True, slots=True)
class SensorMember:
    """An attribute of sensor elements, in their metadata, their reports, or either, that passes a test."""

    name: str
    in_metadata: bool
    in_reports: bool
    test: Test

    def __call__(self, candidate: Candidate) -> bool:
        """Whether one of them passes."""
        name, test = self.name, self.test
        for element in sensor_elements(candidate.value):
            if self.in_metadata and "sensorMetadata" in element:
                metadata = element["sensorMetadata"]
                if name in metadata and test(metadata[name]):
                    return True
            if self.in_reports:
                for report in element.get("sensorReport", ()):
                    if name in report and test(report[name]):
                        return True
        return False


@dataclass(frozen=True, slots=True)
class SensorAmount:
    """A measured amount of a sensor report, in any unit that converts."""

    name: str
    measured: Measured

    def __call__(self, candidate: Candidate) -> bool:
        """Whether one of the reports has such an amount."""
        for report in sensor_reports(candidate.value):
            number = number_of(report.get(self.name))
            if number is not None and self.measured.holds(number, report.get("uom")):
                return True
        return False


_ITEMS: Final = "C62"
"""What an amount without a unit is counted in."""


@dataclass(frozen=True, slots=True)
class Quantities:
    """The quantity of an element of a quantity list: in any unit as it stands, or converted from its own."""

    test: NumberTest | Measured

    def __call__(self, candidate: Candidate) -> bool:
        """Whether one of the elements has such a quantity."""
        test = self.test
        for ref in candidate.event.things:
            quantity = ref.quantity
            if quantity is None or quantity.value is None:
                continue
            if isinstance(test, Measured):
                if test.holds(quantity.value, quantity.unit or _ITEMS):
                    return True
            elif test.holds(quantity.value):
                return True
        return False


@dataclass(frozen=True, slots=True)
class PersistentDispositions:
    """Dispositions that an event sets or unsets for good; `part` is ``set`` or ``unset``."""

    part: str
    test: Test

    def __call__(self, candidate: Candidate) -> bool:
        """Whether one of them is asked for."""
        told = candidate.value.get("persistentDisposition", _NOTHING)
        return any(self.test(word) for word in told.get(self.part, ()))


_QUANTITY_LISTS: Final = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")
_read_class, _read_name = name_reader(Position.EPC_CLASS), name_reader(Position.DOCUMENT)


def _classes(candidate: Candidate) -> Iterator[str]:
    for name in _QUANTITY_LISTS:
        for element in candidate.value.get(name, ()):
            yield _read_class(element["epcClass"])[0].iri


DESCRIBED: Final[dict[str, Callable[[Candidate], Iterable[str | None]]]] = {
    "bizStep": lambda candidate: (candidate.event.biz_step,),
    "disposition": lambda candidate: (candidate.event.disposition,),
    "readPoint": lambda candidate: (candidate.event.read_point,),
    "bizLocation": lambda candidate: (candidate.event.biz_location,),
    "epcClass": _classes,
    "source": lambda candidate: (iri for _, iri in candidate.event.sources),
    "destination": lambda candidate: (iri for _, iri in candidate.event.destinations),
    "bizTransaction": lambda candidate: (iri for _, iri in candidate.event.transactions),
}
"""The standard's own fields whose values master data describes, and the IRIs that an event has in each."""


@dataclass(frozen=True, slots=True)
class Described:
    """A field whose value has an attribute in master data; with `texts`, with one of these values.

    `field` is one of `DESCRIBED`, or the name of an extension field of the event.
    """

    field: str | FieldName
    attributes: frozenset[str]
    texts: frozenset[str] | None = None

    def __call__(self, candidate: Candidate) -> bool:
        """Whether master data says so of one of the field's values."""
        for iri in self._identifiers(candidate):
            for name, texts in candidate.attributes(iri).items():
                if attribute_iri(name) in self.attributes and (
                    self.texts is None or not self.texts.isdisjoint(texts)
                ):
                    return True
        return False

    def _identifiers(self, candidate: Candidate) -> Iterator[str]:
        if isinstance(self.field, str):
            yield from (iri for iri in DESCRIBED[self.field](candidate) if iri is not None)
            return
        for value in field_values(candidate, Section.EVENT, False, self.field):
            yield from (_read_name(one)[0].iri for one in _plain(value, candidate) if type(one) is str)


@dataclass(frozen=True, slots=True)
class FieldOrder:
    """What orders an answer by an extension field: numbers before times before texts, each in their order."""

    name: FieldName

    def __call__(self, candidate: Candidate) -> tuple[int, Any] | None:
        """The key of the field's first value that has one; None where there is none."""
        for value in field_values(candidate, Section.EVENT, False, self.name):
            for one in _plain(value, candidate):
                return _sort_key(one)
        return None


def _sort_key(value: Any) -> tuple[int, Any]:
    if type(value) is str:
        number = decimal_of(value)
        if number is not None:
            return 0, number
        time = parse_time(value)
        # Text in the order of its UTF-8 bytes, which is that of its characters.
        return (2, value) if time is None else (1, time[0])
    if type(value) is bool:
        return 2, "true" if value else "false"
    return 0, number_of(value) or Decimal(0)
