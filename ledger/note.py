"""Signed notes and cosignatures (C2SP signed-note v1.0.0, tlog-cosignature v1.0.1).

A note is text, a blank line and signature lines ``— <name> <base64(key id || signature)>``. Three types are read
here: 0x01 (Ed25519) for the log, 0x04 (Ed25519 ``cosignature/v1``) and 0x06 (ML-DSA-44 ``subtree/v1``) for
cosigners, both with a time in seconds. Lines by unknown keys are ignored; a line that names a known key must
verify, or the whole note is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from . import ed25519, mldsa
from .errors import InvalidInput, TooLarge
from .shape import base64_bytes, base64_text

ED25519 = 0x01
COSIGNATURE = 0x04
ML_DSA_COSIGNATURE = 0x06
COSIGNATURES = frozenset({COSIGNATURE, ML_DSA_COSIGNATURE})
KEY_SIZE_BYTES = {
    ED25519: ed25519.PUBLIC_KEY_SIZE_BYTES,
    COSIGNATURE: ed25519.PUBLIC_KEY_SIZE_BYTES,
    ML_DSA_COSIGNATURE: mldsa.PUBLIC_KEY_SIZE_BYTES,
}
MAX_SIGNATURES = 32
MAX_NOTE_BYTES = 1_048_576

_DASH = "\u2014 "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f-\x9f]+\Z")
_KEY_HASH = re.compile(r"[0-9a-f]{8}\Z")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under: what a vkey line holds.

    ``kind`` is a key of :data:`KEY_SIZE_BYTES`, ``public`` the raw key of that size.
    """

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The 4-byte key id: SHA-256(name || 0x0A || type || key), cut."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def text(self) -> str:
        """The vkey: ``name+hex key id+base64(type || key)``."""
        return f"{self.name}+{self.key_id.hex()}+{base64_text(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature line, not verified: ``blob`` is what follows the 4-byte key id."""

    name: str
    key_id: bytes
    blob: bytes

    def text(self) -> str:
        """The line, with its newline."""
        return f"{_DASH}{self.name} {base64_text(self.key_id + self.blob)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note; ``text`` ends in a newline and is what signatures cover. Nothing is verified yet."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def data(self) -> bytes:
        """The bytes of the note."""
        return note_bytes(self.text, self.signatures)


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that holds; ``time_s`` is the cosigner's POSIX time, None for a plain signature."""

    key: VerifierKey
    time_s: int | None


def parse_vkey(text: str) -> VerifierKey:
    """The key of a vkey.

    Raises :class:`InvalidInput` with rule ``bad-vkey`` for anything else than our three types, and ``no-ml-dsa``
    where this installation cannot verify the third: it must not take a cosigner for one that never signs.
    """
    if "\n" in text:
        raise InvalidInput("expected one vkey, got several lines: give one of them", rule="bad-vkey")
    name, plus, rest = text.partition("+")
    key_hash, second_plus, encoded = rest.partition("+")
    if not (plus and second_plus and _is_name(name) and _KEY_HASH.match(key_hash)):
        raise InvalidInput("expected name+keyid+base64, got another spelling", rule="bad-vkey")
    raw = base64_bytes(encoded, "vkey")
    if not raw or len(raw) - 1 != KEY_SIZE_BYTES.get(raw[0]):
        raise InvalidInput("expected an Ed25519 note key or a cosignature key, got another", rule="bad-vkey")
    if raw[0] == ML_DSA_COSIGNATURE:
        mldsa.require_available()
    key = VerifierKey(name, raw[0], raw[1:])
    if key.key_id.hex() != key_hash:
        raise InvalidInput(f"expected key id {key.key_id.hex()}, got {key_hash}", rule="bad-vkey")
    return key


def parse_note(data: bytes) -> Note:
    """The note of these bytes; raises :class:`InvalidInput` (rule ``bad-note``) for any other spelling."""
    if len(data) > MAX_NOTE_BYTES:
        raise TooLarge(f"expected a note of at most {MAX_NOTE_BYTES} bytes", rule="note-too-large")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("UTF-8") from None
    if _CONTROL.search(text):
        raise _bad("no control characters but newlines")
    body, separator, lines = text.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise _bad("text, a blank line and signature lines")
    signatures = lines[:-1].split("\n")
    if len(signatures) > MAX_SIGNATURES:
        raise TooLarge(f"expected at most {MAX_SIGNATURES} signature lines", rule="too-many-signatures")
    return Note(body + "\n", tuple([_parse_line(line) for line in signatures]))


def parse_signature_lines(data: bytes) -> tuple[SignatureLine, ...]:
    """Signature lines without a note, as a witness answers them."""
    return parse_note(b"-\n\n" + data).signatures


def note_bytes(text: str, signatures: Iterable[SignatureLine]) -> bytes:
    """The bytes of a note with these signature lines."""
    return (text + "\n" + "".join([line.text() for line in signatures])).encode()


