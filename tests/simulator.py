"""A consortium on one node: members with keys and identifiers, a clock that only moves when told, captures.

The node is the real one (`fabric.capture.node`) on a temporary folder, without HTTP and with documents prepared
in this process. Everything a test reads back goes through the same readers that answer people.

    sim = Simulator(tmp_path)
    sim.admit("farm", parties=["9506000134352"])
    sim.capture("farm", [sim.event(epcList=[...])])
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import inspect

from fabric.capture.node import Node, NodeSettings, open_node, rebuild_folder
from fabric.capture.pool import InlinePreparer, Preparer
from fabric.capture.service import Outcome, Posted
from fabric.epcis.document import DEFAULT_READING, media_type_of, read_document
from fabric.epcis.link import link_of
from fabric.store.bulk import fetch
from fabric.store.credentials import OPERATOR, Principal
from fabric.store.jobs import Job
from fabric.visibility.sight import Sight
from ledger.bundle import parse_bundle
from ledger.ed25519 import SigningKey, key_id, possession_line
from ledger.policy import parse_policy
from ledger.shape import time_text
from ledger.statement import Statement, payload_bytes, sign_statement
from ledger.submission import MEDIA_TYPE, build_submission
from ledger.verify import VerifiedBundle, Verifier

ORIGIN = "loomark.example/simulator"
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
EPCIS = "application/ld+json"
START_MS = 1_790_000_000_000
OPERATOR_CALLER = Principal(0, "operator", OPERATOR)


databases: list[Callable[[], str]] = []
"""Where new consortia keep what they store: the last one's URLs. None: SQLite in their folder."""


