"""Reads EPCIS XML into small trees, one record at a time: no DTD, no entities, nothing fetched, all of it bounded.

`parse` gives each event and each master-data element to a function as soon as its end is read, and then lets go of
it; what it returns is the document's frame without them. Expat decides what is well-formed; what it would
allow and nobody needs (declarations in a DOCTYPE, other encodings, a value in pieces) is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
from xml.parsers import expat

from ledger.errors import InvalidInput

MAX_XML_DEPTH: Final = 64
"""Elements inside each other, the root included."""

MAX_RECORD_ELEMENTS: Final = 200_000
"""Elements and attributes of one record; those of the frame count as one more record."""

EPCIS_VERSIONS: Final = {"urn:epcglobal:epcis:xsd:1": "1", "urn:epcglobal:epcis:xsd:2": "2"}
QUERY_VERSIONS: Final = {"urn:epcglobal:epcis-query:xsd:1": "1", "urn:epcglobal:epcis-query:xsd:2": "2"}
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

_PLAIN = frozenset({*EPCIS_VERSIONS, *QUERY_VERSIONS})
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_WIDE = frozenset({"utf-16", "utf-16le", "utf-16be"})
_XML_SPACE = " \t\r\n"
# What may stand before the root element, and a DOCTYPE that declares nothing: no subset, nothing to fetch.
_PASSED_OVER = ((b"<!--", b"-->"), (b"<?", b"?>"))
_SPACES = re.compile(rb"[ \t\r\n]*")
_DOCTYPE = b"<!DOCTYPE"
_BARE_DOCTYPE = re.compile(rb"<!DOCTYPE[ \t\r\n]+[^ \t\r\n<>\[\]\"'&%]{1,256}[ \t\r\n]*>")
_SHOWN: Final = 80
_LONGEST_REMEMBERED: Final = 512


class Name(NamedTuple):
    """A name; `uri` is empty without a namespace and in those of EPCIS, `prefix` is the one written."""

    uri: str
    local: str
    prefix: str


class Element:
    """One element with its text, in one piece, or its children; never both once it has ended.

    Of a list of records the children are not kept; `has_child` says whether there were any.
    """

    __slots__ = ("attributes", "children", "has_child", "is_cut", "line", "name", "text")

    def __init__(self, name: Name, attributes: dict[str, str], line: int) -> None:
        self.name = name
        self.attributes = attributes
        self.line = line
        self.text = ""
        self.children: list[Element] = []
        self.has_child = False
        self.is_cut = False


class Place(NamedTuple):
    """Where something stands in a document: a path of elements, and the line of its last one."""

    path: str
    line: int


class RefusedXML(InvalidInput):
    """An XML text with something in it that cannot be read; `place` says where."""

    def __init__(self, rule: str, expected: str, got: str, place: Place) -> None:
        super().__init__(f"{place.path or '/'}: expected {expected}, got {got}", rule=rule)
        self.expected = expected
        self.got = got
        self.place = place
        self.is_in_record = False
        self.record: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A document without its records. `root` is the element, `namespace` the one it really has."""

    root: Element
    namespace: str
    has_doctype: bool
    depth: int


OnRecord = Callable[[Element, Element, Place], None]
"""(the list that the record is of, the record, its place); called in document order."""

# Where lists of records may stand, by names from the root down; `extension` between them counts for nothing.
_EVENT_LISTS = (
    ("EPCISDocument", "EPCISBody", "EventList"),
    ("EPCISQueryDocument", "EPCISBody", "QueryResults", "resultsBody", "EventList"),
)
# Told by number even where there is one so far, because nobody can know yet whether another follows.
_NUMBERED = frozenset({"Vocabulary"})
_MASTER_DATA = ("EPCISHeader", "EPCISMasterData", "VocabularyList", "Vocabulary", "VocabularyElementList")


def looks_like_xml(data: bytes) -> bool:
    """Whether bytes can only be XML: no JSON text begins as one, in any encoding of the two that XML may have."""
    return data.lstrip(b"\xef\xbb\xbf" + _XML_SPACE.encode())[:1] == b"<" or data[:2] in (
        b"\xff\xfe",
        b"\xfe\xff",
        b"<\0",
        b"\0<",
    )


def parse(data: bytes, on_record: OnRecord) -> Frame:
    """Read a document whole; raises RefusedXML, and whatever `on_record` raises."""
    text, is_wide = _as_utf8(data)
    has_doctype = _check_prolog(text)
    parser = expat.ParserCreate("utf-8", " ")
    reading = _Reading(parser, on_record, is_wide)
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise _not_xml(error, text, reading) from None
    except RefusedXML as error:
        error.is_in_record = bool(reading.record_depth)
        raise
    finally:
        # The parser's handlers lead back to the parser; nothing waits for the collector of cycles.
        reading.let_go()
    if reading.root is None:
        raise RefusedXML("not-xml", "an XML document", "no element", Place("", 1))
    return Frame(reading.root, reading.namespace, has_doctype, reading.deepest)


