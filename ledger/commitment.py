"""Record commitments: the salted hash tree over a record's units (``loomark/commitment/v1``).

A record is the group of path ``[]``. A top-level array or object with two or more members is a group, all
else is a unit. Every node is ``SHA-256(0x00 || JCS(array))``; see docs/spec/commitment.md. Opening a
commitment again, in full or in part, is the work of :mod:`ledger.disclosure`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256, shake_256

from . import merkle
from .canonical import JSON, canonical, jcs_order
from .errors import InvalidInput, TooLarge

RECORD_SALT_SIZE_BYTES = 32
SALT_SIZE_BYTES = 16
MAX_NODES = 65_536

MAX_RECORD_DEPTH = 55
"""Levels of JSON in a record, so that every proof of it is within the 64 of a bundle (design: evidence, Limits).

A partial disclosure puts a unit of a group eight levels deeper than it is in its record, and a report carries its
bundle one level down.
"""

_SALT_DOMAIN = b"loomark/salt/v1\x00"
_UNIT = b'\x00["loomark/unit/v1","'
_GROUP = b'\x00["loomark/group/v1","'
_SALT_CHARS = 2 * SALT_SIZE_BYTES


def record_commitment(record: Mapping[str, JSON], record_salt: bytes) -> bytes:
    """The 32-byte commitment to ``record`` under a 32-byte record salt.

    Raises :class:`InvalidInput` for a record of fewer than two members, a salt of another size or a value that
    JCS cannot hold, and :class:`TooLarge` beyond 65,536 units and groups.
    """
    names = ordered_names(record)
    salts = node_salts(record, record_salt)
    hashes: list[bytes] = []
    position = _SALT_CHARS
    for name in names:
        value = record[name]
        salt = salts[position : position + _SALT_CHARS]
        position += _SALT_CHARS
        if is_group(value):
            end = position + _SALT_CHARS * len(value)
            hashes.append(_group_node(name, value, salt, salts[position:end]))
            position = end
        else:
            preimage = b'%b%b",[%b],%b]' % (_UNIT, salt, _text(name), canonical(value))
            hashes.append(sha256(preimage).digest())
    return group_hash(salts[:_SALT_CHARS], b"[]", canonical(names), merkle.root(hashes))


def commitment_nodes(record: Mapping[str, JSON]) -> int:
    """How many units and groups the record has, the group ``[]`` included."""
    inner = sum([len(value) for value in record.values() if is_group(value)])
    return 1 + len(record) + inner


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
    if len(record_salt) != RECORD_SALT_SIZE_BYTES:
        raise InvalidInput(f"expected a record salt of 32 bytes, got {len(record_salt)}", rule="bad-salt")
    nodes = commitment_nodes(record)
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
    keys: list[bytes]
    items: list[JSON]
    if isinstance(value, dict):
        names = jcs_order(value)
        keys = [_text(key) for key in names]
        items = [value[key] for key in names]
    else:
        keys = [b"%d" % index for index in range(len(value))]
        items = list(value)
    starts = range(0, len(salts), _SALT_CHARS)
    return [
        sha256(
            b"%b%b%b%b],%b]" % (_UNIT, salts[at : at + _SALT_CHARS], opening, key, canonical(item))
        ).digest()
        for at, key, item in zip(starts, keys, items, strict=True)
    ]


def _group_node(name: str, value: JSON, salt: bytes, salts: bytes) -> bytes:
    members = b"%d" % len(value) if type(value) is list else canonical(jcs_order(value))
    root = merkle.root(unit_hashes(name, value, salts))
    return group_hash(salt, b"[%b]" % _text(name), members, root)


@lru_cache(maxsize=4_096)
def _text(name: str) -> bytes:
    return canonical(name)


def path_bytes(*path: str | int) -> bytes:
    """The JCS bytes of a node's path, such as ``["epcList",3]``."""
    return b"[%b]" % b",".join([b"%d" % part if type(part) is int else _text(str(part)) for part in path])
