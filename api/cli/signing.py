"""Statements and captures signed on the member's own machine, with the member's own key."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from ledger.canonical import JSON
from ledger.ed25519 import Signer, key_id
from ledger.shape import time_text
from ledger.statement import Statement, payload_bytes, sign_statement

from .seen import Pinned


def now_text() -> str:
    """This machine's clock as the formats write it."""
    return time_text(int(datetime.now(UTC).timestamp() * 1000))


def signed_statement(pinned: Pinned, kind: str, member: str, key: Signer, body: Mapping[str, JSON]) -> bytes:
    """The envelope of one statement, to post to `/api/statements`."""
    statement = Statement(
        kind,
        pinned.origin,
        member,
        key_id(key.public_bytes),
        secrets.token_hex(16),
        now_text(),
        (pinned.size, pinned.root),
        body,
    )
    return sign_statement(payload_bytes(statement), [key])
