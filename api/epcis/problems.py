"""Refusals below `/epcis`: problem documents with the exceptions of the standard as their types, in JSON or in XML.

The status comes from the one error tree (`api.problems`); here it gets its name. Every problem keeps `rule`, which is
ours and finer, and its findings.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import Request, Response

from api.problems import MEDIA_TYPE, NotAcceptable, Refusal
from api.services import services
from fabric.query.errors import (
    NoSuchName,
    QueryParameter,
    QueryTooComplex,
    QueryTooLarge,
    QueryValidation,
    SubscriptionControls,
)
from ledger.errors import LoomarkError

from .bodies import problem
from .interface import allowed, capture_limits
from .negotiation import JSON, JSON_LD, TEXT_XML, XML, BadHeader, base_headers, media_type_for

XML_MEDIA_TYPE: Final = "application/problem+xml"
_XML_FORMS: Final = (XML_MEDIA_TYPE, XML, TEXT_XML)
_FORMS: Final = (MEDIA_TYPE, JSON, JSON_LD, *_XML_FORMS)
PATH: Final = "/epcis"
_OF_CLASS: Final[tuple[tuple[type[LoomarkError], str], ...]] = (
    (BadHeader, "ValidationException"),
    (QueryValidation, "QueryValidationException"),
    (SubscriptionControls, "SubscriptionControlsException"),
    (QueryParameter, "QueryParameterException"),
    (NoSuchName, "NoSuchNameException"),
    (QueryTooComplex, "QueryTooComplexException"),
    (QueryTooLarge, "QueryTooLargeException"),
)
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
    xml = prefers_xml(request.headers.get("accept"))
    body = problem(refusal.members(f"epcisException:{exception_name(refusal, request.method)}"), xml=xml)
    headers = {**base_headers(), **refusal.headers, **_announced(request, refusal.status)}
    return Response(body, refusal.status, headers, XML_MEDIA_TYPE if xml else MEDIA_TYPE)


def prefers_xml(accept: str | None) -> bool:
    """Whether a problem is better told in XML to whoever sends this `Accept`; JSON is for whoever takes either.

    Whoever takes neither, or says it wrongly, is still told what is wrong.
    """
    try:
        return media_type_for(accept, _FORMS) in _XML_FORMS
    except (BadHeader, NotAcceptable):
        return False


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
