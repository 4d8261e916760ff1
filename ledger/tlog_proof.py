"""C2SP tlog-proof text (``c2sp.org/tlog-proof@v1``): one entry of a log with its path and a checkpoint.

It proves that an entry lies in a tree that the log signed and the policy's witnesses cosigned; what the entry means is
not its business, so it proves less than a bundle (docs/spec/bundle.md, section 4). Steps and errors have the numbers of
:mod:`ledger.verify`: 1 strict parse, 5 the entry in the checkpoint, 9 log signature and quorum.

::

    proof = parse_tlog_proof(data)
    found = verify_tlog_proof(proof, proof.extra or entry, Verifier(parse_policy(policy_text)))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import merkle
from .bundle import Step
from .checkpoint import Checkpoint, checkpoint_of
from .errors import InvalidInput, VerificationError
from .note import Note, parse_note
from .shape import MAX_TREE_SIZE, base64_bytes, base64_text
from .verify import Cosigner, Verifier

TLOG_PROOF = "c2sp.org/tlog-proof@v1"
MEDIA_TYPE = "text/plain; charset=utf-8"
MAX_TLOG_PROOF_BYTES = 1_048_576

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})\Z")
_EXTRA = "extra "


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A well-formed proof; nothing in it is verified.

    ``extra`` is signed by nobody: Loomark puts the entry's bytes there. ``path`` has the leaf's sibling first.
    """

    index: int
    path: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint
    extra: bytes | None = None


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """An entry that is proved to lie at ``index`` of a signed tree; only :func:`verify_tlog_proof` makes it.

    ``not_after_s`` is the POSIX time by which the quorum had cosigned the tree, None without one; ``cosigners`` are the
    policy's witnesses that cosigned it.
    """

    origin: str
    index: int
    size: int
    entry: bytes
    unwitnessed: bool
    not_after_s: int | None
    cosigners: tuple[Cosigner, ...]


def tlog_proof_bytes(index: int, path: Sequence[bytes], note: bytes, extra: bytes | None = None) -> bytes:
    """The bytes of a proof; its parts are taken as they are."""
    lines = [TLOG_PROOF, f"index {index}", *[base64_text(one) for one in path], ""]
    if extra is not None:
        lines.insert(1, f"{_EXTRA}{base64_text(extra)}")
    return "\n".join(lines).encode() + b"\n" + note


def is_tlog_proof(data: bytes) -> bool:
    """Whether bytes begin as a proof of any version of this format does."""
    return data.startswith(b"c2sp.org/tlog-proof@")


def parse_tlog_proof(data: bytes) -> TlogProof:
    """Step 1: the proof in these bytes; raises :class:`VerificationError` of step 1 for any other spelling."""
    if len(data) > MAX_TLOG_PROOF_BYTES:
        raise VerificationError(f"expected a proof of at most {MAX_TLOG_PROOF_BYTES} bytes", 1, "")
    with Step(1, ""):
        head, blank, note = data.partition(b"\n\n")
        if not blank:
            raise _bad("a blank line before the checkpoint")
        lines = _ascii(head).split("\n")
        if lines.pop(0) != TLOG_PROOF:
            raise _bad(f"{TLOG_PROOF} in its first line")
        extra = base64_bytes(lines.pop(0)[len(_EXTRA) :], "extra") if _begins_with_extra(lines) else None
        index = _index(lines)
        if len(lines) - 1 > merkle.MAX_PATH_HASHES:
            raise _bad(f"at most {merkle.MAX_PATH_HASHES} hashes")
        path = tuple([base64_bytes(line, "path", merkle.HASH_SIZE_BYTES) for line in lines[1:]])
        parsed = parse_note(note)
        return TlogProof(index, path, parsed, checkpoint_of(parsed), extra)


def verify_tlog_proof(proof: TlogProof, entry: bytes, verifier: Verifier) -> VerifiedEntry:
    """Steps 5 and 9 for an entry's bytes; raises :class:`VerificationError`."""
    head = proof.checkpoint
    with Step(5, "/index"):
        merkle.verify_inclusion(proof.index, head.size, merkle.leaf_hash(entry), proof.path, head.root)
    with Step(9, "/checkpoint"):
        signed = verifier.checkpoint(proof.note, head.origin)
    told = (signed.unwitnessed, signed.not_after_s, signed.cosigners)
    return VerifiedEntry(head.origin, proof.index, head.size, entry, *told)


def _begins_with_extra(lines: list[str]) -> bool:
    return bool(lines) and lines[0].startswith(_EXTRA)


def _index(lines: list[str]) -> int:
    found = _INDEX.match(lines[0]) if lines else None
    if found is None or int(found[1]) > MAX_TREE_SIZE:
        raise _bad("an index line")
    return int(found[1])


def _ascii(head: bytes) -> str:
    try:
        return head.decode("ascii")
    except UnicodeDecodeError:
        raise _bad("ASCII above the checkpoint") from None


def _bad(expected: str) -> InvalidInput:
    return InvalidInput(f"expected a tlog-proof with {expected}", rule="bad-tlog-proof")
