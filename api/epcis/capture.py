"""`/epcis/capture` and `POST /epcis/events`: documents and single events come in, and what became of them.

A capture is answered with 202 once the document was validated and is durably stored. Its job then says what became of
it; `Prefer: wait=N` waits for that. A single event is answered with 201 once it is in the log.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from api.limits import media_type, read_body
from api.routes.asking import Serving, Submitting
from api.routes.records import told_checkpoint
from api.services import Services
from fabric.capture.naming import CapturedRecord, records_of
from fabric.capture.prepare import Asked
from fabric.capture.writer import Ticket
from fabric.epcis.document import MEDIA_TYPES, XML_MEDIA_TYPES
from fabric.epcis.identity import as_sent
from fabric.epcis.representation import CbvFormat, EpcFormat
from fabric.store.jobs import REFUSED, STAGED, Job
from fabric.store.records import RECORD_IRI
from ledger.errors import Conflict, Finding, Forbidden, Unavailable
from ledger.submission import MEDIA_TYPE as SUBMISSION

from .jobs import job_json, job_summary, job_xml
from .negotiation import (
    JSON,
    JSON_LD,
    TEXT_XML,
    XML,
    BadHeader,
    Negotiated,
    Negotiating,
    answer,
    check_sent_versions,
    negotiate,
    told,
)
from .paging import Paging

router = APIRouter(prefix="/epcis", tags=["epcis"])

ACCEPTED = (*MEDIA_TYPES, *XML_MEDIA_TYPES, SUBMISSION)
RECEIPT_RELATION = "urn:loomark:rel:receipt"
"""What a job's `Link` header calls its receipt."""
_LONGEST_WAIT_S = 60.0

CaptureID = Annotated[str, Path(alias="captureID", description="As the capture was answered.")]
_BEHAVIOUR: Final = "GS1-Capture-Error-Behaviour"
_BEHAVIOURS: Final = ("rollback", "proceed")


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


class EventIdSource(StrEnum):
    """Where an event without an ID gets one from."""

    NONE = "none"
    HASH = "hash"


EventIds = Annotated[
    EventIdSource,
    Query(
        alias="event-ids",
        description="hash: give events without an ID the hash ID of the CBV; they are found by it, and it is no part of"
        " what is committed.",
    ),
]


def sent(
    request: Request,
    check_digits: CheckDigits = Digits.CHECK,
    event_ids: EventIds = EventIdSource.NONE,
    _behaviour: Annotated[
        str | None,
        Header(
            alias=_BEHAVIOUR,
            description="rollback: all of it or nothing; proceed: leave out events that fail and take the others.",
        ),
    ] = None,
    _epcis: Annotated[
        str | None,
        Header(
            alias="GS1-EPCIS-Version", description="EPCIS version of the document; it must be the one in it."
        ),
    ] = None,
    _cbv: Annotated[
        str | None, Header(alias="GS1-CBV-Version", description="CBV version of the document.")
    ] = None,
) -> Asked:
    """What the request asks of a capture. Raises BadHeader for a header that makes no sense here, NotAcceptable for a
    version that is not captured."""
    headers = told(request)
    check_sent_versions(headers)
    behaviour = headers.get(_BEHAVIOUR.lower(), "rollback").strip()
    if behaviour not in _BEHAVIOURS:
        raise _bad_header(_BEHAVIOUR, " or ".join(_BEHAVIOURS), behaviour)
    version = headers.get("gs1-epcis-version")
    if version is not None and media_type(request, ACCEPTED) in MEDIA_TYPES and version.strip()[:1] != "2":
        raise _bad_header("GS1-EPCIS-Version", "2.0.0 for a document in JSON", version)
    return Asked(
        keep_bad_check_digits=check_digits is Digits.KEEP,
        proceed=behaviour == "proceed",
        hash_ids=event_ids is EventIdSource.HASH,
        version=None if version is None else version.strip(),
    )


Sent = Annotated[Asked, Depends(sent)]


