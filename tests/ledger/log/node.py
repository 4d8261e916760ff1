"""A log on disk for tests: an origin, an operator, members with keys, and short ways to state things."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from ledger.ed25519 import SigningKey, key_id, possession_line
from ledger.log import schema
from ledger.log.database import create_log
from ledger.log.durable import Files
from ledger.log.engine import reader_engine, writer_engine
from ledger.log.publish import Published, Publisher
from ledger.log.recover import open_sequencer
from ledger.log.sequencer import Sequencer
from ledger.log.stage import stage
from ledger.merkle import EMPTY_ROOT
from ledger.note import ED25519, VerifierKey
from ledger.shape import time_text
from ledger.statement import DEFAULT_SIGNATURES, Statement, payload_bytes, sign_statement

ORIGIN = "log.example/test"
START_MS = 1_767_225_600_000
EMPTY = (0, EMPTY_ROOT)


def key_of(name: str) -> SigningKey:
    return SigningKey(sha256(f"key {name}".encode()).digest())


def statement_id(name: object) -> str:
    return sha256(f"statement {name}".encode()).hexdigest()[:32]


def envelope(
    kind: str,
    by: str,
    body: Mapping[str, Any],
    *,
    named: object,
    seen: tuple[int, bytes] = EMPTY,
    log: str = ORIGIN,
    key: SigningKey | None = None,
) -> bytes:
    """A signed statement; `named` chooses its id."""
    key = key or key_of(by)
    payload = payload_bytes(
        Statement(
            kind, log, by, key_id(key.public_bytes), statement_id(named), time_text(START_MS), seen, body
        )
    )
    return sign_statement(payload, [key])


def charter() -> bytes:
    vkey = VerifierKey(ORIGIN, ED25519, key_of("log").public_bytes).text()
    body = {
        "name": "The Operator",
        "vkey": vkey,
        "operatorKeys": [possession_line(key_of("operator"))],
        "signatures": DEFAULT_SIGNATURES,
        "bundles": "members",
    }
    return envelope("charter", "operator", body, named="charter")


def admission(name: str, **body: Any) -> bytes:
    body = {"subject": name, "name": name.title(), "publicKey": possession_line(key_of(name)), **body}
    return envelope("member", "operator", body, named=f"admit {name}")


def capture(name: object, by: str = "farm", **options: Any) -> bytes:
    commitment = sha256(f"capture {name}".encode()).hexdigest()
    return envelope("capture", by, {"commitment": commitment}, named=f"{by} {name}", **options)


class Node:
    """One data folder. `start` opens it like a process would; `stop` forgets all memory of it."""

    def __init__(
        self, folder: Path, *, files: Files | None = None, clock: Callable[[], int] | None = None
    ) -> None:
        self.folder = folder
        self.files = files
        self.now_ms = START_MS
        self.clock = clock or (lambda: self.now_ms)
        self.engine: Engine = writer_engine(folder / "loomark.db")
        self.readers: Engine | None = None
        schema.metadata.create_all(self.engine)
        with self.engine.begin() as connection:
            create_log(connection, ORIGIN)
        self.start()

    def start(self) -> Sequencer:
        self.publisher = Publisher(
            self.folder / "log", self.folder / "high-water", key_of("log"), files=self.files
        )
        self.sequencer = open_sequencer(self.engine, self.publisher, self.clock)
        return self.sequencer

    def reader(self) -> Engine:
        if self.readers is None:
            self.readers = reader_engine(self.folder / "loomark.db")
        return self.readers

    def stop(self) -> None:
        self.engine.dispose()
        if self.readers is not None:
            self.readers.dispose()
            self.readers = None

    def restart(self) -> Sequencer:
        self.stop()
        return self.start()

    def stage(self, *envelopes: bytes) -> list[int]:
        with self.engine.begin() as connection:
            return [stage(connection, each, origin=ORIGIN, now_ms=self.now_ms) for each in envelopes]

    def sequence(self, *envelopes: bytes) -> Published | None:
        self.stage(*envelopes)
        return self.sequencer.sequence()

    def found(self, *members: str) -> Published:
        """Write the charter, then admit the members."""
        published = self.sequence(charter())
        if members:
            published = self.sequence(*[admission(name) for name in members])
        assert published is not None
        return published

    def statements(self) -> list[tuple[int, str, int | None, str | None]]:
        """Row, state, index and rule of every statement."""
        table = schema.statement
        with self.engine.connect() as connection:
            rows = connection.execute(
                select(table.c.id, table.c.state, table.c.idx, table.c.rule).order_by(table.c.id)
            )
            return [(row[0], row[1], row[2], row[3]) for row in rows]

    def entries(self) -> list[bytes]:
        with self.engine.connect() as connection:
            return list(
                connection.execute(select(schema.entry.c.data).order_by(schema.entry.c.idx)).scalars()
            )

    def checkpoint(self) -> bytes:
        return (self.folder / "log/checkpoint").read_bytes()


def seen_of(published: Published | None) -> tuple[int, bytes]:
    assert published is not None
    return published.checkpoint.size, published.checkpoint.root


def states(node: Node) -> Sequence[str]:
    return [state for _, state, _, _ in node.statements()]
