"""From a function's name and its arguments to the contract that answers: limits first, refusals as 4xx, all else as 500."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ledger.canonical import JSON, canonical
from ledger.errors import InvalidInput, NotFound, TooLarge

from . import agreements, checkpoints, organisations
from .arguments import MAX_DIGITS_BYTES, MAX_NAME_BYTES, utf8
from .refusal import refused
from .stub import INTERNAL_ERROR, OK, Response, Stub

_log = logging.getLogger(__name__)

Contract = Callable[..., JSON]
"""Takes the stub and the arguments as bytes, writes what it decided last, and returns a JSON value."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the chaincode: what answers it, and the most bytes of each of its arguments."""

    answer: Contract
    limits_bytes: tuple[int, ...]


_NAME = MAX_NAME_BYTES
FUNCTIONS: dict[str, Function] = {
    "organisations:register": Function(organisations.register, (organisations.MAX_REGISTRATION_BYTES,)),
    "organisations:get": Function(organisations.get, (_NAME,)),
    "organisations:list": Function(organisations.list_all, ()),
    "checkpoints:submit": Function(
        checkpoints.submit, (checkpoints.MAX_NOTE_BYTES, checkpoints.MAX_PROOF_BYTES)
    ),
    "checkpoints:latest": Function(checkpoints.latest, (_NAME,)),
    "checkpoints:at": Function(checkpoints.at, (_NAME, MAX_DIGITS_BYTES)),
    "checkpoints:history": Function(checkpoints.history, (_NAME, MAX_DIGITS_BYTES, MAX_DIGITS_BYTES)),
    "checkpoints:cosign": Function(checkpoints.cosign, (_NAME, MAX_DIGITS_BYTES, checkpoints.MAX_LINE_BYTES)),
    "checkpoints:cosignatures": Function(checkpoints.cosignatures, (_NAME, MAX_DIGITS_BYTES)),
    "agreements:propose": Function(agreements.propose, (_NAME, agreements.MAX_PROPOSAL_BYTES)),
    "agreements:accept": Function(agreements.accept, (_NAME,)),
    "agreements:revoke": Function(agreements.revoke, (_NAME,)),
    "agreements:expire": Function(agreements.expire, (_NAME,)),
    "agreements:get": Function(agreements.get, (_NAME,)),
}


def dispatch(stub: Stub) -> Response:
    """The answer to one transaction; never raises.

    A response of 500 says nothing of the state or the error: those stand in this process's own log.
    """
    try:
        function, arguments = _called(stub)
        return Response(OK, canonical(function.answer(stub, *arguments)))
    except InvalidInput as error:
        return refused(error)
    except Exception:
        _log.exception("transaction %s on channel %s failed", stub.tx_id, stub.channel)
        return Response(INTERNAL_ERROR, message="internal-error: the chaincode failed")


def _called(stub: Stub) -> tuple[Function, list[bytes]]:
    if not stub.args:
        raise InvalidInput("expected a function's name, got no argument", rule="argument-count")
    name, arguments = stub.args[0], list(stub.args[1:])
    function = FUNCTIONS.get(utf8(name, "function", MAX_NAME_BYTES))
    if function is None:
        raise NotFound("expected a function of this chaincode, got another name", rule="unknown-function")
    if len(arguments) != len(function.limits_bytes):
        raise InvalidInput(
            f"expected {len(function.limits_bytes)} arguments, got {len(arguments)}", rule="argument-count"
        )
    for at, (argument, limit) in enumerate(zip(arguments, function.limits_bytes, strict=True), 1):
        if len(argument) > limit:
            raise TooLarge(f"argument {at}: expected at most {limit} bytes, got {len(argument)}")
    return function, arguments
