"""Single events as conditions see them, and short ways to ask a question of them."""

from __future__ import annotations

from typing import Any

from fabric.epcis import read_document
from fabric.epcis.document import EventRecord
from fabric.query import Candidate, Query, from_pairs
from fabric.query.errors import QueryParameter
from tests.fabric.epcis.documents import EVENTS, GS1, document, raw

EX = "https://ns.example.org/ex/"
"""The namespace that `ex` stands for, in questions and in events."""
CONTEXT: list[Any] = [GS1, {"ex": EX}]
RECORDED_US = 1_780_000_000_000_000


def read(event: dict[str, Any], context: list[Any] | None = None) -> EventRecord:
    """The record of one event, validated."""
    sent = document(event, **{"@context": CONTEXT if context is None else context})
    [found] = read_document(raw(sent), "application/json").events
    return found


def candidate(event: dict[str, Any], context: list[Any] | None = None, **more: Any) -> Candidate:
    """An event as a condition sees it."""
    found = read(event, context)
    return Candidate(found.committed, found.event, **{"record_time_us": RECORDED_US, **more})


def an_event(kind: str = "ObjectEvent", /, **fields: Any) -> dict[str, Any]:
    """A valid event with some fields of its own; None leaves one out."""
    found = {**EVENTS[kind], **fields}
    return {name: value for name, value in found.items() if value is not None}


def asked(**parameters: str) -> Query:
    """A question, `ex` bound; a name's ``__`` is the colon of a field's name."""
    return from_pairs([(name.replace("__", ":"), value) for name, value in parameters.items()], {"ex": EX})


def finds(one: Candidate, **parameters: str) -> bool:
    """Whether a question finds an event."""
    return asked(**parameters).matches(one)


def refusal(*pairs: tuple[str, str], prefixes: dict[str, str] | None = None) -> QueryParameter:
    """The refusal of a question."""
    try:
        found = from_pairs(pairs, {"ex": EX} if prefixes is None else prefixes)
    except QueryParameter as problem:
        return problem
    raise AssertionError(f"expected a refusal, got {found}")
