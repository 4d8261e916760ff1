"""The one verifier of proof bundles: ten numbered steps, no network, no clock.

The numbers are the same in code, docs/spec/bundle.md and errors:

1. strict parse, limits (:func:`ledger.bundle.parse_bundle`);
2. record or units -> record commitment;
3. record commitment -> capture commitment at its position;
4. envelope: the payload names this log, key and commitment, the signature holds;
5. the entry lies in the checkpoint; what its signer had seen is consistent with it, where that is carried;
6. the seal lies in it and covers the entry;
7. the key's record under the seal's ``before`` allows the statement;
8. the checkpoint's last entry is a seal, and under its ``after`` the key is not disputed at the entry;
9. the log signed the checkpoint, and cosigners make the policy's quorum;
10. anchors.

::

    verified = verify(parse_bundle(data), parse_policy(policy_text))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import merkle
from .bundle import EntryRow, KeyRow, RecordRow, SealRow, Step, UnverifiedBundle
from .canonical import JSON
from .capture import commitment_of_root, root_of_position
from .checkpoint import Checkpoint
from .disclosure import OpenedRecord, open_disclosure
from .errors import InvalidInput, VerificationError
from .key_record import KeyRecord, check_may_sign, check_role
from .note import Note, VerifiedSignature, verify_note
from .policy import Policy
from .seal import seal_bytes
from .shape import second_text
from .statement import Statement, verify_signatures

STEPS: Mapping[int, str] = {
    1: "strict parse and limits",
    2: "record commitment",
    3: "capture commitment",
    4: "envelope and signature",
    5: "entry in the checkpoint",
    6: "seal over the entry",
    7: "key in force",
    8: "key not disputed",
    9: "log signature and quorum",
    10: "anchors",
}
UNWITNESSED = "unwitnessed: the operator alone vouches for order and registry"
_MAX_REMEMBERED = 4_096
_DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step that holds; a step that fails raises instead.

    ``ok`` is false only for step 8 of a record whose key is disputed at its entry, and only by a verifier that was
    asked to show such records (:class:`Verifier`).
    """

    number: int
    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness of the policy whose cosignature verified: its name there, and the POSIX time that it states."""

    name: str
    time_s: int


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that the log signed: ``not_before_s`` and ``not_after_s`` are POSIX times of its quorum, or None.

    ``cosigners`` are the policy's witnesses that cosigned, in the policy's order, each with its earliest time.
    """

    signatures: tuple[VerifiedSignature, ...]
    cosigners: tuple[Cosigner, ...]
    unwitnessed: bool
    not_before_s: int | None
    not_after_s: int | None


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """One record with everything its bundle proves; only :class:`Verifier` makes it.

    ``custody`` is ``member`` or ``service``, by the signing key's record. ``not_before_s`` and ``not_after_s`` are
    POSIX seconds or None; ``statement.issued`` and ``seal_time`` are claims of signer and log. ``disputed_from`` is
    an index or None; it is above ``index`` unless the verifier shows disputed records. ``cosigners`` are the policy's
    witnesses that cosigned the checkpoint, whether or not a quorum is asked for.
    """

    opened: OpenedRecord
    statement: Statement
    key: KeyRecord
    position: int
    count: int
    index: int
    tree_size: int
    seal_index: int
    seal_time: str
    disputed_from: int | None
    not_before_s: int | None
    not_after_s: int | None
    unwitnessed: bool
    cosigners: tuple[Cosigner, ...]
    steps: tuple[StepResult, ...]

    @property
    def record(self) -> dict[str, JSON]:
        """The record as far as it is shown."""
        return self.opened.record

    @property
    def commitment(self) -> bytes:
        """The record's commitment, which is its name."""
        return self.opened.commitment

    @property
    def member(self) -> str:
        """In whose name the record was stated."""
        return self.statement.member

    @property
    def is_disputed(self) -> bool:
        """Whether the signing key was revoked as disputed at this entry: whoever had it may have made the record."""
        return self.disputed_from is not None and self.disputed_from <= self.index

    @property
    def custody(self) -> str:
        """Who held the signing key: the ``member``, or the node's ``service`` for it."""
        return self.key.use


def verify(bundle: UnverifiedBundle, policy: Policy) -> VerifiedBundle:
    """Verify a bundle of exactly one record; raises :class:`VerificationError` with step and place."""
    return Verifier(policy).verify(bundle)


