"""Bodies beside the log, of whatever kind: each is what its statement commits to, for the parties that it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from fabric.store.bodies import StoredBody, stored_body
from fabric.store.bulk import select_in
from ledger.canonical import JSON, canonical
from ledger.errors import InvalidInput
from ledger.statement import Statement, parse_envelope

from .run import Run, reason

_STATEMENTS: Final = (
    "SELECT s.id, s.idx, s.state, s.envelope, e.data FROM statement s LEFT JOIN entry e ON e.idx = s.idx"
    " WHERE s.id IN ({in})"
)


class Body(Protocol):
    """A body as it was parsed."""

    def as_json(self) -> dict[str, JSON]:
        """The body as a JSON object."""

    def commitment(self, salt: bytes) -> bytes:
        """The body as a record under a salt."""


def check_body(
    run: Run, kind: str, parse: Callable[[JSON], Body], row: Any, place: str, more: dict[str, Any]
) -> None:
    """Note what is wrong with a body, by rules `<kind>-statement`, `-parties`, `-commitment`, `-body`, `-index`."""
    if row.body is None or row.salt is None:
        run.faults.note(f"{kind}-body", place, "expected its body, got none", **more)
        return
    with run.engine.connect() as connection:
        stated = next(select_in(connection, _STATEMENTS, [row.statement]), None)
    for rule, message in _faults(kind, parse, stored_body(row), stated):
        run.faults.note(rule, place, message, **more)


def _faults(
    kind: str, parse: Callable[[JSON], Body], found: StoredBody, stated: Any
) -> Iterator[tuple[str, str]]:
    if stated is None:
        yield f"{kind}-statement", "expected its staged statement, got none"
        return
    try:
        statement = parse_envelope(stated.envelope or stated.data or b"").statement
    except InvalidInput as error:
        yield f"{kind}-statement", f"expected its statement: {reason(error)}"
        return
    if (statement.type, statement.member, statement.id) != (kind, found.member, found.statement_id):
        yield (
            f"{kind}-statement",
            f"expected a statement of type {kind} by {found.member}, got another statement",
        )
    elif {statement.member, *statement.body["parties"]} != found.parties:
        yield f"{kind}-parties", "expected the parties that the statement names, got others"
    yield from _body_faults(kind, parse, found, statement)
    if stated.idx != found.seq:
        yield f"{kind}-index", f"expected log index {stated.idx}, got {found.seq}"


def _body_faults(
    kind: str, parse: Callable[[JSON], Body], found: StoredBody, statement: Statement
) -> Iterator[tuple[str, str]]:
    try:
        body = parse(json.loads(found.body))
    except (InvalidInput, ValueError) as error:
        yield f"{kind}-body", f"expected the body of its kind: {reason(error)}"
        return
    right = body.commitment(found.salt)
    if right != found.commitment or right.hex() != statement.body.get("commitment"):
        yield f"{kind}-commitment", "expected the commitment that the statement signs, got another"
    if canonical(body.as_json()) != found.body:
        yield f"{kind}-body", "expected canonical bytes, got another spelling"
