"""Certificates that cryptogen does not make: for a chaincode's server, expired ones, and lists of revoked ones.

Each is signed by the authority that cryptogen made for the organisation, whose key lies beside its certificate.
"""

from __future__ import annotations

import ipaddress
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """An organisation's certificate authority, from the folder with its certificate and ``priv_sk``."""

    def __init__(self, folder: Path) -> None:
        [certificate] = folder.glob("*-cert.pem")
        self.certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
        key = load_pem_private_key((folder / "priv_sk").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"expected an EC key in {folder}")
        self._key = key

    def issue(
        self, name: x509.Name, start: datetime, end: datetime, *, server: str | None = None
    ) -> tuple[bytes, bytes]:
        """A certificate and its new P-256 key, both PEM. ``server`` is the host of a TLS server, reached on loopback too."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(server=server is not None), critical=True)
            .add_extension(self._authority_key(), critical=False)
        )
        for extension in _server_extensions(server) if server else ():
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate.public_bytes(Encoding.PEM), pem

    def revoke(self, certificate: x509.Certificate, now: datetime) -> bytes:
        """A list, PEM, that revokes one certificate from ``now`` on."""
        revoked = (
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(now)
            .build()
        )
        listed = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now)
            .next_update(now + timedelta(days=3650))
            .add_extension(self._authority_key(), critical=False)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_revoked_certificate(revoked)
            .sign(self._key, hashes.SHA256())
        )
        return listed.public_bytes(Encoding.PEM)

    def _authority_key(self) -> x509.AuthorityKeyIdentifier:
        named = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named.value)


def _usage(*, server: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=server,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _server_extensions(host: str) -> tuple[x509.ExtensionType, ...]:
    addresses = [
        x509.DNSName(host),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    return (
        x509.SubjectAlternativeName(addresses),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
    )


def subject(common_name: str, unit: str | None = None) -> x509.Name:
    """A subject whose organisational unit is the role that NodeOUs give it."""
    units = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)] if unit else []
    return x509.Name([*units, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def write_server(folder: Path, authority: Authority, host: str, now: datetime) -> None:
    """``server.crt`` and ``server.key`` (owner only) of a TLS server, valid for ten years."""
    certificate, key = authority.issue(
        subject(host), now - timedelta(hours=1), now + timedelta(days=3650), server=host
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.crt").write_bytes(certificate)
    _write_key(folder / "server.key", key)


def write_identity(folder: Path, like: Path, certificate: bytes, key: bytes) -> None:
    """An MSP folder with another certificate and key, and the roots of the MSP folder ``like``."""
    folder.mkdir(parents=True)
    for name in ("cacerts", "tlscacerts"):
        shutil.copytree(like / name, folder / name)
    shutil.copy(like / "config.yaml", folder / "config.yaml")
    for name in ("signcerts", "keystore"):
        (folder / name).mkdir()
    (folder / "signcerts" / "cert.pem").write_bytes(certificate)
    _write_key(folder / "keystore" / "priv_sk", key)


def _write_key(path: Path, key: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key)
