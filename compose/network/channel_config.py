"""The channel's first configuration, as configtxgen reads it: who belongs to it, who orders, and who must agree.

**The endorsement policy** is the one that the chaincode's checks rest on: a checkpoint counts only when peers of more than
half of the organisations ran the chaincode and agreed (``MAJORITY Endorsement``), so that no organisation, and no half of
them, can write what the others' chaincode refuses. The lifecycle of the chaincode and the membership of the channel need
the same majority. Each organisation answers to its own MSP alone, by the roles in its certificates (NodeOUs).
"""

from __future__ import annotations

from typing import Any, Final

from . import layout as names
from .layout import Layout

PROFILE: Final = "Consortium"
# Where the policy above is found in a channel's configuration; the chaincode's definition names it too.
ENDORSEMENT: Final = "/Channel/Application/Endorsement"

# A single orderer leads again two to four seconds after its start, and three stand a machine busy for a second.
_RAFT: Final[dict[str, Any]] = {
    "TickInterval": "200ms",
    "ElectionTick": 10,
    "HeartbeatTick": 1,
    "MaxInflightBlocks": 5,
    "SnapshotIntervalSize": "16 MB",
}


def configtx(layout: Layout) -> dict[str, Any]:
    """``configtx.yaml`` with one profile, :data:`PROFILE`."""
    return {"Profiles": {PROFILE: _channel(layout)}}


def _implicit(rule: str) -> dict[str, str]:
    return {"Type": "ImplicitMeta", "Rule": rule}


def _policies() -> dict[str, Any]:
    return {
        "Readers": _implicit("ANY Readers"),
        "Writers": _implicit("ANY Writers"),
        "Admins": _implicit("MAJORITY Admins"),
    }


def _channel(layout: Layout) -> dict[str, Any]:
    return {
        "Policies": _policies(),
        "Capabilities": {"V3_0": True},
        "Orderer": _orderer(layout),
        "Application": {
            "Organizations": [_organisation(layout, n) for n in layout.orgs],
            "Policies": {
                **_policies(),
                "LifecycleEndorsement": _implicit("MAJORITY Endorsement"),
                ENDORSEMENT.rpartition("/")[2]: _implicit("MAJORITY Endorsement"),
            },
            "Capabilities": {"V2_5": True},
        },
    }


def _signed_by(msp: str, *roles: str) -> dict[str, str]:
    principals = ", ".join(f"'{msp}.{role}'" for role in roles)
    return {"Type": "Signature", "Rule": f"OR({principals})"}


def _organisation(layout: Layout, number: int) -> dict[str, Any]:
    msp = names.msp(number)
    return {
        "Name": msp,
        "ID": msp,
        "MSPDir": str(layout.org(number) / "msp"),
        "Policies": {
            "Readers": _signed_by(msp, "admin", "peer", "client"),
            "Writers": _signed_by(msp, "admin", "client"),
            "Admins": _signed_by(msp, "admin"),
            "Endorsement": _signed_by(msp, "peer"),
        },
        # Peers of different organisations find each other by these; a gateway needs the others to endorse.
        "AnchorPeers": [{"Host": layout.host(f"peer{number}"), "Port": layout.port(f"peer{number}")}],
    }


def _orderer_organisation(layout: Layout, number: int) -> dict[str, Any]:
    msp = names.orderer_msp(number)
    return {
        "Name": msp,
        "ID": msp,
        "MSPDir": str(layout.orderer_org(number) / "msp"),
        "Policies": {
            "Readers": _signed_by(msp, "member"),
            "Writers": _signed_by(msp, "member"),
            "Admins": _signed_by(msp, "admin"),
        },
        "OrdererEndpoints": [layout.endpoint(f"orderer{number}")],
    }


def _orderer(layout: Layout) -> dict[str, Any]:
    return {
        "OrdererType": "BFT" if layout.topology.bft else "etcdraft",
        **_consenters(layout),
        "BatchTimeout": layout.topology.batch_timeout,
        "BatchSize": {"MaxMessageCount": 500, "AbsoluteMaxBytes": "10 MB", "PreferredMaxBytes": "2 MB"},
        "Organizations": [_orderer_organisation(layout, n) for n in layout.orderers],
        "Policies": {**_policies(), "BlockValidation": _implicit("ANY Writers")},
        "Capabilities": {"V2_0": True},
    }


def _consenters(layout: Layout) -> dict[str, Any]:
    if layout.topology.bft:
        return {
            "ConsenterMapping": [_bft_consenter(layout, n) for n in layout.orderers],
            "SmartBFT": _smart_bft(layout),
        }
    return {"EtcdRaft": {"Consenters": [_consenter(layout, n) for n in layout.orderers], "Options": _RAFT}}


def _consenter(layout: Layout, number: int) -> dict[str, Any]:
    certificate = str(layout.node(f"orderer{number}") / "tls" / "server.crt")
    return {
        "Host": layout.host(f"orderer{number}"),
        "Port": layout.port(f"orderer{number}"),
        "ClientTLSCert": certificate,
        "ServerTLSCert": certificate,
    }


def _bft_consenter(layout: Layout, number: int) -> dict[str, Any]:
    certificate = (
        layout.node(f"orderer{number}") / "msp" / "signcerts" / f"{names.orderer_host(number)}-cert.pem"
    )
    return {
        "ID": number,
        **_consenter(layout, number),
        "MSPID": names.orderer_msp(number),
        "Identity": str(certificate),
    }


def _smart_bft(layout: Layout) -> dict[str, Any]:
    """SmartBFT's own times; its batch interval stands in for Raft's batch time-out."""
    return {
        "RequestBatchMaxCount": 100,
        "RequestBatchMaxBytes": 10 * 1024 * 1024,
        "RequestBatchMaxInterval": layout.topology.batch_timeout,
        "RequestForwardTimeout": "2s",
        "RequestComplainTimeout": "10s",
        "RequestAutoRemoveTimeout": "3m0s",
        "ViewChangeResendInterval": "5s",
        "ViewChangeTimeout": "20s",
        "LeaderHeartbeatTimeout": "20s",
        "CollectTimeout": "1s",
        "IncomingMessageBufferSize": 200,
        "RequestPoolSize": 4000,
        "LeaderHeartbeatCount": 10,
    }
