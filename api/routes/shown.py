"""How routes answer with a page: the caller's name, the CSRF token of the session, the log's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.auth import COOKIE
from api.pages.render import page
from api.pages.text import member_labels
from api.problems import Unauthenticated, status_of
from api.services import Services, services
from ledger.errors import LoomarkError

_FOR_PROGRAMS: Final = ("/api/", "/epcis/", "/log/")


def html(
    request: Request,
    serving: Services,
    template: str,
    values: Mapping[str, Any],
    *,
    labels: Mapping[str, str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    """A rendered page; `labels` names things as master data does; members have the names they were admitted under."""
    caller = serving.authenticator.session_caller(request)
    cookie = request.cookies.get(COOKIE, "")
    csrf = serving.authenticator.sessions.csrf_token(cookie) if caller else ""
    around = {"caller": caller, "csrf": csrf, "origin": serving.node.origin, "trouble": None}
    if caller:
        around["trouble"] = serving.node.state()["reason"]
    names = {one: member.name for one, member in serving.node.registry.members.items()} if caller else {}
    known = {**(labels or {}), **member_labels(names)}
    return HTMLResponse(page(template, {**around, **values}, known), status_code=status)


def problem_page(request: Request, error: LoomarkError) -> Response | None:
    """A refusal for a person with a browser: the log-in form where that would help, else a page that says why."""
    path = request.url.path
    if f"{path}/".startswith(_FOR_PROGRAMS) or "text/html" not in request.headers.get("accept", ""):
        return None
    if isinstance(error, Unauthenticated):
        asked = quote(f"{path}?{request.url.query}" if request.url.query else path, safe="")
        return RedirectResponse(f"/login?to={asked}", status_code=303)
    status = status_of(error)
    values = {"title": status.phrase, "detail": getattr(error, "message", str(error))}
    return html(request, services(request), "problem.html", values, status=status)
