"""API keys: shown once when issued, stored as SHA-256 only.

A key is `lm_` and 43 characters of base64url, 256 random bits, so a plain hash is enough: there is nothing to
guess, and a look-up by hash takes no longer for a near miss. Randomness comes from the caller.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from ledger.errors import InvalidInput

from .schema import credential

KEY_SIZE_BYTES: Final = 32
_PREFIX: Final = "lm_"
OPERATOR: Final = "operator"
MEMBER: Final = "member"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who an API key speaks for; `role` is operator or member."""

    credential: int
    member: str
    role: str


def new_key(random: bytes) -> str:
    """The text of an API key from 32 random bytes."""
    if len(random) != KEY_SIZE_BYTES:
        raise InvalidInput(f"expected {KEY_SIZE_BYTES} random bytes, got {len(random)}", rule="bad-api-key")
    return _PREFIX + urlsafe_b64encode(random).decode().rstrip("=")


def is_strong(key: str) -> bool:
    """Whether a key somebody chose is long enough to be stored as a plain hash."""
    return len(key) >= 32 and len(set(key)) >= 12 and key.isascii() and key.isprintable()


def issue(connection: Connection, member: str, role: str, key: str, now_ms: int) -> int:
    """Store the hash of a key; gives its row. The same key again for the same member changes nothing."""
    found = find(connection, key)
    if found is not None:
        if (found.member, found.role) != (member, role):
            raise InvalidInput("expected a key of nobody else's", rule="bad-api-key")
        return found.credential
    result = connection.execute(
        credential.insert().values(member=member, role=role, hash=_hash(key), created_at=now_ms)
    )
    row = result.inserted_primary_key
    return int(row[0]) if row is not None else 0


def find(connection: Connection, key: str) -> Principal | None:
    """Who a key speaks for, or None when it is unknown or revoked."""
    query = select(credential).where(credential.c.hash == _hash(key), credential.c.revoked_at.is_(None))
    row = connection.execute(query).one_or_none()
    return None if row is None else Principal(row.id, row.member, row.role)


def find_row(connection: Connection, row: int) -> Principal | None:
    """Who a credential's row speaks for, or None when it is unknown or revoked."""
    query = select(credential).where(credential.c.id == row, credential.c.revoked_at.is_(None))
    found = connection.execute(query).one_or_none()
    return None if found is None else Principal(found.id, found.member, found.role)


def has_operator(connection: Connection) -> bool:
    """Whether a valid key of the operator exists."""
    query = select(credential.c.id).where(credential.c.role == OPERATOR, credential.c.revoked_at.is_(None))
    return connection.execute(query.limit(1)).first() is not None


def revoke(connection: Connection, member: str, now_ms: int) -> int:
    """Revoke all keys of a member; gives how many."""
    change = update(credential).where(credential.c.member == member, credential.c.revoked_at.is_(None))
    return connection.execute(change.values(revoked_at=now_ms)).rowcount


def _hash(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
