"""The Merkle tree of RFC 6962 section 2.1 and its proofs (RFC 9162 section 2.1).

Everything works on leaf *hashes*; who owns the leaves hashes them. Paths run from the leaf's sibling up.
:class:`Frontier` is the append-only form; the ``*_from`` builders read a stored tree through a
:data:`HashReader`, which answers with the hash of the complete subtree ``[index * 2^level, (index + 1) * 2^level)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TypeAlias

from .errors import InvalidInput

HASH_SIZE_BYTES = 32
MAX_PATH_HASHES = 63
EMPTY_ROOT = sha256(b"").digest()

HashReader: TypeAlias = Callable[[int, int], bytes]
"""``(level, index)`` -> hash of that complete subtree, level 0 being the leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """The tree head over these leaf hashes; SHA-256 of nothing for none."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def _next_level(level: list[bytes]) -> list[bytes]:
    # Promoting an odd last node gives the same tree as RFC 6962's split at the largest power of two.
    pairs = [sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        pairs.append(level[-1])
    return pairs


def inclusion_path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf ``index`` among these leaf hashes, sibling of the leaf first."""
    return Tree(hashes).path(index)


class Tree:
    """A whole tree in memory, for many paths over the same leaf hashes; it never changes."""

    __slots__ = ("_levels",)

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self._levels = [list(hashes)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_next_level(self._levels[-1]))

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0])

    def root(self) -> bytes:
        """The tree head; SHA-256 of nothing for no leaf."""
        return self._levels[-1][0] if self._levels[0] else EMPTY_ROOT

    def path(self, index: int) -> list[bytes]:
        """The audit path of leaf ``index``, sibling of the leaf first."""
        _require(0 <= index < self.size, "expected an index below the tree size")
        path: list[bytes] = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index >>= 1
        return path


