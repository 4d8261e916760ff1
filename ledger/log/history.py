"""The registry as it was: snapshots after each registry statement, replayed on demand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Final

from ..errors import Unavailable
from ..key_record import KeyRecord
from ..registry import Registry
from .plan import replayed_registry

_APART: Final = 32
"""Snapshots kept for good are this many statements apart: a snapshot holds one entry per key ever known."""

_AT_HAND: Final = 128
_PROVEN_KEYS: Final = 4096


@dataclass(frozen=True, slots=True)
class ProvenKey:
    """A key's record and its path to the root of a registry of `size` keys."""

    record: KeyRecord
    position: int
    size: int
    path: tuple[bytes, ...]


class RegistryHistory:
    """Registries by the number of registry statements they follow. Safe to share by threads."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._statements: list[tuple[int, bytes]] = []
        self._kept = [Registry()]
        self._growing = Lock()
        self.at = lru_cache(maxsize=_AT_HAND)(self._replayed)
        self.key = lru_cache(maxsize=_PROVEN_KEYS)(self._proven)

    @property
    def size(self) -> int:
        """How many registry statements are known here."""
        return len(self._statements)

    def extend(self, first: int, statements: Iterable[tuple[int, bytes]]) -> None:
        """Learn the statements number `first` and on, given as (index, envelope); known ones are passed over."""
        with self._growing:
            for number, statement in enumerate(statements, first):
                if number == self.size:
                    self._statements.append(statement)

    def _replayed(self, changes: int) -> Registry:
        if changes > self.size:
            raise Unavailable(f"expected {changes} registry statements to replay, got {self.size}")
        with self._growing:
            while len(self._kept) * _APART <= changes:
                start = (len(self._kept) - 1) * _APART
                self._kept.append(self._from(self._kept[-1], start, start + _APART))
        start = changes - changes % _APART
        return self._from(self._kept[start // _APART], start, changes)

    def _from(self, registry: Registry, start: int, end: int) -> Registry:
        return replayed_registry(self._origin, self._statements[start:end], registry)

    def _proven(self, changes: int, keyid: str) -> ProvenKey:
        registry = self.at(changes)
        position, path = registry.path(keyid)
        return ProvenKey(registry.record(keyid), position, registry.size, tuple(path))
