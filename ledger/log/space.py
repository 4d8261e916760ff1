"""Failures of the disk after which it is known that nothing was stored: no room, no leave to write, no handle left.

They pass by themselves. What was refused because of them may be tried again in the same process; every other
failure of a write leaves open what was stored, and only a start can look.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from typing import Final

from ..errors import Unavailable

_ERRNO: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE})

# SQLite treats a failed write of the journal as it treats a full disk: the transaction is undone. A quota and a
# limit of the file's size come as the former; SHMSIZE is no room to open it. A failed fsync (SQLITE_IOERR_FSYNC) is not among them.
_SQLITE: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    }
)

# Class 53 of SQLSTATE is "insufficient resources"; 25006 a server that takes no writes now.
_SQLSTATE: Final = frozenset({"53100", "25006"})


class StorageFull(Unavailable):
    """The disk takes no more, or nothing at all, now. Nothing of the request was stored; send it again later."""

    rule = "storage-full"


class MarksUnreadable(StorageFull):
    """What remembers the heads that were signed cannot be read now, so none is; nothing of the request was stored."""

    rule = "marks-unreadable"

    def __init__(self, mark: str, why: str) -> None:
        super().__init__(f"the {mark} cannot be read now: {why}; send it again later")
        self.mark = mark
        self.why = why


def storage_full(error: BaseException) -> StorageFull | None:
    """The refusal that a failure comes down to, or None where it is unknown what the failure left behind.

    Looks through what wrapped the failure, and through what a rollback after it complained about.
    """
    for each in _causes(error):
        if isinstance(each, StorageFull):
            return each
        if isinstance(each, OSError) and each.errno in _ERRNO:
            return _refusal(each.strerror or "cannot write", error)
        code = getattr(each, "sqlite_errorcode", None)
        if isinstance(each, sqlite3.Error) and code is not None and {code, code & 0xFF} & _SQLITE:
            return _refusal(str(each), error)
        if getattr(each, "sqlstate", None) in _SQLSTATE:
            return _refusal("the database server says so", error)
    return None


def _refusal(why: str, error: BaseException) -> StorageFull:
    refusal = StorageFull(f"the node cannot write now: {why}; send it again later")
    refusal.__cause__ = error
    return refusal


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__context__, each.__cause__]
