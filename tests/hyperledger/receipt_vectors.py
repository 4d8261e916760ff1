"""The vectors of docs/spec/hyperledger-receipt.md: `python -m tests.hyperledger.receipt_vectors` writes them again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ledger.hyperledger.identity import low_s
from ledger.hyperledger.receipt import UnverifiedReceipt
from tests.hyperledger.receipts import KEY, MSPS, VKEY, Endorser, Read, namespace

FILE = (
    Path(__file__).resolve().parent.parent.parent / "docs" / "spec" / "vectors" / "hyperledger-receipt.json"
)
ASKED_S = 1_800_000_000
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# RFC 6979: the same key signs the same message by the same bytes.
ECDSA = ec.ECDSA(SHA256(), deterministic_signing=True)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def _certificate(msp: str, unit: str, key: Key, by: Key, end: datetime = END) -> bytes:
    """A certificate by an organisation's authority; the authority's own where both keys are one."""
    names = [(f"ca.{msp}", "ca"), (f"{unit}.{msp}", unit)]
    issuer, subject = (
        x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, ou),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        for name, ou in (names[0], names[0] if unit == "ca" else names[1])
    )
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(START)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(unit == "ca", None), critical=True)
    )
    return built.sign(by, SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM)


def _p256(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def _authority(number: int) -> ec.EllipticCurvePrivateKey:
    return _p256(1_000 + number)


def _endorser(
    number: int, key: Key, unit: str = "peer", *, by: int | None = None, end: datetime = END
) -> Endorser:
    issuer = number if by is None else by
    certificate = _certificate(MSPS[issuer], unit, key, _authority(issuer), end)

    def sign(message: bytes) -> bytes:
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(message)
        return low_s(key.sign(message, ECDSA), key.curve.name)

    return Endorser(MSPS[number], certificate, sign)


def _peers() -> tuple[Endorser, ...]:
    p384 = ec.derive_private_key(8, ec.SECP384R1())
    return (
        _endorser(0, _p256(7)),
        _endorser(1, p384),
        _endorser(2, ed25519.Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)),
    )


def _roots() -> str:
    pinned = [
        f"{msp} = '''\n{_certificate(msp, 'ca', _authority(number), _authority(number)).decode()}'''\n"
        for number, msp in enumerate(MSPS)
    ]
    return f'channel = "loomark"\nchaincode = "loomark"\nquorum = 2\n\n[organisations]\n{"".join(pinned)}'


def _high_s(peer: Endorser) -> Endorser:
    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(peer.sign(message))
        return encode_dss_signature(r, P256_ORDER - s)

    return replace(peer, sign=sign)


def _moved(receipt: UnverifiedReceipt) -> UnverifiedReceipt:
    cut = receipt.signature_header[:4]
    return replace(
        receipt, channel_header=receipt.channel_header + cut, signature_header=receipt.signature_header[4:]
    )


def _refused() -> dict[str, tuple[str, dict[str, Any]]]:
    """By name, the place at fault and what is changed in a receipt by two peers."""
    one, two, _ = _peers()

    def by(first: Endorser) -> tuple[str, dict[str, Any]]:
        return "/endorsements/0", {"endorsers": (first, two)}

    return {
        "another channel": ("/channelHeader", {"channel": "other"}),
        "another function": ("/channelHeader", {"args": (b"checkpoints:latest", b"log.example")}),
        "bytes moved from one part to the next": ("/channelHeader", {"edit": _moved}),
        "another key read": ("/response", {"namespaces": [namespace(keys=[KEY + "0"])]}),
        "no version read": ("/response", {"namespaces": [namespace(version=None)]}),
        "one organisation of two": ("/endorsements", {"endorsers": (one,)}),
        "one organisation twice": ("/endorsements/1", {"endorsers": (one, one)}),
        "a client's certificate": by(_endorser(0, _p256(7), "client")),
        "a certificate of another's authority": by(_endorser(0, _p256(7), by=2)),
        "an expired certificate": by(_endorser(0, _p256(7), end=datetime(2026, 6, 1, tzinfo=UTC))),
        "high s": by(_high_s(one)),
    }


def vectors() -> dict[str, Any]:
    """All vectors as a JSON value."""
    peers = _peers()
    made = {
        "three organisations, keys on P-256, P-384 and Ed25519": peers,
        "two organisations": peers[:2],
    }
    return {
        "roots": _roots(),
        "logs": [VKEY.text()],
        "receipts": [
            {
                "name": name,
                "organisations": [each.msp for each in endorsers],
                "block": 7,
                "transaction": 3,
                "receipt": json.loads(Read(endorsers, at_s=ASKED_S).data()),
            }
            for name, endorsers in made.items()
        ],
        "refused": [
            {
                "name": name,
                "place": place,
                "receipt": json.loads(replace(Read(peers[:2], at_s=ASKED_S), **changed).data()),
            }
            for name, (place, changed) in _refused().items()
        ],
    }


def file_bytes() -> bytes:
    """The bytes of the file."""
    return json.dumps(vectors(), indent=1, ensure_ascii=False).encode() + b"\n"


if __name__ == "__main__":
    FILE.write_bytes(file_bytes())
