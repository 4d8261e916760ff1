"""Published snapshots of the graph: folders that nobody writes, and a pointer to the newest.

    graph/store            what the projector writes; nobody else opens it
    graph/snap-<size>-<n>  a snapshot, made of hard links
    graph/CURRENT          one line: the name of the newest snapshot, replaced by renaming
    graph/PURGED           one line: the log index of the last erasure that no file here remembers; without
                           it, all of them may be remembered

A reader that opened a snapshot keeps it although it is removed; one that read the pointer just before the
removal reads it again.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from pyoxigraph import Store

from ledger.folder import sync_folder
from ledger.log.durable import DiskFiles

CURRENT: Final = "CURRENT"
PURGED: Final = "PURGED"
KEPT: Final = 2
_NAME: Final = re.compile(r"snap-([0-9]+)-([0-9]+)")


class Snapshot(NamedTuple):
    """A snapshot by its folder's name; `size` is the tree size that it covers."""

    name: str
    size: int


def current(folder: Path) -> Snapshot | None:
    """The newest published snapshot of a graph folder."""
    try:
        name = (folder / CURRENT).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    match = _NAME.fullmatch(name)
    return None if match is None else Snapshot(name, int(match[1]))


def purged(folder: Path) -> int:
    """The log index of the last erasure of which no file of a graph folder holds anything; -1 before the first."""
    try:
        return int((folder / PURGED).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return -1


def state_purged(folder: Path, erasure: int) -> None:
    """State, durably, that the files hold nothing of erasures up to a log index. Only once that is so.

    Raises StorageFull, Unavailable.
    """
    # What was removed must not be back after a power cut that spares the statement.
    sync_folder(folder)
    DiskFiles().write(folder / PURGED, f"{erasure}\n".encode("ascii"))


def publish(store: Store, folder: Path, size: int, kept: int = KEPT) -> Snapshot:
    """Make a snapshot of a store and point to it. If the process dies in between, the old pointer holds.

    The newest `kept` snapshots stay. Raises OSError where only this one may stay and another cannot be removed.
    """
    numbers = [int(match[2]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    snapshot = Snapshot(f"snap-{size}-{1 + max(numbers, default=0)}", size)
    store.backup(str(folder / snapshot.name))
    pointer = folder / f"{CURRENT}.new"
    pointer.write_text(snapshot.name + "\n", encoding="ascii")
    os.replace(pointer, folder / CURRENT)
    _remove_old(folder, snapshot.name, kept)
    return snapshot


def _remove_old(folder: Path, newest: str, kept: int) -> None:
    found = [(int(match[2]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    for _, path in sorted(found, reverse=True)[kept:]:
        if path.name != newest:
            shutil.rmtree(path, ignore_errors=kept > 1)
