"""Erasures at the door, and what of them is refused (docs/spec/erasure.md).

Only the member that captured a record may erase it: the registry lets no other key state an erasure, the
operator's neither. Nothing is removed before the statement has its index (`erasure`): what is refused, or lost
before it is durable, has changed nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.engine import Connection

from fabric.epcis.erasure import Erasure, erasure_of, parse_erasure
from fabric.epcis.record import read_untrusted_event
from fabric.store.bodies import ERASURES
from fabric.store.bulk import select_in
from fabric.store.erasures import tombstones
from fabric.store.records import find_records
from fabric.store.schema import EVENT, HEADER
from fabric.store.schema import record as record_table
from fabric.visibility.sight import Sight, reader_of, sight
from ledger import shape
from ledger.disclosure import erase_units, narrow, open_disclosure, remains_of
from ledger.errors import Conflict, Erased, Forbidden, InvalidInput, NotFound

from .bodies import BesideLog, parties_told
from .intake import LogView
from .packed import master_row

_TOLD: Final = frozenset({"records", "reason"})
_OPTIONAL: Final = frozenset({"units", "parties"})


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


def _tell(value: Mapping[str, Any]) -> tuple[Erasure, Sequence[str]]:
    """The erasure of `{records, units?, reason, parties?}`."""
    told = shape.members(value, "erasure", _TOLD, _OPTIONAL)
    made = erasure_of(told["records"], told.get("units", []), told["reason"])
    return made, parties_told(told.get("parties", []))


ERASURE: Final = BesideLog("erasure", ERASURES, parse_erasure, _tell, require_erasable)

__all__ = ["ERASURE", "require_erasable"]
