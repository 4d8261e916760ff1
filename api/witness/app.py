"""The HTTP face of a witness: `POST /add-checkpoint`, `GET /<hex origin hash>/checkpoint`, health and metrics."""

from __future__ import annotations

import re
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.limits import read_body
from api.metrics import witness_registry
from ledger.errors import InvalidInput, TooLarge, Unavailable
from ledger.witness.exchange import MAX_REQUEST_BYTES, Answer, refusal
from ledger.witness.witness import Witness

BODY_TIMEOUT_S: Final = 10.0
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def create_app(witness: Witness) -> Starlette:
    """The application of one witness; nobody authenticates, the log's signature is what counts."""
    registry = witness_registry(witness)

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await read_body(request, MAX_REQUEST_BYTES, BODY_TIMEOUT_S)
        except TooLarge as error:
            return _response(refusal(413, error.message))
        except InvalidInput as error:
            return _response(refusal(400, error.message))
        return _response(await run_in_threadpool(witness.add_checkpoint, body))

    async def checkpoint(request: Request) -> Response:
        log = request.path_params["log"]
        try:
            note = await run_in_threadpool(witness.checkpoint, log) if _HASH.match(log) else None
        except Unavailable as error:
            return _response(refusal(503, str(error)))
        return _response(
            refusal(404, "no such log, or nothing cosigned yet") if note is None else Answer(200, note)
        )

    async def healthz(_: Request) -> Response:
        return Response("ok\n", headers=_NO_STORE)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST, headers=_NO_STORE)

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/metrics", metrics),
            Route("/{log}/checkpoint", checkpoint),
        ]
    )


def _response(answer: Answer) -> Response:
    # Set by hand: the framework would add a charset to the type that the protocol names without one.
    headers = {**_NO_STORE, "Content-Type": answer.media_type}
    if answer.status == 503:
        headers["Retry-After"] = "1"
    return Response(answer.body, answer.status, headers)
