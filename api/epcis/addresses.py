"""Values in addresses: `/epcis/epcs/{epc}/events` and their like, percent-decoded once (RFC 3986, section 2.4).

A value may be sent as one encoded segment, or as it is where no slash or question mark is meant otherwise; so
`https%3A%2F%2Fid.gs1.org%2F414%2F9506000134352`, `https:%2F%2Fid.gs1.org%2F…` and `https://id.gs1.org/…` are one.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from fastapi import Request

from fabric.query.errors import QueryParameter, refused

BELOW: Final = "/events"


def value_in(request: Request, before: str) -> tuple[str, bool]:
    """What stands behind `before` in the address of `request`, and whether `/events` follows it.

    Read from the bytes that were sent: after decoding nobody can tell `/events` from the end of a name.
    """
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    text = path.decode("ascii", "replace").partition("?")[0].removeprefix(before)
    inside = text.removesuffix(BELOW)
    return unquote(inside, errors="replace"), inside != text


def event_id_in(request: Request, before: str) -> str:
    """The event ID of an address; `?ver=…` of an event hash ID that was not encoded belongs to it."""
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    text = unquote(path.decode("ascii", "replace").partition("?")[0].removeprefix(before), errors="replace")
    query: str = request.scope.get("query_string", b"").decode("ascii", "replace")
    if text.startswith("ni:") and "?" not in text and query.startswith("ver=") and "&" not in query:
        return f"{text}?{unquote(query)}"
    refuse_parameters(request)
    return text


def refuse_parameters(request: Request, *known: str) -> None:
    """Refuse parameters in the query of an address that has none but the `known`. Raises QueryParameter."""
    for name in request.query_params:
        if name not in known:
            raise refused(name or "?", QueryParameter.default_rule, "no such parameter here", name)
