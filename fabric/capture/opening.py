"""What a node's core is composed of: the locks it holds, its keys and database, witnesses, sequencer and writer.

Each part is opened by a function here; `node` puts them together, `maintenance` uses those that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from fabric.store.engine import reader_engine, writer_engine
from fabric.store.migrate import migrate, require_current
from fabric.store.spill import SPILL, keep_spills
from ledger.ed25519 import key_id
from ledger.log.cosign import Witnesses
from ledger.log.engine import is_postgres
from ledger.log.guard import Mark, MarkSource
from ledger.log.lock import OnlyTurn, SequencerLock
from ledger.log.publish import Publisher
from ledger.log.recover import open_sequencer
from ledger.log.sequencer import Sequencer
from ledger.log.space import storage_full
from ledger.note import ED25519, VerifierKey

from .indexing import Indexer
from .intake import Clock, Intake
from .keyring import LOG, Keyring
from .lock import FolderLock, KeyLock, NodeLock
from .rebuild import needs_rebuild, rebuild
from .settings import NodeSettings
from .shared import SharedWriter
from .turns import Turns
from .witnessing import open_witnesses
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Held:
    """A data folder that is this process's alone, with engines that connect when they are first used.

    `opened` closes everything that was opened, last first.
    """

    settings: NodeSettings
    lock: NodeLock
    keyring: Keyring
    engine: Engine
    reading: Engine
    opened: ExitStack


@contextmanager
def hold_folder(settings: NodeSettings) -> Iterator[Held]:
    """Hold a folder for a block, or for as long as a node runs that takes over all of `opened`.

    Raises Unavailable while another node holds the folder, StorageFull for whatever fails in the block for want of room.
    """
    try:
        with ExitStack() as opened:
            lock = NodeLock()
            lock.take(FolderLock(settings.data / "lock"))
            opened.callback(lock.release)
            keep_spills(settings.data / SPILL)
            engine = writer_engine(settings.store)
            opened.callback(engine.dispose)
            reading = reader_engine(settings.store)
            opened.callback(reading.dispose)
            keyring = Keyring(settings.data / "keys", settings.keys)
            yield Held(settings, lock, keyring, engine, reading, opened)
    except BaseException as error:
        full = storage_full(error)
        if full is not None:
            raise full from error
        raise


def sign_alone(held: Held) -> None:
    """Let no other node of this machine sign with the log's keys. Raises Unavailable while one does."""
    # On a database server several nodes share a key, and a lock there says whose turn it is.
    if held.engine.dialect.name == "sqlite":
        for public in held.keyring.load_log_keys() or [held.keyring.named(LOG).public_bytes]:
            held.lock.take(KeyLock(key_id(public)))


def take_only_turn(held: Held) -> None:
    """Let no other node sequence, where several share a database. Raises Unavailable while one does."""
    if is_postgres(held.settings.store):
        held.lock.take(OnlyTurn(str(held.settings.store)))


def prepare_database(engine: Engine) -> None:
    """Bring a node's own database to this version. Raises Unavailable for a shared one of another version."""
    # What several nodes share is changed when their operator says so, not by whichever starts first.
    if engine.dialect.name == "sqlite":
        migrate(engine)
    else:
        require_current(engine)


def ask_witnesses(held: Held) -> Witnesses | None:
    """The witnesses of the node's policy, closed with the folder; no key of theirs is taken for another use."""
    settings, keyring = held.settings, held.keyring
    found = open_witnesses(
        settings.witnesses,
        settings.data,
        settings.origin,
        lambda: [VerifierKey(settings.origin, ED25519, public) for public in keyring.load_log_keys()],
    )
    keyring.cosigners = {}
    if found is not None:
        held.opened.callback(found.close)
        keyring.cosigners = {name: key.public for name, key in found.policy.witnesses.items()}
    return found


def publishing(held: Held, witnesses: Witnesses | None) -> tuple[Publisher, MarkSource]:
    """Who signs and publishes, and everybody who remembers what was signed."""
    settings, cosigners = held.settings, [] if witnesses is None else [witnesses]
    publisher = Publisher(
        settings.data / "log", settings.high_water_file, held.keyring.load_log_keys(), cosigners=cosigners
    )

    def marks(origin: str) -> Sequence[Mark]:
        return [*settings.marks(origin), *(mark for one in cosigners for mark in one.marks(origin))]

    return publisher, marks


def sequencing(held: Held, witnesses: Witnesses | None, clock: Clock) -> Sequencer | Turns:
    """The sequencer, whose opening publishes and asks who cosigns; or turns at it, where the database is shared."""
    engine, keyring = held.engine, held.keyring
    publisher, marks = publishing(held, witnesses)

    def opened(guarded: MarkSource) -> Sequencer:
        # Whose turn it was before may have gone over to another key of the log.
        keyring.look_again()
        sequencer = open_sequencer(engine, publisher, clock, marks=guarded)
        keyring.check(sequencer.registry)
        if needs_rebuild(engine):
            rebuild(engine, sequencer.registry)
        return sequencer

    database = held.settings.store
    if not is_postgres(database):
        return opened(marks)
    return Turns(engine, SequencerLock(str(database)), publisher, held.settings.origin, marks, opened)


def start_writer(
    held: Held,
    sequencer: Sequencer | Turns,
    intake: Intake,
    on_failure: Callable[[BaseException], None] | None,
) -> Writer:
    """The thread that writes, started, so that what was staged is sequenced; stopped before the folder is let go."""
    if isinstance(sequencer, Turns):
        writer: Writer = SharedWriter(held.engine, sequencer, intake, on_failure=on_failure)
    else:
        writer = Writer(held.engine, sequencer, Indexer(sequencer.registry), intake, on_failure=on_failure)
    held.opened.callback(writer.stop)
    writer.start()
    return writer
