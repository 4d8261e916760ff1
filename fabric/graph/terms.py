"""RDF terms as N-Triples text, which is what the store loads fastest.

Every IRI passes the store's own check once and is remembered: a batch is refused whole if one line of it is
wrong, and partners' URIs are not all IRIs.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from pyoxigraph import Literal, NamedNode

from ontology.vocabulary import term

XSD: Final = term("xsd:")
ANY_URI: Final = term("xsd:anyURI")
TIME: Final = term("xsd:dateTime")
DECIMAL: Final = term("xsd:decimal")
INTEGER: Final = term("xsd:integer")
BOOLEAN: Final = term("xsd:boolean")


@lru_cache(maxsize=65_536)
def iri(text: str) -> str:
    """An IRI; what is no IRI by RFC 3987 becomes a literal of type xsd:anyURI, so that nothing is lost."""
    try:
        return str(NamedNode(text))
    except ValueError:
        return typed(text, ANY_URI)


def is_iri(text: str) -> bool:
    """Whether a text can be the subject of a statement."""
    return iri(text)[0] == "<"


@lru_cache(maxsize=16_384)
def text_of(value: str) -> str:
    """A plain string."""
    return str(Literal(value))


@lru_cache(maxsize=16_384)
def typed(value: str, datatype: str) -> str:
    """A literal of a datatype."""
    return str(Literal(value, datatype=NamedNode(datatype)))


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
