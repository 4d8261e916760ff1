"""Record commitments: the salted hash tree over a record's units (``loomark/commitment/v1``).

A record is the group of path ``[]``. A top-level array or object with two or more members is a group, all
else is a unit. Every node is ``SHA-256(0x00 || JCS(array))``; see docs/spec/commitment.md. Opening a
commitment again, in full or in part, is the work of :mod:`ledger.disclosure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256, shake_256
from json.encoder import encode_basestring
from typing import NamedTuple, TypeAlias

from . import merkle
from .canonical import JSON, WRITE_ERRORS, canonical, is_certain, jcs_order, write_fast
from .errors import InvalidInput, TooLarge

RECORD_SALT_SIZE_BYTES = 32
SALT_SIZE_BYTES = 16
MAX_NODES = 65_536

MAX_RECORD_DEPTH = 55
"""Levels of JSON in a record, so that every proof of it is within the 64 of a bundle (design: evidence, Limits).

A partial disclosure puts a unit of a group eight levels deeper than it is in its record, and a report carries its
bundle one level down.
"""

_CONTEXT = "@context"
_MOST_NAMES = 4_096
_LONGEST_NAME = 512
_LONGEST_LIST = 1_024
_SALT_DOMAIN = b"loomark/salt/v1\x00"
_UNIT = b'\x00["loomark/unit/v1","'
_GROUP = b'\x00["loomark/group/v1","'
_UNIT_OF = _UNIT + b'%b",[%b],%b]'
_UNIT_IN = _UNIT + b'%b",[%b,%b],%b]'
_SALT_CHARS = 2 * SALT_SIZE_BYTES


class Group(NamedTuple):
    """A top-level member that is a group, written: `units` beside their `keys`, names or indices, in members order.

    `members` is what the group binds of them, `value` the whole; all are JCS bytes.
    """

    value: bytes
    keys: list[bytes]
    units: list[bytes]
    members: bytes


Member: TypeAlias = bytes | Group
"""A top-level member, written: the JCS bytes of a unit's value, or a group."""


class Committed(NamedTuple):
    """A commitment and the RFC 8785 bytes of the record: whole, and of each top-level value by name in JCS order."""

    commitment: bytes
    body: bytes
    names: list[str]
    values: list[bytes]


class Committer:
    """Commits to the records of one submission. The context that they share is written once.

    Every part of a record is written once, too: its canonical bytes come with the commitment.
    """

    def __init__(self) -> None:
        self._contexts: dict[int, tuple[JSON, Member]] = {}

    def __call__(self, record: Mapping[str, JSON], record_salt: bytes) -> Committed:
        """Commit to one record; raises as :func:`record_commitment` does."""
        names = ordered_names(record)
        members, values, body = self._members(record, names)
        nodes = 1 + len(names) + sum([len(one.units) for one in members if type(one) is Group])
        commitment = _commitment(names, members, salts_of(nodes, record_salt))
        return Committed(commitment, body, names, values)

    def _members(
        self, record: Mapping[str, JSON], names: list[str]
    ) -> tuple[list[Member], list[bytes], bytes]:
        try:
            members = [
                encode_basestring(value).encode("utf-8")
                if type(value := record[name]) is str
                else self._context(value)
                if name == _CONTEXT
                else _written(value, write_fast)
                for name in names
            ]
            values = _values(members)
            body = joined(names, values)
            # Parts are as canonical as the whole, which is looked through once.
            if is_certain(record, body):
                return members, values, body
        except WRITE_ERRORS:
            pass
        members = [_written(record[name], canonical) for name in names]
        values = _values(members)
        return members, values, joined(names, values)

    def _context(self, value: JSON) -> Member:
        known = self._contexts.get(id(value))
        if known is None:
            # The value is kept beside its bytes, so that its identity stays its own.
            known = self._contexts[id(value)] = (value, _written(value, canonical))
        return known[1]


def record_commitment(record: Mapping[str, JSON], record_salt: bytes) -> bytes:
    """The 32-byte commitment to ``record`` under a 32-byte record salt.

    Raises :class:`InvalidInput` for a record of fewer than two members, a salt of another size or a value that
    JCS cannot hold, and :class:`TooLarge` beyond 65,536 units and groups.
    """
    return Committer()(record, record_salt).commitment


def joined(names: Sequence[str], values: Sequence[bytes]) -> bytes:
    """The JCS bytes of an object from its names in JCS order and the JCS bytes of their values."""
    return b"{%b}" % b",".join([_NAMED[name] + value for name, value in zip(names, values, strict=True)])


def _values(members: Sequence[Member]) -> list[bytes]:
    return [member.value if isinstance(member, Group) else member for member in members]


def _written(value: JSON, write: Callable[[JSON], bytes]) -> Member:
    kind = type(value)
    if len(value) < 2 if kind is list or kind is dict else True:
        return write(value)
    if kind is list:
        units = [write(item) for item in value]
        return Group(b"[%b]" % b",".join(units), _indices(len(value)), units, b"%d" % len(value))
    names = jcs_order(value)
    units = [write(value[name]) for name in names]
    keys = [_text(name) for name in names]
    return Group(joined(names, units), keys, units, b"[%b]" % b",".join(keys))


