"""The role that a certificate gives its holder in a Hyperledger Fabric MSP with NodeOUs.

The peer has already checked the chain of the certificate up to its MSP's roots. Here only the subject is read: with
NodeOUs an MSP admits a certificate as an administrator's by the organisational unit ``admin``, and no certificate has two roles.

A peer reads the first PEM block of a creator, whatever its label and whatever follows. A reader that looks for a certificate
would pass over a client's block of another label and find an administrator's after it, whose key nobody showed: so there is
one block, of one spelling, or the creator is refused.
"""

from __future__ import annotations

import re
import warnings

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from ledger.errors import Forbidden, InvalidInput

ROLES = frozenset({"admin", "client", "orderer", "peer"})
_ONE_BLOCK = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----(?:\r?\n)*\Z"
)


def require_admin(pem: bytes) -> None:
    """Raise :class:`Forbidden` (rule ``not-admin``) unless the certificate's only role is ``admin``.

    Raises :class:`InvalidInput` (rule ``bad-creator``) for bytes that are no certificate.
    """
    if _units(pem) & ROLES != {"admin"}:
        raise Forbidden(
            "expected a certificate of the organisational unit admin, got another", rule="not-admin"
        )


def _units(pem: bytes) -> frozenset[str]:
    if not _ONE_BLOCK.match(pem):
        raise InvalidInput(
            "expected one certificate of the creator in PEM, got other bytes", rule="bad-creator"
        )
    try:
        # Odd serial numbers and the like are a warning of the library's, and the peer's to refuse.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            subject = x509.load_pem_x509_certificate(pem).subject
            named = subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise InvalidInput(
            "expected a certificate of the creator, got other bytes", rule="bad-creator"
        ) from None
    return frozenset([unit.value for unit in named if isinstance(unit.value, str)])
