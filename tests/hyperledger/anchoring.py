"""A channel in memory that runs the real chaincode, logs in real folders, and organisations that anchor and cosign.

    channel = MemoryChannel()
    one = Member(channel, "Org1MSP", tmp_path / "one")
    one.register(); one.grow(5); one.settle()

Every peer's simulation is one here; reads are checked at commit as a peer does (MVCC), and events come in order, each once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaincode import Creator, Response, dispatch
from ledger import merkle
from ledger.canonical import canonical
from ledger.checkpoint import Checkpoint, checkpoint_of
from ledger.ed25519 import SigningKey
from ledger.errors import NotFound
from ledger.hyperledger.anchor.cosigner import Cosigner
from ledger.hyperledger.anchor.cosigner_key import cosigner_vkey
from ledger.hyperledger.anchor.follow import Follower
from ledger.hyperledger.anchor.published import OwnLog
from ledger.hyperledger.anchor.quorum import POLICY_FILE, Collector
from ledger.hyperledger.anchor.store import AnchorStore
from ledger.hyperledger.anchor.submit import Step, Submitter
from ledger.hyperledger.channel import Channel, ChannelEvent, Committed, RawEvent
from ledger.hyperledger.connection import Anchoring, Followed, Peer, Profile
from ledger.hyperledger.errors import ChaincodeRefused, Conflict, NetworkAway, OutcomeUnknown
from ledger.log.durable import DiskFiles
from ledger.log.edge import Edge
from ledger.log.publish import Publisher
from ledger.note import ED25519, Note, VerifierKey, parse_note
from ledger.tile import Tile
from tests.chaincode.memory import MemoryStub, certificate, seeded

Fault = Callable[[str, str], None]
"""Called with a step and its place (`before` it took effect, `after`); it may raise."""


def no_fault(step: str, place: str) -> None:
    """Nothing fails."""


@dataclass
class MemoryChannel:
    """The state of one channel, its blocks of one transaction each, and what goes wrong with it.

    `race` is called once between the simulation of a transaction and its commit.
    """

    state: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    events: list[RawEvent] = field(default_factory=list)
    transactions: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False
    race: Callable[[], object] | None = None
    handler: Callable[[MemoryStub], Response] = dispatch
    changed: threading.Condition = field(default_factory=threading.Condition)

    def simulate(self, creator: Creator, function: str, args: Sequence[bytes]) -> tuple[bytes, MemoryStub]:
        """What a peer's chaincode answers; raises its refusal."""
        if self.away:
            raise NetworkAway("the network is away")
        stub = MemoryStub(dict(self.state), [function.encode(), *args], creator)
        response = self.handler(stub)
        if response.status >= 400:
            rule, _, reason = response.message.partition(": ")
            raise ChaincodeRefused(response.status, rule, reason)
        return response.payload, stub

    def transact(self, creator: Creator, function: str, args: Sequence[bytes]) -> Committed:
        """Simulate, order, check what was read, commit."""
        with self.changed:
            read_at = dict(self.versions)
            _, stub = self.simulate(creator, function, args)
        if self.race is not None:
            race, self.race = self.race, None
            race()
        with self.changed:
            block = len(self.transactions) + 1
            tx_id = f"{block:064x}"
            if any(self.versions.get(key) != read_at.get(key) for key in stub.reads):
                self.transactions.append((function, "MVCC_READ_CONFLICT"))
                raise Conflict(tx_id, block, "MVCC_READ_CONFLICT")
            for key, value in stub.writes:
                self.state[key] = value
                self.versions[key] = block
            self.transactions.append((function, "VALID"))
            if stub.event is not None:
                self.events.append(RawEvent(stub.event[0], block, tx_id, stub.event[1]))
            self.changed.notify_all()
        return Committed(tx_id, block, "VALID")

    def valid(self, function: str) -> int:
        """How many transactions of a function took effect."""
        return self.transactions.count((function, "VALID"))


