"""A real network that loses parts of itself while logs are anchored: nothing is lost, doubled, or accepted by too few."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from compose.network import Network, Topology
from compose.network.health import ask, height_of_channel, leads
from ledger.hyperledger.channel import Channel
from ledger.hyperledger.connection import Profile, load_profile
from ledger.hyperledger.errors import ChaincodeRefused, IdentityRefused, Invalidated, NetworkAway
from ledger.hyperledger.gateway import Gateway, Patience, open_channel, open_gateway
from tests.hyperledger.anchoring import until
from tests.hyperledger.consortium import ONE, TWO, Consortium, Log
from tests.hyperledger.everywhere import Everywhere
from tests.hyperledger.load import Load, announced, note_size
from tests.hyperledger.test_real_refusals import branch, proof_bytes

HASTY = Patience(evaluate_s=30, endorse_s=30, submit_s=10, commit_s=10, away_s=0.5)
LENIENT = (sys.executable, "-m", "tests.hyperledger.lenient")


@pytest.fixture(scope="module")
def own_network(
    hyperledger_programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """Two organisations and one orderer, to be disturbed by each test and left whole."""
    network = Network(tmp_path_factory.mktemp("disturbed") / "network")
    network.up(Topology())
    try:
        yield network
    finally:
        network.down(delete=True)


@pytest.fixture
def disturbed(own_network: Network) -> Network:
    """That network; what a test that failed left stopped runs again."""
    if not all(alive for alive, _ in own_network.status().values()):
        own_network.up()
    return own_network


@pytest.fixture
def everywhere(disturbed: Network) -> Iterator[Everywhere]:
    asked = Everywhere(disturbed)
    yield asked
    asked.close()


def members_of(network: Network) -> Consortium:
    def profile(msp: str, admin: bool) -> Profile:
        return load_profile(network.profile(int(msp[3]), admin=admin))

    return Consortium("real", profile)


@pytest.fixture
def members(disturbed: Network) -> Iterator[Consortium]:
    with members_of(disturbed).closing() as consortium:
        yield consortium


def hasty(consortium: Consortium, msp: str = ONE) -> Channel:
    channel = open_channel(consortium.profiles(msp, False), patience=HASTY)
    consortium.opened.append(channel)
    return channel


@pytest.mark.parametrize("lost", ["peer2", "chaincode2"])
def test_without_the_other_organisation_nothing_is_accepted_and_the_client_names_it(
    disturbed: Network, everywhere: Everywhere, members: Consortium, lost: str
) -> None:
    [log] = members.logs()
    members.channel().submit(log.note(2), [])
    before, height = (everywhere.seen(log.origin), everywhere.organisations()), everywhere.settle()
    disturbed.stop(lost, kill=True)
    for size in (3, 4):
        with pytest.raises(NetworkAway) as away:
            hasty(members).submit(log.note(size), log.proof(2, size))
        assert {each.msp for each in away.value.details} == {TWO}
        assert TWO in str(away.value)
    assert height_of_channel(disturbed.layout) == height
    disturbed.start(lost)
    disturbed.wait_ready()
    assert (everywhere.seen(log.origin), everywhere.organisations()) == before
    assert members.channel().submit(log.note(3), log.proof(2, 3)).code == "VALID"
    assert everywhere.seen(log.origin).sizes == [2, 3]


def test_what_the_own_organisation_cannot_answer_is_answered_by_no_other(
    disturbed: Network, everywhere: Everywhere, members: Consortium
) -> None:
    [log] = members.logs()
    members.channel().submit(log.note(2), [])
    everywhere.settle()
    disturbed.stop("chaincode1", kill=True)
    for read in (Channel.organisations, partial(Channel.latest, origin=log.origin)):
        with pytest.raises(NetworkAway) as away:
            read(hasty(members, ONE))
        assert {each.msp for each in away.value.details} == {ONE}
    assert members.channel(TWO).latest(log.origin) == (2, log.root(2))
    disturbed.start("chaincode1")
    assert members.channel(ONE).latest(log.origin) == (2, log.root(2))


def test_one_organisation_whose_chaincode_accepts_anything_gets_nothing_accepted(
    disturbed: Network, everywhere: Everywhere, members: Consortium
) -> None:
    [log] = members.logs()
    members.channel().submit(log.note(2), [])
    fork = branch(log, "b")
    disturbed.stop("chaincode1", kill=True)
    Network(disturbed.folder, chaincode=LENIENT).start("chaincode1")
    gateway = open_gateway(members.profiles(ONE, False), patience=HASTY)
    members.opened.append(gateway)
    words = [fork.note(2, "b"), proof_bytes([])]
    forged = [Log(log.origin).note(9), proof_bytes([])]
    with everywhere.unchanged(log.origin, blocks=2):
        for call in (words, forged):
            until(partial(endorses, gateway, call), "the lenient chaincode serves")
            with pytest.raises(ChaincodeRefused) as refused:
                gateway.transact("checkpoints:submit", call)
            assert {each.msp for each in refused.value.details} == {TWO}
            # Its own endorsement alone is ordered, and void everywhere.
            alone = gateway.endorse("checkpoints:submit", call, [ONE])
            with pytest.raises(Invalidated) as void:
                gateway.commit(alone)
            assert void.value.code == "ENDORSEMENT_POLICY_FAILURE"
            assert members.channel(TWO).outcome(alone.tx_id).code == "ENDORSEMENT_POLICY_FAILURE"
    disturbed.stop("chaincode1", kill=True)
    disturbed.start("chaincode1")
    assert members.channel().submit(log.note(3), log.proof(2, 3)).code == "VALID"


def test_an_orderer_killed_and_restarted_under_load_loses_and_doubles_nothing(
    disturbed: Network, everywhere: Everywhere, tmp_path: Path
) -> None:
    kill_the_orderer_under_load(disturbed, everywhere, tmp_path, 1)


@pytest.mark.soak
def test_an_orderer_killed_again_and_again_under_load_loses_and_doubles_nothing(
    disturbed: Network, everywhere: Everywhere, tmp_path: Path
) -> None:
    kill_the_orderer_under_load(disturbed, everywhere, tmp_path, 5)


def kill_the_orderer_under_load(network: Network, everywhere: Everywhere, folder: Path, times: int) -> None:
    with Load(network, folder) as load:
        for _ in range(times):
            network.stop("orderer1", kill=True)
            load.wait_for_backlog()
            network.start("orderer1")
            load.wait_for_more()
    assert load.failures()
    load.require_whole(everywhere)


@pytest.mark.soak
@pytest.mark.parametrize("still", ["chaincode2", "peer2", "orderer1", "chaincode1", "peer1"])
def test_a_process_that_stands_still_for_a_while_under_load_loses_and_doubles_nothing(
    disturbed: Network, everywhere: Everywhere, tmp_path: Path, still: str
) -> None:
    with Load(disturbed, tmp_path, origins=2) as load:
        disturbed.pause(still)
        try:
            load.wait_for_backlog(30)
        finally:
            disturbed.resume(still)
        load.wait_for_more()
    load.require_whole(everywhere)


@pytest.mark.soak
def test_an_organisation_whose_chaincode_stands_still_is_named(
    disturbed: Network, everywhere: Everywhere, members: Consortium
) -> None:
    [log] = members.logs()
    channel = open_channel(members.profiles(ONE, False), patience=Patience(endorse_s=8, away_s=0.1))
    members.opened.append(channel)
    disturbed.pause("chaincode2")
    try:
        with pytest.raises(NetworkAway, match="DEADLINE_EXCEEDED") as away:
            channel.submit(log.note(2), [])
    finally:
        disturbed.resume("chaincode2")
    assert [each.msp for each in away.value.details] == [TWO]
    assert everywhere.seen(log.origin).sizes == []


def test_a_chaincode_replaced_while_submissions_go_on_loses_none_and_keeps_the_state(
    disturbed: Network, everywhere: Everywhere, members: Consortium, tmp_path: Path
) -> None:
    [log] = members.logs()
    members.channel().submit(log.note(3), [])
    before, registered = everywhere.seen(log.origin), everywhere.organisations()
    sequence = disturbed.state.deployed.sequence
    with (
        Load(disturbed, tmp_path, origins=2) as load,
        Load(disturbed, tmp_path, origins=2, number=2) as other,
    ):
        disturbed.upgrade_chaincode()
        load.wait_for_more()
        other.wait_for_more()
    assert disturbed.state.deployed.sequence == sequence + 1
    load.require_whole(everywhere)
    other.require_whole(everywhere)
    assert everywhere.seen(log.origin) == before
    assert registered[0].cosigner == everywhere.organisations()[0].cosigner
    assert members.channel().submit(log.note(8), log.proof(3, 8)).code == "VALID"


class Listener:
    """Listens to one organisation's peer in a thread; what it heard of some logs, in order."""

    def __init__(self, channel: Channel, *origins: str) -> None:
        self.heard: dict[str, list[int]] = {origin: [] for origin in origins}
        self.failed: list[BaseException] = []
        self._stop = threading.Event()
        self._channel = channel
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for event in self._channel.events(None, stop=self._stop):
                note_size(self.heard, event)
        except BaseException as error:
            self.failed.append(error)

    def end(self) -> dict[str, list[int]]:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert not self.failed
        return self.heard


