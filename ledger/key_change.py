"""Evidence that a log changed its key (``loomark/log-key-change/v1``), and the policy that it leads to.

Whoever pinned the old key checks the evidence offline: the announcement holds, its statement lies in a
checkpoint, and the policy accepts that checkpoint, with its quorum. Then the new key is as good as the old one was.

::

    text, added = extended_policy(old_text, parse_evidence(data))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import shape
from .canonical import JSON, canonical, parse_json
from .checkpoint import checkpoint_of
from .errors import InvalidInput, TooLarge
from .log_key import MAX_CHANGES, Announcement, verify_announcement
from .merkle import leaf_hash, verify_inclusion
from .note import parse_note
from .policy import Policy, parse_policy
from .statement import MAX_ANNOUNCEMENT, UnverifiedEnvelope, envelope_of
from .verify import Verifier

EVIDENCE = "loomark/log-key-change/v1"
MAX_EVIDENCE_BYTES = 16_777_216
_EVIDENCE = frozenset({"format", "changes"})
_CHANGE = frozenset({"envelope", "index", "path", "checkpoint"})


@dataclass(frozen=True, slots=True)
class UnverifiedChange:
    """Evidence of one change: the statement that announces it, at its index in a checkpoint. Nothing is verified."""

    envelope: UnverifiedEnvelope
    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def as_json(self) -> dict[str, JSON]:
        """The change as a member of an evidence file."""
        return {
            "envelope": parse_json(self.envelope.data),
            "index": self.index,
            "path": [one.hex() for one in self.path],
            "checkpoint": self.checkpoint.decode(),
        }


def evidence_bytes(changes: Iterable[UnverifiedChange]) -> bytes:
    """An evidence file (``loomark/log-key-change/v1``): every change in log order, in canonical JSON."""
    return canonical({"format": EVIDENCE, "changes": [one.as_json() for one in changes]})


def parse_evidence(data: bytes) -> tuple[UnverifiedChange, ...]:
    """The changes of an evidence file; raises :class:`InvalidInput`."""
    if len(data) > MAX_EVIDENCE_BYTES:
        raise TooLarge(f"expected at most {MAX_EVIDENCE_BYTES} bytes of evidence", rule="evidence-too-large")
    obj = shape.members(parse_json(data), "evidence", _EVIDENCE)
    if obj["format"] != EVIDENCE:
        raise InvalidInput(f"expected {EVIDENCE}, got another format", rule="bad-version")
    return tuple([_change(one) for one in shape.array(obj["changes"], "changes", 0, MAX_CHANGES)])


def _change(value: JSON) -> UnverifiedChange:
    obj = shape.members(value, "change", _CHANGE)
    note = shape.text(obj["checkpoint"], "checkpoint", 1_048_576)
    return UnverifiedChange(
        envelope_of(obj["envelope"]),
        shape.count(obj["index"], "index"),
        shape.hash_path(obj["path"], "path"),
        note.encode("utf-8", "replace"),
    )


def verify_change(change: UnverifiedChange, policy: Policy) -> Announcement:
    """That a key of the policy announced its successor, in a checkpoint that the policy accepts.

    The policy's quorum is asked for too: who stole the old key alone cannot lead a verifier to a new one. Raises
    :class:`InvalidInput`.
    """
    statement, note = change.envelope.statement, parse_note(change.checkpoint)
    if statement.type != "key" or statement.body["action"] != "log":
        raise InvalidInput("expected a statement that changes the log's key, got another", rule="wrong-type")
    found = verify_announcement(statement.body["announcement"])
    if statement.log != found.old.name or found.old not in policy.logs:
        raise InvalidInput("expected an announcement by a log key of the policy", rule="unknown-log-key")
    head = checkpoint_of(note)
    verify_inclusion(change.index, head.size, leaf_hash(change.envelope.data), change.path, head.root)
    Verifier(policy).checkpoint(note, found.old.name)
    return found


def extended_policy(text: str, changes: Sequence[UnverifiedChange]) -> tuple[str, tuple[Announcement, ...]]:
    """A policy text with a ``log`` line for each key that its own keys lead to, and what was added.

    What leads nowhere from this policy (it was made after that change) is passed over; a change that starts at one
    of its keys and does not hold raises :class:`InvalidInput`. Comments and order of the text stay.
    """
    policy, added = parse_policy(text), []
    for change in changes:
        found = _led_to(change, policy)
        if found is None:
            continue
        lines = text.split("\n")
        at = next(number for number, line in enumerate(lines) if found.old.text() in line.split()) + 1
        text = "\n".join([*lines[:at], f"log {found.new.text()}", *lines[at:]])
        policy = parse_policy(text)
        added.append(found)
    return text, tuple(added)


def _led_to(change: UnverifiedChange, policy: Policy) -> Announcement | None:
    body = change.envelope.statement.body
    claimed = verify_announcement(shape.text(body.get("announcement"), "announcement", MAX_ANNOUNCEMENT))
    if claimed.old not in policy.logs or claimed.new in policy.logs:
        return None
    return verify_change(change, policy)
