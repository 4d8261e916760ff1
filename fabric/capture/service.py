"""What a node does for those who send and ask: captures, statements, jobs, documents, credentials.

No HTTP. Methods that write give a `Ticket`, whose futures an asynchronous edge can await; `capture` and
`state` wait. Reading uses connections that cannot write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, select
from sqlalchemy.engine import Connection

from fabric.store import credentials, documents, erasures, jobs, retention
from fabric.store.credentials import Principal
from fabric.store.documents import StoredDocument
from fabric.store.erasures import StatedErasure
from fabric.store.jobs import Job
from fabric.store.retention import Policy
from ledger.canonical import parse_json
from ledger.errors import Forbidden, InvalidInput, NotFound
from ledger.log.schema import statement as statement_table
from ledger.log.stage import stage
from ledger.statement import parse_envelope

from . import retaining
from .bodies import BesideLog
from .erasing import ERASURE
from .intake import Clock, LogView
from .keyring import Keyring, require_member
from .links import LINK
from .pool import Preparer
from .prepare import NOTHING, Asked, Draw, Prepared
from .retaining import Due
from .statements import check, delegation, draft, require_author
from .writer import Ticket, Writer

WAIT_S: Final = 60.0


class Posted(NamedTuple):
    """A staged statement: its row, its author and id; `api_key` is shown once, to whoever admitted a member."""

    row: int
    member: str
    statement_id: str
    type: str
    subject: str | None
    api_key: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a statement: `state` is staged, sequenced (with `index`) or refused (with the reason)."""

    state: str
    index: int | None
    rule: str | None
    reason: str | None