def sign(text: str, name: str, key: ed25519.Signer) -> SignatureLine:
    """The plain Ed25519 signature line (type 0x01) of ``name`` under a note's text."""
    verifier = VerifierKey(name, ED25519, key.public_bytes)
    return SignatureLine(name, verifier.key_id, key.sign(text.encode()))


def cosign(text: str, name: str, key: ed25519.Signer, time_s: int) -> SignatureLine:
    """The ``cosignature/v1`` line (type 0x04) of ``name`` at POSIX time ``time_s`` under a checkpoint's text."""
    verifier = VerifierKey(name, COSIGNATURE, key.public_bytes)
    signature = key.sign(_cosigned(text, time_s))
    return SignatureLine(name, verifier.key_id, time_s.to_bytes(8, "big") + signature)


def cosign_ml_dsa(text: str, name: str, key: ed25519.Signer, time_s: int) -> SignatureLine:
    """The ``subtree/v1`` line (type 0x06) of ``name`` at POSIX time ``time_s`` under a checkpoint's text.

    ``key`` signs with ML-DSA-44 (:class:`ledger.mldsa.MlDsaKey`). Raises :class:`InvalidInput` for a text that is no
    checkpoint, or one with extension lines: this signature would not cover them.
    """
    verifier = VerifierKey(name, ML_DSA_COSIGNATURE, key.public_bytes)
    signature = key.sign(_subtree(text, name, time_s))
    return SignatureLine(name, verifier.key_id, time_s.to_bytes(8, "big") + signature)


def verify_note(note: Note, keys: Sequence[VerifierKey]) -> tuple[VerifiedSignature, ...]:
    """The signatures of ``keys`` that the note carries, in line order.

    Raises :class:`InvalidInput`: rule ``unsigned-note`` when none of the keys signed, ``note-signature`` when a
    signature by one of them does not hold or when one signed twice.
    """
    known = {(key.name, key.key_id): key for key in keys}
    verified: dict[VerifierKey, VerifiedSignature] = {}
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        if key in verified:
            raise InvalidInput(f"expected one signature by {key.name}, got two", rule="note-signature")
        verified[key] = _verify_line(note.text, line, key)
    if not verified:
        raise InvalidInput("expected a signature by a trusted key, got none", rule="unsigned-note")
    return tuple(verified.values())


def _verify_line(text: str, line: SignatureLine, key: VerifierKey) -> VerifiedSignature:
    if key.kind not in COSIGNATURES:
        return _held(ed25519.verify(key.public, text.encode(), line.blob), key, None)
    time_s = int.from_bytes(line.blob[:8], "big")
    if not 0 < time_s < 2**63:
        raise InvalidInput(f"expected a cosignature with a time by {key.name}", rule="note-signature")
    if key.kind == COSIGNATURE:
        return _held(ed25519.verify(key.public, _cosigned(text, time_s), line.blob[8:]), key, time_s)
    return _held(mldsa.verify(key.public, _subtree(text, key.name, time_s), line.blob[8:]), key, time_s)


def _held(is_valid: bool, key: VerifierKey, time_s: int | None) -> VerifiedSignature:
    if not is_valid:
        raise InvalidInput(f"expected a valid signature by {key.name}, got another", rule="note-signature")
    return VerifiedSignature(key, time_s)


def _subtree(text: str, name: str, time_s: int) -> bytes:
    """What an ML-DSA cosigner signs of a checkpoint: the tree from entry 0, under both names."""
    # Checkpoints are built on notes; this one type of signature looks into the text it covers.
    from .checkpoint import parse_checkpoint

    head = parse_checkpoint(text)
    origin, cosigner = head.origin.encode(), name.encode()
    if max(len(origin), len(cosigner)) > 255:
        raise InvalidInput("expected names of at most 255 bytes in an ML-DSA cosignature", rule="bad-note")
    named = bytes([len(cosigner)]) + cosigner + time_s.to_bytes(8, "big") + bytes([len(origin)]) + origin
    return b"subtree/v1\n\x00" + named + bytes(8) + head.size.to_bytes(8, "big") + head.root


def _cosigned(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def _parse_line(line: str) -> SignatureLine:
    if not line.startswith(_DASH):
        raise _bad("an em dash and a space before each signature")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    if not space or not _is_name(name):
        raise _bad("a key name without space or plus sign")
    raw = base64_bytes(encoded, "signature line")
    if len(raw) < 5:
        raise _bad("a key id and a signature")
    return SignatureLine(name, raw[:4], raw[4:])


def _is_name(name: str) -> bool:
    return _NAME.match(name) is not None


def _bad(expected: str) -> InvalidInput:
    return InvalidInput(f"expected a signed note with {expected}", rule="bad-note")
