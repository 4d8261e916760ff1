"""Which faults may follow from which: one changed entry makes every tree above it another, and is told as one thing.

Pure, and cautious: what follows is still listed, behind its cause. Whatever is a fault of its own comes to light
when the cause is mended and the check runs again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ledger.log.fault import Fault

_ENTRY: Final = frozenset({"leaf", "entry-missing"})
_RECORD: Final = frozenset({"record-commitment", "record-positions"})
_TREE: Final = frozenset({"root", "consistency"})
_STOPS_REPLAY: Final = "bad-entry"
_OF_REGISTRY: Final = frozenset({"credential", "key"})
_CHECKPOINT: Final = re.compile(r"checkpoint ([0-9]{1,18})\Z")


def causes(faults: Sequence[Fault]) -> list[Fault | None]:
    """For each fault in order the one that it may follow from, which stands for itself; None where it does, too."""
    rules = [_follows_entries(faults), _follows_root(faults), _follows_records(faults)]
    return [next(filter(None, (rule(one) for rule in rules)), None) for one in faults]


_Rule = Callable[[Fault], Fault | None]


def _none(_fault: Fault) -> Fault | None:
    return None


def _first(faults: Iterable[Fault], rules: frozenset[str]) -> Fault | None:
    found = [one for one in faults if one.rule in rules]
    return min(found, key=lambda one: -1 if one.entry is None else one.entry, default=None)


def _follows_entries(faults: Sequence[Fault]) -> _Rule:
    """Of changed entries: trees and heads over the first, tiles of them, what they stated, what replay gives."""
    first = _first(faults, _ENTRY)
    if first is None or first.entry is None:
        return _none
    of_entry = {one.entry: one for one in reversed(faults) if one.rule in _ENTRY}
    unreplayed = any(one.rule == _STOPS_REPLAY and one.entry in of_entry for one in faults)

    def follows(one: Fault) -> Fault | None:
        if one.rule in _ENTRY or one.rule in _RECORD:
            return None
        if _is_of_tree(one, first.entry) or (unreplayed and (one.rule in _OF_REGISTRY or _is_derived(one))):
            return first
        return None if one.entry is None else of_entry.get(one.entry)

    return follows


def _follows_root(faults: Sequence[Fault]) -> _Rule:
    """Where no single entry is known to be another: what tells that the tree as a whole is not the one signed."""
    root = _first(faults, frozenset({"root"}))
    if root is None or _first(faults, _ENTRY) is not None:
        return _none
    return lambda one: root if one is not root and (_is_of_tree(one, None) or one.rule == "tile") else None


def _follows_records(faults: Sequence[Fault]) -> _Rule:
    """Of changed or lost records: their digests and captures, and what is derived from records."""
    first = _first(faults, _RECORD)
    if first is None:
        return _none
    named = {one.record: one for one in reversed(faults) if one.rule in _RECORD and one.record is not None}
    captures = {one.place: one for one in faults if one.rule in _RECORD}

    def follows(one: Fault) -> Fault | None:
        if one.rule in _RECORD:
            return None
        if _is_derived(one):
            return named.get(one.record or "", first)
        if one.rule == "record-digest":
            return named.get(one.record or "")
        return captures.get(one.place) if one.rule == "capture-commitment" else None

    return follows


def _is_of_tree(fault: Fault, entry: int | None) -> bool:
    """Whether a fault says that a tree over an entry, None for any, is another."""
    if fault.rule == "head":
        return "root of its entries" in fault.message
    if fault.rule not in _TREE:
        return False
    size = _CHECKPOINT.match(fault.place)
    return size is None or entry is None or int(size[1]) > entry


def _is_derived(fault: Fault) -> bool:
    return fault.rule.startswith(("projection-", "graph-")) or fault.rule == "underivable"
