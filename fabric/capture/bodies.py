"""Statements with a body beside the log, at the door: what a member says with its API key and the node signs, or what
it signed itself.

The body is stored in the transaction that stages its statement, so no statement is ever without it. What kinds there
are, and what each asks of its body: `links`, `erasing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy.engine import Connection

from fabric.store.bodies import Bodies, NewBody
from ledger import shape
from ledger.canonical import JSON, canonical
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

MAX_PARTIES: Final = 1_023
_SIGNED: Final = frozenset({"envelope", "salt", "body"})


class Body(Protocol):
    """What a statement commits to."""

    def as_json(self) -> dict[str, JSON]:
        """The body as a JSON object."""

    def commitment(self, salt: bytes) -> bytes:
        """The body as a record under a salt of 32 bytes."""


B = TypeVar("B", bound=Body)


class Draft(NamedTuple, Generic[B]):
    """A signed statement with the body and the salt that its commitment is of."""

    envelope: UnverifiedEnvelope
    body: B
    salt: bytes


def _nothing(_connection: Connection, _body: Any, _member: str, _log: LogView, _now_ms: int) -> None:
    """Nothing more is asked of a body."""


@dataclass(frozen=True)
class BesideLog(Generic[B]):
    """A kind of statement whose bodies lie beside the log.

    `parse` reads a body in its one spelling, `tell` what a member says instead: the body, and the parties besides the
    member. `require` refuses a body that may not be kept now, by this member.
    """

    kind: str
    store: Bodies
    parse: Callable[[JSON], B]
    tell: Callable[[Mapping[str, Any]], tuple[B, Sequence[str]]]
    require: Callable[[Connection, B, str, LogView, int], None] = _nothing

    def drafted(
        self, value: Mapping[str, Any], member: str, keyring: Keyring, log: LogView, draw: Draw, now_ms: int
    ) -> Draft[B]:
        """The statement that a member posts, signed or told. Raises as `as_signed` and `in_custody`."""
        if "envelope" in value:
            return self.as_signed(value, member)
        body, parties = self.tell(value)
        return self.in_custody(body, member, parties, keyring, log, draw, now_ms)

    def as_signed(self, value: Mapping[str, Any], member: str) -> Draft[B]:
        """The draft of `{envelope, salt, body}`: the poster's own statement, and the body that it commits to.

        Raises Forbidden `wrong-member`, InvalidInput (`wrong-kind`, `wrong-commitment`, and what a body may lack).
        """
        told = shape.members(value, self.kind, _SIGNED)
        with shape.Within("/envelope"):
            envelope = envelope_of(told["envelope"])
        statement = envelope.statement
        require_author(statement, member)
        if statement.type != self.kind:
            raise InvalidInput(
                f"expected a statement of type {self.kind}, got {statement.type}", rule="wrong-kind"
            )
        with shape.Within("/body"):
            body = self.parse(told["body"])
        salt = shape.hex_bytes(told["salt"], "salt")
        if body.commitment(salt).hex() != statement.body["commitment"]:
            raise InvalidInput(
                "expected the body and salt that the statement commits to, got others",
                rule="wrong-commitment",
            )
        return Draft(envelope, body, salt)

    def in_custody(
        self,
        body: B,
        member: str,
        parties: Sequence[str],
        keyring: Keyring,
        log: LogView,
        draw: Draw,
        now_ms: int,
    ) -> Draft[B]:
        """A body signed with the key that a member delegated to this node. Raises Forbidden `no-delegation`."""
        key = keyring.delegated(log.registry, member, now_ms)
        if key is None:
            raise Forbidden(
                f"expected a key of this node that {member} delegated to it, or a statement that {member} signed",
                rule="no-delegation",
            )
        salt = draw(RECORD_SALT_SIZE_BYTES)
        statement = Statement(
            self.kind,
            log.origin,
            member,
            key_id(key.public_bytes),
            draw(16).hex(),
            time_text(now_ms),
            log.seen,
            {"parties": sorted({member, *parties}), "commitment": body.commitment(salt).hex()},
        )
        return Draft(parse_envelope(sign_statement(payload_bytes(statement), [key])), body, salt)

    def keep(self, connection: Connection, made: Draft[B], log: LogView, now_ms: int) -> int:
        """Check, stage and store a draft in the caller's transaction; gives the row of its statement.

        Raises Forbidden, InvalidInput, and what `require` raises; then nothing was written that the caller may commit.
        The same statement again changes nothing, and its first answer stands. Sequencing decides authority again.
        """
        statement = made.envelope.statement
        log.registry.authorise(made.envelope, now_ms)
        parties = [str(name) for name in statement.body["parties"]]
        for name in parties:
            require_member(log.registry, name)
        row = stage(connection, made.envelope, origin=log.origin, now_ms=now_ms)
        if self.store.has(connection, row):
            return row
        self.require(connection, made.body, statement.member, log, now_ms)
        new = NewBody(
            row,
            statement.member,
            statement.id,
            frozenset([statement.member, *parties]),
            bytes.fromhex(str(statement.body["commitment"])),
            made.salt,
            canonical(made.body.as_json()),
        )
        self.store.insert(connection, new, now_ms)
        return row


def parties_told(value: Any) -> list[str]:
    """The parties that a member names besides itself. Raises InvalidInput."""
    return [shape.member_name(one, "parties") for one in shape.array(value, "parties", 0, MAX_PARTIES)]
