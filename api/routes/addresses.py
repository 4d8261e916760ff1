"""Things in addresses: percent-encoded once as one segment, or as a raw IRI."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from fastapi import Request

from api.answers import canonical

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")


def thing_in(request: Request, before: str) -> str:
    """The canonical IRI of the thing that stands after `before` in the address of a request.

    An encoded segment has no bare colon, and every absolute IRI has one after its scheme; so a text that begins
    with a scheme is the IRI itself, in which percent signs are its own, and what follows `?` belongs to it.
    """
    path = request.scope.get("raw_path") or request.url.path.encode()
    text = path.decode("ascii", "replace").partition("?")[0].removeprefix(before)
    if not _SCHEME.match(text):
        return canonical(unquote(text))
    query = request.scope.get("query_string", b"").decode("ascii", "replace")
    return canonical(f"{text}?{query}" if query else text)
