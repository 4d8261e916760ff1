"""Anchors as processes of their own on a real network: killed, cut off, lied to, and run twice on one log."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api.cli.log_http import HttpLog
from compose.network import Network, Topology
from ledger.canonical import canonical
from ledger.ed25519 import SigningKey
from ledger.hyperledger.anchor.companion import AnchorProcess, AnchorSettings
from ledger.hyperledger.anchor.cosigner_key import COSIGNER_FILE
from ledger.hyperledger.anchor.published import OwnLog
from ledger.hyperledger.anchor.status import FOLDER, health
from ledger.hyperledger.channel import Channel
from ledger.hyperledger.connection import Profile, load_profile
from ledger.hyperledger.gateway import Gateway, Patience, open_channel
from ledger.keyfile import write_key_file
from ledger.note import COSIGNATURE, VerifierKey, parse_note, verify_note
from ledger.shape import base64_text
from tests.hyperledger.anchoring import GrowingLog, size_of, until
from tests.hyperledger.consortium import ONE, TWO, Consortium
from tests.hyperledger.everywhere import Everywhere
from tests.hyperledger.load import announced
from tests.hyperledger.middleman import before_peer

LENIENT = (sys.executable, "-m", "tests.hyperledger.lenient")
ANCHOR = "[anchor]\nevery = 1\nseconds = 0.5\nquorum = 2\n"
PATIENCE_S = 120.0


def hasty_channel(profile: Profile) -> Channel:
    """A channel whose anchor hears soon that the network is away."""
    return open_channel(profile, patience=Patience(submit_s=5, commit_s=10, away_s=1))


class House:
    """One organisation's data folder with a log that grows, and the anchor's process beside it."""

    def __init__(
        self, network: Network, number: int, folder: Path, origin: str, history: str = "main"
    ) -> None:
        self.number = number
        self.msp = f"Org{number}MSP"
        self.folder = folder
        self.sizes: list[int] = []
        key = SigningKey(hashlib.sha256(origin.encode()).digest())
        self.log = GrowingLog(folder, origin, key, history)
        self.cosigner = SigningKey(hashlib.sha256(f"cosigner {self.msp}".encode()).digest())
        (folder / "keys").mkdir()
        write_key_file(folder / "keys" / COSIGNER_FILE, self.cosigner, None)
        self.process = AnchorProcess(
            AnchorSettings(folder, origin, self.profile(network), HttpLog, open_channel=hasty_channel)
        )

    def profile(self, network: Network) -> Path:
        """The organisation's profile, with a pace for tests."""
        plain = network.profile(self.number)
        path = plain.with_name(f"{self.folder.name}.toml")
        path.write_text(plain.read_text().partition("[anchor]")[0] + ANCHOR)
        return path

    def grow(self, count: int = 1) -> None:
        self.sizes.append(size_of(self.log.grow(count)))

    def kill(self) -> None:
        """As nothing else ends a process."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        until(lambda: not self.process.is_alive(), "the anchor is dead", PATIENCE_S)

    def told(self) -> dict[str, Any]:
        """The anchor's part of the node's state."""
        return health(self.folder / FOLDER, self.log_size, time.time_ns() // 1_000_000)

    @property
    def log_size(self) -> int:
        return self.sizes[-1] if self.sizes else 0

    def wait_cosigned(self) -> None:
        """Wait until the newest checkpoint has the organisations' quorum and nothing is on its way."""

        def is_done() -> bool:
            told = self.told()
            return told["lag"] == 0 and not told.get("backlog", 1) and not told.get("unsent", 1)

        until(is_done, f"{self.msp} cosigned {self.log_size}", PATIENCE_S)

    def wait_for_backlog(self, count: int) -> None:
        """Wait until the anchor says that so many checkpoints wait."""
        until(lambda: self.told().get("backlog") == count, f"{count} checkpoints wait", PATIENCE_S)


