"""Reads a record that nobody here validated, such as one disclosed in a report by somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ledger.errors import InvalidInput

from .contexts import PACKAGED, ContextTable, check_context, effective_context
from .event import Event, read_event
from .findings import EnoughFindings, Findings
from .identity import as_sent
from .validation import check_event


def read_untrusted_event(committed: Mapping[str, Any], contexts: ContextTable = PACKAGED) -> Event:
    """The event of a record in committed form, validated first by the rules of capture.

    Wrong check digits pass, because a member may have asked to keep them. Raises InvalidInput with findings
    whose pointers begin at the record.
    """
    found = Findings(keep_bad_check_digits=True)
    with suppress(EnoughFindings):
        _check(dict(committed), found, contexts)
    if found.refused:
        first = found.refused[0]
        message = f"{first.pointer or '/'}: expected {first.expected}, got {first.got}"
        raise InvalidInput(message, found.refused, first.rule)
    return read_event(committed)


def _check(record: dict[str, Any], found: Findings, contexts: ContextTable) -> None:
    context = record.get("@context")
    if type(context) is not list or not all(type(entry) is dict for entry in context):
        found.refuse("/@context", "context-entry", "the effective context as a list of objects", context)
        return
    if check_context(as_sent(context), "/@context", found):
        check_event(record, found, effective_context(context, contexts))
