"""The typed face of the chaincode: what Loomark asks of a channel, and nothing else of Hyperledger Fabric.

A `Channel` asks one peer and believes it no more than one peer: `confirm` asks several organisations' peers what became
of a transaction, and names who says something else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_HISTORY: Final = 100


@dataclass(frozen=True, slots=True)
class Organisation:
    """What an organisation registered: its MSP id, its logs' vkeys by origin, and its cosigner's vkey."""

    msp: str
    origins: Mapping[str, tuple[str, ...]]
    cosigner: str


@dataclass(frozen=True, slots=True)
class Anchored:
    """A checkpoint that the channel accepted.

    ``note`` is the log's checkpoint with the log's own verified lines only; ``proof`` (32-byte hashes) showed that the
    tree of ``size`` entries with ``root`` extends the one of ``start`` entries.
    """

    origin: str
    size: int
    root: bytes
    msp: str
    start: int
    note: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction that the asked peer says is valid, and the number of its block. ``code`` is ``VALID``."""

    tx_id: str
    block: int
    code: str


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """An event of a transaction that the asked peer says is valid; (``block``, ``tx_id``) is where to resume after."""

    name: str
    block: int
    tx_id: str
    payload: Mapping[str, Any]


class Channel:
    """One channel's chaincode by way of one peer. Safe to share by threads; every call has a deadline.

    Every method raises :class:`NetworkAway`, :class:`BadAnswer`, :class:`IdentityRefused` and
    :class:`ChaincodeRefused`; those that return :class:`Committed` also raise :class:`OutcomeUnknown`,
    :class:`Invalidated` and its :class:`Conflict`.
    """

    def organisations(self) -> list[Organisation]:
        """Every registered organisation, by MSP id."""
        raise NotImplementedError

    def register(self, origins: Mapping[str, Sequence[str]], cosigner: str) -> Committed:
        """Register the caller's organisation: vkeys by origin, and its cosigner's vkey. Needs an admin's identity."""
        raise NotImplementedError

    def latest(self, origin: str) -> tuple[int, bytes] | None:
        """Size and root of the newest accepted checkpoint; None where there is none."""
        raise NotImplementedError

    def at(self, origin: str, size: int) -> Anchored | None:
        """The accepted checkpoint of exactly that size; None where there is none."""
        raise NotImplementedError

    def history(self, origin: str, after: int = 0, limit: int = MOST_HISTORY) -> list[Anchored]:
        """Accepted checkpoints larger than ``after``, smallest first, at most ``limit`` (1-100) of them."""
        raise NotImplementedError

    def submit(self, note: bytes, proof: Sequence[bytes]) -> Committed:
        """Submit a checkpoint with its consistency proof from the latest accepted one; empty for the first."""
        raise NotImplementedError

    def cosign(self, origin: str, size: int, line: bytes) -> Committed:
        """Add the organisation's cosignature line to an accepted checkpoint."""
        raise NotImplementedError

    def cosignatures(self, origin: str, size: int) -> dict[str, bytes]:
        """The cosignature lines of an accepted checkpoint, by MSP id."""
        raise NotImplementedError

    def events(self, after: tuple[int, str] | None, *, stop: threading.Event) -> Iterator[ChannelEvent]:
        """Events after (block, transaction id), or all from the first block for None, until ``stop`` is set.

        Reconnects and resumes by itself; yields no event twice, and ends only by ``stop``.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the connection; calls that wait end with :class:`NetworkAway`."""
        raise NotImplementedError
