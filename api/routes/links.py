"""`/api/links`: somebody says that two names are one lot or serial."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from api.limits import media_type, read_body
from ledger.statement import MAX_ENVELOPE_BYTES

from .asking import Serving, Submitting
from .members import settled

router = APIRouter(prefix="/api", tags=["members"])

MAX_LINK_BYTES: Final = 2 * MAX_ENVELOPE_BYTES


@router.post("/links", status_code=201, summary="Say that two names are one thing", response_class=Response)
async def links(request: Request, serving: Serving, submitting: Submitting) -> Response:
    """Takes `{same: [a, b], reason?, parties?}`, any names of two lots or serials, which the node signs for the
    caller; or `{envelope, salt, body}` that the caller signed.

    The link is followed by traces of the caller, of the members in `parties`, and of whoever sees their records.
    Answers once the statement is in the log: 201 with its id and index; a refusal says why.
    """
    media_type(request, ("application/json",))
    body = await read_body(request, MAX_LINK_BYTES, serving.settings.request_timeout_s)
    return await settled(serving, serving.node.capture.link(submitting, body))
