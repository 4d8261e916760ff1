"""Blocks of a channel, whole or filtered, as one peer delivers them.

A block says which transactions were **ordered and endorsed**, and its hash chain holds them in their order. Which of them
are valid is in its metadata, which each peer writes for itself and nobody signs: a code here is what this peer says, and
proves nothing to anybody else.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from . import wire
from .errors import BadAnswer
from .gateway import Gateway

# The place of the validation codes among a block's metadata (common.BlockMetadataIndex.TRANSACTIONS_FILTER).
_CODES: Final = 2


@dataclass(frozen=True, slots=True)
class BlockTransaction:
    """A transaction in a block: its id (empty for the channel's configuration) and the peer's code for it."""

    tx_id: str
    code: str
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A block whose data belongs to its header. ``header_hash`` is what the next block names as ``previous``."""

    number: int
    previous: bytes
    data_hash: bytes
    transactions: tuple[BlockTransaction, ...]

    @property
    def header_hash(self) -> bytes:
        """SHA-256 of the header as the protocol hashes it: DER of number, previous hash and data hash."""
        items = _der_integer(self.number) + _der(0x04, self.previous) + _der(0x04, self.data_hash)
        return hashlib.sha256(_der(0x30, items)).digest()


@dataclass(frozen=True, slots=True)
class FilteredBlock:
    """A block's number, and the ids of its transactions with the peer's code for each."""

    number: int
    transactions: tuple[tuple[str, str], ...]


def blocks(gateway: Gateway, first: int, last: int | None, *, stop: threading.Event) -> Iterator[Block]:
    """Blocks ``first`` to ``last``; for None as they come, until ``stop``.

    Each is checked against its header and against the block before it. Raises :class:`BadAnswer`,
    :class:`NetworkAway` and :class:`IdentityRefused`; who listens on asks again from the next number.
    """
    before: Block | None = None
    for message in gateway.blocks(wire.DELIVER, "block", first, last, stop):
        block = _block(message)
        _require_number(block.number, first)
        if before is not None and block.previous != before.header_hash:
            raise BadAnswer(f"expected block {block.number} to follow the block before it, got another")
        before, first = block, first + 1
        yield block


def filtered_blocks(
    gateway: Gateway, first: int, last: int | None, *, stop: threading.Event
) -> Iterator[FilteredBlock]:
    """As :func:`blocks`, without the transactions themselves; nothing ties these to a header."""
    for message in gateway.blocks(wire.DELIVER_FILTERED, "filtered_block", first, last, stop):
        block: Any = message
        _require_number(block.number, first)
        first += 1
        yield FilteredBlock(
            block.number,
            tuple(
                [(each.txid, wire.code_name(each.tx_validation_code)) for each in block.filtered_transactions]
            ),
        )


def _require_number(number: int, expected: int) -> None:
    if number != expected:
        raise BadAnswer(f"expected block {expected}, got {number}")


def _block(message: Any) -> Block:
    data = [*message.data.data]
    header = message.header
    if hashlib.sha256(b"".join(data)).digest() != header.data_hash:
        raise BadAnswer(f"expected the data of block {header.number} under its hash, got other data")
    metadata = message.metadata.metadata
    codes = metadata[_CODES] if len(metadata) > _CODES else b""
    if len(codes) != len(data):
        raise BadAnswer(f"expected a validation code for each transaction of block {header.number}")
    transactions = [
        BlockTransaction(wire.envelope_tx(envelope)[2], wire.code_name(code), envelope)
        for envelope, code in zip(data, codes, strict=True)
    ]
    return Block(header.number, header.previous_hash, header.data_hash, tuple(transactions))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    written = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(written)]) + written + content


def _der_integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))
