"""Log entries: an envelope or a seal, told apart by their first member."""

from __future__ import annotations

from .errors import InvalidInput
from .seal import Seal, parse_seal
from .statement import UnverifiedEnvelope, parse_envelope

# Canonical JSON sorts members, so "after" opens every seal and "payload" every envelope.
_SEAL = b'{"after":'
_ENVELOPE = b'{"payload":'


def is_seal(data: bytes) -> bool:
    """Whether an entry's bytes begin as a seal's do."""
    return data.startswith(_SEAL)


def parse_entry(data: bytes) -> UnverifiedEnvelope | Seal:
    """The envelope or seal of an entry's bytes; raises :class:`InvalidInput` for anything else."""
    if data.startswith(_SEAL):
        return parse_seal(data)
    if data.startswith(_ENVELOPE):
        return parse_envelope(data)
    raise InvalidInput("expected a seal or an envelope in canonical JSON", rule="bad-entry")
