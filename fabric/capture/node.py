"""One node's core on one data folder: lock, keys, database, log, writer, prepare pool. No HTTP.

    with open_node(NodeSettings(Path("data"), origin="example.org/log")) as node:
        node.capture.capture("farm", body, "application/ld+json")

Start: lock, migrate, recover the log, rebuild projections of another version, sequence what is staged, start
the children. Stop: accept nothing more, drain the writer, end the children, release the lock. A crash at any line
is recovered by the next start with this same code; there is no flag that says how the last run ended.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from sqlalchemy import Engine

from fabric.store import credentials
from fabric.store.engine import reader_engine, writer_engine
from fabric.store.migrate import mark_projections, migrate, require_current, revision
from fabric.store.spill import SPILL, keep_spills
from fabric.visibility.reader import Reader
from fabric.visibility.sight import reader_of
from ledger.ed25519 import Signer, key_id, possession_line
from ledger.errors import InvalidInput
from ledger.log.cosign import Witnesses
from ledger.log.database import create_log, read_head
from ledger.log.engine import is_postgres
from ledger.log.guard import Mark, MarkSource, no_marks
from ledger.log.lock import STORING, OnlyTurn, SequencerLock, take_turns
from ledger.log.publish import Publisher
from ledger.log.reader import LogReader
from ledger.log.recover import open_sequencer
from ledger.log.sequencer import Sequencer
from ledger.log.space import StorageFull, storage_full
from ledger.log.stage import stage
from ledger.log_key import LogKey
from ledger.merkle import EMPTY_ROOT
from ledger.note import ED25519, VerifierKey
from ledger.registry import Registry
from ledger.shape import time_text
from ledger.statement import DEFAULT_SIGNATURES, Statement, payload_bytes, sign_statement

from .companion import Companion, Companions
from .indexing import VERSIONS, Indexer
from .intake import Clock, Intake
from .keyring import LOG, OPERATOR, Keyring, KeySources
from .lock import FolderLock, KeyLock, NodeLock
from .pool import PreparePool, Preparer, collect_rarely
from .prepare import Draw, Limits
from .proof import Prover
from .rebuild import needs_rebuild, rebuild
from .rotation import Rotation
from .service import CaptureService
from .shared import SharedWriter
from .turns import Turns
from .witnessing import WitnessSettings, open_witnesses
from .writer import Writer

DATABASE: Final = "loomark.db"
HIGH_WATER: Final = "high-water"
OPERATOR_MEMBER: Final = "operator"
_EMPTY_SEEN: Final = (0, EMPTY_ROOT)


@dataclass(frozen=True)
class NodeSettings:
    """What a node's core is told. `operator_key` is the API key that the operator chose, a secret.

    `workers` is the number of prepare processes, 0 for one a core. `database` is an SQLAlchemy URL, None for
    SQLite in the folder. `companions` are children that follow the log, such as the graph's projector.
    `high_water` is the file that remembers what was signed, None for `high-water` in the folder; `marks` gives
    what witnesses remember beside those of the witness policy. `keys` are where keys come from besides the folder.
    """

    data: Path
    origin: str = "loomark.local/log"
    operator_name: str = "Operator"
    operator_key: str | None = field(default=None, repr=False)
    database: str | None = None
    workers: int = 0
    limits: Limits = field(default_factory=Limits)
    companions: Sequence[Companion] = ()
    high_water: Path | None = None
    marks: MarkSource = no_marks
    witnesses: WitnessSettings = field(default_factory=WitnessSettings)
    keys: KeySources = field(default_factory=KeySources)


class Node:
    """A running core. `capture` writes, `log` reads the log, `prover` proves, `reading` opens read connections.

    `new_operator_key` is the operator's API key at the first start, to be shown once.
    """

    def __init__(
        self,
        *,
        folder: Path,
        lock: NodeLock,
        engine: Engine,
        reading: Engine,
        sequencer: Sequencer | Turns,
        writer: Writer,
        preparer: Preparer,
        keyring: Keyring,
        clock: Clock,
        draw: Draw,
        companions: Companions,
        witnesses: Witnesses | None,
        new_operator_key: str | None,
    ) -> None:
        self.folder = folder
        self.reading = reading
        self.log = LogReader(reading, folder / "log")
        self.prover = Prover(reading, self.log)
        self.capture = CaptureService(reading, preparer, writer, keyring, clock, draw)
        self.origin = sequencer.head.origin
        self.rotation = Rotation(self.capture, keyring, clock)
        self._keyring = keyring
        self.new_operator_key = new_operator_key
        self.witnesses = witnesses
        self._lock = lock
        self._engine = engine
        self._sequencer = sequencer
        self._writer = writer
        self._preparer = preparer
        self._companions = companions
        self._clock = clock

    @property
    def registry(self) -> Registry:
        """The registry in force for the next entry."""
        return self._sequencer.registry

    @property
    def log_keys(self) -> tuple[LogKey, ...]:
        """The keys that the published log has had, oldest first."""
        return self.log.registry().log_keys

    @property
    def vkey(self) -> str:
        """The log's newest verifier key line."""
        return self.log_keys[-1].vkey.text()

    @property
    def operator(self) -> Signer:
        """Who signs for the operator now. Raises NotFound where its key is elsewhere."""
        return self._keyring.operator(self.registry)

    def reader(self, member: str | None) -> Reader:
        """Whose records a member may see now."""
        return reader_of(self.registry, member, self._clock())

    def state(self) -> dict[str, Any]:
        """Whether captures are taken, why not, and the size of the log: `{"writable", "reason", "size", ...}`."""
        reason = None
        if self._sequencer.read_only is not None:
            reason = str(self._sequencer.read_only)
        elif self._writer.trouble is not None and not self._writer.takes_more:
            reason = str(self._writer.trouble)
        elif self._writer.failure is not None:
            reason = f"the writer stopped: {type(self._writer.failure).__name__}"
        published = self._sequencer.published
        return {
            "writable": reason is None,
            "reason": reason,
            "readOnly": self._sequencer.read_only is not None,
            "storageFull": isinstance(self._writer.trouble, StorageFull),
            "waiting": None if self._writer.trouble is None else str(self._writer.trouble),
            "witnesses": None if self.witnesses is None else self.witnesses.state(),
            "origin": self.origin,
            "size": 0 if published is None else published.checkpoint.size,
            "queued": self._writer.queued,
            **self._turn(),
            "children": self._companions.state(),
        }

    def _turn(self) -> dict[str, Any]:
        """Whether this node sequences, and the name of the one that does where the database is shared."""
        if isinstance(self._sequencer, Turns):
            return {"sequencing": self._sequencer.is_sequencing, "sequencer": self._sequencer.holder}
        return {"sequencing": self._sequencer.read_only is None, "sequencer": None}

    def close(self) -> None:
        """Drain the writer, end the children, release the lock."""
        self._writer.stop()
        self._companions.stop()
        self._preparer.close()
        if self.witnesses is not None:
            self.witnesses.close()
        self.reading.dispose()
        self._engine.dispose()
        self._lock.release()

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_node(
    settings: NodeSettings,
    *,
    clock: Clock | None = None,
    draw: Draw = secrets.token_bytes,
    preparer: Preparer | None = None,
    on_failure: Callable[[BaseException], None] | None = None,
) -> Node:
    """Start a node's core on its folder, from nothing or from whatever the last run left.

    `on_failure` is called once, in the writer's thread, when the node cannot go on writing: end the process.
    Raises InvalidInput for a folder of another origin, Unavailable for one that another node holds, StorageFull for
    one that there is no room to open in.
    """
    clock = clock or now_ms
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = NodeLock()
    lock.take(FolderLock(settings.data / "lock"))
    engine: Engine | None = None
    witnesses: Witnesses | None = None
    try:
        keep_spills(settings.data / SPILL)
        keyring = Keyring(settings.data / "keys", settings.keys)
        keyring.create_folder()
        keyring.check()
        engine = writer_engine(_database(settings))
        _sign_alone(lock, engine, keyring)
        _prepare_database(engine)
        fresh_key = _found(settings, engine, keyring, clock, draw)
        witnesses = _witnesses(settings, keyring)
        sequencer = _sequencing(settings, engine, keyring, witnesses, clock)
        writer = _writer(engine, sequencer, Intake(keyring, clock, draw), on_failure)
        try:
            writer.start()
        except BaseException:
            writer.stop()
            raise
        companions = Companions(settings.companions)
        companions.start()
        collect_rarely()
        return Node(
            folder=settings.data,
            lock=lock,
            engine=engine,
            reading=reader_engine(_database(settings)),
            sequencer=sequencer,
            writer=writer,
            preparer=preparer or PreparePool(settings.limits, settings.workers or None),
            keyring=keyring,
            clock=clock,
            draw=draw,
            companions=companions,
            witnesses=witnesses,
            new_operator_key=fresh_key,
        )
    except BaseException as error:
        if witnesses is not None:
            witnesses.close()
        if engine is not None:
            engine.dispose()
        lock.release()
        full = storage_full(error)
        if full is not None:
            raise full from error
        raise


