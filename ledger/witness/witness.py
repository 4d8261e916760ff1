"""The witness itself: authenticate, decide and persist in one transaction, then answer.

    witness = Witness(WitnessStore(data / "witness.db"), "witness.example/one", key, {origin: [log_key]})
    answer = witness.add_checkpoint(body)

The cosignature is made inside the transaction and given away after its commit: if the process dies before the commit, nobody
has it; after it, the same tree is cosigned again when the client asks again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Protocol

from ..checkpoint import Checkpoint
from ..ed25519 import Signer
from ..errors import InvalidInput, Unavailable
from ..note import COSIGNATURE, Note, SignatureLine, VerifierKey, cosign
from .decision import Accepted, LastSeen, Refused, Signed, authenticate, decide
from .exchange import Answer, cosigned, origin_hash, refusal
from .store import Clock, WitnessStore, now_s


class Replayer(Protocol):
    """Looks into a log before it is cosigned: every entry fetched, hashed into the tree, and allowed."""

    def check(self, note: Note, size: int) -> None:
        """Return when every entry under this signed checkpoint was checked, now or before.

        Raises InvalidInput, with the rule that the log broke, for one that must not be cosigned; Unavailable when its
        entries cannot be had now, or not yet.
        """


Accuse = Callable[[Checkpoint, bytes, bytes], None]
"""Told of a fork once it is kept: the refused head, the checkpoint cosigned at its size, and the refused one."""


class Witness:
    """Cosigns for the logs in `trusted`. Safe to share by threads; one process.

    `replayers` has one for each origin whose entries are checked as well; `counts` says how requests were answered, by
    status, and `forks` how often a log signed two roots of one size.
    """

    def __init__(
        self,
        store: WitnessStore,
        name: str,
        key: Signer,
        trusted: Mapping[str, Sequence[VerifierKey]],
        *,
        clock: Clock = now_s,
        replayers: Mapping[str, Replayer] | None = None,
        accuse: Accuse | None = None,
    ) -> None:
        self._store = store
        self._name = name
        self._key = key
        self._trusted = trusted
        self._clock = clock
        self._replayers = replayers or {}
        self._accuse = accuse
        self._origins = {origin_hash(origin): origin for origin in trusted}
        self._counting = Lock()
        self.counts: Counter[int] = Counter()
        self.forks = 0

    @property
    def vkey(self) -> str:
        """The verifier key line that clients and policies take."""
        return VerifierKey(self._name, COSIGNATURE, self._key.public_bytes).text()

    def add_checkpoint(self, body: bytes) -> Answer:
        """The answer to one request; a 200 is given only for what is durable."""
        answer = self._answer(body)
        with self._counting:
            self.counts[answer.status] += 1
        return answer

    def checkpoint(self, log: str) -> bytes | None:
        """The latest cosigned checkpoint of the log with this hex origin hash; None for an unknown or unseen one."""
        origin = self._origins.get(log)
        return None if origin is None else self._store.latest(origin)

    def conflicts(self, origin: str) -> list[tuple[bytes, bytes]]:
        """Pairs of checkpoints that prove a fork of a log."""
        with self._store.turn() as turn:
            return turn.conflicts(origin)

    def _answer(self, body: bytes) -> Answer:
        signed = authenticate(body, self._trusted)
        if isinstance(signed, Refused):
            return signed.answer
        try:
            self._look_into(signed)
            return self._settle(signed)
        except InvalidInput as error:
            return refusal(422, f"replay: {error.rule}: {error.message}")
        except Unavailable as error:
            return refusal(503, str(error))

    def _look_into(self, signed: Signed) -> None:
        """Check the entries where that is asked, outside the transaction, and only of what would be cosigned."""
        replayer = self._replayers.get(signed.checkpoint.origin)
        if replayer is None:
            return
        with self._store.turn() as turn:
            decided = decide(signed, turn.last(signed.checkpoint.origin))
        if isinstance(decided, Accepted):
            replayer.check(decided.note, decided.checkpoint.size)

    def _settle(self, signed: Signed) -> Answer:
        head, seen = signed.checkpoint, None
        with self._store.turn() as turn:
            decided = decide(signed, turn.last(head.origin))
            if isinstance(decided, Accepted):
                line, time_s = self._cosign(decided.note)
                note = Note(decided.note.text, (*decided.note.signatures, line))
                turn.keep(head.origin, LastSeen(head.size, head.root), note.data(), time_s)
            elif decided.forks:
                seen = turn.note(head.origin)
                turn.keep_conflict(head.origin, head.size, signed.note.data())
        if isinstance(decided, Accepted):
            return cosigned([line])
        if seen is not None:
            self._report(head, seen, signed.note.data())
        return decided.answer

    def _report(self, head: Checkpoint, seen: bytes, refused: bytes) -> None:
        with self._counting:
            self.forks += 1
        if self._accuse is not None:
            self._accuse(head, seen, refused)

    def _cosign(self, note: Note) -> tuple[SignatureLine, int]:
        # A cosignature without a time is refused by verifiers, whatever a broken clock says.
        time_s = max(self._clock(), 1)
        return cosign(note.text, self._name, self._key, time_s), time_s
