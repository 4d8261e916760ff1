"""Changes of the log's own key: the announcement that the old key signs, and which keys sign a checkpoint.

An announcement is a signed note (C2SP signed-note) whose text is::

    loomark/log-key/v1
    <origin>
    <old vkey>
    <new vkey>
    <until: YYYY-MM-DDThh:mm:ss.sssZ>

under two lines of the origin's name: the old key's, then the new key's. A ``key`` statement of the operator puts it
into the log (docs/spec/statement.md, section 4). From that entry on the new key signs every checkpoint, and the
old one with it while the last seal's time is below ``until``: which keys sign a head follows from the entries, so
recovery signs the same bytes. The text is no checkpoint, whatever the origin: its third line is no root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import shape
from .ed25519 import Signer, require_prime_order
from .errors import Conflict, InvalidInput, TooLarge
from .note import ED25519, VerifierKey, note_bytes, parse_note, parse_vkey, sign, verify_note
from .statement import Statement

ANNOUNCEMENT = "loomark/log-key/v1"
MAX_SIGNING = 8
"""Keys that sign one checkpoint at most: changes that overlap wait for each other beyond it."""
MAX_CHANGES = 1_024
"""Changes of one log's key at most: whoever pinned the first key is led through all of them."""


@dataclass(frozen=True, slots=True)
class LogKey:
    """One key of the log: it signs from entry ``since`` on, and until a seal's time where ``until`` is not None."""

    vkey: VerifierKey
    since: int
    until: str | None

    def signs_at(self, time_ms: int) -> bool:
        """Whether it signs a checkpoint whose last seal has this time."""
        return self.until is None or time_ms < shape.time_ms(self.until, "until")


@dataclass(frozen=True, slots=True)
class Announcement:
    """That the log goes over from one key to another; the old one stops at the UTC time ``until``."""

    old: VerifierKey
    new: VerifierKey
    until: str

    def text(self) -> str:
        """The note text that both keys sign."""
        lines = (ANNOUNCEMENT, self.old.name, self.old.text(), self.new.text(), self.until)
        return "\n".join(lines) + "\n"


def announce(origin: str, old: Signer, new: Signer, until: str) -> str:
    """The announcement of a change from one key to another, signed by both."""
    named = Announcement(
        VerifierKey(origin, ED25519, old.public_bytes), VerifierKey(origin, ED25519, new.public_bytes), until
    )
    text = named.text()
    return note_bytes(text, [sign(text, origin, old), sign(text, origin, new)]).decode()


def verify_announcement(note: str) -> Announcement:
    """The announcement of a note that both its keys signed; whether the old one is the log's is the caller's to ask.

    Raises :class:`InvalidInput` with rule ``bad-announcement`` for any other spelling, and those of keys and notes.
    """
    parsed = parse_note(note.encode())
    lines = parsed.text.split("\n")
    if len(lines) != 6 or lines[0] != ANNOUNCEMENT or lines[5]:
        raise InvalidInput(f"expected the five lines of {ANNOUNCEMENT}", rule="bad-announcement")
    shape.time_ms(lines[4], "until")
    found = Announcement(parse_vkey(lines[2]), parse_vkey(lines[3]), lines[4])
    keys = (found.old, found.new)
    if {key.kind for key in keys} != {ED25519} or {key.name for key in keys} != {lines[1]}:
        raise InvalidInput("expected two Ed25519 keys under the origin", rule="bad-announcement")
    if found.old.public == found.new.public:
        raise InvalidInput("expected another key than the old one", rule="key-in-use")
    if [(one.name, one.key_id) for one in parsed.signatures] != [(key.name, key.key_id) for key in keys]:
        raise InvalidInput("expected the old key's signature, then the new one's", rule="bad-announcement")
    verify_note(parsed, keys)
    require_prime_order(found.new.public)
    return found


def with_change(keys: Sequence[LogKey], change: Announcement, index: int) -> tuple[LogKey, ...]:
    """The log's keys after the announcement at ``index``; raises :class:`InvalidInput` where it is none of this log's."""
    if len(keys) > MAX_CHANGES:
        raise TooLarge(f"expected at most {MAX_CHANGES} changes of the log's key", rule="too-many-log-keys")
    if not keys or keys[-1].vkey != change.old:
        raise InvalidInput("expected an announcement by the log's newest key", rule="wrong-log-key")
    if change.new.public in [key.vkey.public for key in keys]:
        raise InvalidInput("expected a new key, got one that signed this log before", rule="key-in-use")
    return (*keys[:-1], replace(keys[-1], until=change.until), LogKey(change.new, index, None))


def signing_keys(keys: Sequence[LogKey], seal_ms: int) -> tuple[VerifierKey, ...]:
    """Who signs a checkpoint whose last seal has this time: the newest key, then those that still sign beside it."""
    return tuple([key.vkey for key in reversed(keys) if key.signs_at(seal_ms)])


def require_orderly(statement: Statement, keys: Sequence[LogKey], seal_ms: int) -> None:
    """Refuse a change of the log's key that would leave readers behind; other statements pass.

    Its first checkpoint has to be signed by the old key too (rule ``bad-until``): who has that one alone could not tell a
    new key from a stranger's. No more than `MAX_SIGNING` keys sign one checkpoint (rule ``too-many-log-keys``): a note has
    room for few lines, and most of them are for witnesses.
    """
    if statement.type != "key" or statement.body["action"] != "log":
        return
    until = verify_announcement(statement.body["announcement"]).until
    if shape.time_ms(until, "until") <= seal_ms:
        raise InvalidInput(
            "expected an end of the old key that lies ahead, got one that is past", rule="bad-until"
        )
    if len(signing_keys(keys, seal_ms)) >= MAX_SIGNING:
        raise Conflict(
            f"expected fewer than {MAX_SIGNING} keys of the log that sign now; wait until the oldest has ended",
            rule="too-many-log-keys",
        )
