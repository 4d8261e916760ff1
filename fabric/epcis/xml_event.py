"""From the elements of EPCIS XML to the members of EPCIS JSON: events, master data, extensions (docs/spec/xml.md).

Nothing is validated twice: what XML allows and JSON does not is refused here; what an event must hold is left to
`validation`, which sees the JSON form. A value that cannot be what its field wants is handed on as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache
from math import isinf
from typing import Any, Final, NamedTuple

from .words import bare_word
from .xml_marks import KINDS, MARKS, is_mark, marks_of, unknown_mark
from .xml_names import Naming
from .xml_parser import XSI, Element, Name

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TEXT_OF = Name(RDF, "value", "rdf")
"""What the text of an extension element is called that has attributes as well."""

_XML_SPACE: Final = " \t\r\n"
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER: Final = 64
_LARGEST: Final = 2**53 - 1


class Problem(NamedTuple):
    """Something that XML says and JSON cannot; `attribute` names the attribute it is about, if any."""

    element: Element
    attribute: str | None
    rule: str
    expected: str
    got: str


Trace = dict[tuple[int, object], tuple[Element, str | None]]
"""By container (its id) and key or index: the element, and the attribute, that a value was read from."""


class Reader:
    """Reads the elements of one record. With a `trace` it notes where each value came from."""

    def __init__(self, naming: Naming, problems: list[Problem], trace: Trace | None = None) -> None:
        self.naming = naming
        self.problems = problems
        self.trace = trace
        # What was read and then refused: kept, because a trace goes by identity.
        self.refused: list[Any] = []

    def event(self, element: Element) -> dict[str, Any]:
        """The members of an event."""
        value: dict[str, Any] = {"type": element.name.local}
        if self.trace is not None:
            self.trace[id(value), "type"] = (element, None)
        if element.name.uri:
            self.problem(element, None, "wrong-namespace", "an event without a namespace", element.name.uri)
        if element.attributes:
            self.attributes(element, value, {})
        self.fields(element, value, EVENT_FIELDS)
        return value

    def master_element(self, element: Element) -> dict[str, Any]:
        """A vocabulary element: its id, attributes, children and extensions."""
        value: dict[str, Any] = {}
        self.attributes(element, value, {"id": _as_text})
        attributes: list[Any] = []
        for child in element.children:
            if child.name == _ATTRIBUTE:
                self.note(attributes, len(attributes), child)
                attributes.append(self.master_attribute(child))
        if attributes:
            self.put(value, "attributes", attributes, element)
        rest = [child for child in element.children if child.name != _ATTRIBUTE]
        self.each(rest, value, {"children": _list_of("id", _text)})
        return value

    def master_attribute(self, element: Element) -> dict[str, Any]:
        """One attribute of master data: text, or elements of any depth."""
        value: dict[str, Any] = {}
        self.attributes(element, value, {"id": _as_text})
        inner = self.children_of(element) if element.children else element.text
        self.put(value, "attribute", inner, element)
        return value

    def fields(self, element: Element, value: dict[str, Any], fields: Fields) -> None:
        """The children of an element as members; wrappers of older versions count for nothing."""
        if element.text and not element.has_child and element.text.strip(_XML_SPACE):
            self.problem(element, None, "mixed-content", "elements", element.text.strip(_XML_SPACE))
        self.each(element.children, value, fields)

    def each(self, children: Iterable[Element], value: dict[str, Any], fields: Fields) -> None:
        """Elements as members of `value`; elements of other namespaces are extensions."""
        several: dict[str, list[Any]] = {}
        for child in children:
            name = child.name
            if name.uri:
                if name.uri == MARKS and name.local == "certificationInfo" and name.local in fields:
                    self.certified(child, value)
                    continue
                self.extend(value, self.open_name(child), self.extension(child), child, several)
            elif (field := fields.get(name.local)) is not None:
                read = field(self, child)
                if read is not None:
                    self.put(value, name.local, read, child)
            elif name.local in _WRAPPERS:
                self.fields(child, value, fields)
            else:
                # Only what this table names: JSON's own names must not come in as elements that XML does not have.
                self.unknown(child, fields)

    def unknown(self, element: Element, known: Iterable[str]) -> None:
        """Refuse an element without a namespace that has no place where it stands."""
        expected = (
            ", ".join([*known, "or an element with a namespace"]) if known else "an element with a namespace"
        )
        self.problem(element, None, "unknown-field", expected, element.name.local)

    def certified(self, element: Element, value: dict[str, Any]) -> None:
        """One more item of `certificationInfo`, which XML has once; an empty one says that there is a list."""
        held = value.get("certificationInfo", [])
        items = held if type(held) is list else [held]
        if items is not held and self.trace is not None:
            self.trace[id(items), 0] = self.trace[id(value), "certificationInfo"]
        value["certificationInfo"] = items
        if text := self.leaf(element):
            self.note(items, len(items), element)
            items.append(text)

    def inner_name(self, element: Element) -> str:
        """The member name of an element inside an extension."""
        if element.attributes and (own := marks_of(element).get("name")) is not None:
            return self.naming.named(own, element.name)
        return self.naming.member(element.name)

    def open_name(self, element: Element) -> str:
        """The member name of an extension of what EPCIS defines, whose own names no mark may give."""
        found = self.inner_name(element)
        if ":" not in found:
            self.problem(element, "name", "unknown-field", "a name with a prefix", found)
            return self.naming.member(element.name)
        return found

    def extension(self, element: Element) -> Any:
        """The value of an extension: text, or an object; attributes count, but for those of XML Schema."""
        if not element.attributes:
            return self.children_of(element) if element.has_child else element.text
        marks = marks_of(element)
        if (unknown := unknown_mark(marks)) is not None or marks.get("in", "list") != "list":
            self.problem(
                element, unknown or "in", "unknown-attribute", "type, name, or in with list", unknown or "in"
            )
        attributes = [
            (raw, text)
            for raw, text in element.attributes.items()
            if not (raw.startswith(_XSI) or is_mark(raw))
        ]
        if "type" in marks:
            return self.marked(element, marks["type"], attributes)
        if not attributes:
            return self.children_of(element) if element.has_child else element.text
        value: dict[str, Any] = {}
        for raw, text in attributes:
            self.put(value, self.naming.member(_name(raw)), text, element, raw)
        several: dict[str, list[Any]] = {}
        for child in element.children:
            self.extend(value, self.inner_name(child), self.extension(child), child, several)
        if not element.has_child and element.text.strip(_XML_SPACE):
            self.put(value, self.naming.member(_TEXT_OF), element.text, element)
        return value

    def marked(self, element: Element, kind: str, attributes: list[tuple[str, str]]) -> Any:
        """The value of an extension whose kind is marked."""
        for raw, _ in attributes:
            self.problem(
                element, raw, "unknown-attribute", f"no attribute beside a {kind}", raw.split(" ")[-1]
            )
        if kind in ("object", "list"):
            if element.text.strip(_XML_SPACE):
                self.problem(element, None, "mixed-content", "elements", "text")
            return self.children_of(element) if kind == "object" else self.items_of(element)
        if element.has_child:
            self.problem(element, None, "wrong-type", "text", "elements")
        read = _unmarked(kind, element.text.strip(_XML_SPACE))
        if read is _NOT_IT:
            expected = f"a {kind}" if kind in KINDS else f"one of {', '.join(KINDS)}"
            self.problem(element, None, "wrong-type", expected, element.text[:40] if kind in KINDS else kind)
            return None
        return read

    def items_of(self, element: Element) -> list[Any]:
        """The children of an element that is marked as a list, whatever they are called."""
        items: list[Any] = []
        for child in element.children:
            self.note(items, len(items), child)
            items.append(self.extension(child))
        return items

    def children_of(self, element: Element) -> dict[str, Any]:
        """The children of an extension; those of one name are a list."""
        value: dict[str, Any] = {}
        several: dict[str, list[Any]] = {}
        for child in element.children:
            self.extend(value, self.inner_name(child), self.extension(child), child, several)
        return value

    def extend(
        self, value: dict[str, Any], name: str, inner: Any, element: Element, several: dict[str, list[Any]]
    ) -> None:
        """Add an extension; the second of a name makes a list of both. `several` are the lists made so."""
        if name not in value:
            if element.attributes and "in" in marks_of(element):
                inner = several[name] = [inner]
                self.note(inner, 0, element)
            self.put(value, name, inner, element)
            return
        items = several.get(name)
        if items is None:
            items = several[name] = [value[name]]
            if self.trace is not None:
                self.trace[id(items), 0] = self.trace[id(value), name]
            value[name] = items
        self.note(items, len(items), element)
        items.append(inner)

    def put(
        self, value: dict[str, Any], name: str, inner: Any, element: Element, attribute: str | None = None
    ) -> None:
        """Add a member that may be there once."""
        if name in value:
            self.problem(element, attribute, "duplicate-member", "each element once", name)
            self.refused.append(inner)
            return
        value[name] = inner
        if self.trace is not None:
            self.trace[id(value), name] = (element, attribute)

    def note(self, items: list[Any], index: int, element: Element) -> None:
        """Remember where an item of a list is from."""
        if self.trace is not None:
            self.trace[id(items), index] = (element, None)

    def attributes(self, element: Element, value: dict[str, Any], known: Attributes) -> None:
        """The attributes of an element as members: known ones, extensions; another is refused."""
        kinds = ""
        for raw, text in element.attributes.items():
            reader = known.get(raw)
            if reader is not None:
                self.put(value, raw, reader(self, text, element, raw), element, raw)
            elif raw.startswith(_XSI):
                continue
            elif is_mark(raw) and _name(raw).local == "types":
                kinds = text
            elif " " in raw:
                self.put(value, self.naming.member(_name(raw)), text, element, raw)
            else:
                expected = f"one of {', '.join(known)}" if known else "no attribute without a namespace"
                self.problem(element, raw, "unknown-attribute", expected, raw)
        if kinds:
            self.retype(element, value, kinds)

    def retype(self, element: Element, value: dict[str, Any], kinds: str) -> None:
        """Give attributes the kinds that a mark states for them, as ``prefix:name=kind`` with a space between."""
        stated = dict(one.split("=", 1) for one in kinds.split() if "=" in one)
        for raw, text in element.attributes.items():
            name = _name(raw)
            kind = stated.pop(f"{name.prefix}:{name.local}", None) if name.uri else None
            if kind is not None:
                read = _unmarked(kind, text.strip(_XML_SPACE))
                if read is _NOT_IT:
                    self.problem(element, raw, "wrong-type", f"a {kind[:40]}", text[:40])
                value[self.naming.member(name)] = None if read is _NOT_IT else read
        for name_left in stated:
            self.problem(element, None, "unknown-attribute", "an attribute of this element", name_left[:40])

    def leaf(self, element: Element) -> str:
        """The text of an element that has nothing else, without the space around it."""
        self.no_attributes(element)
        if element.has_child:
            self.problem(element, None, "wrong-type", "text", "elements")
        return element.text.strip(_XML_SPACE)

    def no_attributes(self, element: Element) -> None:
        """Refuse attributes where JSON has no place for one."""
        for raw in element.attributes:
            if not raw.startswith(_XSI):
                self.problem(element, raw, "unknown-attribute", "no attribute here", raw.split(" ")[-1])

    def problem(self, element: Element, attribute: str | None, rule: str, expected: str, got: str) -> None:
        """Note what JSON cannot say."""
        self.problems.append(Problem(element, attribute, rule, expected, got))


Field = Callable[[Reader, Element], Any]
"""The value of an element, or None where it says nothing."""
Fields = dict[str, Field]
AttributeReader = Callable[[Reader, str, Element, str], Any]
Attributes = dict[str, AttributeReader]


def _name(raw: str) -> Name:
    parts = raw.split(" ")
    return (
        Name("", raw, "") if len(parts) == 1 else Name(parts[0], parts[1], parts[2] if len(parts) > 2 else "")
    )


def number(text: str) -> int | float | str | None:
    """The JSON number of XML's text, the text itself where it is none, None where JSON has no such number."""
    if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
        return text
    exact, near = Decimal(text), float(text)
    if isinf(near) or Decimal(repr(near)) != exact:
        whole = exact == exact.to_integral_value() and abs(exact) <= _LARGEST if not isinf(near) else False
        return int(exact) if whole else None
    if not near.is_integer():
        return near
    if _LARGEST < abs(near) < 1e21:
        return None
    return int(near) if abs(near) <= _LARGEST else near


