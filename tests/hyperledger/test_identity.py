"""Identities from MSP folders and PKCS#12: what they sign, and what is refused without showing a key."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from ledger.hyperledger.errors import BadProfile
from ledger.hyperledger.gateway import open_channel
from ledger.hyperledger.identity import is_low_s, load_identity, low_s
from tests.hyperledger.consortium import ONE
from tests.hyperledger.double.authority import (
    Authority,
    Credentials,
    Key,
    write_msp,
    write_pkcs12,
    write_private,
)
from tests.hyperledger.double.checks import HALF_ORDERS, Member
from tests.hyperledger.double.network import DoubleNetwork

AUTHORITY = Authority("ca.example")
KEYS: dict[str, Key] = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
MSP = "Org1MSP"


def _folder(path: Path, key: Key | None = None) -> Path:
    return write_msp(path / "msp", AUTHORITY, AUTHORITY.issue("user", "client", key))


@pytest.mark.parametrize("kind", KEYS)
def test_an_identity_of_a_folder_signs_as_peers_check(tmp_path: Path, kind: str) -> None:
    identity = load_identity(_folder(tmp_path, KEYS[kind]), MSP)
    certificate = AUTHORITY.issue("user", "client", KEYS[kind]).certificate
    for number in range(20):
        message = b"%d" % number
        assert Member(MSP, certificate).has_signed(message, identity.sign(message))
        assert not Member(MSP, certificate).has_signed(message + b"!", identity.sign(message))
    assert identity.certificate.startswith(b"-----BEGIN CERTIFICATE-----")
    assert identity.msp == MSP
    assert "PrivateKey" not in repr(identity)


@pytest.mark.parametrize("kind", KEYS)
def test_peers_serve_an_identity_of_each_kind(tmp_path: Path, kind: str) -> None:
    network = DoubleNetwork(tmp_path / "double")
    network.enrol(ONE, "other", network.members[ONE].authority.issue("other", "client", KEYS[kind]))
    channel = open_channel(network.profile(ONE, "other"))
    assert channel.organisations() == []
    channel.close()
    network.close()


@pytest.mark.parametrize("kind", KEYS)
def test_a_pkcs12_file_is_the_same_identity(tmp_path: Path, kind: str) -> None:
    credentials = AUTHORITY.issue("user", "client", KEYS[kind])
    path = write_pkcs12(tmp_path / "user.p12", credentials, b"a passphrase")
    identity = load_identity(path, MSP, b"a passphrase")
    assert identity.certificate == credentials.pem
    assert identity.not_after == credentials.certificate.not_valid_after_utc
    assert Member(MSP, credentials.certificate).has_signed(b"m", identity.sign(b"m"))
    for wrong in (b"another", None):
        with pytest.raises(BadProfile, match="PKCS#12 file and its passphrase"):
            load_identity(path, MSP, wrong)


@given(message=st.binary(max_size=40))
def test_every_signature_has_the_smaller_s_and_still_verifies(message: bytes) -> None:
    for name in ("P-256", "P-384"):
        key = KEYS[name]
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        raw = key.sign(message, ec.ECDSA(SHA256()))
        signature = low_s(raw, key.curve.name)
        assert decode_dss_signature(signature)[1] <= HALF_ORDERS[key.curve.name]
        assert is_low_s(signature, key.curve.name)
        assert is_low_s(raw, key.curve.name) is (raw == signature)
        key.public_key().verify(signature, message, ec.ECDSA(SHA256()))


def test_what_is_no_signature_has_no_low_s() -> None:
    for data in (b"", b"\x30\x00", b"\x30\x06\x02\x01\x01\x02\x01\x00", bytes(64)):
        assert not is_low_s(data, "secp256r1")


def test_of_several_keys_the_one_of_the_certificate_signs(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    write_private(folder / "keystore" / "a_sk", AUTHORITY.issue("before", "client").key_pem)
    assert load_identity(folder, MSP).sign(b"m")
    (folder / "keystore" / "priv_sk").unlink()
    with pytest.raises(BadProfile, match="none that fits"):
        load_identity(folder, MSP)


def test_a_key_that_others_may_read_is_refused_with_what_mends_it(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "keystore" / "priv_sk").chmod(0o640)
    with pytest.raises(BadProfile, match=r"got mode 0640; run: chmod 600 .*priv_sk"):
        load_identity(folder, MSP)
    path = write_pkcs12(tmp_path / "user.p12", AUTHORITY.issue("user", "client"), b"p")
    path.chmod(0o644)
    with pytest.raises(BadProfile, match="chmod 600"):
        load_identity(path, MSP, b"p")


def test_folders_that_are_no_msp_are_refused_by_what_is_missing(tmp_path: Path) -> None:
    whole = _folder(tmp_path)
    damages: list[tuple[str, Callable[[Path], object], str]] = [
        ("signcerts", shutil.rmtree, "expected a folder of an MSP at .*signcerts"),
        ("keystore", shutil.rmtree, "expected a folder of an MSP at .*keystore"),
        ("signcerts/cert.pem", Path.unlink, "expected one certificate in .*, got 0"),
        ("signcerts/cert.pem", lambda path: path.write_bytes(b"no"), "expected a PEM certificate"),
        ("signcerts/cert.pem", lambda path: path.write_bytes(b"x" * 70_000), "at most 65536 bytes"),
        ("keystore/priv_sk", lambda path: path.write_bytes(b"secret"), "unencrypted PEM private key"),
        ("keystore/priv_sk", _encrypt, "unencrypted PEM private key"),
        ("keystore/priv_sk", _rsa, "expected a key on P-256, P-384 or Ed25519"),
        ("keystore/priv_sk", _p521, "expected a key on P-256, P-384 or Ed25519"),
    ]
    for place, (part, damage, expected) in enumerate(damages):
        folder = tmp_path / str(place)
        shutil.copytree(whole, folder)
        damage(folder / part)
        with pytest.raises(BadProfile, match=expected) as refused:
            load_identity(folder, MSP)
        assert "secret" not in str(refused.value)
    with pytest.raises(BadProfile, match="PKCS#12"):
        load_identity(tmp_path / "absent", MSP)


def _encrypt(path: Path) -> None:
    key = AUTHORITY.issue("user", "client").key
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"p")))


def _rsa(path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _p521(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    path.write_bytes(Credentials(AUTHORITY.root, key).key_pem)
