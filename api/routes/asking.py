"""Who asks, as routes declare it: the caller, the member it speaks for, or the reader it sees as."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from api.services import Services, services
from fabric.store.credentials import OPERATOR, Principal
from fabric.visibility.reader import Reader
from ledger.errors import Forbidden

Serving = Annotated[Services, Depends(services)]


def caller(request: Request, serving: Serving) -> Principal:
    """The authenticated caller; raises Unauthenticated."""
    return serving.authenticator.caller(request)


Calling = Annotated[Principal, Depends(caller)]


def submitter(calling: Calling) -> str:
    """The member that the caller captures for; the operator administers and captures nothing."""
    if calling.role == OPERATOR:
        raise Forbidden("expected a member's API key, got the operator's", rule="not-a-member")
    return calling.member


def reader(calling: Calling, serving: Serving) -> Reader:
    """In whose sight the caller reads."""
    return serving.node.reader(None if calling.role == OPERATOR else calling.member)


Submitting = Annotated[str, Depends(submitter)]
Reading = Annotated[Reader, Depends(reader)]