def root_of_path(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The tree head that ``path`` leads to from the leaf hash at ``index`` (RFC 9162 2.1.3.2).

    Raises :class:`InvalidInput` (rule ``merkle-inclusion``) when index, size and length of path do not fit.
    """
    if not 0 <= index < size or len(leaf) != HASH_SIZE_BYTES or not _are_hashes(path):
        raise InvalidInput("expected a path that fits index and size, got another", rule="merkle-inclusion")
    fn, sn, result = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            break
        if fn & 1 or fn == sn:
            result = sha256(b"\x01" + sibling + result).digest()
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            result = sha256(b"\x01" + result + sibling).digest()
        fn >>= 1
        sn >>= 1
    if sn or len(path) != path_length(index, size):
        raise InvalidInput("expected a path that fits index and size, got another", rule="merkle-inclusion")
    return result


def path_length(index: int, size: int) -> int:
    """The number of hashes of the inclusion path of ``index`` in a tree of ``size``."""
    inner = (index ^ (size - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def is_included(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` proves the leaf hash at ``index`` in the tree (``size``, ``root``)."""
    try:
        return root_of_path(index, size, leaf, path) == root
    except InvalidInput:
        return False


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """As :func:`is_included`, raising :class:`InvalidInput` (rule ``merkle-inclusion``) when it is not."""
    if not is_included(index, size, leaf, path, root):
        raise InvalidInput(
            f"expected a path from leaf {index} to the root of size {size}, got one that does not lead there",
            rule="merkle-inclusion",
        )


def consistency_path(hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """The proof that the first ``old_size`` of these leaf hashes are a prefix of all of them."""
    size = len(hashes)

    def reader(level: int, index: int) -> bytes:
        return root(hashes[index << level : (index + 1) << level])

    return consistency_path_from(reader, old_size, size)


def is_consistent(old_size: int, size: int, path: Sequence[bytes], old_root: bytes, root: bytes) -> bool:
    """Whether the tree (``size``, ``root``) extends (``old_size``, ``old_root``), RFC 9162 2.1.4.2.

    A size of 0 proves nothing and is refused; callers that accept an empty start say so themselves.
    """
    if not 0 < old_size <= size or not _are_hashes(path):
        return False
    if old_size == size:
        return not path and old_root == root
    hashes = list(path)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    return _climb(fn, sn, hashes, old_root, root)


def _climb(fn: int, sn: int, hashes: list[bytes], old_root: bytes, root: bytes) -> bool:
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, sibling)
        fn >>= 1
        sn >>= 1
    return sn == 0 and old == old_root and new == root


def verify_consistency(old_size: int, size: int, path: Sequence[bytes], old_root: bytes, root: bytes) -> None:
    """As :func:`is_consistent`, raising :class:`InvalidInput` (rule ``merkle-consistency``) when it is not."""
    if not is_consistent(old_size, size, path, old_root, root):
        raise InvalidInput(
            f"expected a tree of size {size} that extends the one of size {old_size}, got another",
            rule="merkle-consistency",
        )


def range_hash(reader: HashReader, start: int, end: int) -> bytes:
    """The head of leaves ``[start, end)``, where ``start`` is aligned as RFC 6962 subtrees are."""
    result: bytes | None = None
    for level, index in reversed(_complete_subtrees(start, end)):
        part = reader(level, index)
        result = part if result is None else node_hash(part, result)
    return EMPTY_ROOT if result is None else result


def _complete_subtrees(start: int, end: int) -> list[tuple[int, int]]:
    subtrees = []
    while start < end:
        level = (end - start).bit_length() - 1
        subtrees.append((level, start >> level))
        start += 1 << level
    return subtrees


def root_from(reader: HashReader, size: int) -> bytes:
    """The head of the first ``size`` leaves of a stored tree."""
    return range_hash(reader, 0, size)


def inclusion_path_from(reader: HashReader, index: int, size: int) -> list[bytes]:
    """The audit path of ``index`` in the tree of ``size`` leaves, from stored complete subtrees."""
    _require(0 <= index < size, "expected an index below the tree size")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < split:
            path.append(range_hash(reader, split, end))
            end = split
        else:
            path.append(range_hash(reader, start, split))
            start = split
    path.reverse()
    return path


def consistency_path_from(reader: HashReader, old_size: int, size: int) -> list[bytes]:
    """The proof that the tree of ``old_size`` is a prefix of the tree of ``size``, RFC 9162 2.1.4.1."""
    _require(0 < old_size <= size, "expected an old size from 1 to the tree size")
    path: list[bytes] = []
    start, end, whole = 0, size, True
    while old_size != end:
        split = start + (1 << ((end - start - 1).bit_length() - 1))
        if old_size <= split:
            path.append(range_hash(reader, split, end))
            end = split
        else:
            path.append(range_hash(reader, start, split))
            start, whole = split, False
    if not whole:
        path.append(range_hash(reader, start, end))
    path.reverse()
    return path


class Frontier:
    """An append-only tree that keeps only the heads of its complete subtrees (a compact range)."""

    __slots__ = ("_heads", "size")

    def __init__(self, size: int = 0, heads: Iterable[bytes] = ()) -> None:
        self.size = size
        self._heads = list(heads)
        _require(len(self._heads) == size.bit_count(), "expected one head for each bit of the size")

    @property
    def heads(self) -> tuple[bytes, ...]:
        """Heads of the complete subtrees, largest first; with ``size`` they rebuild the frontier."""
        return tuple(self._heads)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at index ``size``."""
        index = self.size
        while index & 1:
            leaf = node_hash(self._heads.pop(), leaf)
            index >>= 1
        self._heads.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The tree head; SHA-256 of nothing while empty."""
        if not self._heads:
            return EMPTY_ROOT
        result = self._heads[-1]
        for head in reversed(self._heads[:-1]):
            result = node_hash(head, result)
        return result

    def copy(self) -> Frontier:
        """An independent frontier of the same tree."""
        return Frontier(self.size, self._heads)


def _are_hashes(path: Sequence[bytes]) -> bool:
    return len(path) <= MAX_PATH_HASHES and all(len(item) == HASH_SIZE_BYTES for item in path)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidInput(message, rule="merkle-range")
