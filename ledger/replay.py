"""Replay: follow a log entry by entry and check what the log said about itself.

Monitors, replaying witnesses, recovery and fsck use the same code. It checks that seals stand where they must,
that ``from``, ``time`` and registry roots are what the entries give, and keeps the registry and the tree.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import merkle
from .entry import parse_entry
from .errors import InvalidInput
from .registry import Registry, Void
from .seal import Seal
from .statement import UnverifiedEnvelope


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal at its index, as a proof needs it."""

    index: int
    seal: Seal


class Replay:
    """The state after the entries taken so far; :meth:`take` raises at the first that the log must not have written."""

    def __init__(self, log: str) -> None:
        self.log = log
        self.tree = merkle.Frontier()
        self.registry = Registry()
        self.seals: list[Sealed] = []
        self.void: dict[int, Void] = {}
        self._before = self.registry
        self._must_seal = False

    @property
    def size(self) -> int:
        """The number of entries taken."""
        return self.tree.size

    def next_seal(self, time: str) -> Seal:
        """The seal that belongs at the next index, at a UTC time."""
        start = self.seals[-1].index + 1 if self.seals else 0
        return Seal(self.log, start, time, self._before.head(), self.registry.head())

    def take(self, data: bytes) -> UnverifiedEnvelope | Seal:
        """Take the entry at the next index.

        Raises :class:`InvalidInput` with rule ``bad-seal``, ``missing-seal``, ``bad-entry`` or those of the parsers;
        the state is then as it was.
        """
        entry = parse_entry(data)
        if isinstance(entry, Seal):
            self._take_seal(entry)
        else:
            self._take_statement(entry)
        self.tree.append(merkle.leaf_hash(data))
        return entry

    def _take_seal(self, seal: Seal) -> None:
        start = self.seals[-1].index + 1 if self.seals else 0
        if self.size == start:
            raise InvalidInput(
                "expected a statement before each seal, got two seals in a row", rule="bad-seal"
            )
        if seal != self.next_seal(seal.time):
            raise InvalidInput(
                f"expected the seal that entry {self.size} calls for, got another", rule="bad-seal"
            )
        if self.seals and seal.time_ms < self.seals[-1].seal.time_ms:
            raise InvalidInput("expected seal times that never decrease", rule="bad-seal")
        self.seals.append(Sealed(self.size, seal))
        self._before, self._must_seal = self.registry, False

    def _take_statement(self, envelope: UnverifiedEnvelope) -> None:
        if self._must_seal:
            raise InvalidInput(
                "expected a seal after a registry statement, got a statement", rule="missing-seal"
            )
        if self.size == 0 and envelope.statement.type != "charter":
            raise InvalidInput("expected the charter at index 0", rule="bad-entry")
        if not envelope.statement.is_registry:
            return
        result = self.registry.apply(self.size, envelope)
        if isinstance(result, Void):
            self.void[self.size] = result
        elif result.charter is None or result.charter.log != self.log:
            self.void[self.size] = Void("expected a statement for this log", "wrong-log")
        else:
            self.registry = result
        self._must_seal = True
