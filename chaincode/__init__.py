"""The contracts of Loomark on a Hyperledger Fabric channel, run as chaincode-as-a-service.

Three contracts: :mod:`.organisations` (who stands behind which log), :mod:`.checkpoints` (what those logs anchored),
:mod:`.agreements` (what two organisations agreed on). They take a :class:`Stub` and bytes, and decide with the pure
modules of ``ledger``; :func:`dispatch` leads to them. ``chaincode.shim`` speaks to the peer and is imported by name, as
it alone needs gRPC; ``chaincode.package`` makes what is installed on a peer.
"""

from __future__ import annotations

from .dispatch import FUNCTIONS, dispatch
from .stub import Creator, Handler, Response, Stub

__all__ = ["FUNCTIONS", "Creator", "Handler", "Response", "Stub", "dispatch"]
