"""Bundles from the consortium in memory, for the tests of the verifier."""

from __future__ import annotations

from collections.abc import Sequence

from ledger import merkle
from ledger.bundle import BundleBuilder
from ledger.disclosure import disclose
from ledger.registry import Registry
from ledger.replay import Replay, Sealed
from ledger.seal import parse_seal
from ledger.statement import parse_envelope

from .consortium import Captured, Consortium


class Prover:
    """Builds bundles against one published checkpoint of a consortium."""

    def __init__(self, consortium: Consortium, size: int | None = None, note: bytes | None = None) -> None:
        self.consortium = consortium
        self.size = size or max(consortium.archive)
        self.tree = merkle.Tree(consortium.hashes(self.size))
        self.note = note or consortium.archive[self.size]
        self.builder = BundleBuilder(
            self.note, consortium.entries[self.size - 1], self.tree.path(self.size - 1)
        )
        self.registries, self.seals = _history(consortium, self.size)

    def add(
        self,
        captured: Captured,
        position: int = 0,
        pointers: Sequence[str] | None = None,
        *,
        seen: bool = False,
    ) -> int:
        """Add one record of a capture and give its row."""
        entry = self._entry(captured, seen)
        commitments = captured.commitments()
        disclosure = disclose(captured.records[position], captured.record_salts[position], pointers)
        path = merkle.inclusion_path(commitments, position)
        return self.builder.record(entry, position, path, commitments[position], disclosure)

    def _entry(self, captured: Captured, seen: bool) -> int:
        keyid = parse_envelope(captured.envelope).statement.key
        sealed = next(one for one in self.seals if one.index > captured.index)
        before = self.registries[sealed.seal.start]
        seal = self.builder.seal(sealed.index, sealed.seal, self.tree.path(sealed.index))
        position, path = before.path(keyid)
        key = self.builder.key(seal, before.record(keyid), position, path)
        after = self.registries[self.size]
        position, path = after.path(keyid)
        return self.builder.entry(
            captured.index,
            captured.envelope,
            self.tree.path(captured.index),
            seal=seal,
            key=key,
            latest=self.builder.latest(after.record(keyid), position, path),
            salt=captured.salt,
            count=len(captured.records),
            seen=self._seen(captured) if seen else None,
        )

    def _seen(self, captured: Captured) -> tuple[list[bytes], bytes]:
        size = parse_envelope(captured.envelope).statement.seen[0]
        path = merkle.consistency_path(self.consortium.hashes(self.size), size)
        return path, self.consortium.archive[size]


def _history(consortium: Consortium, size: int) -> tuple[dict[int, Registry], list[Sealed]]:
    """The registry in force from each seal on, by the index after it, and the seals up to a size."""
    replay = Replay(consortium.origin)
    registries = {0: replay.registry}
    for entry in consortium.entries[:size]:
        replay.take(entry)
        if entry.startswith(b'{"after":'):
            parse_seal(entry)
            registries[replay.size] = replay.registry
    return registries, replay.seals
