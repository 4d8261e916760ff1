"""RDF terms as N-Triples text, which is what the store loads fastest.

Every IRI passes the store's own check once and is remembered: a batch is refused whole if one line of it is
wrong, and partners' URIs are not all IRIs.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from pyoxigraph import Literal, NamedNode

from fabric.epcis.remembered import Remembered
from ontology.vocabulary import term

XSD: Final = term("xsd:")
ANY_URI: Final = term("xsd:anyURI")
TIME: Final = term("xsd:dateTime")
DECIMAL: Final = term("xsd:decimal")
INTEGER: Final = term("xsd:integer")
BOOLEAN: Final = term("xsd:boolean")


def iri(text: str) -> str:
    """An IRI; what is no IRI by RFC 3987 becomes a literal of type xsd:anyURI, so that nothing is lost."""
    return _IRIS[text]


def _iri(text: str) -> str:
    try:
        return str(NamedNode(text))
    except ValueError:
        return typed(text, ANY_URI)


def is_iri(text: str) -> bool:
    """Whether a text can be the subject of a statement."""
    return iri(text)[0] == "<"


def text_of(value: str) -> str:
    """A plain string."""
    return _TEXTS[value]


def _text_of(value: str) -> str:
    return str(Literal(value))


def typed(value: str, datatype: str) -> str:
    """A literal of a datatype."""
    return _TYPED[value, datatype]


def _typed(literal: tuple[str, str]) -> str:
    value, datatype = literal
    return str(Literal(value, datatype=NamedNode(datatype)))


def _size(literal: tuple[str, str]) -> int:
    return len(literal[0]) + len(literal[1])


_IRIS = Remembered(_iri, 65_536)
_TEXTS = Remembered(_text_of, 16_384)
_TYPED = Remembered(_typed, 16_384, size=_size)


def number(value: float) -> str:
    """An exact number: xsd:integer for whole JSON numbers, else xsd:decimal."""
    if type(value) is int:
        return f'"{value}"^^<{INTEGER}>'
    return decimal(value)


def decimal(value: float) -> str:
    """An exact xsd:decimal. The shortest decimal of a JSON number is what was written."""
    return f'"{format(Decimal(repr(value)), "f")}"^^<{DECIMAL}>'


def scalar(value: Any) -> str | None:
    """The term of a JSON scalar without a declared type; None for null."""
    if type(value) is str:
        return text_of(value)
    if type(value) is bool:
        return typed("true" if value else "false", BOOLEAN)
    return None if value is None else number(value)
