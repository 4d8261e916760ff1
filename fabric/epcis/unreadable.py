"""Which records the faults of a text lie in that could not be read as a document at all."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import Final

from ledger.errors import Finding, InvalidInput
from ledger.json_text import MOST_TOKENS, Kind, Token, pointer_of, walk

from .validation import FIELDS

_EVENT: Final = re.compile(r"/epcisBody/(?:queryResults/resultsBody/)?eventList/([0-9]+)(?:/|$)")
_ELEMENT: Final = re.compile(
    r"/epcisHeader/epcisMasterData/vocabularyList/[0-9]+/vocabularyElementList/[0-9]+(?=/|$)"
)
_ELEMENT_DEPTH: Final = 6


def with_records(error: InvalidInput, data: bytes) -> InvalidInput:
    """The refusal of a text (:func:`ledger.canonical.parse_json`) with the record that each of its findings is in.

    The text is walked once more, as far as the faults were looked for.
    """
    if not error.findings:
        return error
    kind, elements = _outline(data.decode("utf-8", "surrogateescape"))
    if kind is not None:
        found = [replace(one, record=_record(one, kind, elements)) for one in error.findings]
        error.findings = tuple(found)
    return error


def _record(finding: Finding, kind: str, elements: dict[str, int]) -> int:
    if kind != "EPCISDocument":
        return 1
    if event := _EVENT.match(finding.pointer):
        return 1 + len(elements) + int(event[1])
    if element := _ELEMENT.match(finding.pointer):
        return elements.get(element[0], 0)
    return 0


def _outline(text: str) -> tuple[str | None, dict[str, int]]:
    """The type that a text says it has, if any of a document or an event; its master-data elements, numbered."""
    kind: str | None = None
    elements: dict[str, int] = {}
    for token in islice(walk(text), MOST_TOKENS):
        if len(token.path) == _ELEMENT_DEPTH and _is_element(token):
            elements.setdefault(pointer_of(token.path), 1 + len(elements))
        elif token.kind is Kind.STRING and token.path == ["type"]:
            kind = token.text if token.text in FIELDS or token.text == "EPCISDocument" else None
    return kind, elements


def _is_element(token: Token) -> bool:
    return token.kind is Kind.OBJECT and _ELEMENT.match(pointer_of(token.path)) is not None
