"""The same consortium in containers: two organisations, each with peer, chaincode server, node and database, and one orderer.

`compose.yaml` says what runs; `write` makes the material that it mounts, each container's own part of it only, and `deploy`
makes channel and chaincode once the containers run, from this machine, by the ports that they publish on its loopback.
"""

from __future__ import annotations

from .consortium import PUBLISHED, TOPOLOGY, deploy, write

__all__ = ["PUBLISHED", "TOPOLOGY", "deploy", "write"]
