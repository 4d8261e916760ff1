"""Files that are whole or absent: written beside their name, forced to disk, then renamed.

`Files` is the seam through which the log touches the disk, so that tests can fail each write twice: failed
and not stored, failed but stored.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from ..errors import Unavailable
from ..folder import sync_folder
from .space import storage_full


class Files(Protocol):
    """Where the log keeps its files. One process writes; any number read at the same time.

    `write` replaces the file in one step: a reader sees the old bytes or the new ones, never a mixture and
    never a part. When it returns, the bytes survive a power cut under that name if `lasting`; otherwise the
    bytes are safe but the name may be lost with the power, never pointing at other bytes. It may leave a file
    whose name ends in `.partial` behind when it dies.
    """

    def write(self, path: Path, data: bytes, *, lasting: bool = True) -> None:
        """Put `data` under `path`, creating folders. Raises StorageFull, Unavailable."""

    def read(self, path: Path) -> bytes | None:
        """The bytes under `path`, or None when there is no such file. Raises Unavailable."""

    def names(self, path: Path) -> list[str]:
        """Names of what lies directly in a folder; none when it is absent."""

    def remove_folder(self, path: Path) -> None:
        """Remove a folder and the files directly in it; nothing happens when it is absent."""


class DiskFiles:
    """`Files` on a local file system that has atomic rename and fsync."""

    def write(self, path: Path, data: bytes, *, lasting: bool = True) -> None:
        """Write, fsync, rename; with `lasting` also fsync the folder, and every folder that had to be made."""
        try:
            if not path.parent.is_dir():
                _make_folder(path.parent)
            partial = path.with_name(path.name + ".partial")
            _write_synced(partial, data)
            os.rename(partial, path)
            if lasting:
                sync_folder(path.parent)
        except OSError as error:
            full = storage_full(error)
            raise full or Unavailable(f"cannot write {path.name}: {error.strerror}") from error

    def read(self, path: Path) -> bytes | None:
        """The file's bytes, or None."""
        try:
            with open(path, "rb", buffering=0) as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unavailable(f"cannot read {path.name}: {error.strerror}") from error

    def names(self, path: Path) -> list[str]:
        """Names of what lies directly in a folder."""
        try:
            return os.listdir(path)
        except OSError:
            return []

    def remove_folder(self, path: Path) -> None:
        """Best effort: what stays behind is only space."""
        try:
            for file in path.iterdir():
                file.unlink(missing_ok=True)
            path.rmdir()
        except OSError:
            return


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_folder(path: Path) -> None:
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
