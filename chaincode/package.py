"""What is installed on a peer: a package that says where the chaincode listens, and nothing of its code.

The bytes are made from the arguments alone, so that every organisation makes the same file for the same label and
connection, and knows its id, ``label:hex SHA-256 of the file``, before a peer does. The archives are not compressed by a
library's choice: gzip's stored blocks are the same bytes everywhere.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from ledger.canonical import JSON, canonical
from ledger.errors import InvalidInput

from .address import require_address

# Hyperledger Fabric's own rule for labels.
_LABEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]{0,127}\Z")
_GZIP_HEADER = bytes.fromhex("1f8b08000000000000ff")
_MAX_STORED_BYTES = 65_535


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How the peer connects by TLS, as PEM text: the roots of the chaincode server, and the peer's own certificate.

    A peer's key for its client certificate lies readable in the package: whoever has the file has the key.
    """

    roots: str
    key: str | None = None
    certificate: str | None = None


def ccaas_package(
    label: str, address: str, *, dial_timeout: str = "10s", tls: ClientTls | None = None
) -> bytes:
    """The package of a chaincode-as-a-service that listens on ``address`` (``host:port``), a ``.tar.gz``.

    Raises :class:`InvalidInput` for a label (rule ``bad-package``) or address (``bad-address``) of another form.
    """
    if not _LABEL.match(label):
        raise InvalidInput(
            "expected a label of letters, digits and _.+-, the first a letter or digit", rule="bad-package"
        )
    connection = _connection(require_address(address), dial_timeout, tls)
    code = _packed({"connection.json": canonical(connection)})
    return _packed({"metadata.json": canonical({"label": label, "type": "ccaas"}), "code.tar.gz": code})


def package_id(label: str, package: bytes) -> str:
    """The id under which a peer knows an installed package."""
    return f"{label}:{sha256(package).hexdigest()}"


def _connection(address: str, dial_timeout: str, tls: ClientTls | None) -> JSON:
    connection = {"address": address, "dial_timeout": dial_timeout, "tls_required": tls is not None}
    if tls is None:
        return connection
    connection |= {"client_auth_required": tls.key is not None, "root_cert": tls.roots}
    if tls.key is not None:
        connection |= {"client_key": tls.key, "client_cert": tls.certificate}
    return connection


def _packed(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return _gzipped(archive.getvalue())


def _gzipped(data: bytes) -> bytes:
    """The gzip file (RFC 1952, RFC 1951 section 3.2.4) of stored blocks, without name and time."""
    parts = [data[at : at + _MAX_STORED_BYTES] for at in range(0, len(data), _MAX_STORED_BYTES)]
    blocks = [_stored_block(part, is_last=at == len(parts)) for at, part in enumerate(parts, 1)]
    checks = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return _GZIP_HEADER + b"".join(blocks) + checks


def _stored_block(part: bytes, is_last: bool) -> bytes:
    length = len(part)
    return bytes([is_last]) + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + part
