"""Reads an EPCIS 2.0 document or a single event into the records that are committed (design: evidence).

One call validates the whole and gives the header record, the master-data records and the events, each in
committed form, in the order of a capture::

    document = read_document(data, "application/ld+json")
    [record.committed for record in document.records]
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from ledger.canonical import JSON, is_deeper, parse_json
from ledger.commitment import MAX_NODES, MAX_RECORD_DEPTH, commitment_nodes
from ledger.errors import Finding, InvalidInput, TooLarge

from .contexts import (
    PACKAGED,
    ContextTable,
    EffectiveContext,
    as_entries,
    check_context,
    committed_context,
    effective_context,
    escape,
)
from .event import Event, read_event
from .fields import TEXT, TIME, check_extension
from .findings import MOST, EnoughFindings, Findings
from .identifiers import Position, Thing, read_name
from .master_data import MASTER_DATA_POSITION, Element, check_vocabularies
from .outline import refuse_excess
from .unreadable import with_records
from .validation import FIELDS, check_event
from .xml_document import XMLForm, read_xml
from .xml_parser import RefusedXML, looks_like_xml

RULE: Final = "loomark/things/v1"
"""The rule by which identifiers became things; named in every header record."""

MOST_RECORDS: Final = 65_535
"""Records of a capture, the header record included (design: evidence, Limits)."""

MEDIA_TYPES: Final = ("application/ld+json", "application/json")
XML_MEDIA_TYPES: Final = ("application/xml", "text/xml")
EVENT_LISTS: Final[Mapping[str, str]] = {
    "EPCISDocument": "/epcisBody/eventList",
    "EPCISQueryDocument": "/epcisBody/queryResults/resultsBody/eventList",
}
"""The kinds of documents, and where each has its events."""
_OF_A_QUERY = ("queryName", "subscriptionID")
_MEMBERS = frozenset(
    {"@context", "type", "id", "schemaVersion", "creationDate", "sender", "receiver", "instanceIdentifier"}
    | {"epcisHeader", "epcisBody"}
)


@dataclass(frozen=True, slots=True)
class HeaderRecord:
    """The record at position 0: the document without its records, and the digest of its bytes."""

    committed: dict[str, Any]
    position: int = 0
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class MasterRecord:
    """One master-data element: a claim of `type` about `thing`."""

    position: int
    pointer: str
    committed: dict[str, Any]
    type: str
    thing: Thing


class EventRecord(NamedTuple):
    """One event, as it is committed and as it reads."""

    position: int
    pointer: str
    committed: dict[str, Any]
    event: Event


class RejectedEvent(NamedTuple):
    """An event that was left out, with what is wrong with it; `position` is the one it would have had."""

    position: int
    pointer: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A validated submission. `unresolved` are the contexts whose meaning is not known here.

    `rejected` are the events that were left out, in order: none unless that was asked for. Positions count them.
    """

    header: HeaderRecord
    master_data: tuple[MasterRecord, ...]
    events: tuple[EventRecord, ...]
    warnings: tuple[Finding, ...]
    unresolved: tuple[str, ...]
    rejected: tuple[RejectedEvent, ...] = ()

    @property
    def records(self) -> tuple[HeaderRecord | MasterRecord | EventRecord, ...]:
        """All records in the order of the capture commitment."""
        return (self.header, *self.master_data, *self.events)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read: which contexts resolve, what a signed capture says of them, what a member asked for.

    `proceed` leaves out the events that are at fault; `single` takes one bare event and no document; `version` is the
    EPCIS version that the sender stated beside the document. At most `most_events` are read.
    """

    contexts: ContextTable = PACKAGED
    sent_digests: Mapping[str, str | None] | None = None
    keep_bad_check_digits: bool = False
    proceed: bool = False
    single: bool = False
    version: str | None = None
    most_events: int = MOST_RECORDS


DEFAULT_READING: Final = Reading()


def read_document(data: bytes, media_type: str, reading: Reading = DEFAULT_READING) -> Document:
    """Reads and validates one EPCISDocument, EPCISQueryDocument or bare event, in JSON or XML.

    Raises InvalidInput with up to 100 findings; its rule is that of the first. TooLarge for more records
    than a capture holds, or more events than are to be read. `media_type` may have parameters; the committed form has none.
    """
    plain = media_type.partition(";")[0].strip().lower()
    if plain in XML_MEDIA_TYPES:
        return _read_xml(data, plain, reading)
    if plain not in MEDIA_TYPES:
        expected = " or ".join(MEDIA_TYPES + XML_MEDIA_TYPES)
        raise InvalidInput(f"expected {expected}, got {plain[:80]}", rule="media-type")
    refuse_excess(data, reading.most_events)
    value, deep = _parsed(data)
    found = Findings(reading.keep_bad_check_digits)
    source = {"sha256": hashlib.sha256(data).hexdigest(), "mediaType": plain}
    try:
        document = _Reader(found, reading, source, deep).read(value)
    except EnoughFindings:
        document = None
    if document is None or found.refused:
        raise _refusal(found.refused)
    return document


def media_type_of(data: bytes) -> str:
    """The media type under which a document is read whose sender could state none: JSON, or XML by how it begins."""
    return XML_MEDIA_TYPES[0] if looks_like_xml(data) else MEDIA_TYPES[0]


def _read_xml(data: bytes, media_type: str, reading: Reading) -> Document:
    """The same records as those of its JSON form, each finding at its place in the XML."""
    try:
        form = read_xml(data, reading.most_events)
    except RefusedXML as error:
        place, line = error.place
        raise _refusal([Finding(error.record, place, error.rule, error.expected, error.got, line)]) from None
    found = Findings(reading.keep_bad_check_digits)
    reader_of_form = _Reader(
        found,
        reading,
        {"sha256": hashlib.sha256(data).hexdigest(), "mediaType": media_type},
        form.may_be_deep,
        stated_version=form.version,
    )
    found.warned += form.warned
    if reading.proceed:
        reader_of_form.take_faults(form)
    else:
        found.refused += form.refused
    try:
        document = reader_of_form.read(form.value)
    except EnoughFindings:
        document = None
    if document is None or found.refused:
        raise _refusal(form.placed(found.refused))
    return _placed(document, form)


def _placed(document: Document, form: XMLForm) -> Document:
    """The document with paths of the XML in the place of pointers."""
    return replace(
        document,
        master_data=tuple(
            [
                replace(one, pointer=at.path)
                for one, at in zip(document.master_data, form.masters, strict=True)
            ]
        ),
        events=tuple([one._replace(pointer=form.place(one.position).path) for one in document.events]),
        warnings=tuple(form.placed(document.warnings)),
        rejected=tuple(_placed_rejections(document.rejected, form)),
    )


def _placed_rejections(rejected: Sequence[RejectedEvent], form: XMLForm) -> Iterator[RejectedEvent]:
    """The faults of the first events at their elements, those of the others at their events.

    Looking for an element reads its record once more, and keeps it; of thousands that would be the whole document.
    """
    closely = iter(form.placed([finding for one in rejected[:MOST] for finding in one.findings]))
    for number, one in enumerate(rejected):
        place = form.place(one.position)
        if number < MOST:
            findings = [next(closely) for _ in one.findings]
        else:
            findings = [replace(finding, pointer=place.path, line=place.line) for finding in one.findings]
        yield RejectedEvent(one.position, place.path, tuple(findings))


_TOO_LARGE = frozenset(
    {"too-many-records", "too-many-events", "too-many-units", "too-many-elements", "too-deep"}
)


def _refusal(refused: Sequence[Finding]) -> InvalidInput:
    first, count = refused[0], len(refused)
    more = "" if count == 1 else f" (and {'at least ' if count >= MOST else ''}{count - 1} more)"
    line = "" if first.line is None else f" (line {first.line})"
    message = f"{first.pointer or '/'}{line}: expected {first.expected}, got {first.got}{more}"
    kind = TooLarge if first.rule in _TOO_LARGE else InvalidInput
    return kind(message, refused, first.rule)


def _parsed(data: bytes) -> tuple[JSON, bool]:
    """The value of a document, and whether a record of it could be deeper than a proof can carry."""
    try:
        # The header record holds the document's frame one level deeper than it was.
        return parse_json(data, max_depth=MAX_RECORD_DEPTH - 1), False
    except TooLarge:
        return _parsed_deep(data), True
    except InvalidInput as error:
        raise with_records(error, data) from None


def _parsed_deep(data: bytes) -> JSON:
    try:
        return parse_json(data)
    except InvalidInput as error:
        raise with_records(error, data) from None


class _Reader:
    """One reading of one document."""

    def __init__(
        self,
        found: Findings,
        reading: Reading,
        source: dict[str, Any],
        deep: bool,
        stated_version: str | None = None,
    ) -> None:
        self.found = found
        self.reading = reading
        self.source = source
        self.deep = deep
        self.stated_version = stated_version
        self.rejected: list[RejectedEvent] = []
        self.told = 0
        self.faults: dict[int, list[Finding]] = {}
        self.unresolved: dict[str, None] = {}
        self.list_at = EVENT_LISTS["EPCISDocument"]

    def read(self, value: Any) -> Document | None:
        """The document, or None when something was refused."""
        if type(value) is not dict:
            self.found.refuse("", "wrong-type", "an EPCISDocument or an event", value)
            return None
        kind = value.get("type")
        if type(kind) is str and kind in EVENT_LISTS:
            if self.reading.single:
                self.found.refuse("/type", "single-event", f"one bare event: {', '.join(FIELDS)}", kind)
                return None
            return self._document(value)
        return self._bare_event(value)

    def take_faults(self, form: XMLForm) -> None:
        """What XML said and JSON cannot: of an event it leaves that event out, of anything else it refuses the whole."""
        first = 1 + len(form.masters)
        for finding in form.refused:
            if (finding.record or 0) >= first:
                self.faults.setdefault(finding.record or 0, []).append(finding)
            else:
                self.found.refused.append(finding)
        for position in form.unread:
            if position not in self.faults:
                place, got = form.place(position), "something that it cannot"
                self.faults[position] = [
                    Finding(position, place.path, "xml-unreadable", "what JSON can say", got, place.line)
                ]

    def _bare_event(self, event: dict[str, Any]) -> Document | None:
        kind = event.get("type")
        if type(kind) is not str or kind not in FIELDS:
            expected = ", ".join([*EVENT_LISTS, *FIELDS])
            if "type" in event:
                self.found.refuse("/type", "unknown-event-type", f"one of {expected}", kind)
            else:
                self.found.missing("", "type")
            return None
        self.found.at(1, "")
        # A single event is all there is: nothing would be left to go on with.
        self.found.refused += self.faults.get(1, ())
        entries = self._own_context(event, required=True)
        if entries is None:
            return None
        context, effective = self._in_force(entries)
        check_event(event, self.found, effective)
        if self.found.refused:
            return None
        committed = {**event, "@context": context}
        self._check_size(committed)
        header = self._header(context, None, {})
        record = EventRecord(1, "", committed, read_event(committed))
        return self._done(header, (), (record,))

    def _document(self, document: dict[str, Any]) -> Document | None:
        self.found.at(0, "")
        self.list_at = EVENT_LISTS[document["type"]]
        entries = self._own_context(document, required=True)
        context, effective = self._in_force(entries or [])
        self._check_frame(document, effective)
        vocabularies = check_vocabularies(document, self.found, effective)
        events = self._events_of(document, bool(vocabularies), effective)
        if len(events) > self.reading.most_events:
            self._refuse_events(1 + len(vocabularies), len(events))
            return None
        if 1 + len(vocabularies) + len(events) > MOST_RECORDS:
            self._refuse_excess(len(vocabularies), len(events))
            return None
        elements = self._elements(vocabularies, context)
        if self.reading.proceed and self.found.refused:
            # What is wrong with the frame or with master data is not one event's: there is nothing to go on with.
            return None
        records = self._events(events, entries or [], context, effective, 1 + len(elements))
        if self.found.refused:
            return None
        if not (records or elements or self.rejected):
            self.found.at(0, self.list_at)
            self.found.refuse("", "no-records", "an event or a master-data element", events)
            return None
        header = self._header(context, document["type"], _frame(document))
        return self._done(header, elements, tuple(records))

    def _refuse_events(self, first: int, count: int) -> None:
        """Names the first event that is one too many."""
        most = self.reading.most_events
        self.found.at(first + most, f"{self.list_at}/{most}")
        self.found.refuse("", "too-many-events", f"{most} events in a capture at most", count)

    def _refuse_excess(self, elements: int, events: int) -> None:
        """Names the first record that is one too many."""
        index = MOST_RECORDS - 1 - elements
        where = f"{self.list_at}/{index}" if index >= 0 else "/epcisHeader/epcisMasterData"
        self.found.at(MOST_RECORDS, where)
        expected, got = f"{MOST_RECORDS - 1} events and elements at most", elements + events
        self.found.refuse("", "too-many-records", expected, got)

    def _elements(self, vocabularies: Sequence[Element], context: list[Any]) -> tuple[MasterRecord, ...]:
        records = []
        for position, element in enumerate(vocabularies, start=1):
            committed = {"@context": context, "type": element.type, "element": element.value}
            self.found.at(position, element.pointer)
            self._check_size(committed)
            thing = read_name(element.name, MASTER_DATA_POSITION.get(element.type, Position.EPC))[0]
            records.append(MasterRecord(position, element.pointer, committed, element.type, thing))
        return tuple(records)

    def _check_size(self, committed: dict[str, Any]) -> None:
        nodes = commitment_nodes(committed)
        if nodes > MAX_NODES:
            self.found.refuse(
                "", "too-many-units", f"{MAX_NODES} units and groups in a record at most", nodes
            )
        if self.deep and is_deeper(committed, MAX_RECORD_DEPTH):
            self.found.refuse("", "too-deep", f"a record of depth {MAX_RECORD_DEPTH} at most", "a deeper one")

    def _events(
        self,
        events: Sequence[Any],
        entries: list[Any],
        context: list[Any],
        effective: EffectiveContext,
        start: int,
    ) -> list[EventRecord]:
        found, records, list_at = self.found, list[EventRecord](), self.list_at
        proceed = self.reading.proceed
        # Events that were given one and the same context, as those of XML are, share what it puts in force.
        shared: dict[int, tuple[list[Any], EffectiveContext]] = {}
        for index, event in enumerate(events):
            pointer = f"{list_at}/{index}"
            found.record, found.pointer = start + index, pointer
            warned = len(found.warned)
            try:
                here, in_force = context, effective
                if type(event) is dict and "@context" in event:
                    key = id(event["@context"])
                    known = shared.get(key)
                    if known is None:
                        own = self._own_context(event, required=False)
                        known = self._in_force(entries + (own or []))
                        if own is not None and type(event["@context"]) is dict:
                            shared[key] = known
                    here, in_force = known
                check_event(event, found, in_force)
                # Once something is refused nothing will be stored: the rest is only searched for findings.
                if not found.refused:
                    committed = {**event, "@context": here}
                    self._check_size(committed)
                    records.append(EventRecord(start + index, pointer, committed, read_event(committed)))
            except EnoughFindings:
                if not proceed:
                    raise
            if proceed and (found.refused or start + index in self.faults):
                del found.warned[warned:]
                self._leave_out(start + index, pointer, records)
        return records

    def _leave_out(self, position: int, pointer: str, records: list[EventRecord]) -> None:
        """Take an event out that is at fault; what it was found guilty of is told of it alone."""
        found = self.found
        if records and records[-1].position == position:
            records.pop()
        findings = (self.faults.get(position, []) + found.refused)[:MOST]
        found.refused = []
        # Each says at least one thing; of many, the others would fill the job.
        told = findings if self.told < MOST else findings[:1]
        self.told += len(told)
        self.rejected.append(RejectedEvent(position, pointer, tuple(told)))

    def _own_context(self, value: dict[str, Any], required: bool) -> list[Any] | None:
        if "@context" not in value:
            if required:
                self.found.missing("", "@context")
            return None
        return (
            as_entries(value["@context"])
            if check_context(value["@context"], "/@context", self.found)
            else None
        )

    def _in_force(self, entries: list[Any]) -> tuple[list[Any], EffectiveContext]:
        table, sent = self.reading.contexts, self.reading.sent_digests
        committed = committed_context(entries, table, sent)
        effective = effective_context(committed, table)
        for url in effective.unresolved:
            self.unresolved[url] = None
        for entry in entries if sent else ():
            if (
                isinstance(entry, str)
                and entry in (sent or {})
                and (sent or {})[entry] != table.digest(entry)
            ):
                self.found.warn(
                    "/@context", "context-digest", f"{table.digest(entry)} for {entry}", (sent or {})[entry]
                )
        return committed, effective

    def _check_frame(self, document: dict[str, Any], effective: EffectiveContext) -> None:
        found = self.found
        for name in ("schemaVersion", "creationDate"):
            if name not in document:
                found.missing("", name)
        for name, value in document.items():
            if name == "creationDate":
                TIME.check(value, "/creationDate", found, effective)
            elif name not in _MEMBERS:
                self._check_frame_extension(name, value, "", effective)
            elif name not in ("@context", "epcisHeader", "epcisBody"):
                TEXT.check(value, "/" + name, found, effective)
        version = document.get("schemaVersion")
        if type(version) is str:
            if version.partition(".")[0] != "2":
                found.refuse("/schemaVersion", "schema-version", "2.0 or a later 2.x", version)
            stated, told = self.stated_version or version, self.reading.version
            if told is not None and not is_same_version(stated, told):
                found.refuse("/schemaVersion", "version-differs", f"{told}, as the request states", stated)

    def _check_frame_extension(self, name: str, value: Any, where: str, effective: EffectiveContext) -> None:
        # A remark beside the events binds nobody; partners write them, so they are told and kept.
        if name.startswith("@"):
            self.found.refuse(f"{where}/{escape(name)}", "context-keyword", "no JSON-LD keyword here", name)
        elif ":" in name:
            check_extension(name, value, where, self.found, effective, known={})
        else:
            self.found.warn(f"{where}/{escape(name)}", "unknown-field", "a name with a prefix", name)

    def _events_of(
        self, document: dict[str, Any], has_master_data: bool, effective: EffectiveContext
    ) -> list[Any]:
        body = document.get("epcisBody")
        if type(body) is not dict:
            if not (body is None and "epcisBody" not in document and has_master_data):
                self.found.refuse(
                    "/epcisBody" if body else "", "missing-field", "epcisBody as an object", body
                )
            return []
        where, holder = "/epcisBody", body
        for inner in self.list_at.split("/")[2:]:
            for name, value in holder.items():
                if name != inner and name not in _OF_A_QUERY:
                    self._check_frame_extension(name, value, where, effective)
            if inner not in holder:
                if not has_master_data:
                    self.found.missing(where, inner)
                return []
            where, held = f"{where}/{inner}", holder[inner]
            if inner == "eventList" and type(held) is list:
                return held
            if inner == "eventList" or type(held) is not dict:
                expected = "a list of events" if inner == "eventList" else "an object"
                self.found.refuse(where, "wrong-type", expected, held)
                return []
            holder = held
        return []

    def _header(self, context: list[Any], kind: str | None, frame: dict[str, Any]) -> HeaderRecord:
        committed = {
            "@context": context,
            "type": kind,
            "document": frame,
            "source": self.source,
            "rule": RULE,
        }
        self.found.at(0, "")
        self._check_size(committed)
        return HeaderRecord(committed)

    def _done(
        self, header: HeaderRecord, elements: tuple[MasterRecord, ...], events: tuple[EventRecord, ...]
    ) -> Document:
        return Document(
            header,
            elements,
            events,
            tuple(self.found.warned),
            tuple(self.unresolved),
            tuple(self.rejected),
        )


def is_same_version(one: str, other: str) -> bool:
    """Whether two versions agree as far as both go: 2.0 and 2.0.0 do, 2.0 and 1.2 do not."""
    return all(left == right for left, right in zip(one.split("."), other.split("."), strict=False))


def _frame(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what is committed elsewhere: context, type, events and master-data elements."""
    frame = {name: value for name, value in document.items() if name not in ("@context", "type")}
    if "epcisBody" in frame:
        frame["epcisBody"] = _without_events(frame["epcisBody"])
    header = frame.get("epcisHeader", {})
    if "vocabularyList" in header.get("epcisMasterData", ()):
        lists = [
            _without(item, "vocabularyElementList") for item in header["epcisMasterData"]["vocabularyList"]
        ]
        frame["epcisHeader"] = {
            **header,
            "epcisMasterData": {**header["epcisMasterData"], "vocabularyList": lists},
        }
    return frame


def _without_events(value: dict[str, Any]) -> dict[str, Any]:
    """A body, or a part of it, without its list of events."""
    rest = {name: inner for name, inner in value.items() if name != "eventList"}
    for name in ("queryResults", "resultsBody"):
        if type(rest.get(name)) is dict:
            rest[name] = _without_events(rest[name])
    return rest


def _without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key != name}
