"""Client profiles: how a program of an organisation reaches the channel (read by `ledger.hyperledger.connection`)."""

from __future__ import annotations

import json
import os
from pathlib import Path

from . import layout as names
from .layout import Layout


def profile_text(layout: Layout, number: int, identity: Path, folder: Path) -> str:
    """The profile of organisation ``number`` for one identity; paths are relative to ``folder``."""
    majority = layout.topology.orgs // 2 + 1
    lines = [
        f"channel = {_quoted(layout.topology.channel)}",
        f"chaincode = {_quoted(layout.topology.chaincode)}",
        f"msp = {_quoted(names.msp(number))}",
        f"identity = {_relative(identity, folder)}",
        *("", "[peer]", *_peer(layout, number, folder)),
    ]
    for other in layout.orgs:
        if other != number:
            lines += ["", "[[peers]]", f"msp = {_quoted(names.msp(other))}", *_peer(layout, other, folder)]
    lines += ["", "[anchor]", "every = 1", "seconds = 5", f"quorum = {majority}"]
    return "\n".join(lines) + "\n"


def _peer(layout: Layout, number: int, folder: Path) -> list[str]:
    return [
        f"endpoint = {_quoted(layout.endpoint(f'peer{number}'))}",
        f"tls_roots = {_relative(layout.tls_roots(number), folder)}",
        f"server_name = {_quoted(names.peer_host(number))}",
    ]


def _relative(path: Path, folder: Path) -> str:
    return _quoted(Path(os.path.relpath(path, folder)).as_posix())


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's as well."""
    return json.dumps(text, ensure_ascii=False)


def write_profiles(layout: Layout) -> None:
    """``profiles/OrgN.toml`` of each organisation's client, and ``OrgN-admin.toml`` of its admin."""
    folder = layout.folder / "profiles"
    folder.mkdir(exist_ok=True)
    for number in layout.orgs:
        for admin in (False, True):
            identity = layout.user(number, admin=admin) / "msp"
            path = profile_path(layout, number, admin=admin)
            path.write_text(profile_text(layout, number, identity, folder), "utf-8")


def profile_path(layout: Layout, number: int, *, admin: bool = False) -> Path:
    """Where the profile of an organisation's client, or of its admin, lies."""
    return layout.folder / "profiles" / f"Org{number}{'-admin' if admin else ''}.toml"
