"""`/api/erasures` and `/api/retention`: members erase what they captured, and say how long it is kept."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from api.limits import media_type, read_body
from api.services import Services
from fabric.capture.retaining import Due
from fabric.store.credentials import OPERATOR
from fabric.store.erasures import StatedErasure
from fabric.store.retention import Policy
from ledger.canonical import parse_json
from ledger.errors import Forbidden
from ledger.shape import time_text

from .asking import Calling, Serving, Submitting
from .members import settled

router = APIRouter(prefix="/api", tags=["members"])

MAX_ERASURE_BYTES: Final = 1024 * 1024
MAX_POLICY_BYTES: Final = 4_096
MOST_LISTED: Final = 1_000


@router.post("/erasures", status_code=201, summary="Erase records, or units of one", response_class=Response)
async def erase(request: Request, serving: Serving, submitting: Submitting) -> Response:
    """Takes `{records, units?, reason, parties?}`, which the node signs for the caller; or `{envelope, salt, body}`
    that the caller signed. Records are the caller's own, by their commitments or IRIs.

    Answers once the statement is in the log: 201 with its id and index; then nothing answers with what was erased
    any more. Files are rewritten after that: GET /api/erasures says when they were.
    """
    media_type(request, ("application/json",))
    body = await read_body(request, MAX_ERASURE_BYTES, serving.settings.request_timeout_s)
    return await settled(serving, serving.node.capture.erase(submitting, body))


@router.get("/erasures", summary="What the caller erased", response_class=Response)
def erasures(serving: Serving, submitting: Submitting) -> Response:
    """The caller's erasures, newest first, with what is done of each."""
    purged = serving.graph.purged
    found = [_erasure(one, purged) for one in serving.node.capture.erasures(submitting)]
    return _json({"erasures": found})


@router.get("/erasures/{statement_id}", summary="What is done of an erasure", response_class=Response)
def erasure(statement_id: str, serving: Serving, submitting: Submitting) -> Response:
    """One erasure of the caller: `state` is staged, stated (no table holds it), or gone (no file does).

    Of nodes that share a database each answers for that and for its own folder.
    """
    found = serving.node.capture.erasure(submitting, statement_id)
    return _json(_erasure(found, serving.graph.purged))


@router.get("/retention", summary="How long records are kept", response_class=Response)
def retention(serving: Serving, calling: Calling) -> Response:
    """The caller's policy; to the operator those of all members."""
    found = serving.node.capture.retention()
    own = [one for one in found if calling.role == OPERATOR or one.member == calling.member]
    return _json({"policies": [_policy(one) for one in own]})


@router.put(
    "/members/{member_id}/retention", summary="Set how long records are kept", response_class=Response
)
async def set_retention(member_id: str, request: Request, serving: Serving, calling: Calling) -> Response:
    """Takes `{days}` or `{until}`; `{}` keeps records without end. The member's to set, or the operator's for a member
    without a key of its own.

    Nothing is erased by this: POST /api/retention/pass does it.
    """
    media_type(request, ("application/json",))
    value = parse_json(await read_body(request, MAX_POLICY_BYTES, serving.settings.request_timeout_s))
    found = await asyncio.to_thread(serving.node.capture.set_retention, calling, member_id, value)
    return _json({"member": member_id, "policy": None if found is None else _policy(found)})


@router.post("/retention/pass", summary="Erase what is due", response_class=Response)
async def retain(
    serving: Serving,
    calling: Calling,
    apply: Annotated[bool, Query(description="Erase what is due; else it is only listed.")] = False,
) -> Response:
    """What is due under the caller's policy, to the operator under all; with `apply` each erasure is stated first.

    One pass erases a few thousand records of each member; `left` says how many wait for the next.
    """
    member = None if calling.role == OPERATOR else calling.member
    found = await asyncio.to_thread(serving.node.capture.retain, member, apply=apply)
    if member is not None and not found:
        raise Forbidden("expected a retention policy of the caller, got none", rule="no-policy")
    return _json({"applied": apply, "due": [_due(serving, one) for one in found]})


def _erasure(one: StatedErasure, purged: int) -> dict[str, Any]:
    stated = one.stated
    graph = stated.seq is not None and purged >= stated.seq
    body = stated.value()
    return {
        "statement": stated.statement_id,
        "index": stated.seq,
        "state": "staged" if stated.seq is None else "gone" if graph and one.swept else "stated",
        "database": one.swept,
        "graph": graph,
        "records": body["records"],
        "units": body["units"],
        "reason": body["reason"],
    }


def _policy(one: Policy) -> dict[str, Any]:
    return {
        "member": one.member,
        "days": one.days,
        "until": None if one.until_ms is None else time_text(one.until_ms),
        "setBy": one.set_by,
        "setAt": time_text(one.set_ms),
    }


def _due(serving: Services, one: Due) -> dict[str, Any]:
    outcomes = [serving.node.capture.outcome(row) for row in one.stated]
    return {
        **_policy(one.policy),
        "count": len(one.records),
        "left": one.left,
        "records": [record.hex() for record in one.records[:MOST_LISTED]],
        "cannot": one.rule,
        "indices": [outcome.index for outcome in outcomes],
    }


def _json(value: dict[str, Any]) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), media_type="application/json")
