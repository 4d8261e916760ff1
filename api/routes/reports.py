"""`/api/reports/provenance`, `/api/compliance/fsma204` and the page `/report`: answers that carry their evidence."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.answers import meant, view
from api.pages.report_file import drawing_of, report_file
from api.services import Services
from fabric.report import VerifiedReport, verify_report
from fabric.report import html as rendering
from fabric.report.provenance import Reporter
from fabric.trace import Direction, Options, Question
from fabric.visibility.reader import Reader
from ledger.canonical import JSON, canonical, parse_json
from ledger.policy import parse_policy
from ledger.shape import time_text

from .asking import Reading, Serving
from .policy import policy_of
from .records import told_checkpoint
from .shown import html
from .trace import MAX_TEXT, instant_us

router = APIRouter()

Thing = Annotated[
    str, Query(max_length=MAX_TEXT, description="Any name of a lot, serial, carrier or document.")
]
Lot = Annotated[str, Query(max_length=MAX_TEXT, description="Any name of a lot.")]
At = Annotated[str | None, Query(description="For a carrier: the instant that chooses its filling.")]


class Format(StrEnum):
    """How a report is given: the evidence itself, or a page of what verified."""

    JSON = "json"
    HTML = "html"


@router.get("/api/reports/provenance", tags=["reports"], summary="Provenance report", response_class=Response)
def provenance(
    serving: Serving,
    reading: Reading,
    thing: Thing,
    direction: Direction = Direction.BOTH,
    at: At = None,
    format: Format = Format.JSON,  # noqa: A002 - the name of the parameter in the address
) -> Response:
    """A report (`loomark/report/v1`): the trace, every record it rests on as the caller may see it, their proofs
    against one checkpoint, and what the food traceability rule finds missing. `loomark verify` checks it offline.
    """
    question = _question(serving, reading, thing, direction, at)
    value = build(serving, reading, question)
    if format is Format.JSON:
        data = canonical(value)
        headers = _attached("json") | told_checkpoint(serving.node, data)
        return Response(data, media_type="application/json", headers=headers)
    verified, policy = _verified(serving, value)
    page = report_file(verified, policy)
    return Response(page, media_type="text/html; charset=utf-8", headers=_attached("html"))


@router.get(
    "/api/compliance/fsma204",
    tags=["reports"],
    summary="FSMA 204 completeness of a lot",
    response_class=Response,
)
def fsma204(serving: Serving, reading: Reading, lot: Lot) -> Response:
    """Each critical tracking event of a lot with the state of every key data element, and the gaps."""
    value = reporter(serving).completeness(_meant(serving, reading, lot), reading)
    return Response(canonical(value), media_type="application/json")


@router.get("/report", include_in_schema=False)
def report_page(
    request: Request,
    serving: Serving,
    reading: Reading,
    thing: Thing = "",
    direction: Direction = Direction.BOTH,
    at: At = None,
) -> Response:
    """A report as a page: what verified, by the node's own policy."""
    if not thing.strip():
        return RedirectResponse("/", status_code=303)
    question = _question(serving, reading, thing, direction, at)
    verified, policy = _verified(serving, build(serving, reading, question))
    asked = {"thing": question.thing, "direction": direction.value} | ({"at": at} if at else {})
    values = {
        "body": rendering.body(verified, policy, drawing_of(verified)),
        "json_url": f"/api/reports/provenance?{urlencode(asked)}",
        "file_url": f"/api/reports/provenance?{urlencode({**asked, 'format': Format.HTML.value})}",
        "trace_url": f"/trace?thing={quote(question.thing, safe='')}&direction={direction.value}",
        "size": verified.answer["size"],
    }
    found: HTMLResponse = html(request, serving, "report.html", values)
    return found


def reporter(serving: Services) -> Reporter:
    """What builds reports on this node."""
    node = serving.node
    return Reporter(node.reading, node.log, node.operator)


def build(serving: Services, reader: Reader, question: Question) -> dict[str, JSON]:
    """The report on one question in the sight of one reader."""
    return reporter(serving).provenance(question, reader, asked=time_text(time.time_ns() // 1_000_000))


def _question(
    serving: Services, reader: Reader, thing: str, direction: Direction, at: str | None
) -> Question:
    return Question(_meant(serving, reader, thing), direction, instant_us(at), Options())


def _meant(serving: Services, reader: Reader, text: str) -> str:
    with view(serving.node, reader) as seen:
        return meant(text.strip(), seen)


def _verified(serving: Services, value: dict[str, JSON]) -> tuple[VerifiedReport, str]:
    """The report as its receiver would verify it: a page shows what verified, not what was put together."""
    policy = policy_of(serving.node)
    verified = verify_report(parse_json(canonical(value)), parse_policy(policy), shows_unwitnessed=True)
    return verified, policy


def _attached(ending: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="provenance-report.{ending}"'}
