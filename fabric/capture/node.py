"""One node's core on one data folder: lock, keys, database, log, writer, prepare pool. No HTTP.

    with open_node(NodeSettings(Path("data"), origin="example.org/log")) as node:
        node.capture.capture("farm", body, "application/ld+json")

Start: lock, migrate, recover the log, rebuild projections of another version, sequence what is staged, start
the children. Stop: accept nothing more, drain the writer, end the children, release the lock. A crash at any line
is recovered by the next start with this same code; there is no flag that says how the last run ended.

`settings` is what it is told, `founding` its first entry, `opening` its parts, `maintenance` what is done while it is stopped.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Any

from sqlalchemy.engine import Connection

from fabric.epcis.representation import Translator, translator_for
from fabric.visibility.reader import Reader
from fabric.visibility.sight import reader_of
from ledger.ed25519 import Signer
from ledger.log.cosign import Witnesses
from ledger.log.reader import LogReader
from ledger.log.sequencer import Sequencer
from ledger.log.space import StorageFull
from ledger.log_key import LogKey
from ledger.registry import Registry

from .companion import Companions
from .founding import OPERATOR_MEMBER, charter_envelope, found, vkey_of
from .intake import Clock, Intake, now_ms
from .maintenance import migrate_database, rebuild_folder
from .opening import Held, ask_witnesses, hold_folder, prepare_database, sequencing, sign_alone, start_writer
from .pool import PreparePool, Preparer, collect_rarely
from .prepare import Draw
from .proof import Prover
from .rotation import Rotation
from .service import CaptureService
from .settings import DATABASE, HIGH_WATER, NodeSettings
from .turns import Turns
from .writer import Ticket, Writer


class Node:
    """A running core. `capture` writes, `log` reads the log, `prover` proves, `reading` opens read connections.

    `new_operator_key` is the operator's API key at the first start, to be shown once.
    """

    def __init__(
        self,
        held: Held,
        *,
        sequencer: Sequencer | Turns,
        writer: Writer,
        preparer: Preparer,
        companions: Companions,
        witnesses: Witnesses | None,
        clock: Clock,
        draw: Draw,
        new_operator_key: str | None,
    ) -> None:
        self.folder = held.settings.data
        self.reading = held.reading
        self.log = LogReader(self.reading, self.folder / "log", anchors=held.settings.anchors)
        self.prover = Prover(self.reading, self.log)
        self.capture = CaptureService(self.reading, preparer, writer, held.keyring, clock, draw)
        self.origin = sequencer.head.origin
        self.rotation = Rotation(self.capture, held.keyring, clock)
        self.new_operator_key = new_operator_key
        self.witnesses = witnesses
        self._keyring = held.keyring
        self._lock = held.lock
        self._engine = held.engine
        self._sequencer = sequencer
        self._writer = writer
        self._companions = companions
        self._clock = clock
        # From here on it is the node that closes what was opened.
        self._opened = held.opened.pop_all()

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

    @property
    def translator(self) -> Translator:
        """Names in the forms readers ask for, with the company prefixes that members hold."""
        held = self.registry.identifiers
        return translator_for(frozenset(one.value for one in held if one.kind == "prefix"))

    def submit(self, run: Callable[[Connection], Any]) -> Ticket:
        """Queue something to write; `stored` gives what it returns once that is durable. Raises QueueFull, Unavailable."""
        return self._writer.submit(run)

    @property
    def published_size(self) -> int:
        """Entries under the published checkpoint; 0 before the first."""
        published = self._sequencer.published
        return 0 if published is None else published.checkpoint.size

    @property
    def is_sequencing(self) -> bool:
        """Whether this node gives indices: of several on one database, one does."""
        return bool(self._turn()["sequencing"])

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may use the same database now."""
        return isinstance(self._sequencer, Turns)

    def state(self) -> dict[str, Any]:
        """Whether captures are taken, why not, and the size of the log: `{"writable", "reason", "size", ...}`."""
        reason = None
        if self._sequencer.read_only is not None:
            reason = str(self._sequencer.read_only)
        elif self._writer.trouble is not None and not self._writer.takes_more:
            reason = str(self._writer.trouble)
        elif self._writer.failure is not None:
            reason = f"the writer stopped: {type(self._writer.failure).__name__}"
        return {
            "writable": reason is None,
            "reason": reason,
            "readOnly": self._sequencer.read_only is not None,
            "storageFull": isinstance(self._writer.trouble, StorageFull),
            "waiting": None if self._writer.trouble is None else str(self._writer.trouble),
            "witnesses": None if self.witnesses is None else self.witnesses.state(),
            "origin": self.origin,
            "size": self.published_size,
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
        """Drain the writer, end the children, release the lock; nothing happens the second time."""
        self._opened.close()

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_node(
    settings: NodeSettings,
    *,
    clock: Clock = now_ms,
    draw: Draw = secrets.token_bytes,
    preparer: Preparer | None = None,
    on_failure: Callable[[BaseException], None] | None = None,
) -> Node:
    """Start a node's core on its folder, from nothing or from whatever the last run left.

    `on_failure` is called once, in the writer's thread, when the node cannot go on writing: end the process.
    Raises InvalidInput for a folder of another origin, Unavailable for one that another node holds, StorageFull for
    one that there is no room to open in.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with hold_folder(settings) as held:
        held.keyring.create_folder()
        held.keyring.check()
        sign_alone(held)
        prepare_database(held.engine)
        fresh_key = found(settings, held.engine, held.keyring, clock, draw)
        witnesses = ask_witnesses(held)
        preparer = preparer or PreparePool(settings.limits, settings.workers or None)
        held.opened.callback(preparer.close)
        companions = Companions(settings.companions)
        held.opened.callback(companions.stop)
        sequencer = sequencing(held, witnesses, clock)
        writer = start_writer(held, sequencer, Intake(held.keyring, clock, draw), on_failure)
        companions.start()
        collect_rarely()
        return Node(
            held,
            sequencer=sequencer,
            writer=writer,
            preparer=preparer,
            companions=companions,
            witnesses=witnesses,
            clock=clock,
            draw=draw,
            new_operator_key=fresh_key,
        )


def exit_on_failure(_error: BaseException) -> None:
    """End the process at once: only the next start can tell what was stored."""
    os._exit(70)


__all__ = [
    "DATABASE",
    "HIGH_WATER",
    "OPERATOR_MEMBER",
    "Node",
    "NodeSettings",
    "charter_envelope",
    "exit_on_failure",
    "migrate_database",
    "now_ms",
    "open_node",
    "rebuild_folder",
    "vkey_of",
]
