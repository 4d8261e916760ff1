"""Loomark for Python: capture with a key of your own, ask, trace, and verify what you were told.

    from loomark import Client, Signing

    with Client("https://node.example", api_key) as node:
        job = node.capture(document, signing=Signing.of_key_file(Path("mill.key")))
        receipt = node.receipt(node.wait(job))
        verify(receipt, policy)
        for event in node.events(EQ_bizStep=["shipping"], GE_eventTime="2026-01-01T00:00:00Z"):
            ...

`Client` and `AsyncClient` have the same methods. Both raise the error tree of `ledger.errors`, of which the leaves are
named here: the caller's own fault is `InvalidInput` with findings, a node that cannot answer now is `Unavailable`,
evidence that does not hold is `VerificationError`. What is sent under a key is committed and signed on this machine; what
is verified is verified on this machine, without asking anybody. Nothing else of the distribution is a promise to callers.
"""

from __future__ import annotations

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

from .async_client import AsyncClient
from .client import Client
from .results import CapturedRecord, Job, Page
from .signing import FileMemory, Memory, Pinned, Signing
from .verification import Verified, verify

__all__ = [
    "AsyncClient",
    "CapturedRecord",
    "Client",
    "Conflict",
    "Erased",
    "FileMemory",
    "Finding",
    "Forbidden",
    "InvalidInput",
    "Job",
    "LoomarkError",
    "Memory",
    "NotFound",
    "Page",
    "Pinned",
    "Signing",
    "TooLarge",
    "Unavailable",
    "VerificationError",
    "Verified",
    "verify",
]
