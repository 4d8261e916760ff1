"""`same` links at the door: what a member says with its API key and the node signs, or what it signed itself.

The body is stored in the transaction that stages its statement, so no statement is ever without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy.engine import Connection

from fabric.epcis.link import Link, link_of, parse_link
from fabric.store.links import NewLink, insert_link
from ledger import shape
from ledger.canonical import canonical
from ledger.commitment import RECORD_SALT_SIZE_BYTES
from ledger.ed25519 import key_id
from ledger.errors import Forbidden, InvalidInput
from ledger.log.stage import stage
from ledger.shape import time_text
from ledger.statement import (
    Statement,
    UnverifiedEnvelope,
    envelope_of,
    parse_envelope,
    payload_bytes,
    sign_statement,
)

from .intake import LogView
from .keyring import Keyring, require_member
from .prepare import Draw
from .statements import require_author

KIND: Final = "link"
_SIGNED: Final = frozenset({"envelope", "salt", "body"})
_TOLD: Final = frozenset({"same"})
_OPTIONAL: Final = frozenset({"reason", "parties"})


class LinkDraft(NamedTuple):
    """A signed link statement with the body and the salt that its commitment is of."""

    envelope: UnverifiedEnvelope
    link: Link
    salt: bytes


def in_custody(
    value: Mapping[str, Any], member: str, keyring: Keyring, log: LogView, draw: Draw, now_ms: int
) -> LinkDraft:
    """The link that a member tells as `{same, reason?, parties?}`, signed with the key it delegated to this node.

    Raises Forbidden `no-delegation`, InvalidInput.
    """
    told = shape.members(value, KIND, _TOLD, _OPTIONAL)
    link = link_of(told["same"], told.get("reason"))
    parties = _parties(told.get("parties", []), member, log)
    key = keyring.delegated(log.registry, member, now_ms)
    if key is None:
        raise Forbidden(
            f"expected a key of this node that {member} delegated to it, or a link that {member} signed",
            rule="no-delegation",
        )
    salt = draw(RECORD_SALT_SIZE_BYTES)
    statement = Statement(
        KIND,
        log.origin,
        member,
        key_id(key.public_bytes),
        draw(16).hex(),
        time_text(now_ms),
        log.seen,
        {"parties": parties, "commitment": link.commitment(salt).hex()},
    )
    return LinkDraft(parse_envelope(sign_statement(payload_bytes(statement), [key])), link, salt)


def as_signed(value: Mapping[str, Any], member: str) -> LinkDraft:
    """The link of `{envelope, salt, body}`: the poster's own statement, and the body that it commits to.

    Raises Forbidden `wrong-member`, InvalidInput (`wrong-kind`, `wrong-commitment`, and what a body may lack).
    """
    told = shape.members(value, KIND, _SIGNED)
    with shape.Within("/envelope"):
        envelope = envelope_of(told["envelope"])
    statement = envelope.statement
    require_author(statement, member)
    if statement.type != KIND:
        raise InvalidInput(f"expected a link statement, got {statement.type}", rule="wrong-kind")
    with shape.Within("/body"):
        link = parse_link(told["body"])
    salt = shape.hex_bytes(told["salt"], "salt")
    if link.commitment(salt).hex() != statement.body["commitment"]:
        raise InvalidInput(
            "expected the body and salt that the statement commits to, got others", rule="wrong-commitment"
        )
    return LinkDraft(envelope, link, salt)


def keep(connection: Connection, made: LinkDraft, log: LogView, now_ms: int) -> int:
    """Check, stage and store a link in the caller's transaction; gives the row of its statement.

    Raises Forbidden, InvalidInput; then nothing was written. Sequencing decides authority again.
    """
    statement = made.envelope.statement
    log.registry.authorise(made.envelope, now_ms)
    parties = [str(name) for name in statement.body["parties"]]
    for name in parties:
        require_member(log.registry, name)
    row = stage(connection, made.envelope, origin=log.origin, now_ms=now_ms)
    new = NewLink(
        row,
        statement.member,
        statement.id,
        frozenset([statement.member, *parties]),
        link_commitment(statement),
        made.salt,
        canonical(made.link.as_json()),
    )
    insert_link(connection, new, now_ms)
    return row


def link_commitment(statement: Statement) -> bytes:
    """The commitment that a link statement signs."""
    return bytes.fromhex(str(statement.body["commitment"]))


def _parties(told: Any, member: str, log: LogView) -> list[str]:
    names = [shape.member_name(item, "parties") for item in shape.array(told, "parties", 0, 1_023)]
    for name in names:
        require_member(log.registry, name)
    return sorted({member, *names})
