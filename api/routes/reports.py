"""`/api/reports/provenance`, `/api/compliance/fsma204` and the page `/report`: answers that carry their evidence."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.services import Services
from fabric.report.provenance import Reporter, operator_key
from fabric.trace import Direction, Options, Question
from fabric.visibility.reader import Reader
from ledger.canonical import JSON, canonical
from ledger.shape import time_text

from .asking import Reading, Serving
from .trace import MAX_TEXT, instant_us
from .trace import canonical as canonical_iri

router = APIRouter(tags=["reports"])

Thing = Annotated[
    str, Query(max_length=MAX_TEXT, description="Any name of a lot, serial, carrier or document.")
]
Lot = Annotated[str, Query(max_length=MAX_TEXT, description="Any name of a lot.")]
At = Annotated[str | None, Query(description="For a carrier: the instant that chooses its filling.")]


class Format(StrEnum):
    """How a report is given: the evidence itself, or a page of what verified."""

    JSON = "json"
    HTML = "html"


@router.get("/api/reports/provenance", summary="Provenance report", response_class=Response)
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
    question = Question(canonical_iri(thing), direction, instant_us(at), Options())
    value = build(serving, reading, question)
    name = "provenance.loomark-report"
    headers = {"Content-Disposition": f'attachment; filename="{name}.{format.value}"'}
    return Response(canonical(value), media_type="application/json", headers=headers)


@router.get("/api/compliance/fsma204", summary="FSMA 204 completeness of a lot", response_class=Response)
def fsma204(serving: Serving, reading: Reading, lot: Lot) -> Response:
    """Each critical tracking event of a lot with the state of every key data element, and the gaps."""
    value = reporter(serving).completeness(canonical_iri(lot), reading)
    return Response(canonical(value), media_type="application/json")


def reporter(serving: Services) -> Reporter:
    """What builds reports on this node."""
    node = serving.node
    return Reporter(node.reading, node.log, operator_key(node.folder / "keys"))


def build(serving: Services, reader: Reader, question: Question) -> dict[str, JSON]:
    """The report on one question in the sight of one reader."""
    return reporter(serving).provenance(question, reader, asked=time_text(time.time_ns() // 1_000_000))