_read_number = lru_cache(maxsize=8_192)(number)


def _unmarked(kind: str, text: str) -> Any:
    """The value of a kind that text has, or `_NOT_IT`."""
    if kind == "number":
        found = _read_number(text) if len(text) <= _LONGEST_NUMBER else None
        return _NOT_IT if found is None or type(found) is str else found
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, _NOT_IT)
    return None if kind == "null" and not text else _NOT_IT


_NOT_IT: Final = object()


def _as_text(mapping: Reader, text: str, element: Element, raw: str) -> str:
    return text.strip(_XML_SPACE)


def _as_number(mapping: Reader, text: str, element: Element, raw: str | None) -> Any:
    plain = text.strip(_XML_SPACE)
    found = _read_number(plain) if len(plain) <= _LONGEST_NUMBER else plain
    if found is None:
        mapping.problem(element, raw, "jcs-number", "a number that a double holds exactly", text[:40])
        return 0
    return found


def _as_boolean(mapping: Reader, text: str, element: Element, raw: str) -> Any:
    plain = text.strip(_XML_SPACE)
    return {"true": True, "1": True, "false": False, "0": False}.get(plain, plain)


def _as_word(field: str) -> AttributeReader:
    return lambda mapping, text, element, raw: bare_word(field, text.strip(_XML_SPACE))


