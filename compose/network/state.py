"""What a folder remembers of its network, ``network.json``: written anew and whole at each step that another start needs."""

from __future__ import annotations

import itertools
import json
import random
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from .errors import BadTopology, NotReady
from .layout import HOST, PORTS, Layout, Ports, Topology, kind_of

NAME: Final = "network.json"
VERSION: Final = 1
# Below the range from which systems take the ports of outgoing connections, so that none of those is in the way later.
_FIRST_PORT, _LAST_PORT = 20_000, 32_000


@dataclass(frozen=True, slots=True)
class Deployed:
    """The chaincode's definition in force: its sequence number, and each organisation's package id."""

    sequence: int = 1
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """``built`` once the network was ready for the first time; ``removed`` are organisations that left the channel.

    ``revoked`` are organisations whose client's certificate was revoked.
    """

    topology: Topology
    ports: Ports
    built: bool = False
    deployed: Deployed = Deployed()
    removed: tuple[int, ...] = ()
    revoked: tuple[int, ...] = ()

    def layout(self, folder: Path) -> Layout:
        """The state as places and addresses."""
        return Layout(folder, self.topology, self.ports)

    def members(self) -> list[int]:
        """The organisations that belong to the channel now."""
        return [number for number in range(1, self.topology.orgs + 1) if number not in self.removed]

    def save(self, folder: Path) -> None:
        """Write the state, whole or not at all."""
        passing = folder / (NAME + ".new")
        passing.write_text(json.dumps({"version": VERSION, **asdict(self)}, indent=1), "utf-8")
        passing.replace(folder / NAME)


def load_state(folder: Path) -> State | None:
    """The network that a folder holds; None for a folder that is empty or not there.

    Raises :class:`BadTopology` for a folder with anything else in it, which is then left as it is.
    """
    if not folder.exists() or not any(each.name != "lock" for each in folder.iterdir()):
        return None
    if not (folder / NAME).is_file():
        raise BadTopology(f"expected an empty folder or one that holds a network, got {folder}")
    try:
        return _parse(json.loads((folder / NAME).read_text("utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise BadTopology(f"{folder / NAME} is not readable: {error}") from None


def _parse(kept: dict[str, Any]) -> State:
    if kept["version"] != VERSION:
        raise BadTopology(f"expected version {VERSION} of {NAME}, got {kept['version']!r}")
    return State(
        topology=Topology(**kept["topology"]),
        ports=kept["ports"],
        built=kept["built"],
        deployed=Deployed(**kept["deployed"]),
        removed=tuple(kept["removed"]),
        revoked=tuple(kept["revoked"]),
    )


def new_state(topology: Topology) -> State:
    """A network that is still to be built, on ports that are free now."""
    processes = topology.processes()
    ports = free_ports(sum(len(PORTS[kind_of(name)]) for name in processes))
    return State(topology, {name: {what: next(ports) for what in PORTS[kind_of(name)]} for name in processes})


def with_new_chaincode_ports(state: State, numbers: Iterable[int]) -> State:
    """The state with other free ports for these organisations' chaincode servers."""
    numbers = list(numbers)
    ports = free_ports(len(numbers))
    return replace(
        state, ports={**state.ports, **{f"chaincode{n}": {"listen": next(ports)} for n in numbers}}
    )


def free_ports(count: int) -> Iterator[int]:
    """Ports of loopback on which nothing listens now, each once."""
    candidates = random.SystemRandom().sample(range(_FIRST_PORT, _LAST_PORT), 20 * count + 100)
    free = list(itertools.islice((port for port in candidates if _is_free(port)), count))
    if len(free) < count:
        raise NotReady(f"expected {count} free ports between {_FIRST_PORT} and {_LAST_PORT}, got {len(free)}")
    return iter(free)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
