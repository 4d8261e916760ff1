"""What is written for a network is well-formed, on loopback, with TLS, and asks for more than half."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compose.network import BadTopology, Layout, Topology
from compose.network.channel_config import PROFILE, configtx
from compose.network.key_material import crypto_config
from compose.network.layout import PORTS, kind_of
from compose.network.node_config import core_yaml, orderer_yaml
from compose.network.profiles import profile_text
from compose.network.yaml_text import yaml_text
from ledger.hyperledger.connection import parse_profile
from tests.conftest import is_loopback

TOPOLOGIES = (Topology(), Topology(orgs=3, orderers=3), Topology(orderers=4, bft=True, batch_timeout="2s"))
_ADDRESS = re.compile(r"([^\s/:]*):([0-9]+)")


def _layout(topology: Topology) -> Layout:
    port = count(20_000)
    ports = {name: {what: next(port) for what in PORTS[kind_of(name)]} for name in topology.processes()}
    return Layout(Path("/n"), topology, ports)


@pytest.fixture(params=TOPOLOGIES, ids=["2-1", "3-3", "bft"])
def layout(request: pytest.FixtureRequest) -> Layout:
    return _layout(request.param)


def _files(layout: Layout) -> dict[str, Any]:
    return {
        "crypto-config": crypto_config(layout),
        "configtx": configtx(layout),
        **{f"orderer{n}": orderer_yaml(layout, n) for n in layout.orderers},
        **{f"peer{n}": core_yaml(layout, n) for n in layout.orgs},
    }


def _leaves(tree: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{place}/{key}")
    elif isinstance(tree, list):
        for value in tree:
            yield from _leaves(value, place)
    else:
        yield place, tree


def test_every_file_reads_back_as_it_was_meant(layout: Layout) -> None:
    for name, tree in _files(layout).items():
        assert yaml.safe_load(yaml_text(tree)) == tree, name


def test_every_address_and_port_in_every_file_is_on_loopback(layout: Layout) -> None:
    seen = 0
    for name, tree in _files(layout).items():
        for place, value in _leaves(tree):
            key = place.rpartition("/")[2].lower()
            if key in {
                "listenaddress",
                "host",
                "address",
                "endpoint",
                "chaincodelistenaddress",
                "ordererendpoints",
            }:
                address = _ADDRESS.fullmatch(str(value))
                assert is_loopback(address[1] if address else value), (name, place, value)
                assert value or place == "/vm/endpoint", (name, place)
                seen += 1
    assert seen > 10


def test_no_two_processes_listen_on_one_port(layout: Layout) -> None:
    ports = [port for each in layout.ports.values() for port in each.values()]
    listening = [
        int(found[2])
        for name, tree in _files(layout).items()
        for place, value in _leaves(tree)
        if "listen" in place.rpartition("/")[2].lower()
        and (found := _ADDRESS.fullmatch(str(value)))
        and found[2] != "0"
    ]
    assert len(set(ports)) == len(ports)
    assert len(set(listening)) == len(listening)
    assert set(listening) <= set(ports)


def test_tls_is_on_everywhere_but_on_the_operations_port(layout: Layout) -> None:
    for number in layout.orderers:
        orderer = orderer_yaml(layout, number)
        assert orderer["General"]["TLS"]["Enabled"] is True
        assert orderer["Admin"]["TLS"]["Enabled"] is orderer["Admin"]["TLS"]["ClientAuthRequired"] is True
    assert all(core_yaml(layout, number)["peer"]["tls"]["enabled"] is True for number in layout.orgs)


def test_a_peer_refuses_what_is_expired_or_of_another_time_and_runs_no_containers(layout: Layout) -> None:
    core = core_yaml(layout, 1)
    filters = [each["name"] for each in core["peer"]["handlers"]["authFilters"]]
    assert {"ExpirationCheck", "TimeWindowCheck"} <= set(filters)
    assert core["vm"]["endpoint"] == ""
    [builder] = core["chaincode"]["externalBuilders"]
    assert (Path(builder["path"]) / "bin" / "detect").is_file()


def test_more_than_half_of_the_organisations_must_endorse(layout: Layout) -> None:
    channel = configtx(layout)["Profiles"][PROFILE]
    policies = channel["Application"]["Policies"]
    for policy in ("Endorsement", "LifecycleEndorsement"):
        assert policies[policy] == {"Type": "ImplicitMeta", "Rule": "MAJORITY Endorsement"}
    assert policies["Admins"]["Rule"] == "MAJORITY Admins"
    for organisation in channel["Application"]["Organizations"]:
        assert organisation["Policies"]["Endorsement"]["Rule"] == f"OR('{organisation['ID']}.peer')"


def test_roles_are_in_the_certificates_and_every_node_has_an_organisation_of_its_own(layout: Layout) -> None:
    asked = crypto_config(layout)
    organisations = asked["OrdererOrgs"] + asked["PeerOrgs"]
    assert all(each["EnableNodeOUs"] is True for each in organisations)
    assert len({each["Domain"] for each in organisations}) == len(layout.orgs) + len(layout.orderers)
    orderer = configtx(layout)["Profiles"][PROFILE]["Orderer"]
    assert len({each["ID"] for each in orderer["Organizations"]}) == len(layout.orderers)


def test_consenters_are_the_orderers_with_their_certificates(layout: Layout) -> None:
    orderer = configtx(layout)["Profiles"][PROFILE]["Orderer"]
    assert orderer["BatchTimeout"] == layout.topology.batch_timeout
    if layout.topology.bft:
        assert orderer["OrdererType"] == "BFT"
        consenters = orderer["ConsenterMapping"]
        assert [each["ID"] for each in consenters] == list(layout.orderers)
        assert all("/msp/signcerts/" in each["Identity"] for each in consenters)
        assert orderer["SmartBFT"]["RequestBatchMaxInterval"] == layout.topology.batch_timeout
    else:
        assert orderer["OrdererType"] == "etcdraft"
        consenters = orderer["EtcdRaft"]["Consenters"]
    assert [each["Port"] for each in consenters] == [layout.port(f"orderer{n}") for n in layout.orderers]


def test_profiles_are_what_the_client_reads(layout: Layout) -> None:
    folder = layout.folder / "profiles"
    for number in layout.orgs:
        text = profile_text(layout, number, layout.user(number) / "msp", folder)
        profile = parse_profile(text, folder / "Org.toml")
        assert profile.msp == f"Org{number}MSP"
        assert profile.peer.endpoint == layout.endpoint(f"peer{number}")
        assert len(profile.peers) == len(layout.orgs) - 1
        assert profile.anchor.quorum is not None
        assert profile.anchor.quorum * 2 > len(layout.orgs)
        assert (folder / tomllib.loads(text)["identity"]).resolve() == layout.user(number) / "msp"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"orgs": 0}, "1 to 9 organisations"),
        ({"orderers": 10}, "1 to 9 orderers"),
        ({"bft": True, "orderers": 3}, "at least 4"),
        ({"batch_timeout": "0s"}, "batch timeout"),
        ({"batch_timeout": "1h\nx: y"}, "batch timeout"),
        ({"channel": "Loomark"}, "name"),
        ({"chaincode": "../x"}, "name"),
    ],
)
def test_what_is_no_network_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(BadTopology, match=said):
        Topology(**asked)


_TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z_0-9]{0,8}x", fullmatch=True), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_TREES)
def test_any_tree_reads_back(tree: Any) -> None:
    assert yaml.safe_load(yaml_text(tree)) == json.loads(json.dumps(tree))
