"""The anchor as its node holds it: a process that ends with its parent and may be started again after any death.

    companion = AnchorProcess(AnchorSettings(data, origin, profile, open_log))
    companion.start()

It is a `Companion` of the node (`fabric.capture.companion`). Starting it loads no gRPC into the node: only the process does.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...errors import InvalidInput, LoomarkError, Unavailable
from ...process import CompanionProcess, Ends
from ..connection import Profile, load_profile
from .cosigner_key import cosigner_key
from .face import AnchorChannel
from .follow import OpenLog
from .run import Anchor
from .status import FOLDER, Status, write_status

NAME: Final = "anchor"
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


class AnchorProcess(CompanionProcess):
    """An anchor's process as its parent holds it. Every start is a new process on the same folder."""

    def __init__(self, settings: AnchorSettings) -> None:
        super().__init__(NAME, _run, (settings,))


def _run(settings: AnchorSettings, ends: Ends) -> None:
    try:
        anchor = open_anchor(settings)
    except LoomarkError as error:
        _say_refused(settings, error)
        sys.exit(_REFUSED)
    work(anchor, ends)
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


def work(anchor: Anchor, ends: Ends) -> None:
    """Anchor until `ends` are told, or a loop fails."""
    anchor.start()
    try:
        while not anchor.ended.is_set():
            # Its own database or the log's folder may not be readable now: the loops say so once they get on.
            with suppress(Unavailable):
                anchor.say()
            if ends.told(SAY_EVERY_S):
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
