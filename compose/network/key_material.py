"""What cryptogen is asked to make: an organisation per peer and per orderer, with NodeOUs, an admin and a client each."""

from __future__ import annotations

from typing import Any

from . import layout as names
from .layout import Layout


def crypto_config(layout: Layout) -> dict[str, Any]:
    """``crypto-config.yaml``. Certificates name the host, ``localhost`` and 127.0.0.1."""
    return {
        "OrdererOrgs": [
            _organisation(f"Orderer{n}", names.orderer_domain(n), "orderer") for n in layout.orderers
        ],
        "PeerOrgs": [_organisation(f"Org{n}", names.domain(n), "peer0") for n in layout.orgs],
    }


def _organisation(name: str, domain: str, host: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Domain": domain,
        "EnableNodeOUs": True,
        "Specs": [{"Hostname": host, "SANS": ["localhost", names.HOST]}],
        "Users": {"Count": 1},
    }
