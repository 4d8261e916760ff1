"""The steps by which a network comes to life, each of which may be taken again where it was interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from . import channel_config, key_material, lifecycle, node_config
from .errors import CommandFailed, NotReady
from .health import has_leader, height_of_channel, height_of_peer, is_healthy, is_listening
from .layout import Layout, kind_of, number_of
from .lifecycle import for_each
from .processes import Processes, last_words, wait_until
from .profiles import write_profiles
from .programs import Programs
from .ready import why_not_ready
from .state import Deployed, State
from .yaml_text import Tree, yaml_text

PATIENCE_S: Final = 90.0
# The peers' messages about each transaction cost more than the transaction; what goes wrong is said at this level too.
_LOGGING: Final = {"FABRIC_LOGGING_SPEC": "warn"}


@dataclass(frozen=True, slots=True)
class Builder:
    """One network's programs and processes, and the command that starts a chaincode server."""

    programs: Programs
    processes: Processes
    command: Sequence[str]

    @property
    def layout(self) -> Layout:
        """Where each part lies and listens."""
        return self.programs.layout

    # Files

    def write_files(self) -> None:
        """Key material, the channel's first block, a configuration file for each orderer and peer, and client profiles."""
        layout = self.layout
        self.write_channel(layout)
        self.write_nodes(layout)
        write_profiles(layout)

    def write_channel(self, layout: Layout) -> None:
        """Key material and the channel's first block, for nodes that are reached as ``layout`` says."""
        shutil.rmtree(layout.crypto, ignore_errors=True)
        self._write("crypto-config.yaml", key_material.crypto_config(layout))
        config = layout.folder / "crypto-config.yaml"
        self.programs.run("cryptogen", "generate", "--config", config, "--output", layout.crypto)
        self._write("configtx.yaml", channel_config.configtx(layout))
        self.programs.run(
            "configtxgen",
            *("-configPath", layout.folder, "-profile", channel_config.PROFILE),
            *("-channelID", layout.topology.channel, "-outputBlock", layout.block),
        )

    def write_nodes(self, layout: Layout, builder: Path = node_config.CCAAS) -> None:
        """A configuration file for each orderer and peer, which finds what it needs where ``layout`` says."""
        for number in layout.orderers:
            self._write(f"orderer{number}/orderer.yaml", node_config.orderer_yaml(layout, number))
        for number in layout.orgs:
            self._write(f"peer{number}/core.yaml", node_config.core_yaml(layout, number, builder))

    def _write(self, name: str, tree: Tree) -> None:
        path = self.layout.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml_text(tree), "utf-8")

    # Processes

    def start(self, name: str, state: State) -> None:
        """Start one process of the network; nothing to do where it runs."""
        home, paths = self.layout.home(name), self.programs.paths
        kind = kind_of(name)
        if kind == "chaincode":
            self.start_chaincode(name, number_of(name), state)
            return
        command = (
            [str(paths["orderer"]), "start"] if kind == "orderer" else [str(paths["peer"]), "node", "start"]
        )
        self.processes.start(name, command, self.layout.log(name), {"FABRIC_CFG_PATH": str(home), **_LOGGING})

    def start_chaincode(self, name: str, number: int, state: State) -> None:
        """Start an organisation's chaincode server under a name."""
        package_id = state.deployed.packages[str(number)]
        command = lifecycle.server_command(self.layout, number, package_id, self.command)
        self.processes.start(name, command, self.layout.log(name), {"PYTHONPATH": str(lifecycle.REPOSITORY)})

    def wait_for(self, names: Iterable[str]) -> None:
        """Wait until processes serve; :class:`NotReady` as soon as one of them has ended."""
        wanted = list(names)
        waiting = list(wanted)

        def all_serve() -> bool:
            waiting[:] = [name for name in waiting if not self._serves(name)]
            return not waiting

        wait_until(all_serve, f"{', '.join(wanted)} serve", PATIENCE_S, lambda: self.require_running(wanted))

    def _serves(self, name: str) -> bool:
        """A peer is healthy a moment before it listens. Its log complains of a look at its port, so that comes last."""
        is_node = kind_of(name) != "chaincode"
        return (not is_node or is_healthy(self.layout, name)) and is_listening(self.layout.port(name))

    def require_running(self, names: Iterable[str]) -> None:
        """Raises :class:`NotReady` with the last words of the first that has ended."""
        for name in names:
            if not self.processes.alive(name):
                log = self.layout.log(name)
                raise NotReady(f"{name} ended; {log} ends with:\n{last_words(log)}")

    # Channel

    def join_orderer(self, number: int) -> None:
        """Let an orderer serve the channel; one that does already is as good."""
        channel = self.layout.topology.channel
        listed = self.programs.osnadmin(number, "channel", "list")
        if f'"{channel}"' not in listed:
            said = self.programs.osnadmin(
                number, "channel", "join", "--channelID", channel, "--config-block", self.layout.block
            )
            if "Status: 201" not in said:
                raise CommandFailed(f"osnadmin channel join: {said}")

    def join_peer(self, number: int) -> None:
        """Let a peer follow the channel; one that does already is as good."""
        try:
            self.programs.peer(number, "channel", "join", "--blockpath", self.layout.block)
        except CommandFailed as failed:
            if "already exists" not in str(failed):
                raise

    def wait_for_leader(self) -> None:
        """Wait until some orderer leads."""
        names = [f"orderer{number}" for number in self.layout.orderers]
        wait_until(
            lambda: has_leader(self.layout),
            "an orderer leads",
            PATIENCE_S,
            lambda: self.require_running(names),
        )

    def wait_for_height(self, numbers: Iterable[int], height: int | None = None) -> None:
        """Wait until peers have committed ``height`` blocks, or all that are ordered now."""
        wanted = height_of_channel(self.layout) if height is None else height
        peers = [f"peer{number}" for number in numbers]
        wait_until(
            lambda: all(height_of_peer(self.layout, number_of(peer)) >= wanted for peer in peers),
            f"{', '.join(peers)} have {wanted} blocks",
            PATIENCE_S,
            lambda: self.require_running(peers),
        )

    def wait_ready(self, state: State) -> None:
        """Wait until an endorsed transaction is submitted and valid; :class:`NotReady` says what was missing last."""
        names = [name for name in state.topology.processes() if number_of(name) not in state.removed]
        missing: list[str | None] = []

        def is_ready() -> bool:
            missing.append(why_not_ready(self.layout, state))
            return missing[-1] is None

        try:
            wait_until(
                is_ready, "a transaction is submitted", PATIENCE_S, lambda: self.require_running(names)
            )
        except NotReady as error:
            raise NotReady(f"{error}; last: {missing[-1]}") from None

    def wait_for_ports(self, processes: Mapping[str, str]) -> None:
        """Wait until processes listen where those whose names they will take are to be found."""
        ports = {name: self.layout.port(successor) for name, successor in processes.items()}
        wait_until(
            lambda: all(is_listening(port) for port in ports.values()),
            f"{', '.join(ports)} serve",
            PATIENCE_S,
            lambda: self.require_running(processes),
        )

    # Chaincode

    def package(self, state: State) -> State:
        """The state with a package of each member at its sequence number, written where it is installed from."""
        sequence = state.deployed.sequence
        for number in state.members():
            self.layout.home(f"chaincode{number}").mkdir(exist_ok=True)
        packages = {str(n): lifecycle.write_package(self.layout, n, sequence) for n in state.members()}
        return replace(state, deployed=Deployed(sequence, packages))

    def deploy(self, state: State) -> None:
        """Install, approve and commit the chaincode that is packaged."""
        sequence, packages = state.deployed.sequence, state.deployed.packages
        members = state.members()
        for_each(members, lambda number: lifecycle.install(self.programs, number, sequence))
        for_each(members, lambda n: lifecycle.approve(self.programs, n, sequence, packages[str(n)]))
        # Each peer must know of all approvals before it is asked whether they suffice.
        self.wait_for_height(members)
        lifecycle.commit(self.programs, members, sequence)