def _commitment(names: Sequence[str], members: Sequence[Member], salts: bytes) -> bytes:
    """The hash of the group ``[]`` over written members, under the salts of all nodes laid end to end."""
    hashes: list[bytes] = []
    pieces = [salts[at : at + _SALT_CHARS] for at in range(0, len(salts), _SALT_CHARS)]
    take = iter(pieces).__next__
    own = take()
    for name, member in zip(names, members, strict=True):
        if not isinstance(member, Group):
            hashes.append(sha256(_UNIT_OF % (take(), _text(name), member)).digest())
            continue
        salt, text = take(), _text(name)
        inner = [
            sha256(_UNIT_IN % (take(), text, key, unit)).digest()
            for key, unit in zip(member.keys, member.units, strict=True)
        ]
        hashes.append(group_hash(salt, b"[%b]" % text, member.members, merkle.root(inner)))
    return group_hash(own, b"[]", b"[%b]" % b",".join(map(_text, names)), merkle.root(hashes))


def commitment_nodes(record: Mapping[str, JSON]) -> int:
    """How many units and groups the record has, the group ``[]`` included."""
    nodes = 1 + len(record)
    for value in record.values():
        kind = type(value)
        if (kind is list or kind is dict) and len(value) > 1:
            nodes += len(value)
    return nodes


def is_group(value: JSON) -> bool:
    """Whether a top-level value is a group: an array or object with two or more members."""
    return (type(value) is list or type(value) is dict) and len(value) > 1


def ordered_names(record: Mapping[str, JSON]) -> list[str]:
    """The record's member names in JCS order; raises for fewer than two."""
    if len(record) < 2:
        raise InvalidInput("expected a record of two or more members, got fewer", rule="bad-record")
    return jcs_order(record)


def node_salts(record: Mapping[str, JSON], record_salt: bytes) -> bytes:
    """The salts of all nodes in pre-order, 32 hex characters each, as ASCII bytes."""
    return salts_of(commitment_nodes(record), record_salt)


def salts_of(nodes: int, record_salt: bytes) -> bytes:
    """The salts of that many nodes, 32 hex characters each, as ASCII bytes."""
    if len(record_salt) != RECORD_SALT_SIZE_BYTES:
        raise InvalidInput(f"expected a record salt of 32 bytes, got {len(record_salt)}", rule="bad-salt")
    if nodes > MAX_NODES:
        raise TooLarge(
            f"expected at most {MAX_NODES} units and groups in a record, got {nodes}", rule="too-many-units"
        )
    return shake_256(_SALT_DOMAIN + record_salt).hexdigest(SALT_SIZE_BYTES * nodes).encode()


def group_members(value: Mapping[str, JSON] | Sequence[JSON]) -> list[str] | int:
    """What a group binds of its members: their names in JCS order, or an array's length."""
    return jcs_order(value) if isinstance(value, dict) else len(value)


def unit_hash(salt: bytes, path: bytes, value: JSON) -> bytes:
    """The hash of a unit; ``salt`` as 32 hex characters, ``path`` as JCS bytes of the path array."""
    return sha256(b'%b%b",%b,%b]' % (_UNIT, salt, path, canonical(value))).digest()


def group_hash(salt: bytes, path: bytes, members: bytes, root: bytes) -> bytes:
    """The hash of a group; ``path`` and ``members`` as JCS bytes, ``root`` as 32 raw bytes."""
    return sha256(b'%b%b",%b,%b,"%b"]' % (_GROUP, salt, path, members, root.hex().encode())).digest()


def unit_hashes(name: str, value: Mapping[str, JSON] | Sequence[JSON], salts: bytes) -> list[bytes]:
    """The hashes of the units of group ``name``, in members order, under their salts laid end to end."""
    opening = b'",[%b,' % _text(name)
    written = _written(value, canonical)
    keys, units = (written.keys, written.units) if isinstance(written, Group) else ([], [])
    starts = range(0, len(salts), _SALT_CHARS)
    return [
        sha256(b"%b%b%b%b],%b]" % (_UNIT, salts[at : at + _SALT_CHARS], opening, key, unit)).digest()
        for at, key, unit in zip(starts, keys, units, strict=True)
    ]


def _indices(count: int) -> list[bytes]:
    return _few_indices(count) if count <= _LONGEST_LIST else [b"%d" % index for index in range(count)]


@lru_cache(maxsize=256)
def _few_indices(count: int) -> list[bytes]:
    return [b"%d" % index for index in range(count)]


class _Named(dict[str, bytes]):
    """`"name":` by name, for the names seen lately."""

    def __missing__(self, name: str) -> bytes:
        opening = _text(name) + b":"
        if len(name) <= _LONGEST_NAME:
            if len(self) >= _MOST_NAMES:
                self.clear()
            self[name] = opening
        return opening


_NAMED = _Named()


class _Texts(dict[str, bytes]):
    """The JCS text of a name, for the names seen lately. A long one is written each time: names may fill a record."""

    def __missing__(self, name: str) -> bytes:
        text = canonical(name)
        if len(name) <= _LONGEST_NAME:
            if len(self) >= _MOST_NAMES:
                self.clear()
            self[name] = text
        return text


_TEXTS = _Texts()


def _text(name: str) -> bytes:
    return _TEXTS[name]


def path_bytes(*path: str | int) -> bytes:
    """The JCS bytes of a node's path, such as ``["epcList",3]``."""
    return b"[%b]" % b",".join([b"%d" % part if type(part) is int else _text(str(part)) for part in path])