@router.post("/capture", status_code=202, summary="Capture an EPCIS document", response_class=Response)
async def capture(
    request: Request, serving: Serving, member: Submitting, asked: Negotiating, sent: Sent
) -> Response:
    """Takes an EPCISDocument or EPCISQueryDocument (JSON, JSON-LD, or XML of EPCIS 2.0 or 1.x), or a member-signed
    capture around one.

    Nothing is stored of a document with a finding; with `GS1-Capture-Error-Behaviour: proceed` the events with findings
    are left out, and the job says which. The answer comes when the capture is durable; `Location` is its job.
    """
    body = await _body(request, serving)
    async with _in_time(serving):
        job, _ = await _stored(request, serving, member, body, sent)
    location = {"Location": f"/epcis/capture/{job.id}"}
    said = b"" if asked.is_xml else json.dumps({"captureID": job.id, "state": job.state}).encode()
    return answer(asked, said, 202, location)


@router.post("/events", status_code=201, summary="Capture one event", response_class=Response)
async def capture_event(request: Request, serving: Serving, member: Submitting, sent: Sent) -> Response:
    """Takes one bare EPCIS event, in JSON with its `@context` or in XML, or a member-signed capture around one.

    Answered when it is in the log, with the event: in JSON with the `recordTime` that it got there, in XML as it came.
    409 for an event that the member captured before, and for another one under the same `eventID`, unless it carries an
    error declaration. 503 where it does not get into the log in time; it may still do so, as its job will say.
    """
    kind = media_type(request, ACCEPTED)
    asked = negotiate(told(request), (JSON, JSON_LD, *((XML, TEXT_XML) if kind in XML_MEDIA_TYPES else ())))
    body = await _body(request, serving)
    job: Job | None = None
    try:
        async with _in_time(serving):
            job, ticket = await _stored(request, serving, member, body, replace(sent, single=True))
            await asyncio.wrap_future(ticket.settled)
    except Unavailable as error:
        raise error if job is None else _left_waiting(job) from error
    found = await asyncio.to_thread(_job, serving, job.id, member)
    if found.state == REFUSED:
        raise Forbidden(found.reason or "the log refused it", rule=found.rule)
    if found.state == STAGED:
        raise _left_waiting(job)
    _, record = await asyncio.to_thread(_records, serving, found)
    event = await asyncio.to_thread(_event_body, serving, found, record, asked)
    as_captured = replace(asked, epc_format=EpcFormat.NEVER, cbv_format=CbvFormat.NEVER)
    return answer(
        as_captured, event, 201, {"Location": event_path(record), "Loomark-Receipt": _receipt(found)}
    )


@router.get("/capture", summary="The caller's captures", response_class=Response)
def jobs(request: Request, serving: Serving, member: Submitting, paging: Paging) -> Response:
    """The capture jobs of the caller, newest first; those made meanwhile are on no later page.

    A job stands here without what became of each record.
    """
    asked = negotiate(told(request), (JSON, JSON_LD))
    after = None if paging.state is None else (int(paging.state[0]), str(paging.state[1]))
    found = serving.node.capture.jobs(member, paging.per_page + 1, after)
    shown, size = found[: paging.per_page], serving.node.state()["size"]
    last = shown[-1] if len(found) > len(shown) else None
    body = json.dumps([job_summary(_published(one, size)) for one in shown]).encode()
    return answer(asked, body, headers=paging.next_page(None if last is None else [last.created_ms, last.id]))


@router.get("/capture/{captureID}", summary="What became of a capture", response_class=Response)
async def job(
    job_id: CaptureID,
    serving: Serving,
    member: Submitting,
    asked: Negotiating,
    prefer: Annotated[
        str | None, Header(description="wait=N: answer when settled, or after N seconds.")
    ] = None,
) -> Response:
    """The job: what the standard says of one, and what became of each record: accepted, rejected or duplicate."""
    wait_s = _wait_s(prefer)
    clock = asyncio.get_running_loop().time
    found = await asyncio.to_thread(_job, serving, job_id, member)
    deadline = clock() + wait_s
    while found.state == STAGED and (left_s := deadline - clock()) > 0:
        await serving.pending.wait(job_id, left_s)
        found = await asyncio.to_thread(_job, serving, job_id, member)
    headers = {"Preference-Applied": f"wait={wait_s:g}"} if wait_s else {}
    if receipt := _receipt(found):
        headers["Link"] = f'<{receipt}>; rel="{RECEIPT_RELATION}"; type="application/json"'
        headers["Loomark-Receipt"] = receipt
    if asked.is_xml:
        return answer(asked, job_xml(found), headers=headers)
    records = await asyncio.to_thread(_records, serving, found)
    return answer(asked, json.dumps(job_json(found, records)).encode(), headers=headers)


