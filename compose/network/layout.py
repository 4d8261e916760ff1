"""What a network consists of, and where each part of it lies and listens. Values only; nothing here touches the disk.

Organisation *n* has the MSP id ``OrgnMSP``, one peer and one chaincode server; orderer *n* belongs to an organisation of
its own, ``OrderernMSP``, so that no single host orders for all. Processes are named ``orderer1``, ``peer1``, ``chaincode1``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import BadTopology

HOST: Final = "127.0.0.1"
FEWEST_BFT: Final = 4
MOST: Final = 9
PORTS: Final[Mapping[str, tuple[str, ...]]] = {
    "orderer": ("listen", "admin", "operations"),
    "peer": ("listen", "chaincode", "operations"),
    "chaincode": ("listen",),
}
_DURATION: Final = re.compile(r"[1-9][0-9]{0,5}(ms|s)")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,40}")

Ports = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Topology:
    """What is asked for. Raises :class:`BadTopology` where no such network can exist."""

    orgs: int = 2
    orderers: int = 1
    bft: bool = False
    batch_timeout: str = "100ms"
    channel: str = "loomark"
    chaincode: str = "loomark"

    def __post_init__(self) -> None:
        for what, count in (("organisations", self.orgs), ("orderers", self.orderers)):
            if not 1 <= count <= MOST:
                raise BadTopology(f"expected 1 to {MOST} {what}, got {count}")
        if self.bft and self.orderers < FEWEST_BFT:
            raise BadTopology(f"SmartBFT needs at least {FEWEST_BFT} orderers, got {self.orderers}")
        if not _DURATION.fullmatch(self.batch_timeout):
            raise BadTopology(f"expected a batch timeout such as 100ms or 2s, got {self.batch_timeout!r}")
        for name in (self.channel, self.chaincode):
            if not _NAME.fullmatch(name):
                raise BadTopology(f"expected a name of lower-case letters, digits and hyphens, got {name!r}")

    def processes(self) -> tuple[str, ...]:
        """The names of all processes, in the order in which they are started."""
        return (
            *(f"orderer{n}" for n in range(1, self.orderers + 1)),
            *(f"peer{n}" for n in range(1, self.orgs + 1)),
            *(f"chaincode{n}" for n in range(1, self.orgs + 1)),
        )


def kind_of(name: str) -> str:
    """``orderer``, ``peer`` or ``chaincode``, of a process's name."""
    return name.rstrip("0123456789")


def number_of(name: str) -> int:
    """The number in a process's name."""
    return int(name[len(kind_of(name)) :])


@dataclass(frozen=True, slots=True)
class Layout:
    """A topology in a folder (absolute), with the ports it listens on.

    In ``containers`` each process has a host of its own, by the name in its certificate; else all share loopback.
    """

    folder: Path
    topology: Topology
    ports: Ports
    containers: bool = False

    @property
    def orgs(self) -> range:
        """The organisations' numbers, from 1."""
        return range(1, self.topology.orgs + 1)

    @property
    def orderers(self) -> range:
        """The orderers' numbers, from 1."""
        return range(1, self.topology.orderers + 1)

    @property
    def crypto(self) -> Path:
        """Where cryptogen writes keys and certificates."""
        return self.folder / "crypto"

    @property
    def block(self) -> Path:
        """The channel's first block."""
        return self.folder / "channel.block"

    @property
    def bind(self) -> str:
        """The address on which processes listen: loopback, or whatever their container has."""
        return "0.0.0.0" if self.containers else HOST

    def host(self, name: str) -> str:
        """By which name or address others reach a process."""
        return host_of(name) if self.containers else HOST

    def port(self, name: str, what: str = "listen") -> int:
        """The port on which a process listens for ``what``."""
        return self.ports[name][what]

    def endpoint(self, name: str, what: str = "listen") -> str:
        """``HOST:PORT`` by which others reach a process."""
        return f"{self.host(name)}:{self.port(name, what)}"

    def listener(self, name: str, what: str = "listen") -> str:
        """``ADDRESS:PORT`` on which a process listens."""
        return f"{self.bind}:{self.port(name, what)}"

    def home(self, name: str) -> Path:
        """The folder of a process: its configuration file, and its data below."""
        return self.folder / name

    def data(self, name: str) -> Path:
        """What a process stores; without it an orderer or peer knows nothing of the channel."""
        return self.home(name) / "data"

    def log(self, name: str) -> Path:
        """What a process said."""
        return self.folder / "logs" / f"{name}.log"

    def org(self, number: int) -> Path:
        """An organisation's key material."""
        return self.crypto / "peerOrganizations" / domain(number)

    def orderer_org(self, number: int) -> Path:
        """The key material of an orderer's organisation."""
        return self.crypto / "ordererOrganizations" / orderer_domain(number)

    def node(self, name: str) -> Path:
        """The folder with ``msp`` and ``tls`` of an orderer or a peer."""
        number = number_of(name)
        if kind_of(name) == "orderer":
            return self.orderer_org(number) / "orderers" / orderer_host(number)
        return self.org(number) / "peers" / peer_host(number)

    def user(self, number: int, *, admin: bool = False) -> Path:
        """The folder with ``msp`` and ``tls`` of an organisation's client, or of its admin."""
        return self.org(number) / "users" / f"{'Admin' if admin else 'User1'}@{domain(number)}"

    def orderer_admin(self, number: int) -> Path:
        """The folder with ``msp`` and ``tls`` of the admin of an orderer's organisation."""
        return self.orderer_org(number) / "users" / f"Admin@{orderer_domain(number)}"

    def tls_roots(self, number: int) -> Path:
        """The certificate that an organisation's TLS certificates lead to."""
        return self.org(number) / "tlsca" / f"tlsca.{domain(number)}-cert.pem"

    def orderer_tls_roots(self, number: int) -> Path:
        """The same of an orderer's organisation."""
        return self.orderer_org(number) / "tlsca" / f"tlsca.{orderer_domain(number)}-cert.pem"


def host_of(name: str) -> str:
    """The name in a process's TLS certificate."""
    number = number_of(name)
    hosts = {"orderer": orderer_host, "peer": peer_host, "chaincode": chaincode_host}
    return hosts[kind_of(name)](number)


def msp(number: int) -> str:
    """An organisation's MSP id."""
    return f"Org{number}MSP"


def domain(number: int) -> str:
    """An organisation's domain, under the top-level name that nobody owns."""
    return f"org{number}.example"


def peer_host(number: int) -> str:
    """The name in a peer's certificates."""
    return f"peer0.{domain(number)}"


def chaincode_host(number: int) -> str:
    """The name in the certificate of an organisation's chaincode server."""
    return f"chaincode.{domain(number)}"


def orderer_msp(number: int) -> str:
    """The MSP id of an orderer's organisation."""
    return f"Orderer{number}MSP"


def orderer_domain(number: int) -> str:
    """The domain of an orderer's organisation."""
    return f"orderer{number}.example"


def orderer_host(number: int) -> str:
    """The name in an orderer's certificates."""
    return f"orderer.{orderer_domain(number)}"
