"""`/api/keys` and the keys of a member: going over to new ones, and who signed with which, and until when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from fastapi import APIRouter, Request

from api.limits import media_type, read_body
from api.services import Services
from fabric.capture.rotation import CustodyChange, Rotation
from fabric.store.credentials import OPERATOR, Principal
from ledger import shape
from ledger.canonical import parse_json
from ledger.errors import Forbidden

from .asking import Calling, Serving

router = APIRouter(prefix="/api", tags=["keys"])

LOG_OVERLAP_S = 7 * 24 * 3_600
CUSTODY_OVERLAP_S = 3_600
_MOST_S = 366 * 24 * 3_600
_BODY_BYTES = 65_536

Done = TypeVar("Done")


@router.post("/keys/log", status_code=201, summary="Go over to a new key of the log")
async def log_key(request: Request, serving: Serving, calling: Calling) -> dict[str, Any]:
    """From the operator, `{"overlapSeconds"?}`: the old key announces the new one, and signs beside it that long."""
    given = await _told(request, serving, calling, frozenset({"overlapSeconds"}))
    overlap_ms = _overlap_ms(given, LOG_OVERLAP_S)
    change = await _rotated(serving, lambda rotation: rotation.log_key(overlap_ms))
    return asdict(change)


@router.post("/keys/operator", status_code=201, summary="Go over to a new key of the operator")
async def operator_key(request: Request, serving: Serving, calling: Calling) -> dict[str, Any]:
    """From the operator, `{}`: the old key signs the change, and nothing after it."""
    await _told(request, serving, calling, frozenset())
    index, keyid = await _rotated(serving, lambda rotation: rotation.operator_key())
    return {"index": index, "keyid": keyid}


@router.post("/keys/custody", status_code=201, summary="Go over to new keys that capture for members")
async def custody_keys(request: Request, serving: Serving, calling: Calling) -> dict[str, Any]:
    """From the operator, `{"members"?, "overlapSeconds"?}`; without `members` all that the node captures for.

    A member with a key of its own has to delegate the new key itself: its `delegate` lists what it signs.
    """
    given = await _told(request, serving, calling, frozenset({"members", "overlapSeconds"}))
    overlap_ms, members = _overlap_ms(given, CUSTODY_OVERLAP_S), None
    if "members" in given:
        listed = shape.array(given["members"], "members", 1, 10_000)
        members = [shape.member_name(one, "members") for one in listed]
    changes = await _rotated(serving, lambda rotation: rotation.custody(members, overlap_ms))
    return {"changes": [_custody_json(one) for one in changes]}


@router.get("/members/{member_id}/delegation", summary="What a member signs to let the node capture for it")
async def delegation(
    member_id: str, serving: Serving, calling: Calling, overlap_s: int = CUSTODY_OVERLAP_S
) -> dict[str, Any]:
    """For the member itself: a new key of the node for it, and the ends of the keys before; none is in force yet."""
    if calling.role == OPERATOR or calling.member != member_id:
        raise Forbidden("expected the API key of the member itself", rule="not-this-member")
    overlap_ms = 1_000 * shape.count(overlap_s, "overlap_s", 1, _MOST_S)
    change = await _rotated(serving, lambda rotation: rotation.delegations(member_id, overlap_ms))
    return _custody_json(change)


async def _told(
    request: Request, serving: Services, calling: Principal, allowed: frozenset[str]
) -> Mapping[str, Any]:
    if calling.role != OPERATOR:
        raise Forbidden("expected the operator's API key", rule="not-operator")
    media_type(request, ("application/json",))
    body = await read_body(request, _BODY_BYTES, serving.settings.request_timeout_s)
    return shape.members(parse_json(body or b"{}"), "body", frozenset(), allowed)


def _overlap_ms(given: Mapping[str, Any], default_s: int) -> int:
    return 1_000 * shape.count(given.get("overlapSeconds", default_s), "overlapSeconds", 1, _MOST_S)


async def _rotated(serving: Services, change: Callable[[Rotation], Done]) -> Done:
    return await asyncio.to_thread(change, serving.node.rotation)


def _custody_json(change: CustodyChange) -> dict[str, Any]:
    return {
        "member": change.member,
        "keyid": change.keyid,
        "index": change.index,
        "ended": list(change.ended),
        "delegate": list(change.delegate),
    }
