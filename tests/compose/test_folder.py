"""A folder that is not a network's is left as it is; what is missing on the machine is said, with where to get it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compose.network import BadTopology, BinariesMissing, Network, Topology
from compose.network.__main__ import main
from compose.network.binaries import PROGRAMS, VARIABLE, find_binaries
from compose.network.health import leads
from compose.network.state import State, free_ports, load_state, new_state, with_new_chaincode_ports


@pytest.fixture
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "none"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(VARIABLE, raising=False)
    return folder


def _programs(folder: Path, names: tuple[str, ...] = PROGRAMS) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def test_missing_programs_are_named_with_where_a_user_gets_them(
    no_programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--dir", str(tmp_path / "network")]) == 2
    said = capsys.readouterr().err
    for words in (*PROGRAMS, "on PATH", "github.com/hyperledger/fabric", VARIABLE):
        assert words in said
    assert not (tmp_path / "network").exists()


def test_programs_are_found_in_a_named_folder_and_all_five_must_be_there(
    no_programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, part = _programs(tmp_path / "whole"), _programs(tmp_path / "part", PROGRAMS[:4])
    assert set(find_binaries(whole)) == set(PROGRAMS)
    monkeypatch.setenv(VARIABLE, str(whole))
    assert find_binaries()["peer"] == whole / "peer"
    with pytest.raises(BinariesMissing, match=f"not found in {part}: cryptogen"):
        find_binaries(part)


def test_a_folder_with_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    programs = _programs(tmp_path / "programs")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("all of it")
    words = "empty folder or one that holds a network"
    with pytest.raises(BadTopology, match=words):
        Network(folder, binaries=programs).up()
    with pytest.raises(BadTopology, match=words):
        Network(folder).down(delete=True)
    assert (folder / "thesis.txt").read_text() == "all of it"
    assert {each.name for each in folder.iterdir()} <= {"thesis.txt", "lock"}


def test_another_topology_than_the_folders_is_refused(tmp_path: Path) -> None:
    programs = _programs(tmp_path / "programs")
    new_state(Topology()).save(tmp_path)
    before = (tmp_path / "network.json").read_bytes()
    with pytest.raises(BadTopology):
        Network(tmp_path, binaries=programs).up(Topology(orgs=3))
    assert (tmp_path / "network.json").read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": 2}', '{"version": 1, "topology": {"orgs": 0}}']
)
def test_a_state_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "network.json").write_text(text)
    with pytest.raises(BadTopology):
        load_state(tmp_path)
    assert (tmp_path / "network.json").read_text() == text


def test_a_state_reads_back(tmp_path: Path) -> None:
    state = new_state(Topology(orgs=3, orderers=3))
    state.save(tmp_path)
    assert load_state(tmp_path) == state
    assert json.loads((tmp_path / "network.json").read_text())["version"] == 1


def test_ports_are_each_given_once_and_a_new_chaincode_gets_others() -> None:
    ports = list(free_ports(50))
    assert len(set(ports)) == 50
    state: State = new_state(Topology())
    moved = with_new_chaincode_ports(state, [1, 2])
    assert moved.ports["chaincode1"] != state.ports["chaincode1"]
    assert moved.ports["peer1"] == state.ports["peer1"]


def test_status_and_unknown_processes_of_no_network_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--dir", str(tmp_path / "none")]) == 2
    assert "no network in" in capsys.readouterr().err
    assert main(["down", "--dir", str(tmp_path / "none")]) == 0
    assert not (tmp_path / "none").exists()
    new_state(Topology()).save(tmp_path)
    with pytest.raises(BadTopology, match="expected one of orderer1, peer1, peer2"):
        Network(tmp_path).stop("postgres")


def test_who_leads_is_read_from_an_orderers_metrics() -> None:
    raft = 'consensus_etcdraft_is_leader{channel="loomark"} '
    assert leads(f"# TYPE x gauge\n{raft}1\n", "loomark")
    assert not leads(f"{raft}0\n", "loomark")
    assert not leads(f"{raft}1\n", "other")
    assert leads('consensus_BFT_is_leader{blacklisted="",channel="loomark"} 1\n', "loomark")
