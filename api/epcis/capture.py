"""`/epcis`: capture of EPCIS 2.0 documents and single events, and what became of them.

A capture is answered with 202 once the whole document was validated and is durably stored. Its job then says
staged, sequenced or refused; `Prefer: wait=N` waits for that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from api.limits import media_type, read_body
from api.routes.asking import Serving, Submitting
from api.routes.records import told_checkpoint
from api.services import Services
from fabric.capture.naming import CapturedRecord, records_of
from fabric.capture.prepare import Asked
from fabric.capture.writer import Ticket
from fabric.epcis.document import MEDIA_TYPES, XML_MEDIA_TYPES
from fabric.store.jobs import Job
from ledger.errors import Conflict, Unavailable
from ledger.submission import MEDIA_TYPE as SUBMISSION

router = APIRouter(prefix="/epcis", tags=["epcis"])

ACCEPTED = (*MEDIA_TYPES, *XML_MEDIA_TYPES, SUBMISSION)
RECEIPT_RELATION = "urn:loomark:rel:receipt"
"""What a job's `Link` header calls its receipt."""
_LONGEST_WAIT_S = 60.0


class Digits(StrEnum):
    """What becomes of a GS1 key with a wrong check digit."""

    CHECK = "check"
    KEEP = "keep"


CheckDigits = Annotated[
    Digits,
    Query(
        alias="check-digits",
        description="keep: take GS1 keys with a wrong check digit as private names, with a warning each;"
        " else they are refused.",
    ),
]


@router.post("/capture", status_code=202, summary="Capture an EPCIS document", response_class=Response)
async def capture(
    request: Request, serving: Serving, member: Submitting, check_digits: CheckDigits = Digits.CHECK
) -> Response:
    """Takes an EPCISDocument or EPCISQueryDocument (JSON, JSON-LD, or XML of EPCIS 2.0 or 1.x), or a member-signed
    capture around one.

    Nothing is stored of a document with a finding. The answer comes when the capture is durable; `Location` is
    its job.
    """
    job = await _capture(request, serving, member, check_digits)
    return _accepted(job)


@router.post("/events", status_code=202, summary="Capture one event", response_class=Response)
async def capture_event(
    request: Request, serving: Serving, member: Submitting, check_digits: CheckDigits = Digits.CHECK
) -> Response:
    """Takes one bare EPCIS event, in JSON with its `@context` or in XML; answered as a capture of one event."""
    job = await _capture(request, serving, member, check_digits)
    return _accepted(job)


@router.get("/capture/{job_id}", summary="What became of a capture", response_class=Response)
async def job(
    job_id: str,
    serving: Serving,
    member: Submitting,
    prefer: Annotated[
        str | None, Header(description="wait=N: answer when settled, or after N seconds.")
    ] = None,
) -> Response:
    """The job's state: staged, sequenced (with log index and records), refused (with the reason) or duplicate."""
    wait_s = _wait_s(prefer)
    clock = asyncio.get_running_loop().time
    found = await asyncio.to_thread(_job, serving, job_id, member)
    deadline = clock() + wait_s
    while found.state == "staged" and (left_s := deadline - clock()) > 0:
        await serving.pending.wait(job_id, left_s)
        found = await asyncio.to_thread(_job, serving, job_id, member)
    records = await asyncio.to_thread(_records, serving, found)
    headers = {"Preference-Applied": f"wait={wait_s:g}"} if wait_s else {}
    body = job_json(found, records)
    if body["receipt"] is not None:
        headers["Link"] = f'<{body["receipt"]}>; rel="{RECEIPT_RELATION}"; type="application/json"'
    return Response(json.dumps(body), media_type="application/json", headers=headers)


