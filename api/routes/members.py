"""`/api/members` and `/api/statements`: the consortium, and what is stated about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from api.limits import media_type, read_body
from api.services import Services
from fabric.capture.service import Outcome, Posted
from fabric.capture.writer import Ticket
from fabric.store.credentials import OPERATOR
from ledger.errors import Forbidden, InvalidInput, NotFound
from ledger.key_record import KeyRecord
from ledger.log_key import LogKey
from ledger.registry import Registry
from ledger.shape import base64_text, time_text
from ledger.statement import MAX_ENVELOPE_BYTES

from .asking import Calling, Serving

router = APIRouter(prefix="/api", tags=["members"])


@router.get("/members", summary="Members, keys, identifiers, roles")
def members(serving: Serving, calling: Calling) -> dict[str, Any]:
    """The registry under the last published seal; `self` is the caller's member id."""
    registry = serving.node.log.registry()
    listed = [_member_json(registry, name) for name in sorted(registry.members)]
    return {
        "self": calling.member,
        "role": calling.role,
        "log": serving.node.origin,
        "logKeys": [_log_key_json(one) for one in registry.log_keys],
        "members": listed,
    }


@router.get("/members/{member_id}", summary="One member: its keys, what each signed, and what is disputed")
def member(member_id: str, serving: Serving, calling: Calling) -> dict[str, Any]:
    """As in the list of members, for one. `disputed` has the ranges of the log that a revocation called in question."""
    registry = serving.node.log.registry()
    if member_id not in registry.members:
        raise NotFound("no such member", rule="unknown-member")
    shown = _member_json(registry, member_id)
    ranges = [
        {"keyid": key["keyid"], "use": key["use"], "from": key["disputedFrom"], "to": key["signedTo"]}
        for key in shown["keys"]
        if key["disputedFrom"] is not None
    ]
    return shown | {"disputed": ranges, "size": serving.node.log.size}


@router.post(
    "/statements", status_code=201, summary="State something about the consortium", response_class=Response
)
async def statements(request: Request, serving: Serving, calling: Calling) -> Response:
    """Takes a DSSE envelope, or from the operator `{type, ...}`, which the node signs with the operator's key.

    Answers once the statement is in the log: 201 with its index; a refusal says why. Admission of a member also
    answers `member` and `apiKey`, which is shown this once.
    """
    media_type(request, ("application/json", "application/vnd.dsse.envelope+json"))
    body = await read_body(request, MAX_ENVELOPE_BYTES, serving.settings.request_timeout_s)
    return await settled(serving, serving.node.capture.post(calling, body))


@router.post("/members/{member_id}/api-key", status_code=201, summary="A fresh API key of a member")
def api_key(member_id: str, serving: Serving, calling: Calling) -> dict[str, str]:
    """From the operator: a new API key, shown this once; the member's earlier ones are revoked."""
    if calling.role != OPERATOR:
        raise Forbidden("expected the operator's API key", rule="not-operator")
    return {"member": member_id, "apiKey": serving.node.capture.issue_key(member_id)}


async def settled(serving: Services, ticket: Ticket) -> Response:
    """The answer to a posted statement once it is in the log, 201 with its index; raises what it was refused for."""
    posted: Posted = await asyncio.wrap_future(ticket.stored)
    await asyncio.wrap_future(ticket.settled)
    outcome = await asyncio.to_thread(serving.node.capture.outcome, posted.row)
    if outcome.state == "refused":
        refused = Forbidden if outcome.rule in ("forbidden", "revoked-key", "unknown-key") else InvalidInput
        raise refused(outcome.reason or "the statement was refused", rule=outcome.rule)
    return Response(json.dumps(_posted_json(posted, outcome)), status_code=201, media_type="application/json")


def _posted_json(posted: Posted, outcome: Outcome) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "type": posted.type,
        "statement": posted.statement_id,
        "state": outcome.state,
        "index": outcome.index,
    }
    if posted.subject is not None:
        answer["member"] = posted.subject
    if posted.api_key is not None:
        answer["apiKey"] = posted.api_key
    return answer


def _member_json(registry: Registry, name: str) -> dict[str, Any]:
    member = registry.members[name]
    return {
        "id": member.id,
        "name": member.name,
        "roles": list(member.roles),
        "parties": [
            {
                "kind": held.kind,
                "value": held.value,
                "from": time_text(held.from_ms),
                "until": None if held.until_ms is None else time_text(held.until_ms),
            }
            for held in registry.identifiers
            if held.member == name
        ],
        "keys": [
            _key_json(keyid, record, registry.ended.get(keyid))
            for keyid, record in sorted(registry.records.items())
            if record.member == name
        ],
        "grants": [
            {
                "role": grant.role,
                "for": "all" if grant.members is None else list(grant.members),
                "until": None if grant.until_ms is None else time_text(grant.until_ms),
            }
            for grant in registry.grants
            if grant.grantee == name
        ],
    }


def _key_json(keyid: str, record: KeyRecord, ended: int | None) -> Mapping[str, Any]:
    """A key with the range of the log that it may have signed: from `since`, to before the statement that ended it."""
    return {
        "keyid": keyid,
        "key": base64_text(record.key),
        "use": record.use,
        "party": record.party,
        "state": record.state,
        "since": record.since,
        "until": record.until,
        "signedTo": None if ended is None else ended - 1,
        "disputedFrom": record.disputed_from,
    }


def _log_key_json(key: LogKey) -> Mapping[str, Any]:
    return {"vkey": key.vkey.text(), "since": key.since, "until": key.until}