def verify_all(bundle: UnverifiedBundle, policy: Policy) -> tuple[VerifiedBundle, ...]:
    """Verify every record of a bundle, each shared part once; raises at the first step that fails."""
    return Verifier(policy).verify_all(bundle)


class Verifier:
    """Verifies bundles under one policy and remembers the checkpoints it has verified.

    Use one for many bundles that share a checkpoint. What is remembered never depends on a bundle that failed. With
    ``shows_disputed`` a record whose key is disputed at its entry does not fail at step 8 but says so: a report that
    dropped it, or fell with it, would hide what a reader has to know.
    """

    def __init__(self, policy: Policy, *, shows_disputed: bool = False) -> None:
        self.policy = policy
        self.shows_disputed = shows_disputed
        self._checkpoints: dict[Note, VerifiedCheckpoint] = {}

    def verify(self, bundle: UnverifiedBundle) -> VerifiedBundle:
        """As :func:`verify`."""
        if len(bundle.records) != 1:
            raise VerificationError("expected a bundle of one record", 1, f"{bundle.place}/records")
        return self.verify_all(bundle)[0]

    def verify_all(self, bundle: UnverifiedBundle) -> tuple[VerifiedBundle, ...]:
        """As :func:`verify_all`."""
        check = _Check(bundle, self)
        return tuple([check.record(number) for number in range(len(bundle.records))])

    def verify_each(self, bundle: UnverifiedBundle) -> Iterator[VerifiedBundle | VerificationError]:
        """For each record in order what was verified, or the error that its first failing step gives."""
        check = _Check(bundle, self)
        for number in range(len(bundle.records)):
            try:
                yield check.record(number)
            except VerificationError as error:
                yield error

    def checkpoint(self, note: Note, origin: str) -> VerifiedCheckpoint:
        """Step 9 for a checkpoint's note; raises :class:`InvalidInput`."""
        known = self._checkpoints.get(note)
        if known is None:
            known = self._verify_checkpoint(note, origin)
            if len(self._checkpoints) >= _MAX_REMEMBERED:
                self._checkpoints.clear()
            self._checkpoints[note] = known
        return known

    def _verify_checkpoint(self, note: Note, origin: str) -> VerifiedCheckpoint:
        logs = self.policy.log_keys(note, origin)
        signatures = verify_note(note, [*logs, *self.policy.witnesses.values()])
        cosigners = _cosigners(signatures, self.policy)
        if self.policy.quorum is None:
            return VerifiedCheckpoint(signatures, cosigners, True, None, None)
        not_after = self.policy.quorum_time_s(signatures)
        if not_after is None:
            names = ", ".join([one.name for one in cosigners]) or "none"
            raise InvalidInput(
                f"expected cosignatures that make the quorum {self.policy.quorum_text()}, got {names}",
                rule="no-quorum",
            )
        not_before = min([one.time_s for one in signatures if one.time_s is not None])
        return VerifiedCheckpoint(signatures, cosigners, False, not_before, not_after)


