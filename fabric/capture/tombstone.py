"""What a node says of a record of which something was erased: that it was, by which statements, and what stays.

Whoever saw the record sees its tombstone; to everybody else it is unknown, as the record was.
"""

from __future__ import annotations

import json
from typing import Any

from fabric.store.erasures import Done, Tombstone
from fabric.store.records import StoredRecord
from fabric.visibility.reader import Reader
from fabric.visibility.sight import Sight
from ledger.disclosure import open_disclosure
from ledger.errors import Erased


class ErasedRecord(Erased):
    """All of the record was erased; `tombstone` says by which statements, as JSON."""

    def __init__(self, tombstone: dict[str, Any]) -> None:
        indices = ", ".join(str(one["index"]) for one in tombstone["erasures"])
        super().__init__(f"this record was erased by the statement at log index {indices}")
        self.tombstone = tombstone


def tombstone_json(found: StoredRecord, stone: Tombstone, seen: Sight, reader: Reader) -> dict[str, Any]:
    """A tombstone as one reader may see it: units to those who see the record whole, the reason to its parties."""
    return {
        "record": found.commitment.hex(),
        "member": found.capture.member,
        "index": found.capture.idx,
        "position": found.position,
        "state": "erased" if stone.whole else "erased-in-part",
        "units": erased_units(stone) if seen is Sight.WHOLE else [],
        "erasures": [_done(one, seen, reader) for one in stone.done],
    }


def erased_units(stone: Tombstone) -> list[str]:
    """The pointers of what is gone of a record that is erased in part; none when all of it is."""
    return [] if stone.remains is None else list(open_disclosure(json.loads(stone.remains)).hidden)


def _done(one: Done, seen: Sight, reader: Reader) -> dict[str, Any]:
    told: dict[str, Any] = {"index": one.seq, "member": one.member, "statement": one.statement_id}
    if seen is Sight.WHOLE:
        told["units"] = list(one.units)
    if reader.member in one.parties:
        told["reason"] = one.reason
    return told
