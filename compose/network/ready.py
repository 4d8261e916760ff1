"""Whether a network does what it is for: each organisation's gateway has a transaction endorsed, and one is submitted.

An endorsement shows that the peers found each other and reach their chaincode servers, a submission that the orderers take
transactions; the second may come much later than the first. The transaction reads only.
"""

from __future__ import annotations

from typing import Final

from ledger.errors import LoomarkError
from ledger.hyperledger.connection import load_profile
from ledger.hyperledger.gateway import Patience, open_gateway

from .layout import Layout
from .profiles import profile_path
from .state import State

FUNCTION: Final = "organisations:list"
_PATIENCE: Final = Patience(
    evaluate_s=5, endorse_s=10, submit_s=10, commit_s=20, away_s=0.5, first_pause_s=0.1, longest_pause_s=0.2
)


def why_not_ready(layout: Layout, state: State) -> str | None:
    """What is still missing, in the words of who refused; None when the network is ready."""
    members = state.members()
    try:
        for number in members:
            _try(layout, state, number, submit=number == members[0])
    except LoomarkError as error:
        return str(error)
    return None


def _try(layout: Layout, state: State, number: int, *, submit: bool) -> None:
    """Ask as an organisation's client, or as its admin where the client's certificate was revoked."""
    profile = load_profile(profile_path(layout, number, admin=number in state.revoked))
    gateway = open_gateway(profile, patience=_PATIENCE)
    try:
        if submit:
            gateway.transact(FUNCTION, [])
        else:
            gateway.endorse(FUNCTION, [])
    finally:
        gateway.close()
