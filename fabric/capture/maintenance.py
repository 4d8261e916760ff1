"""What is done to a stopped node's folder: its projections made anew, its database brought to this version."""

from __future__ import annotations

from collections.abc import Callable

from fabric.store.migrate import migrate, revision
from ledger.log.recover import open_sequencer

from .intake import now_ms
from .opening import ask_witnesses, hold_folder, prepare_database, publishing, sign_alone, take_only_turn
from .rebuild import rebuild
from .settings import NodeSettings


def rebuild_folder(settings: NodeSettings, progress: Callable[[int, int], None] | None = None) -> int:
    """Make all relational projections of a folder anew; gives the number of captures.

    Raises Unavailable while a node holds the folder or sequences.
    """
    with hold_folder(settings) as held:
        sign_alone(held)
        take_only_turn(held)
        prepare_database(held.engine)
        publisher, marks = publishing(held, ask_witnesses(held))
        sequencer = open_sequencer(held.engine, publisher, now_ms, marks=marks)
        return rebuild(held.engine, sequencer.registry, progress)


def migrate_database(settings: NodeSettings) -> tuple[str | None, str | None]:
    """Bring a stopped node's database to this version; gives its revision before and after.

    Raises NewerDatabase, and Unavailable while a node holds the folder or sequences.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with hold_folder(settings) as held:
        take_only_turn(held)
        before = revision(held.engine)
        migrate(held.engine)
        return before, revision(held.engine)