def _text(mapping: Reader, element: Element) -> str:
    # The short way for nearly every value of a document: text and nothing else.
    if element.attributes or element.has_child:
        return mapping.leaf(element)
    return element.text.strip(_XML_SPACE)


def _word(field: str) -> Field:
    return lambda mapping, element: bare_word(field, _text(mapping, element))


def _list_of(item: str, read: Field, *, keep_empty: bool = False) -> Field:
    """A list whose items are elements of one name; an empty one says nothing, unless kept."""

    def field(mapping: Reader, element: Element) -> list[Any] | None:
        items: list[Any] = []
        mapping.no_attributes(element)
        _collect(mapping, element, items)
        return items if items or keep_empty else None

    def _collect(mapping: Reader, element: Element, items: list[Any]) -> None:
        if element.text and not element.has_child and element.text.strip(_XML_SPACE):
            mapping.problem(element, None, "mixed-content", f"elements {item}", element.text.strip())
        trace = mapping.trace
        for child in element.children:
            if child.name.local == item and not child.name.uri:
                if trace is not None:
                    trace[id(items), len(items)] = (child, None)
                items.append(read(mapping, child))
            elif child.name.local in _WRAPPERS and not child.name.uri:
                _collect(mapping, child, items)
            else:
                mapping.problem(child, None, "unknown-field", f"elements {item}", child.name.local)

    return field


