"""The anchor as its node holds it: a process that ends with its parent and may be started again after any death.

    companion = AnchorProcess(AnchorSettings(data, origin, profile, open_log))
    companion.start()

It is a `Companion` of the node (`fabric.capture.companion`). Starting it loads no gRPC into the node: only the process does.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from ...errors import InvalidInput, LoomarkError, Unavailable
from ..connection import Profile, load_profile
from .cosigner_key import cosigner_key
from .face import AnchorChannel
from .follow import OpenLog
from .run import Anchor
from .status import FOLDER, Status, write_status

SAY_EVERY_S: Final = 0.5
_FAILED: Final = 70
_REFUSED: Final = 1


def gateway_channel(profile: Profile) -> AnchorChannel:
    """The channel of a profile by its organisation's own peer; needs the extra `hyperledger`."""
    from ..gateway import open_channel

    return open_channel(profile)


@dataclass(frozen=True)
class AnchorSettings:
    """What an anchor is told: the node's folder and origin, the profile's file, how a log is read over HTTP.

    `passphrase` opens the cosigner key where it is encrypted. `open_log` and `open_channel` are found by name in the
    process, so they are functions or classes of modules.
    """

    data: Path
    origin: str
    profile: Path
    open_log: OpenLog
    passphrase: bytes | None = field(default=None, repr=False)
    open_channel: Callable[[Profile], AnchorChannel] = gateway_channel


class AnchorProcess:
    """An anchor's process as its parent holds it. Every start is a new process on the same folder."""

    name = "anchor"

    def __init__(self, settings: AnchorSettings) -> None:
        self._settings = settings
        self._process: BaseProcess | None = None
        self._stop: Connection | None = None

    def start(self) -> None:
        """Start the process; returns at once."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_run, args=(self._settings, theirs), name=self.name, daemon=True
        )
        self._process.start()
        theirs.close()
        if self._stop is not None:
            self._stop.close()
        self._stop = ours

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.is_alive()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ask it to end; kill it when it has not after the timeout. Nothing is lost either way."""
        if self._stop is not None:
            self._stop.close()
            self._stop = None
        if self._process is not None and self._process.pid is not None:
            self._process.join(timeout_s)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()

    @property
    def pid(self) -> int | None:
        """The process id of the last start."""
        return None if self._process is None else self._process.pid


def _run(settings: AnchorSettings, stop: Connection) -> None:
    # Ctrl-C reaches the whole terminal group; the parent decides when its children stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        anchor = open_anchor(settings)
    except LoomarkError as error:
        _say_refused(settings, error)
        sys.exit(_REFUSED)
    work(anchor, stop)
    if anchor.failure is not None:
        traceback.print_exception(anchor.failure, file=sys.stderr)
        sys.exit(_FAILED)


def open_anchor(settings: AnchorSettings) -> Anchor:
    """The anchor of these settings, not started. Raises InvalidInput, Unavailable while another one has the folder."""
    profile = load_profile(settings.profile)
    key = cosigner_key(settings.data / "keys", settings.passphrase)
    channel = settings.open_channel(profile)
    try:
        return Anchor(settings.data, settings.origin, profile, channel, key, settings.open_log)
    except BaseException:
        channel.close()
        raise


def work(anchor: Anchor, stop: Connection) -> None:
    """Anchor until `stop` is closed at the other end, by order or by the parent's death, or a loop fails."""
    ends: list[Connection | int] = [stop]
    parent = multiprocessing.parent_process()
    if parent is not None:
        ends.append(parent.sentinel)
    anchor.start()
    try:
        while not anchor.ended.is_set():
            # Its own database or the log's folder may not be readable now: the loops say so once they get on.
            with suppress(Unavailable):
                anchor.say()
            if wait(ends, SAY_EVERY_S):
                break
    finally:
        anchor.stop()


def _say_refused(settings: AnchorSettings, error: LoomarkError) -> None:
    rule = error.rule if isinstance(error, InvalidInput | Unavailable) else "failed"
    told = {"start": {"rule": rule, "reason": str(error), "since_ms": 0}}
    folder = settings.data / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_status(folder, Status(origin=settings.origin, trouble=told))
    sys.stderr.write(f"loomark: anchor: {error}\n")
