"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import json

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .asking import Serving

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the process answers")
def healthz() -> dict[str, str]:
    """Always `{"status": "ok"}` while the process serves at all."""
    return {"status": "ok"}


@router.get("/readyz", summary="Whether the node can take and answer", response_class=Response)
def readyz(serving: Serving) -> Response:
    """200 when captures are taken; 503 with what is wrong while the node is read-only, starting or stopping."""
    state = serving.state()
    status = 200 if state["writable"] else 503
    return Response(json.dumps(state), status_code=status, media_type="application/json")


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
def metrics(serving: Serving) -> Response:
    """Counters and gauges in the Prometheus text format; they name no member and no thing."""
    serving.metrics.observe_node(serving.state())
    return Response(generate_latest(serving.metrics.registry), media_type=CONTENT_TYPE_LATEST)
