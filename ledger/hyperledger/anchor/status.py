"""What an anchor says about itself, in one small file that its node reads: `hyperledger/status.json`.

It is for people and alarms, so it is replaced, never forced to disk, and whoever reads it bears with none.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "hyperledger"
STATUS_FILE: Final = "status.json"
SILENT_S: Final = 30
"""An anchor that is well says something twice a second; one that said nothing for longer is not."""


@dataclass
class Status:
    """How an anchor stands. Sizes are tree sizes, times milliseconds since 1970 UTC, 0 for never.

    `on_channel` is the newest own checkpoint known to be accepted, `cosigned` the newest with the organisations' quorum;
    `backlog` counts those that wait to be submitted, `oldest_ms` says since when; `unsent` counts cosignatures on their
    way; `trouble` has a reason for each loop that does not get on, `refusals` what was not cosigned, `followed` what the
    last look at each followed log found.
    """

    origin: str = ""
    msp: str = ""
    pid: int = 0
    time_ms: int = 0
    published: int = 0
    on_channel: int = 0
    on_channel_ms: int = 0
    cosigned: int = 0
    backlog: int = 0
    oldest_ms: int = 0
    unsent: int = 0
    trouble: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    followed: dict[str, dict[str, Any]] = field(default_factory=dict)


def write_status(folder: Path, status: Status) -> None:
    """Replace the file; a disk that takes no more keeps the one before."""
    path = folder / STATUS_FILE
    fresh = path.with_name(f"{STATUS_FILE}.{os.getpid()}.new")
    with suppress(OSError):
        fresh.write_text(json.dumps(asdict(status)), encoding="utf-8")
        os.replace(fresh, path)


def read_status(folder: Path) -> dict[str, Any] | None:
    """The last status that was written, by its field names; None where there is none that can be read."""
    try:
        found = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() == asdict(Status()).keys() else None


def health(folder: Path, published: int, now_ms: int) -> dict[str, Any]:
    """The anchor's part of a node's state: `healthy`, the reasons where it is not, and the lag behind `published`."""
    found = read_status(folder)
    if found is None:
        return {"healthy": False, "reasons": ["the anchor has not said anything yet"], "lag": published}
    status = Status(**found)
    why = reasons(status, now_ms)
    return {
        "healthy": not why,
        "reasons": why,
        "msp": status.msp,
        "onChannel": status.on_channel,
        "cosigned": status.cosigned,
        "lag": max(0, published - status.cosigned),
        "backlog": status.backlog,
        "unsent": status.unsent,
        "secondsSinceAnchored": _seconds(now_ms - status.on_channel_ms) if status.on_channel_ms else None,
        "oldestWaitsSeconds": _seconds(now_ms - status.oldest_ms) if status.oldest_ms else 0,
        "followed": status.followed,
    }


def reasons(status: Status, now_ms: int) -> list[str]:
    """Why an anchor is not well, in words; none where it is."""
    silent_s = (now_ms - status.time_ms) // 1000
    found = [f"the anchor has said nothing for {silent_s} s"] if silent_s > SILENT_S else []
    found += [f"{loop}: {one['rule']}: {one['reason']}" for loop, one in sorted(status.trouble.items())]
    found += [
        f"not cosigned: {one['origin'] or 'an event'} at size {one['size']}: {one['rule']}: {one['reason']}"
        for one in status.refusals
    ]
    return found + [f"{origin} misbehaved: {', '.join(files)}" for origin, files in _accused(status)]


def _accused(status: Status) -> list[tuple[str, list[str]]]:
    return [(origin, one["evidence"]) for origin, one in status.followed.items() if one.get("evidence")]


def _seconds(milliseconds: int) -> int:
    return max(0, milliseconds // 1000)
