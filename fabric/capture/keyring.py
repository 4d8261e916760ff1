"""The node's keys on disk: the log's, the operator's, and one service key a member that it captures for.

No two uses share a key (design: evidence, "Ed25519 by one rule"). A service key signs in one member's name and
only after a statement delegated it to the node; its file may be older than that statement.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ledger.ed25519 import SigningKey, key_id
from ledger.errors import InvalidInput, NotFound
from ledger.keyfile import read_key_file, write_key_file
from ledger.registry import Registry

LOG: Final = "log"
OPERATOR: Final = "operator"


class Keyring:
    """Keys in one folder that only the node's account can read. One process uses it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._services = folder / "service"
        self._loaded: dict[Path, SigningKey] = {}

    def create_folder(self) -> None:
        """Make the folder, for the owner only."""
        for folder in (self._folder, self._services):
            folder.mkdir(parents=True, exist_ok=True)
            os.chmod(folder, 0o700)

    def named(self, name: str) -> SigningKey:
        """The log's or the operator's key, made when there is none yet."""
        return self._load_or_make(self._folder / f"{name}.key")

    def service(self, member: str) -> SigningKey:
        """The key that signs what the node captures for a member, made when there is none yet."""
        return self._load_or_make(self._services / f"{member}.key")

    def delegated(self, registry: Registry, member: str, time_ms: int) -> SigningKey | None:
        """The member's service key if it is in force at a time, else None: nobody delegated it, or it ended."""
        try:
            key = self._load(self._services / f"{member}.key")
        except NotFound:
            return None
        record = registry.records.get(key_id(key.public_bytes))
        if record is None or (record.use, record.member, record.state) != ("service", member, "active"):
            return None
        return key if record.is_valid_at(time_ms) else None

    def _load(self, path: Path) -> SigningKey:
        if path not in self._loaded:
            self._loaded[path] = read_key_file(path)
        return self._loaded[path]

    def _load_or_make(self, path: Path) -> SigningKey:
        try:
            return self._load(path)
        except NotFound:
            pass
        key = SigningKey.generate()
        write_key_file(path, key)
        self._loaded[path] = key
        return key


def require_member(registry: Registry, member: str) -> None:
    """Raise InvalidInput for somebody who was never admitted."""
    if member not in registry.members:
        raise InvalidInput(f"expected an admitted member, got {member}", rule="unknown-member")
