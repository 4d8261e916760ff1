"""What a contract sees of the channel while one transaction is simulated, and what it answers.

The shim gives each handler a :class:`Stub`; tests give another one. A stub belongs to one transaction and one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

OK = 200
INTERNAL_ERROR = 500


@dataclass(frozen=True, slots=True)
class Creator:
    """Who signed the proposal, as the peer has checked it: its MSP's id and its certificate in PEM."""

    msp: str
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one transaction: ``status`` 200 with a payload, or 400 and above with a message.

    A peer endorses nothing that is answered with 400 or above, so what such a transaction wrote is dropped.
    """

    status: int
    payload: bytes = b""
    message: str = ""


class Stub(Protocol):
    """One transaction on one channel.

    State is that of the last committed block: :meth:`get_state` does not see what the same transaction wrote. Every
    read is recorded with its version, and at commit the transaction is void when one of them changed since. What is
    written takes effect at commit and in the order of the calls, and a transaction has at most one event, the last
    that was set. Any method may raise an error of the stub's own when the peer is gone or cannot answer; a handler then
    answers 500 or lets it pass.
    """

    @property
    def args(self) -> Sequence[bytes]:
        """What the client sent: the function's name, then its arguments, of any size and content."""

    @property
    def channel(self) -> str:
        """The channel's name."""

    @property
    def tx_id(self) -> str:
        """The transaction's id."""

    @property
    def timestamp_ms(self) -> int:
        """The time in the proposal, in milliseconds since 1970: what the client's clock showed, and no more."""

    @property
    def creator(self) -> Creator:
        """Who signed the proposal."""

    def get_state(self, key: str) -> bytes | None:
        """The committed value under a key, None where there is none."""

    def put_state(self, key: str, value: bytes) -> None:
        """Write a value, which is not empty."""

    def get_state_by_range(self, start: str, end: str, page_size: int = 0) -> Iterator[tuple[str, bytes]]:
        """The committed keys from ``start`` up to and without ``end`` with their values, in the order of UTF-8.

        With a ``page_size`` it ends after so many, and such a transaction may write nothing. Without it the peer checks
        at commit that the range still holds the same keys. It may be left before its end.
        """

    def set_event(self, name: str, payload: bytes) -> None:
        """Set the transaction's event; it is told to those who listen once the transaction is committed."""


Handler: TypeAlias = Callable[[Stub], Response]
"""Answers one transaction. It may run in many threads at once, each with a stub of its own."""
