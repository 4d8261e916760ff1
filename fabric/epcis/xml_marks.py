"""What XML cannot say of JSON, said by attributes of a namespace of its own (docs/spec/xml.md, "Marks").

Only extensions carry marks, and only where the plain form would be read as another value: a number, a list of one,
a name that XML does not allow. Both the reader and the writer go by this table.
"""

from __future__ import annotations

from typing import Final

from .contexts import GS1_PREFIXES
from .xml_parser import Element

MARKS: Final = "urn:loomark:json:1"
"""The namespace of the marks `type`, `in`, `name`, `types`, `at`.

Elements of it are `item`, `member`, `certificationInfo`, `sensorMetadata` and `sensorReport`.
"""

KINDS: Final = ("number", "boolean", "null", "object", "list")
"""What `type` may say; text without it is text, and an element with elements is an object."""

MDA: Final = "urn:epcglobal:cbv:mda"
"""The namespace of GS1's master data attributes as XML writes it; the JSON context ends it in a colon."""

PROTECTED: Final = {uri: prefix for prefix, uri in GS1_PREFIXES.items()} | {MDA: "cbvmda"}
"""The prefix that a namespace has in JSON, whatever XML calls it."""

SCHEMES: Final = frozenset({"http", "https", "urn", "did", "tag"})
"""What a name begins with that is an absolute IRI, and no prefix."""

_OPENING = MARKS + " "
_KNOWN = frozenset({"type", "in", "name"})


def is_mark(raw: str) -> bool:
    """Whether an attribute, as Expat names it, is a mark."""
    return raw.startswith(_OPENING)


def marks_of(element: Element) -> dict[str, str]:
    """The marks of an element by local name."""
    return {
        raw[len(_OPENING) :].partition(" ")[0]: text
        for raw, text in element.attributes.items()
        if raw.startswith(_OPENING)
    }


def unknown_mark(marks: dict[str, str]) -> str | None:
    """A mark of an extension element that means nothing."""
    return next((name for name in marks if name not in _KNOWN), None)
