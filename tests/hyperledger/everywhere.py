"""What every organisation's own peer says of a real channel, and that all of them say the same.

everywhere = Everywhere(network)
with everywhere.unchanged(log.origin):
    ...                                   # whatever is refused: no block, no key of this log, no registration
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from compose.network import Network
from compose.network.health import height_of_channel, height_of_peer
from ledger.hyperledger.channel import Anchored, Channel, Organisation
from ledger.hyperledger.connection import load_profile
from ledger.hyperledger.gateway import open_channel

from .anchoring import until
from .consortium import PATIENT, Log

_Said = TypeVar("_Said")


@dataclass(frozen=True)
class Seen:
    """One log on the channel: its newest size and root, its history, and who cosigned what, by size."""

    latest: tuple[int, bytes] | None
    history: tuple[Anchored, ...]
    cosignatures: tuple[tuple[int, tuple[str, ...]], ...]

    @property
    def sizes(self) -> list[int]:
        return [each.size for each in self.history]


@dataclass
class Everywhere:
    """The peers of a network's organisations, each asked by a client of its own organisation."""

    network: Network
    opened: dict[int, Channel] = field(default_factory=dict)

    def channel(self, number: int) -> Channel:
        """An organisation's own way to the channel; its admin's where the client is revoked."""
        if number not in self.opened:
            admin = number in self.network.state.revoked
            profile = load_profile(self.network.profile(number, admin=admin))
            self.opened[number] = open_channel(profile, patience=PATIENT)
        return self.opened[number]

    def settle(self) -> int:
        """Wait until every member's peer has what is ordered; how many blocks that is."""
        layout, members = self.network.layout, self.network.state.members()
        until(
            lambda: {height_of_peer(layout, number) for number in members} == {height_of_channel(layout)},
            "every peer has every block",
        )
        return height_of_channel(layout)

    def seen(self, origin: str) -> Seen:
        """One log, as all say; they have to agree."""
        return self._agreed(lambda channel: _seen(channel, origin))

    def organisations(self) -> list[Organisation]:
        """Who is registered, as all say."""
        return self._agreed(Channel.organisations)

    def _agreed(self, ask: Callable[[Channel], _Said]) -> _Said:
        """What every peer answers on one and the same block; asked again where the channel went on meanwhile."""
        while True:
            height = self.settle()
            said = {number: ask(self.channel(number)) for number in self.network.state.members()}
            first, *others = said.values()
            if others == [first] * len(others):
                return first
            assert self.settle() != height, f"the peers disagree: {said}"

    @contextmanager
    def unchanged(self, *origins: str, blocks: int = 0) -> Iterator[None]:
        """Whatever is done here leaves these logs and all registrations as they are, and orders so many blocks."""
        before = self._all(origins)
        height = self.settle()
        yield
        assert self.settle() == height + blocks
        assert self._all(origins) == before

    def _all(self, origins: Sequence[str]) -> object:
        return [self.seen(each) for each in origins], self.organisations()

    def close(self) -> None:
        for each in self.opened.values():
            each.close()


def _seen(channel: Channel, origin: str) -> Seen:
    history: list[Anchored] = []
    while page := channel.history(origin, history[-1].size if history else 0):
        history += page
    lines = [(each.size, tuple(sorted(channel.cosignatures(origin, each.size)))) for each in history]
    return Seen(channel.latest(origin), tuple(history), tuple(lines))


def is_one_chain(seen: Seen, log: Log) -> bool:
    """Whether a log's history is this log's own, each checkpoint grown out of the one before, the newest last."""
    starts = [0, *seen.sizes[:-1]]
    newest = (seen.history[-1].size, seen.history[-1].root) if seen.history else None
    return (
        [each.start for each in seen.history] == starts
        and [each.root for each in seen.history] == [log.root(size) for size in seen.sizes]
        and seen.latest == newest
    )
