"""Certificate authorities of organisations, and the folders and files that their members get."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Credentials:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Authority:
    """One organisation's authority for identities, or for TLS."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        self.root = self._signed(name, "ca", self._key, (now, now + timedelta(days=30)), True, ())

    @property
    def pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def issue(
        self, name: str, unit: str, key: Key | None = None, *, days: float = 7, hosts: Sequence[str] = ()
    ) -> Credentials:
        """A certificate with organisational unit ``unit``, the NodeOU; expired where ``days`` is negative."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        between = (now - timedelta(days=30), now + timedelta(days=days))
        return Credentials(self._signed(name, unit, key, between, False, hosts), key)

    def has_signed(self, certificate: x509.Certificate) -> bool:
        try:
            certificate.verify_directly_issued_by(self.root)
        except Exception:
            return False
        return True

    def _signed(
        self,
        name: str,
        unit: str,
        key: Key,
        between: tuple[datetime, datetime],
        is_authority: bool,
        hosts: Sequence[str],
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name, unit))
            .issuer_name(_name(self.name, "ca"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(between[0])
            .not_valid_after(between[1])
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([*map(_host, hosts)]), critical=False)
        return builder.sign(self._key, SHA256())


def write_msp(folder: Path, authority: Authority, credentials: Credentials) -> Path:
    """An MSP folder of a member."""
    for name in ("signcerts", "keystore", "cacerts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "cacerts" / "ca.pem").write_bytes(authority.pem)
    (folder / "signcerts" / "cert.pem").write_bytes(credentials.pem)
    write_private(folder / "keystore" / "priv_sk", credentials.key_pem)
    return folder


def write_pkcs12(path: Path, credentials: Credentials, passphrase: bytes) -> Path:
    """A PKCS#12 file of a member."""
    data = pkcs12.serialize_key_and_certificates(
        b"member", credentials.key, credentials.certificate, None, BestAvailableEncryption(passphrase)
    )
    return write_private(path, data)


def write_private(path: Path, data: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path


def _name(name: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