def _object_of(fields: Fields, attributes: Attributes | None = None) -> Field:
    known = attributes or {}

    def field(mapping: Reader, element: Element) -> dict[str, Any]:
        value: dict[str, Any] = {}
        if element.attributes:
            mapping.attributes(element, value, known)
        mapping.fields(element, value, fields)
        return value

    return field


def _typed(name: str, field: str) -> Field:
    """An element with a type and text, such as a business transaction."""
    known = {"type": _as_word(field)}

    def read(mapping: Reader, element: Element) -> dict[str, Any]:
        value: dict[str, Any] = {}
        mapping.attributes(element, value, known)
        if element.has_child:
            mapping.problem(element, None, "wrong-type", "text", "elements")
        mapping.put(value, name, element.text.strip(_XML_SPACE), element)
        return value

    return read


def _quantity(mapping: Reader, element: Element) -> Any:
    if any(
        raw.startswith(_NIL) and text.strip() in ("true", "1") for raw, text in element.attributes.items()
    ):
        return None
    mapping.no_attributes(element)
    if element.has_child:
        mapping.problem(element, None, "wrong-type", "a number", "elements")
    return _as_number(mapping, element.text, element, None)


def _sensor_element(mapping: Reader, element: Element) -> dict[str, Any]:
    reports = [child for child in element.children if child.name == _REPORT_NAME]
    value: dict[str, Any] = {}
    mapping.attributes(element, value, {})
    if reports:
        items: list[Any] = []
        mapping.put(value, "sensorReport", items, element)
        for child in reports:
            mapping.note(items, len(items), child)
            items.append(_REPORT(mapping, child))
    rest: list[Element] = []
    more: list[Element] = []
    for child in element.children:
        if child.name != _REPORT_NAME:
            (more if child.name.uri == MARKS and child.name.local in _MORE_SENSED else rest).append(child)
    mapping.each(rest, value, {"sensorMetadata": _METADATA})
    for child in more:
        _more_sensed(mapping, child, value)
    return value


