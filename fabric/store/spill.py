"""Where SQLite puts what does not fit into memory: the copy that VACUUM makes, large sorts, journals of statements.

These files hold rows, so they belong where the rows are: into a folder of the node's own, not into one that every
program on the machine shares. SQLite removes their names as soon as it has opened them; a crash leaves at most one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

SPILL: Final = "spill"
"""The folder's name in a data folder. It may be a link to a folder on another disk."""

_CHILDREN: Final = "SQLITE_TMPDIR"


def keep_spills(folder: Path) -> bool:
    """Let this process, and those that it starts, spill into `folder`, made or emptied for it: 0700, and nobody else's.

    A process has one such place: the last call counts, and no connection may be at work in another thread. False
    where this SQLite was built without a way to be told; then only the children keep to it. Raises OSError.
    """
    _make_empty(folder)
    place = str(folder.resolve())
    # SQLite reads the environment when it is loaded, which in this process is long ago.
    os.environ[_CHILDREN] = place
    _tell(place)
    return told() == place


def told() -> str:
    """The folder that SQLite was told in this process; empty when it was told none, and takes the machine's."""
    with closing(sqlite3.connect(":memory:")) as database:
        row = database.execute("PRAGMA temp_store_directory").fetchone()
    return "" if row is None else str(row[0])


@contextmanager
def spilling_into(folder: Path) -> Iterator[None]:
    """Spill into `folder` for a while, then where it was before. For work on a copy that lies elsewhere."""
    before, children = told(), os.environ.get(_CHILDREN)
    keep_spills(folder)
    try:
        yield
    finally:
        # What is not there any more cannot be named again.
        _tell(before if os.path.isdir(before) else "")
        if children is None:
            del os.environ[_CHILDREN]
        else:
            os.environ[_CHILDREN] = children


def _make_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for left in folder.iterdir():
        if not left.is_dir():
            left.unlink()


def _tell(place: str) -> None:
    quoted = place.replace("'", "''")
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"PRAGMA temp_store_directory='{quoted}'")