class Simulator:
    """One consortium. Close it, or use it as a context manager."""

    def __init__(self, folder: Path, preparer: Preparer | None = None) -> None:
        self.folder = folder
        self.database = databases[-1]() if databases else None
        self.now_ms = START_MS
        self.keys: dict[str, SigningKey] = {}
        self._preparer = preparer or InlinePreparer()
        self._drawn = count(1)
        self._events = count(1)
        self.node = self._open()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.node.close()

    def reopen(self) -> None:
        """Stop the node and start it again on the same folder."""
        self.node.close()
        self.node = self._open()

    def crash(self) -> None:
        """Start anew as after a kill: nothing is drained, nothing is told."""
        if self.database is not None:
            # Its writer looks around by itself, and no lock of the folder keeps it from going on.
            self.node._writer.stop()
        self.node._lock.release()
        self.node._engine.dispose()
        self.node.reading.dispose()
        self.node = self._open()

    def rebuild(self) -> int:
        """Stop, make all projections anew, start."""
        self.node.close()
        done = rebuild_folder(self._settings())
        self.node = self._open()
        return done

    def tick(self, milliseconds: int = 1000) -> int:
        """Move the clock."""
        self.now_ms += milliseconds
        return self.now_ms

    # -- members ---------------------------------------------------------------------------------------

    def admit(self, name: str, *, own_key: bool = False, parties: Iterable[Any] = (), **body: Any) -> Posted:
        """Admit a member, with a key of its own or captured for by the node."""
        value: dict[str, Any] = {
            "type": "member",
            "subject": name,
            "name": name.title(),
            "parties": list(parties),
        }
        if own_key:
            self.keys[name] = SigningKey(sha256(f"key of {name}".encode()).digest())
            value["publicKey"] = possession_line(self.keys[name])
        posted, outcome = self.state(value | body)
        assert outcome.state == "sequenced", outcome
        return posted

    def state(self, value: dict[str, Any]) -> tuple[Posted, Outcome]:
        """Post what the operator states, and wait for what became of it."""
        self.tick()
        return self.node.capture.state(OPERATOR_CALLER, value)

    def assign(self, name: str, *parties: Any) -> None:
        """Give an admitted member more identifiers."""
        _, outcome = self.state({"type": "member", "subject": name, "parties": list(parties)})
        assert outcome.state == "sequenced", outcome

    def sign(self, member: str, kind: str, body: dict[str, Any], **changes: Any) -> bytes:
        """An envelope that a member signs with its own key."""
        key = changes.pop("signer", self.keys[member])
        seen = self.node._writer.log_view().seen
        statement = Statement(
            kind,
            changes.pop("log", ORIGIN),
            member,
            key_id(key.public_bytes),
            changes.pop("statement_id", None) or self.draw(16).hex(),
            time_text(self.now_ms),
            seen,
            body,
        )
        return sign_statement(payload_bytes(statement), [key])

    # -- links -----------------------------------------------------------------------------------------

    def link(self, by: str, one: str, other: str, **more: Any) -> tuple[Posted, Outcome]:
        """A `same` link that a member tells, and what became of it."""
        self.tick()
        return self.post_link(by, {"same": [one, other], **more})

    def link_signed(self, by: str, one: str, other: str, *parties: str, **changes: Any) -> dict[str, Any]:
        """A `same` link that a member signed itself, ready to be posted; `changes` go into what is posted."""
        body, salt = link_of([one, other], changes.pop("reason", None)), self.draw(32)
        told = {"parties": sorted({by, *parties}), "commitment": body.commitment(salt).hex()}
        envelope = json.loads(self.sign(by, "link", told))
        return {"envelope": envelope, "salt": salt.hex(), "body": body.as_json()} | changes

    def post_link(self, by: str, value: dict[str, Any]) -> tuple[Posted, Outcome]:
        """Post a link as it is, and wait for what became of it."""
        ticket = self.node.capture.link(by, json.dumps(value).encode())
        posted: Posted = ticket.stored.result(30)
        ticket.settled.result(30)
        return posted, self.node.capture.outcome(posted.row)

    # -- captures --------------------------------------------------------------------------------------

    def event(self, kind: str = "ObjectEvent", **fields: Any) -> dict[str, Any]:
        """An event of the given fields over plausible defaults; `at` is its time, a field None is left out."""
        number = next(self._events)
        value: dict[str, Any] = {
            "type": kind,
            "eventID": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
            "eventTime": fields.pop("at", f"2026-05-01T08:{number // 60 % 60:02d}:{number % 60:02d}Z"),
            "eventTimeZoneOffset": "+00:00",
        }
        if kind != "TransformationEvent":
            value["action"] = "OBSERVE"
        return {name: item for name, item in (value | fields).items() if item is not None}

    def document(self, events: Sequence[dict[str, Any]], **members: Any) -> bytes:
        """The bytes of an EPCISDocument of these events."""
        value = {
            "@context": [CONTEXT, {"ex": "https://example.org/terms/"}],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-05-02T00:00:00Z",
            "epcisBody": {"eventList": list(events)},
        }
        return json.dumps(value | members).encode()

    def capture(self, member: str, events: Sequence[dict[str, Any]], **members: Any) -> Job:
        """Capture events in custody, and wait until they are in the log or refused."""
        return self.post(member, self.document(events, **members))

    def post(self, member: str, body: bytes, media_type: str = EPCIS) -> Job:
        """Capture a body as it is."""
        self.tick()
        return self.node.capture.capture(member, body, media_type, settled=True)

    def submission(self, by: str, events: Sequence[dict[str, Any]], **changes: Any) -> bytes:
        """A member-signed capture of these events, ready to be posted."""
        document = changes.pop("document", None) or self.document(events)
        reading = changes.pop("reading", DEFAULT_READING)
        records = [
            record.committed for record in read_document(document, media_type_of(document), reading).records
        ]
        arguments: dict[str, Any] = {
            "key": self.keys[by],
            "log": ORIGIN,
            "member": by,
            "seen": self.node._writer.log_view().seen,
            "issued": time_text(self.now_ms),
            "capture_salt": self.draw(32),
            "record_salts": [self.draw(32) for _ in records],
            "statement_id": self.draw(16).hex(),
        }
        contexts = {entry["url"]: entry["sha256"] for entry in records[0]["@context"] if "url" in entry}
        return build_submission(document, records, contexts, **(arguments | changes))

    def capture_signed(self, by: str, events: Sequence[dict[str, Any]], **changes: Any) -> Job:
        """Capture events under the member's own signature."""
        return self.post(by, self.submission(by, events, **changes), MEDIA_TYPE)

    def draw(self, size: int) -> bytes:
        """Bytes that look random and repeat from run to run."""
        number = next(self._drawn)
        blocks = (sha256(f"draw {number} {block}".encode()).digest() for block in range(size // 32 + 1))
        return b"".join(blocks)[:size]

    # -- reading back ----------------------------------------------------------------------------------

    def names(self, job: Job) -> list[str]:
        """The names (hex commitments) of a job's records in order of position."""
        query = "SELECT lower(hex(commitment)) FROM record WHERE capture = ? ORDER BY position"
        return [row[0] for row in self.rows(query, job.capture)]

    def sight(self, member: str | None, name: str) -> Sight:
        """What a member sees of a record: nothing is what an unknown one looks like, too."""
        from ledger.errors import NotFound

        try:
            return self.node.prover.record(name, self.node.reader(member))[1]
        except NotFound:
            return Sight.NOTHING

    def seers(self, name: str) -> dict[str, str]:
        """Who sees a record, and how much: `{member: "whole" | "part"}`, nobody else."""
        members = [one for one in self.node.registry.members if one != "operator"]
        seen = {member: self.sight(member, name).value for member in members}
        return {member: how for member, how in seen.items() if how != Sight.NOTHING.value}

    def verify(self, bundle: bytes) -> VerifiedBundle:
        """Verify a proof as its receiver would, by the log's key alone."""
        return self.verifier().verify(parse_bundle(bundle))

    def verifier(self) -> Verifier:
        """A verifier that knows the log's key and asks for no witness."""
        return Verifier(parse_policy(f"log {self.node.vkey}\nquorum none\n"))

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Rows of a query on the node's database."""
        with self.node.reading.connect() as connection:
            return fetch(connection, query, *values)

    @property
    def where(self) -> Path | str:
        """The database: a file, or a URL."""
        return self.database or self.folder / "loomark.db"

    def stored(self) -> bytes:
        """All that the database holds, as it lies there or as the server writes it out."""
        if self.database is None:
            return (self.folder / "loomark.db").read_bytes()
        with self.node.reading.connect() as connection:
            connection.exec_driver_sql("SET LOCAL bytea_output = 'escape'")
            tables = inspect(connection).get_table_names()
            rows = [
                connection.exec_driver_sql(f'SELECT t::text FROM "{table}" t').scalars() for table in tables
            ]
            return "\n".join([row for table in rows for row in table]).encode()

    def counts(self) -> dict[str, int]:
        """How many rows each table has, and the size of the log."""
        tables = inspect(self.node.reading).get_table_names()
        found = {table: self.rows(f'SELECT count(*) FROM "{table}"')[0][0] for table in tables}
        return found | {"log size": self.node.state()["size"]}

    def projections(self) -> dict[str, list[Any]]:
        """What the projections of store and visibility say, by names that mean the same in every run."""
        return {name: sorted(map(repr, self.rows(query))) for name, query in _PROJECTIONS.items()}

    def _open(self) -> Node:
        return open_node(self._settings(), clock=self._clock, preparer=self._preparer)

    def _settings(self) -> NodeSettings:
        return NodeSettings(self.folder, origin=ORIGIN, database=self.database)

    def _clock(self) -> int:
        return self.now_ms


_NAMED_EVENT = """
    SELECT hex(r.commitment), e.seq, e.position, e.member, e.type, e.action, e.event_id, e.time_us, e.step,
           p.iri, b.iri, e.facts, hex(e.content), e.declares, hex(d.commitment), hex(v.commitment), c.members, q.members
    FROM event e JOIN record r ON r.id = e.record LEFT JOIN thing p ON p.id = e.read_point
    LEFT JOIN thing b ON b.id = e.biz_location LEFT JOIN record d ON d.id = e.duplicate_of
    LEFT JOIN record v ON v.id = e.void_by JOIN class c ON c.id = e."class" LEFT JOIN class q ON q.id = e.partial
"""
_PROJECTIONS = {
    "event": _NAMED_EVENT,
    "line": """SELECT hex(r.commitment), l.ord, t.iri, t.kind, l.role, l.quantity, l.unit, o.iri, l.original FROM line l
        JOIN record r ON r.id = l.record JOIN thing t ON t.id = l.thing LEFT JOIN thing o ON o.id = l.lot""",
    "listed": """SELECT t.iri, c.members FROM listed l JOIN thing t ON t.id = l.thing
        JOIN class c ON c.id = l."class\"""",
    "family": """SELECT f.start, f.time_us, hex(r.commitment), c.members FROM family f JOIN record r ON r.id = f.record
        JOIN class c ON c.id = f."class\"""",
    "declared": "SELECT d.iri, hex(r.commitment) FROM declared d JOIN record r ON r.id = d.record",
    "named": "SELECT t.iri, hex(r.commitment) FROM named n JOIN thing t ON t.id = n.thing JOIN record r ON r.id = n.record",
    "master": """SELECT hex(r.commitment), m.seq, t.iri, m.member, m.type FROM master m
        JOIN record r ON r.id = m.record JOIN thing t ON t.id = m.thing""",
    "shown": """SELECT hex(d.commitment), hex(r.commitment), s.whole FROM shown s
        JOIN record d ON d.id = s.dispatch JOIN record r ON r.id = s.record""",
    "same": """SELECT t.iri, o.iri, s.seq, s.statement, c.members FROM same s JOIN thing t ON t.id = s.thing
        JOIN thing o ON o.id = s.other JOIN class c ON c.id = s."class\"""",
    "handed": """SELECT t.iri, hex(d.commitment) FROM handed h JOIN thing t ON t.id = h.thing
        JOIN record d ON d.id = h.dispatch""",
}

Step = Callable[[], object]
