"""What one sequencing transaction will do, decided before it begins.

Pure: the state of the log and the staged statements go in, the entries to append, the refusals and the next
state come out. The caller stores a plan whole or not at all, and keeps the next state only once it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..checkpoint import Checkpoint
from ..errors import Forbidden, InvalidInput
from ..log_key import require_orderly
from ..merkle import EMPTY_ROOT, leaf_hash
from ..registry import Registry, Void
from ..seal import Seal, seal_bytes
from ..shape import time_text
from ..statement import UnverifiedEnvelope, parse_envelope
from .edge import Edge

PrefixCheck = Callable[[int, bytes], bool]
"""Whether (size, root) is a head that this log has had."""

MAX_REASON: Final = 1000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A staged statement: its row and its envelope as it was sent."""

    row: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Sequenced:
    """A statement that has its index. `registry` is the one in force for the next entry."""

    row: int
    index: int
    envelope: UnverifiedEnvelope
    registry: Registry


@dataclass(frozen=True, slots=True)
class Refused:
    """A statement that will never be in the log, with the stable rule and the reason."""

    row: int
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One leaf to append at `index`."""

    index: int
    leaf: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class NewSeal:
    """Where a new seal lies, and what finds it again."""

    index: int
    first: int
    time: str
    changes_before: int
    changes_after: int


@dataclass(frozen=True, slots=True)
class LogState:
    """All that appending needs: the right edge, the registry in force, and what the next seal starts from.

    `first` is the index after the last seal, `sealed` the head of the registry that seal recorded,
    `changes` the number of registry statements so far, all of them sealed; `seal_ms` never decreases.
    """

    origin: str
    edge: Edge
    registry: Registry
    first: int = 0
    sealed: tuple[int, bytes] = (0, EMPTY_ROOT)
    changes: int = 0
    seal_ms: int = 0

    @property
    def head(self) -> Checkpoint:
        """The tree head."""
        return Checkpoint(self.origin, self.edge.size, self.edge.frontier.root())


@dataclass(frozen=True, slots=True)
class Plan:
    """What one transaction stores; `entries` is empty when everything that waited was refused."""

    entries: tuple[NewEntry, ...]
    seals: tuple[NewSeal, ...]
    changes: tuple[int, ...]
    sequenced: tuple[Sequenced, ...]
    refused: tuple[Refused, ...]
    state: LogState


def plan(state: LogState, waiting: Sequence[Waiting], now_ms: int, is_prefix: PrefixCheck) -> Plan:
    """Decide everything that waits, in the order given, at the log's time `now_ms` or its last seal's time.

    One seal follows each registry statement and one ends the plan, never two in a row; nothing accepted means
    no entry at all (design/evidence.md, "Registry and seals").
    """
    draft = _Draft(state, max(now_ms, state.seal_ms), is_prefix)
    for item in waiting:
        draft.decide(item)
    draft.close()
    return draft.plan()


def replayed_registry(
    origin: str, statements: Iterable[tuple[int, bytes]], registry: Registry | None = None
) -> Registry:
    """The registry after registry statements given as (index, envelope), in log order; void ones change nothing."""
    registry = Registry() if registry is None else registry
    for index, data in statements:
        outcome = registry.apply(index, parse_envelope(data))
        if not isinstance(outcome, Void) and outcome.charter is not None and outcome.charter.log == origin:
            registry = outcome
    return registry


class _Draft:
    """A plan being made: works on copies, so a state is never half changed."""

    def __init__(self, state: LogState, time_ms: int, is_prefix: PrefixCheck) -> None:
        self._old = state
        self._time_ms = time_ms
        self._time = time_text(time_ms)
        self._is_prefix = is_prefix
        self._edge = state.edge.copy()
        self._registry = state.registry
        self._first, self._sealed, self._sealed_changes = state.first, state.sealed, state.changes
        self._entries: list[NewEntry] = []
        self._seals: list[NewSeal] = []
        self._changes: list[int] = []
        self._sequenced: list[Sequenced] = []
        self._refused: list[Refused] = []

    def decide(self, item: Waiting) -> None:
        """Give the statement its index, or refuse it; what it raises says which rule."""
        try:
            envelope = parse_envelope(item.envelope)
            registry = self._admit(envelope)
        except InvalidInput as error:
            self._refused.append(Refused(item.row, error.rule, error.message[:MAX_REASON]))
            return
        index = self._append(item.envelope)
        self._registry = registry
        self._sequenced.append(Sequenced(item.row, index, envelope, registry))
        if envelope.statement.is_registry:
            self._changes.append(index)
            self.close()

    def _admit(self, envelope: UnverifiedEnvelope) -> Registry:
        statement = envelope.statement
        if statement.log != self._old.origin:
            raise Forbidden(f"expected a statement for the log {self._old.origin}", rule="wrong-log")
        if not self._is_prefix(*statement.seen):
            raise Forbidden(
                f"expected `seen` to be a head of this log, got another at {statement.seen[0]}",
                rule="wrong-seen",
            )
        if not statement.is_registry:
            self._registry.authorise(envelope, self._time_ms)
            return self._registry
        require_orderly(statement, self._registry.log_keys, self._time_ms)
        outcome = self._registry.apply(self._edge.size, envelope)
        if isinstance(outcome, Void):
            # Sequencing it would only be evidence against the operator: it would have no effect.
            raise Forbidden(outcome.reason, rule=outcome.rule)
        return outcome

    def _append(self, data: bytes) -> int:
        new = NewEntry(self._edge.size, leaf_hash(data), data)
        self._edge.append(new.leaf, data)
        self._entries.append(new)
        return new.index

    def close(self) -> None:
        """Seal what follows the last seal; nothing to seal, nothing happens."""
        if self._edge.size == self._first:
            return
        after = self._registry.head()
        changes = self._old.changes + len(self._changes)
        seal = Seal(self._old.origin, self._first, self._time, self._sealed, after)
        index = self._append(seal_bytes(seal))
        self._seals.append(NewSeal(index, self._first, self._time, self._sealed_changes, changes))
        self._first, self._sealed, self._sealed_changes = index + 1, after, changes

    def plan(self) -> Plan:
        """The finished plan. Its state is the old one, unchanged, when nothing was appended."""
        state = LogState(
            self._old.origin,
            self._edge,
            self._registry,
            self._first,
            self._sealed,
            self._sealed_changes,
            self._time_ms if self._entries else self._old.seal_ms,
        )
        return Plan(
            tuple(self._entries),
            tuple(self._seals),
            tuple(self._changes),
            tuple(self._sequenced),
            tuple(self._refused),
            state if self._entries else self._old,
        )