def _more_sensed(mapping: Reader, element: Element, value: dict[str, Any]) -> None:
    """What no attribute can say of the metadata, or of the report that the mark `at` counts from 0."""
    held: Any = value.get(element.name.local)
    if element.name.local == "sensorReport":
        at = marks_of(element).get("at", "")
        short = at.isascii() and at.isdecimal() and len(at) < _LONGEST_COUNT
        held = held[int(at)] if short and type(held) is list and int(at) < len(held) else None
    if type(held) is not dict:
        expected = f"a {element.name.local} of the same element, before it"
        mapping.problem(element, None, "unknown-field", expected, "none")
        return
    mapping.fields(element, held, {})


def _dispositions(mapping: Reader, element: Element) -> dict[str, Any]:
    value: dict[str, Any] = {}
    mapping.no_attributes(element)
    for child in element.children:
        if child.name.uri or child.name.local not in ("set", "unset"):
            mapping.problem(child, None, "unknown-field", "set or unset", child.name.local)
            continue
        items = value.get(child.name.local)
        if items is None:
            items = []
            mapping.put(value, child.name.local, items, child)
        mapping.note(items, len(items), child)
        items.append(bare_word("disposition", _text(mapping, child)))
    return value


_XSI = XSI + " "
_NIL = XSI + " nil"
_WRAPPERS = frozenset({"extension", "baseExtension"})
_ATTRIBUTE = Name("", "attribute", "")
_MORE_SENSED = frozenset({"sensorMetadata", "sensorReport"})
_LONGEST_COUNT: Final = 7
_REPORT_NAME = Name("", "sensorReport", "")
_SENSED: Attributes = dict.fromkeys(
    ("time", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules"), _as_text
)
_METADATA = _object_of({}, {**_SENSED, "startTime": _as_text, "endTime": _as_text})
_REPORT = _object_of(
    {},
    {
        **_SENSED,
        "type": _as_word("measurementType"),
        "exception": _as_word("exception"),
        "component": _as_word("component"),
        "booleanValue": _as_boolean,
        **dict.fromkeys(
            ("microorganism", "chemicalSubstance", "coordinateReferenceSystem", "uriValue", "uom"), _as_text
        ),
        "hexBinaryValue": _as_text,
        "stringValue": lambda mapping, text, element, raw: text,
        **dict.fromkeys(
            ("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue"), _as_number
        ),
    },
)
_PLACE = _object_of({"id": _text})
_EPCS = _list_of("epc", _text)
_QUANTITIES = _list_of(
    "quantityElement", _object_of({"epcClass": _text, "quantity": _quantity, "uom": _text})
)

EVENT_FIELDS: Final[Fields] = {
    **dict.fromkeys(
        (
            "eventTime",
            "recordTime",
            "eventTimeZoneOffset",
            "eventID",
            "action",
            "parentID",
            "transformationID",
        ),
        _text,
    ),
    "certificationInfo": _text,
    "errorDeclaration": _object_of(
        {
            "declarationTime": _text,
            "reason": _word("errorReason"),
            "correctiveEventIDs": _list_of("correctiveEventID", _text),
        }
    ),
    "bizStep": _word("bizStep"),
    "disposition": _word("disposition"),
    "persistentDisposition": _dispositions,
    "readPoint": _PLACE,
    "bizLocation": _PLACE,
    **dict.fromkeys(("epcList", "childEPCs", "inputEPCList", "outputEPCList"), _EPCS),
    **dict.fromkeys(
        ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"), _QUANTITIES
    ),
    "bizTransactionList": _list_of("bizTransaction", _typed("bizTransaction", "bizTransactionType")),
    "sourceList": _list_of("source", _typed("source", "sourceOrDestinationType")),
    "destinationList": _list_of("destination", _typed("destination", "sourceOrDestinationType")),
    "sensorElementList": _list_of("sensorElement", _sensor_element),
    "ilmd": _object_of({}),
}
"""How each element of an event reads."""
