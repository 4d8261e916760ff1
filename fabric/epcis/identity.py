"""Equality of records: what makes a second submission a duplicate (design: meaning, section 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ledger.canonical import canonical


def body_digest(record: Mapping[str, Any]) -> bytes:
    """SHA-256 of a record's body: its canonical bytes less recordTime, with its `@context`.

    Addresses in the context count as they were sent: a digest listed for one since then changes no body.
    """
    body = {name: value for name, value in record.items() if name != "recordTime"}
    body["@context"] = as_sent(record["@context"])
    return hashlib.sha256(canonical(body)).digest()


def as_sent(context: list[Any]) -> list[Any]:
    """The entries of a committed `@context` as they were sent."""
    return [entry["url"] if entry.keys() == {"url", "sha256"} else entry for entry in context]
