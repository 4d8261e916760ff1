"""What the anchor asks of a channel; :class:`ledger.hyperledger.channel.Channel` is one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from ..channel import Anchored, ChannelEvent, Committed, Organisation


class AnchorChannel(Protocol):
    """One channel by way of the organisation's own peer. Safe to share by threads.

    A call that returns :class:`Committed` has its effect on the channel once, and is durable there. One that raises
    `OutcomeUnknown` may have it yet; one that raises anything else has none. Nothing that is returned is trusted beyond
    "the organisation's own peer says so": notes, proofs and lines are verified here.
    """

    def organisations(self) -> list[Organisation]:
        """Every registered organisation."""

    def latest(self, origin: str) -> tuple[int, bytes] | None:
        """Size and root of the newest accepted checkpoint of a log."""

    def at(self, origin: str, size: int) -> Anchored | None:
        """The accepted checkpoint of exactly that size."""

    def history(self, origin: str, after: int = 0, limit: int = 100) -> list[Anchored]:
        """Accepted checkpoints larger than `after`, smallest first."""

    def submit(self, note: bytes, proof: Sequence[bytes]) -> Committed:
        """Submit a checkpoint with its consistency proof."""

    def cosign(self, origin: str, size: int, line: bytes) -> Committed:
        """Add the organisation's line to an accepted checkpoint."""

    def cosignatures(self, origin: str, size: int) -> dict[str, bytes]:
        """The lines under an accepted checkpoint, by MSP id."""

    def events(self, after: tuple[int, str] | None, *, stop: threading.Event) -> Iterator[ChannelEvent]:
        """Events of valid transactions in their order, each once, until `stop` is set."""

    def close(self) -> None:
        """Let go of the connection."""
