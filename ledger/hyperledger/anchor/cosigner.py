"""Cosigning what the organisation's own peer marked VALID, once it is checked here that the tree only grew.

The order is the promise: 1. the event of the own peer; 2. the record it has of that checkpoint, and of every one since the
tree that was cosigned last; 3. the log's signature and the consistency proof from there, by the rules of
:mod:`ledger.witness.decision`; 4. the tree and the line become durable in one transaction; 5. only then the line leaves.
Dying before 4, nobody has a line; after it, the same line is sent again, never another one for the same tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ...checkpoint import Checkpoint, checkpoint_of
from ...ed25519 import Signer
from ...errors import InvalidInput, Unavailable, VerificationError
from ...log.durable import DiskFiles
from ...misbehaviour import parse_misbehaviour, verify_misbehaviour
from ...monitor.evidence import split_view
from ...note import (
    COSIGNATURE,
    ED25519,
    Note,
    VerifierKey,
    cosign,
    parse_note,
    parse_signature_lines,
    parse_vkey,
    verify_note,
)
from ...policy import parse_policy, policy_text
from ...shape import MAX_TREE_SIZE, hex_bytes
from ...witness.decision import LastSeen, Refused, Signed, decide
from ...witness.exchange import origin_hash
from ..channel import Anchored, ChannelEvent, Organisation
from ..errors import ChaincodeRefused, IdentityRefused
from .face import AnchorChannel
from .store import AnchorStore, Refusal, Unsent

ALREADY: Final = "already-cosigned"
AT_ONCE: Final = 8
"""Lines that are sent at the same time: each is a transaction of its own, under a key of its own."""

MOST_LOOKS: Final = 5
"""How often the record of what was announced is looked for before the announcement is passed over."""

_PAGE: Final = 100


class NotRegistered(InvalidInput):
    """The channel does not know this organisation's cosigner key, so its lines would be refused."""

    default_rule = "not-registered"


