"""What another organisation's server shows, against what that organisation anchored.

The channel's checkpoints of the log go into the archive of a :class:`ledger.monitor.Monitor` as heads that somebody else was
shown; the monitor then looks at the server. Two trees signed by the log are evidence that stands alone, in the folder's
`evidence/`; a server that does not answer, or shows less than was anchored, is suspected and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from ...errors import InvalidInput
from ...keyfile import read_secret
from ...monitor import LogSource, Monitor, Report, open_monitor
from ...note import parse_vkey
from ...policy import parse_policy, policy_text
from ..connection import Followed
from .cosigner import log_keys
from .face import AnchorChannel
from .store import AnchorStore

FOLDER: Final = "followed"
SOURCE: Final = "channel"
_PAGE: Final = 100

OpenLog = Callable[[str, str | None], AbstractContextManager[LogSource]]
"""Opens a log below an address (its `/checkpoint`, its tiles), with an API key or without."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a followed log found. `evidence` are files; `suspicions` prove nothing."""

    origin: str
    anchored: int
    shown: int
    suspicions: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


class Follower:
    """Follows one log. One caller at a time. Make it again when the log's registered keys change."""

    def __init__(
        self,
        followed: Followed,
        folder: Path,
        vkeys: Sequence[str],
        store: AnchorStore,
        channel: AnchorChannel,
        open_log: OpenLog,
        now_ms: Callable[[], int],
    ) -> None:
        self.vkeys = tuple(vkeys)
        self._followed = followed
        self._store = store
        self._channel = channel
        self._open_log = open_log
        named = sha256(followed.origin.encode()).hexdigest()
        self.folder = folder / FOLDER / named
        self._monitor = _monitor(self.folder, followed.origin, vkeys, now_ms)

    def look(self) -> Look:
        """Feed what was anchored since, then look at the server. Raises what the channel raises, and Unavailable."""
        anchored = self._feed()
        api_key = _api_key(self._followed.api_key_file)
        with self._open_log(_prefix(self._followed.url), api_key) as source:
            report = self._monitor.look(source)
        return _look(report, anchored)

    def close(self) -> None:
        """Let the folder go."""
        self._monitor.close()

    def _feed(self) -> int:
        origin = self._followed.origin
        with self._store.turn() as turn:
            fed = turn.fed(origin)
        while True:
            page = self._channel.history(origin, fed, _PAGE)
            for record in page:
                try:
                    self._monitor.told(SOURCE, record.note)
                except InvalidInput:
                    # The channel's word alone is no head: what the log did not sign cannot speak against it.
                    continue
            if not page:
                return fed
            fed = page[-1].size
            with self._store.turn() as turn:
                turn.feed(origin, fed)


def registered_keys(channel: AnchorChannel, origin: str) -> tuple[str, ...]:
    """The vkeys that the channel has for a log; none where it is not registered."""
    return tuple([key.text() for key in log_keys(channel.organisations()).get(origin, ())])


def _api_key(path: Path | None) -> str | None:
    if path is None:
        return None
    key = read_secret(path, "API key file").strip()
    if not (key.isascii() and key.decode("ascii").isprintable()):
        raise InvalidInput(f"expected an API key of printable ASCII at {path}", rule="bad-api-key")
    return key.decode("ascii")


def _monitor(folder: Path, origin: str, vkeys: Sequence[str], now_ms: Callable[[], int]) -> Monitor:
    policy = parse_policy(policy_text([parse_vkey(one) for one in vkeys]))
    return open_monitor(folder, policy, origin, now_ms)


def _look(report: Report, anchored: int) -> Look:
    suspicions = tuple([f"{one.rule}: {one.message}" for one in report.suspicions])
    files = tuple([str(path) for path, _ in report.evidence])
    return Look(report.origin, anchored, report.size, suspicions, files)


def _prefix(url: str) -> str:
    stripped = url.rstrip("/")
    return stripped if stripped.endswith("/log") else f"{stripped}/log"
