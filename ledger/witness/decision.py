"""What a witness answers, decided from the request, the keys it trusts and what it cosigned last. Pure.

The order is that of tlog-witness: 404 for an origin it does not follow, 403 without a valid signature by a trusted key of
that origin, 400 for what is malformed or asks to go back, 409 when the client is wrong about the last size, 422 when the new
tree does not extend the last one. Whoever calls :func:`decide` holds the lock under which it then persists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import merkle
from ..checkpoint import Checkpoint, checkpoint_of
from ..errors import InvalidInput
from ..note import Note, SignatureLine, VerifierKey, parse_note, verify_note
from .exchange import AddCheckpoint, Answer, conflict, parse_request, refusal

Trusted = Mapping[str, Sequence[VerifierKey]]
"""The keys by which each origin may sign."""


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The largest tree of a log that was cosigned: its size and root; size 0 before the first."""

    size: int = 0
    root: bytes = merkle.EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Signed:
    """A request whose checkpoint a trusted key of its log signed; `note` carries those signatures alone.

    Lines by others are left behind here: a forged line in a request never reaches what is stored or shown.
    """

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint
    note: Note


@dataclass(frozen=True, slots=True)
class Accepted:
    """The checkpoint may be cosigned, once it is persisted as the last one seen."""

    checkpoint: Checkpoint
    note: Note


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to a request that is refused; `forks` when the log signed a tree that does not extend the last one.

    A client can send a wrong proof for a good tree, so only two roots of one size are a proof against the log.
    """

    answer: Answer
    forks: bool = False


def authenticate(body: bytes, trusted: Trusted) -> Signed | Refused:
    """The request in a body, its log signature verified; what needs no state: 404, 403 and 400."""
    try:
        request = parse_request(body)
        keys = trusted.get(request.origin)
        if not keys:
            return Refused(refusal(404, "unknown log"))
        note = _parsed(request.note)
        if isinstance(note, Refused):
            return note
        try:
            lines = _signed_by(note, keys)
        except InvalidInput as error:
            return Refused(refusal(403, f"no valid signature by a trusted key: {error.message}"))
        return _well_formed(request, Note(note.text, lines))
    except InvalidInput as error:
        return Refused(refusal(400, error.message))


def _parsed(data: bytes) -> Note | Refused:
    try:
        return parse_note(data)
    except InvalidInput as error:
        # A signature line that has no one spelling in base64 is no signature, whoever's it claims to be.
        if error.rule != "bad-base64":
            raise
        return Refused(refusal(403, f"no valid signature by a trusted key: {error.message}"))


def _well_formed(request: AddCheckpoint, note: Note) -> Signed | Refused:
    checkpoint = checkpoint_of(note)
    if request.old > checkpoint.size:
        return Refused(refusal(400, "expected an old size of at most the checkpoint's"))
    return Signed(request.old, request.proof, checkpoint, note)


def decide(signed: Signed, last: LastSeen) -> Accepted | Refused:
    """Whether an authenticated request extends what was cosigned last: 409, 422, or it may be cosigned."""
    head = signed.checkpoint
    if signed.old != last.size:
        forks = head.size == last.size and head.root != last.root
        return Refused(conflict(last.size), forks)
    if head.size == 0 and head.root != merkle.EMPTY_ROOT:
        return Refused(refusal(422, "expected the root of the empty tree"))
    if signed.old == head.size and head.root != last.root:
        return Refused(refusal(422, "another root was cosigned at this size"), head.size > 0)
    if not _extends(signed, last):
        return Refused(refusal(422, "the consistency proof does not hold"))
    return Accepted(head, signed.note)


def _extends(signed: Signed, last: LastSeen) -> bool:
    # RFC 9162 has no proof from the empty tree; the witness protocol takes an empty one and no other.
    if last.size == 0:
        return not signed.proof
    head = signed.checkpoint
    return merkle.is_consistent(last.size, head.size, signed.proof, last.root, head.root)


def _signed_by(note: Note, keys: Sequence[VerifierKey]) -> tuple[SignatureLine, ...]:
    """The lines of ``note`` by these keys, each of which must hold; raises :class:`InvalidInput`."""
    verify_note(note, keys)
    known = {(key.name, key.key_id) for key in keys}
    return tuple([line for line in note.signatures if (line.name, line.key_id) in known])