class CaptureService:
    """The writing side of a node. Safe to share by threads."""

    def __init__(
        self,
        engine: Engine,
        preparer: Preparer,
        writer: Writer,
        keyring: Keyring,
        clock: Clock,
        draw: Draw,
    ) -> None:
        self._engine = engine
        self._preparer = preparer
        self._writer = writer
        self._keyring = keyring
        self._clock = clock
        self._draw = draw

    def prepare(self, body: bytes, media_type: str, asked: Asked = NOTHING) -> Future[Prepared]:
        """Begin to validate and commit to a submission. The future raises InvalidInput, Unavailable."""
        return self._preparer.submit(body, media_type, asked)

    def store(self, member: str, prepared: Prepared) -> Ticket:
        """Queue a prepared submission of a member; `stored` gives its Job. Raises QueueFull, Unavailable."""
        require_member(self._writer.log_view().registry, member)
        return self._writer.submit_capture(member, prepared)

    def capture(
        self, member: str, body: bytes, media_type: str, *, settled: bool = False, asked: Asked = NOTHING
    ) -> Job:
        """Capture a submission and wait until it is durable, or with `settled` until it has its index."""
        ticket = self.store(member, self.prepare(body, media_type, asked).result(WAIT_S))
        job: Job = ticket.stored.result(WAIT_S)
        if not settled:
            return job
        ticket.settled.result(WAIT_S)
        return self.job(job.id, member)

    def job(self, name: str, member: str) -> Job:
        """A job, for its submitter. Raises NotFound for everybody else, as for one that does not exist."""
        with self._engine.connect() as connection:
            found = jobs.load(connection, name)
        if found is None or found.member != member:
            raise NotFound("no such capture job", rule="unknown-job")
        return found

    def jobs(self, member: str, limit: int = 100, after: tuple[int, str] | None = None) -> list[Job]:
        """A member's jobs, newest first: at most `limit`, those after the one with this `created_ms` and id."""
        with self._engine.connect() as connection:
            return jobs.list_of_member(connection, member, limit, after)

    def document(self, name: str, member: str) -> StoredDocument:
        """The bytes of a job, as they were submitted, for their submitter. Raises NotFound."""
        job = self.job(name, member)
        with self._engine.connect() as connection:
            return documents.load(connection, job.document)

    def post(self, caller: Principal, body: bytes) -> Ticket:
        """Queue a statement: an envelope, or the operator's JSON form. `stored` gives what was Posted."""
        value = _object(body)
        if "payload" in value:
            poster = None if caller.role == credentials.OPERATOR else caller.member
            return self._writer.submit(lambda connection: self._stage(connection, body, poster, None))
        if caller.role != credentials.OPERATOR:
            raise Forbidden(
                "expected a signed envelope; only the operator's node signs for it", rule="not-operator"
            )
        return self._writer.submit(lambda connection: self._state(connection, value))

    def link(self, member: str, body: bytes) -> Ticket:
        """Queue a `same` link of a member, told or signed (docs/spec/link.md). `stored` gives what was Posted."""
        value = _object(body)
        return self._writer.submit(lambda connection: self._keep(connection, LINK, member, value))

    def erase(self, member: str, body: bytes) -> Ticket:
        """Queue an erasure of a member's own records, told or signed (docs/spec/erasure.md). `stored` gives what was
        Posted; once it is settled, no table holds what was erased."""
        value = _object(body)
        return self._writer.submit(lambda connection: self._keep(connection, ERASURE, member, value))

    def erasures(self, member: str, limit: int = 100) -> list[StatedErasure]:
        """A member's latest erasures, newest first."""
        with self._engine.connect() as connection:
            return erasures.erasures_of(connection, member, limit)

    def erasure(self, member: str, statement_id: str) -> StatedErasure:
        """One erasure of a member. Raises NotFound."""
        with self._engine.connect() as connection:
            found = erasures.erasure_named(connection, member, statement_id)
        if found is None:
            raise NotFound("no such erasure", rule="unknown-erasure")
        return found

    def retention(self) -> list[Policy]:
        """How long the records of each member with a policy are kept."""
        with self._engine.connect() as connection:
            return retention.policies(connection)

    def set_retention(self, caller: Principal, member: str, value: Any) -> Policy | None:
        """Set how long a member's records are kept, `{days}` or `{until}`; neither: without end.

        Raises InvalidInput, Forbidden `not-yours`.
        """
        registry = self._writer.log_view().registry
        is_operator = caller.role == credentials.OPERATOR
        retaining.require_may_set(registry, member, caller.member, operator=is_operator)
        policy = retaining.policy_of(member, value, caller.member, self._clock())

        def write(connection: Connection) -> None:
            if policy is None:
                retention.clear(connection, member)
            else:
                retention.put(connection, policy)

        self._writer.submit(write).stored.result(WAIT_S)
        return policy

    def retain(self, member: str | None, *, apply: bool) -> list[Due]:
        """What is due under the policies, of one member or of all; with `apply` it is erased when this returns."""
        if apply:
            ticket = self._writer.submit(lambda connection: self._due(connection, member, apply=True))
            found: list[Due] = ticket.stored.result(WAIT_S)
            ticket.settled.result(WAIT_S)
            return found
        with self._engine.connect() as connection:
            return self._due(connection, member, apply=False)

    def _due(self, connection: Connection, member: str | None, *, apply: bool) -> list[Due]:
        log, now_ms = self._writer.log_view(), self._clock()
        found = []
        for policy in retention.policies(connection):
            if member not in (None, policy.member):
                continue
            one = retaining.listed(connection, policy, self._keyring, log.registry, now_ms)
            if apply:
                one = retaining.applied(connection, one, self._keyring, log, self._draw, now_ms)
            found.append(one)
        return found

    def state(self, caller: Principal, value: Mapping[str, Any]) -> tuple[Posted, Outcome]:
        """Post what the operator states, and wait for what became of it."""
        ticket = self.post(caller, json.dumps(value).encode())
        posted: Posted = ticket.stored.result(WAIT_S)
        ticket.settled.result(WAIT_S)
        return posted, self.outcome(posted.row)

    def outcome(self, row: int) -> Outcome:
        """What became of a posted statement."""
        table = statement_table.c
        with self._engine.connect() as connection:
            query = select(table.state, table.idx, table.rule, table.reason).where(table.id == row)
            found = connection.execute(query).one_or_none()
        if found is None:
            raise NotFound("no such statement", rule="unknown-statement")
        return Outcome(*found)

    def log_view(self) -> LogView:
        """What the log says now. Raises Unavailable before its first checkpoint."""
        return self._writer.log_view()

    def delegation(self, member: str, until_ms: int) -> dict[str, str]:
        """What a member with a key of its own signs to let this node capture for it until a time."""
        require_member(self._writer.log_view().registry, member)
        return delegation(self._keyring.service(member), until_ms)

    def issue_key(self, member: str) -> str:
        """A fresh API key of a member; the earlier ones are revoked. It is shown this once."""
        require_member(self._writer.log_view().registry, member)
        key = credentials.new_key(self._draw(credentials.KEY_SIZE_BYTES))

        def write(connection: Connection) -> None:
            credentials.revoke(connection, member, self._clock())
            credentials.issue(connection, member, credentials.MEMBER, key, self._clock())

        self._writer.submit(write).stored.result(WAIT_S)
        return key

    def by_key(self, api_key: str) -> Principal | None:
        """Who an API key speaks for, or None."""
        with self._engine.connect() as connection:
            return credentials.find(connection, api_key)

    def by_id(self, credential: int) -> Principal | None:
        """Who a credential speaks for, if it is still valid, or None."""
        with self._engine.connect() as connection:
            return credentials.find_row(connection, credential)

    def _state(self, connection: Connection, value: Mapping[str, Any]) -> Posted:
        statement_id, log = self._draw(16).hex(), self._writer.log_view()
        signed = draft(value, self._keyring, log, statement_id, self._clock())
        posted = self._stage(connection, signed.envelope, None, signed.admits)
        if signed.admits is None:
            return posted
        # Stored with the statement: a key of somebody who is then not admitted opens nothing.
        key = credentials.new_key(self._draw(credentials.KEY_SIZE_BYTES))
        credentials.issue(connection, signed.admits, credentials.MEMBER, key, self._clock())
        return posted._replace(api_key=key)

    def _keep(
        self, connection: Connection, kind: BesideLog[Any], member: str, value: Mapping[str, Any]
    ) -> Posted:
        log, now_ms = self._writer.log_view(), self._clock()
        made = kind.drafted(value, member, self._keyring, log, self._draw, now_ms)
        row = kind.keep(connection, made, log, now_ms)
        statement = made.envelope.statement
        return Posted(row, member, statement.id, statement.type, None, None)

    def _stage(self, connection: Connection, body: bytes, poster: str | None, admits: str | None) -> Posted:
        envelope, log = parse_envelope(body), self._writer.log_view()
        statement, now_ms = envelope.statement, self._clock()
        require_author(statement, poster)
        if not _is_staged(connection, statement.member, statement.id):
            self._keyring.require_unused(statement)
            check(envelope, log, now_ms)
        row = stage(connection, body, origin=log.origin, now_ms=now_ms)
        subject = statement.body.get("subject")
        return Posted(row, statement.member, statement.id, statement.type, subject or admits, None)


def _is_staged(connection: Connection, member: str, statement_id: str) -> bool:
    table = statement_table.c
    query = select(table.id).where(table.member == member, table.statement_id == statement_id)
    return connection.execute(query).first() is not None


def _object(body: bytes) -> dict[str, Any]:
    value = parse_json(body)
    if type(value) is not dict:
        raise InvalidInput("expected a statement object", rule="bad-shape")
    return value
