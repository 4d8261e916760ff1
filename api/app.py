"""The HTTP application around a node: routes, refusals, headers, limits. Everything it knows is handed in."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from fabric.graph import GraphReader

from . import problems
from .auth import Authenticator, Sessions
from .description import describe
from .epcis import capture as epcis_capture
from .epcis import discovery as epcis_discovery
from .epcis import events as epcis_events
from .epcis import options as epcis_options
from .epcis import paging as epcis_paging
from .epcis import queries as epcis_queries
from .epcis import subscriptions as epcis_subscriptions
from .epcis import websocket as epcis_websocket
from .epcis.paging import PageTokens
from .epcis.problems import answer_refusal
from .epcis.subscribing import subscribing
from .epcis.uri_limit import UriLimit
from .headers import HeadersAlone, SecurityHeaders
from .hearing import HeardOut
from .metrics import Measured, Metrics
from .pending import Pending
from .routes import (
    docs,
    erasure,
    health,
    keys,
    links,
    log,
    members,
    names,
    pages,
    policy,
    records,
    reports,
    resolve,
    session,
    things,
    trace,
)
from .routes.shown import problem_page
from .services import Services
from .settings import Settings

if TYPE_CHECKING:
    from fabric.capture.node import Node

_ROUTES = (
    epcis_capture,
    epcis_events,
    epcis_discovery,
    epcis_paging,
    epcis_queries,
    epcis_subscriptions,
    epcis_websocket,
    epcis_options,
    trace,
    reports,
    things,
    names,
    records,
    members,
    keys,
    links,
    erasure,
    policy,
    log,
    health,
    pages,
    resolve,
    session,
    docs,
)
_STATIC = Path(__file__).parent / "pages" / "static"
_DESCRIPTION = """\
Capture EPCIS 2.0 events, trace what became of a thing, and get answers that carry their own proof.

Send your API key as `Authorization: Bearer …`. Every refusal is `application/problem+json` with a stable `type`
and up to 100 findings.
"""


def create_app(node: Node, settings: Settings, session_secret: bytes) -> FastAPI:
    """The application of one node. `session_secret` signs sessions: 32 random bytes that outlive a restart."""
    app = FastAPI(title="Loomark", version="0.1.0", description=_DESCRIPTION, docs_url=None, redoc_url=None)
    sessions = Sessions(session_secret, settings.session_life_s)
    metrics = Metrics()
    if node.witnesses is not None:
        metrics.observe_witnesses(node.witnesses.counts)
    authenticator, graph = Authenticator(node.capture, sessions), GraphReader(node.folder / "graph")
    page_tokens = PageTokens(session_secret, settings.page_token_life_s, time.time)
    subscribed = subscribing(node, settings)
    metrics.observe_subscriptions(subscribed)
    app.state.services = Services(
        node, settings, authenticator, metrics, Pending(), graph, page_tokens, subscribed
    )
    problems.install(app, problem_page, answer_refusal)
    for module in _ROUTES:
        app.include_router(module.router)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.add_middleware(UriLimit, limit_bytes=settings.uri_limit_bytes, as_answer=answer_refusal)
    app.add_middleware(SecurityHeaders, as_answer=answer_refusal)
    app.add_middleware(Measured, metrics=metrics)
    # Twice the largest body that is taken: whoever sends up to that much learns why it was refused.
    limit_bytes = 2 * settings.capture_limit_bytes
    app.add_middleware(HeardOut, limit_bytes=limit_bytes, timeout_s=settings.request_timeout_s)
    app.add_middleware(HeadersAlone)
    return app
