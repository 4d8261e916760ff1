"""An EPCIS document in XML as the JSON form that is read and committed, and the way back from a finding to its line.

`read_xml` gives the JSON form of an EPCISDocument, an EPCISQueryDocument or a single event, of EPCIS 2.0 or 1.x.
What each element becomes is written down in docs/spec/xml.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.errors import Finding

from .xml_event import Problem, Reader, Trace
from .xml_names import Absolute, Prefixes
from .xml_parser import (
    EPCIS_VERSIONS,
    QUERY_VERSIONS,
    Element,
    Frame,
    Place,
    RefusedXML,
    parse,
    steps_within,
)

CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
"""The context of every JSON form: its fields are those of EPCIS 2.0, whatever version the XML is."""

MOST_RECORDS: Final = 65_534
"""Events and master-data elements of a document; the header record is one more."""

_SBDH = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
_ROOTS = {"EPCISDocument": EPCIS_VERSIONS, "EPCISQueryDocument": QUERY_VERSIONS}
_EVENTS = frozenset(
    {"ObjectEvent", "AggregationEvent", "TransactionEvent", "TransformationEvent", "AssociationEvent"}
)
_OLD_VERSIONS = frozenset({"1", "1.0", "1.1", "1.2"})
_ROOT_ATTRIBUTES = ("schemaVersion", "creationDate", "id", "sender", "receiver", "instanceIdentifier")
_SHALLOW: Final = 24
_MOST_TOLD: Final = 100
_SHOWN: Final = 80
# Where the events stand in the JSON form.
_EVENT_LISTS = {
    "EPCISDocument": "/epcisBody/eventList",
    "EPCISQueryDocument": "/epcisBody/queryResults/resultsBody/eventList",
}


@dataclass(frozen=True, slots=True)
class _Traced:
    """One record, or the frame, that was read with a trace: what came from where."""

    value: dict[str, Any]
    element: Element
    place: Place
    trace: Trace


@dataclass(slots=True)
class XMLForm:
    """The JSON form of a document.

    `refused` is what XML said and JSON cannot, `warned` what is worth telling; `masters` and `events` are the
    places of the records after the header. `may_be_deep` says that a record could be deeper than a proof can carry.
    `unread` are the positions of all events that `refused` is about, or would be if it told of more. `version` is the
    one that the document states.
    """

    value: dict[str, Any]
    refused: list[Finding]
    warned: list[Finding]
    masters: list[Place]
    events: list[Place]
    may_be_deep: bool
    data: bytes = field(repr=False)
    unread: frozenset[int] = frozenset()
    version: str | None = None

    def place(self, position: int) -> Place:
        """Where a record after the header is."""
        masters = len(self.masters)
        return self.masters[position - 1] if position <= masters else self.events[position - 1 - masters]

    def placed(self, findings: Iterable[Finding]) -> list[Finding]:
        """Findings about the JSON form as findings about the XML; the document is read once more for them."""
        told = list(findings)
        if not told:
            return []
        wanted = frozenset(one.record for one in told if one.record)
        builder = _Builder(self.data, wanted, len(self.masters))
        builder.form()
        return [builder.placed(one) for one in told]


def read_xml(data: bytes, most_events: int = MOST_RECORDS) -> XMLForm:
    """The JSON form of a document. Raises RefusedXML where there is none, or at the first event that is one too many."""
    return _Builder(data, most_events=most_events).form()


class _Builder:
    """Turns records into JSON as they come, and at the end the frame around them.

    With `wanted`, positions of records, it reads only those and the frame, and notes where everything is from.
    """

    def __init__(
        self,
        data: bytes,
        wanted: frozenset[int] | None = None,
        masters: int = 0,
        most_events: int = MOST_RECORDS,
    ) -> None:
        self.data = data
        self.wanted = wanted
        self.most_events = most_events
        self.unread: set[int] = set()
        self.version: str | None = None
        self.first_event = 1 + masters
        self.rows: dict[int, list[Any]] = {}
        self.masters: list[Place] = []
        self.events: list[Place] = []
        self.problems: list[tuple[bool, int, Place, Element, Problem]] = []
        self.contexts: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self.absolute = Absolute()
        self.traced: dict[int, _Traced] = {}
        self.kind = ""
        self.steps: tuple[Element | None, dict[int, str]] = (None, {})

    def form(self) -> XMLForm:
        """Read the document."""
        try:
            frame = parse(self.data, self.record)
        except RefusedXML as error:
            if error.is_in_record:
                error.record = 1 + len(self.masters) + len(self.events)
            raise
        top = Place("/" + frame.root.name.local, frame.root.line)
        self._check_root(frame, top)
        value = self._document(frame, top) if frame.root.name.local in _ROOTS else self._bare(frame, top)
        warned = []
        if frame.has_doctype and self.wanted is None:
            got = "one that declares nothing, which is passed over"
            warned.append(Finding(0, "", "doctype", "no document type declaration", got, 1))
        deep = frame.depth > _SHALLOW
        first = 1 + len(self.masters)
        return XMLForm(
            value,
            self._refused(),
            warned,
            self.masters,
            self.events,
            deep,
            self.data,
            frozenset([first + index for index in self.unread]),
            self.version,
        )

    def record(self, holder: Element, element: Element, place: Place) -> None:
        """One record has ended."""
        is_event = holder.name.local == "EventList"
        places = self.events if is_event else self.masters
        if len(self.events) + len(self.masters) >= MOST_RECORDS:
            raise RefusedXML("too-many-records", f"{MOST_RECORDS} events and elements at most", "more", place)
        if is_event and len(places) >= self.most_events:
            expected = f"{self.most_events} events in a capture at most"
            raise RefusedXML("too-many-events", expected, "more", place)
        places.append(place)
        rows = self.rows.setdefault(id(holder), [])
        position = len(places) if not is_event else self.first_event + len(places) - 1
        if self.wanted is not None and position not in self.wanted:
            rows.append(None)
            return
        rows.append(self._read(element, place, is_event, len(places) - 1, position))

    def _read(
        self, element: Element, place: Place, is_event: bool, index: int, position: int
    ) -> dict[str, Any]:
        problems: list[Problem] = []
        trace: Trace | None = None if self.wanted is None else {}
        if is_event:
            prefixes = Prefixes()
            value = Reader(prefixes, problems, trace).event(element)
            if declared := prefixes.declared:
                value["@context"] = self._interned(declared)
        else:
            value = Reader(self.absolute, problems, trace).master_element(element)
        if problems:
            self._note(problems, is_event, index, place, element)
        if trace is not None:
            self.traced[position] = _Traced(value, element, place, trace)
        return value

    def _interned(self, declared: dict[str, str]) -> dict[str, str]:
        # Events with the same prefixes share one context, so that it is resolved and written once.
        return self.contexts.setdefault(tuple(sorted(declared.items())), declared)

    def _note(
        self, problems: list[Problem], is_event: bool, index: int, place: Place, element: Element
    ) -> None:
        if problems and is_event:
            self.unread.add(index)
        room = _MOST_TOLD - len(self.problems)
        self.problems += [(is_event, index, place, element, one) for one in problems[:room]]

    def _refused(self) -> list[Finding]:
        found = []
        for is_event, index, place, element, one in self.problems:
            position = 0 if index < 0 else 1 + index + (len(self.masters) if is_event else 0)
            path, line = self._within(place, element, one.element, one.attribute)
            found.append(Finding(position, path, one.rule, one.expected, one.got[:80], line))
        return found

    def _check_root(self, frame: Frame, top: Place) -> None:
        local, allowed = frame.root.name.local, _ROOTS.get(frame.root.name.local)
        if allowed is None and local not in _EVENTS:
            expected = f"one of {', '.join([*_ROOTS, *sorted(_EVENTS)])}"
            raise RefusedXML("unknown-document-type", expected, local[:80], top)
        spaces = [*allowed] if allowed else ["", *EPCIS_VERSIONS]
        if frame.namespace not in spaces:
            expected = f"the namespace {' or '.join(one for one in spaces if one)}"
            raise RefusedXML("wrong-namespace", expected, frame.namespace[:80] or "none", top)

    def _version(self, frame: Frame, problems: list[Problem]) -> str | None:
        """The version of the JSON form; None where the document states none."""
        stated = frame.root.attributes.get("schemaVersion")
        if stated is None:
            return None
        plain = self.version = stated.strip()
        old = {**EPCIS_VERSIONS, **QUERY_VERSIONS}.get(frame.namespace) == "1"
        if (plain in _OLD_VERSIONS) != old and frame.namespace:
            expected = "1.0 to 1.2" if old else "2.0 or a later 2.x"
            problems.append(
                Problem(
                    frame.root,
                    "schemaVersion",
                    "schema-version",
                    f"{expected} in {frame.namespace}",
                    plain[:80],
                )
            )
        return "2.0" if old or not frame.namespace else plain

    def _bare(self, frame: Frame, top: Place) -> dict[str, Any]:
        root, problems = frame.root, list[Problem]()
        self._version(frame, problems)
        # Partners write what belongs to a document on a single event; nothing of the event depends on it.
        for name in ("schemaVersion", "creationDate"):
            root.attributes.pop(name, None)
        self.first_event = 1
        self.events.append(top)
        self._note(problems, True, 0, top, root)
        value = self._read(root, top, True, 0, 1)
        own = value.pop("@context", None)
        return (
            {"@context": [CONTEXT] if own is None else [CONTEXT, own], **value}
            if self.wanted is None
            else value
        )

    def _document(self, frame: Frame, top: Place) -> dict[str, Any]:
        root, problems = frame.root, list[Problem]()
        self.kind = root.name.local
        trace: Trace | None = None if self.wanted is None else {}
        reader = Reader(self.absolute, problems, trace)
        value: dict[str, Any] = {"@context": [CONTEXT], "type": root.name.local}
        version = self._version(frame, problems)
        for raw, text in root.attributes.items():
            if raw in _ROOT_ATTRIBUTES:
                reader.put(value, raw, version if raw == "schemaVersion" else text.strip(), root, raw)
        reader.attributes(
            _with(root, [raw for raw in root.attributes if raw not in _ROOT_ATTRIBUTES]), value, {}
        )
        self._children(reader, root, value, {"EPCISHeader": self._header, "EPCISBody": self._body})
        self._from_sbdh(reader, root, value)
        self._note(problems, False, -1, top, root)
        if trace is not None:
            self.traced[0] = _Traced(value, root, top, trace)
        return value

    def _children(
        self, reader: Reader, element: Element, value: dict[str, Any], parts: dict[str, Any]
    ) -> None:
        """Children of the frame: `parts` are read by functions of their own, all others kept as extensions."""
        several: dict[str, list[Any]] = {}
        for child in element.children:
            part = parts.get(child.name.local) if not child.name.uri else None
            if part is not None:
                part(reader, child, value)
            elif child.name.local == "extension" and not child.name.uri:
                self._children(reader, child, value, parts)
            elif child.name.uri:
                name = reader.naming.member(child.name)
                reader.extend(value, name, reader.extension(child), child, several)
            else:
                reader.unknown(child, parts)

    def _object(
        self, reader: Reader, element: Element, value: dict[str, Any], name: str, parts: dict[str, Any]
    ) -> None:
        inner: dict[str, Any] = {}
        reader.attributes(element, inner, {})
        self._children(reader, element, inner, parts)
        reader.put(value, name, inner, element)

    def _header(self, reader: Reader, element: Element, value: dict[str, Any]) -> None:
        self._object(reader, element, value, "epcisHeader", {"EPCISMasterData": self._master_data})

    def _master_data(self, reader: Reader, element: Element, value: dict[str, Any]) -> None:
        self._object(reader, element, value, "epcisMasterData", {"VocabularyList": self._vocabularies})

    def _vocabularies(self, reader: Reader, element: Element, value: dict[str, Any]) -> None:
        items: list[Any] = []
        reader.no_attributes(element)
        for child in element.children:
            if child.name.local != "Vocabulary" or child.name.uri:
                reader.problem(child, None, "unknown-field", "elements Vocabulary", child.name.local)
                continue
            inner: dict[str, Any] = {}
            for raw, text in child.attributes.items():
                if raw == "type":
                    reader.put(inner, "type", text.strip(), child, raw)
            reader.attributes(_with(child, [raw for raw in child.attributes if raw != "type"]), inner, {})
            self._children(reader, child, inner, {"VocabularyElementList": self._elements})
            reader.note(items, len(items), child)
            items.append(inner)
        reader.put(value, "vocabularyList", items, element)

    def _elements(self, reader: Reader, element: Element, value: dict[str, Any]) -> None:
        reader.put(value, "vocabularyElementList", self._rows(reader, element), element)

    def _body(self, reader: Reader, element: Element, value: dict[str, Any]) -> None:
        parts = {"EventList": self._event_list}
        if self.kind == "EPCISQueryDocument":
            parts = {"QueryResults": self._query_results}
        self._object(reader, element, value, "epcisBody", parts)

    def _query_results(self, reader: Reader, element: Element, value: dict[str, Any]) -> None:
        parts = {"queryName": self._text, "subscriptionID": self._text, "resultsBody": self._results_body}
        self._object(reader, element, value, "queryResults", parts)

    def _text(self, reader: Reader, element: Element, value: dict[str, Any]) -> None:
        reader.put(value, element.name.local, reader.leaf(element), element)

    def _results_body(self, reader: Reader, element: Element, value: dict[str, Any]) -> None:
        self._object(reader, element, value, "resultsBody", {"EventList": self._event_list})

    def _event_list(self, reader: Reader, element: Element, value: dict[str, Any]) -> None:
        reader.put(value, "eventList", self._rows(reader, element), element)

    def _rows(self, reader: Reader, element: Element) -> list[Any]:
        """The records of a list, those in its extensions among them."""
        reader.no_attributes(element)
        return self.rows.get(id(element), [])

    def _from_sbdh(self, reader: Reader, root: Element, value: dict[str, Any]) -> None:
        """The members of the JSON form that say what a business document header says."""
        headers = [
            inner
            for child in root.children
            if child.name.local == "EPCISHeader"
            for inner in child.children
            if inner.name.uri == _SBDH
        ]
        for name, path in _SENDERS.items():
            found = _descendants(headers, path)
            if len(found) == 1 and name not in value and (text := found[0].text.strip()):
                reader.put(value, name, text, found[0])

    def placed(self, finding: Finding) -> Finding:
        """A finding about the JSON form, at its place in the XML."""
        if finding.line is not None:
            return finding
        traced = self.traced.get(finding.record or 0)
        if traced is None:
            return finding
        start = self._start(finding)
        tokens = [
            one.replace("~1", "/").replace("~0", "~") for one in finding.pointer[len(start) :].split("/")[1:]
        ]
        element, attribute = traced.element, None
        here: Any = traced.value
        for token in tokens:
            key = int(token) if isinstance(here, list) and token.isdecimal() else token
            if (id(here), key) in traced.trace:
                element, attribute = traced.trace[id(here), key]
            elif not isinstance(here, dict) or key not in here:
                break
            here = here[key]
        path, line = self._within(traced.place, traced.element, element, attribute)
        return Finding(finding.record, path, finding.rule, finding.expected, finding.got, line)

    def _within(self, place: Place, top: Element, element: Element, attribute: str | None) -> tuple[str, int]:
        """The path and line of an element in a record, or of its attribute."""
        if self.steps[0] is not top:
            # One walk for all the faults of a record: they may be a hundred in two hundred thousand elements.
            self.steps = (top, steps_within(top))
        path = place.path + self.steps[1].get(id(element), "")
        if attribute is not None:
            parts = [part[:_SHOWN] for part in attribute.split(" ")]
            path += "/@" + (f"{parts[2]}:{parts[1]}" if len(parts) > 2 else parts[-1])
        return path, element.line

    def _start(self, finding: Finding) -> str:
        """The part of a finding's pointer that leads to its record."""
        position = finding.record or 0
        if position == 0 or not self.kind:
            return ""
        if position >= self.first_event:
            return f"{_EVENT_LISTS[self.kind]}/{position - self.first_event}"
        steps = finding.pointer.split("/")
        return "/".join(steps[:7])


_SENDERS = {
    "sender": ("Sender", "Identifier"),
    "receiver": ("Receiver", "Identifier"),
    "instanceIdentifier": ("DocumentIdentification", "InstanceIdentifier"),
}


def _descendants(elements: list[Element], path: tuple[str, ...]) -> list[Element]:
    for local in path:
        elements = [child for one in elements for child in one.children if child.name.local == local]
    return elements


def _with(element: Element, names: list[str]) -> Element:
    """The element with these of its attributes only."""
    element.attributes = {raw: element.attributes[raw] for raw in names}
    return element