def rebuild_folder(settings: NodeSettings, progress: Callable[[int, int], None] | None = None) -> int:
    """Make all relational projections of a folder anew; gives the number of captures. Needs the lock."""
    lock = NodeLock()
    lock.take(FolderLock(settings.data / "lock"))
    engine = writer_engine(_database(settings))
    witnesses: Witnesses | None = None
    try:
        keep_spills(settings.data / SPILL)
        keyring = Keyring(settings.data / "keys", settings.keys)
        _sign_alone(lock, engine, keyring)
        _take_only_turn(lock, settings)
        _prepare_database(engine)
        witnesses = _witnesses(settings, keyring)
        publisher = _publisher(settings, keyring, witnesses)
        sequencer = open_sequencer(engine, publisher, now_ms, marks=_marks(settings, witnesses))
        return rebuild(engine, sequencer.registry, progress)
    finally:
        if witnesses is not None:
            witnesses.close()
        engine.dispose()
        lock.release()


def migrate_database(settings: NodeSettings) -> tuple[str | None, str | None]:
    """Bring a stopped node's database to this version; gives its revision before and after.

    Raises NewerDatabase, and Unavailable while a node holds the folder or sequences.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = NodeLock()
    lock.take(FolderLock(settings.data / "lock"))
    engine = writer_engine(_database(settings))
    try:
        keep_spills(settings.data / SPILL)
        _take_only_turn(lock, settings)
        before = revision(engine)
        migrate(engine)
        return before, revision(engine)
    finally:
        engine.dispose()
        lock.release()


def _prepare_database(engine: Engine) -> None:
    # What several nodes share is changed when their operator says so, not by whichever starts first.
    if engine.dialect.name == "sqlite":
        migrate(engine)
    else:
        require_current(engine)


def _take_only_turn(lock: NodeLock, settings: NodeSettings) -> None:
    if is_postgres(_database(settings)):
        lock.take(OnlyTurn(str(settings.database)))


def now_ms() -> int:
    """This machine's clock, milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def vkey_of(origin: str, keyring: Keyring) -> str:
    """The log's C2SP verifier key line."""
    return VerifierKey(origin, ED25519, keyring.named(LOG).public_bytes).text()


