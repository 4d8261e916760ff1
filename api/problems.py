"""The error tree as `application/problem+json` (RFC 9457), in one place.

Every answer that refuses has a stable ``type`` (`urn:loomark:problem:<rule>`) and ``rule``, and up to 100 findings,
each with record index, JSON pointer, rule, expected and got. Messages never carry a secret or a payload. What is below
`/epcis` says the same with the types of its standard: `api.epcis.problems`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from fabric.capture.tombstone import ErasedRecord
from ledger.errors import (
    Conflict,
    Erased,
    Finding,
    Forbidden,
    InvalidInput,
    LoomarkError,
    NotFound,
    TooLarge,
    Unavailable,
    VerificationError,
)
from ledger.log.lock import DatabaseAway
from ledger.log.space import MarksUnreadable, StorageFull

MEDIA_TYPE = "application/problem+json"
MAX_FINDINGS = 100
_RETRY_AFTER_S = "2"
_LATER = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INSUFFICIENT_STORAGE)


class Unauthenticated(InvalidInput):
    """No API key, or one that is not known."""

    default_rule = "unauthenticated"


class UnsupportedMediaType(InvalidInput):
    """The body's content type is not one that this address takes."""

    default_rule = "unsupported-media-type"


class NotAcceptable(InvalidInput):
    """No answer can be given in the form, or the version, that the request's headers ask for."""

    default_rule = "not-acceptable"


class UriTooLong(InvalidInput):
    """The address with its query is longer than this node reads."""

    default_rule = "uri-too-long"


class TooMany(InvalidInput):
    """The caller asks more often than its share allows."""

    default_rule = "too-many-requests"


# The first class that matches decides, so leaves stand before their parents.
_STATUS: tuple[tuple[type[LoomarkError], HTTPStatus], ...] = (
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (UnsupportedMediaType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (NotAcceptable, HTTPStatus.NOT_ACCEPTABLE),
    (UriTooLong, HTTPStatus.REQUEST_URI_TOO_LONG),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (Conflict, HTTPStatus.CONFLICT),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (Erased, HTTPStatus.GONE),
    (NotFound, HTTPStatus.NOT_FOUND),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (VerificationError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidInput, HTTPStatus.BAD_REQUEST),
    (MarksUnreadable, HTTPStatus.SERVICE_UNAVAILABLE),
    (StorageFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)

# What a message says before it names what was expected: the member that was read.
_EXPECTED = re.compile(r"\A(?:[\w.]+: )?expected ")
# How the messages of pydantic begin.
_SHOULD = re.compile(r"\A\w+ should (?:be|have) ")
_ABOUT_CONTENT = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.CONFLICT,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal says, whatever form it is sent in; `more` are members of its own."""

    status: HTTPStatus
    rule: str
    detail: str
    findings: tuple[Finding, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, object] = field(default_factory=dict)
    error: Exception | None = None

    def members(self, kind: str) -> dict[str, object]:
        """The members of the problem document whose `type` is `kind`."""
        body: dict[str, object] = {
            "type": kind,
            "title": self.rule.replace("-", " ").capitalize(),
            "status": int(self.status),
            "detail": self.detail,
            "rule": self.rule,
            **self.more,
        }
        if self.findings:
            body["findings"] = [finding.as_json() for finding in self.findings[:MAX_FINDINGS]]
            body["findingCount"] = len(self.findings)
        return body

    def response(self) -> Response:
        """The refusal as it is sent by everything but the EPCIS interface."""
        body = self.members(f"urn:loomark:problem:{self.rule}")
        # ASCII escapes, because what was got may hold lone surrogates that no encoder takes.
        return Response(json.dumps(body), self.status, dict(self.headers), MEDIA_TYPE)


def status_of(error: LoomarkError) -> HTTPStatus:
    """The HTTP status that tells the caller who must act on `error`."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def refusal_of(error: LoomarkError) -> Refusal:
    """What is said about any error that Loomark raises on purpose."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="loomark"'
    if status in _LATER:
        headers["Retry-After"] = _RETRY_AFTER_S
    if isinstance(error, InvalidInput):
        findings = error.findings or _finding_about_the_whole(error, status)
        more = {"tombstone": error.tombstone} if isinstance(error, ErasedRecord) else {}
        return Refusal(status, error.rule, error.message, findings, headers, more, error)
    if isinstance(error, VerificationError):
        return Refusal(status, "verification-failed", str(error), (), headers, error=error)
    rule = error.rule if isinstance(error, Unavailable) else "unavailable"
    return Refusal(status, rule, str(error) or "the node cannot serve this now", (), headers, error=error)


def _finding_about_the_whole(error: InvalidInput, status: HTTPStatus) -> tuple[Finding, ...]:
    """The one place that is at fault, or what was sent as a whole where it could not be read far enough to name one.

    By the rule for messages (`ledger.errors`) they say what was expected and what was got.
    """
    if status not in _ABOUT_CONTENT:
        return ()
    expected, _, got = error.message.partition(", got ")
    return (Finding(None, error.pointer, error.rule, _EXPECTED.sub("", expected), got),)


FAILURE = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "the node failed to answer")
"""What is said about an error of ours: the log has the traceback, the caller learns nothing of the inside."""


AsPage = Callable[[Request, LoomarkError], Response | None]
"""The page that tells a person of a refusal; None where a program asked."""

AsAnswer = Callable[[Request, Refusal], Response]
"""The refusal in the form that belongs to the address that was asked."""


def install(app: FastAPI, as_page: AsPage, as_answer: AsAnswer) -> None:
    """Make `app` answer every refusal as a problem document, or to a person as a page; `api.headers` has the rest."""

    async def on_loomark_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, LoomarkError)
        return as_page(request, error) or as_answer(request, refusal_of(error))

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = HTTPStatus(error.status_code)
        shown = (
            as_page(request, NotFound("no page has this address")) if status is HTTPStatus.NOT_FOUND else None
        )
        rule = status.phrase.lower().replace(" ", "-")
        return shown or as_answer(
            request, Refusal(status, rule, str(error.detail), headers=error.headers or {})
        )

    async def on_bad_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        findings = [_parameter_finding(item) for item in error.errors()[:MAX_FINDINGS]]
        refusal = InvalidInput("a parameter is missing or wrong", findings, "bad-parameter")
        return await on_loomark_error(request, refusal)

    async def on_database_away(request: Request, _error: Exception) -> Response:
        # What a driver says may name hosts and statements; whoever asks is told to ask again.
        return await on_loomark_error(request, DatabaseAway())

    app.add_exception_handler(OperationalError, on_database_away)
    app.add_exception_handler(LoomarkError, on_loomark_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_bad_parameters)


def _parameter_finding(item: Mapping[str, object]) -> Finding:
    place = item.get("loc", ())
    assert isinstance(place, tuple)
    pointer = "/" + "/".join(str(part) for part in place)
    expected = _SHOULD.sub("", str(item.get("msg", "")))
    if item.get("type") == "missing":
        return Finding(None, pointer, "bad-parameter", "a value", "nothing")
    return Finding(None, pointer, "bad-parameter", expected, str(item.get("input", ""))[:80])
