"""The witness's own file, `witness.toml`: its name and the logs it follows. Pure.

::

    name = "witness.example/one"

    [[log]]
    vkey = ["log.example+1234abcd+AQ…"]     # several keys of one log, after a rotation
    url = "https://log.example/log"         # where its tiles are, for --replay
    api_key_file = "log.example.key"        # for entry bundles that are not public
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..errors import InvalidInput
from ..note import ED25519, VerifierKey, parse_vkey

REPLAY_SUFFIX: Final = "/replay"
MAX_LOGS: Final = 10_000
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f-\x9f]{1,200}\Z")
_MEMBERS = frozenset({"vkey", "origin", "url", "api_key_file"})


@dataclass(frozen=True, slots=True)
class FollowedLog:
    """One log that a witness cosigns for: its origin, the keys it may sign by, and where its tiles are."""

    origin: str
    keys: tuple[VerifierKey, ...]
    url: str | None = None
    api_key_file: str | None = None


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """A parsed `witness.toml`; `name` is None where the file does not say."""

    name: str | None = None
    logs: tuple[FollowedLog, ...] = field(default=())

    def trusted(self) -> dict[str, Sequence[VerifierKey]]:
        """The keys by which each origin may sign."""
        return {log.origin: log.keys for log in self.logs}


def parse_settings(text: str) -> WitnessSettings:
    """The settings of a file's text; raises :class:`InvalidInput` (rule ``bad-setting``)."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(f"it is not TOML: {error}") from None
    unknown = set(found) - {"name", "log"}
    if unknown:
        raise _bad(f"unknown setting {min(unknown)}")
    logs = found.get("log", [])
    if type(logs) is not list or len(logs) > MAX_LOGS:
        raise _bad(f"expected at most {MAX_LOGS} [[log]] tables")
    name = found.get("name")
    return with_logs(
        WitnessSettings(None if name is None else witness_name(name)), [_log(one) for one in logs]
    )


def settings_text(settings: WitnessSettings) -> str:
    """The file of these settings, as `witness serve` writes it at the first start."""
    lines = ["# Who this witness is and which logs it cosigns for. Read at every start."]
    if settings.name is not None:
        lines.append(f"name = {_quoted(settings.name)}")
    for log in settings.logs:
        lines += ["", "[[log]]", f"vkey = [{', '.join([_quoted(key.text()) for key in log.keys])}]"]
        if any(key.name != log.origin for key in log.keys):
            lines.append(f"origin = {_quoted(log.origin)}")
        if log.url is not None:
            lines.append(f"url = {_quoted(log.url)}")
        if log.api_key_file is not None:
            lines.append(f"api_key_file = {_quoted(log.api_key_file)}")
    return "\n".join(lines) + "\n"


def with_logs(settings: WitnessSettings, logs: Iterable[FollowedLog]) -> WitnessSettings:
    """The settings with more logs; keys of a known origin are added to it, and a later address replaces an earlier one."""
    known = {log.origin: log for log in settings.logs}
    for log in logs:
        before = known.get(log.origin)
        if before is None:
            known[log.origin] = log
            continue
        keys = (*before.keys, *[key for key in log.keys if key not in before.keys])
        address = (log.url or before.url, log.api_key_file or before.api_key_file)
        known[log.origin] = FollowedLog(log.origin, keys, *address)
    return replace(settings, logs=tuple(known.values()))


def log_of(vkeys: Sequence[str], origin: str | None = None, url: str | None = None) -> FollowedLog:
    """The log of these vkeys, which name its origin unless that is told; raises :class:`InvalidInput`."""
    keys = tuple([parse_vkey(one) for one in vkeys])
    if not keys or any(key.kind != ED25519 for key in keys):
        raise _bad("expected Ed25519 note keys of a log (type 0x01)")
    names = {key.name for key in keys}
    if origin is None and len(names) > 1:
        raise _bad("expected keys of one name, or `origin`")
    return FollowedLog(origin or keys[0].name, keys, url)


def witness_name(name: Any) -> str:
    """A name that a vkey line can carry; raises :class:`InvalidInput`."""
    if type(name) is not str or not _NAME.match(name):
        raise _bad("expected a name of 1 to 200 characters without spaces and plus signs")
    return name


def _log(table: Any) -> FollowedLog:
    if type(table) is not dict or set(table) - _MEMBERS:
        raise _bad("expected vkey, origin, url and api_key_file in [[log]]")
    vkeys = table.get("vkey")
    vkeys = [vkeys] if type(vkeys) is str else vkeys
    if type(vkeys) is not list or not all(type(one) is str for one in vkeys):
        raise _bad("expected vkey as a list of lines")
    if not all(type(table[name]) is str for name in table if name != "vkey"):
        raise _bad("expected origin, url and api_key_file as text")
    log = log_of(vkeys, table.get("origin"), table.get("url"))
    return replace(log, api_key_file=table.get("api_key_file"))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bad(message: str) -> InvalidInput:
    return InvalidInput(f"witness.toml: {message}", rule="bad-setting")
