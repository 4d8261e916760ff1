"""A log's first entry, and the operator's API key: what the first start of a node makes, and a later one finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Engine, select
from sqlalchemy.engine import Connection

from fabric.store import credentials
from fabric.store.migrate import mark_projections
from ledger.ed25519 import key_id, possession_line
from ledger.errors import InvalidInput
from ledger.log.database import create_log, read_head
from ledger.log.lock import STORING, take_turns
from ledger.log.schema import statement
from ledger.log.stage import stage
from ledger.merkle import EMPTY_ROOT
from ledger.note import ED25519, VerifierKey
from ledger.shape import time_text
from ledger.statement import DEFAULT_SIGNATURES, Statement, payload_bytes, sign_statement

from .indexing import VERSIONS
from .intake import Clock
from .keyring import LOG, OPERATOR, Keyring
from .prepare import Draw
from .settings import NodeSettings

OPERATOR_MEMBER: Final = "operator"
_EMPTY_SEEN: Final = (0, EMPTY_ROOT)


def found(settings: NodeSettings, engine: Engine, keyring: Keyring, clock: Clock, draw: Draw) -> str | None:
    """Genesis, in one transaction, where there is none; the operator's API key; gives that key the first time."""
    with engine.begin() as connection:
        take_turns(connection, STORING)
        create_log(connection, settings.origin)
        # Died after this transaction: the charter is staged, and the same id is not drawn again.
        if read_head(connection).size == 0 and not _holds_statements(connection):
            envelope = charter_envelope(settings, keyring, draw(16).hex(), clock())
            stage(connection, envelope, origin=settings.origin, now_ms=clock())
            mark_projections(connection, VERSIONS)
        return _operator_credential(connection, settings.operator_key, clock, draw)


def _holds_statements(connection: Connection) -> bool:
    return connection.execute(select(statement.c.id).limit(1)).first() is not None


def _operator_credential(connection: Connection, chosen: str | None, clock: Clock, draw: Draw) -> str | None:
    """Let the operator in by the key that was chosen, or else by a new one; gives it where there was none before."""
    is_first = not credentials.has_operator(connection)
    if chosen is None and not is_first:
        return None
    if chosen is not None and not credentials.is_strong(chosen):
        raise InvalidInput(
            "expected an operator key of 32 or more different characters; leave it out to get one",
            rule="weak-operator-key",
        )
    key = credentials.new_key(draw(credentials.KEY_SIZE_BYTES)) if chosen is None else chosen
    credentials.issue(connection, OPERATOR_MEMBER, credentials.OPERATOR, key, clock())
    return key if is_first else None


def vkey_of(origin: str, keyring: Keyring) -> str:
    """The log's C2SP verifier key line."""
    return VerifierKey(origin, ED25519, keyring.named(LOG).public_bytes).text()


def charter_envelope(settings: NodeSettings, keyring: Keyring, statement_id: str, time_ms: int) -> bytes:
    """Entry 0: the log's key, the operator's key, and which signatures each kind of statement needs."""
    key = keyring.named(OPERATOR)
    body: Mapping[str, Any] = {
        "name": settings.operator_name,
        "vkey": vkey_of(settings.origin, keyring),
        "operatorKeys": [possession_line(key)],
        "signatures": {kind: [list(one) for one in rules] for kind, rules in DEFAULT_SIGNATURES.items()},
        "bundles": "members",
    }
    charter = Statement(
        "charter",
        settings.origin,
        OPERATOR_MEMBER,
        key_id(key.public_bytes),
        statement_id,
        time_text(time_ms),
        _EMPTY_SEEN,
        body,
    )
    return sign_statement(payload_bytes(charter), [key])
