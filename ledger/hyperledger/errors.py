"""What a Hyperledger Fabric network refuses, and how it fails: leaves of the tree in `ledger.errors`.

::

    InvalidInput
    ├── BadProfile            the profile, or an identity that it names, cannot be used
    ├── ChaincodeRefused      the chaincode refused the transaction; the channel's state is as it was
    └── Forbidden
        └── IdentityRefused   a peer does not accept this identity: wrong MSP, expired, revoked, no rights
    Unavailable
    ├── NetworkAway           no answer in time, or an answer that says so
    │   └── OutcomeUnknown    sent to be ordered, and nobody said what became of it
    ├── BadAnswer             an answer that this protocol does not know
    └── Invalidated           ordered, and marked invalid: no effect on the channel's state
        └── Conflict          because another transaction was first; read again and propose afresh
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Forbidden, InvalidInput, Unavailable


@dataclass(frozen=True, slots=True)
class PeerMessage:
    """What one peer or orderer said about a failure: its address, its organisation's MSP id, its words."""

    address: str
    msp: str
    message: str

    def __str__(self) -> str:
        return f"{self.address} ({self.msp}): {self.message}"


class BadProfile(InvalidInput):
    """The profile, or an identity or certificate that it names, cannot be used; the message names key and file."""

    default_rule = "bad-profile"


class ChaincodeRefused(InvalidInput):
    """The chaincode refused: nothing was submitted and the channel's state did not change.

    ``status`` is the response's status (400-599), ``rule`` the chaincode's slug (``chaincode-error`` where it gave
    none), ``reason`` its words, ``details`` who said so where that is known.
    """

    default_rule = "chaincode-error"

    def __init__(self, status: int, rule: str, reason: str, details: Sequence[PeerMessage] = ()) -> None:
        super().__init__(f"the chaincode refused ({status} {rule}): {reason}", rule=rule)
        self.status = status
        self.reason = reason
        self.details = tuple(details)


class IdentityRefused(Forbidden):
    """A peer refuses this identity: of an MSP that the channel does not know, expired, revoked, or without rights."""

    default_rule = "identity-refused"


class NetworkAway(Unavailable):
    """The network did not answer in time, or could not serve; the same request may succeed later.

    ``details`` is what single peers said, as far as the answer told.
    """

    rule = "network-away"

    def __init__(self, message: str, details: Sequence[PeerMessage] = ()) -> None:
        super().__init__("; ".join([message, *map(str, details)]))
        self.details = tuple(details)


class OutcomeUnknown(NetworkAway):
    """A transaction may have been sent to be ordered, and its commit status is not known: it may commit yet.

    Whoever proposes it again reads first whether it did; ``tx_id`` names it.
    """

    rule = "outcome-unknown"

    def __init__(self, message: str, tx_id: str, details: Sequence[PeerMessage] = ()) -> None:
        super().__init__(message, details)
        self.tx_id = tx_id


class BadAnswer(Unavailable):
    """A peer answered something that the protocol does not allow; nothing of it was believed."""

    rule = "bad-answer"


class Invalidated(Unavailable):
    """The transaction was ordered in block ``block`` and marked invalid with ``code``; it changed no state."""

    rule = "invalidated"

    def __init__(self, tx_id: str, block: int, code: str) -> None:
        super().__init__(f"transaction {tx_id} in block {block} is not valid: {code}")
        self.tx_id = tx_id
        self.block = block
        self.code = code


class Conflict(Invalidated):
    """What the transaction had read was changed before its turn (MVCC_READ_CONFLICT, PHANTOM_READ_CONFLICT).

    To send the same transaction again cannot help: read anew, and make a fresh proposal of what is true then.
    """

    rule = "read-conflict"
