"""Turns a fault into evidence with as little of the log as proves it. Pure, over a reader of entries.

Evidence is tried from the smallest set of shown entries to the largest, by the functions that verify it; so what is
built is what a stranger will accept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .. import contradiction, merkle
from .. import misbehaviour as kinds
from ..contradiction import ProvenKey, Shown, Verdict
from ..entry import is_seal, parse_entry
from ..errors import InvalidInput
from ..merkle import HashReader
from ..misbehaviour import misbehaviour_bytes
from ..opened_tree import open_tree
from ..seal import Seal
from .audit import Fault

MAX_SHOWN_BYTES: Final = 40_000_000

EntryStream = Callable[[], Iterable[bytes]]
"""Gives all entries from index 0 on, anew at each call."""


@dataclass(frozen=True, slots=True)
class Signed:
    """The tree that a note of the log signs, as its entries give it."""

    origin: str
    size: int
    note: bytes
    entries: EntryStream


def split_view(one: bytes, other: bytes) -> bytes:
    """Evidence that the log signed two trees of one size."""
    return misbehaviour_bytes(kinds.SPLIT_VIEW, [one, other])


def inconsistent_growth(old: bytes, old_size: int, new: bytes, size: int, reader: HashReader) -> bytes:
    """Evidence that the tree ``new`` signs had another head at ``old_size``; ``reader`` reads that tree."""
    return misbehaviour_bytes(kinds.INCONSISTENT, [old, new], tree=open_tree(reader, size, {}, old_size))


def evidence_of(fault: Fault, signed: Signed) -> bytes:
    """The evidence of a fault in the entries of a signed tree.

    Raises :class:`InvalidInput` (rule ``no-evidence``) where nothing that may be shown proves it.
    """
    for shown, key in _attempts(fault, signed):
        try:
            _judge(fault, Shown(signed.origin, signed.size, shown), key)
        except InvalidInput:
            continue
        tree = open_tree(streamed(signed.entries), signed.size, shown)
        return misbehaviour_bytes(fault.kind, [signed.note], fault.at, tree, key)
    raise InvalidInput(f"no evidence of {fault.kind} at {list(fault.at)} could be made", rule="no-evidence")


def _judge(fault: Fault, shown: Shown, key: ProvenKey | None) -> Verdict:
    if fault.kind == kinds.VOID_STATEMENT:
        return contradiction.void_statement(shown, fault.at[0], key)
    if fault.kind == kinds.DUPLICATE_ID:
        return contradiction.duplicate_id(shown, *fault.at)
    if fault.kind == kinds.BAD_ENTRY:
        return contradiction.bad_entry(shown, fault.at[0])
    return contradiction.false_seal(shown, fault.at[0])


def _attempts(fault: Fault, signed: Signed) -> Iterator[tuple[Mapping[int, bytes], ProvenKey | None]]:
    around = _Around.of(signed.entries(), fault.at[-1])
    first = {**around.at(fault.at[-1])}
    if fault.kind == kinds.DUPLICATE_ID:
        first |= _entries_at(signed.entries(), fault.at)
    yield first, None
    if fault.kind == kinds.VOID_STATEMENT:
        yield first | around.seal_after, fault.key
    elif fault.kind == kinds.FALSE_SEAL:
        yield first | around.at(fault.at[0] + 1), None
        yield first | around.seal_before, None
        yield first | _entries_at(signed.entries(), _claimed_start(first[fault.at[0]])), None
    if fault.kind in (kinds.VOID_STATEMENT, kinds.FALSE_SEAL):
        last = max([*around.seal_after, fault.at[0]]) if fault.kind == kinds.VOID_STATEMENT else fault.at[0]
        yield first | _skeleton(signed.entries(), last), None


@dataclass(frozen=True, slots=True)
class _Around:
    """The entries near an index: it and the next, the last seal before it, the first seal after it."""

    near: dict[int, bytes]
    seal_before: dict[int, bytes]
    seal_after: dict[int, bytes]

    @classmethod
    def of(cls, entries: Iterable[bytes], index: int) -> _Around:
        """What lies around an index, reading no further than the seal after it."""
        near: dict[int, bytes] = {}
        before: dict[int, bytes] = {}
        for at, data in enumerate(entries):
            if at < index and is_seal(data):
                before = {at: data}
            if index <= at <= index + 1:
                near[at] = data
            if at > index and is_seal(data):
                return cls(near, before, {at: data})
        return cls(near, before, {})

    def at(self, index: int) -> dict[int, bytes]:
        """The entry at an index, where it is near."""
        return {index: self.near[index]} if index in self.near else {}


def _entries_at(entries: Iterable[bytes], wanted: Sequence[int]) -> dict[int, bytes]:
    return {at: data for at, data in enumerate(entries) if at in wanted}


def _claimed_start(data: bytes) -> tuple[int, ...]:
    try:
        found = parse_entry(data)
    except InvalidInput:
        return ()
    return (found.start - 1,) if isinstance(found, Seal) else ()


def _skeleton(entries: Iterable[bytes], last: int) -> dict[int, bytes]:
    """All seals up to ``last`` and the entry before each: what a replay of the registry needs."""
    shown: dict[int, bytes] = {}
    size_bytes, previous = 0, b""
    for at, data in enumerate(entries):
        if at > last:
            break
        if at and is_seal(data):
            shown |= {at - 1: previous, at: data}
            size_bytes += len(previous) + len(data)
        if size_bytes > MAX_SHOWN_BYTES:
            raise InvalidInput(
                f"evidence would show more than {MAX_SHOWN_BYTES} bytes of entries", rule="no-evidence"
            )
        previous = data
    return shown


def streamed(entries: EntryStream) -> HashReader:
    """A reader of complete subtrees for callers that ask from left to right; it reads the entries once."""
    stream, position = iter(entries()), 0

    def reader(level: int, index: int) -> bytes:
        nonlocal position
        while position < index << level:
            next(stream)
            position += 1
        heads = merkle.Frontier()
        for _ in range(1 << level):
            heads.append(merkle.leaf_hash(next(stream)))
            position += 1
        return heads.root()

    return reader
