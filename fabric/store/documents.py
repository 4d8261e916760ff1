"""Submitted bytes, kept as they came: one row a member and digest."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.engine import Connection

from ledger.errors import Erased

from .schema import document

ZLIB_LEVEL: Final = 1
"""Level 1 takes three quarters off an EPCIS document at a tenth of the cost of level 6."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What somebody submitted, byte for byte. `received_ms` is milliseconds since 1970 by this node's clock."""

    member: str
    sha256: bytes
    media_type: str
    body: bytes
    received_ms: int


def pack(body: bytes) -> bytes:
    """Submitted bytes as they are stored."""
    return zlib.compress(body, ZLIB_LEVEL)


def find(connection: Connection, member: str, sha256: bytes) -> int | None:
    """The row of a member's document, or None."""
    query = select(document.c.id).where(document.c.member == member, document.c.sha256 == sha256)
    found = connection.execute(query).scalar()
    return None if found is None else int(found)


def store(
    connection: Connection, member: str, sha256: bytes, media_type: str, size: int, packed: bytes, now_ms: int
) -> int:
    """Keep a document that `find` did not find; gives its row."""
    values = {"member": member, "sha256": sha256, "media_type": media_type, "size": size, "body": packed}
    result = connection.execute(document.insert().values(received_at=now_ms, **values))
    key = result.inserted_primary_key
    return int(key[0]) if key is not None else 0


def load(connection: Connection, row: int) -> StoredDocument:
    """A document by its row. Raises Erased when its bytes were dropped because a record of it was erased."""
    found = connection.execute(select(document).where(document.c.id == row)).one()
    if not found.body:
        raise Erased(
            "the submitted bytes were dropped when a record in them was erased; their digest is kept"
        )
    return StoredDocument(
        found.member, found.sha256, found.media_type, zlib.decompress(found.body), found.received_at
    )
