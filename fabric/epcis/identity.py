"""Equality of records: what makes a second submission a duplicate (design: meaning, section 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ledger.canonical import canonical
from ledger.commitment import Committed, joined

_OPENING = b'{"@context":'


def body_digest(record: Mapping[str, Any]) -> bytes:
    """SHA-256 of a record's body: its canonical bytes less recordTime, with its `@context`.

    Addresses in the context count as they were sent: a digest listed for one since then changes no body.
    """
    body = {name: value for name, value in record.items() if name != "recordTime"}
    body["@context"] = as_sent(record["@context"])
    return hashlib.sha256(canonical(body)).digest()


class BodyDigests:
    """The same digests, from bytes that committing has written; for the records of one submission."""

    def __init__(self) -> None:
        self._contexts: dict[int, tuple[list[Any], bytes]] = {}

    def __call__(self, record: Mapping[str, Any], committed: Committed) -> bytes:
        """The digest of a record that was committed to."""
        context = self._as_sent(record["@context"])
        if committed.names[0] == "@context" and "recordTime" not in record:
            rest = committed.body[len(_OPENING) + len(committed.values[0]) :]
            return hashlib.sha256(b"%b%b%b" % (_OPENING, context, rest)).digest()
        parts = [
            (name, context if name == "@context" else value)
            for name, value in zip(committed.names, committed.values, strict=True)
            if name != "recordTime"
        ]
        names, values = zip(*parts, strict=True)
        return hashlib.sha256(joined(names, values)).digest()

    def _as_sent(self, context: list[Any]) -> bytes:
        known = self._contexts.get(id(context))
        if known is None:
            # The list is kept beside its bytes, so that its identity stays its own.
            known = self._contexts[id(context)] = (context, canonical(as_sent(context)))
        return known[1]


def as_sent(context: list[Any]) -> list[Any]:
    """The entries of a committed `@context` as they were sent."""
    return [entry["url"] if entry.keys() == {"url", "sha256"} else entry for entry in context]
