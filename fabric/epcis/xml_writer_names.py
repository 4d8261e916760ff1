"""Member names of extensions as names of XML, under the context of one event (docs/spec/xml.md, "Names").

The inverse of `xml_names`: what is read from the written element is the name again, by itself where XML has such a
name, else by a mark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from xml.parsers import expat

from ledger.canonical import canonical, parse_json

from .contexts import PACKAGED, ContextTable, HeldTable, committed_context, effective_context
from .remembered import Remembered
from .xml_marks import MARKS, MDA, PROTECTED
from .xml_names import RESERVED
from .xml_parser import EPCIS_VERSIONS, QUERY_VERSIONS, XSI
from .xml_writer_text import NoXMLForm, attribute

_PLAIN_NAME = re.compile("[A-Za-z_][A-Za-z0-9._-]*")
_NO_NAME = re.compile("[\x00-\x20&<>\"'/=:]")
_SPLIT = re.compile("(.*[:/#?])([^:/#?]+)", re.DOTALL)
# Elements in these would be read as EPCIS's own, or may not be bound to a prefix at all.
_OF_EPCIS = frozenset({*EPCIS_VERSIONS, *QUERY_VERSIONS})
_OF_XML = frozenset({"http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/"})
_MOST_REMEMBERED: Final = 4_096
_LONGEST_REMEMBERED: Final = 256


class Tag(NamedTuple):
    """An element of some name: what opens it, without the bracket, what closes it, the prefixes it needs."""

    opening: str
    closing: str
    prefixes: tuple[str, ...]


class Names:
    """The names of events that were sent with one context. Values of this class are shared and only remember."""

    def __init__(self, context: Sequence[Any], table: ContextTable = PACKAGED) -> None:
        self.effective = effective_context(committed_context(context, table), table)
        self.mark = self._free("json")
        self._inline = self._free("ns")
        self.bound = {
            prefix: MDA if uri == MDA + ":" else uri
            for prefix, uri in self.effective.prefixes.items()
            if _is_prefix(prefix) and uri not in _OF_EPCIS and uri not in _OF_XML
        }
        self.bound[self.mark] = MARKS
        # Of several prefixes for one namespace the first is the one that is read without a mark.
        self._main: dict[str, str] = {}
        for prefix, uri in self.effective.prefixes.items():
            self._main.setdefault(uri, prefix)
        self._tags: dict[str, Tag] = {}
        self._attributes: dict[str, bool] = {}

    def tag(self, name: str) -> Tag:
        """The element of an extension. Raises NoXMLForm where its namespace is not known."""
        known = self._tags.get(name)
        if known is None:
            known = self._tag(name)
            if len(self._tags) < _MOST_REMEMBERED and len(name) <= _LONGEST_REMEMBERED:
                self._tags[name] = known
        return known

    def has_attribute(self, name: str) -> bool:
        """Whether an attribute may have this name: no mark could say what else it is called."""
        known = self._attributes.get(name)
        if known is None:
            prefix, _, local = name.partition(":")
            bound = self.bound.get(prefix, XSI) if prefix in self.effective.prefixes else XSI
            known = bound != XSI and _is_name(local) and self._read_as(prefix, bound, local) == name
            if len(self._attributes) < _MOST_REMEMBERED and len(name) <= _LONGEST_REMEMBERED:
                self._attributes[name] = known
        return known

    def _tag(self, name: str) -> Tag:
        prefix, colon, local = name.partition(":")
        if not colon:
            return Tag("<" + name, f"</{name}>", ()) if _is_name(name) else self._member(name)
        uri = self.effective.prefixes.get(prefix)
        if uri is None or local.startswith("//"):
            if self.effective.expand(name) is None:
                raise NoXMLForm("a name whose namespace is known here", f"the prefix {prefix[:40]}")
            return self._absolute(name)
        if uri in _OF_EPCIS or uri in _OF_XML:
            raise NoXMLForm("a namespace of one's own", uri)
        return self._prefixed(name, prefix, local, uri)

    def _prefixed(self, name: str, prefix: str, local: str, uri: str) -> Tag:
        written = local if _is_name(local) else "member"
        bound = self.bound.get(prefix)
        if bound is None:
            return self._inlined(name, uri, written)
        if written == local and self._read_as(prefix, bound, local) == name:
            return Tag(f"<{name}", f"</{name}>", (prefix,))
        opening = f"<{prefix}:{written} {self.mark}:name={attribute(name)}"
        return Tag(opening, f"</{prefix}:{written}>", (prefix, self.mark))

    def _absolute(self, name: str) -> Tag:
        parts = _SPLIT.fullmatch(name)
        if parts is None or not _is_name(parts[2]) or parts[1] in _OF_EPCIS or parts[1] in _OF_XML:
            return self._member(name)
        return self._inlined(name, parts[1], parts[2])

    def _inlined(self, name: str, uri: str, local: str) -> Tag:
        """An element that binds a prefix of its own: the name has none that XML may have."""
        qualified = f"{self._inline}:{local}"
        opening = f"<{qualified} xmlns:{self._inline}={attribute(uri)} {self.mark}:name={attribute(name)}"
        return Tag(opening, f"</{qualified}>", (self.mark,))

    def _member(self, name: str) -> Tag:
        opening = f"<{self.mark}:member {self.mark}:name={attribute(name)}"
        return Tag(opening, f"</{self.mark}:member>", (self.mark,))

    def _read_as(self, prefix: str, uri: str, local: str) -> str:
        """The name that a reader gives an element without a mark."""
        protected = PROTECTED.get(uri)
        if protected is not None:
            return f"{protected}:{local}"
        main = self._main.get(uri, prefix)
        return f"{main}:{local}" if main == prefix and prefix not in RESERVED else ""

    def _free(self, stem: str) -> str:
        prefix, count = stem, 0
        while prefix in self.effective.prefixes:
            count += 1
            prefix = f"{stem}{count}"
        return prefix


def names_of(context: Sequence[Any], table: ContextTable = PACKAGED) -> Names:
    """The names under a context as sent; the same values for equal ones."""
    return _names[canonical(list(context)), HeldTable(table)]


_Context = tuple[bytes, HeldTable]
_names: Final[Remembered[_Context, Names]] = Remembered(
    lambda context: Names(parse_json(context[0]), context[1].table),
    256,
    16_384,
    lambda context: len(context[0]),
)


def _is_prefix(text: str) -> bool:
    return text not in ("xml", "xmlns") and _is_name(text)


def _is_name(text: str) -> bool:
    """Whether text is a name without a colon, to the parser that would read it."""
    if _PLAIN_NAME.fullmatch(text) is not None:
        return True
    if not text or text.isascii() or _NO_NAME.search(text) is not None:
        return False
    try:
        expat.ParserCreate("utf-8").Parse(f"<{text}/>".encode(), True)
    except (expat.ExpatError, UnicodeEncodeError):
        return False
    return True
