"""Evidence of each change of a log's key, from its entries and the archive of its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, select

from ..checkpoint import checkpoint_of
from ..errors import InvalidInput, Unavailable
from ..key_change import UnverifiedChange
from ..log_key import LogKey
from ..merkle import HashReader, inclusion_path_from
from ..note import VerifierKey, parse_note
from ..statement import parse_envelope
from . import schema
from .database import entry_data
from .publish import Published

_LOOKED_AT: Final = 64
"""Checkpoints after a change among which the one with most cosignatures is taken: a quorum may come late."""


def key_changes(
    connection: Connection, tree: HashReader, published: Published, keys: Sequence[LogKey]
) -> Iterator[UnverifiedChange]:
    """The changes between a published log's keys, oldest first, each under a checkpoint that its old key signed.

    `tree` reads the published tree. Raises Unavailable where the archive has no such checkpoint.
    """
    for old, new in pairwise(keys):
        note = _best(_notes(connection, new.since, published), old.vkey)
        size = checkpoint_of(parse_note(note)).size
        envelope = parse_envelope(entry_data(connection, new.since, new.since + 1)[0])
        path = inclusion_path_from(tree, new.since, size)
        yield UnverifiedChange(envelope, new.since, tuple(path), note)


def _notes(connection: Connection, index: int, published: Published) -> list[bytes]:
    table = schema.checkpoint
    query = select(table.c.note).where(
        table.c.size > index, table.c.size < published.checkpoint.size, table.c.note.is_not(None)
    )
    found = connection.execute(query.order_by(table.c.size).limit(_LOOKED_AT)).scalars()
    return [*found, published.note]


def _best(notes: Sequence[bytes], old: VerifierKey) -> bytes:
    """The first of the notes that the old key signed with most signatures beside it."""
    lines = [_lines(note, old) for note in notes]
    most = max(lines)
    if not most:
        raise Unavailable(f"expected a checkpoint that {old.text()} signed after it announced its successor")
    return notes[lines.index(most)]


def _lines(note: bytes, old: VerifierKey) -> int:
    try:
        signatures = parse_note(note).signatures
    except InvalidInput:
        return 0
    signed = (old.name, old.key_id) in [(line.name, line.key_id) for line in signatures]
    return len(signatures) if signed else 0