class Cosigner:
    """Cosigns for one organisation. `take` and `send` may be called from two threads; each by one at a time.

    `clock_s` gives POSIX seconds. `refused` counts checkpoints that were not cosigned. Two trees of one size that a log
    signed are evidence against it, and are written to `evidence` as files that `loomark verify` accepts.
    """

    def __init__(
        self,
        store: AnchorStore,
        channel: AnchorChannel,
        msp: str,
        key: Signer,
        *,
        clock_s: Callable[[], int],
        evidence: Path,
    ) -> None:
        self._store = store
        self._evidence = evidence
        self._channel = channel
        self._msp = msp
        self._key = key
        self._clock_s = clock_s
        self._name: str | None = None
        self._trusted: Mapping[str, Sequence[VerifierKey]] = {}
        self.refused = 0
        self._missed = 0

    def require_registered(self) -> None:
        """Learn the organisations. Raises NotRegistered until the own one is there with this very key."""
        found = self._channel.organisations()
        self._trusted = log_keys(found)
        own = next((one for one in found if one.msp == self._msp), None)
        public = None if own is None else parse_vkey(own.cosigner)
        if public is None or (public.kind, public.public) != (COSIGNATURE, self._key.public_bytes):
            told = "none" if own is None else "another key"
            raise NotRegistered(
                f"expected {self._msp} on the channel with the cosigner key of this folder, got {told}:"
                " run loomark hyperledger register"
            )
        self._name = public.name

    def take(self, event: ChannelEvent) -> None:
        """Deal with the event of an accepted checkpoint. Raises only what may be tried again; a refusal is kept."""
        try:
            origin, size, root = _named(event)
        except InvalidInput as error:
            self._refuse("", 0, error)
            return
        try:
            for record in self._since(origin, size, root):
                self._settle(record)
        except (ChaincodeRefused, IdentityRefused):
            # It was this organisation that was refused, not the checkpoint.
            raise
        except InvalidInput as error:
            self._refuse(origin, size, error)

    def send(self) -> bool:
        """Send lines that wait, several at once; whether any was settled. Raises the first failure, the others sent."""
        waiting = self._waiting()
        if not waiting:
            return False
        failures: list[Exception] = []
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(waiting))) as pool:
            for failure in pool.map(self._send, waiting):
                if failure is not None:
                    failures.append(failure)
        if failures:
            raise failures[0]
        return True

    def _waiting(self) -> list[Unsent]:
        """The lines to be sent, without those of a cosigner key that was replaced since: they can never be taken."""
        with self._store.turn() as turn:
            waiting = turn.unsent()
        if waiting and self._name is None:
            self.require_registered()
        own = VerifierKey(self._name or self._msp, COSIGNATURE, self._key.public_bytes)
        old = [one for one in waiting if parse_signature_lines(one.line)[0].key_id != own.key_id]
        if old:
            with self._store.turn() as turn:
                for one in old:
                    turn.sent(one.number)
        return [one for one in waiting if one not in old]

    def _since(self, origin: str, size: int, root: bytes) -> Iterator[Anchored]:
        """The own peer's records of a log after the tree that was cosigned last, up to a size."""
        last = self._last(origin)
        if size < last.size or (size == last.size and root == last.root):
            return
        record = self._announced(origin, size)
        if record.root != root:
            raise InvalidInput("expected the root that was announced, got another", rule="wrong-root")
        while last.size not in (record.start, record.size):
            page = [one for one in self._channel.history(origin, last.size, _PAGE) if one.size < size]
            if not page:
                break
            yield from page
            last = self._last(origin)
        yield record

    def _announced(self, origin: str, size: int) -> Anchored:
        """The own peer's record of what it announced. Raises Unavailable the first times that it has none.

        Another peer of the organisation may have answered, which is a block behind the one that told of the event.
        """
        record = self._channel.at(origin, size)
        self._missed = 0 if record is not None else self._missed + 1
        if record is not None:
            return record
        if self._missed < MOST_LOOKS:
            raise Unavailable(
                f"the own peer announced {origin} at size {size} and has no record of it, not yet"
            )
        self._missed = 0
        raise InvalidInput("expected the record of what was announced, got none", rule="no-such-checkpoint")

    def _last(self, origin: str) -> LastSeen:
        with self._store.turn() as turn:
            return turn.seen(origin)

    def _settle(self, record: Anchored) -> None:
        note = self._signed(record)
        with self._store.turn() as turn:
            last = turn.seen(record.origin)
            decided = decide(
                Signed(
                    record.start,
                    record.proof,
                    Checkpoint(record.origin, record.size, record.root),
                    note,
                ),
                last,
            )
            if isinstance(decided, Refused):
                if decided.forks:
                    self._accuse(record.size, turn.seen_note(record.origin) or b"", note)
                reason = decided.answer.body.decode().strip()
                if decided.answer.status == 409:
                    reason = f"it was accepted after size {record.start}, and size {reason} was cosigned last"
                raise InvalidInput(reason, rule="fork" if decided.forks else "not-consistent")
            # A cosignature without a time is refused by verifiers, whatever a broken clock says.
            line = cosign(note.text, self._name or self._msp, self._key, max(self._clock_s(), 1))
            seen = LastSeen(record.size, record.root)
            cosigned = Note(note.text, (*note.signatures, line))
            turn.keep_cosigned(record.origin, seen, cosigned.data(), line.text().encode())

    def _accuse(self, size: int, seen: bytes, other: Note) -> None:
        """Write what proves that the log signed both trees; nothing is written that a stranger would not accept."""
        data = split_view(seen, other.data())
        origin = other.text.partition("\n")[0]
        policy = parse_policy(policy_text(self._trusted[origin]))
        try:
            verify_misbehaviour(parse_misbehaviour(data), policy)
        except (InvalidInput, VerificationError):
            return
        DiskFiles().write(self._evidence / f"split-view-{origin_hash(origin)[:16]}-{size}.json", data)

    def _signed(self, record: Anchored) -> Note:
        """The record's note with the lines of the log's registered keys, which hold, and no other."""
        note = parse_note(record.note)
        if checkpoint_of(note) != Checkpoint(record.origin, record.size, record.root):
            raise InvalidInput("expected the note of this checkpoint, got another", rule="wrong-note")
        keys = self._trusted.get(record.origin, ())
        try:
            verify_note(note, keys)
        except InvalidInput:
            # A log may have gone over to another key since the organisations were read.
            self._trusted = log_keys(self._channel.organisations())
            keys = self._trusted.get(record.origin, ())
            verify_note(note, keys)
        known = {(key.name, key.key_id) for key in keys}
        lines = [line for line in note.signatures if (line.name, line.key_id) in known]
        return Note(note.text, tuple(lines))

    def _send(self, one: Unsent) -> Exception | None:
        try:
            self._offer(one)
        except (InvalidInput, Unavailable) as error:
            return error
        with self._store.turn() as turn:
            turn.sent(one.number)
        return None

    def _offer(self, one: Unsent) -> None:
        try:
            self._channel.cosign(one.origin, one.size, one.line)
        except ChaincodeRefused as refused:
            if not self._is_final(one, refused):
                raise

    def _is_final(self, one: Unsent, refused: ChaincodeRefused) -> bool:
        """Whether a line need not be sent again: it is there, or the own peer's chaincode can never take it.

        Another organisation's peer may say so as well, and would have the line forgotten.
        """
        if refused.rule == ALREADY:
            return self._msp in self._channel.cosignatures(one.origin, one.size)
        is_others_word = bool(refused.details) and all(each.msp != self._msp for each in refused.details)
        return refused.status in (400, 422) and not is_others_word

    def _refuse(self, origin: str, size: int, error: InvalidInput) -> None:
        self.refused += 1
        with self._store.turn() as turn:
            turn.refuse(Refusal(origin, size, error.rule, error.message))


def log_keys(organisations: Sequence[Organisation]) -> dict[str, list[VerifierKey]]:
    """The Ed25519 keys by which each registered log signs. What is no such key is left out: nothing verifies by it."""
    found: dict[str, list[VerifierKey]] = {}
    for one in organisations:
        for origin, vkeys in one.origins.items():
            keys = [key for key in map(_key, vkeys) if key is not None and key.name == origin]
            found.setdefault(origin, []).extend(keys)
    return found


def _key(vkey: str) -> VerifierKey | None:
    try:
        key = parse_vkey(vkey)
    except InvalidInput:
        return None
    return key if key.kind == ED25519 else None


def _named(event: ChannelEvent) -> tuple[str, int, bytes]:
    """Which checkpoint an event announces: origin, size, root."""
    payload = event.payload
    origin, size = payload.get("origin"), payload.get("size")
    if type(origin) is not str or type(size) is not int or not 0 < size <= MAX_TREE_SIZE:
        raise InvalidInput("expected an event with origin and size, got another", rule="bad-event")
    return origin, size, hex_bytes(payload.get("root"), "root")