def test_a_wiped_peer_has_the_same_state_again_and_its_listener_hears_each_event_once(
    disturbed: Network, everywhere: Everywhere, members: Consortium
) -> None:
    [log] = members.logs()
    channel = members.channel()
    for size in range(1, 6):
        channel.submit(log.note(size), log.proof(size - 1, size))
    before = everywhere.seen(log.origin), everywhere.organisations()
    listener = Listener(members.channel(TWO), log.origin)
    until(lambda: listener.heard[log.origin] == [1, 2, 3, 4, 5], "the listener has heard what there is")
    disturbed.wipe_peer(2)
    assert (everywhere.seen(log.origin), everywhere.organisations()) == before
    for size in range(6, 9):
        channel.submit(log.note(size), log.proof(size - 1, size))
    until(lambda: len(listener.heard[log.origin]) >= 8, "the listener goes on")
    everywhere.settle()
    assert listener.end() == {log.origin: [*range(1, 9)]}
    assert announced(members.channel(TWO), {log.origin: [8]}) == {log.origin: [*range(1, 9)]}


@pytest.mark.soak
def test_an_empty_peer_in_the_place_of_one_has_the_same_state_and_tells_the_same_events(
    disturbed: Network, everywhere: Everywhere, members: Consortium, tmp_path: Path
) -> None:
    [log] = members.logs()
    channel = members.channel()
    for size in range(1, 4):
        channel.submit(log.note(size), log.proof(size - 1, size))
    before = everywhere.seen(log.origin)
    listener = Listener(members.channel(TWO), log.origin)
    until(lambda: listener.heard[log.origin] == [1, 2, 3], "the listener has heard what there is")
    with Load(disturbed, tmp_path, origins=2) as load:
        disturbed.replace_peer(2)
        load.wait_for_more()
    load.require_whole(everywhere)
    assert everywhere.seen(log.origin) == before
    channel.submit(log.note(4), log.proof(3, 4))
    until(lambda: len(listener.heard[log.origin]) >= 4, "the listener goes on")
    everywhere.settle()
    assert listener.end() == {log.origin: [1, 2, 3, 4]}


