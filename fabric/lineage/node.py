"""Nodes as integers: a thing is its own id, the others are negative and tell their kind by two low bits.

Nothing is looked up or interned: a process is numbered by its record, a filling by carrier and number, and
a run of several events by 60 bits of a hash of member and transformationID.
"""

from __future__ import annotations

import hashlib
from typing import Final

from .derived import FillingNode, Node, ProcessNode, RunNode

_PROCESS: Final = 1
_RUN: Final = 2
_FILLING: Final = 3
_NUMBER_BITS: Final = 20


def node_id(node: Node) -> int:
    """The integer of a node whose things are integers."""
    if isinstance(node, int):
        return node
    if isinstance(node, ProcessNode):
        return -(node.record << 2 | _PROCESS)
    if isinstance(node, RunNode):
        text = f"{node.member}\0{node.transformation_id}".encode("utf-8", "surrogatepass")
        return -((int.from_bytes(hashlib.sha256(text).digest()[:8]) >> 4) << 2 | _RUN)
    if isinstance(node, FillingNode) and isinstance(node.carrier, int):
        return -((node.carrier << _NUMBER_BITS | node.number) << 2 | _FILLING)
    raise TypeError(f"expected a node over integers, got {type(node).__name__}")


def is_process(node: int) -> bool:
    """Whether a node is a process: passed through, never a member of an answer."""
    return node < 0 and (-node) & 3 != _FILLING


def is_filling(node: int) -> bool:
    """Whether a node is one use of a carrier."""
    return node < 0 and (-node) & 3 == _FILLING


def carrier_of(node: int) -> int:
    """The thing id of a filling's carrier."""
    return (-node) >> (2 + _NUMBER_BITS)
