"""Refusals: what a caller of the chaincode did wrong, as a status from 400 to 499 and a message ``<rule>: <reason>``."""

from __future__ import annotations

from ledger.errors import Conflict, Forbidden, InvalidInput, NotFound, TooLarge

from .stub import Response

MAX_MESSAGE_CHARS = 512
_STATUS: tuple[tuple[type[InvalidInput], int], ...] = (
    (TooLarge, 413),
    (Conflict, 409),
    (NotFound, 404),
    (Forbidden, 403),
)


class Contradiction(InvalidInput):
    """The arguments are well formed and signed, and still not true of the log; status 422."""


class BrokenState(Exception):
    """A value in the channel's state is not what this chaincode writes. Nobody's argument is at fault: status 500."""


def status_of(error: InvalidInput) -> int:
    """The status that an error of the caller is answered with; 400 for those without a status of their own."""
    if isinstance(error, Contradiction):
        return 422
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def refused(error: InvalidInput) -> Response:
    """The response to a caller's error.

    Reasons may quote what was sent, so the message is cut and holds printable characters alone: a lone surrogate
    could not be sent, and a line break would forge lines in a log.
    """
    reason = f"{error.rule}: {error.message}"[:MAX_MESSAGE_CHARS]
    return Response(status_of(error), message="".join([c if c.isprintable() else "?" for c in reason]))
