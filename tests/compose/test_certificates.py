"""Certificates and lists of revoked ones are signed by the organisation's authority, as a verifier checks them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from compose.network.certificates import Authority, subject, write_identity, write_server
from ledger.hyperledger.identity import load_identity

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority as cryptogen leaves it in a folder."""
    key, name = ec.generate_private_key(ec.SECP256R1()), subject("ca.org1.example")
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(NOW - timedelta(days=3)).not_valid_after(NOW + timedelta(days=4000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path / "ca"
    folder.mkdir()
    (folder / "ca.org1.example-cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "priv_sk").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Authority(folder)


def test_an_expired_client_is_signed_by_the_authority_with_its_role(authority: Authority) -> None:
    pem, _ = authority.issue(subject("Expired", "client"), NOW - timedelta(days=2), NOW - timedelta(days=1))
    issued = x509.load_pem_x509_certificate(pem)
    issued.verify_directly_issued_by(authority.certificate)
    assert issued.not_valid_after_utc == NOW - timedelta(days=1)
    [unit] = issued.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert unit.value == "client"


def test_an_identity_is_written_as_a_client_reads_it(authority: Authority, tmp_path: Path) -> None:
    like, made = tmp_path / "like", tmp_path / "made"
    for name in ("cacerts", "tlscacerts"):
        (like / name).mkdir(parents=True)
        (like / name / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    (like / "config.yaml").write_text("NodeOUs:\n  Enable: true\n")
    write_identity(made, like, *authority.issue(subject("User", "client"), NOW, NOW + timedelta(days=1)))
    assert load_identity(made, "Org1MSP", None).msp == "Org1MSP"
    assert (made / "keystore" / "priv_sk").stat().st_mode & 0o777 == 0o600
    assert (made / "config.yaml").read_text() == (like / "config.yaml").read_text()


def test_a_servers_certificate_names_its_host_and_loopback(authority: Authority, tmp_path: Path) -> None:
    write_server(tmp_path / "tls", authority, "chaincode.org1.example", NOW)
    issued = x509.load_pem_x509_certificate((tmp_path / "tls" / "server.crt").read_bytes())
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chaincode.org1.example", "localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert (tmp_path / "tls" / "server.key").stat().st_mode & 0o777 == 0o600


def test_a_list_revokes_exactly_one_certificate(authority: Authority) -> None:
    revoked, other = (
        x509.load_pem_x509_certificate(authority.issue(subject(name), NOW, NOW + timedelta(days=1))[0])
        for name in "ab"
    )
    listed = x509.load_pem_x509_crl(authority.revoke(revoked, NOW))
    key = authority.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert listed.is_signature_valid(key)
    assert listed.issuer == authority.certificate.subject
    assert listed.get_revoked_certificate_by_serial_number(revoked.serial_number) is not None
    assert listed.get_revoked_certificate_by_serial_number(other.serial_number) is None