def _as_utf8(data: bytes) -> tuple[bytes, bool]:
    wide = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}.get(
        data[:2]
    )
    if wide is None:
        return data, False
    try:
        return data.decode(wide).encode(), True
    except UnicodeError:
        raise RefusedXML("encoding", "UTF-8, or UTF-16 whole", "broken UTF-16", Place("", 1)) from None


def _check_prolog(text: bytes) -> bool:
    """Whether there is a DOCTYPE. One with declarations or an address is refused before a parser sees it."""
    at = _after_prolog(text)
    if not text.startswith(_DOCTYPE, at):
        return False
    if _BARE_DOCTYPE.match(text, at) is None:
        got = "one with declarations or an address"
        raise RefusedXML("dtd", "no document type declaration", got, Place("", 1 + text.count(b"\n", 0, at)))
    return True


def _after_prolog(text: bytes) -> int:
    """Where comments, processing instructions and space before the root or DOCTYPE end."""
    at = 3 if text.startswith(b"\xef\xbb\xbf") else 0
    while True:
        space = _SPACES.match(text, at)
        at = space.end() if space else at
        end = next((end for begin, end in _PASSED_OVER if text.startswith(begin, at)), None)
        if end is None:
            return at
        found = text.find(end, at + 2 + (end == b"-->") * 2)
        if found < 0:
            return len(text)
        at = found + len(end)


def _not_xml(error: expat.ExpatError, text: bytes, reading: _Reading) -> RefusedXML:
    place = Place(reading.path(), error.lineno)
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        got = f"byte {text[wrong.start]:#04x} that is none"
        return RefusedXML("not-utf8", "UTF-8", got, Place(place.path, 1 + text.count(b"\n", 0, wrong.start)))
    return RefusedXML(
        "not-xml", "well-formed XML 1.0", expat.ErrorString(error.code) or "another text", place
    )


def name_of(raw: str) -> Name:
    """The name that Expat gives as ``uri local prefix``, ``uri local`` or ``local``."""
    # A long name is not remembered: between documents, only what is small may stay.
    return _remembered(raw) if len(raw) <= _LONGEST_REMEMBERED else _split(raw)


def _split(raw: str) -> Name:
    parts = raw.split(" ")
    if len(parts) == 1:
        return Name("", parts[0], "")
    if parts[0] in _PLAIN:
        return Name("", parts[1], "")
    return Name(parts[0], parts[1], parts[2] if len(parts) > 2 else "")


_remembered = lru_cache(maxsize=4_096)(_split)


