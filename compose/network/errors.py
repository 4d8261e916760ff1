"""What can stop a network from coming up: a leaf of the tree in `ledger.errors` each.

::

    InvalidInput
    └── BadTopology       what was asked for is no network, or not the one in the folder
    Unavailable
    ├── BinariesMissing   Hyperledger Fabric's programs are not on this machine
    ├── CommandFailed     one of them refused; the message is its own
    └── NotReady          a process ended, or did not answer in time; the message ends with its last words
"""

from __future__ import annotations

from ledger.errors import InvalidInput, Unavailable


class BadTopology(InvalidInput):
    """What was asked for is no network that can exist, or not the one that the folder holds."""

    default_rule = "bad-topology"


class BinariesMissing(Unavailable):
    """Programs of Hyperledger Fabric are not on PATH nor in the named folder."""

    rule = "binaries-missing"


class CommandFailed(Unavailable):
    """A program of Hyperledger Fabric refused what it was asked."""

    rule = "command-failed"


class NotReady(Unavailable):
    """A process ended or did not answer in time."""

    rule = "not-ready"
