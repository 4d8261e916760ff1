"""What an earlier `loomark generate` wrote into a folder, and its removal: that alone, never what others put there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from ledger.errors import InvalidInput

_FILES: Final = ("members.json", "truth.json")
_DOCUMENT: Final = re.compile(r"[0-9]{5,}\.jsonld\Z")
_FOLDER: Final = re.compile(r"[a-z0-9-]{1,64}\Z")


def clear(folder: Path) -> None:
    """Leave `folder` empty or absent where it holds an earlier run and nothing else.

    Raises InvalidInput (`bad-folder`), with nothing removed, where anything in it was not written by a run.
    """
    if not folder.exists():
        return
    documents, folders = _written(folder)
    for file in (*documents, *(folder / name for name in _FILES)):
        file.unlink(missing_ok=True)
    for one in folders:
        one.rmdir()


def _written(folder: Path) -> tuple[list[Path], list[Path]]:
    """The documents of an earlier run and the folders in which they lie."""
    members = _members(folder / _FILES[0])
    documents: list[Path] = []
    folders: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if entry.name in members and entry.is_dir() and not entry.is_symlink():
            folders.append(entry)
            documents += sorted(entry.iterdir())
        elif not members or entry.name not in _FILES:
            raise _refused(folder, entry)
    for document in documents:
        if not _DOCUMENT.match(document.name) or not document.is_file():
            raise _refused(folder, document)
    return documents, folders


def _members(file: Path) -> frozenset[str]:
    """The folder names that `members.json` of a finished run lists; none where there is no such file."""
    try:
        listed = json.loads(file.read_bytes())["members"]
        return frozenset(one["folder"] for one in listed if _FOLDER.match(one["folder"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return frozenset()


def _refused(folder: Path, entry: Path) -> InvalidInput:
    return InvalidInput(
        f"expected a new or empty folder, or one of an earlier run, got {folder} with {entry.relative_to(folder)};"
        " choose another with --out",
        rule="bad-folder",
    )