class MemoryGateway:
    """One organisation's peer (`ledger.hyperledger.channel.PeerGateway`). `fault` may fail each call, twice."""

    def __init__(
        self, channel: MemoryChannel, msp: str, unit: str = "client", fault: Fault = no_fault
    ) -> None:
        self.channel = channel
        self.creator = Creator(msp, certificate(msp, unit))
        self.fault = fault
        self.closed = threading.Event()

    def evaluate(self, function: str, args: Sequence[bytes]) -> bytes:
        self.fault(function, "before")
        return self.channel.simulate(self.creator, function, args)[0]

    def transact(self, function: str, args: Sequence[bytes]) -> Committed:
        self.fault(function, "before")
        done = self.channel.transact(self.creator, function, args)
        self.fault(function, "after")
        return done

    def outcome(self, tx_id: str) -> Committed:
        raise OutcomeUnknown("nobody asks this in these tests", tx_id)

    def events(self, after: tuple[int, str] | None, stop: threading.Event) -> Iterator[RawEvent]:
        at = 0 if after is None else after[0]
        while not (stop.is_set() or self.closed.is_set()):
            with self.channel.changed:
                found = [one for one in self.channel.events if one.block > at and not self.channel.away]
                if not found:
                    self.channel.changed.wait(0.05)
            for one in found:
                yield one
                at = one.block

    def close(self) -> None:
        self.closed.set()


class GrowingLog:
    """A log in a folder as a node publishes it. Leaf `i` hashes `history` and `i`: two names are two histories."""

    def __init__(self, folder: Path, origin: str, key: SigningKey, history: str = "main") -> None:
        self.folder = folder
        self.origin = origin
        self.key = key
        self._history = history
        self._edge = Edge()
        self._leaves: list[bytes] = []
        self._publisher = Publisher(folder / "log", folder / "high-water", key)

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.origin, ED25519, self.key.public_bytes)

    def grow(self, count: int) -> bytes:
        """Publish this many entries more; the note."""
        for _ in range(count):
            data = f"{self._history} {len(self._leaves)}".encode()
            leaf = merkle.leaf_hash(data)
            self._leaves.append(leaf)
            self._edge.append(leaf, data)
        return self.publish()

    def publish(self) -> bytes:
        head = Checkpoint(self.origin, self._edge.size, self._edge.frontier.root())
        return self._publisher.publish(head, self._edge.take_growth()).note

    def root(self, size: int) -> bytes:
        return merkle.root(self._leaves[:size])


class FolderSource:
    """`ledger.monitor.LogSource` of a folder, as a server would show it; `refuses` makes it answer nothing."""

    refuses = False

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        self.files = DiskFiles()

    def __enter__(self) -> FolderSource:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def checkpoint(self) -> bytes:
        return self._read("checkpoint")

    def tile(self, tile: Tile) -> bytes:
        if tile.level == "entries":
            raise NotFound("entries are not shown", rule="unauthenticated")
        return self._read(f"tile/{tile.path}")

    def _read(self, name: str) -> bytes:
        data = None if self.refuses else self.files.read(self._log / name)
        if data is None:
            raise NotFound("not shown", rule="not-shown")
        return data


