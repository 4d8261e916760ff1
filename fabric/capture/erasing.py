"""Erasures at the door: what a member says with its API key and the node signs, or what it signed itself.

Only the member that captured a record may erase it: the registry lets no other key state an erasure, the
operator's neither. The body is stored in the transaction that stages its statement, and nothing is removed before
that statement has its index (`erasure`): what is refused, or lost before it is durable, has changed nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.engine import Connection

from fabric.epcis.erasure import Erasure, erasure_of, parse_erasure
from fabric.epcis.record import read_untrusted_event
from fabric.store.bulk import select_in
from fabric.store.erasures import NewErasure, insert_erasure, tombstones
from fabric.store.records import find_records
from fabric.store.schema import EVENT, HEADER
from fabric.store.schema import record as record_table
from fabric.visibility.sight import Sight, reader_of, sight
from ledger import shape
from ledger.canonical import canonical
from ledger.commitment import RECORD_SALT_SIZE_BYTES
from ledger.disclosure import erase_units, narrow, open_disclosure, remains_of
from ledger.ed25519 import key_id
from ledger.errors import Conflict, Erased, Forbidden, InvalidInput, NotFound
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
from .packed import master_row
from .prepare import Draw
from .statements import require_author

KIND: Final = "erasure"
_SIGNED: Final = frozenset({"envelope", "salt", "body"})
_TOLD: Final = frozenset({"records", "reason"})
_OPTIONAL: Final = frozenset({"units", "parties"})


class ErasureDraft(NamedTuple):
    """A signed erasure statement with the body and the salt that its commitment is of."""

    envelope: UnverifiedEnvelope
    erasure: Erasure
    salt: bytes


def in_custody(
    value: Mapping[str, Any], member: str, keyring: Keyring, log: LogView, draw: Draw, now_ms: int
) -> ErasureDraft:
    """The erasure that a member tells as `{records, units?, reason, parties?}`, signed with the key it delegated.

    Raises Forbidden `no-delegation`, InvalidInput.
    """
    told = shape.members(value, KIND, _TOLD, _OPTIONAL)
    made = erasure_of(told["records"], told.get("units", []), told["reason"])
    names = [
        shape.member_name(one, "parties") for one in shape.array(told.get("parties", []), "parties", 0, 1_023)
    ]
    return signed_in_custody(made, member, names, keyring, log, draw, now_ms)


def signed_in_custody(
    made: Erasure,
    member: str,
    parties: Sequence[str],
    keyring: Keyring,
    log: LogView,
    draw: Draw,
    now_ms: int,
) -> ErasureDraft:
    """An erasure signed with the key that a member delegated to this node. Raises Forbidden `no-delegation`."""
    key = keyring.delegated(log.registry, member, now_ms)
    if key is None:
        raise Forbidden(
            f"expected a key of this node that {member} delegated to it, or an erasure that {member} signed",
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
        {"parties": sorted({member, *parties}), "commitment": made.commitment(salt).hex()},
    )
    return ErasureDraft(parse_envelope(sign_statement(payload_bytes(statement), [key])), made, salt)


def as_signed(value: Mapping[str, Any], member: str) -> ErasureDraft:
    """The erasure of `{envelope, salt, body}`: the poster's own statement, and the body that it commits to.

    Raises Forbidden `wrong-member`, InvalidInput (`wrong-kind`, `wrong-commitment`, and what a body may lack).
    """
    told = shape.members(value, KIND, _SIGNED)
    with shape.Within("/envelope"):
        envelope = envelope_of(told["envelope"])
    statement = envelope.statement
    require_author(statement, member)
    if statement.type != KIND:
        raise InvalidInput(f"expected an erasure statement, got {statement.type}", rule="wrong-kind")
    with shape.Within("/body"):
        made = parse_erasure(told["body"])
    salt = shape.hex_bytes(told["salt"], "salt")
    if made.commitment(salt).hex() != statement.body["commitment"]:
        raise InvalidInput(
            "expected the body and salt that the statement commits to, got others", rule="wrong-commitment"
        )
    return ErasureDraft(envelope, made, salt)


def keep(connection: Connection, made: ErasureDraft, log: LogView, now_ms: int) -> int:
    """Check, stage and store an erasure in the caller's transaction; gives the row of its statement.

    Raises NotFound, Erased, Conflict, Forbidden, InvalidInput; then nothing was written. Sequencing decides authority
    again, and carries it out.
    """
    statement = made.envelope.statement
    log.registry.authorise(made.envelope, now_ms)
    parties = [str(name) for name in statement.body["parties"]]
    for name in parties:
        require_member(log.registry, name)
    row = stage(connection, made.envelope, origin=log.origin, now_ms=now_ms)
    if _is_kept(connection, row):
        return row
    require_erasable(connection, made.erasure, statement.member, log, now_ms)
    new = NewErasure(
        row,
        statement.member,
        statement.id,
        frozenset([statement.member, *parties]),
        bytes.fromhex(str(statement.body["commitment"])),
        made.salt,
        canonical(made.erasure.as_json()),
    )
    insert_erasure(connection, new, now_ms)
    return row


def require_erasable(connection: Connection, told: Erasure, member: str, log: LogView, now_ms: int) -> None:
    """Refuse what a member may not erase, or cannot. A record it may not see answers like an unknown one.

    Raises NotFound `unknown-record`, Forbidden `not-yours`, Erased, Conflict `declaration-in-force`, and InvalidInput
    (`no-such-pointer`, `always-open`, `unit-needed`).
    """
    query = (
        "SELECT id, kind, member, declares, commitment, salt, body FROM record WHERE commitment IN ({in})"
        " ORDER BY id"
    )
    rows: dict[bytes, Any] = {}
    for row in select_in(connection, query, told.records):
        if row.member == member:
            rows.setdefault(row.commitment, row)
    for name in told.records:
        if name not in rows:
            _refuse_foreign(connection, name, member, log, now_ms)
    going = {row.id for row in rows.values() if row.body is not None}
    if not going:
        raise Erased(f"expected a record that is kept, got {told.records[0].hex()}, which was erased")
    if told.units:
        _check_units(connection, rows[told.records[0]], told.units)
    else:
        _check_declarations(connection, [row for row in rows.values() if row.declares], going)


def _is_kept(connection: Connection, statement_row: int) -> bool:
    """Whether the same statement came before: then its first answer stands, whatever was erased since."""
    found = select_in(connection, "SELECT id FROM erasure WHERE statement IN ({in})", [statement_row])
    return next(found, None) is not None


def _refuse_foreign(connection: Connection, name: bytes, member: str, log: LogView, now_ms: int) -> None:
    reader = reader_of(log.registry, member, now_ms)
    for found in find_records(connection, name):
        if sight(connection, reader, found) is not Sight.NOTHING:
            raise Forbidden(
                f"expected a record that {member} captured, got one by {found.capture.member}",
                rule="not-yours",
            )
    raise NotFound("no such record", rule="unknown-record")


def _check_units(connection: Connection, row: Any, units: Sequence[str]) -> None:
    """What stays has to be a record of its kind by the rules of capture; else the record goes as a whole."""
    known = tombstones(connection, [row.id]).get(row.id)
    if known is not None and known.remains is not None:
        left = json.loads(known.remains)
        _require_open(left, units)
        left = erase_units(left, units)
    else:
        left = remains_of(json.loads(row.body), row.salt, units)
    value = open_disclosure(left).record
    if row.kind == HEADER:
        return
    try:
        if row.kind == EVENT:
            read_untrusted_event(value)
        else:
            master_row(value)
        if bool(row.declares) != ("errorDeclaration" in value):
            raise InvalidInput("expected its error declaration")
    except (InvalidInput, LookupError, TypeError) as error:
        raise InvalidInput(
            "expected units without which the rest is still a record of its kind; erase the record as a whole",
            rule="unit-needed",
        ) from error


def _require_open(left: Mapping[str, Any], units: Sequence[str]) -> None:
    """Refuse when every unit named is gone already."""
    gone = 0
    for unit in units:
        try:
            narrow(left, [unit])
        except Erased:
            gone += 1
    if gone == len(units):
        raise Erased(f"expected a unit that is kept, got {units[0]}, which was erased")


def _check_declarations(connection: Connection, declarations: Sequence[Any], going: set[int]) -> None:
    """A declaration goes with or after what it voids: else what somebody took back would count again."""
    numbers = [row.id for row in declarations]
    query = "SELECT record, void_by FROM event WHERE void_by IN ({in}) ORDER BY record"
    for row in select_in(connection, query, numbers):
        if row.record not in going:
            name = connection.execute(
                select(record_table.c.commitment).where(record_table.c.id == row.record)
            ).scalar_one()
            raise Conflict(
                f"expected what this declaration voids to be erased with it or before, got {name.hex()}, which is kept",
                rule="declaration-in-force",
            )


__all__ = ["ErasureDraft", "as_signed", "in_custody", "keep", "require_erasable", "signed_in_custody"]