def test_of_three_organisations_one_may_be_down_and_one_removed(
    network_of: Callable[..., Network], tmp_path: Path
) -> None:
    network = network_of(orgs=3)
    everywhere = Everywhere(network)
    with members_of(network).closing() as members:
        logs = {number: members.logs(1, f"Org{number}MSP")[0] for number in (1, 3)}
        members.channel("Org3MSP").submit(logs[3].note(2), [])
        with Load(network, tmp_path, origins=2) as load:
            network.stop("peer3", kill=True)
            load.wait_for_more(6)
            network.start("peer3")
            load.wait_for_more()
        load.require_whole(everywhere)
        revoked_client_is_refused(network, everywhere, logs[1])
        removed_organisation_is_refused(network, logs[3])
    everywhere.close()


def revoked_client_is_refused(network: Network, everywhere: Everywhere, log: Log) -> None:
    revoked = open_channel(load_profile(network.profile(1)), patience=HASTY)
    assert revoked.submit(log.note(2), []).code == "VALID"
    network.revoke(1)
    everywhere.opened.pop(1).close()
    with everywhere.unchanged(log.origin):
        for attempt in (
            lambda: revoked.submit(log.note(3), log.proof(2, 3)),
            lambda: revoked.latest(log.origin),
            lambda: next(revoked.events(None, stop=threading.Event())),
        ):
            with pytest.raises(IdentityRefused, match=r"access denied|certificate has been revoked|policy"):
                attempt()
    revoked.close()
    # The organisation is as much a member as before: another of its certificates goes on.
    assert everywhere.channel(1).submit(log.note(3), log.proof(2, 3)).code == "VALID"
    assert everywhere.seen(log.origin).sizes == [2, 3]


