"""Who signs towards a channel: an X.509 certificate of an MSP and its private key, from an MSP folder or PKCS#12.

ECDSA keys (P-256, P-384) sign the SHA-256 of a message, in DER, with the smaller of the two possible values of s; Ed25519
keys sign the message itself. Peers refuse anything else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from stat import S_IMODE
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs12

from .errors import BadProfile

MAX_FILE_BYTES: Final = 65_536

# FIPS 186-5 and SEC 2: the orders of the groups, by the name of the curve.
_ORDERS: Final = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Identity(Protocol):
    """Somebody of an MSP. Safe to share by threads."""

    @property
    def msp(self) -> str:
        """The id of the MSP that issued the certificate."""

    @property
    def certificate(self) -> bytes:
        """The certificate, PEM."""

    def sign(self, message: bytes) -> bytes:
        """A signature over a message, in the form that peers accept."""


@dataclass(frozen=True, slots=True)
class X509Identity:
    """An identity whose private key is in memory; ``not_after`` is when its certificate ends, UTC."""

    msp: str
    certificate: bytes
    not_after: datetime
    _key: PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """A signature over ``message``: Ed25519, or ECDSA over SHA-256 in DER with low s."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        return low_s(self._key.sign(message, ec.ECDSA(SHA256())), self._key.curve.name)


def low_s(signature: bytes, curve: str) -> bytes:
    """The same ECDSA signature (DER) with the smaller of its two values of s."""
    r, s = decode_dss_signature(signature)
    order = _ORDERS[curve]
    return encode_dss_signature(r, min(s, order - s))


def is_low_s(signature: bytes, curve: str) -> bool:
    """Whether a signature is DER and its s is the smaller of the two; never raises."""
    try:
        _, s = decode_dss_signature(signature)
    except ValueError:
        return False
    return 0 < s <= _ORDERS[curve] // 2


def load_identity(path: Path, msp: str, passphrase: bytes | None = None) -> X509Identity:
    """The identity at ``path``: an MSP folder (``signcerts``, ``keystore``), or a PKCS#12 file.

    Raises :class:`BadProfile`; no message shows anything of a key.
    """
    if path.is_dir():
        return _of_folder(path, msp)
    return _of_pkcs12(path, msp, passphrase)


def read_bounded(path: Path, what: str) -> bytes:
    """A small file's bytes; raises :class:`BadProfile` that names ``what`` and the file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadProfile(f"expected a readable {what} at {path}: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise BadProfile(f"expected a {what} of at most {MAX_FILE_BYTES} bytes at {path}")
    return data


def read_private(path: Path, what: str) -> bytes:
    """As :func:`read_bounded`, for a file that only its owner may read (no such bits exist on Windows)."""
    data = read_bounded(path, what)
    mode = S_IMODE(path.stat().st_mode)
    if os.name != "nt" and mode & 0o077:
        raise BadProfile(
            f"expected the {what} {path} to be its owner's alone, got mode {mode:04o}; run: chmod 600 {path}"
        )
    return data


def _of_folder(folder: Path, msp: str) -> X509Identity:
    found = _files(folder / "signcerts")
    if len(found) != 1:
        raise BadProfile(f"expected one certificate in {folder / 'signcerts'}, got {len(found)}")
    certificate = _certificate(found[0])
    # Enrolment again leaves the key before in the folder, so the one that is the certificate's is looked for.
    for path in _files(folder / "keystore"):
        key = _key(path)
        if key.public_key() == certificate.public_key():
            return _identity(msp, certificate, key)
    raise BadProfile(f"expected the private key of {found[0]} in {folder / 'keystore'}, got none that fits")


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise BadProfile(f"expected a folder of an MSP at {folder}: {error.strerror}") from None


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(read_bounded(path, "certificate"))
    except ValueError:
        raise BadProfile(f"expected a PEM certificate at {path}") from None


def _key(path: Path) -> PrivateKey:
    try:
        key = load_pem_private_key(read_private(path, "private key"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadProfile(f"expected an unencrypted PEM private key at {path}") from None
    return _supported(key, path)


def _of_pkcs12(path: Path, msp: str, passphrase: bytes | None) -> X509Identity:
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(read_private(path, "PKCS#12 file"), passphrase)
    except (ValueError, UnsupportedAlgorithm):
        raise BadProfile(
            f"expected a PKCS#12 file and its passphrase at {path}: set LOOMARK_HYPERLEDGER_PASSPHRASE, or"
            " identity_passphrase_file in the profile"
        ) from None
    if key is None or certificate is None:
        raise BadProfile(f"expected a private key and its certificate in {path}")
    return _identity(msp, certificate, _supported(key, path))


def _supported(key: object, path: Path) -> PrivateKey:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _ORDERS:
        return key
    raise BadProfile(f"expected a key on P-256, P-384 or Ed25519 at {path}, got another kind")


def _identity(msp: str, certificate: x509.Certificate, key: PrivateKey) -> X509Identity:
    return X509Identity(msp, certificate.public_bytes(Encoding.PEM), certificate.not_valid_after_utc, key)
