"""Follows the entries of a log one by one and names what the log must not have written. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from .. import misbehaviour as kinds
from ..contradiction import ProvenKey
from ..errors import InvalidInput
from ..merkle import EMPTY_ROOT
from ..registry import Registry
from ..replay import Replay
from ..seal import Seal
from ..statement import Statement, UnverifiedEnvelope
from .source import Suspicion

MAX_FAULTS: Final = 64
"""Faults and suspicions that are kept; the others of a log that breaks rules all the time are counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken rule: the kind of evidence, the entries at fault, the reason.

    ``key`` is the proposer's record under the seal over the entry, where the log's own registry knows the key; ``size``
    the checkpoint that must be shown, where not any later one will do.
    """

    kind: str
    at: tuple[int, ...]
    message: str
    key: ProvenKey | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class _Unsealed:
    """A statement whose authority is decided by the time of the seal that covers it."""

    index: int
    envelope: UnverifiedEnvelope
    registry: Registry


@dataclass
class Audit:
    """What the entries taken so far say. :attr:`stopped` is set at the first entry after which no replay can go on."""

    origin: str
    faults: list[Fault] = field(default_factory=list)
    suspicions: list[Suspicion] = field(default_factory=list)
    uncounted: int = 0
    stopped: int | None = None

    def __post_init__(self) -> None:
        self.replay = Replay(self.origin)
        self.size = 0
        self._ids: dict[bytes, int] = {}
        self._roots: dict[int, bytes] = {}
        self._unsealed: list[_Unsealed] = []

    def take(self, data: bytes) -> None:
        """Take the entry at the next index."""
        index, registry = self.size, self.replay.registry
        self.size += 1
        if self.stopped is not None:
            return
        try:
            taken = self.replay.take(data)
        except InvalidInput as error:
            self._stop(index, error)
            return
        if isinstance(taken, Seal):
            self._seal(index, taken)
        else:
            self._statement(index, taken, registry)

    def end(self) -> None:
        """Say that a published checkpoint ends here: its last entry must be a seal."""
        sealed = self.replay.seals[-1].index if self.replay.seals else -1
        if self.stopped is None and sealed != self.size - 1:
            message = f"expected a seal at the end of the checkpoint of size {self.size}"
            self._fault(Fault(kinds.FALSE_SEAL, (self.size - 1,), message, size=self.size))

    def _stop(self, index: int, error: InvalidInput) -> None:
        self.stopped = index
        if error.rule == "bad-seal":
            self._fault(Fault(kinds.FALSE_SEAL, (index,), error.message))
        elif error.rule == "missing-seal":
            self._fault(Fault(kinds.FALSE_SEAL, (index - 1,), error.message))
        else:
            self._fault(Fault(kinds.BAD_ENTRY, (index,), error.message))

    def _statement(self, index: int, envelope: UnverifiedEnvelope, registry: Registry) -> None:
        statement = envelope.statement
        self._identity(index, statement)
        self._seen(index, statement)
        if not statement.is_registry:
            self._unsealed.append(_Unsealed(index, envelope, registry))
            return
        void = self.replay.void.pop(index, None)
        if void is not None and void.rule != "duplicate-statement":
            self._void(index, envelope, registry, void.reason)

    def _identity(self, index: int, statement: Statement) -> None:
        # Half a digest tells statements apart; two that met by chance would give no evidence that verifies.
        name = sha256(f"{statement.member} {statement.id}".encode()).digest()[:16]
        first = self._ids.setdefault(name, index)
        if first != index:
            self._fault(Fault(kinds.DUPLICATE_ID, (first, index), f"the id of entry {first} again"))

    def _seen(self, index: int, statement: Statement) -> None:
        size, root = statement.seen
        if (size, root) == (0, EMPTY_ROOT) or self._roots.get(size) == root:
            return
        self._suspect(
            Suspicion(
                "wrong-seen",
                f"entry {index}",
                f"{statement.member} signed that it had verified another tree of size {size}: somebody may have"
                " been shown another log, but that checkpoint is not here",
            )
        )

    def _seal(self, index: int, seal: Seal) -> None:
        self._roots[index + 1] = self.replay.tree.root()
        # The replay keeps every seal; to follow a log it needs only the last.
        del self.replay.seals[:-1]
        for one in self._unsealed:
            try:
                one.registry.authorise(one.envelope, seal.time_ms)
            except InvalidInput as error:
                self._void(one.index, one.envelope, one.registry, error.message)
        self._unsealed.clear()

    def _void(self, index: int, envelope: UnverifiedEnvelope, registry: Registry, reason: str) -> None:
        keyid, key = envelope.statement.key, None
        if keyid in registry.records:
            position, path = registry.path(keyid)
            key = ProvenKey(position, registry.record(keyid), tuple(path))
        self._fault(Fault(kinds.VOID_STATEMENT, (index,), reason, key))

    def _fault(self, fault: Fault) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)
        else:
            self.uncounted += 1

    def _suspect(self, suspicion: Suspicion) -> None:
        if len(self.suspicions) < MAX_FAULTS:
            self.suspicions.append(suspicion)
        else:
            self.uncounted += 1