def removed_organisation_is_refused(network: Network, log: Log) -> None:
    removed = open_channel(load_profile(network.profile(3)), patience=HASTY)
    other = load_profile(network.profile(3))
    elsewhere = open_channel(other, other.peers[0], patience=HASTY)
    network.remove_organisation(3)
    everywhere = Everywhere(network)
    before = everywhere.seen(log.origin)
    assert before.sizes == [2]
    with everywhere.unchanged(log.origin):
        for channel in (removed, elsewhere):
            with pytest.raises(IdentityRefused, match="creator org unknown"):
                channel.submit(log.note(3), log.proof(2, 3))
    everywhere.close()


def test_four_orderers_by_smartbft_go_on_without_one_under_load(
    network_of: Callable[..., Network], tmp_path: Path
) -> None:
    network = network_of(orderers=4, bft=True)
    everywhere = Everywhere(network)
    follower = next(name for name in orderers(network) if not leading(network, name))
    with Load(network, tmp_path) as load:
        network.stop(follower, kill=True)
        load.wait_for_more(5)
    load.require_whole(everywhere)
    everywhere.close()


@pytest.mark.soak
def test_four_orderers_by_smartbft_choose_another_leader_under_load(
    network_of: Callable[..., Network], tmp_path: Path
) -> None:
    network = network_of(orderers=4, bft=True)
    everywhere = Everywhere(network)
    leader = next(name for name in orderers(network) if leading(network, name))
    with Load(network, tmp_path) as load:
        network.stop(leader, kill=True)
        load.wait_for_more(5)
        network.start(leader)
        load.wait_for_more(5)
    load.require_whole(everywhere)
    everywhere.close()


def orderers(network: Network) -> list[str]:
    return [f"orderer{number}" for number in network.layout.orderers]


def leading(network: Network, name: str) -> bool:
    metrics = ask(network.layout.port(name, "operations"), "/metrics")
    return metrics is not None and leads(metrics, network.state.topology.channel)


def endorses(gateway: Gateway, words: list[bytes]) -> bool:
    """Whether the own organisation's chaincode endorses this, alone."""
    try:
        gateway.endorse("checkpoints:submit", words, [ONE])
    except (NetworkAway, ChaincodeRefused):
        return False
    return True
