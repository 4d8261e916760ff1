"""What a verifier pins of a channel: its name, its chaincode, and who issues certificates in each organisation's name.

::

    channel = "loomark"
    chaincode = "loomark"
    quorum = 2

    [organisations]
    Org1MSP = '''
    -----BEGIN CERTIFICATE-----
    ...
    '''

An organisation's text holds the certificates of the authorities that issue those of its peers: of an MSP folder those in
``cacerts`` and ``intermediatecerts``. Nothing that comes with the evidence is ever an issuer.
"""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from .. import shape
from ..errors import InvalidInput, TooLarge
from .identity import is_low_s

MAX_ROOTS_BYTES: Final = 1_048_576
MAX_ORGANISATIONS: Final = 256
MAX_ISSUERS: Final = 16

# NodeOUs: the organisational units that give a certificate its role; it must have exactly one of them.
PEER: Final = "peer"
ROLES: Final = frozenset({"admin", "client", "orderer", PEER})
_MEMBERS: Final = frozenset({"channel", "chaincode", "quorum", "organisations"})
_CHANNEL: Final = re.compile(r"[a-z][a-z0-9.-]{0,248}\Z")
_CHAINCODE: Final = re.compile(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*\Z")
_MSP: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURVES: Final = frozenset({"secp256r1", "secp384r1"})

_UNREADABLE: Final = (
    *(ValueError, TypeError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)

_Given = TypeVar("_Given")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class ChannelRoots:
    """A pinned channel: ``issuers`` by MSP id, and how many of these organisations have to say the same.

    Raises :class:`InvalidInput` for names that Hyperledger Fabric does not allow, and a quorum that cannot be.
    """

    channel: str
    chaincode: str
    quorum: int
    issuers: Mapping[str, tuple[x509.Certificate, ...]]

    def __post_init__(self) -> None:
        _named(self.channel, "channel", _CHANNEL)
        _named(self.chaincode, "chaincode", _CHAINCODE)
        for msp in self.issuers:
            _named(msp, "organisations", _MSP)
        shape.count(self.quorum, "quorum", 1, len(self.issuers))

    def check_peer(self, msp: str, certificate: bytes, at_ms: int) -> x509.Certificate:
        """The certificate (PEM) of a peer of one of these organisations, in force at a time (ms since 1970).

        Raises :class:`InvalidInput`, rule ``bad-certificate``, ``unknown-issuer``, ``not-a-peer`` or ``expired``.
        """
        found = _certificates(certificate, "the endorser's certificate", 1)[0]
        if not any(_issued(found, issuer) for issuer in self.issuers[msp]):
            raise InvalidInput(
                f"expected a certificate issued by a pinned authority of {msp}, got another",
                rule="unknown-issuer",
            )
        # An authority signs what it issues with the key of its own certificate, which is nobody's identity.
        if _read(_is_authority, found) or _read(_units, found) & ROLES != {PEER}:
            raise InvalidInput(
                f"expected a certificate of {msp} for a peer, got one for something else", rule="not-a-peer"
            )
        start, end = _read(_validity, found)
        if not start <= _EPOCH + timedelta(milliseconds=at_ms) <= end:
            raise InvalidInput(
                f"expected a certificate of {msp} in force at {shape.time_text(at_ms)}, got another",
                rule="expired",
            )
        return found


def parse_roots(text: str) -> ChannelRoots:
    """The pinned channel of a TOML text; raises :class:`InvalidInput` with rule ``bad-roots``, naming the key."""
    if len(text) > MAX_ROOTS_BYTES:
        raise TooLarge(f"expected pinned roots of at most {MAX_ROOTS_BYTES} characters")
    try:
        table = shape.members(tomllib.loads(text), "roots", _MEMBERS)
        listed = table["organisations"]
        if type(listed) is not dict or not 1 <= len(listed) <= MAX_ORGANISATIONS:
            raise InvalidInput(f"organisations: expected 1 to {MAX_ORGANISATIONS} of them")
        issuers = {
            name: issuers_of(name, shape.text(pem, name, MAX_ROOTS_BYTES).encode())
            for name, pem in listed.items()
        }
        return ChannelRoots(table["channel"], table["chaincode"], table["quorum"], issuers)
    except (ValueError, RecursionError) as error:
        # Beside the parser's own error, a number with too many digits.
        raise InvalidInput(f"expected pinned roots in TOML: {error}", rule="bad-roots") from None
    except InvalidInput as error:
        raise InvalidInput(f"pinned roots: {error.message}", rule="bad-roots") from None


def roots_text(roots: ChannelRoots) -> str:
    """The TOML text of a pinned channel, which parses to the same."""
    lines = [f'channel = "{roots.channel}"', f'chaincode = "{roots.chaincode}"', f"quorum = {roots.quorum}"]
    lines += ["", "[organisations]"]
    for msp, issuers in sorted(roots.issuers.items()):
        pem = "".join([each.public_bytes(Encoding.PEM).decode("ascii") for each in issuers])
        lines.append(f"\"{msp}\" = '''\n{pem}'''")
    return "\n".join(lines) + "\n"


def issuers_of(msp: str, pem: bytes) -> tuple[x509.Certificate, ...]:
    """An organisation's authorities in a PEM text; raises :class:`InvalidInput` where one may not issue certificates."""
    found = _certificates(pem, msp, MAX_ISSUERS)
    if not all(_read(_may_issue, each) for each in found):
        raise InvalidInput(f"{msp}: expected certificates of authorities, got one of somebody else")
    return found


def signature_holds(certificate: x509.Certificate, message: bytes, signature: bytes) -> bool:
    """Whether a peer's signature is one that peers accept: Ed25519, or ECDSA over SHA-256 in DER with low s."""
    key = _read(x509.Certificate.public_key, certificate)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
            return True
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
            key.verify(signature, message, ec.ECDSA(SHA256()))
            return is_low_s(signature, key.curve.name)
    except InvalidSignature:
        return False
    raise InvalidInput("expected a key on P-256, P-384 or Ed25519, got another kind", rule="bad-certificate")


def public_key_bytes(certificate: x509.Certificate) -> bytes:
    """The public key of a certificate that was read, in its one spelling (DER, SubjectPublicKeyInfo)."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _named(value: object, where: str, pattern: re.Pattern[str]) -> None:
    if not pattern.match(shape.text(value, where, 255)):
        raise InvalidInput(f"{where}: expected a name that Hyperledger Fabric allows, got another")


def _certificates(pem: bytes, what: str, most: int) -> tuple[x509.Certificate, ...]:
    found = _read(x509.load_pem_x509_certificates, pem)
    if not 1 <= len(found) <= most:
        raise InvalidInput(
            f"{what}: expected 1 to {most} certificates, got {len(found)}", rule="bad-certificate"
        )
    return tuple(found)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return _is_authority(certificate)
    return usage.key_cert_sign and _is_authority(certificate)


def _validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _units(certificate: x509.Certificate) -> frozenset[str]:
    named = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return frozenset([unit.value for unit in named if isinstance(unit.value, str)])


def _read(of: Callable[[_Given], _Value], given: _Given) -> _Value:
    """What the library reads of a certificate, lazily and in its own errors."""
    try:
        # Odd serial numbers and the like are a warning of the library's; who issued it is decided above.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return of(given)
    except _UNREADABLE:
        raise InvalidInput(
            "expected an X.509 certificate in PEM, got other bytes", rule="bad-certificate"
        ) from None
