"""One node a folder, and one node a log key: exclusive locks that the system releases when their holder dies."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from ledger.errors import Unavailable
from ledger.log.lock import OnlyTurn
from ledger.log.space import storage_full


class FolderLock:
    """An advisory lock on a file. Hold it as long as the folder is written."""

    def __init__(self, path: Path, taken: str | None = None) -> None:
        self._path = path
        self._taken = taken or f"another node holds {path.parent}; stop it first"
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises Unavailable while another process, or another lock here, holds it."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_full(error) or Unavailable(f"cannot open {self._path}: {error.strerror}") from error
        try:
            _lock(handle)
        except OSError:
            os.close(handle)
            raise Unavailable(self._taken) from None
        # Only people read the number, so a full disk is no reason not to start.
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        self._handle = handle

    def release(self) -> None:
        """Let go of the lock; nothing happens when it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class NodeLock:
    """What one running node holds, let go of together."""

    def __init__(self) -> None:
        self._held: list[FolderLock | KeyLock | OnlyTurn] = []

    def take(self, lock: FolderLock | KeyLock | OnlyTurn) -> None:
        """Take one more. Raises Unavailable while another node holds it."""
        lock.acquire()
        self._held.append(lock)

    def release(self) -> None:
        """Let go of all; nothing happens the second time."""
        while self._held:
            self._held.pop().release()


class KeyLock:
    """One signer of a log a machine, wherever its folder lies: a copy of a folder holds the same key.

    It says nothing of other machines, nor of containers with a network or temporary folder of their own: there
    only witnesses tell two signers apart. `name` is what the signers share, such as the key's fingerprint.
    """

    def __init__(self, name: str) -> None:
        self._name = f"loomark-{name}"
        self._socket: socket.socket | None = None
        self._file: FolderLock | None = None

    def acquire(self) -> None:
        """Take the lock. Raises Unavailable while another process, or another lock here, holds it."""
        if sys.platform != "linux":
            self._file = FolderLock(Path(tempfile.gettempdir()) / f"{self._name}.lock", _TAKEN)
            self._file.acquire()
            return
        # A name without a file: it is free again the moment its holder is gone, and no disk can be full of it.
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            holder.bind(f"\0{self._name}")
        except OSError:
            holder.close()
            raise Unavailable(_TAKEN) from None
        self._socket = holder

    def release(self) -> None:
        """Let go of the lock; nothing happens when it is not held."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._file is not None:
            self._file.release()
            self._file = None


_TAKEN: Final = "another node on this machine signs with this log's key; a copy of a folder is not started beside its original"


def _lock(handle: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
