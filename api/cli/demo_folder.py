"""The folder of a demonstration: begun anew each time, and never at the cost of something else."""

from __future__ import annotations

import shutil
from pathlib import Path

from ledger.errors import InvalidInput, Unavailable

from .demo_network import NETWORK, end_network
from .main_job import MARKER, NODE


def begun_anew(data: Path) -> Path:
    """The folder, empty: an earlier demonstration is removed, anything else is left and refused."""
    if data.exists() and any(data.iterdir()):
        if not (data / MARKER).exists() and not (data / "scenario").exists():
            raise InvalidInput(
                f"{data} holds something else than a demonstration; choose another folder", rule="bad-folder"
            )
        _remove(data)
    data.mkdir(parents=True, exist_ok=True)
    return data


def _remove(data: Path) -> None:
    """Remove an earlier demonstration, unless a node of it runs: what lies under a node is not taken from it."""
    from fabric.capture.lock import FolderLock

    held: list[FolderLock] = []
    try:
        for path in sorted(data.glob(f"{NODE}*/lock")):
            lock = FolderLock(path)
            try:
                lock.acquire()
            except Unavailable as error:
                raise Unavailable(f"a node is running on {path.parent}; stop it first") from error
            held.append(lock)
        if (data / NETWORK).exists():
            end_network(data / NETWORK)
        shutil.rmtree(data)
    finally:
        for lock in held:
            lock.release()