@router.get("/capture/{job_id}/receipt", summary="Receipt of a capture", response_class=Response)
def receipt(job_id: str, serving: Serving, member: Submitting) -> Response:
    """The proofs of all records of a capture against one checkpoint (`loomark/receipt/v1`), for its submitter only.

    `loomark verify` checks it offline. 503 while the capture waits for its place in the log, 409 (rule `no-receipt`)
    for a job that put nothing there.
    """
    found = _job(serving, job_id, member)
    if found.state == "staged":
        raise Unavailable("this capture waits for its place in the log; try again")
    if found.capture is None or found.state != "sequenced":
        raise Conflict(f"expected a capture in the log, got a {found.state} one", rule="no-receipt")
    headers = {"Content-Disposition": f'attachment; filename="{job_id[:16]}.loomark-receipt.json"'}
    data = serving.node.prover.receipt(found.capture)
    headers |= told_checkpoint(serving.node, data)
    return Response(data, media_type="application/json", headers=headers)


@router.get("/capture/{job_id}/document", summary="The document as submitted", response_class=Response)
def document(job_id: str, serving: Serving, member: Submitting) -> Response:
    """The bytes that were submitted, for their submitter only."""
    found = serving.node.capture.document(job_id, member)
    return Response(found.body, media_type=found.media_type)


def _job(serving: Services, job_id: str, member: str) -> Job:
    """A job as its submitter may rely on it: sequenced means that the published checkpoint covers it."""
    found = serving.node.capture.job(job_id, member)
    if found.index is not None and found.index >= serving.node.state()["size"]:
        return replace(found, state="staged", index=None)
    return found


def _records(serving: Services, job: Job) -> list[CapturedRecord]:
    return [] if job.capture is None else records_of(serving.node.reading, job.capture)


async def _capture(request: Request, serving: Services, member: str, digits: Digits) -> Job:
    kind = media_type(request, ACCEPTED)
    settings = serving.settings
    body = await read_body(request, settings.capture_limit_bytes, settings.request_timeout_s)
    service = serving.node.capture
    try:
        async with asyncio.timeout(settings.request_timeout_s):
            prepared = await asyncio.wrap_future(
                service.prepare(body, kind, Asked(keep_bad_check_digits=digits is Digits.KEEP))
            )
            ticket: Ticket = service.store(member, prepared)
            stored: Job = await asyncio.wrap_future(ticket.stored)
    except TimeoutError as error:
        raise Unavailable("the capture was not stored in time; send it again") from error
    serving.pending.add(stored.id, ticket.settled)
    return stored


def _accepted(job: Job) -> Response:
    location = f"/epcis/capture/{job.id}"
    body = json.dumps({"captureID": job.id, "state": job.state})
    return Response(body, status_code=202, media_type="application/json", headers={"Location": location})


def job_json(job: Job, records: Sequence[CapturedRecord]) -> dict[str, Any]:
    """A job as JSON: the members of the EPCIS capture job, and Loomark's own beside them."""
    settled = job.state != "staged"
    return {
        "captureID": job.id,
        "createdAt": _time(job.created_ms),
        "running": not settled,
        "success": job.state in ("sequenced", "duplicate") if settled else None,
        "captureErrorBehaviour": "rollback",
        "errors": [{"type": job.rule, "title": job.reason}] if job.reason else [],
        "state": job.state,
        "reason": job.reason,
        "rule": job.rule,
        "index": job.index,
        "custody": None if job.capture is None else "service" if job.custody else "member",
        "receipt": f"/epcis/capture/{job.id}/receipt" if job.state == "sequenced" else None,
        "records": [_record_json(one) for one in records],
        "warnings": job.notes.get("warnings", []),
        "duplicates": job.notes.get("duplicates", []),
        "unresolvedContexts": job.notes.get("unresolvedContexts", []),
    }


def _record_json(one: CapturedRecord) -> dict[str, Any]:
    """A record of a job; `proof` is where its own proof is, once the job is sequenced."""
    name = one.commitment.hex()
    place = {"record": name, "position": one.position, "eventID": one.event_id}
    return {**place, "proof": f"/api/records/{name}/proof"}


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _wait_s(prefer: str | None) -> float:
    for part in (prefer or "").split(","):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "wait" and value.strip().isdecimal():
            return min(float(value), _LONGEST_WAIT_S)
    return 0.0
