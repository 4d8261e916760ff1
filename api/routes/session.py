"""`/login` and `/logout`: a session for people with a browser."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.auth import COOKIE
from api.problems import Unauthenticated
from ledger.errors import Forbidden

from .asking import Serving
from .shown import html

router = APIRouter(include_in_schema=False)

_MAX_FIELD = 512


@router.get("/login")
def login_form(request: Request, serving: Serving, to: str = "/") -> HTMLResponse:
    """The form that takes an API key."""
    hours = serving.authenticator.sessions.life_s // 3600
    return html(request, serving, "login.html", {"problem": None, "to": _local(to), "hours": hours})


@router.post("/login")
def login(
    request: Request,
    serving: Serving,
    key: Annotated[str, Form(max_length=_MAX_FIELD)],
    to: Annotated[str, Form(max_length=4 * _MAX_FIELD)] = "/",
) -> Response:
    """Begin a session with an API key, and go on to where the person was.

    No session precedes it that a token could be bound to, so the browser says whether another site sent the form.
    """
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Forbidden("the form did not come from this node; open its page and log in there", rule="csrf")
    sessions = serving.authenticator.sessions
    try:
        caller = serving.authenticator.log_in(key)
    except Unauthenticated as refusal:
        values = {"problem": refusal.message, "to": _local(to), "hours": sessions.life_s // 3600}
        return html(request, serving, "login.html", values, status=401)
    answer = RedirectResponse(_local(to), status_code=303)
    answer.set_cookie(
        COOKIE,
        sessions.cookie(caller),
        max_age=sessions.life_s,
        httponly=True,
        samesite="strict",
        secure=serving.settings.secure_cookies,
        path="/",
    )
    return answer


@router.post("/logout")
def logout(request: Request, serving: Serving, csrf: Annotated[str, Form(max_length=_MAX_FIELD)]) -> Response:
    """End the session of this browser."""
    serving.authenticator.sessions.check_csrf(request.cookies.get(COOKIE, ""), csrf)
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _local(target: str) -> str:
    """A path of this node; anything that could lead elsewhere becomes the start page."""
    parts = urlsplit(target)
    safe = (
        target.startswith("/") and not target.startswith(("//", "/\\")) and not (parts.scheme or parts.netloc)
    )
    return target if safe and target.isprintable() else "/"