class _Check:
    """The verification of one bundle: rows that several records share are checked once."""

    def __init__(self, bundle: UnverifiedBundle, verifier: Verifier) -> None:
        self.bundle = bundle
        self.verifier = verifier
        self.place = bundle.place
        self.done: dict[tuple[str, int], int | None] = {}

    def record(self, number: int) -> VerifiedBundle:
        """All steps for one record, in their order."""
        row = self.bundle.records[number]
        entry = self.bundle.entries[row.entry]
        opened = self._open(number, row)
        self._check_capture(number, row, entry)
        self._once("envelope", row.entry, self._check_envelope)
        not_before = self._once("entry", row.entry, self._check_entry)
        self._once("range", row.entry, self._check_seal_range)
        self._once("key", row.entry, self._check_key)
        self._once("dispute", row.entry, self._check_dispute)
        head = self._check_checkpoint()
        seal = self.bundle.seals[entry.seal]
        return VerifiedBundle(
            opened,
            entry.envelope.statement,
            self.bundle.keys[entry.key].record,
            row.position,
            entry.count,
            entry.index,
            self.bundle.checkpoint.size,
            seal.index,
            seal.seal.time,
            self.bundle.latest[entry.latest].record.disputed_from,
            not_before,
            head.not_after_s,
            head.unwitnessed,
            head.cosigners,
            self._results(row, entry, opened, head),
        )

    def _once(self, name: str, number: int, check: Callable[[int], int | None]) -> int | None:
        if (name, number) not in self.done:
            self.done[name, number] = check(number)
        return self.done[name, number]

    def _open(self, number: int, row: RecordRow) -> OpenedRecord:
        with Step(2, f"{self.place}/records/{number}/disclosure"):
            opened = open_disclosure(row.disclosure)
            if opened.commitment != row.commitment:
                raise InvalidInput(
                    f"expected commitment {row.commitment.hex()}, got {opened.commitment.hex()}",
                    rule="record-commitment",
                )
        return opened

    def _check_capture(self, number: int, row: RecordRow, entry: EntryRow) -> None:
        with Step(3, f"{self.place}/records/{number}"):
            root = root_of_position(row.commitment, row.position, entry.count, row.path)
            found = commitment_of_root(entry.salt, entry.count, root).hex()
            stated = entry.envelope.statement.body["commitment"]
            if found != stated:
                raise InvalidInput(
                    f"expected capture commitment {stated}, got {found}", rule="capture-commitment"
                )

    def _check_envelope(self, number: int) -> None:
        entry = self.bundle.entries[number]
        statement = entry.envelope.statement
        record = self.bundle.keys[entry.key].record
        with Step(4, f"{self.place}/entries/{number}/envelope"):
            if statement.log != self.bundle.checkpoint.origin:
                raise InvalidInput(
                    f"expected a statement for {self.bundle.checkpoint.origin}, got one for {statement.log}",
                    rule="wrong-log",
                )
            if statement.key != record.keyid or entry.envelope.keyids != {record.keyid}:
                raise InvalidInput(
                    "expected the signature of the key that the payload names", rule="wrong-key"
                )
            verify_signatures(entry.envelope, {record.keyid: record.key})

    def _check_entry(self, number: int) -> int | None:
        entry = self.bundle.entries[number]
        with Step(5, f"{self.place}/entries/{number}/path"):
            self._check_included(entry.index, entry.envelope.data, entry.path)
        if entry.seen is None:
            return None
        with Step(5, f"{self.place}/entries/{number}/seen"):
            return self._check_seen(entry)

    def _check_seen(self, entry: EntryRow) -> int | None:
        head, seen = self.bundle.checkpoint, entry.seen
        size, root = entry.envelope.statement.seen
        if seen is None or size == 0:
            raise InvalidInput("expected a proof only where something was seen", rule="bad-seen")
        if size > entry.index:
            raise InvalidInput(
                "expected something seen before the entry, got something later", rule="bad-seen"
            )
        merkle.verify_consistency(size, head.size, seen.path, root, head.root)
        if seen.note is None:
            return None
        if seen.note.text != Checkpoint(head.origin, size, root).text():
            raise InvalidInput("expected the note of what was seen, got another", rule="bad-seen")
        try:
            return self.verifier.checkpoint(seen.note, head.origin).not_before_s
        except InvalidInput as error:
            # Too few cosignatures only cost the lower bound, and a log or key that the policy does not name is for
            # step 9 to report; a false signature would be evidence against somebody.
            if error.rule in ("no-quorum", "unknown-log", "unknown-log-key", "log-signature"):
                return None
            raise

    def _check_seal_range(self, number: int) -> None:
        entry = self.bundle.entries[number]
        row = self.bundle.seals[entry.seal]
        self._once("seal", entry.seal, self._check_seal)
        with Step(6, f"{self.place}/seals/{entry.seal}"):
            if not row.seal.start <= entry.index < row.index:
                raise InvalidInput(
                    f"expected a seal over entry {entry.index}, got one over {row.seal.start} to {row.index - 1}",
                    rule="wrong-seal",
                )

    def _check_seal(self, number: int) -> None:
        with Step(6, f"{self.place}/seals/{number}"):
            self._check_seal_row(self.bundle.seals[number])

    def _check_seal_row(self, row: SealRow) -> None:
        if row.seal.log != self.bundle.checkpoint.origin:
            raise InvalidInput("expected a seal of this log, got one of another", rule="wrong-log")
        self._check_included(row.index, seal_bytes(row.seal), row.path)

    def _check_key(self, number: int) -> None:
        entry = self.bundle.entries[number]
        row = self.bundle.keys[entry.key]
        seal = self.bundle.seals[entry.seal].seal
        self._once("record", entry.key, self._check_key_row)
        with Step(7, f"{self.place}/keys/{entry.key}"):
            if row.seal != entry.seal:
                raise InvalidInput(
                    "expected the key's record under the entry's seal, got another", rule="wrong-seal"
                )
            statement = entry.envelope.statement
            check_may_sign(row.record, statement.type, statement.member, seal.time_ms)
            check_role(statement.type, frozenset(row.record.roles))

    def _check_key_row(self, number: int) -> None:
        row = self.bundle.keys[number]
        with Step(7, f"{self.place}/keys/{number}"):
            _check_registered(row, self.bundle.seals[row.seal or 0].seal.before)

    def _check_dispute(self, number: int) -> None:
        entry = self.bundle.entries[number]
        row = self.bundle.latest[entry.latest]
        self._once("last", 0, self._check_last)
        with Step(8, f"{self.place}/latest/{entry.latest}"):
            _check_registered(row, self.bundle.last.seal.after)
            if row.record.key != self.bundle.keys[entry.key].record.key:
                raise InvalidInput(
                    "expected the latest record of the signing key, got another's", rule="wrong-key"
                )
            disputed = row.record.disputed_from
            if disputed is not None and disputed <= entry.index and not self.verifier.shows_disputed:
                raise InvalidInput(
                    f"expected an undisputed key, got one disputed from {disputed}", rule="disputed"
                )

    def _check_last(self, _: int) -> None:
        with Step(8, f"{self.place}/last"):
            self._check_seal_row(self.bundle.last)

    def _check_checkpoint(self) -> VerifiedCheckpoint:
        with Step(9, f"{self.place}/checkpoint"):
            return self.verifier.checkpoint(self.bundle.note, self.bundle.checkpoint.origin)

    def _check_included(self, index: int, data: bytes, path: tuple[bytes, ...]) -> None:
        head = self.bundle.checkpoint
        merkle.verify_inclusion(index, head.size, merkle.leaf_hash(data), path, head.root)

    def _results(
        self, row: RecordRow, entry: EntryRow, opened: OpenedRecord, head: VerifiedCheckpoint
    ) -> tuple[StepResult, ...]:
        details = {
            1: "well-formed, within the limits",
            2: f"{'the whole record gives' if opened.full else 'the shown units give'} urn:loomark:record:{row.commitment.hex()}",
            3: f"record {row.position} of {entry.count}",
            4: f"signed in the name of {entry.envelope.statement.member}",
            5: f"entry {entry.index} of {self.bundle.checkpoint.size}",
            6: f"sealed at {self.bundle.seals[entry.seal].index}",
            7: f"active {self.bundle.keys[entry.key].record.use} key",
            8: _dispute(self.bundle.latest[entry.latest].record, entry.index),
            9: UNWITNESSED if head.unwitnessed else _cosigned(head, self.verifier.policy),
            10: "none carried",
        }
        disputed = details[8].startswith(_DISPUTED)
        return tuple(
            [
                StepResult(number, name, number != 8 or not disputed, details[number])
                for number, name in STEPS.items()
            ]
        )


