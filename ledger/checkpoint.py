"""Checkpoints: the log's signed tree head (C2SP tlog-checkpoint v1.0.0), without extension lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .ed25519 import Signer
from .errors import InvalidInput
from .note import Note, SignatureLine, note_bytes, sign
from .shape import MAX_TREE_SIZE, base64_bytes, base64_text

_SIZE = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: the log's origin, its number of entries, the 32-byte root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text: origin, size, base64 root, each on its line."""
        return f"{self.origin}\n{self.size}\n{base64_text(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a note's text.

    Raises :class:`InvalidInput` (rule ``bad-checkpoint``), also for extension lines: they would not be audited.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.match(lines[1]):
        raise InvalidInput(
            "expected origin, size and root, each on its line, and no more", rule="bad-checkpoint"
        )
    size = int(lines[1])
    if size > MAX_TREE_SIZE:
        raise InvalidInput("expected a tree size below 2^53", rule="bad-checkpoint")
    return Checkpoint(lines[0], size, base64_bytes(lines[2], "checkpoint root", 32))


def sign_checkpoint(
    checkpoint: Checkpoint, key: Signer | Sequence[Signer], cosignatures: Iterable[SignatureLine] = ()
) -> bytes:
    """The checkpoint's note, signed by the log under its origin, followed by the cosignature lines.

    While the log changes its key, both sign, the new one first: several keys give a line each, in their order.
    """
    text = checkpoint.text()
    keys = key if isinstance(key, Sequence) else (key,)
    return note_bytes(text, [*[sign(text, checkpoint.origin, one) for one in keys], *cosignatures])


def checkpoint_of(note: Note) -> Checkpoint:
    """The checkpoint in a parsed note; whether it is signed is :func:`ledger.note.verify_note`'s to say."""
    return parse_checkpoint(note.text)
