"""The duplicates rule: which records of a submission were captured before, and which contradict one that was.

Pure (design: meaning, section 2). An eventID is unique per capturing member among records without an error
declaration: an equal body is a duplicate, another body a conflict. Without an eventID, an equal body is a
duplicate; an ID that was asked for instead of one counts against other bodies only. The header record is never one. What conflicts is not captured, so nothing repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fabric.store.records import Earlier, NewRecord
from fabric.store.schema import HEADER
from ledger.errors import Finding


class Same(NamedTuple):
    """What a record repeats: a stored record, or one at an earlier position of the same submission."""

    commitment: bytes
    record: int | None
    position: int | None


class Judgement(NamedTuple):
    """By position in the list of records: what each duplicate repeats, and what contradicts an earlier record.

    A finding's `record` is the position in the document, which is another one where events were left out.
    """

    duplicates: dict[int, Same]
    conflicts: dict[int, Finding]


def judge(
    records: Sequence[NewRecord],
    places: Sequence[tuple[int, str]],
    by_event_id: Mapping[str, Sequence[Earlier]],
    by_digest: Mapping[bytes, Earlier],
) -> Judgement:
    """Apply the rule to records in order of position, given the same member's earlier records."""
    if not by_event_id and not by_digest and _are_different(records):
        return Judgement({}, {})
    duplicates: dict[int, Same] = {}
    conflicts: dict[int, Finding] = {}
    here: dict[object, tuple[int, NewRecord]] = {}
    for position, record in enumerate(records):
        if record.kind == HEADER:
            continue
        same = _stored(record, by_event_id, by_digest) or _submitted(record, here)
        if same is None and _contradicts(record, by_event_id, here):
            conflicts[position] = _conflict(*places[position], record)
            continue
        if same is not None:
            duplicates[position] = same
        for key in _keys(record):
            here.setdefault(key, (position, record))
    return Judgement(duplicates, conflicts)


def _are_different(records: Sequence[NewRecord]) -> bool:
    """Whether no two records share an event ID, nor, without one, a body: then none repeats or contradicts another."""
    keys = [record.digest if record.event_id is None else record.event_id for record in records]
    supplied = [record.supplied_id for record in records if record.supplied_id is not None]
    return len(set(keys)) == len(keys) and len({*keys, *supplied}) == len(keys) + len(supplied)


def _keys(record: NewRecord) -> tuple[object, ...]:
    whole = (record.event_id, record.digest)
    return (whole,) if record.name is None or record.declares else (whole, record.name)


def _stored(
    record: NewRecord, by_event_id: Mapping[str, Sequence[Earlier]], by_digest: Mapping[bytes, Earlier]
) -> Same | None:
    if record.event_id is None:
        found = by_digest.get(record.digest)
    else:
        earlier = by_event_id.get(record.event_id, ())
        found = next((one for one in earlier if one.digest == record.digest), None)
    return None if found is None else Same(found.commitment, found.id, None)


def _submitted(record: NewRecord, here: Mapping[object, tuple[int, NewRecord]]) -> Same | None:
    found = here.get((record.event_id, record.digest))
    return None if found is None else Same(found[1].commitment, None, found[0])


def _contradicts(
    record: NewRecord,
    by_event_id: Mapping[str, Sequence[Earlier]],
    here: Mapping[object, tuple[int, NewRecord]],
) -> bool:
    name = record.name
    if name is None or record.declares:
        return False
    return name in here or any(not one.declares for one in by_event_id.get(name, ()))


def _conflict(position: int, pointer: str, record: NewRecord) -> Finding:
    if record.event_id is None:
        expected = "an event whose hash no other event of this member has, or no wish for an ID made of it"
        return Finding(position, pointer, "event-id-conflict", expected, f"{record.name} of other content")
    return Finding(
        position,
        f"{pointer}/eventID",
        "event-id-conflict",
        "an eventID that this member has not used, or the same event again",
        f"{record.event_id} with other content",
    )