def charter_envelope(settings: NodeSettings, keyring: Keyring, statement_id: str, time_ms: int) -> bytes:
    """Entry 0: the log's key, the operator's key, and which signatures each kind of statement needs."""
    key = keyring.named(OPERATOR)
    body: Mapping[str, Any] = {
        "name": settings.operator_name,
        "vkey": vkey_of(settings.origin, keyring),
        "operatorKeys": [possession_line(key)],
        "signatures": {kind: [list(one) for one in rules] for kind, rules in DEFAULT_SIGNATURES.items()},
        "bundles": "members",
    }
    statement = Statement(
        "charter",
        settings.origin,
        OPERATOR_MEMBER,
        key_id(key.public_bytes),
        statement_id,
        time_text(time_ms),
        _EMPTY_SEEN,
        body,
    )
    return sign_statement(payload_bytes(statement), [key])


def _found(settings: NodeSettings, engine: Engine, keyring: Keyring, clock: Clock, draw: Draw) -> str | None:
    """Genesis, in one transaction, where there is none; the operator's API key; gives that key the first time."""
    with engine.begin() as connection:
        take_turns(connection, STORING)
        create_log(connection, settings.origin)
        if read_head(connection).size == 0:
            # Died after this line: the charter is staged, and the same id is not drawn again.
            waiting = connection.exec_driver_sql("SELECT count(*) FROM statement").scalar_one()
            if not waiting:
                envelope = charter_envelope(settings, keyring, draw(16).hex(), clock())
                stage(connection, envelope, origin=settings.origin, now_ms=clock())
                mark_projections(connection, VERSIONS)
        if settings.operator_key is not None:
            if not credentials.is_strong(settings.operator_key):
                raise InvalidInput(
                    "expected an operator key of 32 or more different characters; leave it out to get one",
                    rule="weak-operator-key",
                )
            is_first = not credentials.has_operator(connection)
            credentials.issue(
                connection, OPERATOR_MEMBER, credentials.OPERATOR, settings.operator_key, clock()
            )
            return settings.operator_key if is_first else None
        if credentials.has_operator(connection):
            return None
        key = credentials.new_key(draw(credentials.KEY_SIZE_BYTES))
        credentials.issue(connection, OPERATOR_MEMBER, credentials.OPERATOR, key, clock())
        return key