@dataclass
class Clock:
    """A clock that moves when it is told to; seconds."""

    now_s: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Member:
    """One organisation: its log's folder, its keys, and the anchor's parts over the channel, driven step by step."""

    def __init__(
        self,
        channel: MemoryChannel,
        msp: str,
        folder: Path,
        anchoring: Anchoring | None = None,
        *,
        fault: Fault = no_fault,
        history: str = "main",
    ) -> None:
        self.network = channel
        self.msp = msp
        self.folder = folder
        self.origin = f"log.example/{msp.lower()}"
        self.anchoring = anchoring or Anchoring(every=1, seconds=5.0)
        self.cosigner_key = seeded(f"cosigner {msp}")
        self.clock = Clock()
        self.fault = fault
        self.log = GrowingLog(folder, self.origin, seeded(f"log {msp}"), history)
        self.gateway = MemoryGateway(channel, msp, fault=fault)
        self.open()

    def open(self) -> None:
        """Start the anchor's parts from what the folder has."""
        self.store = AnchorStore(self.folder / "hyperledger" / "anchor.db")
        self.channel = Channel(self.gateway)
        self.own = OwnLog(self.folder / "log")
        clock = self.clock
        self.submitter = Submitter(
            self.store,
            self.channel,
            self.own,
            self.anchoring,
            monotonic_s=clock,
            clock_ms=lambda: int(clock() * 1000),
        )
        self.cosigner = Cosigner(
            self.store,
            self.channel,
            self.msp,
            self.cosigner_key,
            clock_s=lambda: int(clock()),
            evidence=self.folder / "evidence",
        )
        self.collector = Collector(
            self.store,
            self.channel,
            self.own,
            self.origin,
            self.msp,
            self.anchoring,
            self.folder / "hyperledger",
        )

    def die(self) -> None:
        """End as after a kill: nothing is finished; what was not committed is gone."""
        self.store.close()

    def register(self, cosigner: SigningKey | None = None) -> None:
        vkey = cosigner_vkey(self.msp, cosigner or self.cosigner_key)
        registration = canonical({"origins": {self.origin: [self.log.vkey.text()]}, "cosigner": vkey})
        admin = Creator(self.msp, certificate(self.msp, "admin"))
        self.network.transact(admin, "organisations:register", [registration])

    def grow(self, count: int) -> bytes:
        """Publish entries, and let the anchor look."""
        note = self.log.grow(count)
        self.submitter.look()
        return note

    def submit(self) -> list[Step]:
        """Settle the whole backlog; the steps it took."""
        steps: list[Step] = []
        while (step := self.submitter.step()) is not Step.IDLE:
            steps.append(step)
            assert len(steps) < 10_000
        return steps

    def watch(self) -> None:
        """Deal with the events that are there, as the loop does, and send the lines."""
        self.cosigner.require_registered()
        self.collector.learn()
        with self.store.turn() as turn:
            position = turn.position()
        last = 0 if position is None else position[0]
        for raw in [one for one in self.network.events if one.block > last]:
            self.take(event_of(raw))
        while self.cosigner.send():
            pass
        self.collector.gather()

    def take(self, event: ChannelEvent) -> None:
        if event.name == "checkpoint":
            self.cosigner.take(event)
        elif event.payload["origin"] == self.origin:
            self.collector.gather_at(event.payload["size"])
        with self.store.turn() as turn:
            turn.move(event.block, event.tx_id)

    def anchored(self) -> tuple[Checkpoint, Note] | None:
        """The checkpoint in `log/anchored`, if any."""
        found = self.own.anchored()
        return None if found is None else (found[0], parse_note(found[1]))

    def policy(self) -> str:
        """The policy that an auditor pins: this log, and the organisations."""
        orgs = (self.folder / "hyperledger" / POLICY_FILE).read_text()
        return f"log {self.log.vkey.text()}\n{orgs}"

    def lines(self, size: int) -> list[str]:
        """Which organisations cosigned this log at a size, on the channel."""
        return sorted(self.channel.cosignatures(self.origin, size))

    def follower(self, other: Member, shown: Path | None = None) -> Follower:
        """This organisation's follower of another one's log, which a server shows from a folder."""
        followed = Followed(other.origin, "http://node.example")
        source = FolderSource(shown or other.folder)
        return Follower(
            followed,
            self.folder / "hyperledger",
            [other.log.vkey.text()],
            self.store,
            self.channel,
            lambda _url, _key: source,
            lambda: int(self.clock() * 1000),
        )


def event_of(raw: RawEvent) -> ChannelEvent:
    """An event as the channel's face gives it."""
    from ledger.canonical import parse_json

    return ChannelEvent(raw.name, raw.block, raw.tx_id, parse_json(raw.payload))


def members(
    folder: Path, *msps: str, anchoring: Anchoring | None = None
) -> tuple[MemoryChannel, list[Member]]:
    """A channel on which these organisations are registered."""
    channel = MemoryChannel()
    found = [Member(channel, msp, folder / msp, anchoring) for msp in msps]
    for one in found:
        one.register()
    return channel, found


def profile_of(msp: str, anchoring: Anchoring, follow: Sequence[Followed] = ()) -> Profile:
    """A profile that no gateway is opened by."""
    source = Path("profile.toml")
    return Profile(
        source,
        "loomark",
        "loomark",
        msp,
        source,
        Peer("127.0.0.1:1", msp),
        anchor=anchoring,
        follow=tuple(follow),
    )


def until(true: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    """Wait for a loop in another thread; it fails loudly when that never comes."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def size_of(note: bytes) -> int:
    return checkpoint_of(parse_note(note)).size
