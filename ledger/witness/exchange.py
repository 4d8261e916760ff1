"""The bytes of C2SP tlog-witness: the body of `add-checkpoint` and its answers. Pure.

A request is ``old <size>``, up to 63 lines of base64 hashes, an empty line and the checkpoint's note. An answer is a status
with signature lines (200), the size that the witness cosigned last (409), or a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ..errors import InvalidInput, TooLarge
from ..merkle import HASH_SIZE_BYTES, MAX_PATH_HASHES
from ..note import SignatureLine
from ..shape import MAX_TREE_SIZE, base64_bytes, base64_text

ADD_CHECKPOINT: Final = "add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
MAX_REQUEST_BYTES: Final = 262_144
"""Room for 63 hashes and 32 signature lines, those of ML-DSA-44 included."""

_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})\Z")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,15})\n?\Z")


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: the size that the client believes was cosigned last, a proof from there, the note's bytes as they came."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    @property
    def origin(self) -> str:
        """The first line of the note: of which log it claims to be."""
        return self.note.partition(b"\n")[0].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the witness answers: an HTTP status, a media type and the body."""

    status: int
    body: bytes
    media_type: str = TEXT_TYPE


def parse_request(body: bytes) -> AddCheckpoint:
    """The request in a body; raises :class:`InvalidInput` (rule ``bad-request`` or a parser's) for another spelling."""
    if len(body) > MAX_REQUEST_BYTES:
        raise TooLarge(f"expected a request of at most {MAX_REQUEST_BYTES} bytes", rule="request-too-large")
    head, separator, note = body.partition(b"\n\n")
    lines = _ascii_lines(head)
    old = _OLD.match(lines[0])
    if not separator or old is None:
        raise InvalidInput(
            "expected `old <size>`, a proof, an empty line and a checkpoint", rule="bad-request"
        )
    if len(lines) - 1 > MAX_PATH_HASHES:
        raise TooLarge(f"expected a proof of at most {MAX_PATH_HASHES} hashes", rule="bad-request")
    proof = tuple([base64_bytes(line, "proof", HASH_SIZE_BYTES) for line in lines[1:]])
    return AddCheckpoint(_size(old[1]), proof, note)


def request_bytes(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body that asks for a cosignature under ``note``, whose tree extends the one of size ``old``."""
    lines = [f"old {old}", *[base64_text(one) for one in proof], "", ""]
    return "\n".join(lines).encode() + note


def parse_size(body: bytes) -> int:
    """The tree size in the body of a 409; raises :class:`InvalidInput` (rule ``bad-size``)."""
    found = _SIZE.match(body[:32].decode("ascii", "replace"))
    if found is None or len(body) > 17:
        raise InvalidInput("expected a tree size on one line", rule="bad-size")
    return _size(found[1])


def conflict(size: int) -> Answer:
    """The 409 that tells a client which size was cosigned last."""
    return Answer(409, f"{size}\n".encode(), SIZE_TYPE)


def cosigned(lines: Iterable[SignatureLine]) -> Answer:
    """The 200 with the witness's own signature lines."""
    return Answer(200, "".join([line.text() for line in lines]).encode())


def refusal(status: int, reason: str) -> Answer:
    """Any other answer, with one sentence for people."""
    return Answer(status, f"{reason}\n".encode())


def checkpoint_path(origin: str) -> str:
    """The path, below the monitoring prefix, of the latest cosigned checkpoint of a log."""
    return f"{origin_hash(origin)}/checkpoint"


def origin_hash(origin: str) -> str:
    """The name of a log on the monitoring path: hex SHA-256 of its origin."""
    return sha256(origin.encode()).hexdigest()


def _ascii_lines(head: bytes) -> list[str]:
    try:
        return head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise InvalidInput("expected ASCII before the checkpoint", rule="bad-request") from None


def _size(digits: str) -> int:
    size = int(digits)
    if size > MAX_TREE_SIZE:
        raise InvalidInput("expected a tree size below 2^53", rule="bad-size")
    return size