def _writer(
    engine: Engine,
    sequencer: Sequencer | Turns,
    intake: Intake,
    on_failure: Callable[[BaseException], None] | None,
) -> Writer:
    if isinstance(sequencer, Turns):
        return SharedWriter(engine, sequencer, intake, on_failure=on_failure)
    return Writer(engine, sequencer, Indexer(sequencer.registry), intake, on_failure=on_failure)


def _sign_alone(lock: NodeLock, engine: Engine, keyring: Keyring) -> None:
    # On a database server several nodes share a key, and a lock there says whose turn it is.
    if engine.dialect.name == "sqlite":
        for public in keyring.load_log_keys() or [keyring.named(LOG).public_bytes]:
            lock.take(KeyLock(key_id(public)))


def _witnesses(settings: NodeSettings, keyring: Keyring) -> Witnesses | None:
    found = open_witnesses(
        settings.witnesses,
        settings.data,
        settings.origin,
        lambda: [VerifierKey(settings.origin, ED25519, public) for public in keyring.load_log_keys()],
    )
    keyring.cosigners = (
        {} if found is None else {name: key.public for name, key in found.policy.witnesses.items()}
    )
    return found


def _publisher(settings: NodeSettings, keyring: Keyring, witnesses: Witnesses | None) -> Publisher:
    high_water = settings.high_water or settings.data / HIGH_WATER
    cosigners = [] if witnesses is None else [witnesses]
    return Publisher(settings.data / "log", high_water, keyring.load_log_keys(), cosigners=cosigners)


def _marks(settings: NodeSettings, witnesses: Witnesses | None) -> MarkSource:
    """Everybody who remembers what was signed."""

    def marks(origin: str) -> Sequence[Mark]:
        return [*settings.marks(origin), *(() if witnesses is None else witnesses.marks(origin))]

    return marks


def _sequencing(
    settings: NodeSettings, engine: Engine, keyring: Keyring, witnesses: Witnesses | None, clock: Clock
) -> Sequencer | Turns:
    """The sequencer, whose opening publishes and asks who cosigns; or turns at it, where the database is shared."""
    publisher, marks = _publisher(settings, keyring, witnesses), _marks(settings, witnesses)

    def opened(guarded: MarkSource) -> Sequencer:
        # Whose turn it was before may have gone over to another key of the log.
        keyring.look_again()
        sequencer = open_sequencer(engine, publisher, clock, marks=guarded)
        keyring.check(sequencer.registry)
        if needs_rebuild(engine):
            rebuild(engine, sequencer.registry)
        return sequencer

    database = _database(settings)
    if not is_postgres(database):
        return opened(marks)
    return Turns(engine, SequencerLock(str(database)), publisher, settings.origin, marks, opened)


def _database(settings: NodeSettings) -> Path | str:
    return settings.database or settings.data / DATABASE


def exit_on_failure(_error: BaseException) -> None:
    """End the process at once: only the next start can tell what was stored."""
    os._exit(70)
