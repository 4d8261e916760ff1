"""Ed25519 by one rule everywhere: RFC 8032, cofactorless, with libsodium's refusals.

Refused are S >= L, a non-canonical A, and a small-order A or R; PyNaCl is used because other libraries
disagree on some of these. At admission a key must also lie in the prime-order subgroup and come with a
proof of possession: one line, ``base64(raw key) "." base64(signature)``, the signature being over
``loomark/possession/v1 || 0x00 || raw key``.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Protocol

import nacl.bindings
import nacl.exceptions

from .errors import InvalidInput
from .shape import base64_bytes

PUBLIC_KEY_SIZE_BYTES = 32
SIGNATURE_SIZE_BYTES = 64
_POSSESSION = b"loomark/possession/v1\x00"

_open = nacl.bindings.crypto_sign_open
_sign = nacl.bindings.crypto_sign


class Signer(Protocol):
    """Whoever signs with one key whose public half is known: a key in memory, a command, a hardware module.

    ``sign`` gives the raw signature over ``message``, or raises :class:`ledger.errors.Unavailable`; it may be
    called again for the same message, by several threads at once, and with Ed25519 gives the same bytes again.
    """

    @property
    def public_bytes(self) -> bytes:
        """The raw public key."""

    def sign(self, message: bytes) -> bytes:
        """The raw signature over ``message``."""


class SigningKey:
    """A private key; its seed leaves only through :meth:`seed_bytes`, and never through ``repr``."""

    __slots__ = ("_secret", "public_bytes")

    public_bytes: bytes

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise InvalidInput(f"expected a seed of 32 bytes, got {len(seed)}", rule="bad-key")
        self.public_bytes, self._secret = nacl.bindings.crypto_sign_seed_keypair(seed)

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the system's randomness, for shells; the pure heart never calls it."""
        return cls(nacl.bindings.randombytes(32))

    @classmethod
    def from_bytes(cls, seed: bytes) -> SigningKey:
        """The key of a 32-byte RFC 8032 seed."""
        return cls(seed)

    def seed_bytes(self) -> bytes:
        """The 32-byte seed, for writing a key file."""
        return self._secret[:32]

    def sign(self, message: bytes) -> bytes:
        """The 64-byte deterministic signature over ``message``."""
        return _sign(message, self._secret)[:SIGNATURE_SIZE_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey(key_id={key_id(self.public_bytes)!r})"


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is valid for ``message`` under the raw 32-byte key, by libsodium's rule."""
    if len(public) != PUBLIC_KEY_SIZE_BYTES or len(signature) != SIGNATURE_SIZE_BYTES:
        return False
    try:
        _open(signature + message, public)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def key_id(public: bytes) -> str:
    """The keyid of a raw key: lower-case hex of its SHA-256."""
    return sha256(public).hexdigest()


def possession_line(key: Signer) -> str:
    """The public line that ``loomark keygen`` prints and admission takes, without newline."""
    signature = key.sign(_POSSESSION + key.public_bytes)
    return f"{b64encode(key.public_bytes).decode()}.{b64encode(signature).decode()}"


def admit_public_key(line: str) -> bytes:
    """The raw key of a possession line, checked.

    Raises :class:`InvalidInput` with rule ``bad-key`` (spelling, or not in the prime-order subgroup) or
    ``bad-possession`` (its signature does not hold).
    """
    public_part, dot, signature_part = line.strip().partition(".")
    if not dot:
        raise InvalidInput("expected base64(key).base64(signature), got no dot", rule="bad-key")
    public = base64_bytes(public_part, "public key", PUBLIC_KEY_SIZE_BYTES)
    signature = base64_bytes(signature_part, "possession signature", SIGNATURE_SIZE_BYTES)
    require_prime_order(public)
    if not verify(public, _POSSESSION + public, signature):
        raise InvalidInput(
            "expected a proof of possession, got a signature that does not hold", rule="bad-possession"
        )
    return public


def require_prime_order(public: bytes) -> None:
    """Raise :class:`InvalidInput` (rule ``bad-key``) for a raw key outside the prime-order subgroup."""
    if not nacl.bindings.crypto_core_ed25519_is_valid_point(public):
        raise InvalidInput("expected a key in the prime-order subgroup, got another point", rule="bad-key")
