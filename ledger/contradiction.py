"""What shown entries of a signed tree contradict: the rules of docs/spec/seal-and-registry.md, one by one.

Each function takes what is :class:`Shown` and the index at fault; it returns the broken rule and a sentence, or raises
:class:`ledger.errors.InvalidInput` (rule ``no-contradiction``) where a log that kept the rules could have signed the
same. What is hidden never speaks against the log: whoever shows too little proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import merkle
from .entry import is_seal, parse_entry
from .errors import InvalidInput
from .key_record import ROLE_FOR, KeyRecord, check_may_sign, check_role
from .registry import Registry, Void
from .replay import Sealed
from .seal import Seal
from .statement import Statement, UnverifiedEnvelope, verify_signatures

Verdict = tuple[str, str]
"""The broken rule, and what is proved in one sentence."""


@dataclass(frozen=True, slots=True)
class ProvenKey:
    """A key record with its place under the ``before`` of the seal over the statement; not checked yet."""

    position: int
    record: KeyRecord
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """Entries by index that are proved to lie in a tree of ``size`` which the log ``origin`` signed."""

    origin: str
    size: int
    entries: Mapping[int, bytes]

    def entry(self, index: int) -> UnverifiedEnvelope | Seal | None:
        """The entry at an index, None where it is neither; raises where it is not shown."""
        data = self.entries.get(index)
        if data is None:
            raise _none(f"expected entry {index} to be shown")
        try:
            return parse_entry(data)
        except InvalidInput:
            return None

    def seal(self, index: int) -> Seal | None:
        """The seal at an index, None where the entry is none; raises where it is not shown."""
        data = self.entries.get(index)
        if data is not None and not is_seal(data):
            return None
        found = self.entry(index)
        return found if isinstance(found, Seal) else None

    def statement(self, index: int) -> UnverifiedEnvelope:
        """The statement at an index; raises where it is none or not shown."""
        found = self.entry(index)
        if not isinstance(found, UnverifiedEnvelope):
            raise _none(f"expected entry {index} to be a statement")
        return found


def bad_entry(shown: Shown, index: int) -> Verdict:
    """An entry that is neither a statement nor a seal, or a log that does not open with a charter."""
    found = shown.entry(index)
    if found is None:
        return "bad-entry", f"entry {index} is neither a statement nor a seal in canonical bytes"
    if index == 0 and not (isinstance(found, UnverifiedEnvelope) and found.statement.type == "charter"):
        return "bad-entry", "the log does not open with a charter"
    raise _none(f"expected entry {index} to be none, got one in its one spelling")


def duplicate_id(shown: Shown, first: int, second: int) -> Verdict:
    """Two entries that carry one statement id of one member."""
    if first >= second:
        raise _none("expected two entries in the order of the log")
    one, other = shown.statement(first).statement, shown.statement(second).statement
    if (one.member, one.id) != (other.member, other.id):
        raise _none("expected one member and id in both statements, got two")
    return "duplicate-statement", f"entries {first} and {second} are both statement {one.id} of {one.member}"


def void_statement(shown: Shown, index: int, key: ProvenKey | None) -> Verdict:
    """A statement without authority at its index, by the registry before it: never by what was revoked later.

    With ``key`` the log's own record of the proposer's key decides; without, the replay of all registry statements.
    """
    envelope = shown.statement(index)
    if envelope.statement.log != shown.origin:
        return "wrong-log", f"entry {index} is a statement for the log {envelope.statement.log}"
    sealed = _seal_over(shown, index)
    try:
        if key is not None:
            _check_key(envelope, sealed.seal, key)
        else:
            _check_authority(shown, index, envelope, sealed)
    except _Refuted as found:
        return (
            found.rule,
            f"entry {index}, a {envelope.statement.type} of {envelope.statement.member}: {found}",
        )
    raise _none(f"expected a statement without authority, got one that entry {index} had")


def false_seal(shown: Shown, index: int) -> Verdict:
    """A seal that is missing after entry ``index``, or the seal at ``index`` where the entries refute it."""
    seal = shown.seal(index)
    if seal is None:
        return _missing_seal(shown, index)
    found = _seal_alone(shown, index, seal) or _seal_beside(shown, index, seal)
    if found is not None:
        return "bad-seal", f"the seal at {index} {found}"
    before, after = _replayed(shown, index)
    for name, stated, replayed in (("before", seal.before, before), ("after", seal.after, after)):
        if stated != replayed.head():
            return (
                "bad-seal",
                f"the seal at {index} states another registry {name} it than the statements give",
            )
    raise _none(f"expected a false seal, got one that entry {index} may be")


def _missing_seal(shown: Shown, index: int) -> Verdict:
    if index == shown.size - 1:
        return "missing-seal", f"the checkpoint of size {shown.size} does not end in a seal"
    if shown.statement(index).statement.is_registry and shown.seal(index + 1) is None:
        return "missing-seal", f"no seal follows the registry statement at {index}"
    raise _none(f"expected a missing seal after entry {index}, got none missing")


def _seal_alone(shown: Shown, index: int, seal: Seal) -> str | None:
    if seal.log != shown.origin:
        return f"is one of the log {seal.log}"
    if seal.start >= index:
        return f"covers no entry: it begins at {seal.start}"
    if seal.start == 0 and seal.before != (0, merkle.EMPTY_ROOT):
        return "is the first and does not begin with the empty registry"
    return None


def _seal_beside(shown: Shown, index: int, seal: Seal) -> str | None:
    """What is wrong between a seal, the one before it and the entries in between, as far as they are shown."""
    for at in shown.entries:
        if seal.start <= at < index and shown.seal(at) is not None:
            return f"claims to cover the seal at {at}"
        if at < index - 1 and seal.start <= at and _is_registry(shown, at):
            return f"covers the registry statement at {at} and others after it"
    if seal.start == 0 or seal.start - 1 not in shown.entries:
        return None
    last = shown.seal(seal.start - 1)
    if last is None:
        return f"begins at {seal.start}, which does not follow a seal"
    if last.after != seal.before:
        return f"begins with another registry than the seal at {seal.start - 1} left"
    if seal.time_ms < last.time_ms:
        return f"is older than the seal at {seal.start - 1}"
    return None


def _is_registry(shown: Shown, index: int) -> bool:
    found = shown.entry(index)
    return isinstance(found, UnverifiedEnvelope) and found.statement.is_registry


def _seal_over(shown: Shown, index: int) -> Sealed:
    for at in sorted(shown.entries):
        seal = shown.seal(at) if at > index else None
        if seal is not None and seal.start <= index:
            return Sealed(at, seal)
    raise _none(f"expected the seal over entry {index} to be shown")


def _replayed(shown: Shown, index: int) -> tuple[Registry, Registry]:
    """The registries before and after the seal at ``index``, by replay.

    Shown must be all seals up to it and the entry before each. That is all: a registry statement is followed by its
    seal, so what is hidden in between is none, or the log had broken that rule.
    """
    registry, start = Registry(), 0
    for at in sorted(shown.entries):
        seal = shown.seal(at) if at <= index else None
        if seal is None:
            continue
        if seal.start != start:
            raise _none(f"expected every seal up to {index} to be shown, got a gap at {start}")
        before, registry = registry, _after(shown, at - 1, registry)
        if at == index:
            return before, registry
        start = at + 1
    raise _none(f"expected the seal at {index} to be shown")


def _after(shown: Shown, index: int, registry: Registry) -> Registry:
    envelope = shown.statement(index)
    if not envelope.statement.is_registry:
        return registry
    outcome = registry.apply(index, envelope)
    if isinstance(outcome, Void) or outcome.charter is None or outcome.charter.log != shown.origin:
        return registry
    return outcome


class _Refuted(Exception):
    """Why a statement had no authority; caught in this module."""

    def __init__(self, reason: str, rule: str) -> None:
        super().__init__(reason)
        self.rule = rule


def _check_authority(shown: Shown, index: int, envelope: UnverifiedEnvelope, sealed: Sealed) -> None:
    registry, _ = _replayed(shown, sealed.index)
    if envelope.statement.is_registry:
        if index != sealed.index - 1:
            raise _none(f"expected the seal of entry {index} right after it")
        outcome = registry.apply(index, envelope)
        if isinstance(outcome, Void):
            raise _Refuted(outcome.reason, outcome.rule)
        return
    try:
        registry.authorise(envelope, sealed.seal.time_ms)
    except InvalidInput as error:
        raise _Refuted(error.message, error.rule) from None


def _check_key(envelope: UnverifiedEnvelope, seal: Seal, key: ProvenKey) -> None:
    statement, record = envelope.statement, key.record
    size, root = seal.before
    merkle.verify_inclusion(key.position, size, merkle.leaf_hash(record.leaf()), key.path, root)
    if record.keyid != statement.key:
        raise _none("expected the record of the key that the statement names, got another's")
    try:
        _check_record(envelope, statement, record, None if statement.is_registry else seal.time_ms)
    except InvalidInput as error:
        raise _Refuted(error.message, error.rule) from None


def _check_record(
    envelope: UnverifiedEnvelope, statement: Statement, record: KeyRecord, time_ms: int | None
) -> None:
    check_may_sign(record, statement.type, statement.member, time_ms)
    # A recall may rest on a grant, which no key record shows.
    if ROLE_FOR.get(statement.type) != "recall":
        check_role(statement.type, frozenset(record.roles))
    if record.keyid not in envelope.keyids:
        raise InvalidInput("expected the signature of the key that it names, got none", rule="wrong-signers")
    if len(envelope.signatures) == 1:
        verify_signatures(envelope, {record.keyid: record.key})


def _none(message: str) -> InvalidInput:
    return InvalidInput(message, rule="no-contradiction")