@router.get("/capture/{captureID}/receipt", summary="Receipt of a capture", response_class=Response)
def receipt(job_id: CaptureID, serving: Serving, member: Submitting) -> Response:
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


@router.get("/capture/{captureID}/document", summary="The document as submitted", response_class=Response)
def document(job_id: CaptureID, serving: Serving, member: Submitting) -> Response:
    """The bytes that were submitted, for their submitter only."""
    found = serving.node.capture.document(job_id, member)
    return Response(found.body, media_type=found.media_type)


def event_path(record: CapturedRecord) -> str:
    """The address of a captured event: by its ID, or by its record where it has none."""
    name = record.event_id or RECORD_IRI + record.commitment.hex()
    return f"/epcis/events/{quote(name, safe='')}"


def _receipt(job: Job) -> str:
    return job_summary(job)["receipt"] or ""


def _job(serving: Services, job_id: str, member: str) -> Job:
    """A job as its submitter may rely on it."""
    return _published(serving.node.capture.job(job_id, member), serving.node.state()["size"])


def _published(job: Job, size: int) -> Job:
    """A job as it may be relied on: sequenced means that the published checkpoint, of this size, covers it."""
    if job.index is not None and job.index >= size:
        return replace(job, state=STAGED, index=None, sealed=None)
    return job


def _records(serving: Services, job: Job) -> list[CapturedRecord]:
    return [] if job.capture is None else records_of(serving.node.reading, job.capture)


def _event_body(serving: Services, job: Job, record: CapturedRecord, asked: Negotiated) -> bytes:
    """The event that was captured: the bytes that came in XML, else its JSON with the time it was recorded at."""
    if asked.is_xml:
        return serving.node.capture.document(job.id, job.member).body
    reader = serving.node.reader(job.member)
    value = dict(serving.node.prover.value(record.commitment.hex(), reader))
    value |= {"@context": as_sent(value["@context"]), "recordTime": job.sealed}
    if record.is_supplied:
        value["eventID"] = record.event_id
    return json.dumps(value, ensure_ascii=False).encode()


@asynccontextmanager
async def _in_time(serving: Services) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(serving.settings.request_timeout_s):
            yield
    except TimeoutError as error:
        raise Unavailable("the capture was not stored in time; send it again") from error


async def _body(request: Request, serving: Services) -> bytes:
    kind, settings = media_type(request, ACCEPTED), serving.settings
    most_events = None if kind == SUBMISSION else settings.capture_limit_events
    return await read_body(request, settings.capture_limit_bytes, settings.request_timeout_s, most_events)


async def _stored(
    request: Request, serving: Services, member: str, body: bytes, sent: Asked
) -> tuple[Job, Ticket]:
    """The job of what the request carries, once that is durable."""
    service = serving.node.capture
    prepared = await asyncio.wrap_future(service.prepare(body, media_type(request, ACCEPTED), sent))
    ticket: Ticket = service.store(member, prepared)
    stored: Job = await asyncio.wrap_future(ticket.stored)
    serving.pending.add(stored.id, ticket.settled)
    return stored, ticket


def _left_waiting(job: Job) -> Unavailable:
    return Unavailable(
        "the event is stored and waits for its place in the log: ask /epcis/capture/"
        f"{job.id} what became of it, or send it again, which is answered with 409 once it is there"
    )


def _bad_header(name: str, expected: str, got: str) -> BadHeader:
    finding = Finding(None, f"/header/{name}", BadHeader.default_rule, expected, got[:80])
    return BadHeader(f"header {name}: expected {expected}, got {got[:80]!r}", [finding])


def _wait_s(prefer: str | None) -> float:
    for part in (prefer or "").split(","):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "wait" and value.strip().isdecimal():
            return min(float(value), _LONGEST_WAIT_S)
    return 0.0
