"""A Hyperledger Fabric network of plain processes on this machine, for trying out, for tests and for measuring.

Orderers, peers and one chaincode server per organisation on loopback, each with a certificate of its own; no container
engine. Everything lies in one folder. It is no way to run a consortium: all keys are in one hand. The programs of
Hyperledger Fabric are found on this machine (`binaries`) and are no part of Loomark. ::

    network = Network(Path("var/network"))
    network.up(Topology(orgs=3, orderers=3))
    profile = network.profile(1)                 # for `ledger.hyperledger.connection.load_profile`
    network.stop("orderer1", kill=True)
    network.down(delete=True)
"""

from __future__ import annotations

from .errors import BadTopology, BinariesMissing, CommandFailed, NotReady
from .layout import Layout, Topology
from .network import Network

__all__ = ["BadTopology", "BinariesMissing", "CommandFailed", "Layout", "Network", "NotReady", "Topology"]