def _cosigners(signatures: Sequence[VerifiedSignature], policy: Policy) -> tuple[Cosigner, ...]:
    found: list[Cosigner] = []
    for name, key in policy.witnesses.items():
        times = [one.time_s for one in signatures if one.key == key and one.time_s is not None]
        found += [Cosigner(name, min(times))] if times else []
    return tuple(found)


def _cosigned(head: VerifiedCheckpoint, policy: Policy) -> str:
    """Who cosigned and when, and the rule that this satisfies."""
    names = ", ".join([f"{one.name} at {second_text(one.time_s)}" for one in head.cosigners])
    return f"signed by the log, cosigned by {names}: quorum {policy.quorum_text()} met"


def _dispute(record: KeyRecord, index: int) -> str:
    """What the latest record of a key says of an entry that it signed."""
    if record.disputed_from is not None and record.disputed_from <= index:
        return f"{_DISPUTED} from {record.disputed_from} on: whoever had the key may have signed this"
    if record.disputed_from is not None:
        return f"not disputed at this entry; the key was {record.state}, and is disputed from {record.disputed_from} on"
    return "not disputed at this entry" + (
        "" if record.state == "active" else f"; the key was {record.state} since"
    )


def _check_registered(row: KeyRow, registry: tuple[int, bytes]) -> None:
    size, root = registry
    merkle.verify_inclusion(row.position, size, merkle.leaf_hash(row.record.leaf()), row.path, root)
