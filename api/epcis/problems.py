"""Refusals below `/epcis`: problem documents with the exceptions of the standard as their types, in JSON or in XML.

The status comes from the one error tree (`api.problems`); here it gets its name. Every problem keeps `rule`, which is
ours and finer, and its findings.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response

from api.problems import MEDIA_TYPE, Refusal
from api.services import services
from ledger.errors import LoomarkError

from .negotiation import BadHeader, base_headers
from .options import allowed, capture_limits

PATH: Final = "/epcis"
_OF_CLASS: Final[tuple[tuple[type[LoomarkError], str], ...]] = ((BadHeader, "ValidationException"),)
# What is read asks a question; what is sent is a document.
_OF_READING: Final = {
    HTTPStatus.BAD_REQUEST: "QueryParameterException",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "QueryTooLargeException",
}
_READING: Final = frozenset({"GET", "HEAD"})
_OF_STATUS: Final = {
    HTTPStatus.BAD_REQUEST: "ValidationException",
    HTTPStatus.UNAUTHORIZED: "SecurityException",
    HTTPStatus.FORBIDDEN: "SecurityException",
    HTTPStatus.NOT_FOUND: "NoSuchResourceException",
    HTTPStatus.NOT_ACCEPTABLE: "NotAcceptableException",
    HTTPStatus.CONFLICT: "ResourceAlreadyExistsException",
    HTTPStatus.GONE: "NoSuchResourceException",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "CaptureLimitExceededException",
    HTTPStatus.REQUEST_URI_TOO_LONG: "URITooLongException",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "UnsupportedMediaTypeException",
    HTTPStatus.UNPROCESSABLE_ENTITY: "ValidationException",
}
_OTHERWISE: Final = "ImplementationException"


def exception_name(refusal: Refusal, method: str) -> str:
    """The standard's name of a refusal: by its error's class, else by its status and whether it answers a question."""
    for kind, name in _OF_CLASS:
        if isinstance(refusal.error, kind):
            return name
    by_status = {**_OF_STATUS, **_OF_READING} if method in _READING else _OF_STATUS
    return by_status.get(refusal.status, _OTHERWISE)


def answer_refusal(request: Request, refusal: Refusal) -> Response:
    """A refusal in the form of the address: with the standard's types below `/epcis`, with ours elsewhere."""
    if not is_epcis(request.url.path):
        return refusal.response()
    body = refusal.members(f"epcisException:{exception_name(refusal, request.method)}")
    headers = {**base_headers(), **refusal.headers, **_announced(request, refusal.status)}
    return Response(json.dumps(body), refusal.status, headers, MEDIA_TYPE)


def _announced(request: Request, status: HTTPStatus) -> dict[str, str]:
    """What a refusal of this status tells in headers of the whole address."""
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return {"Allow": ", ".join(allowed(request.url.path))}
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE and request.method not in _READING:
        return capture_limits(services(request).settings)
    return {}


def is_epcis(path: str) -> bool:
    """Whether a path belongs to the EPCIS interface."""
    return path == PATH or path.startswith(f"{PATH}/")
