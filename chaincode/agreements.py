"""Agreements of two organisations on a document that the channel never sees: its digest, the parties, the state.

::

    proposed ── accept (counterpart) ──> accepted
       │  │                                │  │
       │  └── revoke (either party) ───────┘  │
       └───── expire (either party, once ``until`` has passed)

``revoked`` and ``expired`` are final. An id is used once, so what is accepted is what was proposed under it.
Times are compared with the transaction's timestamp, which is the client's clock; a peer lets it be wrong by minutes.
"""

from __future__ import annotations

from ledger import shape
from ledger.canonical import JSON, canonical, parse_json
from ledger.errors import Conflict, Forbidden, InvalidInput

from . import arguments, keys, organisations
from .refusal import BrokenState
from .stub import Stub

MAX_PROPOSAL_BYTES = 1_024
OPEN = frozenset({"proposed", "accepted"})


def propose(stub: Stub, identifier: bytes, proposal: bytes) -> JSON:
    """Propose an agreement to a counterpart, under an id that was never used."""
    key = keys.agreement(_identifier(identifier))
    read = shape.members(parse_json(proposal), "proposal", frozenset({"counterpart", "digest", "until"}))
    counterpart = arguments.msp_id(shape.text(read["counterpart"], "counterpart", 128))
    shape.hex_text(read["digest"], "digest")
    msp = _registered_caller(stub)
    if counterpart == msp:
        raise InvalidInput("counterpart: expected another organisation than the caller's", rule="same-party")
    if read["until"] is not None and shape.time_ms(read["until"], "until") <= stub.timestamp_ms:
        raise InvalidInput("until: expected a time after the transaction's timestamp", rule="bad-until")
    arguments.found(stub, keys.organisation(counterpart), "unknown-organisation", "a registered counterpart")
    if stub.get_state(key) is not None:
        raise Conflict("expected an id that was never used", rule="already-proposed")
    named = {"id": keys.last_part(key), "proposer": msp, "counterpart": counterpart}
    return _keep(stub, key, {**named, "digest": read["digest"], "until": read["until"], "state": "proposed"})


def accept(stub: Stub, identifier: bytes) -> JSON:
    """Accept as the counterpart, before ``until``."""
    key, agreement = _agreement(stub, identifier)
    if _registered_caller(stub) != agreement["counterpart"]:
        raise Forbidden("expected a caller of the counterpart, got another", rule="not-counterpart")
    _require_state(agreement, frozenset({"proposed"}))
    if _has_ended(stub, agreement):
        raise Conflict("expected a timestamp before the agreement's end", rule="past-until")
    return _keep(stub, key, {**agreement, "state": "accepted"})


def revoke(stub: Stub, identifier: bytes) -> JSON:
    """Withdraw the proposal or end the agreement, as either party."""
    key, agreement = _agreement(stub, identifier)
    _require_party(stub, agreement)
    _require_state(agreement, OPEN)
    return _keep(stub, key, {**agreement, "state": "revoked"})


def expire(stub: Stub, identifier: bytes) -> JSON:
    """Note that ``until`` has passed, as either party."""
    key, agreement = _agreement(stub, identifier)
    _require_party(stub, agreement)
    _require_state(agreement, OPEN)
    if not _has_ended(stub, agreement):
        raise Conflict("expected a timestamp at or after the agreement's end", rule="not-ended")
    return _keep(stub, key, {**agreement, "state": "expired"})


def get(stub: Stub, identifier: bytes) -> JSON:
    """An agreement; 404 for an id that was never used."""
    return _agreement(stub, identifier)[1]


def _identifier(raw: bytes) -> str:
    return shape.member_name(arguments.utf8(raw, "id", arguments.MAX_NAME_BYTES), "id")


def _agreement(stub: Stub, identifier: bytes) -> tuple[str, JSON]:
    key = keys.agreement(_identifier(identifier))
    return key, arguments.found(stub, key, "unknown-agreement", "the id of an agreement")


def _registered_caller(stub: Stub) -> str:
    msp = stub.creator.msp
    organisations.require_registered(stub, msp)
    return msp


def _require_party(stub: Stub, agreement: JSON) -> None:
    if _registered_caller(stub) not in (agreement["proposer"], agreement["counterpart"]):
        raise Forbidden("expected a caller of one of the parties, got another", rule="not-party")


def _require_state(agreement: JSON, allowed: frozenset[str]) -> None:
    if agreement["state"] not in allowed:
        raise Conflict(
            f"expected an agreement that is open to this, got {agreement['state']}", rule="wrong-state"
        )


def _has_ended(stub: Stub, agreement: JSON) -> bool:
    until = agreement["until"]
    try:
        return until is not None and shape.time_ms(until, "until") <= stub.timestamp_ms
    except InvalidInput:
        raise BrokenState("an agreement in the state has no time") from None


def _keep(stub: Stub, key: str, agreement: JSON) -> JSON:
    arguments.store(stub, key, agreement)
    told = {name: agreement[name] for name in ("id", "proposer", "counterpart", "state")}
    stub.set_event("agreement", canonical(told))
    return agreement
