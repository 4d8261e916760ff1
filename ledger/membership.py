"""What the registry knows besides keys: the charter, the members, and the roles granted among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SignatureRules = Mapping[str, tuple[tuple[str, ...], ...]]
"""For each kind of statement the alternatives, each a set of signer words that suffices."""


@dataclass(frozen=True, slots=True)
class Charter:
    """Entry 0: the log's name, its key, its operator and which signatures each kind of statement needs.

    ``log_key`` is the raw checkpoint key, ``bundles`` who may read entry bundles (members or public).
    """

    log: str
    vkey: str
    log_key: bytes
    operator: str
    name: str
    signatures: SignatureRules
    bundles: str


@dataclass(frozen=True, slots=True)
class Member:
    """An admitted organisation. ``had_key`` says whether it ever had a key of its own."""

    id: str
    name: str
    roles: tuple[str, ...]
    had_key: bool
    since: int
    by: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A role granted to ``grantee`` for the listed members (None: for all) until a time (None: no end)."""

    grantee: str
    role: str
    members: tuple[str, ...] | None
    until_ms: int | None
    by: int

    def holds_at(self, time_ms: int) -> bool:
        """Whether the grant has not ended at a time."""
        return self.until_ms is None or time_ms < self.until_ms
