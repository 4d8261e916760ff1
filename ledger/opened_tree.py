"""A log's tree with some of its entries shown, and complete subtrees in place of all the others.

Items stand in the order of the leaves: an entry's bytes, or :class:`Hidden` for the complete aligned subtree of
``2**level`` leaves that begins there. Their root is the tree head, so one list proves many entries at once, and, where
an item begins at a size, the head that the same tree had at that size.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from . import merkle, shape
from .canonical import JSON
from .errors import InvalidInput, TooLarge
from .tile import MAX_ENTRY_SIZE_BYTES

MAX_ITEMS = 262_144
_MAX_LEVEL = 52


@dataclass(frozen=True, slots=True)
class Hidden:
    """The head of a complete subtree of ``2**level`` leaves of which nothing is shown."""

    level: int
    head: bytes


Item: TypeAlias = Hidden | bytes


class OpenedTree:
    """What a list of items says: :attr:`size`, :attr:`root` and the shown entries by index.

    :attr:`earlier` is the head that the same tree had at the size ``boundary``, None where that lies inside an item.
    Raises :class:`InvalidInput` (rule ``bad-tree``) for a subtree that no tree has at its place.
    """

    def __init__(self, items: Iterable[Item], boundary: int = 0) -> None:
        self.size = 0
        self.entries: dict[int, bytes] = {}
        self.earlier: bytes | None = None
        self._heads: list[Hidden] = []
        for item in items:
            if self.size == boundary:
                self.earlier = self._root()
            self._add(item)
        self.root = self._root()

    def _add(self, item: Item) -> None:
        if isinstance(item, bytes):
            self.entries[self.size] = item
            item = Hidden(0, merkle.leaf_hash(item))
        if self.size % (1 << item.level) or self.size + (1 << item.level) > shape.MAX_TREE_SIZE:
            raise InvalidInput("expected subtrees where a tree has them, got another", rule="bad-tree")
        self.size += 1 << item.level
        self._heads.append(item)
        while len(self._heads) > 1 and self._heads[-1].level == self._heads[-2].level:
            right, left = self._heads.pop(), self._heads.pop()
            self._heads.append(Hidden(left.level + 1, merkle.node_hash(left.head, right.head)))

    def _root(self) -> bytes:
        if not self._heads:
            return merkle.EMPTY_ROOT
        result = self._heads[-1].head
        for head in reversed(self._heads[:-1]):
            result = merkle.node_hash(head.head, result)
        return result


def open_tree(
    reader: merkle.HashReader, size: int, entries: Mapping[int, bytes], boundary: int = 0
) -> list[Item]:
    """The fewest items for the tree of ``size`` leaves that show these entries and begin one at ``boundary``.

    ``reader`` gives the heads of the complete subtrees; the entries are taken as they are.
    """
    stops = sorted({*entries, boundary, size} - {0})
    items: list[Item] = []
    at = 0
    while at < size:
        if at in entries:
            items.append(entries[at])
            at += 1
            continue
        free = stops[bisect_left(stops, at + 1)] - at
        aligned = (at & -at).bit_length() - 1 if at else _MAX_LEVEL
        level = min(free.bit_length() - 1, aligned)
        items.append(Hidden(level, reader(level, at >> level)))
        at += 1 << level
    return items


def items_json(items: Sequence[Item]) -> list[JSON]:
    """The items as JSON: base64 for an entry, ``[level, hex head]`` for a hidden subtree."""
    return [
        shape.base64_text(one) if isinstance(one, bytes) else [one.level, one.head.hex()] for one in items
    ]


def items_of(value: JSON) -> tuple[Item, ...]:
    """The items of a parsed JSON array; raises :class:`InvalidInput`."""
    return tuple([_item(one) for one in shape.array(value, "tree", 1, MAX_ITEMS)])


def _item(value: JSON) -> Item:
    if type(value) is str:
        entry = shape.base64_bytes(value, "tree")
        if len(entry) > MAX_ENTRY_SIZE_BYTES:
            raise TooLarge(
                f"expected entries of at most {MAX_ENTRY_SIZE_BYTES} bytes", rule="entry-too-large"
            )
        return entry
    pair = shape.array(value, "tree", 2, 2)
    return Hidden(shape.count(pair[0], "tree", 0, _MAX_LEVEL), shape.hex_bytes(pair[1], "tree"))
