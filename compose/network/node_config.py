"""The configuration files of one orderer and of one peer: every address named, TLS everywhere, no chaincode in containers.

Metrics and health are read over plain HTTP, on loopback as all the rest: they tell nothing that a user of this machine may
not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from . import layout as names
from .layout import HOST, Layout

CCAAS: Final = Path(__file__).resolve().parent.parent / "ccaas"
# Names whose presence changes nothing but must be said: software keys, in files.
_SOFTWARE_KEYS: Final[dict[str, Any]] = {"Default": "SW", "SW": {"Hash": "SHA2", "Security": 256}}


def orderer_yaml(layout: Layout, number: int) -> dict[str, Any]:
    """``orderer.yaml`` of orderer ``number``: no system channel, channels join by participation."""
    name = f"orderer{number}"
    tls = layout.node(name) / "tls"
    key, certificate, root = str(tls / "server.key"), str(tls / "server.crt"), str(tls / "ca.crt")
    data = layout.data(name)
    return {
        "General": {
            "ListenAddress": layout.bind,
            "ListenPort": layout.port(name),
            "BootstrapMethod": "none",
            "LocalMSPDir": str(layout.node(name) / "msp"),
            "LocalMSPID": names.orderer_msp(number),
            "TLS": {"Enabled": True, "PrivateKey": key, "Certificate": certificate, "RootCAs": [root]},
            # Other orderers call on the same port, and know this one by the same certificate.
            "Cluster": {"ClientCertificate": certificate, "ClientPrivateKey": key},
            "Keepalive": {"ServerMinInterval": "10s", "ServerInterval": "2h", "ServerTimeout": "20s"},
            "Profile": {"Enabled": False, "Address": f"{HOST}:0"},
            "BCCSP": _SOFTWARE_KEYS,
            "Authentication": {"TimeWindow": "15m"},
        },
        "FileLedger": {"Location": str(data / "ledger")},
        "Consensus": {"WALDir": str(data / "wal"), "SnapDir": str(data / "snapshots")},
        "ChannelParticipation": {"Enabled": True, "MaxRequestBodySize": "1 MB"},
        "Admin": {
            "ListenAddress": layout.listener(name, "admin"),
            "TLS": {
                "Enabled": True,
                "PrivateKey": key,
                "Certificate": certificate,
                "RootCAs": [root],
                "ClientAuthRequired": True,
                "ClientRootCAs": [root],
            },
        },
        "Operations": {"ListenAddress": layout.listener(name, "operations"), "TLS": {"Enabled": False}},
        "Metrics": {"Provider": "prometheus"},
    }


def core_yaml(layout: Layout, number: int, builder: Path = CCAAS) -> dict[str, Any]:
    """``core.yaml`` of organisation ``number``'s peer; the command-line client reads the same file.

    ``builder`` is where the peer finds the external builder for chaincode that runs as a service.
    """
    name = f"peer{number}"
    return {
        "peer": _peer(layout, number),
        # No engine to run chaincode in: whatever is not a service is refused.
        "vm": {"endpoint": ""},
        "chaincode": _chaincode(builder),
        "ledger": {
            "state": {"stateDatabase": "goleveldb", "totalQueryLimit": 100000},
            "history": {"enableHistoryDatabase": False},
            "snapshots": {"rootDir": str(layout.data(name) / "snapshots")},
        },
        "operations": {"listenAddress": layout.listener(name, "operations"), "tls": {"enabled": False}},
        "metrics": {"provider": "prometheus"},
    }


def _peer(layout: Layout, number: int) -> dict[str, Any]:
    name = f"peer{number}"
    node = layout.node(name)
    return {
        "id": names.peer_host(number),
        "networkId": layout.topology.channel,
        "listenAddress": layout.listener(name),
        "address": layout.endpoint(name),
        "addressAutoDetect": False,
        "chaincodeListenAddress": layout.listener(name, "chaincode"),
        "chaincodeAddress": layout.endpoint(name, "chaincode"),
        "localMspId": names.msp(number),
        "localMspType": "bccsp",
        "mspConfigPath": str(node / "msp"),
        "fileSystemPath": str(layout.data(name)),
        "BCCSP": _SOFTWARE_KEYS,
        "tls": {
            "enabled": True,
            "clientAuthRequired": False,
            "cert": {"file": str(node / "tls" / "server.crt")},
            "key": {"file": str(node / "tls" / "server.key")},
            "rootcert": {"file": str(node / "tls" / "ca.crt")},
        },
        "gossip": _gossip(layout, name),
        # An orderer that comes back is found within a second, however long it was away.
        "deliveryclient": {
            "reconnectTotalTimeThreshold": "720h",
            "reConnectBackoffThreshold": "1s",
            "connTimeout": "3s",
            "blockGossipEnabled": False,
            "policy": "cluster",
        },
        "gateway": {
            "enabled": True,
            "endorsementTimeout": "30s",
            "broadcastTimeout": "30s",
            "dialTimeout": "30s",
        },
        "keepalive": {"minInterval": "10s"},
        "authentication": {"timewindow": "15m"},
        "handlers": _handlers(),
        "discovery": {"enabled": True, "orgMembersAllowedAccess": False},
        "limits": {"concurrency": {"endorserService": 2500, "deliverService": 2500, "gatewayService": 500}},
        "profile": {"enabled": False, "listenAddress": f"{HOST}:0"},
    }


def _gossip(layout: Layout, name: str) -> dict[str, Any]:
    """Each organisation has one peer, which fetches blocks itself; peers hear of each other within two seconds."""
    return {
        "bootstrap": layout.endpoint(name),
        "endpoint": layout.endpoint(name),
        "externalEndpoint": layout.endpoint(name),
        "useLeaderElection": False,
        "orgLeader": True,
        "aliveTimeInterval": "1s",
        "aliveExpirationTimeout": "10s",
        # The first call to another organisation's peer may be made before its TLS roots are known, and fails until it is
        # made anew.
        "dialTimeout": "1s",
        "reconnectInterval": "500ms",
        "membershipTrackerInterval": "2s",
        # Certificates of other organisations' peers are asked for in turns of this length.
        "pullInterval": "1s",
        "digestWaitTime": "200ms",
        "requestWaitTime": "400ms",
        "responseWaitTime": "600ms",
        "requestStateInfoInterval": "1s",
        "publishStateInfoInterval": "1s",
        "pvtData": {
            "pullRetryThreshold": "3s",
            "transientstoreMaxBlockRetention": 20000,
            "pushAckTimeout": "3s",
            "btlPullMargin": 10,
            "reconcileBatchSize": 10,
            "reconcileSleepInterval": "1m",
            "reconciliationEnabled": True,
            "implicitCollectionDisseminationPolicy": {"requiredPeerCount": 0, "maxPeerCount": 1},
        },
        "state": {"enabled": False},
    }


def _handlers() -> dict[str, Any]:
    """Expired certificates and proposals from another time are refused because these filters are named."""
    return {
        "authFilters": [{"name": "DefaultAuth"}, {"name": "ExpirationCheck"}, {"name": "TimeWindowCheck"}],
        "decorators": [{"name": "DefaultDecorator"}],
        "endorsers": {"escc": {"name": "DefaultEndorsement"}},
        "validators": {"vscc": {"name": "DefaultValidation"}},
    }


def _chaincode(builder: Path) -> dict[str, Any]:
    return {
        "mode": "net",
        "keepalive": 0,
        "installTimeout": "60s",
        "startuptimeout": "60s",
        "executetimeout": "30s",
        "externalBuilders": [{"name": "ccaas", "path": str(builder), "propagateEnvironment": []}],
        "system": {"_lifecycle": "enable", "cscc": "enable", "lscc": "enable", "qscc": "enable"},
        "logging": {"level": "info", "shim": "warning"},
    }
