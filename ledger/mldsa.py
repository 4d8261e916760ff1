"""ML-DSA-44 (FIPS 204) as cosigners use it: 32-byte seed, 1,312-byte key, 2,420-byte signature, empty context.

The primitive is that of `cryptography`; an installation whose `cryptography` lacks it can neither sign nor
verify such a cosignature, and says so (rule ``no-ml-dsa``) instead of leaving the cosigner out in silence.
"""

from __future__ import annotations

from hashlib import sha256

from .errors import InvalidInput

PUBLIC_KEY_SIZE_BYTES = 1_312
SIGNATURE_SIZE_BYTES = 2_420
SEED_SIZE_BYTES = 32

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

    _HAS_MODULE = True
except ImportError:
    _HAS_MODULE = False


def is_available() -> bool:
    """Whether this installation can sign and verify; the library's own build decides, not its version."""
    if not _HAS_MODULE:
        return False
    try:
        MLDSA44PrivateKey.from_seed_bytes(bytes(SEED_SIZE_BYTES))
    except UnsupportedAlgorithm:
        return False
    return True


def require_available() -> None:
    """Raise :class:`InvalidInput` (rule ``no-ml-dsa``) where the library has no ML-DSA-44."""
    if not is_available():
        raise InvalidInput(
            "expected a `cryptography` with ML-DSA-44, got one without: upgrade it to use this key",
            rule="no-ml-dsa",
        )


class MlDsaKey:
    """A private ML-DSA-44 key; its seed leaves only through :meth:`seed_bytes`, and never through ``repr``."""

    __slots__ = ("_private", "public_bytes")

    public_bytes: bytes

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_SIZE_BYTES:
            raise InvalidInput(f"expected a seed of 32 bytes, got {len(seed)}", rule="bad-key")
        require_available()
        self._private = MLDSA44PrivateKey.from_seed_bytes(seed)
        self.public_bytes = self._private.public_key().public_bytes_raw()

    def seed_bytes(self) -> bytes:
        """The 32-byte seed, for writing a key file."""
        return self._private.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """A 2,420-byte signature over ``message``, context empty; hedged, so two calls give two signatures."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"MlDsaKey(key_id={sha256(self.public_bytes).hexdigest()!r})"


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is valid for ``message`` under the raw 1,312-byte key, context empty."""
    require_available()
    if len(public) != PUBLIC_KEY_SIZE_BYTES or len(signature) != SIGNATURE_SIZE_BYTES:
        return False
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