@pytest.fixture(scope="module")
def network(
    hyperledger_programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """Two organisations and one orderer; each test leaves all of it running."""
    made = Network(tmp_path_factory.mktemp("anchored") / "network")
    made.up(Topology())
    try:
        yield made
    finally:
        made.down(delete=True)


@pytest.fixture
def everywhere(network: Network) -> Iterator[Everywhere]:
    asked = Everywhere(network)
    yield asked
    asked.close()


@pytest.fixture
def houses(network: Network, tmp_path: Path) -> Iterator[list[House]]:
    """Both organisations, registered, each with a log of this test's own; their anchors do not run yet."""
    if not all(alive for alive, _ in network.status().values()):
        network.up()
    made = []
    for number in (1, 2):
        folder = tmp_path / f"{tmp_path.name}-{number}"
        folder.mkdir()
        made.append(House(network, number, folder, f"log-{folder.name}.example"))
    register(network, made)
    with ExitStack() as running:
        for house in made:
            running.callback(house.process.stop)
        yield made


def consortium_of(network: Network) -> Consortium:
    def profile(msp: str, admin: bool) -> Profile:
        return load_profile(network.profile(int(msp[3]), admin=admin))

    return Consortium("real", profile)


def register(network: Network, houses: list[House]) -> None:
    with consortium_of(network).closing() as consortium:
        for house in houses:
            admin = consortium.channel(house.msp, admin=True)
            known = {each.msp: dict(each.origins) for each in admin.organisations()}.get(house.msp, {})
            listed = {**known, house.log.origin: (house.log.vkey.text(),)}
            consortium.settle(admin.register(listed, consortium.cosigner_vkey(house.msp)))


def begin(houses: list[House]) -> None:
    """Start the anchors, and wait until each log has its first checkpoint anchored."""
    for house in houses:
        house.grow()
        house.process.start()
    for house in houses:
        house.wait_cosigned()


def require_anchored(
    everywhere: Everywhere, house: House, houses: list[House], *, every: bool = False
) -> None:
    """One chain of checkpoints of the log, the newest last; each cosigned once by both; the file that shows it verifies."""
    seen = everywhere.seen(house.log.origin)
    assert set(seen.sizes) == set(house.sizes) if every else set(seen.sizes) <= set(house.sizes)
    assert seen.latest == (house.log_size, house.log.root(house.log_size))
    assert [each.start for each in seen.history] == [0, *seen.sizes[:-1]]
    assert [each.root for each in seen.history] == [house.log.root(size) for size in seen.sizes]
    both = tuple(sorted(each.msp for each in houses))
    assert seen.cosignatures == tuple((size, both) for size in seen.sizes)
    for number in everywhere.network.state.members():
        told = announced(everywhere.channel(number), {house.log.origin: seen.sizes})
        assert told == {house.log.origin: seen.sizes}
    found = OwnLog(house.folder / "log").anchored()
    assert found is not None
    assert (found[0].size, found[0].root) == seen.latest
    keys = [VerifierKey(each.msp, COSIGNATURE, each.cosigner.public_bytes) for each in houses]
    assert len(verify_note(parse_note(found[1]), keys)) == 2


def test_anchors_killed_while_they_submit_and_cosign_lose_and_double_nothing(
    everywhere: Everywhere, houses: list[House], seed: int
) -> None:
    chance = random.Random(seed)
    begin(houses)
    for number in range(4):
        for _ in range(chance.randint(1, 12)):
            for house in houses:
                house.grow()
            time.sleep(0.1)
        victim = houses[number % 2]
        victim.kill()
        victim.process.start()
    for house in houses:
        house.grow()
    for house in houses:
        house.wait_cosigned()
        require_anchored(everywhere, house, houses)


def test_a_backlog_shows_as_lag_while_the_network_is_away_and_drains_in_order(
    network: Network, everywhere: Everywhere, houses: list[House]
) -> None:
    one, two = houses
    begin(houses)
    for name in ("orderer1", "peer1"):
        network.stop(name, kill=True)
    for number in range(8):
        one.grow(1 + number % 3)
        one.wait_for_backlog(number + 1)
    until(lambda: not one.told()["healthy"], "the anchor says that it does not get on", PATIENCE_S)
    told = one.told()
    assert told["lag"] == one.log_size - 1
    assert (told["backlog"], told["onChannel"]) == (8, 1)
    assert any("submit: network-away" in reason for reason in told["reasons"])
    # It is killed while it waits: the backlog is on its disk.
    one.kill()
    network.start("peer1")
    network.start("orderer1")
    one.process.start()
    one.wait_cosigned()
    until(lambda: one.told()["healthy"], "the anchor is well again", PATIENCE_S)
    require_anchored(everywhere, one, houses, every=True)
    two.grow()
    two.wait_cosigned()
    require_anchored(everywhere, two, houses)


def test_a_peer_that_swallows_what_it_calls_valid_delays_a_log_and_hides_nothing(
    network: Network, everywhere: Everywhere, houses: list[House]
) -> None:
    one = houses[0]
    with before_peer(network, 1) as (middleman, lied_to):
        text = (plain := one.profile(network)).read_text()
        plain.write_text(text.replace(load_profile(plain).peer.endpoint, lied_to.peer.endpoint))
        begin(houses)
        with everywhere.unchanged(one.log.origin):
            middleman.swallows = True
            one.grow()
            until(lambda: one.told()["onChannel"] == 2, "the anchor believes its own peer", PATIENCE_S)
        # The other organisation knows of no such checkpoint, so it has no quorum, and the node's lag says so.
        told = one.told()
        assert (told["lag"], told["cosigned"], told["backlog"]) == (1, 1, 0)
        found = OwnLog(one.folder / "log").anchored()
        assert found is not None
        assert found[0].size == 1
        middleman.swallows = False
        one.grow()
        one.wait_cosigned()
        one.process.stop()
    assert everywhere.seen(one.log.origin).sizes == [1, 3]
    require_anchored(everywhere, one, houses)


def test_of_two_nodes_with_one_logs_key_and_two_histories_one_is_anchored_and_the_other_says_why_not(
    network: Network, everywhere: Everywhere, houses: list[House], tmp_path: Path
) -> None:
    one, two = houses
    (tmp_path / "clone").mkdir()
    clone = House(network, 1, tmp_path / "clone", one.log.origin, history="clone")
    for house in (one, clone):
        house.grow(3)
    two.grow()
    try:
        for house in (one, clone, two):
            house.process.start()
        until(
            lambda: any("submit: " in reason for house in (one, clone) for reason in house.told()["reasons"]),
            "one of the two is refused",
            PATIENCE_S,
        )
        winner, loser = (
            (one, clone) if everywhere.seen(one.log.origin).latest == (3, one.log.root(3)) else (clone, one)
        )
        for house in (loser, winner):
            house.grow(2)
        winner.wait_cosigned()
        loser.grow(9)
        loser.wait_for_backlog(3)
        told = loser.told()
        assert not told["healthy"]
        assert any("fork" in reason for reason in told["reasons"])
        winner.grow(1)
        winner.wait_cosigned()
    finally:
        clone.process.stop()
    require_anchored(everywhere, winner, [one, two])
    assert everywhere.seen(one.log.origin).sizes == [3, 5, 6]
    assert not (loser.folder / "log" / "anchored").exists()


def test_a_fork_that_a_dishonest_majority_has_the_channel_accept_gets_no_line_of_the_others(
    network_of: Callable[..., Network], tmp_path: Path
) -> None:
    network = network_of(orgs=3)
    everywhere = Everywhere(network)
    (tmp_path / "third").mkdir()
    third = House(network, 3, tmp_path / "third", "third.example")
    register(network, [third])
    with consortium_of(network).closing() as consortium:
        [log] = consortium.logs()
        consortium.channel().submit(log.note(3), [])
        third.process.start()
        try:
            until(lambda: ("Org3MSP",) in dict(everywhere.seen(log.origin).cosignatures).values(), "its line")
            for name in ("chaincode1", "chaincode2"):
                network.stop(name, kill=True)
                Network(network.folder, chaincode=LENIENT).start(name)
            submit_as(consortium.gateway(), [ONE, TWO], log.note(5, "fork"), log.proof(3, 5, "fork"))
            until(lambda: not third.told()["healthy"], "the third organisation says so", PATIENCE_S)
            assert f"not cosigned: {log.origin} at size 5: " in " ".join(third.told()["reasons"])
        finally:
            third.process.stop()
    seen = everywhere.seen(log.origin)
    assert seen.sizes == [3, 5]
    assert seen.latest == (5, log.root(5, "fork"))
    assert dict(seen.cosignatures) == {3: ("Org3MSP",), 5: ()}
    everywhere.close()


def submit_as(gateway: Gateway, endorsers: list[str], note: bytes, proof: list[bytes]) -> None:
    words = [note, canonical([base64_text(each) for each in proof])]
    until(lambda: gateway.commit(gateway.endorse("checkpoints:submit", words, endorsers)), "it is accepted")
