"""Every stage from a submission to its published checkpoint, and a child in which one of them fails."""

from __future__ import annotations

import importlib
import os
import random
import shutil
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from fabric.capture.node import Node
from ledger.errors import Unavailable
from ledger.log.durable import DiskFiles
from ledger.log.sequencer import Sequencer
from ledger.log.space import StorageFull
from ledger.log.tiles import TileStore
from ledger.note import SignatureLine
from tests.faults.scripted import Session, opened

CALLED: Final = {
    "look for the document": "fabric.capture.intake:documents.find",
    "judge duplicates": "fabric.capture.intake:judge",
    "sign in custody": "fabric.capture.intake:capture_statement",
    "stage a capture": "fabric.capture.intake:stage",
    "store the document": "fabric.capture.intake:documents.store",
    "store the capture": "fabric.capture.intake:records.insert_capture",
    "store the records": "fabric.capture.intake:records.insert_records",
    "make the job": "fabric.capture.intake:jobs.create",
    "stage a statement": "fabric.capture.service:stage",
    "issue a credential": "fabric.capture.service:credentials.issue",
    "keep a link": "fabric.capture.service:keep",
    "read what waits": "ledger.log.sequencer:waiting",
    "decide": "ledger.log.sequencer:plan",
    "compare marks": "ledger.log.sequencer:Sequencer.check_marks",
    "archive the note": "ledger.log.sequencer:archive_note",
    "move the head": "ledger.log.sequencer:move_head",
    "add entries": "ledger.log.sequencer:add_entries",
    "record outcomes": "ledger.log.sequencer:record_outcomes",
    "project captures": "fabric.capture.indexing:Indexer.project",
    "project facts": "fabric.capture.indexing:index_facts",
    "project links": "fabric.capture.indexing:Indexer.project_links",
    "reassign parties": "fabric.capture.indexing:Indexer._follow",
    "keep what projections taught": "fabric.capture.indexing:Indexer.committed",
    "sign the head": "ledger.log.publish:sign_checkpoint",
    "write tiles": "ledger.log.tiles:TileStore.write",
    "remove partial tiles": "ledger.log.tiles:TileStore.remove_partials",
    "publish": "ledger.log.publish:Publisher.publish",
    "answer": "fabric.capture.writer:answer",
}
"""Stages that are a call of their own: `module:name` of what is called."""

WRITTEN: Final = {
    "write the high-water file": "high-water",
    "write a hash tile": "/tile/0/",
    "write a bundle": "/tile/entries/",
    "write a tile of tiles": "/tile/1/",
    "write the checkpoint": "/checkpoint",
}
"""Stages that are the writing of a file, by what its path has in it."""

COMMITTED: Final = {"commit what is stored": "make the job", "commit the head": "record outcomes"}
"""Stages that are a commit, by what is called last before it."""

COSIGNER: Final = "ask a cosigner"
STAGES: Final = (*CALLED, *WRITTEN, *COMMITTED, COSIGNER)

FAILS, NO_ROOM, DIES = "fails", "finds no room", "dies"
WAYS: Final = tuple((how, stored) for how in (FAILS, NO_ROOM, DIES) for stored in (False, True))
"""What becomes of a stage, and whether it had taken effect by then."""


class Broken(Unavailable):
    """What a faulty environment raises here."""


def run(
    template: str, folder: str, pipe: Connection, seed: int, stage: str, how: str, stored: bool, at: int
) -> None:
    """A session in which the stage fails at its call number `at`; says what `scripted.Session` says."""
    shutil.copytree(template, folder)
    session = Session(pipe, random.Random(f"session {seed}"))
    node = opened(Path(folder))
    arm(node, stage, Fault(how, stored, at))
    session.play(node)
    try:
        node.close()
    except Exception as error:
        session.say(f"failed {type(error).__name__}")
        os._exit(1)
    session.say("end")


class Fault:
    """Strikes once: at the call number `at`, before it takes effect or right after."""

    def __init__(self, how: str, stored: bool, at: int) -> None:
        self._how = how
        self._stored = stored
        self._left = at

    def around(self, act: Callable[[], Any]) -> Any:
        """Call, or fail."""
        self._left -= 1
        if self._left:
            return act()
        if self._stored:
            act()
        if self._how == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        raise StorageFull("no room here") if self._how == NO_ROOM else Broken("it broke here")


def arm(node: Node, stage: str, fault: Fault) -> None:
    """Put the fault around a stage of this process."""
    if stage in CALLED:
        _arm_call(CALLED[stage], fault.around)
    elif stage in WRITTEN:
        _arm_files(WRITTEN[stage], fault)
    elif stage in COMMITTED:
        _arm_commit(node, COMMITTED[stage], fault)
    else:
        assert isinstance(node._sequencer, Sequencer)
        node._sequencer._publisher._cosigners = (_Cosigner(fault),)


def _arm_call(name: str, around: Callable[[Callable[[], Any]], Any]) -> None:
    module, _, path = name.partition(":")
    *owners, last = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    real = getattr(owner, last)

    def call(*arguments: Any, **named: Any) -> Any:
        return around(lambda: real(*arguments, **named))

    setattr(owner, last, call)


def _arm_files(part: str, fault: Fault) -> None:
    real = DiskFiles.write

    def write(self: DiskFiles, path: Path, data: bytes, *, lasting: bool = True) -> None:
        if part in str(path):
            fault.around(lambda: real(self, path, data, lasting=lasting))
        else:
            real(self, path, data, lasting=lasting)

    DiskFiles.write = write  # type: ignore[method-assign]


def _arm_commit(node: Node, last: str, fault: Fault) -> None:
    is_next = False

    def about(act: Callable[[], Any]) -> Any:
        nonlocal is_next
        is_next = True
        return act()

    def commit(connection: Any) -> None:
        nonlocal is_next
        if is_next:
            is_next = False
            fault.around(lambda: connection.connection.commit())

    _arm_call(CALLED[last], about)
    event.listen(node._engine, "commit", commit)


class _Cosigner:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def cosign(self, _note: bytes, _tiles: TileStore) -> Sequence[SignatureLine]:
        found: Sequence[SignatureLine] = self._fault.around(lambda: ())
        return found

    def is_lacking(self, _note: bytes) -> bool:
        return False
