"""Capture commitments: one hash over all records of a submission (``loomark/capture/v1``).

The record commitments are the leaf hashes as they are: the header record at position 0, then the
master-data records, then the events, each in document order.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from . import merkle
from .errors import InvalidInput, TooLarge

CAPTURE_SALT_SIZE_BYTES = 32
MAX_RECORDS = 65_535


def capture_commitment(salt: bytes, record_commitments: Sequence[bytes]) -> bytes:
    """The 32-byte commitment to a capture under a 32-byte capture salt.

    Raises :class:`InvalidInput` for no record or a salt of another size, :class:`TooLarge` beyond 65,535.
    """
    _check_count(len(record_commitments))
    return commitment_of_root(salt, len(record_commitments), merkle.root(record_commitments))


def commitment_of_root(salt: bytes, count: int, root: bytes) -> bytes:
    """The capture commitment from the number of records and their Merkle root."""
    if len(salt) != CAPTURE_SALT_SIZE_BYTES:
        raise InvalidInput(f"expected a capture salt of 32 bytes, got {len(salt)}", rule="bad-salt")
    return sha256(b'\x00["loomark/capture/v1","%b",%d,"%b"]' % (_hex(salt), count, _hex(root))).digest()


def capture_path(record_commitments: Sequence[bytes], position: int) -> list[bytes]:
    """The path that proves the record at ``position``, the header record being position 0."""
    _check_count(len(record_commitments))
    return merkle.inclusion_path(record_commitments, position)


def root_of_position(record: bytes, position: int, count: int, path: Sequence[bytes]) -> bytes:
    """The Merkle root that the path of a record commitment leads to.

    Raises :class:`InvalidInput` (rule ``merkle-inclusion``) when the path has not the length that
    ``position`` and ``count`` ask for.
    """
    return merkle.root_of_path(position, count, record, path)


def verify_position(
    commitment: bytes, salt: bytes, record: bytes, position: int, count: int, path: Sequence[bytes]
) -> None:
    """Check that a record commitment lies at ``position`` of a capture of ``count`` records.

    Raises :class:`InvalidInput` with rule ``capture-position``.
    """
    _check_count(count)
    if commitment_of_root(salt, count, root_of_position(record, position, count, path)) != commitment:
        raise InvalidInput(
            f"expected record {position} of the capture, got one that is not in its commitment",
            rule="capture-position",
        )


def _check_count(count: int) -> None:
    if count < 1:
        raise InvalidInput("expected one record or more in a capture, got none", rule="empty-capture")
    if count > MAX_RECORDS:
        raise TooLarge(
            f"expected at most {MAX_RECORDS} records in a capture, got {count}", rule="too-many-records"
        )


def _hex(raw: bytes) -> bytes:
    return raw.hex().encode()
