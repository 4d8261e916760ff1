"""What a replaying witness knows of a log: all of its entries, fetched, hashed into the signed tree, and audited.

A mirror is a monitor (`ledger.monitor`) that looks whenever a checkpoint is to be cosigned, and looks at that checkpoint: the
log has it signed and its tiles in place, and publishes it only afterwards. The entries are kept and a start goes on from them.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock
from typing import Final

from ..errors import InvalidInput, Unavailable
from ..log.ask import HttpAddress
from ..merkle import HASH_SIZE_BYTES
from ..monitor.follow import Monitor, Report, open_monitor
from ..monitor.source import MAX_BUNDLE_BYTES
from ..note import Note
from ..policy import parse_policy, policy_text
from ..tile import TILE_WIDTH, Tile, bundle_entries, split_entries
from .exchange import Answer, origin_hash
from .settings import FollowedLog

TILE_TIMEOUT_S: Final = 10.0
PATIENCE_S: Final = 2.0
"""How long a request waits for another one that reads the same log."""

MAX_KEY_BYTES: Final = 4_096


class PendingLog:
    """A log as its tiles show it, at a checkpoint that somebody handed in: a `ledger.monitor.LogSource`."""

    def __init__(self, address: HttpAddress) -> None:
        self._address = address
        self.note = b""

    def checkpoint(self) -> bytes:
        """The note that was handed in."""
        return self.note

    def tile(self, tile: Tile) -> bytes:
        """A tile or bundle; where a partial one is gone the beginning of the full one (tlog-tiles)."""
        answer = self._get(tile)
        if answer.status == 404 and tile.width < TILE_WIDTH:
            full = self._get(Tile(tile.level, tile.index))
            if full.status == 200:
                return _beginning(tile, full.body)
        if answer.status in (401, 403):
            raise InvalidInput("expected an API key that may read entries, got none", rule="forbidden")
        if answer.status != 200:
            raise Unavailable(f"tile/{tile.path}: expected 200, got {answer.status}")
        return answer.body

    def close(self) -> None:
        """Let go of open connections."""
        self._address.close()

    def _get(self, tile: Tile) -> Answer:
        try:
            return self._address.get(f"tile/{tile.path}", MAX_BUNDLE_BYTES)
        except TimeoutError as error:
            raise Unavailable(f"tile/{tile.path}: {error}") from error


class Mirror:
    """One log, read and audited up to whatever checkpoint is to be cosigned. Safe to share by threads."""

    def __init__(self, monitor: Monitor, source: PendingLog) -> None:
        self._monitor = monitor
        self._source = source
        self._turn = Lock()

    def check(self, note: Note, size: int) -> None:
        """Return when every entry under this signed checkpoint is there and allowed.

        Raises InvalidInput (rule `evidence`, or that of what is wrong) when the log broke a rule, Unavailable when its entries
        cannot be had, or another request is still reading them.
        """
        if not self._turn.acquire(timeout=PATIENCE_S):
            raise Unavailable("the entries of this log are still being read; ask again")
        try:
            self._source.note = note.data()
            judge(self._monitor.look(self._source), size)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Release the folder, once nobody reads any more."""
        if self._turn.acquire(timeout=PATIENCE_S):
            self._monitor.close()
            self._source.close()


def judge(report: Report, size: int) -> None:
    """Raise what a look at a log found against it; nothing is raised when all entries up to `size` were read and stand."""
    for path, found in report.evidence:
        raise InvalidInput(f"{found.means} ({path.name} proves it)", rule=found.kind)
    broken = [one for one in report.suspicions if one.rule == "no-evidence"]
    if broken:
        raise InvalidInput(broken[0].message, rule="broken-rule")
    if report.entries < size:
        reasons = [*report.limits, *[one.message for one in report.suspicions]]
        raise Unavailable(f"read {report.entries} of {size} entries: {'; '.join(reasons) or 'not there yet'}")


def open_mirror(folder: Path, base: Path, log: FollowedLog) -> Mirror:
    """The mirror of a log below `folder`, caught up with what it has; key files are looked for below `base`.

    Raises InvalidInput for a log without an address or a damaged mirror, Unavailable for one that another process has.
    """
    if log.url is None:
        raise InvalidInput(f"witness.toml: expected a url of {log.origin}, to replay it", rule="bad-setting")
    source = PendingLog(HttpAddress(log.url, TILE_TIMEOUT_S, _api_key(base, log)))
    kept = folder / origin_hash(log.origin)
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Mirror(open_monitor(kept, parse_policy(policy_text(log.keys)), log.origin, _now_ms), source)


def _api_key(base: Path, log: FollowedLog) -> str | None:
    if log.api_key_file is None:
        return None
    path = base / log.api_key_file
    try:
        return path.read_bytes()[:MAX_KEY_BYTES].decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read the API key in {path}: {error}", rule="bad-setting") from error


def _beginning(tile: Tile, full: bytes) -> bytes:
    if tile.level == "entries":
        return bundle_entries(split_entries(full)[: tile.width])
    return full[: tile.width * HASH_SIZE_BYTES]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
