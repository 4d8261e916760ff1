"""The material of the containers, and the steps that make a channel of them: those of `compose.network`, with other hosts.

Three layouts of one consortium: as its containers see each other and their files, as the material lies on this machine, and
as this machine reaches the containers.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from compose.network import lifecycle, profiles
from compose.network.binaries import find_binaries
from compose.network.building import PATIENCE_S, Builder
from compose.network.errors import BadTopology
from compose.network.health import is_healthy
from compose.network.layout import Layout, Ports, Topology, kind_of
from compose.network.lifecycle import for_each
from compose.network.processes import Processes, wait_until
from compose.network.programs import Programs
from compose.network.state import State, load_state

TOPOLOGY: Final = Topology()
# Where a container finds its part of the material.
INSIDE: Final = Path("/network")
CCAAS: Final = INSIDE / "ccaas"
_PORTS: Final[Mapping[str, Mapping[str, int]]] = {
    "orderer": {"listen": 7050, "admin": 7053, "operations": 9443},
    "peer": {"listen": 7051, "chaincode": 7052, "operations": 9443},
    "chaincode": {"listen": 9999},
}
# What compose.yaml publishes on this machine's loopback. Nobody calls a peer's chaincode port, as chaincode is a service.
PUBLISHED: Final[Ports] = {
    "orderer1": {"listen": 17050, "admin": 17053, "operations": 17443},
    "peer1": {"listen": 17051, "operations": 17444},
    "peer2": {"listen": 17052, "operations": 17445},
}


class _InContainers(Processes):
    """Processes that an engine starts and ends: whether they run is seen by whether they answer."""

    def alive(self, name: str) -> bool:
        return True


def inside() -> Layout:
    """The consortium as its containers see it."""
    ports = {name: _PORTS[kind_of(name)] for name in TOPOLOGY.processes()}
    return Layout(INSIDE, TOPOLOGY, ports, containers=True)


def write(folder: Path, binaries: Path | None = None) -> None:
    """Write everything that the containers mount to an empty folder: keys, configuration, packages, profiles, passwords."""
    folder = folder.resolve()
    if load_state(folder) is not None:
        raise BadTopology(f"expected an empty folder, got {folder}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    within = inside()
    here = replace(within, folder=folder)
    state = State(TOPOLOGY, within.ports)
    state.save(folder)
    builder = _builder(here, binaries)
    builder.write_channel(here)
    builder.write_nodes(within, CCAAS)
    state = builder.package(state)
    (folder / "profiles").mkdir()
    for number in here.orgs:
        _write_for_organisation(folder, number, state)
    replace(state, built=True).save(folder)


def _write_for_organisation(folder: Path, number: int, state: State) -> None:
    """What an organisation's chaincode server and node are told."""
    within = inside()
    identity = within.user(number) / "msp"
    text = profiles.profile_text(within, number, identity, INSIDE / "profiles")
    (folder / "profiles" / f"Org{number}.toml").write_text(text, "utf-8")
    tls = within.home(f"chaincode{number}") / "tls"
    lines = [
        f"CHAINCODE_ID={state.deployed.packages[str(number)]}",
        f"CHAINCODE_SERVER_ADDRESS={within.listener(f'chaincode{number}')}",
        f"CHAINCODE_TLS_CERT={tls / 'server.crt'}",
        f"CHAINCODE_TLS_KEY={tls / 'server.key'}",
    ]
    (folder / f"chaincode{number}" / "chaincode.env").write_text("\n".join(lines) + "\n", "utf-8")
    for each in ("node", "database"):
        (folder / f"{each}{number}").mkdir(mode=0o700)
    password = secrets.token_urlsafe(24)
    _write_secret(folder / f"database{number}.password", password)
    _write_secret(
        folder / f"database{number}.url", f"postgresql://loomark:{password}@database{number}/loomark"
    )


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def deploy(folder: Path, binaries: Path | None = None) -> None:
    """Join orderer and peers to the channel, then install, approve and commit the chaincode; harmless when done before."""
    folder = folder.resolve()
    state = load_state(folder)
    if state is None or not state.built or state.ports != inside().ports:
        raise BadTopology(f"expected the material of the containers in {folder}")
    builder = _builder(Layout(folder, TOPOLOGY, PUBLISHED), binaries)
    for name in PUBLISHED:
        wait_until(lambda name=name: is_healthy(builder.layout, name), f"{name} serves", PATIENCE_S)  # type: ignore[misc]
    for_each(builder.layout.orderers, builder.join_orderer)
    for_each(builder.layout.orgs, builder.join_peer)
    builder.wait_for_leader()
    if lifecycle.committed_sequence(builder.programs, 1) < state.deployed.sequence:
        builder.deploy(state)


def _builder(layout: Layout, binaries: Path | None) -> Builder:
    programs = Programs(find_binaries(binaries), layout)
    return Builder(programs, _InContainers(layout.folder / "processes.json"), ())
