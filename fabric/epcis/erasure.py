"""The body of an `erasure` statement (`loomark/erasure/v1`): which records, or which units of one, and why.

The statement in the log only commits to it; docs/spec/erasure.md. It names records by their commitments, never by
anything that they said.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ledger import shape
from ledger.canonical import JSON
from ledger.commitment import record_commitment
from ledger.errors import InvalidInput

ERASURE: Final = "loomark/erasure/v1"
MAX_RECORDS: Final = 4_096
MAX_UNITS: Final = 1_024
MAX_POINTER: Final = 2_048
MAX_REASON: Final = 1_000

_BODY: Final = frozenset({"erasure", "records", "units", "reason"})
_RECORD: Final = re.compile(r"(?:urn:loomark:record:)?([0-9a-f]{64})\Z")


class Erasure(NamedTuple):
    """What is erased: `records` are commitments, sorted; `units` pointers into the one record, none for all of it."""

    records: tuple[bytes, ...]
    units: tuple[str, ...]
    reason: str

    def as_json(self) -> dict[str, JSON]:
        """The body as a JSON object."""
        return {
            "erasure": ERASURE,
            "records": [one.hex() for one in self.records],
            "units": list(self.units),
            "reason": self.reason,
        }

    def commitment(self, salt: bytes) -> bytes:
        """What the statement commits to: the body as a record under a salt of 32 bytes."""
        return record_commitment(self.as_json(), salt)


def erasure_of(records: JSON, units: JSON, reason: JSON) -> Erasure:
    """The erasure of records by their names (IRI, or commitment in hex) and of pointers, in any order.

    Raises InvalidInput: `bad-shape`, `bad-record-name`, `one-record` for units of several records.
    """
    names = [_commitment(one) for one in shape.array(records, "records", 1, MAX_RECORDS)]
    pointers = [_pointer(one) for one in shape.array(units, "units", 0, MAX_UNITS)]
    told = Erasure(
        tuple(sorted(set(names))), tuple(sorted(set(pointers))), shape.text(reason, "reason", MAX_REASON)
    )
    if told.units and len(told.records) != 1:
        raise InvalidInput(f"expected one record whose units go, got {len(told.records)}", rule="one-record")
    return told


def parse_erasure(value: JSON) -> Erasure:
    """The erasure of a body, in its one spelling. Raises as :func:`erasure_of`, and `not-canonical`."""
    body = shape.members(value, "body", _BODY)
    if body["erasure"] != ERASURE:
        raise InvalidInput(f"expected {ERASURE}, got another format", rule="bad-version")
    told = erasure_of(body["records"], body["units"], body["reason"])
    if told.as_json() != body:
        raise InvalidInput(
            "expected commitments in hex and pointers, each once and sorted, got another spelling",
            rule="not-canonical",
        )
    return told


def _commitment(name: JSON) -> bytes:
    match = _RECORD.match(name) if type(name) is str else None
    if match is None:
        raise InvalidInput(
            "records: expected the commitment of a record or its IRI, got another name",
            rule="bad-record-name",
        )
    return bytes.fromhex(match[1])


def _pointer(value: JSON) -> str:
    pointer = shape.text(value, "units", MAX_POINTER)
    if not pointer.startswith("/"):
        raise InvalidInput("units: expected RFC 6901 pointers to units", rule="no-such-pointer")
    return pointer
