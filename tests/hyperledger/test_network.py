"""A real network comes up ready, is disturbed by name, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compose.network import BadTopology, Network, NotReady, Topology
from compose.network.health import height_of_channel, height_of_peer
from compose.network.processes import Running, is_alive, wait_until
from compose.network.state import State, new_state
from ledger.errors import LoomarkError
from ledger.hyperledger.connection import load_profile
from ledger.hyperledger.errors import IdentityRefused
from ledger.hyperledger.gateway import Gateway, Patience, open_gateway

ROOT = Path(__file__).resolve().parents[2]
READ = "organisations:list"


def _gateway(profile: Path) -> Gateway:
    return open_gateway(load_profile(profile), patience=Patience(away_s=40))


def _transact(profile: Path) -> str:
    gateway = _gateway(profile)
    try:
        return gateway.transact(READ, []).code
    finally:
        gateway.close()


def _refused(profile: Path) -> LoomarkError:
    gateway = open_gateway(load_profile(profile), patience=Patience(away_s=0.1))
    try:
        with pytest.raises(LoomarkError) as refused:
            gateway.endorse(READ, [])
        return refused.value
    finally:
        gateway.close()


def _ports(network: Network) -> list[int]:
    return [port for ports in network.state.ports.values() for port in ports.values()]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_down(network: Network, running: dict[str, Running]) -> bool:
    return not any(is_alive(each) for each in running.values()) and not any(map(_listens, _ports(network)))


def test_every_organisation_submits_as_soon_as_it_is_up(real_network: Network) -> None:
    assert all(alive for alive, _ in real_network.status().values())
    for number in (1, 2):
        assert _transact(real_network.profile(number)) == "VALID"
        assert _transact(real_network.profile(number, admin=True)) == "VALID"


def test_every_listening_port_of_its_processes_is_on_loopback(real_network: Network) -> None:
    if shutil.which("ss") is None:
        pytest.skip("ss (iproute2) is not on this machine")
    listed = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    pids = [f"pid={each.pid}," for each in real_network.processes.recorded().values()]
    addresses = [line.split()[3] for line in listed.splitlines() if any(pid in line for pid in pids)]
    assert len(addresses) >= len(_ports(real_network))
    # gRPC writes 127.0.0.1 as an IPv6 address that stands for it.
    hosts = {address.rpartition(":")[0].strip("[]").removeprefix("::ffff:") for address in addresses}
    assert hosts == {"127.0.0.1"}


def test_up_twice_starts_nothing_anew_and_another_topology_is_refused(real_network: Network) -> None:
    before = real_network.processes.recorded()
    Network(real_network.folder).up(Topology())
    assert real_network.processes.recorded() == before
    with pytest.raises(BadTopology, match="another network"):
        Network(real_network.folder).up(Topology(orgs=3))
    assert real_network.processes.recorded() == before


def test_what_was_killed_comes_back_by_up_with_all_it_stored(real_network: Network) -> None:
    height = height_of_channel(real_network.layout)
    for name in ("orderer1", "peer2", "chaincode1"):
        real_network.stop(name, kill=True)
    assert [name for name, (alive, _) in real_network.status().items() if not alive] == [
        "orderer1", "peer2", "chaincode1",
    ]  # fmt: skip
    real_network.up()
    assert _transact(real_network.profile(2)) == "VALID"
    assert height_of_channel(real_network.layout) > height


def test_an_expired_certificate_is_refused_while_its_organisation_is_served(real_network: Network) -> None:
    refusal = _refused(real_network.expired_profile(1))
    assert isinstance(refusal, IdentityRefused)
    assert "expired" in str(refusal)
    assert _transact(real_network.profile(1)) == "VALID"


def test_a_paused_process_stands_still_until_it_is_resumed(real_network: Network) -> None:
    state = Path(f"/proc/{real_network.processes.recorded()['chaincode2'].pid}/stat")
    if not state.exists():
        pytest.skip("no /proc on this machine")
    real_network.pause("chaincode2")
    try:
        wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "it stands still", 30)
        assert real_network.processes.alive("chaincode2")
    finally:
        real_network.resume("chaincode2")
    assert _transact(real_network.profile(2)) == "VALID"


def test_the_command_says_what_runs(real_network: Network) -> None:
    told = _command("status", "--dir", real_network.folder)
    assert told.returncode == 0
    assert "Org2.toml" in told.stdout
    assert told.stdout.count(" runs ") == len(real_network.status())


def _command(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "compose.network", *map(str, arguments)]
    environment = os.environ | variables
    return subprocess.run(
        command, capture_output=True, text=True, timeout=150, check=False, env=environment,
        cwd=ROOT,
    )  # fmt: skip


def test_three_organisations_and_orderers_survive_one_and_leave_nothing(
    network_of: Callable[..., Network],
) -> None:
    network = network_of(orgs=3, orderers=3)
    network.stop("orderer2", kill=True)
    network.stop("peer3", kill=True)
    assert _transact(network.profile(1)) == "VALID"
    running = network.processes.recorded()
    network.down()
    assert _is_down(network, running)
    assert network.processes.recorded() == {}


@pytest.mark.soak
def test_four_orderers_by_smartbft_survive_one(network_of: Callable[..., Network]) -> None:
    network = network_of(orderers=4, bft=True)
    network.stop("orderer4", kill=True)
    assert _transact(network.profile(1)) == "VALID"


@pytest.mark.soak
def test_a_wiped_peer_reads_the_channel_anew(network_of: Callable[..., Network]) -> None:
    network = network_of()
    _transact(network.profile(1))
    network.wipe_peer(2)
    assert height_of_peer(network.layout, 2) == height_of_channel(network.layout) > 1
    assert _transact(network.profile(2)) == "VALID"


def test_an_empty_peer_takes_the_place_of_one_and_the_chaincode_is_replaced_under_it(
    network_of: Callable[..., Network],
) -> None:
    network = network_of()
    old = network.state
    network.replace_peer(2)
    new = network.state
    assert new.deployed.sequence == old.deployed.sequence + 1
    assert set(new.deployed.packages.values()).isdisjoint(old.deployed.packages.values())
    assert not any(_listens(old.ports[name]["listen"]) for name in ("chaincode1", "chaincode2"))
    assert set(network.processes.recorded()) == set(network.state.topology.processes())
    assert _transact(network.profile(2)) == "VALID"


@pytest.mark.soak
def test_revoked_and_removed_identities_are_refused_and_the_others_go_on(
    network_of: Callable[..., Network],
) -> None:
    network = network_of(orgs=3)
    network.revoke(1)
    assert isinstance(_refused(network.profile(1)), IdentityRefused)
    assert _transact(network.profile(1, admin=True)) == "VALID"
    network.revoke(3, admin=True)
    assert isinstance(_refused(network.profile(3, admin=True)), IdentityRefused)
    assert _transact(network.profile(3)) == "VALID"
    network.remove_organisation(3)
    assert isinstance(_refused(network.profile(3)), LoomarkError)
    assert _transact(network.profile(2)) == "VALID"
    assert network.state.members() == [1, 2]
    # Two are left, and more than half of two is both.
    network.stop("peer1")
    assert isinstance(_refused(network.profile(2)), LoomarkError)
    network.start("peer1")
    network.up()


def test_up_leaves_nothing_when_the_chaincode_cannot_start(
    hyperledger_programs: dict[str, Path], tmp_path: Path
) -> None:
    ends = (sys.executable, "-c", "raise SystemExit('no such contract')")
    network = Network(tmp_path / "network", chaincode=ends)
    with pytest.raises(NotReady, match="no such contract"):
        network.up()
    assert network.processes.recorded() == {}
    assert not any(map(_listens, _ports(network)))
    network.down(delete=True)
    assert not (tmp_path / "network").exists()


def test_a_port_that_somebody_took_meanwhile_costs_another_try_and_no_more(
    hyperledger_programs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[State] = []
    network = Network(tmp_path / "network")
    with socket.create_server(("127.0.0.1", 0)) as taken:

        def choose(topology: Topology) -> State:
            state = new_state(topology)
            if not chosen:
                theirs = {"listen": taken.getsockname()[1]}
                state = replace(state, ports={**state.ports, "peer2": {**state.ports["peer2"], **theirs}})
            chosen.append(state)
            return state

        monkeypatch.setattr("compose.network.network.new_state", choose)
        try:
            network.up()
            assert len(chosen) == 2
            assert network.state.ports == chosen[1].ports
            assert all(alive for alive, _ in network.status().values())
        finally:
            network.down(delete=True)


def _interrupted_up(folder: Path, number: signal.Signals) -> tuple[int, dict[str, Running]]:
    """The exit status of an ``up`` that got a signal while it was starting processes, and what it had started."""
    command = [sys.executable, "-m", "compose.network", "up", "--dir", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as starting:
        while len(running := Network(folder).processes.recorded()) < 2:
            assert starting.poll() is None
            time.sleep(0.02)
        starting.send_signal(number)
        return starting.wait(60), running


def test_up_that_is_interrupted_leaves_nothing(hyperledger_programs: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "network"
    status, running = _interrupted_up(folder, signal.SIGTERM)
    assert status == 130
    assert _is_down(Network(folder), running)
    assert json.loads((folder / "processes.json").read_text()) == {}


def test_what_a_killed_up_left_is_ended_by_down(
    hyperledger_programs: dict[str, Path], tmp_path: Path
) -> None:
    network = Network(tmp_path / "network")
    _interrupted_up(network.folder, signal.SIGKILL)
    left = network.processes.recorded()
    ports = _ports(network)
    assert any(is_alive(each) for each in left.values())
    network.down(delete=True)
    assert not any(is_alive(each) for each in left.values())
    assert not any(map(_listens, ports))
    assert not network.folder.exists()


def test_profiles_name_every_other_peer(real_network: Network) -> None:
    profile = tomllib.loads(real_network.profile(2, admin=True).read_text())
    assert [peer["msp"] for peer in profile["peers"]] == ["Org1MSP"]
    assert load_profile(real_network.profile(2)).anchor.quorum == 2