class _Reading:
    """The state of one parse: the elements that are open, and how much more may come."""

    def __init__(self, parser: expat.XMLParserType, on_record: OnRecord, is_wide: bool) -> None:
        self.parser: expat.XMLParserType | None = parser
        self.on_record = on_record
        self.is_wide = is_wide
        self.root: Element | None = None
        self.namespace = ""
        self.stack: list[Element] = []
        self.deepest = 0
        self.record_depth = 0
        self.list_depths: list[int] = []
        self.left = self.frame_left = MAX_RECORD_ELEMENTS
        self.counts: dict[tuple[int, str], int] = {}
        self.holder: Element | None = None
        self.holder_path = ""
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.buffer_size = 65_536
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.CommentHandler = self.comment
        parser.ProcessingInstructionHandler = self.instruction
        parser.XmlDeclHandler = self.declaration
        parser.StartDoctypeDeclHandler = self.doctype
        parser.EntityDeclHandler = self.entity
        parser.ExternalEntityRefHandler = self.entity
        parser.SkippedEntityHandler = self.entity

    def let_go(self) -> None:
        """End the use of the parser."""
        self.parser = None

    def line(self) -> int:
        return self.parser.CurrentLineNumber if self.parser is not None else 0

    def start(self, raw: str, attributes: dict[str, str]) -> None:
        stack, name = self.stack, name_of(raw)
        depth = len(stack)
        element = Element(name, attributes, self.parser.CurrentLineNumber)  # type: ignore[union-attr]
        if depth >= self.deepest:
            self.deepest = depth + 1
            if depth >= MAX_XML_DEPTH:
                expected = f"elements at most {MAX_XML_DEPTH} deep"
                raise RefusedXML("too-deep", expected, "deeper ones", self.place())
        if stack:
            stack[-1].has_child = stack[-1].is_cut = True
        stack.append(element)
        if not self.record_depth:
            self._outside(element, raw, depth)
        self.left -= 1 + len(attributes)
        if self.left < 0:
            expected = f"{MAX_RECORD_ELEMENTS} elements and attributes in a record at most"
            raise RefusedXML("too-many-elements", expected, "more", self.place())

    def _outside(self, element: Element, raw: str, depth: int) -> None:
        """An element that is not inside a record: the frame, a list of records, or a record."""
        if depth == 0:
            self.namespace = raw.split(" ")[0] if " " in raw else ""
        elif self.list_depths and element.name.local != "extension":
            self.record_depth = depth
            self.frame_left, self.left = self.left, MAX_RECORD_ELEMENTS
        elif element.name.local in ("EventList", "VocabularyElementList") and self._is_list():
            self.list_depths.append(depth)

    def _is_list(self) -> bool:
        if any(one.name.uri for one in self.stack[1:]):
            return False
        steps = tuple([one.name.local for one in self.stack if one.name.local != "extension"])
        return steps in _EVENT_LISTS or steps[1:] == _MASTER_DATA

    def end(self, raw: str) -> None:
        stack = self.stack
        element = stack.pop()
        depth = len(stack)
        if element.has_child and element.text and element.text.strip(_XML_SPACE):
            got = "both"
            raise RefusedXML(
                "mixed-content", "text or elements", got, Place(self.path(element), element.line)
            )
        if depth == self.record_depth and depth:
            self._end_record(element, depth)
        elif depth:
            stack[-1].children.append(element)
        else:
            self.root = element
        if self.list_depths and depth == self.list_depths[-1]:
            self.list_depths.pop()

    def _end_record(self, element: Element, depth: int) -> None:
        self.record_depth = 0
        self.left = self.frame_left
        # Counted by the list that holds it, so that the step is the one that XPath would give.
        holder, local = self.stack[-1], element.name.local
        key = (id(holder), local)
        number = self.counts[key] = self.counts.get(key, 0) + 1
        if holder is not self.holder:
            self.holder, self.holder_path = holder, self.path()
        place = Place(f"{self.holder_path}/{local[:_SHOWN]}[{number}]", element.line)
        self.on_record(self.stack[self.list_depths[-1]], element, place)

    def characters(self, text: str) -> None:
        element = self.stack[-1]
        if element.is_cut:
            # Space between children is nothing, and adding it up would cost the square of their number.
            if not text.strip(_XML_SPACE):
                return
            if element.has_child:
                raise RefusedXML("mixed-content", "text or elements", "both", self.place())
            if element.text.strip(_XML_SPACE):
                got = "a comment or a processing instruction inside it"
                raise RefusedXML("cut-value", "a value in one piece", got, self.place())
        element.text += text

    def comment(self, text: str) -> None:
        if self.stack:
            self.stack[-1].is_cut = True

    def instruction(self, target: str, text: str) -> None:
        self.comment(text)

    def declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        allowed = _WIDE if self.is_wide else _ENCODINGS
        if version != "1.0":
            raise RefusedXML("xml-version", "XML 1.0", version[:_SHOWN], Place("", 1))
        if encoding is not None and encoding.lower() not in allowed:
            raise RefusedXML("encoding", "UTF-8, or UTF-16 that is so", encoding[:_SHOWN], Place("", 1))

    def doctype(self, name: str, system: str | None, public: str | None, has_subset: int) -> None:
        if system is not None or public is not None or has_subset:
            got = "one with declarations or an address"
            raise RefusedXML("dtd", "no document type declaration", got, self.place())

    def entity(self, *_: object) -> int:
        raise RefusedXML("entity", "no entities but the five of XML", "another", self.place())

    def place(self) -> Place:
        return Place(self.path(), self.line())

    def path(self, last: Element | None = None) -> str:
        """The path of the elements that are open, and of one more that has just ended."""
        steps: list[str] = []
        above: Element | None = None
        for depth, element in enumerate([*self.stack, last] if last is not None else self.stack):
            if depth and depth == self.record_depth:
                number = 1 + self.counts.get((id(above), element.name.local), 0)
                steps.append(f"{element.name.local[:_SHOWN]}[{number}]")
            else:
                steps.append(step_of(element, above.children if above else ()))
            above = element
        return "".join(f"/{step}" for step in steps)


def steps_within(top: Element) -> dict[int, str]:
    """The path from an element down to each one inside it, by identity; that of the element itself is empty."""
    paths, waiting = {id(top): ""}, [top]
    while waiting:
        above = waiting.pop()
        counts: dict[str, int] = {}
        for child in above.children:
            counts[child.name.local] = counts.get(child.name.local, 0) + 1
        numbers: dict[str, int] = {}
        for child in above.children:
            local = child.name.local
            numbers[local] = number = numbers.get(local, 0) + 1
            several = counts[local] > 1 or local in _NUMBERED
            paths[id(child)] = f"{paths[id(above)]}/{_shown(child)}" + (f"[{number}]" if several else "")
            waiting.append(child)
    return paths


def step_of(element: Element, beside: list[Element] | tuple[()]) -> str:
    """The step of a path that names an element among those beside it; a number where it takes one."""
    same = [one for one in beside if one.name.local == element.name.local]
    local = (
        element.name.local if len(element.name.local) <= _SHOWN else element.name.local[: _SHOWN - 1] + "…"
    )
    shown = f"{element.name.prefix}:{local}" if element.name.uri and element.name.prefix else local
    if local not in _NUMBERED and (not same or (len(same) == 1 and same[0] is element)):
        return shown
    number = next((at for at, one in enumerate(same, 1) if one is element), len(same) + 1)
    return f"{shown}[{number}]"


def _shown(element: Element) -> str:
    local = (
        element.name.local if len(element.name.local) <= _SHOWN else element.name.local[: _SHOWN - 1] + "…"
    )
    return f"{element.name.prefix[:_SHOWN]}:{local}" if element.name.uri and element.name.prefix else local
