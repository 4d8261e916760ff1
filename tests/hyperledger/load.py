"""Several logs that grow and are anchored all the time, by the anchor's own durable backlog, whatever the network does.

with Load(network, folder, origins=4) as load:
    network.stop("orderer1", kill=True)
    network.start("orderer1")
load.require_whole(everywhere)
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Final

from compose.network import Network
from ledger.ed25519 import SigningKey
from ledger.errors import Unavailable
from ledger.hyperledger.anchor.published import OwnLog
from ledger.hyperledger.anchor.store import AnchorStore
from ledger.hyperledger.anchor.submit import Step, Submitter
from ledger.hyperledger.channel import Channel, ChannelEvent
from ledger.hyperledger.connection import Anchoring, load_profile
from ledger.hyperledger.gateway import Patience, open_channel

from .anchoring import GrowingLog, size_of, until
from .consortium import Consortium
from .everywhere import Everywhere

# Short waits between tries: each failure here is met by asking the channel what it has, and going on from there.
PATIENCE: Final = Patience(evaluate_s=30, endorse_s=30, submit_s=4, commit_s=4, away_s=0.5)
DRAIN_S: Final = 120.0


class Growing:
    """One log: a thread publishes checkpoints, another one settles the backlog. `failures` is what the network said."""

    def __init__(self, folder: Path, origin: str, channel: Channel, every_s: float) -> None:
        self.log = GrowingLog(folder, origin, SigningKey(secrets.token_bytes(32)))
        self.sizes: list[int] = []
        self.failures: Counter[str] = Counter()
        self.broken: list[BaseException] = []
        self._every_s = every_s
        self._over = threading.Event()
        self._store = AnchorStore(folder / "hyperledger" / "anchor.db")
        self._submitter = Submitter(
            self._store,
            channel,
            OwnLog(folder / "log"),
            Anchoring(every=1),
            monotonic_s=time.monotonic,
            clock_ms=lambda: time.time_ns() // 1_000_000,
        )
        self._threads = [
            threading.Thread(target=self._run, args=(one,)) for one in (self._grow, self._settle)
        ]

    @property
    def backlog(self) -> int:
        with self._store.turn() as turn:
            return turn.backlog()

    @property
    def settled(self) -> int:
        """How many checkpoints the channel has taken, as far as is known."""
        return len(self.sizes) - self.backlog

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Publish no more, and end once the backlog is empty."""
        self._over.set()
        for thread in self._threads:
            thread.join(DRAIN_S)
        assert not any(thread.is_alive() for thread in self._threads), dict(self.failures)
        assert not self.broken, self.broken
        assert self.backlog == 0
        self._store.close()

    def _run(self, work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            self.broken.append(error)
            self._over.set()

    def _grow(self) -> None:
        while not self._over.wait(self._every_s):
            note = self.log.grow(1 + len(self.sizes) % 3)
            self._submitter.look()
            self.sizes.append(size_of(note))

    def _settle(self) -> None:
        end = time.monotonic() + DRAIN_S
        while time.monotonic() < end and not self.broken:
            try:
                step = self._submitter.step()
            except Unavailable as error:
                self.failures[type(error).__name__] += 1
                time.sleep(0.2)
                continue
            if step is Step.IDLE:
                if self._over.is_set() and not self._threads[0].is_alive():
                    return
                time.sleep(0.02)


class Load:
    """Logs of one organisation, registered beside what it has, that grow from `start` on until `finish`."""

    def __init__(
        self, network: Network, folder: Path, *, origins: int = 4, number: int = 1, every_s: float = 0.3
    ) -> None:
        self.number = number
        self._channel = open_channel(load_profile(network.profile(number)), patience=PATIENCE)
        names = [f"log-{secrets.token_hex(6)}.example" for _ in range(origins)]
        self.logs = [Growing(folder / name, name, self._channel, every_s) for name in names]
        with Consortium(
            "real", lambda _, admin: load_profile(network.profile(number, admin=admin))
        ).closing() as c:
            admin, msp = c.channel(admin=True), f"Org{number}MSP"
            known = {each.msp: dict(each.origins) for each in admin.organisations()}
            mine = {each.log.origin: (each.log.vkey.text(),) for each in self.logs}
            admin.register({**known.get(msp, {}), **mine}, c.cosigner_vkey(msp))

    def __enter__(self) -> Load:
        for each in self.logs:
            each.start()
        self.wait_for_more()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        try:
            for each in self.logs:
                each.finish()
        finally:
            self._channel.close()

    def wait_for_more(self, count: int = 3) -> None:
        """Wait until so many more checkpoints of each log are on the channel."""
        wanted = [each.settled + count for each in self.logs]
        until(
            lambda: (
                any(each.broken for each in self.logs)
                or all(each.settled >= least for each, least in zip(self.logs, wanted, strict=True))
            ),
            f"{count} more checkpoints of each log are accepted",
            DRAIN_S,
        )

    def wait_for_backlog(self, count: int = 3) -> None:
        """Wait until each log has so many checkpoints that the network does not take."""
        until(lambda: all(each.backlog >= count for each in self.logs), "backlogs grow", DRAIN_S)

    def failures(self) -> Counter[str]:
        """What the network said while it could not, by kind."""
        return sum((each.failures for each in self.logs), Counter())

    def require_whole(self, everywhere: Everywhere) -> None:
        """Each published checkpoint is on the channel once, in order, each grown out of the one before, on every peer."""
        for each in self.logs:
            seen = everywhere.seen(each.log.origin)
            assert seen.sizes == each.sizes
            assert [one.start for one in seen.history] == [0, *each.sizes[:-1]]
            assert [one.root for one in seen.history] == [each.log.root(size) for size in each.sizes]
            assert seen.latest == (each.sizes[-1], each.log.root(each.sizes[-1]))
        wanted = {each.log.origin: each.sizes for each in self.logs}
        for number in everywhere.network.state.members():
            assert announced(everywhere.channel(number), wanted) == wanted


def announced(channel: Channel, wanted: dict[str, list[int]]) -> dict[str, list[int]]:
    """The sizes that a peer's events tell of some logs, from the first block up to the last one of each."""
    found: dict[str, list[int]] = {origin: [] for origin in wanted}
    stop = threading.Event()
    for event in channel.events(None, stop=stop):
        note_size(found, event)
        if all(found[origin][-1:] == sizes[-1:] for origin, sizes in wanted.items()):
            stop.set()
    return found


def note_size(found: dict[str, list[int]], event: ChannelEvent) -> None:
    """Add the size that an event announces, where it is of one of these logs."""
    if event.name == "checkpoint" and event.payload["origin"] in found:
        found[event.payload["origin"]].append(event.payload["size"])
