"""A witness of logs: remembers the largest tree it saw of each log and cosigns only what extends it.

It owns the C2SP tlog-witness exchange (docs/spec/witness.md) for both sides, and leaves HTTP to `api`.

Pure: `exchange` (the bytes of requests and answers), `decision` (which request gets which status), `settings`
(the witness's own file), `audit` (whether entries are what a log may write). Shell, imported by name: `store` (what was
cosigned, in SQLite), `witness` (check, persist, answer), `source` and `mirror` (a log's entries, fetched and kept).
"""

from __future__ import annotations

from .decision import Accepted, LastSeen, Refused, decide
from .exchange import AddCheckpoint, Answer, parse_request, request_bytes

__all__ = [
    "Accepted",
    "AddCheckpoint",
    "Answer",
    "LastSeen",
    "Refused",
    "decide",
    "parse_request",
    "request_bytes",
]
