"""Values as text of XML: escaped by the library, refused where XML has no form for them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from ledger.errors import InvalidInput

# Characters that XML 1.0 has no form for, not even by number.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NEVER_PLAIN = re.compile("[^\t\n\x20-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Text with neither markup nor space: most identifiers, times and words, told by one look.
_NOT_BARE = re.compile("[^\x21-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_SPACE: Final = " \t\r\n"
_LONGEST_NUMBER: Final = 64


class NoXMLForm(InvalidInput):
    """A value that has no form in XML; `pointer` leads to it from the document that JSON would be."""

    default_rule = "no-xml-form"

    def __init__(self, expected: str, got: str, pointer: str = "") -> None:
        super().__init__(f"{pointer or '/'}: expected {expected}, got {got}", pointer=pointer)
        self.expected = expected
        self.got = got

    def below(self, token: object) -> NoXMLForm:
        """The same refusal, told from one level up."""
        step = str(token).replace("~", "~0").replace("/", "~1")
        return NoXMLForm(self.expected, self.got, f"/{step}{self.pointer}")


def text(value: str) -> str:
    """Text as the content of an element, kept with all its space."""
    if _NEVER_PLAIN.search(value) is None:
        return value
    _check(value)
    # A bare carriage return would be read as a line feed.
    return escape(value, {"\r": "&#13;"})


def trimmed(value: Any) -> str:
    """Text as the content of an element whose readers drop the space around it."""
    if type(value) is not str:
        raise NoXMLForm("text", type(value).__name__)
    if _NOT_BARE.search(value) is None:
        return value
    if value and (value[0] in _XML_SPACE or value[-1] in _XML_SPACE):
        raise NoXMLForm("text without space around it", "text with space around it")
    return text(value)


def are_bare(values: list[Any]) -> bool:
    """Whether all of a list are texts that stand in XML as they are; may say no of good ones."""
    try:
        return _NOT_BARE.search("|".join(values)) is None
    except TypeError:
        return False


def attribute(value: str) -> str:
    """Text as the value of an attribute, in its quotation marks."""
    _check(value)
    return quoteattr(value)


def number(value: float) -> str:
    """A number as a double of XML Schema."""
    if type(value) is int:
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def decimal(value: Any) -> str:
    """A number as a decimal of XML Schema, which has no exponent."""
    if type(value) is int:
        return str(value)
    if type(value) is not float:
        raise NoXMLForm("a number", type(value).__name__)
    written = number(value)
    if "e" in written:
        written = format(Decimal(written), "f")
    if len(written) > _LONGEST_NUMBER:
        raise NoXMLForm(f"a decimal of {_LONGEST_NUMBER} digits at most", "a longer one")
    return written


def _check(value: str) -> None:
    found = _ILLEGAL.search(value)
    if found is not None:
        raise NoXMLForm("characters of XML 1.0", f"U+{ord(found.group()):04X}")
